//! The one table of URLs: which function answers which method on which path.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::app::App;
use crate::error::Error;
use crate::handlers::{data, fleet, health, metrics, openapi, page, product, status};
use crate::http::{Request, Response, empty, with_header};
use crate::metrics::{EndpointMetrics, Metrics};
use crate::model::DocumentId;

/// A function that answers a request.
pub type Handler = fn(Arc<App>, Request) -> BoxFuture<'static, Result<Response, Error>>;

/// `METHOD "/path" => handler` rows, as `(method, path, handler)`.
macro_rules! table {
    ($($method:ident $path:literal => $handler:path,)+) => {
        &[$((Method::$method, $path, |app, request| $handler(app, request).boxed())),+]
    };
}

/// What the public listener answers. HEAD is answered wherever GET is, OPTIONS everywhere.
const PUBLIC: &[(Method, &str, Handler)] = table! {
    GET "/" => page::index,
    GET "/page.css" => page::style,
    GET "/page.js" => page::script,
    GET "/icon.svg" => page::icon,
    GET "/status" => status::show,
    GET "/health" => health::ready,
    GET "/fleet" => fleet::show,
    GET "/openapi.json" => openapi::show,
    GET "/data" => data::list,
    POST "/data" => data::create,
    GET "/data/{id}" => data::read,
    PUT "/data/{id}" => data::replace,
    DELETE "/data/{id}" => data::remove,
    GET "/product/{id}" => product::read,
};

/// What the admin listener answers, to this machine alone.
const ADMIN: &[(Method, &str, Handler)] = table! {
    GET "/metrics" => metrics::show,
    GET "/live" => health::live,
};

/// What is answered however busy the service is.
const EXEMPT: [&str; 5] = ["/status", "/health", "/fleet", "/metrics", "/live"];

/// Paths of one listener and what they answer.
#[derive(Debug)]
pub struct Router {
    paths: matchit::Router<Path>,
    unmatched: Path,
    refused: Arc<Endpoint>,
}

/// The endpoints of one path, by method.
type Path = HashMap<&'static str, Arc<Endpoint>>;

/// One method on one route: what to do, and its counters.
#[derive(Debug)]
pub struct Endpoint {
    /// The method's name, or `other`: never a word of the client's.
    pub method: &'static str,
    /// The route's template, or `unmatched`.
    pub route: &'static str,
    /// Its counters.
    pub metrics: EndpointMetrics,
    /// Whether it is answered however busy the service is: what asks how it is must not be turned away.
    pub exempt: bool,
    answer: Answer,
}

#[derive(Debug, Clone)]
enum Answer {
    Handler(Handler),
    Options(HeaderValue),
    MethodNotAllowed(HeaderValue),
    UnknownPath,
}

/// An endpoint found for a request, which carries it as an extension.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// `{id}` as it stands in the path.
    id: Option<Box<str>>,
}

/// The methods that are answered somewhere, and [`OTHER`]: what stands in metrics is never a word of the client's.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", OTHER];

/// Any method that is not among these.
const OTHER: &str = "other";

/// Methods and paths of the public listener, as the table has them.
pub fn public() -> impl Iterator<Item = (&'static Method, &'static str)> {
    PUBLIC.iter().map(|(method, path, _)| (method, *path))
}

impl Router {
    /// The public listener's.
    pub fn public(metrics: &Metrics) -> Self {
        Self::of(PUBLIC, metrics)
    }

    /// The admin listener's.
    pub fn admin(metrics: &Metrics) -> Self {
        Self::of(ADMIN, metrics)
    }

