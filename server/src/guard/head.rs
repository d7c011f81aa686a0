//! A request's head, from its bytes to the framing of its body: RFC 9112, without the leniency it permits.
//!
//! Pure, and in one pass: a line is judged once, when it has arrived. Whatever passes here, hyper accepts.

use std::net::Ipv6Addr;
use std::ops::Range;

use http::StatusCode;

use super::Limits;
use super::faults::{Fault, Kind, Refusal};

/// Empty lines before a request line: RFC 9112 2.2 wants one skipped, and some old clients send one after a body.
const BLANK_LINES: u8 = 2;

/// Longer than any registered method.
const METHOD: usize = 32;

/// hyper keeps the greatest two for itself.
const LENGTH: u64 = u64::MAX - 2;

pub(super) const LINE_END: Fault =
    Fault::bad(Kind::LineEnd, "end every line with CR LF, and use neither of them elsewhere");

const TOO_LARGE: Fault = Fault::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    Kind::TooLarge,
    "send fewer or shorter header lines; the head of this request is over the limit",
);

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Bytes; zero is no body.
    Length(u64),
    Chunked,
}

/// A head, as far as it has arrived.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the first line begins that has not been judged.
    at: usize,
    /// Up to where that line has been found to go on, so that a head in many small pieces is not read over and over.
    seen: usize,
    blank: u8,
    lines: usize,
    request: Option<RequestLine>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Debug)]
struct RequestLine {
    method: Range<usize>,
    target: Range<usize>,
    /// Of an absolute target.
    authority: Option<Range<usize>>,
    http10: bool,
}

