//! More instances under a spike, fewer when it is over.

use std::time::Duration;

use super::{Findings, World, is_healthy, none_failed};
use crate::rehearse::load::Load;
use crate::rehearse::outcome::EventKind;

/// Of the fleet's CPU, what the spike takes: enough above the target of 50 %. With more, the generator, the balancer and the
/// store beside the fleet want all that two cores have, and it is this machine that does not keep up (measured at 0.85).
const SPIKE: f64 = 0.7;
/// Requests a second and CPU of the fleet at which it is measured what one costs. Near the spike: at a lower rate, each costs more.
const MEASURED: f64 = 1000.0;
/// Seconds of that.
const MEASURING: u64 = 8;

/// A spike: instances are added, and nobody notices.
pub(super) async fn out(world: &World, it: &mut Findings) -> Result<(), String> {
    let before = world.settled(60).await?;
    let fleet = world.cpus * before.instances.len() as f64;
    let cost = cost(world, (MEASURED * fleet).round()).await?;
    let rate = (SPIKE * fleet / cost).clamp(50.0, 2_000.0).round();
    it.figure("CPU of a request, of the usual mix", cost * 1e6, "us", false);
    it.figure("the spike", rate, "/s", false);
    world
        .timeline
        .note(EventKind::Action, format!("a spike of {rate}/s: {:.0} % of what the fleet can do", SPIKE * 100.0));
    let phases = format!("calm:5s@{:.0},spike:10m@{rate}", (rate / 8.0).ceil());
    let load = Load::begin(&world.checkout, "spike", &phases)?;
    world.waits();
    let decided = world.until("the group wants more", 240, |view| view.desired > before.desired).await?;
    let decided_at = world.timeline.now();
    let known: Vec<String> = before.instances.iter().map(|instance| instance.id.clone()).collect();
    let is_new = |id: &str| !known.iter().any(|each| each == id);
    let grown = world.until("a new instance is healthy", 120, |view| {
        view.instances.iter().any(|it| is_new(&it.id) && is_healthy(it))
    });
    let grown = grown.await?;
    let settled = world.settled(120).await?;
    // The new ones take their share.
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.works();
    let loaded = world.unload(load).await?;
    none_failed(it, &loaded);
    it.check(
        "instances were added",
        format!("{} → {}, {} wanted at first", before.desired, settled.instances.len(), decided.desired),
        settled.instances.len() >= decided.desired as usize,
    );
    let first = grown.instances.iter().find(|instance| is_new(&instance.id) && is_healthy(instance));
    let first = first.ok_or("the new instance is gone again")?;
    let began =
        loaded.phase("spike").map(|at| world.timeline.at_unix(at)).ok_or("the load did not come to its spike")?;
    let (launched, healthy) = world.timeline.sighted(&first.id);
    let (launched, healthy) = (launched.ok_or("it was not seen launched")?, healthy.ok_or("it was not seen healthy")?);
    // Two that look five times a second: the launch may be seen before the wish for it.
    let decided_at = decided_at.min(world.timeline.at(launched));
    let ready = world.ready_since(&first.id).await?;
    it.took("spike to the first new instance serving", world.timeline.at(healthy) - began, true);
    it.took("of that, detection: spike to the decision", decided_at - began, true);
    it.took("of that, the decision to an instance launched", world.timeline.at(launched) - decided_at, false);
    it.took("of that, boot: launched to the service being ready", ready - launched, false);
    it.took("of that, health check: ready to healthy behind the load balancer", healthy - ready, false);
    Ok(())
}

/// What a request costs the fleet, in seconds of CPU: what its machines use more than they do with nothing to do.
async fn cost(world: &World, rate: f64) -> Result<f64, String> {
    let used = || -> Result<f64, String> {
        let (view, machines) = (world.view()?, world.machines()?);
        Ok(view.instances.iter().filter_map(|each| machines.cpu(&each.id)).map(|cpu| cpu.as_secs_f64()).sum())
    };
    let before = (used()?, world.timeline.now());
    tokio::time::sleep(Duration::from_secs(MEASURING / 2)).await;
    let idle = (used()?, world.timeline.now());
    let loaded = Load::begin(&world.checkout, "cost", &format!("cost:{MEASURING}s@{rate}"))?.counted().await?;
    let after = (used()?, world.timeline.now());
    world.timeline.add(&loaded);
    let (requests, _) = loaded.requests();
    let nothing = (idle.0 - before.0) / (idle.1 - before.1) * (after.1 - idle.1);
    let cost = (after.0 - idle.0 - nothing) / requests.max(1) as f64;
    if requests > 0 && cost > 0.0 { Ok(cost) } else { Err("no request was answered".to_owned()) }
}

/// Quiet: instances are taken away, and nobody notices.
pub(super) async fn back_in(world: &World, it: &mut Findings) -> Result<(), String> {
    let before = world.settled(60).await?;
    let load = world.load("quiet", 10)?;
    let began = world.timeline.now();
    world.waits();
    let shrunk = world.until("the group is at its least, and nothing leaves", 300, |view| {
        view.desired == 2 && view.instances.len() == 2
    });
    let shrunk = shrunk.await?;
    world.works();
    let took = world.timeline.now() - began;
    let loaded = world.unload(load).await?;
    none_failed(it, &loaded);
    let (had, has) = (before.instances.len(), shrunk.instances.len());
    it.check("instances were taken away", format!("{had} → {has}"), has < had);
    it.took("quiet to the least number of instances", took, true);
    Ok(())
}