    /// A listener's with a table of its own.
    pub fn of(table: &[(Method, &'static str, Handler)], metrics: &Metrics) -> Self {
        let mut by_path = BTreeMap::<&'static str, Vec<(&Method, Handler)>>::new();
        for (method, path, handler) in table {
            by_path.entry(path).or_default().push((method, *handler));
        }
        let mut paths = matchit::Router::new();
        for (path, handlers) in by_path {
            let inserted = paths.insert(path, endpoints(path, &handlers, metrics));
            debug_assert!(inserted.is_ok(), "{path} is no route, or the same as another");
        }
        // `OPTIONS *` asks about the whole service; the guard lets no other method through with it.
        let everything = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");
        let inserted = paths.insert("*", by_method("*", metrics, |_| Answer::Options(everything.clone())));
        debug_assert!(inserted.is_ok());
        let unmatched = by_method("unmatched", metrics, |_| Answer::UnknownPath);
        let metrics = metrics.endpoint(OTHER, "refused");
        let refused =
            Arc::new(Endpoint { method: OTHER, route: "refused", metrics, exempt: true, answer: Answer::UnknownPath });
        Self { paths, unmatched, refused }
    }

    /// The endpoint of a request: there always is one, if only to say that there is none.
    pub fn find(&self, method: &Method, path: &str) -> Matched {
        let found = self.paths.at(path).ok();
        let id = found.as_ref().and_then(|found| found.params.get("id")).map(Box::from);
        let endpoints = found.map_or(&self.unmatched, |found| found.value);
        let endpoint = endpoints.get(method.as_str()).unwrap_or_else(|| &endpoints[OTHER]);
        Matched { endpoint: endpoint.clone(), id }
    }

    /// The endpoint of what the guard refused, which has no route.
    pub fn refused(&self) -> Matched {
        Matched { endpoint: self.refused.clone(), id: None }
    }
}

fn endpoints(path: &'static str, handlers: &[(&Method, Handler)], metrics: &Metrics) -> Path {
    let handler = |method: &str| handlers.iter().find(|(known, _)| known.as_str() == method).map(|(_, found)| *found);
    let answers = |method: &str| match method {
        "HEAD" => handler("GET"),
        _ => handler(method),
    };
    let allowed = METHODS.into_iter().filter(|method| *method == "OPTIONS" || answers(method).is_some());
    let allow = allowed.collect::<Vec<_>>().join(", ");
    let allow = HeaderValue::try_from(allow).unwrap_or(HeaderValue::from_static(""));
    by_method(path, metrics, |method| match answers(method) {
        Some(handler) => Answer::Handler(handler),
        None if method == "OPTIONS" => Answer::Options(allow.clone()),
        None => Answer::MethodNotAllowed(allow.clone()),
    })
}

fn by_method(route: &'static str, metrics: &Metrics, answer: impl Fn(&'static str) -> Answer) -> Path {
    let exempt = EXEMPT.contains(&route);
    let endpoint = |method| {
        let (metrics, answer) = (metrics.endpoint(method, route), answer(method));
        Endpoint { method, route, metrics, exempt, answer }
    };
    METHODS.into_iter().map(|method| (method, Arc::new(endpoint(method)))).collect()
}

impl Endpoint {
    /// Answers a request.
    pub fn answer(&self, app: Arc<App>, request: Request) -> BoxFuture<'static, Result<Response, Error>> {
        let answer = match &self.answer {
            Answer::Handler(handler) => return handler(app, request),
            Answer::Options(allow) => Ok(with_header(empty(StatusCode::NO_CONTENT), ALLOW, allow.clone())),
            Answer::MethodNotAllowed(allow) => Err(Error::MethodNotAllowed { allow: allow.clone() }),
            Answer::UnknownPath => Err(Error::UnknownPath),
        };
        ready(answer).boxed()
    }
}

/// The document id in a request's path, decoded once and strictly.
pub fn document_id(request: &Request) -> Result<DocumentId, Error> {
    let raw = request.extensions().get::<Matched>().and_then(|matched| matched.id.as_deref()).unwrap_or_default();
    let decoded = percent_decode_str(raw).decode_utf8();
    let text = decoded.map_err(|_| Error::BadId("an id is UTF-8 when its % escapes are resolved".to_owned()))?;
    DocumentId::parse(&text).map_err(Error::BadId)
}
