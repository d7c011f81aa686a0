//! One line a request, built by hand from known fields: a tracing event for each would cost half the request again.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

/// Lines gather for this long, so that one write serves many.
const GATHER: Duration = Duration::from_millis(50);

/// What may gather while the disk is slow, in bytes; lines beyond are dropped and counted.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// How long the end of the process waits for the last lines.
const FLUSH_BOUND: Duration = Duration::from_secs(1);

/// Where requests are logged. Writing a line copies it to a buffer; a thread of its own hands the buffer on.
#[derive(Debug, Default)]
pub struct AccessLog(Option<Running>);

#[derive(Debug)]
struct Running {
    json: bool,
    buffer: Arc<Buffer>,
    dropped: Arc<AtomicU64>,
    ended: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug, Default)]
struct Buffer {
    gathered: Mutex<Gathered>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    lines: u64,
    ending: bool,
}

/// What is known of a request when its answer is.
#[derive(Debug)]
pub struct Line<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The path as the client sent it, without the query.
    pub path: &'a str,
    /// The route's template, or `unmatched`.
    pub route: &'a str,
    /// The answer's status; 499 where the client left before it.
    pub status: u16,
    /// From the request's head to the answer.
    pub elapsed: Duration,
    /// The answer's body, in bytes.
    pub bytes: u64,
    /// The request's id.
    pub request_id: &'a str,
    /// Who asked: the balancer, on an instance.
    pub peer: IpAddr,
    /// What went wrong, in our own words, never the client's; for answers of 5xx.
    pub error: Option<&'a str>,
}

impl AccessLog {
    /// A log that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts the thread that writes to `output`; lines that are lost are added to `dropped`.
    pub(super) fn start(output: impl Write + Send + 'static, json: bool, dropped: Arc<AtomicU64>) -> Self {
        let buffer = Arc::new(Buffer::default());
        let (end, ended) = mpsc::sync_channel(0);
        let (reading, counting) = (buffer.clone(), dropped.clone());
        let body = move || {
            write_out(&reading, output, &counting);
            drop(end);
        };
        match std::thread::Builder::new().name("log-requests".to_owned()).spawn(body) {
            Ok(_) => Self(Some(Running { json, buffer, dropped, ended: Mutex::new(ended) })),
            Err(error) => {
                tracing::error!(%error, "requests are not logged: no thread for it");
                Self::off()
            }
        }
    }

