//! A server as `serve.rs` makes it, and a client that sends exactly the bytes it is told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tideline_server::guard::{ConnectionFaults, Guarded, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Nothing in these tests may take longer.
pub(crate) const LONG: Duration = Duration::from_secs(8);

pub(crate) async fn server(limits: Limits) -> SocketAddr {
    server_with(limits, |_| {}).await
}

pub(crate) async fn server_with(limits: Limits, set: fn(&mut http1::Builder)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (io, faults) = Guarded::new(stream, limits);
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(75))
                .max_headers(100)
                .max_buf_size(16 * 1024)
                .half_close(true);
            set(&mut builder);
            let service = service_fn(move |request| answer(faults.clone(), request));
            let connection = builder.serve_connection(TokioIo::new(io), service);
            tokio::spawn(connection);
        }
    });
    address
}

/// Answers with the length and a checksum of the body that came; the path can ask for more.
async fn answer(faults: ConnectionFaults, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(refusal) = faults.take_refused(request.headers()) {
        let [method, path] = [refusal.method, refusal.path].map(|part| part.unwrap_or_else(|| "-".to_owned()));
        let text = format!("{} {method} {path}", refusal.kind.name());
        return Ok(respond(refusal.status, text));
    }
    match request.uri().path() {
        "/early" => return Ok(respond(StatusCode::PAYLOAD_TOO_LARGE, "early")),
        "/slow" => tokio::time::sleep(Duration::from_millis(100)).await,
        "/large" => return Ok(respond(StatusCode::OK, vec![b'x'; 32 * 1024 * 1024])),
        _ => {}
    }
    let path = request.uri().path().to_owned();
    Ok(match request.into_body().collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().map_or(0, http::HeaderMap::len);
            let body = collected.to_bytes();
            respond(StatusCode::OK, format!("{path} {} {} {trailers}", body.len(), checksum(&body)))
        }
        Err(_) => match faults.body_refusal() {
            Some(refusal) => {
                let mut response = respond(refusal.status, refusal.kind.name());
                response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
                response
            }
            None => respond(StatusCode::INTERNAL_SERVER_ERROR, "a body broke for no reason of the guard's"),
        },
    })
}

fn respond(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte))
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) close: bool,
    pub(crate) body: String,
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    got: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, got: Vec::new() }
    }

    /// Sends, and bears with a server that does not want to hear it all.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = tokio::time::timeout(LONG, self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// The next answer; `None` at a clean end. A reset is a failure.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.got) {
                self.got.drain(..length);
                return Some(answer);
            }
            let more = tokio::time::timeout(LONG, self.stream.read_buf(&mut self.got)).await.unwrap();
            if more.unwrap() == 0 {
                assert!(self.got.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.got));
                return None;
            }
        }
    }

    /// All answers to the clean end of the connection.
    pub(crate) async fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await {
            answers.push(answer);
        }
        answers
    }
}

/// The status of each answer to `request` until the server ends the connection.
pub(crate) async fn statuses(address: SocketAddr, request: impl AsRef<[u8]>) -> Vec<u16> {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    client.answers().await.iter().map(|answer| answer.status).collect()
}

fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
    let status = head[9..12].parse().unwrap();
    if status == 100 {
        return Some((Answer { status, close: false, body: String::new() }, end));
    }
    let length: usize = head.split_once("content-length: ").unwrap().1.lines().next().unwrap().parse().unwrap();
    let body = String::from_utf8_lossy(bytes.get(end..end + length)?).into_owned();
    Some((Answer { status, close: head.contains("connection: close"), body }, end + length))
}