/// Why a line could not be read to its end.
enum Stop {
    More,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn bad<T>(kind: Kind, detail: &'static str) -> Result<T, Stop> {
    Err(Stop::Fault(Fault::bad(kind, detail)))
}

impl Head {
    /// Judges what has arrived; `bytes` are all from the head's first byte on, and may go on after its end. Gives the
    /// head's length and its body's framing when it is whole, and `None` when more must come.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<(usize, Framing)>, Fault> {
        // Only so many bytes are looked at: the verdict does not depend on how they were cut into packets.
        let full = bytes.len() >= limits.head_bytes;
        let bytes = &bytes[..bytes.len().min(limits.head_bytes)];
        let fresh = bytes.get(self.seen..).unwrap_or_default();
        if self.seen > self.at && !full && !fresh.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            self.seen = bytes.len();
            return Ok(None);
        }
        match self.read_lines(bytes, limits) {
            Ok(read) => Ok(Some(read)),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::More) if full && self.request.is_none() => Err(target_too_long()),
            Err(Stop::More) if full => Err(TOO_LARGE),
            Err(Stop::More) => {
                self.seen = bytes.len();
                Ok(None)
            }
        }
    }

    /// Whether these bytes are more than the empty lines that may stand before a head.
    pub(super) fn has_begun(&self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// A refusal of this head, of which `bytes` have arrived.
    pub(super) fn refusal(&self, bytes: &[u8], fault: Fault) -> Refusal {
        let text = |range: &Range<usize>| {
            bytes.get(range.clone()).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
        };
        let method = self.request.as_ref().map(|request| text(&request.method));
        let path = self.request.as_ref().map(|request| {
            let start = request.authority.as_ref().map_or(request.target.start, |authority| authority.end);
            let mut path = text(&(start..request.target.end));
            path.truncate(path.find('?').unwrap_or(path.len()));
            path
        });
        Refusal { method, path, ..Refusal::from(fault) }
    }

    fn read_lines(&mut self, bytes: &[u8], limits: &Limits) -> Result<(usize, Framing), Stop> {
        loop {
            let mut line = Line { bytes, at: self.at };
            match (line.peek()?, &self.request) {
                (b'\r', Some(request)) => {
                    line.end()?;
                    return Ok((line.at, self.framing(bytes, request)?));
                }
                (b'\r', None) if self.blank < BLANK_LINES => {
                    line.end()?;
                    self.blank += 1;
                }
                (_, None) => self.request = Some(request_line(&mut line, limits)?),
                (_, Some(_)) if self.lines == limits.header_lines => return Err(Stop::Fault(TOO_LARGE)),
                (_, Some(_)) => {
                    let (name, value) = field(&mut line)?;
                    self.lines += 1;
                    self.heed(bytes, name, value)?;
                }
            }
            self.at = line.at;
        }
    }

    /// Heeds the header lines on which it depends where a request goes and where it ends.
    fn heed(&mut self, bytes: &[u8], name: Range<usize>, value: Range<usize>) -> Result<(), Stop> {
        let (name, content) = (&bytes[name], &bytes[value.clone()]);
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host.is_some() {
                    return bad(Kind::Host, "send one Host line, not several");
                }
                if split_host(content).is_none() {
                    return bad(Kind::Host, "send Host as a name or address with an optional port, and nothing else");
                }
                self.host = Some(value);
            }
            6 if name.eq_ignore_ascii_case(b"expect") && !content.eq_ignore_ascii_case(b"100-continue") => {
                let detail = "send no Expect line, or Expect: 100-continue";
                return Err(Stop::Fault(Fault::new(StatusCode::EXPECTATION_FAILED, Kind::Expectation, detail)));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() || self.chunked {
                    return bad(
                        Kind::Framing,
                        "send either one Content-Length or one Transfer-Encoding, not two of them",
                    );
                }
                self.length = match decimal(content) {
                    Some(length) => Some(length),
                    None => return bad(Kind::Framing, "send Content-Length as one decimal number of bytes"),
                };
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(content)?,
            _ => {}
        }
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Stop> {
        if self.length.is_some() || self.chunked {
            return bad(Kind::Framing, "send either one Content-Length or one Transfer-Encoding, not two of them");
        }
        if self.request.as_ref().is_some_and(|request| request.http10) {
            return bad(Kind::Framing, "send a Content-Length with HTTP/1.0, which has no Transfer-Encoding");
        }
        let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        if chunked(value) {
            self.chunked = true;
            return Ok(());
        }
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let others = codings.next_back().is_some_and(chunked)
            && codings
                .all(|coding| !coding.is_empty() && coding.iter().all(|byte| is(*byte, TOKEN)) && !chunked(coding));
        let detail = "send Transfer-Encoding: chunked, and no other coding";
        let status = if others { StatusCode::NOT_IMPLEMENTED } else { StatusCode::BAD_REQUEST };
        Err(Stop::Fault(Fault::new(status, Kind::Framing, detail)))
    }

    fn framing(&self, bytes: &[u8], request: &RequestLine) -> Result<Framing, Stop> {
        match (&self.host, &request.authority) {
            (None, _) if !request.http10 => return bad(Kind::Host, "send a Host line"),
            (Some(host), Some(authority)) if !same_host(&bytes[host.clone()], &bytes[authority.clone()]) => {
                return bad(Kind::Host, "send the same host in the target and in the Host line");
            }
            _ => {}
        }
        Ok(if self.chunked { Framing::Chunked } else { Framing::Length(self.length.unwrap_or(0)) })
    }
}

fn target_too_long() -> Fault {
    Fault::new(StatusCode::URI_TOO_LONG, Kind::TooLarge, "send a shorter request target; this one is over the limit")
}

