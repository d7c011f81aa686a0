//! What is seen beside the load. A poll that fails never stops it: it is an event, once.

#[cfg(feature = "aws")]
pub mod aws;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::report::Event;
use crate::target::{Ask, Target};

/// How often is looked.
pub const EVERY: Duration = Duration::from_secs(15);

/// Answers of `/status` in one look, each on a connection of its own: a balancer gives them to different instances.
const ASKED: usize = 8;

/// What was last seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Instances that the Auto Scaling group wants.
    pub desired: Option<u64>,
    /// Instances that it has in service.
    pub in_service: Option<u64>,
    /// Targets that the load balancer finds healthy.
    pub healthy: Option<u64>,
    /// The mean CPU of the fleet, per cent.
    pub fleet_cpu: Option<f64>,
}

/// What all watchers have seen.
#[derive(Debug, Clone)]
pub struct Watched {
    started: Instant,
    inner: Arc<Mutex<(Seen, Vec<Event>)>>,
}

impl Watched {
    /// Nothing yet; times count from `started`.
    pub fn new(started: Instant) -> Self {
        Self { started, inner: Arc::default() }
    }

    /// What was last seen.
    pub fn seen(&self) -> Seen {
        self.lock().0.clone()
    }

    /// Everything that happened.
    pub fn events(&self) -> Vec<Event> {
        self.lock().1.clone()
    }

    /// Something happened now. The same again, right after it, is not told.
    pub fn event(&self, text: impl Into<String>) {
        let (at, text) = (self.started.elapsed().as_secs_f64(), text.into());
        let events = &mut self.lock().1;
        if events.last().is_none_or(|last| last.text != text) {
            events.push(Event { at, text });
        }
    }

    /// Changes what was last seen.
    pub fn update(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock().0);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Seen, Vec<Event>)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the target about itself, again and again: `/fleet` where it answers, else several times `/status`.
pub async fn target(target: Target, watched: Watched) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut used = HashMap::new();
    loop {
        ticks.tick().await;
        match look(&target, &mut used).await {
            Ok(seen) => watched.update(|now| {
                now.fleet_cpu = seen.fleet_cpu.or(now.fleet_cpu);
                now.in_service = seen.in_service.or(now.in_service);
            }),
            Err(error) => watched.event(format!("the target did not say how it is: {error}")),
        }
    }
}

/// CPU seconds and when they were read, by instance.
pub type Used = HashMap<String, (f64, Instant)>;

/// One look at the target.
pub async fn look(target: &Target, used: &mut Used) -> Result<Seen, String> {
    let fleet = target.send(&Ask { close: true, ..Ask::get("GET /fleet", "/fleet") }).await?;
    if fleet.status.is_success() {
        return Ok(of_fleet(&fleet.json()?));
    }
    let mut cpus = HashMap::new();
    for _ in 0..ASKED {
        let answer = target.send(&Ask { close: true, ..Ask::get("GET /status", "/status") }).await?;
        let status = answer.json()?;
        let id = status["instance"]["id"].as_str().unwrap_or_default().to_owned();
        let Some(cpu) = status["process"]["cpu_seconds"].as_f64() else { continue };
        let available = status["process"]["cpus"].as_f64().unwrap_or(1.0).max(0.1);
        // From one look to the next, not within one: the kernel counts in hundredths of a second.
        let (before, at) = *used.entry(id.clone()).or_insert_with(|| (cpu, Instant::now()));
        let since = at.elapsed().as_secs_f64();
        if since > 1.0 {
            cpus.insert(id.clone(), (cpu - before).max(0.0) / since / available * 100.0);
            used.insert(id, (cpu, Instant::now()));
        }
    }
    let mean = cpus.values().sum::<f64>() / cpus.len() as f64;
    Ok(Seen { fleet_cpu: (!cpus.is_empty()).then_some(mean), ..Seen::default() })
}

fn of_fleet(fleet: &Value) -> Seen {
    let empty = Vec::new();
    let instances = fleet["instances"].as_array().unwrap_or(&empty);
    let serving = instances.iter().filter(|instance| instance["state"] == "ready").count() as u64;
    let cpus: Vec<f64> = instances.iter().filter_map(|instance| instance["cpu_percent"].as_f64()).collect();
    let mean = cpus.iter().sum::<f64>() / cpus.len() as f64;
    Seen { in_service: Some(serving), fleet_cpu: (!cpus.is_empty()).then_some(mean), ..Seen::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fleet_is_read() {
        let fleet = json!({"instances": [
            {"id": "a", "state": "ready", "cpu_percent": 40.0},
            {"id": "b", "state": "draining", "cpu_percent": 20.0},
        ]});
        let seen = of_fleet(&fleet);
        assert_eq!((seen.in_service, seen.fleet_cpu), (Some(1), Some(30.0)));
        assert_eq!(of_fleet(&json!({})).fleet_cpu, None);
    }

    #[test]
    fn the_same_event_is_told_once() {
        let watched = Watched::new(Instant::now());
        for text in ["a", "a", "b", "a"] {
            watched.event(text);
        }
        assert_eq!(watched.events().len(), 3);
    }
}
