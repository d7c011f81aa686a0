//! Every rule, one row each, through sockets: the answer arrives, says close, and the connection ends cleanly.

use tideline_server::guard::Limits;

use super::harness::{Client, server, statuses};

/// A GET with these header lines beside its Host.
fn with(lines: &str) -> String {
    format!("GET /a?b HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

/// A GET of this target.
fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn host(value: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost:{value}\r\n\r\n")
}

fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[tokio::test]
async fn every_rule() {
    let address = server(Limits::default()).await;
    let rows: Vec<(u16, &str, String)> = vec![
        // Lines.
        (400, "bad-line-end", "GET / HTTP/1.1\nHost: a\n\n".into()),
        (400, "bad-line-end", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".into()),
        (400, "bad-line-end", "GET / HTTP/1.1\r\nHost: a\r\n\n".into()),
        (400, "bad-line-end", "GET / HTTP/1.1\rHost: a\r\r".into()),
        (400, "bad-line-end", with("X: a\rb")),
        (400, "bad-line-end", with("X: a\r\rb")),
        (400, "bad-request-line", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        // The request line.
        (400, "bad-request-line", " GET / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET / b HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET /\r\n\r\n".into()),
        (400, "bad-request-line", "GET\r\n\r\n".into()),
        (400, "bad-request-line", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET / http/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET / HTTP/1.10\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET / HTTP/01.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "GET / HTTPS/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "bad-request-line", "\u{16}\u{3}\u{1}\u{2}hello from TLS".into()),
        (505, "bad-version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into()),
        (505, "bad-version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".into()),
        (505, "bad-version", "GET / HTTP/0.9\r\n\r\n".into()),
        (505, "bad-version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        (501, "bad-method", format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(33))),
        (501, "bad-method", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".into()),
        (501, "bad-method", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        // The target.
        (400, "bad-target", target("/a#b")),
        (400, "bad-target", target("/a\\b")),
        (400, "bad-target", target("/\u{e9}")),
        (400, "bad-target", target("/\0")),
        (400, "bad-target", target("/\u{7f}")),
        (400, "bad-target", target("/a?<b>")),
        (400, "bad-target", target("*")),
        (400, "bad-target", target("a")),
        (400, "bad-target", target("a:80")),
        (400, "bad-target", target("ftp://a/")),
        (400, "bad-target", target("http:///a")),
        (400, "bad-target", target("http://b@a/")),
        (400, "bad-target", target("http://a:b/")),
        (400, "bad-target", target("http://a%41/")),
        (400, "bad-host", target("http://b/")),
        (400, "bad-host", target("http://a:81/")),
        // Header lines.
        (400, "bad-field", with("X: a\r\n b")),
        (400, "bad-field", with("X: a\r\n\tb")),
        (400, "bad-field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n".into()),
        (400, "bad-field", with("X : a")),
        (400, "bad-field", with("X\t: a")),
        (400, "bad-field", with(": a")),
        (400, "bad-field", with("X")),
        (400, "bad-field", with("X(Y): a")),
        (400, "bad-field", with("X\0: a")),
        (400, "bad-field", with("\u{e9}: a")),
        (400, "bad-field", with("X: a\0b")),
        (400, "bad-field", with("X: a\u{1b}b")),
        (400, "bad-field", with("X: a\u{7f}b")),
        // Host.
        (400, "bad-host", "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "bad-host", with("Host: a")),
        (400, "bad-host", with("host: b")),
        (400, "bad-host", host("")),
        (400, "bad-host", host(" \t")),
        (400, "bad-host", host(" b@a")),
        (400, "bad-host", host(" a b")),
        (400, "bad-host", host(" a/b")),
        (400, "bad-host", host(" a?b")),
        (400, "bad-host", host(" a\\b")),
        (400, "bad-host", host(" :80")),
        (400, "bad-host", host(" a:b")),
        (400, "bad-host", host(" a:-1")),
        (400, "bad-host", host(" a:65536")),
        (400, "bad-host", host(" a:80:80")),
        (400, "bad-host", host(" a%4")),
        (400, "bad-host", host(" a%zz")),
        (400, "bad-host", host(" \u{e9}")),
        (400, "bad-host", host(" ::1")),
        (400, "bad-host", host(" [::1")),
        (400, "bad-host", host(" [::g]")),
        (400, "bad-host", host(" [::1]a")),
        (400, "bad-host", host(" [fe80::1%25eth0]")),
        (400, "bad-host", host(" []")),
        (400, "bad-host", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n".into()),
        // Framing.
        (400, "bad-framing", with("Content-Length: +5")),
        (400, "bad-framing", with("Content-Length: -1")),
        (400, "bad-framing", with("Content-Length: 0x5")),
        (400, "bad-framing", with("Content-Length: 5_0")),
        (400, "bad-framing", with("Content-Length: 5.0")),
        (400, "bad-framing", with("Content-Length: 1 2")),
        (400, "bad-framing", with("Content-Length:")),
        (400, "bad-framing", with("Content-Length: 18446744073709551616")),
        (400, "bad-framing", with("Content-Length: 18446744073709551615")),
        (400, "bad-framing", with("Content-Length: 5, 5")),
        (400, "bad-framing", with("Content-Length: 5\r\nContent-Length: 5")),
        (400, "bad-framing", with("Content-Length: 5\r\ncontent-length: 6")),
        (400, "bad-framing", with("Content-Length: 5\r\nTransfer-Encoding: chunked")),
        (400, "bad-framing", with("Transfer-Encoding: chunked\r\nContent-Length: 5")),
        (400, "bad-framing", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into()),
        (400, "bad-framing", with("Transfer-Encoding: chunked, chunked")),
        (400, "bad-framing", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        (400, "bad-framing", with("Transfer-Encoding: xchunked")),
        (400, "bad-framing", with("Transfer-Encoding: identity")),
        (400, "bad-framing", with("Transfer-Encoding: gzip")),
        (400, "bad-framing", with("Transfer-Encoding: chunked, gzip")),
        (400, "bad-framing", with("Transfer-Encoding: chunked;a=b")),
        (400, "bad-framing", with("Transfer-Encoding: \"chunked\"")),
        (400, "bad-framing", with("Transfer-Encoding: , chunked")),
        (400, "bad-framing", with("Transfer-Encoding:")),
        (400, "bad-field", with("Transfer-Encoding: chunked\u{b}")),
        (501, "bad-framing", with("Transfer-Encoding: gzip, chunked")),
        (417, "bad-expectation", with("Expect: 200-ok")),
        // Chunks; the body is whole, so nothing is waited for.
        (400, "bad-framing", chunked("+5\r\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("-5\r\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("0x5\r\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("00000000000000005\r\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("5 \r\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("5\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("5\r\nhello\n0\r\n\r\n")),
        (400, "bad-framing", chunked("5\r\nhello!\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("4\r\nhello\r\n0\r\n\r\n")),
        (400, "bad-framing", chunked("5;a=\r\nhello\r\n0\r\n\r\n")),
        (400, "request-too-large", chunked(&format!("5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(256)))),
        (400, "bad-line-end", chunked("5\r\nhello\r\n0\r\n\rX")),
        (400, "bad-field", chunked("5\r\nhello\r\n0\r\nA : b\r\n\r\n")),
        (400, "bad-field", chunked("5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n")),
        (431, "request-too-large", chunked(&format!("5\r\nhello\r\n0\r\n{}\r\n", "A: b\r\n".repeat(101)))),
        (431, "request-too-large", chunked(&format!("5\r\nhello\r\n0\r\nA: {}\r\n\r\n", "b".repeat(16 * 1024)))),
        // Limits.
        (414, "request-too-large", target(&format!("/{}", "a".repeat(8_000)))),
        (414, "request-too-large", target(&"a".repeat(100_000))),
        (431, "request-too-large", with(&"X: y\r\n".repeat(100))),
        (431, "request-too-large", with(&format!("X: {}", "y".repeat(16 * 1024)))),
        (431, "request-too-large", with(&format!("X: {}", "y".repeat(300 * 1024)))),
    ];
    for (status, kind, request) in rows {
        let mut client = Client::connect(address).await;
        client.send(&request).await;
        let answers = client.answers().await;
        let shown: String = request.chars().take(200).collect();
        assert_eq!(answers.len(), 1, "{shown:?}: {answers:?}");
        assert_eq!((answers[0].status, answers[0].close), (status, true), "{shown:?}: {answers:?}");
        assert!(answers[0].body.starts_with(kind), "{shown:?}: {answers:?}");
    }
}

#[tokio::test]
async fn up_to_the_limit_is_served() {
    let address = server(Limits::default()).await;
    let whole = |size: usize| {
        let head = with("X: ");
        head.replace("X: ", &format!("X: {}", "y".repeat(size - head.len())))
    };
    assert_eq!(whole(16 * 1024).len(), 16 * 1024);
    for (good, bad, status) in [
        (target(&format!("/{}", "a".repeat(7_999))), target(&format!("/{}", "a".repeat(8_000))), 414),
        (with(&"X: y\r\n".repeat(99)[..6 * 99 - 2]), with(&"X: y\r\n".repeat(100)[..6 * 100 - 2]), 431),
        (whole(16 * 1024), whole(16 * 1024 + 1), 431),
    ] {
        let mut client = Client::connect(address).await;
        // The second one shows that the first left the connection in order.
        client.send(&good).await;
        assert_eq!(client.answer().await.map(|answer| answer.status), Some(200));
        client.send(&good).await;
        assert_eq!(client.answer().await.map(|answer| answer.status), Some(200));
        client.send(&bad).await;
        assert_eq!(client.answers().await.iter().map(|answer| answer.status).collect::<Vec<_>>(), [status]);
    }
}

#[tokio::test]
async fn the_log_gets_method_and_path() {
    let address = server(Limits::default()).await;
    for (request, named) in [
        ("PUT /data/1?x HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", "bad-field PUT /data/1"),
        ("PUT http://b/data/1?x HTTP/1.1\r\nHost: a\r\n\r\n", "bad-host PUT /data/1"),
        ("PUT /#x HTTP/1.1\r\nHost: a\r\n\r\n", "bad-target - -"),
    ] {
        let mut client = Client::connect(address).await;
        client.send(request).await;
        assert_eq!(client.answer().await.map(|answer| answer.body), Some(named.to_owned()));
    }
}

#[tokio::test]
async fn the_answer_to_a_refused_head_request_has_no_body() {
    let address = server(Limits::default()).await;
    let mut client = Client::connect(address).await;
    client.send("HEAD / HTTP/1.1\r\n\r\n").await;
    let mut raw = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut raw).await.unwrap();
    let raw = String::from_utf8(raw).unwrap();
    assert!(raw.starts_with("HTTP/1.1 400 ") && raw.ends_with("\r\n\r\n"), "{raw}");
}

#[tokio::test]
async fn nobody_can_pass_for_the_guard() {
    let address = server(Limits::default()).await;
    let forged = with("X-Tideline-Refused: 0b5f2f3e-54f9-4f0e-9d3a-2b6a0e1f6a11");
    assert_eq!(statuses(address, format!("{forged}{forged}{}", with("Connection: close"))).await, [200, 200, 200]);
    // Those before a refusal are in hyper's hands when it happens.
    assert_eq!(statuses(address, format!("{forged}{forged}{}", with("X : y"))).await, [200, 200, 400]);
    let empty = with("x-tideline-refused:");
    assert_eq!(statuses(address, format!("{empty}{empty}{}{forged}", with("X : y"))).await, [200, 200, 400]);
}