fn request_line(line: &mut Line<'_>, limits: &Limits) -> Result<RequestLine, Stop> {
    let method = line.run(TOKEN);
    let name = &line.bytes[method.clone()];
    if name.len() > METHOD {
        let detail = "send one of the methods that HTTP has";
        return Err(Stop::Fault(Fault::new(StatusCode::NOT_IMPLEMENTED, Kind::Method, detail)));
    }
    if line.next()? != b' ' || name.is_empty() {
        return bad(Kind::RequestLine, "begin a request with a method and one space");
    }
    let target = line.run(TARGET);
    if target.len() > limits.target_bytes {
        return Err(Stop::Fault(target_too_long()));
    }
    match line.next()? {
        b' ' if !target.is_empty() => {}
        b' ' | b'\t' | b'\r' | b'\n' => {
            return bad(Kind::RequestLine, "send method, target and version with one space between them");
        }
        _ => return bad(Kind::Target, "percent-encode what a target cannot have, and send no fragment"),
    }
    let version = line.run(VERSION);
    if !matches!(line.peek()?, b'\r' | b'\n') {
        return bad(Kind::RequestLine, "end the request line with the version, HTTP/1.1");
    }
    line.end()?;
    let http10 = match &line.bytes[version] {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Err(Stop::Fault(Fault::new(status, Kind::Version, "send the request as HTTP/1.1")));
        }
        _ => return bad(Kind::RequestLine, "end the request line with the version, HTTP/1.1"),
    };
    let authority = match (name, &line.bytes[target.clone()]) {
        (b"CONNECT", _) => {
            let status = StatusCode::NOT_IMPLEMENTED;
            return Err(Stop::Fault(Fault::new(status, Kind::Method, "this is no proxy: CONNECT is not offered")));
        }
        (_, [b'/', ..]) | (b"OPTIONS", b"*") => None,
        (_, other) => match authority(other) {
            Some(authority) => Some(target.start + authority.start..target.start + authority.end),
            None => return bad(Kind::Target, "send the target as a path that begins with /"),
        },
    };
    Ok(RequestLine { method, target, authority, http10 })
}

/// Where an absolute target has its authority, if that is what it is.
fn authority(target: &[u8]) -> Option<Range<usize>> {
    let start = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let sent = target.get(..scheme.len())?;
        sent.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    })?;
    let rest = &target[start..];
    let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = &rest[..length];
    // A percent sign is lawful in a name, but hyper's Uri does not take it there.
    (split_host(authority).is_some() && !authority.contains(&b'%')).then_some(start..start + length)
}

/// A header line's name and its value without the white space around it.
fn field(line: &mut Line<'_>) -> Result<(Range<usize>, Range<usize>), Stop> {
    let name = line.run(TOKEN);
    match line.next()? {
        b':' if !name.is_empty() => {}
        b' ' | b'\t' if name.is_empty() => return bad(Kind::Field, "send each header on one line, not folded"),
        b'\n' if name.is_empty() => return Err(Stop::Fault(LINE_END)),
        b' ' | b'\t' => return bad(Kind::Field, "send no white space between a header's name and its colon"),
        _ => return bad(Kind::Field, "send each header line as a name, a colon and a value"),
    }
    let mut value = line.value();
    line.end()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    while line.bytes[value.clone()].first().is_some_and(blank) {
        value.start += 1;
    }
    while line.bytes[value.clone()].last().is_some_and(blank) {
        value.end -= 1;
    }
    Ok((name, value))
}

/// `1*DIGIT`, within what a length can be.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let number = value.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })?;
    (number <= LENGTH).then_some(number)
}

/// `uri-host [ ":" port ]` of RFC 9110 7.2, in its two parts; the host may not be empty.
fn split_host(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = if let Some(literal) = value.strip_prefix(b"[") {
        let length = literal.iter().position(|byte| *byte == b']')?;
        std::str::from_utf8(&literal[..length]).ok()?.parse::<Ipv6Addr>().ok()?;
        length + 2
    } else {
        let length = value.iter().position(|byte| !is(*byte, HOST)).unwrap_or(value.len());
        (length > 0 && percents_are_paired(&value[..length])).then_some(length)?
    };
    let (host, port) = value.split_at(end);
    match port {
        [] | [b':'] => Some((host, &[])),
        [b':', digits @ ..] => decimal(digits).filter(|port| *port <= u64::from(u16::MAX)).map(|_| (host, digits)),
        _ => None,
    }
}

