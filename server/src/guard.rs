//! What stands between a connection's socket and hyper, for what hyper leaves open: time limits on heads, bodies and
//! readers, and bytes that are no request to the letter.
//!
//! Only whole and lawful heads go on to hyper. In place of a refused one goes a small request of our own, so that the
//! refusal is answered in its turn, and counted and logged like any other; the service knows it by
//! [`ConnectionFaults::take_refused`]. A refused body ends early for its handler, which finds the reason in
//! [`ConnectionFaults::body_refusal`]. Nothing is read after a refusal.
//!
//! hyper must run with `half_close(true)`: else it takes the end of reading for the client's leaving, and answers nothing.
//! And without `pipeline_flush`, which loses answers when the connection closes with a request unread.

mod chunked;
mod deadline;
mod faults;
mod framer;
mod head;
mod limits;

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::deadline::Deadline;
use self::faults::REFUSED;
pub use self::faults::{ConnectionFaults, Kind, Refusal};
use self::framer::{Framer, Refused, Scanned};
pub use self::limits::Limits;

/// What an idle connection keeps of `held`, bytes.
const KEPT: usize = 2 * 1024;

/// A connection's IO under guard.
#[derive(Debug)]
pub struct Guarded<IO> {
    io: IO,
    limits: Limits,
    framer: Framer,
    /// What has been read and could not go straight into hyper's buffer: first `cleared` bytes that may go on, then the
    /// beginning of a head. Empty as long as heads arrive whole.
    held: Vec<u8>,
    cleared: usize,
    /// Set when nothing more is read: what hyper sees after `held` is an end.
    end: Option<End>,
    faults: ConnectionFaults,
    reading: Deadline,
    writing: Deadline,
    lingering: Option<Lingering>,
}

#[derive(Debug)]
enum End {
    /// The client's own, or the one after a refused head.
    Plain,
    /// In the middle of a body. The reason is published when hyper comes for more, not before: until then the request
    /// being answered may be an earlier one.
    Body(Refusal),
}

#[derive(Debug)]
struct Lingering {
    discarded: usize,
    /// Whether the client is known to be sending what nobody will read.
    expected: bool,
}

impl<IO> Guarded<IO> {
    /// Guards `io`, and gives what the connection's service asks for refusals.
    pub fn new(io: IO, limits: Limits) -> (Self, ConnectionFaults) {
        let faults = ConnectionFaults::default();
        let guarded = Self {
            io,
            limits,
            framer: Framer::new(limits),
            held: Vec::new(),
            cleared: 0,
            end: None,
            faults: faults.clone(),
            reading: Deadline::default(),
            writing: Deadline::default(),
            lingering: None,
        };
        (guarded, faults)
    }

    /// Takes in what has been read to `buf` from `start` on, and leaves there what may go on.
    fn take_in(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let fresh = &buf.filled()[start..];
        let parts = self.framer.parts();
        let refused = if self.held.is_empty() {
            let Scanned { cleared, refused } = self.framer.scan(fresh);
            self.held.extend_from_slice(&fresh[cleared..]);
            buf.set_filled(start + cleared);
            refused
        } else {
            self.held.extend_from_slice(fresh);
            buf.set_filled(start);
            let scanned = self.framer.scan(&self.held);
            self.cleared = scanned.cleared;
            scanned.refused
        };
        if parts != self.framer.parts() {
            self.reading.disarm();
        }
        if let Some(refused) = refused {
            self.refuse(refused);
        }
    }

    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let now = self.cleared.min(buf.remaining());
        buf.put_slice(&self.held[..now]);
        self.held.drain(..now);
        self.cleared -= now;
        if self.held.is_empty() {
            self.held.shrink_to(KEPT);
        }
    }

    fn refuse(&mut self, refused: Refused) {
        self.held.truncate(self.cleared);
        self.end = Some(match refused {
            Refused::Body(refusal) => End::Body(refusal),
            Refused::Head(refusal) => {
                // The answer to a HEAD has no body, whatever else is wrong with it.
                let method = if refusal.method.as_deref() == Some("HEAD") { "HEAD" } else { "GET" };
                let nonce = self.faults.refuse_head(refusal);
                let stand_in = format!(
                    "{method} / HTTP/1.1\r\nhost: refused.invalid\r\n{REFUSED}: {nonce}\r\nconnection: close\r\n\r\n"
                );
                self.held.extend_from_slice(stand_in.as_bytes());
                self.cleared = self.held.len();
                End::Plain
            }
        });
    }

    /// Nothing can be read just now: is that too long by now?
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = if self.framer.in_body() { self.limits.body_time } else { self.limits.head_time };
        self.framer.in_request(&self.held) && self.reading.has_passed(cx, limit)
    }

    /// A flush that is done ends a wait as well as a write that is: hyper flushes only when all is written.
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.disarm();
        } else if self.writing.has_passed(cx, self.limits.write_stall) {
            return Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not take its answer")));
        }
        written
    }
}

impl<IO: AsyncRead + Unpin> Guarded<IO> {
    /// Discards what the client still sends after the last answer, until it ends or has had enough room.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingering.get_or_insert_with(|| {
            self.reading.disarm();
            let expected = self.end.is_some() || !self.held.is_empty() || self.framer.in_body();
            Lingering { discarded: 0, expected }
        });
        let mut scratch = [MaybeUninit::uninit(); 8 * 1024];
        while lingering.discarded < self.limits.linger_bytes {
            let mut buf = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    lingering.discarded += buf.filled().len();
                    lingering.expected = true;
                }
                Poll::Ready(_) => break,
                Poll::Pending if lingering.expected && !self.reading.has_passed(cx, self.limits.linger_time) => {
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guarded<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buf.filled().len();
        while buf.filled().len() == start && buf.remaining() > 0 {
            if this.cleared > 0 {
                this.hand_over(buf);
            } else if let Some(end) = &mut this.end {
                if let End::Body(refusal) = std::mem::replace(end, End::Plain) {
                    this.faults.refuse_body(refusal);
                }
                break;
            } else if Pin::new(&mut this.io).poll_read(cx, buf)?.is_pending() {
                if !this.is_late(cx) {
                    return Poll::Pending;
                }
                let refused = this.framer.too_slow(&this.held);
                this.refuse(refused);
            } else if buf.filled().len() > start {
                this.take_in(buf, start);
            } else {
                match this.framer.cut_off(&this.held) {
                    Some(refused) => this.refuse(refused),
                    None => this.end = Some(End::Plain),
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.unless_stalled(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}
