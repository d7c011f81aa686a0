//! The accept loop: connections in, bounded; at the end a drain, bounded too.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tower::Service;

use crate::guard::{self, ConnectionFaults, Guarded};
use crate::http::{Request, Response};
use crate::metrics::ListenerMetrics;

/// How long a connection may be idle. Above a load balancer's 60 s: the balancer must be the one to close, or it now and
/// then sends a request into a connection that is just going.
const IDLE: Duration = Duration::from_secs(75);

/// After a failed accept (no file descriptors, most likely) the next try waits this long: trying at once would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// At the end, how long an idle connection is kept for the request that may be on its way.
const LINGER: Duration = Duration::from_secs(1);

/// How a listener is served.
#[derive(Debug)]
pub struct Limits {
    /// Connections open at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long requests in flight may go on after the end of accepting.
    pub drain: Duration,
    /// What one connection's client may take.
    pub guard: guard::Limits,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// What the connection's guard has refused.
    pub faults: ConnectionFaults,
}

/// Serves connections from `listener` until `shutdown`, then lets what is in flight end. Returns how many connections
/// were still busy when the drain's time was over; zero is a clean end.
///
/// `service` makes the service of one connection.
pub async fn serve<S>(
    listener: TcpListener,
    service: impl Fn(Peer) -> S,
    metrics: ListenerMetrics,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> usize
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let (end, ending) = watch::channel(());
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, address, slot) = match accepted {
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
        let (stream, faults) = Guarded::new(stream, limits.guard);
        let (service, ending) = (service(Peer { address, faults }), ending.clone());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, limits.guard, service, ending).await {
                tracing::debug!(%error, %address, "a connection ended early");
            }
            drop((counted, slot));
        });
    }
    drop((listener, end));
    // Every slot is back when every connection has ended.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    match tokio::time::timeout(limits.drain, slots.acquire_many(all)).await {
        Ok(_) => 0,
        Err(_) => limits.connections - slots.available_permits(),
    }
}

/// What a connection does.
#[derive(Default)]
struct Activity {
    /// Whether a request is being answered.
    busy: AtomicBool,
    /// Told of each request.
    asked: Notify,
}

/// Serves one connection to its end, or until `ending` closes and the request in flight is answered.
pub async fn connection<IO, S>(
    stream: Guarded<IO>,
    limits: guard::Limits,
    service: S,
    mut ending: watch::Receiver<()>,
) -> hyper::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let active = activity.clone();
    let service = service_fn(move |request| {
        active.busy.store(true, Ordering::Release);
        active.asked.notify_one();
        // It is always ready: see the layers.
        let answering = service.clone().call(request);
        let active = active.clone();
        async move {
            let answer = answering.await;
            active.busy.store(false, Ordering::Release);
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(limits.header_lines)
        // hyper has a floor of its own.
        .max_buf_size(limits.head_bytes.max(8 * 1024))
        // Else it takes the end of reading for the client's leaving, and answers nothing. (And `pipeline_flush` stays off:
        // with it an answer is lost when the connection closes with a request unread.)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        // It only ever closes.
        _ = ending.changed() => {}
    }
    // hyper would close an idle connection at once, while a request may be on its way in it. Who uses it asks within the
    // linger, and is answered with `Connection: close`.
    if !activity.busy.load(Ordering::Acquire) {
        // A permit from a request before would count as the next one.
        let _ = activity.asked.notified().now_or_never();
        tokio::select! {
            ended = &mut serving => return ended,
            () = activity.asked.notified() => {}
            () = tokio::time::sleep(LINGER) => {}
        }
    }
    serving.as_mut().graceful_shutdown();
    serving.await
}

type Accepted = (TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Answers are written whole: waiting to fill a packet only delays them. A connection for which this fails is broken
    // already, which the first read will show.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer.ip(), slot))
}
