//! Where in a connection's bytes each request's head and body begin and end. Pure.

use http::StatusCode;

use super::Limits;
use super::chunked::Chunked;
use super::faults::{Fault, Kind, Refusal};
use super::head::{Framing, Head};

const SLOW_HEAD: Fault = Fault::new(
    StatusCode::REQUEST_TIMEOUT,
    Kind::Slow,
    "send a request's head in one go; this one was not complete within the time limit",
);
const SLOW_BODY: Fault = Fault::new(
    StatusCode::REQUEST_TIMEOUT,
    Kind::Slow,
    "send the body right after its head, or less of it; this one was not complete within the time limit",
);
const CUT_OFF: Fault = Fault::bad(Kind::Incomplete, "send the request to its end; this one stopped in the middle");

/// Which part of a request was refused decides how the service learns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// hyper has seen nothing of this request.
    Head(Refusal),
    /// hyper is in the middle of it.
    Body(Refusal),
}

/// What bytes turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// So many are in order and may go on. Without a refusal, the rest is the beginning of a head.
    pub(super) cleared: usize,
    pub(super) refused: Option<Refused>,
}

/// The place in the stream of requests.
#[derive(Debug)]
pub(super) struct Framer {
    at: At,
    limits: Limits,
    /// Counts the heads and bodies that ended: while it stays the same, it is the same one that is waited for.
    parts: u64,
}

#[derive(Debug)]
enum At {
    Head(Head),
    /// In a body of which so many bytes are left.
    Length(u64),
    Chunked(Chunked),
}

impl Framer {
    pub(super) fn new(limits: Limits) -> Self {
        Self { at: At::Head(Head::default()), limits, parts: 0 }
    }

    pub(super) fn parts(&self) -> u64 {
        self.parts
    }

