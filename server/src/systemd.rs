//! What passes between the service and systemd: sockets that it listens on for us, ready, alive, stopping. Without systemd
//! all of it does nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

/// The listener that a socket unit keeps: connections wait in it while the process is replaced.
pub fn inherited_listener() -> io::Result<Option<TcpListener>> {
    let Some(listener) = ListenFd::from_env().take_tcp_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Some)
}

/// The service is up: whoever waits for the unit goes on.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The service is ending; the unit's stop timeout runs.
pub fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Tells systemd's watchdog that the service is alive, twice in its interval, and each time only after a request through
/// the public listener was answered: a process that only lives is not worth keeping. Never ends where there is a watchdog.
pub async fn keep_alive(public: SocketAddr) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    while_it_answers(public, interval, || notify(&[NotifyState::Watchdog])).await;
}

/// Calls `alive` twice in each `interval` in which a request to `public` was answered. Never ends.
pub async fn while_it_answers(public: SocketAddr, interval: Duration, alive: impl Fn()) {
    let mut ticks = tokio::time::interval(interval / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match tokio::time::timeout(interval / 4, ask(public)).await {
            Ok(Ok(())) => alive(),
            Ok(Err(error)) => tracing::error!(%error, "the service does not answer itself"),
            Err(_) => tracing::error!("the service does not answer itself in time"),
        }
    }
}

/// Asks `/health`; any whole status line will do: a service that says that it is draining is alive.
async fn ask(public: SocketAddr) -> io::Result<()> {
    let address = if public.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, public.port()).into() } else { public };
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut start = [0; b"HTTP/1.1 ".len()];
    stream.read_exact(&mut start).await?;
    match &start {
        b"HTTP/1.1 " => Ok(()),
        _ => Err(io::Error::other("no HTTP answer")),
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
