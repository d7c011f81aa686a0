//! The instance metadata service on 169.254.169.254, with the semantics of IMDSv2: a token, by PUT, before anything is told.
//!
//! Who asks is known by the address that a connection comes from. The hop limit is that of EC2: the packets that carry a token
//! have it for their time to live, so that they get as far as the instance and, with 1, no further.

mod facts;
mod tokens;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub use facts::{Facts, Options};
use tokens::Tokens;

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
/// Connections at a time, of all instances.
const CONNECTIONS: usize = 512;
/// How long a connection may be idle, or take to send a request.
const IDLE: Duration = Duration::from_secs(30);
/// A packet's time to live, where nothing else is asked for.
const HOPS: u32 = 64;
const BACK_OFF: Duration = Duration::from_millis(50);

/// What is known about all instances, and the tokens they were given.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    instances: HashMap<Ipv4Addr, Arc<Facts>>,
    tokens: Tokens,
}

/// What of a request matters here.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    ttl: Option<&'a str>,
    token: Option<&'a str>,
    forwarded: bool,
}

/// A status with a text, and the hop limit that its packets are to have.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    body: Bytes,
    ttl: Option<u32>,
    hops: u32,
}

impl Metadata {
    /// Tells the instance at this address about itself from now on.
    pub fn add(&self, facts: Facts) {
        self.known().instances.insert(facts.address, Arc::new(facts));
    }

    /// Forgets an instance, with its tokens.
    pub fn remove(&self, address: Ipv4Addr) {
        let mut known = self.known();
        known.instances.remove(&address);
        known.tokens.revoke(address);
    }

