//! The whole service from its settings to its end: bind, start, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::app::App;
use crate::config::{Config, DrainConfig};
use crate::heartbeat;
use crate::layers::{Shared, stack};
use crate::lifecycle::Phase;
use crate::logging::{AccessLog, DroppedLines};
use crate::routes::Router;
use crate::serve::{Limits, serve};
use crate::store::ConnectError;
use crate::systemd;

/// How long the first question to the store may take before the service is ready without an answer.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// At the end, how long the shared cache may take to be told of the last writes, where it failed before.
const LAST_INVALIDATIONS: Duration = Duration::from_secs(1);

/// Connections to the admin listener: a scraper, a watchdog and a person or two.
const ADMIN_CONNECTIONS: usize = 64;

/// A service that is bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    public: TcpListener,
    admin: TcpListener,
    connections: usize,
    drain: DrainConfig,
}

/// Requests to end, by what they were: the first begins the drain, the second cuts it short.
pub type Stops = mpsc::Receiver<&'static str>;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every request in flight was answered.
    Clean,
    /// The drain's time was over first.
    Cut {
        /// Connections that were still busy.
        connections: usize,
    },
    /// A second request to end came.
    AtOnce,
}

/// Why the service cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener's address.
    #[error("cannot listen on {address} ({variable}): {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The setting.
        variable: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The listener that systemd passed on.
    #[error("cannot use the listener that was passed on (LISTEN_FDS): {0}")]
    Inherit(std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] ConnectError),
}

impl Server {
    /// Binds both listeners, unless systemd holds the public one, and connects the store.
    pub async fn bind(config: &Config, access: AccessLog, dropped: DroppedLines) -> Result<Self, StartError> {
        let public = match systemd::inherited_listener().map_err(StartError::Inherit)? {
            Some(listener) => listener,
            None => bind(config.listen.public, "TIDELINE_LISTEN").await?,
        };
        let admin = bind(config.listen.admin, "TIDELINE_ADMIN_LISTEN").await?;
        let app = App::start(config, access, dropped).await?;
        Ok(Self { app, public, admin, connections: config.limits.connections, drain: config.drain.clone() })
    }

    /// The public listener's address, with its real port.
    pub fn public_address(&self) -> std::io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// The admin listener's address, with its real port.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until it is asked to end.
    pub async fn run(self, mut stops: Stops) -> Ended {
        let Self { app, public, admin, connections, drain } = self;
        let public_address = public.local_addr();
        let (end, ending) = watch::channel(false);
        let listener = |name, listener, router, connections| {
            let shared = Shared { app: app.clone(), router: Arc::new(router), metrics: app.metrics.listener(name) };
            let metrics = shared.metrics.clone();
            let mut ending = ending.clone();
            let shutdown = async move {
                // An error means that the sender is gone: the end as well.
                let _ = ending.wait_for(|ending| *ending).await;
            };
            let limits = Limits { connections, drain: drain.timeout, guard: app.limits.guard };
            tokio::spawn(serve(listener, move |peer| stack(shared.clone(), peer), metrics, limits, shutdown))
        };
        let serving = listener("public", public, Router::public(&app.metrics), connections);
        let _admin = listener("admin", admin, Router::admin(&app.metrics), ADMIN_CONNECTIONS);
        let telling = app.clone();
        let telling = tokio::spawn(async move {
            // The fleet shall not hear of this instance under two names.
            telling.whoami.ask_ec2().await;
            heartbeat::keep(telling).await;
        });

        let watched = tokio::spawn(async move {
            match public_address {
                Ok(address) => systemd::keep_alive(address).await,
                Err(error) => tracing::error!(%error, "no watchdog: the public listener has no address"),
            }
        });
        let reason = tokio::select! {
            () = become_ready(&app) => stops.recv().await,
            // Asked to end before it was ready; what it has accepted by then is drained all the same.
            reason = stops.recv() => reason,
        };
        let reason = reason.unwrap_or("dropped");
        // systemd does not watch a service that is stopping.
        watched.abort();
        tracing::info!(reason, delay = ?drain.delay, timeout = ?drain.timeout, "draining");
        app.lifecycle.enter(Phase::Draining);
        systemd::stopping("draining");
        let draining = async {
            tokio::time::sleep(drain.delay).await;
            // Nobody listens any more only if serving is over already.
            let _ = end.send(true);
            serving.await
        };
        let draining = async { tokio::join!(draining, heartbeat::draining(&app)).0 };
        let ended = tokio::select! {
            left = draining => match left {
                Ok(0) => Ended::Clean,
                Ok(connections) => Ended::Cut { connections },
                Err(error) => {
                    tracing::error!(%error, "the accept loop ended by a defect");
                    Ended::AtOnce
                }
            },
            Some(reason) = stops.recv() => {
                tracing::warn!(reason, "asked again: ending at once");
                Ended::AtOnce
            }
        };
        telling.abort();
        tokio::join!(app.cache.end(LAST_INVALIDATIONS), heartbeat::leave(&app));
        ended
    }
}

/// Asks the store once, so that the first request does not pay for the first connection. Without an answer the service
/// is ready all the same: what it can still answer (its page, its cache, its state) beats a restart loop.
async fn become_ready(app: &App) {
    match tokio::time::timeout(FIRST_ANSWER, app.store.probe()).await {
        Ok(Ok(latency)) => tracing::info!(backend = app.store.backend(), ?latency, "ready"),
        Ok(Err(error)) => tracing::error!(%error, backend = app.store.backend(), "ready, but the store is not"),
        Err(_) => tracing::error!(backend = app.store.backend(), "ready, but the store does not answer"),
    }
    app.lifecycle.enter(Phase::Ready);
    systemd::ready("serving");
}

async fn bind(address: SocketAddr, variable: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, variable, source })
}
