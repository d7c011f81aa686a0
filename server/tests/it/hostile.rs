//! Clients that do not keep to HTTP, or mean harm: raw bytes against the whole service.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::support::{Api, TestServer};

/// Bytes, the statuses they are answered with in their order, and the last answer's problem (or none).
type Row = (&'static str, &'static str, &'static [u16], &'static str);

const OK: &str = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a request", "GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[200], ""),
    ("two after each other, then nonsense", "GET /health HTTP/1.1\r\nhost: a\r\n\r\nGET /health HTTP/1.1\r\nhost: a\r\n\r\nnonsense\r\n\r\n", &[200, 200, 400], "bad-request-line"),
    ("Content-Length +5", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\n{\"a\":", &[400], "bad-framing"),
    ("Content-Length 0x5", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\n", &[400], "bad-framing"),
    ("Content-Length -1", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", &[400], "bad-framing"),
    ("two that differ", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", &[400], "bad-framing"),
    ("Content-Length and Transfer-Encoding", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", &[400], "bad-framing"),
    ("chunked twice", "POST /data HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400], "bad-framing"),
    ("xchunked", "POST /data HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", &[400], "bad-framing"),
    ("Transfer-Encoding on HTTP/1.0", "POST /data HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", &[400], "bad-framing"),
    ("bad chunk size", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2x\r\n{}\r\n0\r\n\r\n", &[400], "bad-framing"),
    ("chunk longer than it says", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", &[400], "bad-framing"),
    ("bare LF", "GET /health HTTP/1.1\nhost: a\n\n", &[400], "bad-line-end"),
    ("bare LF in the head", "GET /health HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", &[400], "bad-line-end"),
    ("folded line", "GET /health HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n", &[400], "bad-field"),
    ("space before the colon", "GET /health HTTP/1.1\r\nhost : a\r\n\r\n", &[400], "bad-field"),
    ("NUL", "GET /health HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n", &[400], "bad-field"),
    ("no Host", "GET /health HTTP/1.1\r\n\r\n", &[400], "bad-host"),
    ("two Hosts", "GET /health HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", &[400], "bad-host"),
    ("empty Host", "GET /health HTTP/1.1\r\nhost:\r\n\r\n", &[400], "bad-host"),
    ("user in Host", "GET /health HTTP/1.1\r\nhost: me@a\r\n\r\n", &[400], "bad-host"),
    ("absolute form", "GET http://a/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[200], ""),
    ("absolute form of another host", "GET http://b/health HTTP/1.1\r\nhost: a\r\n\r\n", &[400], "bad-host"),
    ("GET *", "GET * HTTP/1.1\r\nhost: a\r\n\r\n", &[400], "bad-target"),
    ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", &[204], ""),
    ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", &[501], "bad-method"),
    ("HTTP/2.0", "GET /health HTTP/2.0\r\nhost: a\r\n\r\n", &[505], "bad-version"),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], "bad-version"),
    ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n", &[400], "bad-request-line"),
    ("too large a body, which waits to be wanted", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 2000000\r\n\r\n", &[413], "body-too-large"),
    ("a body that waits to be wanted", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}", &[100, 201], ""),
    ("a body that breaks off", "POST /data HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{", &[400], "request-incomplete"),
];

/// Sends bytes, then an end, and reads every answer to the end of the connection.
async fn exchange(api: &Api, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = Vec::new();
    let reading = stream.read_to_end(&mut answers);
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("no end").expect("a reset");
    String::from_utf8(answers).unwrap()
}

fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

#[tokio::test]
async fn what_is_no_http_is_refused_like_everything_else_and_in_its_turn() {
    let server = TestServer::start().await;
    for (what, bytes, expected, problem) in ROWS {
        let answers = exchange(&server.api, bytes.as_bytes()).await;
        assert_eq!(statuses(&answers), *expected, "{what}: {answers}");
        let last = answers.rsplit("HTTP/1.1 ").next().unwrap();
        if !problem.is_empty() {
            assert!(last.contains(&format!("\"type\":\"urn:tideline:problem:{problem}\"")), "{what}: {last}");
            for header in ["x-request-id: ", "x-tideline-instance: ", "connection: close"] {
                assert!(last.contains(header), "{what}: no {header}: {last}");
            }
        }
    }
    let refused = ROWS.iter().filter(|(_, _, _, problem)| problem.starts_with("bad-")).count();
    let metrics = server.admin.get("/metrics").await.text();
    let counted: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("tideline_requests_total{method=\"other\",route=\"refused\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    // Two of them broke in the body: those were requests already, and are counted as such.
    assert_eq!(counted, refused as f64 - 2.0, "{metrics}");
    assert_eq!(server.api.all("/data").await.len(), 1, "only the one that waited to be wanted is stored");
}

#[tokio::test]
async fn heads_have_limits() {
    let server = TestServer::start().await;
    let lines = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let head = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n");
    for (what, bytes, status) in [
        ("98 lines more", head("/health", &lines(98)), 200),
        ("99 lines more", head("/health", &lines(99)), 431),
        ("16 KiB", head("/health", &format!("x: {}\r\n", "y".repeat(16 * 1024))), 431),
        ("8,000 bytes of target", head(&format!("/{}", "a".repeat(7_999)), ""), 404),
        ("one more", head(&format!("/{}", "a".repeat(8_000)), ""), 414),
    ] {
        assert_eq!(statuses(&exchange(&server.api, bytes.as_bytes()).await), [status], "{what}");
    }
}

#[tokio::test]
async fn a_hundred_pipelined_requests_are_answered_in_their_order() {
    let server = TestServer::start().await;
    let mut bytes = String::new();
    for number in 0..100 {
        bytes.push_str(&format!("GET /data/{number} HTTP/1.1\r\nhost: a\r\nx-request-id: n{number}\r\n\r\n"));
    }
    let answers = exchange(&server.api, bytes.as_bytes()).await;
    let ids: Vec<&str> = answers.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
    let expected: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn who_drips_is_cut_off_and_others_do_not_notice() {
    let server = TestServer::with(&["--head-timeout", "300ms", "--body-timeout", "300ms"]).await;
    let body = "POST /data HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    for (what, start, drip) in [("head", "GET /health HTTP/1.1\r\n", "x: y\r\n"), ("body", body, " ")] {
        let dripping = async {
            let (mut read, mut write) = TcpStream::connect(server.api.address).await.unwrap().into_split();
            write.write_all(start.as_bytes()).await.unwrap();
            let drips = async {
                while write.write_all(drip.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                std::future::pending::<()>().await;
            };
            let mut answer = String::new();
            tokio::select! {
                () = drips => {}
                read = read.read_to_string(&mut answer) => { read.unwrap(); }
            }
            answer
        };
        let started = Instant::now();
        let dripped = tokio::spawn({
            let api = server.api.clone();
            async move { futures_util::future::join_all((0..50).map(|_| api.get("/health"))).await }
        });
        let answer = tokio::time::timeout(Duration::from_secs(10), dripping).await.expect("never cut off");
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-too-slow"), "{what}: {answer}");
        assert!(started.elapsed() >= Duration::from_millis(300), "{what}: cut off too early");
        assert!(dripped.await.unwrap().iter().all(|answer| answer.status == 200), "{what}");
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_leaves_nothing_behind() {
    let server = TestServer::start().await;
    for _ in 0..20 {
        let stream = server.api.hold_post().await;
        // Closing with linger 0 sends a reset.
        stream.set_zero_linger().unwrap();
    }
    server.admin.until("/metrics", |metrics| metrics.text().contains(r#"in_flight{listener="public"} 0"#)).await;
    assert!(server.api.all("/data").await.is_empty());
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_a_live_client_nothing() {
    const IDLE: usize = 10_000;
    // Both ends need that many file descriptors; what a process may have, its children may.
    let own = std::process::id().to_string();
    let raised = std::process::Command::new("prlimit").args(["--pid", &own, "--nofile=12000:"]).status();
    assert!(raised.expect("prlimit; apt-get install util-linux").success(), "12,000 files: raise `ulimit -Hn`");
    let process = Process::start(&["--max-connections", "11000"], &[]).await;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(process.api.address).await.unwrap());
    }
    let open = |metrics: &crate::support::Answer| metrics.text().contains(r#"connections{listener="public"} 10000"#);
    process.admin.until("/metrics", open).await;
    assert_eq!(process.api.post("{}").await.status, 201);
    for _ in 0..100 {
        assert_eq!(process.api.get("/data").await.status, 200);
    }
    let answers = exchange(&process.api, OK.as_bytes()).await;
    assert_eq!(statuses(&answers), [200], "a half-closed client gets its answer");
    // None of them was given up for it.
    let last = &mut idle[IDLE - 1];
    last.write_all(OK.as_bytes()).await.unwrap();
    assert!(last.read(&mut [0; 64]).await.unwrap() > 0);
}
