//! The accept loop: connections in, bounded; at the end a drain, bounded too.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service;

use crate::http::{Request, Response};
use crate::metrics::ListenerMetrics;

/// How long a connection may be idle. Above a load balancer's 60 s: the balancer must be the one to close, or it now and
/// then sends a request into a connection that is just going.
const IDLE: Duration = Duration::from_secs(75);

/// Header lines in a request.
const MAX_HEADERS: usize = 100;

/// What a request's head may take, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// After a failed accept (no file descriptors, most likely) the next try waits this long: trying at once would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How a listener is served.
#[derive(Debug)]
pub struct Limits {
    /// Connections open at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long requests in flight may go on after the end of accepting.
    pub drain: Duration,
}

/// Serves connections from `listener` until `shutdown`, then lets what is in flight end. Returns how many connections
/// were still busy when the drain's time was over; zero is a clean end.
///
/// `service` makes the service of one connection from the address of its peer.
pub async fn serve<S>(
    listener: TcpListener,
    service: impl Fn(IpAddr) -> S,
    metrics: ListenerMetrics,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> usize
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            // The client gave up before we took it: nothing of ours is short.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let counted = metrics.begin_connection();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service(peer)));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
            drop((counted, slot));
        });
    }
    drop(listener);
    match tokio::time::timeout(limits.drain, graceful.shutdown()).await {
        Ok(()) => 0,
        Err(_) => limits.connections - slots.available_permits(),
    }
}

type Accepted = (tokio::net::TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Answers are written whole: waiting to fill a packet only delays them. A connection for which this fails is broken
    // already, which the first read will show.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer.ip(), slot))
}
