//! Names the request, finds its endpoint, stamps who answered, counts and logs. An error becomes its problem document
//! here, and a panic an error: one place, so that every answer is counted, whatever made it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use hyper::body::Body;
use tower::Service;

use super::Shared;
use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response};
use crate::lifecycle::Phase;
use crate::logging::Line;
use crate::metrics::InFlight;
use crate::routes::Matched;
use crate::serve::Peer;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const INSTANCE: HeaderName = HeaderName::from_static("x-tideline-instance");
const ZONE: HeaderName = HeaderName::from_static("x-tideline-zone");
const VERSION: HeaderName = HeaderName::from_static("x-tideline-version");

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Observe<S> {
    pub(super) inner: S,
    pub(super) shared: Shared,
    pub(super) peer: Peer,
}

impl<S> Service<Request> for Observe<S>
where
    S: Service<Request, Response = Response, Error = Error, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // What is inside is always ready: what limits requests answers them, and does not make them wait.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(refusal) = self.peer.faults.take_refused(request.headers()) {
            // What stands here is the guard's own; the refusal has what is known of the client's.
            let mut observed = Observation::begin(self, &request, self.shared.router.refused());
            observed.refused = Some((refusal.method.clone(), refusal.path.clone()));
            let answer = observed.end(Err(Error::Refused(refusal)));
            return std::future::ready(Ok(answer)).boxed();
        }
        let matched = self.shared.router.find(request.method(), request.uri().path());
        let observed = Observation::begin(self, &request, matched.clone());
        request.extensions_mut().insert(matched);
        let faults = self.peer.faults.clone();
        let answering = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        async move {
            let result = match answering.await.unwrap_or(Err(Error::Panicked)) {
                // The guard ended the body, and knows why.
                Err(Error::BodyBroken(fault)) => {
                    Err(faults.body_refusal().map_or(Error::BodyBroken(fault), Error::Refused))
                }
                result => result,
            };
            Ok(observed.end(result))
        }
        .boxed()
    }
}

/// A request from its head to its answer. Dropped before it ends, it is logged as status 499: the client left.
struct Observation {
    app: Arc<App>,
    matched: Matched,
    method: Method,
    uri: Uri,
    /// What is known of the method and the path of a request that the guard refused.
    refused: Option<(Option<String>, Option<String>)>,
    peer: IpAddr,
    request_id: HeaderValue,
    started: Instant,
    ended: bool,
    _in_flight: InFlight,
}

impl Observation {
    fn begin<S>(observe: &Observe<S>, request: &Request, matched: Matched) -> Self {
        let app = observe.shared.app.clone();
        Self {
            request_id: app.request_ids.of(request.headers()),
            app,
            matched,
            method: request.method().clone(),
            uri: request.uri().clone(),
            refused: None,
            peer: observe.peer.address,
            started: Instant::now(),
            ended: false,
            _in_flight: observe.shared.metrics.begin_request(),
        }
    }

    fn end(mut self, result: Result<Response, Error>) -> Response {
        let request_id = self.request_id.to_str().unwrap_or_default();
        let (mut response, error) = match result {
            Ok(response) => (response, None),
            Err(error) => (error.problem().response(request_id), Some(error)),
        };
        if matches!(error, Some(Error::Panicked)) {
            self.app.metrics.panics.inc();
        }
        let headers = response.headers_mut();
        let [instance, zone, version] = self.app.whoami.get().headers().clone();
        headers.insert(REQUEST_ID, self.request_id.clone());
        headers.insert(INSTANCE, instance);
        headers.insert(ZONE, zone);
        headers.insert(VERSION, version);
        let unread = matches!(error, Some(Error::Refused(_) | Error::BodyTooLarge { .. }));
        if unread || self.app.lifecycle.phase() == Phase::Draining {
            // Nothing more is read where the rules were broken, or of too large a body. And at the end: so that no client sends its next request into a connection that is about to go.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let bytes = response.body().size_hint().exact().unwrap_or_default();
        let fault = error.filter(|_| response.status().is_server_error()).map(|error| error.to_string());
        self.record(response.status(), bytes, fault.as_deref());
        self.ended = true;
        response
    }

    fn record(&self, status: StatusCode, bytes: u64, error: Option<&str>) {
        let elapsed = self.started.elapsed();
        let (method, path) = match &self.refused {
            None => (self.method.as_str(), self.uri.path()),
            Some((method, path)) => (method.as_deref().unwrap_or_default(), path.as_deref().unwrap_or_default()),
        };
        self.matched.endpoint.metrics.observe(status, elapsed);
        self.app.access.write(&Line {
            method,
            path,
            route: self.matched.endpoint.route,
            status: status.as_u16(),
            elapsed,
            bytes,
            request_id: self.request_id.to_str().unwrap_or_default(),
            peer: self.peer,
            error,
        });
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.ended {
            // nginx's number for it; HTTP has none, because nobody is left to read it.
            let client_left = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
            self.record(client_left, 0, None);
        }
    }
}