    /// Serves until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // Never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (metadata, IpAddr::V4(peer)) = (self.clone(), peer.ip()) else { continue };
                    connections.spawn(async move {
                        metadata.connection(stream, peer).await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(BACK_OFF).await,
            }
        }
    }

    async fn connection(&self, stream: TcpStream, peer: Ipv4Addr) {
        // A second handle of the connection, for its packets' time to live.
        let Ok(stream) = stream.into_std() else { return };
        let Ok(socket) = stream.try_clone() else { return };
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let service = service_fn(|request: Request<Incoming>| {
            let answer = self.respond(&request, peer);
            // Where it cannot be set, the answer still is the right one.
            let _set = socket.set_ttl(answer.hops);
            std::future::ready(Ok::<_, Infallible>(answer.into()))
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(IDLE);
        // An instance that goes away is its own business.
        let _gone = server.serve_connection(TokioIo::new(stream), service).await;
    }

    fn respond(&self, request: &Request<Incoming>, peer: Ipv4Addr) -> Answer {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: request.method(),
            path: request.uri().path(),
            ttl: header(TTL),
            token: header(TOKEN),
            forwarded: request.headers().contains_key("x-forwarded-for"),
        };
        self.answer(&asked, peer, Instant::now())
    }

    fn answer(&self, asked: &Asked<'_>, peer: Ipv4Addr, now: Instant) -> Answer {
        let mut known = self.known();
        let Some(facts) = known.instances.get(&peer).map(Arc::clone) else {
            return Answer::refusal(StatusCode::NOT_FOUND);
        };
        match *asked.method {
            Method::PUT if asked.path == "/latest/api/token" => {
                if asked.forwarded {
                    // Through a proxy: somebody else asks.
                    return Answer::refusal(StatusCode::FORBIDDEN);
                }
                let ttl = asked.ttl.and_then(|ttl| ttl.parse().ok()).filter(|ttl| (1..=tokens::LONGEST).contains(ttl));
                let Some(ttl) = ttl else { return Answer::refusal(StatusCode::BAD_REQUEST) };
                let token = known.tokens.issue(peer, Duration::from_secs(ttl.into()), now);
                let hops = facts.options.hop_limit;
                Answer { status: StatusCode::OK, body: token.into(), ttl: Some(ttl), hops }
            }
            Method::GET | Method::HEAD => {
                let admitted = match asked.token {
                    Some(token) => known.tokens.admits(token, peer, now),
                    None => !facts.options.tokens_required,
                };
                if !admitted {
                    return Answer::refusal(StatusCode::UNAUTHORIZED);
                }
                match facts.at(asked.path, SystemTime::now()) {
                    Some(body) => Answer { status: StatusCode::OK, body: body.into(), ttl: None, hops: HOPS },
                    None => Answer::refusal(StatusCode::NOT_FOUND),
                }
            }
            _ => Answer::refusal(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn refusal(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self { status, body: format!("{} - {reason}\n", status.as_u16()).into(), ttl: None, hops: HOPS }
    }
}

impl From<Answer> for Response<Full<Bytes>> {
    fn from(answer: Answer) -> Self {
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(SERVER, HeaderValue::from_static("EC2ws"));
        if let Some(ttl) = answer.ttl {
            headers.insert(TTL, HeaderValue::from(ttl));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
    const THERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 6);

    fn metadata() -> Metadata {
        let metadata = Metadata::default();
        metadata.add(Facts { address: HERE, ..Facts::example() });
        metadata.add(Facts { address: THERE, id: "i-2".to_owned(), ..Facts::example() });
        metadata
    }

    fn put(ttl: Option<&str>, forwarded: bool) -> Asked<'_> {
        Asked { method: &Method::PUT, path: "/latest/api/token", ttl, token: None, forwarded }
    }

    fn get<'a>(path: &'a str, token: Option<&'a str>) -> Asked<'a> {
        Asked { method: &Method::GET, path, ttl: None, token, forwarded: false }
    }

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(&answer.body).unwrap()
    }

    #[test]
    fn tells_nothing_without_a_token() {
        let (metadata, now) = (metadata(), Instant::now());
        let status = |asked: &Asked<'_>| metadata.answer(asked, HERE, now).status.as_u16();
        assert_eq!(status(&get("/latest/meta-data/instance-id", None)), 401);
        assert_eq!(status(&get("/latest/meta-data/instance-id", Some("made-up"))), 401);
        assert_eq!(status(&put(None, false)), 400);
        assert_eq!(status(&put(Some("21601"), false)), 400);
        assert_eq!(status(&put(Some("60"), true)), 403);
        let post = Asked { method: &Method::POST, ..put(Some("60"), false) };
        assert_eq!(status(&post), 405);
        assert_eq!(metadata.answer(&put(Some("60"), false), Ipv4Addr::LOCALHOST, now).status.as_u16(), 404);
    }

    #[test]
    fn a_token_is_for_its_time_and_its_instance() {
        let (metadata, now) = (metadata(), Instant::now());
        let given = metadata.answer(&put(Some("60"), false), HERE, now);
        assert_eq!((given.status, given.ttl, given.hops), (StatusCode::OK, Some(60), 1));
        let asked = get("/latest/meta-data/instance-id", Some(text(&given)));
        let answer = metadata.answer(&asked, HERE, now);
        assert_eq!((answer.status, text(&answer), answer.hops), (StatusCode::OK, "i-1", HOPS));
        assert_eq!(metadata.answer(&asked, THERE, now).status, StatusCode::UNAUTHORIZED);
        let later = now + Duration::from_secs(61);
        assert_eq!(metadata.answer(&asked, HERE, later).status, StatusCode::UNAUTHORIZED);
        assert_eq!(metadata.answer(&get("/latest/nothing", Some(text(&given))), HERE, now).status.as_u16(), 404);
    }

    #[test]
    fn needs_no_token_where_the_launch_template_says_so() {
        let metadata = Metadata::default();
        let options = Options { tokens_required: false, ..Options::default() };
        metadata.add(Facts { address: HERE, options, ..Facts::example() });
        let answer = metadata.answer(&get("/latest/user-data", None), HERE, Instant::now());
        assert_eq!(text(&answer), "#cloud-config\n");
    }
}
