//! What every request passes, from the connection inwards. This is the whole stack:
//!
//! 1. `nosniff`: no answer is taken for another type than it names (tower-http).
//! 2. `Observe`: names, counts and logs the request, and answers for what fails further in.
//! 3. `Admit`: a bound on requests at once and on the time of each; health and status are exempt.
//! 4. `Authorize`: writes need a token, where tokens are set.
//! 5. `Answer`: calls the endpoint.

mod admit;
mod authorize;
mod observe;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::header::X_CONTENT_TYPE_OPTIONS;
use tower::{Service, ServiceBuilder};
use tower_http::set_header::SetResponseHeaderLayer;

use self::admit::Admit;
use self::authorize::Authorize;
use self::observe::Observe;
use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response};
use crate::metrics::ListenerMetrics;
use crate::routes::{Matched, Router};
use crate::serve::Peer;

/// What one listener's connections share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The process's parts.
    pub app: Arc<App>,
    /// What the listener answers.
    pub router: Arc<Router>,
    /// The listener's counters.
    pub metrics: ListenerMetrics,
}

/// The stack, for one connection from `peer`.
pub fn stack(
    shared: Shared,
    peer: Peer,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    let (app, authority) = (shared.app.clone(), shared.app.clone());
    let answer = Answer { app: shared.app.clone() };
    ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer_fn(move |inner| Observe { inner, shared: shared.clone(), peer: peer.clone() })
        .layer_fn(move |inner| Admit { inner, app: app.clone() })
        .layer_fn(move |inner| Authorize { inner, app: authority.clone() })
        .service(answer)
}

/// The innermost service: calls the endpoint that [`Observe`] found.
#[derive(Debug, Clone)]
struct Answer {
    app: Arc<App>,
}

impl Service<Request> for Answer {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match request.extensions().get::<Matched>() {
            Some(matched) => matched.endpoint.clone().answer(self.app.clone(), request),
            None => std::future::ready(Err(Error::UnknownPath)).boxed(),
        }
    }
}
