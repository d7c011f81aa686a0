//! `/status`: everything about this instance, for people.

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, json, with_header};
use crate::lifecycle::Phase;
use crate::metrics::cpu_seconds;
use crate::store::breaker::State;
use crate::version::{COMMIT, VERSION};

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    version: &'static str,
    commit: Option<&'static str>,
    instance: Instance<'a>,
    uptime_seconds: u64,
    process: Process,
    store: Store,
    cache: Cache,
}

/// From one answer to the next a load test sees how busy the instance is.
#[derive(Serialize)]
struct Process {
    /// CPU time used so far; null where it cannot be read.
    cpu_seconds: Option<f64>,
    /// CPUs that it may use.
    cpus: usize,
}

#[derive(Serialize)]
struct Instance<'a> {
    id: &'a str,
    zone: &'a str,
    r#type: &'a str,
}

#[derive(Serialize)]
struct Store {
    backend: &'static str,
    /// `up`, or the kind of failure.
    state: &'static str,
    /// Null where there was no answer.
    latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct Cache {
    max_age_ms: u64,
    entries: u64,
    bytes: u64,
    /// `up`, or `failing` while it is passed by; null where there is none.
    shared: Option<&'static str>,
}

/// `GET /status`: 200, or 503 while draining. It asks the store once.
pub async fn show(app: Arc<App>, _: Request) -> Result<Response, Error> {
    let probe = app.store.probe().await;
    let draining = app.lifecycle.phase() == Phase::Draining;
    let identity = app.whoami.get();
    let (entries, bytes) = app.cache.size();
    let shared = app.cache.shared().map(|shared| match shared.stats().breaker {
        State::Closed => "up",
        State::Open | State::HalfOpen => "failing",
    });
    let status = Status {
        status: match (draining, &probe) {
            (true, _) => "draining",
            (false, Ok(_)) => "healthy",
            (false, Err(_)) => "degraded",
        },
        version: VERSION,
        commit: (!COMMIT.is_empty()).then_some(COMMIT),
        instance: Instance { id: &identity.id, zone: &identity.zone, r#type: &identity.kind },
        uptime_seconds: app.started.elapsed().as_secs(),
        process: Process { cpu_seconds: cpu_seconds().ok(), cpus: app.cpus },
        store: Store {
            backend: app.store.backend(),
            state: probe.as_ref().err().map_or("up", |error| error.label()),
            latency_ms: probe.ok().map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3),
        },
        cache: Cache { max_age_ms: app.cache.max_age().as_millis() as u64, entries, bytes, shared },
    };
    let text = serde_json::to_vec(&status).map_err(|error| Error::Internal(error.to_string()))?;
    let code = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok(with_header(json(code, text), CACHE_CONTROL, HeaderValue::from_static("no-store")))
}