/// Whether two hexadecimal digits follow each percent sign.
fn percents_are_paired(name: &[u8]) -> bool {
    if !name.contains(&b'%') {
        return true;
    }
    name.split(|byte| *byte == b'%').skip(1).all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

/// Both are valid; names are compared without case, and 80 is as good as no port.
fn same_host(one: &[u8], other: &[u8]) -> bool {
    let port = |digits: &[u8]| decimal(digits).unwrap_or(80);
    match (split_host(one), split_host(other)) {
        (Some(one), Some(other)) => one.0.eq_ignore_ascii_case(other.0) && port(one.1) == port(other.1),
        _ => false,
    }
}

/// The line being read, up to `at`.
struct Line<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Line<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// Passes the bytes of a class.
    fn run(&mut self, class: u8) -> Range<usize> {
        let start = self.at;
        let rest = &self.bytes[start..];
        self.at += rest.iter().position(|byte| !is(*byte, class)).unwrap_or(rest.len());
        start..self.at
    }

    /// Passes a field's value, with the white space around it. Most of a head is values: eight bytes at a time.
    fn value(&mut self) -> Range<usize> {
        const EACH: u64 = u64::MAX / 0xff;
        let start = self.at;
        while let Some(eight) = self.bytes[self.at..].first_chunk() {
            let eight = u64::from_le_bytes(*eight);
            let delete = eight ^ (EACH * 0x7f);
            let control = (eight.wrapping_sub(EACH * 0x20) & !eight) | (delete.wrapping_sub(EACH) & !delete);
            let found = control & (EACH * 0x80);
            if found == 0 {
                self.at += 8;
                continue;
            }
            // The lowest one is a control character or DEL for certain; those above it may be a carry.
            self.at += found.trailing_zeros() as usize / 8;
            if self.bytes[self.at] != b'\t' {
                return start..self.at;
            }
            self.at += 1;
        }
        self.run(VALUE);
        start..self.at
    }

    /// Passes the line's end.
    fn end(&mut self) -> Result<(), Stop> {
        match self.next()? {
            b'\r' if self.next()? == b'\n' => Ok(()),
            b'\r' | b'\n' => Err(Stop::Fault(LINE_END)),
            _ => bad(Kind::Field, "send no control characters in header lines"),
        }
    }
}

/// `tchar` of RFC 9110 5.6.2.
pub(super) const TOKEN: u8 = 1;
/// What hyper's `Uri` takes in a path and in a query, in ASCII: RFC 3986's characters and some that clients send bare.
const TARGET: u8 = 2;
/// A field's value: printable, space, tab and `obs-text`.
pub(super) const VALUE: u8 = 4;
/// `reg-name` of RFC 3986, with the percent sign.
const HOST: u8 = 8;
const VERSION: u8 = 16;

static CLASSES: [u8; 256] = classes();

