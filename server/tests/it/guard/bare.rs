//! What hyper does by itself, on which the guard's ways rest. When one of these fails after an update of hyper, the
//! reason it stands for may be gone.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tideline_server::guard::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::harness::{Client, server_with, statuses};

const CLOSE: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
const UNREAD: &str =
    "POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";

/// As `serve.rs` was before the guard, but for these settings.
async fn bare(set: fn(&mut http1::Builder)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(75)).max_buf_size(16 * 1024);
            set(&mut builder);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    match request.uri().path() {
        "/early" => return Ok(Response::new(Full::new(Bytes::from("early")))),
        "/slow" => tokio::time::sleep(Duration::from_millis(50)).await,
        _ => {}
    }
    let read = request.into_body().collect().await;
    Ok(Response::new(Full::new(Bytes::from(if read.is_ok() { "read" } else { "broken" }))))
}

/// `Buffered::poll_flush` returns at once while there are unread bytes, on closing too.
#[tokio::test]
async fn pipeline_flush_loses_answers() {
    let address = bare(|builder| {
        builder.pipeline_flush(true);
    })
    .await;
    assert_eq!(statuses(address, [CLOSE, GET].concat()).await, [0_u16; 0]);
    assert_eq!(statuses(address, UNREAD).await, [0_u16; 0]);
    // And it holds back an answer until the request after it is whole.
    let mut client = Client::connect(address).await;
    client.send([GET, &GET[..5]].concat()).await;
    let waited = tokio::time::timeout(Duration::from_millis(300), client.answer()).await;
    assert!(waited.is_err());

    let address = bare(|_| {}).await;
    assert_eq!(statuses(address, [CLOSE, GET].concat()).await, [200]);
    assert_eq!(statuses(address, UNREAD).await, [200]);
}

/// `Conn::mid_message_detect_eof`.
#[tokio::test]
async fn without_half_close_the_end_of_reading_ends_the_answer_too() {
    let address = bare(|_| {}).await;
    let mut client = Client::connect(address).await;
    client.send(SLOW).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answers().await, []);
    // So it would be with every refusal.
    let address = server_with(Limits::default(), |builder| {
        builder.half_close(false);
    })
    .await;
    assert_eq!(statuses(address, "GET / HTTP/1.1\r\n\r\n").await, [0_u16; 0]);
}

/// A handler that sees the body break still answers, but hyper does not say that it closes.
#[tokio::test]
async fn a_broken_body_is_answered_without_saying_close() {
    let address = bare(|_| {}).await;
    let mut client = Client::connect(address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").await;
    let answers = client.answers().await;
    assert_eq!((answers.len(), answers[0].body.as_str(), answers[0].close), (1, "broken", false));
}
