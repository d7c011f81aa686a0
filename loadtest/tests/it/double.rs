//! Looks like a Tideline from far away, and does what none does: cuts answers short, stalls, lies about who it is.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, &'static str>;

/// What goes wrong with `GET /product/…`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// Every fifth body is shorter than it says.
    Truncates,
    /// Every fifth connection is closed within a body of unknown length.
    Closes,
    /// Every fifth answer is 503.
    Unavailable,
    /// Every fifth answer is of another document.
    Lies,
    /// Nothing is answered for two seconds, once: from the first request after the fourth second on.
    Stalls,
    /// Nobody listens any more, after a second.
    Refuses,
    /// Every fifth answer sends elsewhere.
    Redirects,
}

/// Who answers, as the headers say it: a function of the time since the start and the number of the answer.
pub type Who = fn(Duration, usize) -> (String, &'static str, &'static str);

#[derive(Clone)]
pub struct Double {
    pub url: String,
    fault: Fault,
    who: Who,
    started: Instant,
    answers: Arc<AtomicUsize>,
    documents: Arc<Mutex<HashMap<String, Value>>>,
    /// When the stall is over.
    stalled: Arc<OnceLock<Instant>>,
}

impl Double {
    pub async fn start(fault: Fault) -> Self {
        Self::as_fleet(fault, |_, _| ("i-1".to_owned(), "a", "1")).await
    }

    pub async fn as_fleet(fault: Fault, who: Who) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (started, answers, documents, stalled) = (Instant::now(), Arc::default(), Arc::default(), Arc::default());
        let double = Self { url, fault, who, started, answers, documents, stalled };
        let serving = double.clone();
        tokio::spawn(async move {
            // Connections end with the listener.
            let mut connections = tokio::task::JoinSet::new();
            while fault != Fault::Refuses || started.elapsed() < Duration::from_secs(3) {
                let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
                let Ok(Ok((stream, _))) = accepted else { continue };
                let double = serving.clone();
                let service = service_fn(move |request| double.clone().answer(request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        double
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        let id = path.rsplit('/').next().unwrap().to_owned();
        let sent = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let since = self.started.elapsed();
        if self.fault == Fault::Stalls && since.as_secs() >= 4 {
            let over = self.stalled.get_or_init(|| Instant::now() + Duration::from_secs(2));
            tokio::time::sleep_until((*over).into()).await;
        }
        let fails = number.is_multiple_of(5) && path.starts_with("/product/");
        let (status, body): (u16, Body) = match (method.as_str(), path.as_str()) {
            ("GET", "/status") => (200, of(&json!({"status": "healthy", "version": "1", "instance": {"id": "i"}}))),
            ("GET", "/") => (200, text("<title>Tideline</title>")),
            ("GET", "/page.css") => (200, text("{}")),
            ("GET", "/page.js") => (200, text("fetch")),
            ("GET", "/data") => (200, of(&json!({"items": [], "next": null}))),
            ("GET", _) if fails && self.fault == Fault::Truncates => (200, broken()),
            ("GET", _) if fails && self.fault == Fault::Closes => (200, broken()),
            ("GET", _) if fails && self.fault == Fault::Unavailable => (503, text("busy")),
            ("GET", _) if fails && self.fault == Fault::Redirects => (302, text("")),
            ("GET", _) if fails && self.fault == Fault::Lies => (200, of(&json!({"id": "another"}))),
            ("GET", _) => match self.documents.lock().unwrap().get(&id) {
                Some(document) => (200, of(document)),
                None => (404, text("")),
            },
            ("DELETE", _) => {
                self.documents.lock().unwrap().remove(&id);
                (204, text(""))
            }
            (method, _) => {
                let document: Value = serde_json::from_slice(&sent).unwrap();
                let id = document["id"].as_str().unwrap().to_owned();
                self.documents.lock().unwrap().insert(id, document.clone());
                (if method == "POST" { 201 } else { 200 }, of(&document))
            }
        };
        let (instance, zone, version) = (self.who)(since, number);
        let kind = match path.as_str() {
            "/" => "text/html",
            "/page.css" => "text/css",
            "/page.js" => "text/javascript",
            _ => "application/json",
        };
        let mut response = Response::builder()
            .status(status)
            .header("content-type", kind)
            .header("etag", format!("\"{number}\""))
            .header("x-tideline-instance", instance)
            .header("x-tideline-zone", zone)
            .header("x-tideline-version", version);
        if fails && self.fault == Fault::Truncates {
            response = response.header("content-length", "100");
        }
        if fails && self.fault == Fault::Redirects {
            response = response.header("location", "/health");
        }
        Ok(response.body(body).unwrap())
    }
}

fn of(value: &Value) -> Body {
    text(value.to_string())
}

fn text(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// A body that breaks off, once its beginning is on its way.
fn broken() -> Body {
    let begin = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"id\":\"load")))]);
    let end = futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err("on purpose")
    });
    BodyExt::boxed(StreamBody::new(begin.chain(end)))
}