/// Whether a byte is of a class.
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let token = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
            || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        let target = byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'`');
        let value = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        let host = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
            || matches!(byte, b'*' | b'+' | b',' | b';' | b'=' | b'%');
        let version = byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.');
        classes[byte as usize] = (token as u8) * TOKEN
            + (target as u8) * TARGET
            + (value as u8) * VALUE
            + (host as u8) * HOST
            + (version as u8) * VERSION;
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn judge(head: &str) -> Result<Option<(usize, Framing)>, Fault> {
        Head::default().read(head.as_bytes(), &Limits::default())
    }

    #[test]
    fn lawful_heads() {
        use Framing::{Chunked, Length};
        for (head, framing) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Length(0)),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", Length(0)),
            ("GET / HTTP/1.1\r\nhOST:\t [::1]:80 \t\r\n\r\n", Length(0)),
            ("GET / HTTP/1.1\r\nHost: xn--a.b-c_d~:\r\n\r\n", Length(0)),
            ("GET / HTTP/1.1\r\nHost: a%2Fb%c3\r\n\r\n", Length(0)),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Length(0)),
            ("GET //b/../c?d=%&e=[{|}]^/?:@ HTTP/1.1\r\nHost: a\r\n\r\n", Length(0)),
            ("GET http://A:80/b HTTP/1.1\r\nHost: a\r\n\r\n", Length(0)),
            ("GET HTTPS://a?b HTTP/1.1\r\nHost: A\r\n\r\n", Length(0)),
            ("GET http://a/ HTTP/1.0\r\n\r\n", Length(0)),
            ("BREW!#$%&'*+-.^_`|~0 / HTTP/1.1\r\nHost: a\r\n\r\n", Length(0)),
            ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n", Length(7)),
            ("PUT / HTTP/1.1\r\nContent-Length: 18446744073709551613\r\nHost: a\r\n\r\n", Length(LENGTH)),
            ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \tCHUNKED \r\n\r\n", Chunked),
            ("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", Length(1)),
            ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t \r\nZ:a\t\u{e9}\r\n\r\n", Length(0)),
            ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", Length(0)),
        ] {
            assert_eq!(judge(head), Ok(Some((head.len(), framing))), "{head:?}");
            let more = format!("{head}GET / HTTP/1.1\r\n");
            assert_eq!(judge(&more), Ok(Some((head.len(), framing))), "{more:?}");
            for end in 0..head.len() {
                let part = head.get(..end).unwrap_or_default();
                assert_eq!(judge(part), Ok(None), "{part:?}");
            }
        }
    }

    #[test]
    fn every_byte_in_every_place_is_either_refused_or_understood_by_hyper() {
        for byte in 0..=u8::MAX {
            for place in ["X", "GEX", "/X", "/?X", "http://aX/", "a: X", "aX: b", "Host: X"] {
                let (before, after) = place.split_once('X').unwrap();
                let (start, end): (&[u8], &[u8]) = match place {
                    "X" | "GEX" => (b"", b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
                    "/X" | "/?X" => (b"GET ", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
                    "http://aX/" => (b"GET ", b" HTTP/1.0\r\n\r\n"),
                    "Host: X" => (b"GET / HTTP/1.1\r\n", b"\r\n\r\n"),
                    _ => (b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\n"),
                };
                let head = [start, before.as_bytes(), &[byte], after.as_bytes(), end].concat();
                if let Ok(Some((length, _))) = Head::default().read(&head, &Limits::default()) {
                    assert_eq!(understood(&head), Some(length), "{:?}", String::from_utf8_lossy(&head));
                }
            }
        }
    }

    /// The length of a head by the parsers that hyper uses, if all of them take it.
    pub(crate) fn understood(head: &[u8]) -> Option<usize> {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(head).ok()? else { return None };
        http::Method::from_bytes(request.method?.as_bytes()).ok()?;
        http::Uri::try_from(request.path?).ok()?;
        for header in request.headers.iter() {
            http::HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            http::HeaderValue::from_bytes(header.value).ok()?;
        }
        Some(length)
    }

    #[test]
    fn a_refusal_names_the_request_where_it_can() {
        let named = |bytes: &str| {
            let mut head = Head::default();
            let fault = head.read(bytes.as_bytes(), &Limits::default()).unwrap_err();
            let refusal = head.refusal(bytes.as_bytes(), fault);
            (refusal.method, refusal.path)
        };
        let both = |method: &str, path: &str| (Some(method.to_owned()), Some(path.to_owned()));
        assert_eq!(named("PUT /a/b?c HTTP/1.1\r\nHost : a\r\n\r\n"), both("PUT", "/a/b"));
        assert_eq!(named("\r\nGET http://a/b?c HTTP/1.1\r\nHost: b\r\n\r\n"), both("GET", "/b"));
        assert_eq!(named("GET  /a HTTP/1.1\r\n\r\n"), (None, None));
    }
}
