//! The chunked transfer coding, RFC 9112 7.1: where a body ends, and whether every byte of its framing is in order.
//!
//! Pure, and without memory of what went by. No white space is allowed that the grammar only tolerates.

use http::StatusCode;

use super::Limits;
use super::faults::{Fault, Kind};
use super::head::{LINE_END, TOKEN, VALUE, is};

/// Chunk extensions of a whole body, bytes: nobody needs them, and they cost a server more than a client.
const EXTENSIONS: usize = 256;

/// Digits of a chunk's size: as many as a `u64` has.
const DIGITS: u8 = 16;

const TRAILERS: Fault = Fault::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    Kind::TooLarge,
    "send fewer or shorter trailer lines; those of this request are over the limit",
);

/// A chunked body, as far as it has arrived.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    /// Of the chunk being read, bytes: announced, then left.
    size: u64,
    digits: u8,
    extensions: usize,
    trailer_lines: usize,
    trailer_bytes: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    ExtensionName {
        empty: bool,
    },
    ExtensionValue {
        empty: bool,
    },
    Quoted,
    Escaped,
    QuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

impl Chunked {
    /// Judges the next `bytes`. Gives how many are the body's, and whether that is its end.
    pub(super) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<(usize, bool), Fault> {
        let mut read = 0;
        while let Some(byte) = bytes.get(read) {
            if self.at == At::Data {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - read);
                self.size -= left as u64;
                read += left;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            self.at = self.step(*byte, limits)?;
            read += 1;
            if self.at == At::End {
                return Ok((read, true));
            }
        }
        Ok((read, false))
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<At, Fault> {
        match self.at {
            At::Size => self.size(byte),
            At::SizeLf => match (line_feed(byte)?, self.size) {
                ((), 0) => Ok(At::Trailer),
                ((), _) => Ok(At::Data),
            },
            At::DataCr => match byte {
                b'\r' => Ok(At::DataLf),
                _ => Err(Fault::bad(Kind::Framing, "end each chunk after the bytes it announced, with CR LF")),
            },
            At::DataLf => {
                (self.size, self.digits) = (0, 0);
                line_feed(byte).map(|()| At::Size)
            }
            At::Trailer | At::TrailerName | At::TrailerValue | At::TrailerLf | At::EndLf => self.trailer(byte, limits),
            _ => self.extension(byte),
        }
    }

    fn size(&mut self, byte: u8) -> Result<At, Fault> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(At::SizeLf),
            b';' if self.digits > 0 => return Ok(At::ExtensionName { empty: true }),
            _ => {
                return Err(Fault::bad(
                    Kind::Framing,
                    "begin each chunk with its size in hexadecimal digits and CR LF",
                ));
            }
        };
        if self.digits == DIGITS {
            return Err(Fault::bad(Kind::Framing, "send smaller chunks; a size has 16 digits at the most"));
        }
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        Ok(At::Size)
    }

    /// `*( ";" name [ "=" ( token / quoted-string ) ] )`
    fn extension(&mut self, byte: u8) -> Result<At, Fault> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS {
            return Err(Fault::bad(Kind::TooLarge, "send the body without chunk extensions; these are over the limit"));
        }
        let token = is(byte, TOKEN);
        match (self.at, byte) {
            (At::ExtensionName { .. }, _) if token => Ok(At::ExtensionName { empty: false }),
            (At::ExtensionValue { .. }, _) if token => Ok(At::ExtensionValue { empty: false }),
            (At::ExtensionName { empty: false }, b'=') => Ok(At::ExtensionValue { empty: true }),
            (At::ExtensionValue { empty: true }, b'"') => Ok(At::Quoted),
            (At::Quoted, b'"') => Ok(At::QuotedEnd),
            (At::Quoted, b'\\') => Ok(At::Escaped),
            (At::Quoted | At::Escaped, _) if is(byte, VALUE) => Ok(At::Quoted),
            (At::ExtensionName { empty: false } | At::ExtensionValue { empty: false } | At::QuotedEnd, b';') => {
                Ok(At::ExtensionName { empty: true })
            }
            (At::ExtensionName { empty: false } | At::ExtensionValue { empty: false } | At::QuotedEnd, b'\r') => {
                Ok(At::SizeLf)
            }
            _ => Err(Fault::bad(Kind::Framing, "send the body without chunk extensions; these are malformed")),
        }
    }

    /// Header lines after the last chunk, and the empty line that ends them.
    fn trailer(&mut self, byte: u8, limits: &Limits) -> Result<At, Fault> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.head_bytes {
            return Err(TRAILERS);
        }
        match (self.at, byte) {
            (At::Trailer, b'\r') => Ok(At::EndLf),
            (At::Trailer, _) if is(byte, TOKEN) => {
                self.trailer_lines += 1;
                if self.trailer_lines > limits.header_lines { Err(TRAILERS) } else { Ok(At::TrailerName) }
            }
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerName, _) if is(byte, TOKEN) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if is(byte, VALUE) => Ok(At::TrailerValue),
            (At::TrailerLf, _) => line_feed(byte).map(|()| At::Trailer),
            (At::EndLf, _) => line_feed(byte).map(|()| At::End),
            _ => Err(Fault::bad(Kind::Field, "send each trailer as a name, a colon, a value and CR LF")),
        }
    }
}

