//! A bound on what is done at once, and on how long each may take.
//!
//! There is no queue: a request that would wait is told at once to come back, because a queue in front of a service that
//! cannot keep up only turns refusals into time-outs. What tells people and balancers how the service is stays exempt.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Body;
use tower::Service;

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response};
use crate::routes::Matched;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Admit<S> {
    pub(super) inner: S,
    pub(super) app: Arc<App>,
}

impl<S> Service<Request> for Admit<S>
where
    S: Service<Request, Response = Response, Error = Error, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let exempt = request.extensions().get::<Matched>().is_none_or(|matched| matched.endpoint.exempt);
        if exempt {
            return self.inner.call(request).boxed();
        }
        let Ok(slot) = self.app.slots.clone().try_acquire_owned() else {
            return std::future::ready(Err(Error::Overloaded)).boxed();
        };
        // What a body may take to arrive comes on top: the connection's guard sees to that.
        let body_time = if request.body().is_end_stream() { Duration::ZERO } else { self.app.limits.guard.body_time };
        let bound = self.app.limits.request_time + body_time;
        let answering = tokio::time::timeout(bound, self.inner.call(request));
        async move {
            let result = answering.await.unwrap_or(Err(Error::TookTooLong { bound }));
            drop(slot);
            result
        }
        .boxed()
    }
}