    /// Judges `bytes`, which begin with those that the call before did not clear.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut cleared = 0;
        while cleared < bytes.len() {
            let rest = &bytes[cleared..];
            let next = match &mut self.at {
                At::Head(head) => match head.read(rest, &self.limits) {
                    Ok(None) => break,
                    Ok(Some((length, framing))) => {
                        cleared += length;
                        match framing {
                            Framing::Length(0) => At::Head(Head::default()),
                            Framing::Length(bytes) => At::Length(bytes),
                            Framing::Chunked => At::Chunked(Chunked::default()),
                        }
                    }
                    Err(fault) => {
                        let refused = Some(Refused::Head(head.refusal(rest, fault)));
                        return Scanned { cleared, refused };
                    }
                },
                At::Length(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    cleared += here;
                    *left -= here as u64;
                    if *left > 0 {
                        break;
                    }
                    At::Head(Head::default())
                }
                At::Chunked(body) => match body.read(rest, &self.limits) {
                    Ok((here, ended)) => {
                        cleared += here;
                        if !ended {
                            break;
                        }
                        At::Head(Head::default())
                    }
                    Err(fault) => return Scanned { cleared, refused: Some(Refused::Body(fault.into())) },
                },
            };
            self.at = next;
            self.parts += 1;
        }
        Scanned { cleared, refused: None }
    }

    /// Whether a request has begun and not ended. `held` is what has come of a head.
    pub(super) fn in_request(&self, held: &[u8]) -> bool {
        match &self.at {
            At::Head(head) => head.has_begun(held),
            At::Length(_) | At::Chunked(_) => true,
        }
    }

    pub(super) fn in_body(&self) -> bool {
        !matches!(self.at, At::Head(_))
    }

    /// The refusal when time is over.
    pub(super) fn too_slow(&self, held: &[u8]) -> Refused {
        self.refused(held, if self.in_body() { SLOW_BODY } else { SLOW_HEAD })
    }

    /// The refusal when the client stopped sending in the middle.
    pub(super) fn cut_off(&self, held: &[u8]) -> Option<Refused> {
        self.in_request(held).then(|| self.refused(held, CUT_OFF))
    }

    fn refused(&self, held: &[u8], fault: Fault) -> Refused {
        match &self.at {
            At::Head(head) => Refused::Head(head.refusal(held, fault)),
            At::Length(_) | At::Chunked(_) => Refused::Body(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::head::tests::understood;

    /// Requests of every kind, good and bad, to be cut and mutated.
    const SEEDS: [&[u8]; 12] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET /a?b=c HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nX-Y: z \t\r\n\r\n",
        b"OPTIONS * HTTP/1.0\r\n\r\n",
        b"GET http://a.b/c HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        b"POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
        b"PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c=\"d\"\r\nx\r\n0\r\nTrailer: e\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 18446744073709551616\r\n\r\n",
    ];

    /// Bytes that matter to the grammar come up more often than others.
    const BYTES: &[u8] = b"\r\r\n\n \t:;,\"\\#?*/%@[]0157afFxX+-.=\0\x7f\x80\xffGETHost";

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % bound.max(1)
        }

        fn stream(&mut self) -> Vec<u8> {
            let mut bytes: Vec<u8> =
                (0..1 + self.below(3)).flat_map(|_| SEEDS[self.below(SEEDS.len())]).copied().collect();
            for _ in 0..self.below(4) {
                let place = self.below(bytes.len());
                let byte = if self.below(4) == 0 { self.below(256) as u8 } else { BYTES[self.below(BYTES.len())] };
                match self.below(5) {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    2 => drop(bytes.remove(place)),
                    3 => bytes.truncate(place + 1),
                    _ => {
                        let seed = SEEDS[self.below(SEEDS.len())];
                        let from = self.below(seed.len());
                        bytes.splice(place..place, seed[from..].iter().copied());
                    }
                }
                if bytes.is_empty() {
                    bytes.push(byte);
                }
            }
            bytes
        }
    }

    /// What becomes of a stream that comes in such pieces: the bytes that go on, the refusal, and whether it ends within
    /// a request.
    fn outcome(bytes: &[u8], limits: Limits, mut piece: impl FnMut() -> usize) -> (Vec<u8>, Option<Refused>, bool) {
        let (mut framer, mut on, mut held, mut rest) = (Framer::new(limits), Vec::new(), Vec::new(), bytes);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
            rest = later;
            held.extend_from_slice(now);
            let scanned = framer.scan(&held);
            on.extend(held.drain(..scanned.cleared));
            if scanned.refused.is_some() {
                return (on, scanned.refused, true);
            }
        }
        (on, None, framer.in_request(&held))
    }

    #[test]
    fn what_passes_is_understood_and_pieces_do_not_matter() {
        let mut dice = Dice(0x5EED_0F71_DE11_4E00);
        let limits = Limits { head_bytes: 160, header_lines: 4, target_bytes: 40, ..Limits::default() };
        let mut refused = 0;
        for round in 0..200_000 {
            let mut bytes = dice.stream();
            // A bad byte in a line may be found only when the line ends.
            let ends = dice.below(2) == 0;
            if ends {
                bytes.extend_from_slice(b"\r\n\r\n");
            }
            let limits = if round % 2 == 0 { limits } else { Limits::default() };
            let mut head = Head::default();
            if let Ok(Some((length, _))) = head.read(&bytes, &limits) {
                assert_eq!(understood(&bytes), Some(length), "{:?}", String::from_utf8_lossy(&bytes));
            }
            if round % 10 != 0 {
                continue;
            }
            let (on, verdict, within) = outcome(&bytes, limits, || usize::MAX);
            refused += usize::from(verdict.is_some());
            for _ in 0..3 {
                let (on_in_pieces, verdict_in_pieces, within_in_pieces) =
                    outcome(&bytes, limits, || 1 + dice.below(1 + bytes.len() / 3));
                let text = String::from_utf8_lossy(&bytes);
                if !ends && verdict_in_pieces.is_none() && within_in_pieces {
                    continue;
                }
                assert_eq!((verdict_in_pieces, within_in_pieces), (verdict.clone(), within), "{text:?}");
                // Of a refused body, the part before the fault may go on or not.
                assert!(on_in_pieces.starts_with(&on), "{text:?}");
                if !matches!(verdict, Some(Refused::Body(_))) {
                    assert_eq!(on_in_pieces, on, "{text:?}");
                }
            }
        }
        assert!((4_000..16_000).contains(&refused), "{refused} of 20,000 refused: the dice are loaded");
    }

    #[test]
    fn every_seed_at_every_cut() {
        for bytes in SEEDS {
            let (on, verdict, within) = outcome(bytes, Limits::default(), || usize::MAX);
            for cut in 1..bytes.len() {
                let mut first = true;
                let pieces = || if std::mem::take(&mut first) { cut } else { usize::MAX };
                let (on_in_pieces, verdict_in_pieces, within_in_pieces) = outcome(bytes, Limits::default(), pieces);
                assert_eq!((verdict_in_pieces, within_in_pieces), (verdict.clone(), within), "{cut}");
                assert!(on_in_pieces.starts_with(&on), "{cut}");
            }
            let (on_by_byte, verdict_by_byte, _) = outcome(bytes, Limits::default(), || 1);
            assert_eq!(verdict_by_byte, verdict);
            assert!(on_by_byte.starts_with(&on));
        }
    }

    #[test]
    fn a_stream_of_requests_passes_unchanged() {
        let good: Vec<u8> = SEEDS[..8].concat();
        let (on, verdict, within) = outcome(&good, Limits::default(), || usize::MAX);
        assert_eq!((on, verdict, within), (good, None, false));
    }
}