fn line_feed(byte: u8) -> Result<(), Fault> {
    match byte {
        b'\n' => Ok(()),
        _ => Err(LINE_END),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(body: &str) -> Result<(usize, bool), StatusCode> {
        Chunked::default().read(body.as_bytes(), &Limits::default()).map_err(|fault| fault.status)
    }

    #[test]
    fn lawful_bodies() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00000000000000aB\r\n0123456789012345678901234567890123456789012345678901234567890123456789\
             01234567890123456789012345678901234567890123456789012345678901234567890123456789\
             012345678901234567890\r\n000\r\n\r\n",
            "1;a\r\nx\r\n0;b=c;d=\"e \\\" \t;\"\r\n\r\n",
            "1\r\n\n\r\n0\r\nA: b\r\nC:\r\n\r\n",
        ] {
            assert_eq!(judge(body), Ok((body.len(), true)), "{body:?}");
            assert_eq!(judge(&format!("{body}0\r\n")), Ok((body.len(), true)), "{body:?}");
            for end in 0..body.len() {
                let mut chunked = Chunked::default();
                assert_eq!(chunked.read(&body.as_bytes()[..end], &Limits::default()), Ok((end, false)), "{body:?}");
                let rest = &body.as_bytes()[end..];
                assert_eq!(chunked.read(rest, &Limits::default()), Ok((rest.len(), true)), "{body:?}");
            }
        }
    }

    #[test]
    fn unlawful_bodies() {
        let long = |unit: &str, times: usize| unit.repeat(times);
        for body in [
            "\r\n",
            "+5\r\nhello\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5_0\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\t;a\r\nhello\r\n",
            "5\nhello\r\n",
            "5\rhello\r\n",
            "g\r\n",
            "00000000000000005\r\nhello\r\n",
            "10000000000000000\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r0\r\n\r\n",
            "5\r\nhelloX\r\n",
            "5;\r\nhello\r\n",
            "5;a=\r\nhello\r\n",
            "5; a\r\nhello\r\n",
            "5;a=\"b\r\nhello\r\n",
            "5;a=\"b\"c\r\nhello\r\n",
            "5;a\nhello\r\n",
            "5;a\0\r\nhello\r\n",
            &format!("1;{}\r\n", long("a", 256)),
            &format!("{}0\r\n\r\n", long("1;a\r\nx\r\n", 129)),
            "0\n\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0\r\nA\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\nA: b\r\n c\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA: \0\r\n\r\n",
        ] {
            assert_eq!(judge(body), Err(StatusCode::BAD_REQUEST), "{body:?}");
        }
        for body in [format!("0\r\nA: {}\r\n\r\n", long("b", 16 * 1024)), format!("0\r\n{}\r\n", long("A: b\r\n", 101))]
        {
            assert_eq!(judge(&body), Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE), "{body:?}");
        }
    }
}