    /// Logs one request.
    pub fn write(&self, line: &Line<'_>) {
        let Some(running) = &self.0 else { return };
        let mut gathered = running.buffer.lock();
        if gathered.bytes.len() >= BUFFER_BYTES {
            drop(gathered);
            running.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match running.json {
            true => line.append_json(&mut gathered.bytes),
            false => line.append_text(&mut gathered.bytes),
        }
        gathered.lines += 1;
        if gathered.lines == 1 {
            running.buffer.changed.notify_one();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.buffer.lock().ending = true;
        self.buffer.changed.notify_one();
        // A disk that hangs cannot hold up the end.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(FLUSH_BOUND);
    }
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_out(buffer: &Buffer, mut output: impl Write, dropped: &AtomicU64) {
    let mut batch = Gathered::default();
    while !batch.ending {
        let waiting = |gathered: &mut Gathered| gathered.lines == 0 && !gathered.ending;
        let first = buffer.changed.wait_while(buffer.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        let gathering = |gathered: &mut Gathered| !gathered.ending;
        let (mut gathered, _) =
            buffer.changed.wait_timeout_while(first, GATHER, gathering).unwrap_or_else(PoisonError::into_inner);
        batch.bytes.clear();
        std::mem::swap(&mut batch.bytes, &mut gathered.bytes);
        batch.lines = std::mem::take(&mut gathered.lines);
        batch.ending = gathered.ending;
        drop(gathered);
        if output.write_all(&batch.bytes).is_err() {
            dropped.fetch_add(batch.lines, Ordering::Relaxed);
        }
    }
}

impl Line<'_> {
    fn append_json(&self, out: &mut Vec<u8>) {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let level = self.level();
        put(out, format_args!("{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"target\":\"request\",\"method\":"));
        put_json(out, self.method);
        put(out, format_args!(",\"path\":"));
        put_json(out, self.path);
        let (route, status, bytes, peer) = (self.route, self.status, self.bytes, self.peer);
        let millis = self.elapsed.as_secs_f64() * 1e3;
        put(out, format_args!(",\"route\":\"{route}\",\"status\":{status},\"duration_ms\":{millis:.3}"));
        // A request id was checked, so it needs no escapes.
        let id = self.request_id;
        put(out, format_args!(",\"bytes\":{bytes},\"peer\":\"{peer}\",\"request_id\":\"{id}\""));
        if let Some(error) = self.error {
            put(out, format_args!(",\"error\":"));
            put_json(out, error);
        }
        out.extend_from_slice(b"}\n");
    }

    fn append_text(&self, out: &mut Vec<u8>) {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let (method, status, id) = (self.method, self.status, self.request_id);
        let millis = self.elapsed.as_secs_f64() * 1e3;
        // Escaped: a path must not be able to move a terminal's cursor.
        let path = self.path.escape_debug();
        let level = self.level();
        put(out, format_args!("{time} {level:>5} {status} {method} {path} {millis:.1} ms, {} bytes, {id}", self.bytes));
        if let Some(error) = self.error {
            put(out, format_args!(", {}", error.escape_debug()));
        }
        out.push(b'\n');
    }

    fn level(&self) -> &'static str {
        if self.status >= 500 { "ERROR" } else { "INFO" }
    }
}

/// Appends formatted text; a `Vec` takes all of it.
fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn put_json(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line<'a>(path: &'a str, error: Option<&'a str>) -> Line<'a> {
        Line {
            method: "GET",
            path,
            route: "/data/{id}",
            status: 200,
            elapsed: Duration::from_micros(1234),
            bytes: 7,
            request_id: "r-1",
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            error,
        }
    }

    #[test]
    fn every_line_is_json_whatever_the_client_sent_and_none_is_lost_at_the_end() {
        let output = Slow::default();
        let dropped = Arc::new(AtomicU64::new(0));
        let log = AccessLog::start(output.clone(), true, dropped.clone());
        for _ in 0..1000 {
            log.write(&line("/a\"\\\n\u{1b}", Some("broken \"pipe\"")));
        }
        drop(log);
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1000);
        assert_eq!(lines[0]["path"], "/a\"\\\n\u{1b}");
        assert_eq!(lines[0]["error"], "broken \"pipe\"");
        assert_eq!(lines[0]["duration_ms"], 1.234);
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_stuck_disk_costs_lines_that_are_counted_and_neither_memory_nor_time() {
        let stuck = Slow::default();
        let held = stuck.0.clone();
        let disk = held.lock().unwrap();
        let dropped = Arc::new(AtomicU64::new(0));
        let log = AccessLog::start(stuck, true, dropped.clone());
        let path = "x".repeat(4000);
        for _ in 0..5000 {
            log.write(&line(&path, None));
        }
        let gathered = log.0.as_ref().unwrap().buffer.lock().bytes.len();
        assert!(gathered < BUFFER_BYTES + 8000, "{gathered} bytes wait");
        assert!(dropped.load(Ordering::Relaxed) > 1000);
        drop(disk);
    }

    #[test]
    fn a_full_disk_costs_lines_that_are_counted() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let dropped = Arc::new(AtomicU64::new(0));
        let log = AccessLog::start(full, true, dropped.clone());
        for _ in 0..100 {
            log.write(&line("/", None));
        }
        drop(log);
        assert_eq!(dropped.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn text_for_people_escapes_control_characters() {
        let mut out = Vec::new();
        line("/\u{1b}[2J", None).append_text(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r"200 GET /\u{1b}[2J 1.2 ms") && text.ends_with("r-1\n"), "{text}");
    }
}
