//! The connection: one, shared by all calls, made when it is needed and made anew when it is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::entry::{Generation, Keys};
use super::scripts::Scripts;
use super::stats::Failure;
use super::target::Target;

/// What becomes of a call, for the log: the kind, and what was said.
#[derive(Debug, Error)]
#[error("{}: {detail}", kind.label())]
pub(super) struct Fault {
    pub(super) kind: Failure,
    detail: String,
}

/// The server, and the connection to it if there is one.
#[derive(Debug)]
pub(super) struct Server {
    target: Target,
    pub(super) keys: Keys,
    pub(super) scripts: Scripts,
    connect_timeout: Duration,
    timeout: Duration,
    current: Mutex<Option<Arc<Link>>>,
    /// Held by whoever connects.
    connecting: tokio::sync::Mutex<()>,
    /// Connections tried, so that those who waited for one that failed do not try one after the other.
    tried: AtomicU64,
}

/// A connection and the task that drives it. The task is ended with it: left alone it would first send what it still
/// has, and a server that hangs does not take it.
#[derive(Debug)]
struct Link {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Server {
    pub(super) fn new(target: Target, keys: Keys, connect_timeout: Duration, timeout: Duration) -> Self {
        Self {
            target,
            keys,
            scripts: Scripts::new(),
            connect_timeout,
            timeout,
            current: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
            tried: AtomicU64::new(0),
        }
    }

    /// Runs one call, on a new connection if there is none: bounded by the two timeouts together, and by once more the
    /// time to connect for one who waited for another's attempt in vain.
    pub(super) async fn call<T>(
        &self,
        operation: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Fault> {
        let link = self.link().await?;
        let result = match timeout(self.timeout, operation(link.connection.clone())).await {
            Ok(result) => result.map_err(Fault::from),
            Err(_) => Err(Fault::new(Failure::TimedOut, "no answer")),
        };
        // Out of memory is an answer like another. After anything else the connection may be dead, out of step, or lead
        // to a server that has handed over; a new one costs less than to find out.
        if result.as_ref().is_err_and(|fault| fault.kind != Failure::Full) {
            self.discard(&link);
        }
        result
    }

    async fn link(&self) -> Result<Arc<Link>, Fault> {
        let tried = self.tried.load(Ordering::Relaxed);
        if let Some(link) = self.open_link() {
            return Ok(link);
        }
        let late = |_| Fault::new(Failure::Connect, "not in time");
        let _connecting = timeout(self.connect_timeout, self.connecting.lock()).await.map_err(late)?;
        if let Some(link) = self.open_link() {
            return Ok(link);
        }
        if self.tried.load(Ordering::Relaxed) != tried {
            return Err(Fault::new(Failure::Connect, "it was just tried"));
        }
        let result = timeout(self.connect_timeout, self.connect()).await;
        self.tried.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(result.map_err(late)??);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&link));
        Ok(link)
    }

    /// The connection, unless it has ended: the server closed it while nobody was looking.
    fn open_link(&self) -> Option<Arc<Link>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|link| !link.driver.is_finished()).cloned()
    }

    fn discard(&self, link: &Arc<Link>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(held, link)) {
            *current = None;
        }
    }

    async fn connect(&self) -> Result<Link, Fault> {
        let unreachable = |error: std::io::Error| Fault::new(Failure::Connect, error.to_string());
        let Target { host, port, tls, .. } = &self.target;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        match tls {
            None => self.begin(stream).await,
            Some((connector, name)) => {
                self.begin(connector.connect(name.clone(), stream).await.map_err(unreachable)?).await
            }
        }
    }

    /// Signs in, and makes sure of a generation that is of this server, before anything is read from it.
    async fn begin(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Link, Fault> {
        let mut session = self.target.session.clone();
        if let Some(signer) = &self.target.signer {
            session = session.set_password(signer.token().await.map_err(|error| Fault::new(Failure::Denied, error))?);
        }
        // No timeouts in there: there is one around each call.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&session, stream, config).await?;
        let link = Link { connection, driver: tokio::spawn(driver) };
        self.generation(link.connection.clone(), false).await?;
        Ok(link)
    }

    /// The generation that stands, or a fresh one where none stands or where it is to be renewed.
    pub(super) async fn generation(
        &self,
        mut connection: MultiplexedConnection,
        renew: bool,
    ) -> Result<Generation, RedisError> {
        let fresh = Generation::fresh();
        let mut script = self.scripts.generation.prepare_invoke();
        script.key(&self.keys.generation).key(&self.keys.server).arg(fresh.as_str()).arg(u8::from(renew));
        let standing: Vec<u8> = script.invoke_async(&mut connection).await?;
        let odd = || RedisError::from((redis::ErrorKind::UnexpectedReturnType, "no generation"));
        Generation::parse(&standing).ok_or_else(odd)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Fault {
    fn new(kind: Failure, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        Self::new(Failure::of(&error), error.to_string())
    }
}
