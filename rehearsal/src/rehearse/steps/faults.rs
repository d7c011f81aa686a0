//! What goes wrong by itself.

use std::time::Duration;

use super::{Findings, World, is_healthy, none_failed};
use crate::balancer::Place;
use crate::rehearse::load::{Loaded, Second};
use crate::rehearse::outcome::EventKind;
use crate::rehearse::timeline::monotonic;
use crate::{InstanceView, View};

/// How long there is a load before and after.
const AROUND: Duration = Duration::from_secs(3);
/// How long DynamoDB is gone.
const OUTAGE: Duration = Duration::from_secs(60);
/// Requests a second while an instance is lost: some are on it at any moment.
const BUSY: u32 = 100;

fn victim(world: &World) -> Result<InstanceView, String> {
    world.view()?.instances.into_iter().find(is_healthy).ok_or_else(|| "no instance is healthy".to_owned())
}

/// Requests on a victim: those that it has when it is hit, and those that the load balancer, which does not know of it yet,
/// still chooses it for.
#[derive(Debug)]
struct OnVictim {
    place: Place,
    had: u64,
    chosen: u64,
}

impl OnVictim {
    async fn from_now(world: &World, victim: &str) -> Result<Self, String> {
        let place = world.balancer()?.place(victim).ok_or_else(|| format!("{victim} is behind no load balancer"))?;
        let (had, chosen) = world.balancer()?.requests(&place).await.map_err(|error| error.to_string())?;
        Ok(Self { place, had, chosen })
    }

    async fn until_now(self, world: &World) -> Result<u64, String> {
        let (_, chosen) = world.balancer()?.requests(&self.place).await.map_err(|error| error.to_string())?;
        Ok(self.had + chosen.saturating_sub(self.chosen))
    }
}

/// That no more requests failed than were on the victim.
fn at_most_those_on_it(it: &mut Findings, loaded: &Loaded, on_it: u64) {
    let (requests, failed) = loaded.requests();
    let seen = format!("{failed} of {requests}, and {on_it} were on it");
    it.check("at most the requests that were on the victim failed", seen, failed <= on_it && requests > 0);
}

/// The service is killed: systemd starts it again, and its socket keeps who comes meanwhile.
pub(super) async fn kill(world: &World, it: &mut Findings) -> Result<(), String> {
    let load = world.load("kill", BUSY)?;
    tokio::time::sleep(AROUND * 2).await;
    let victim = victim(world)?.id;
    world.timeline.note(EventKind::Fault, format!("kill -9 of the service on {victim}"));
    let on_it = OnVictim::from_now(world, &victim).await?;
    let command = ["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "tideline.service"];
    let at = monotonic();
    world.machines()?.exec(&victim, &command).await.map_err(|error| error.to_string())?;
    let on_it = on_it.until_now(world).await?;
    tokio::time::sleep(AROUND).await;
    let back = world.ready_since(&victim).await?;
    it.check("systemd started it again", format!("{:.2} s later", back - at), back > at);
    it.took("kill -9 to serving again", back - at, false);
    let view = world.settled(60).await?;
    it.check("the instance was not replaced", victim.clone(), view.instances.iter().any(|each| each.id == victim));
    let loaded = world.unload(load).await?;
    at_most_those_on_it(it, &loaded, on_it);
    Ok(())
}

/// An instance is gone from one moment to the next.
pub(super) async fn power_cut(world: &World, it: &mut Findings) -> Result<(), String> {
    let load = world.load("power-cut", BUSY)?;
    tokio::time::sleep(AROUND * 2).await;
    let victim = victim(world)?.id;
    world.timeline.note(EventKind::Fault, format!("power cut of {victim}"));
    let on_it = OnVictim::from_now(world, &victim).await?;
    let began = world.timeline.now();
    world.region.kill(&victim);
    let serves = |view: &View| view.instances.iter().any(|each| each.id == victim && is_healthy(each));
    world.until("it is missed", 60, |view| !serves(view)).await?;
    let on_it = on_it.until_now(world).await?;
    world.settled(120).await?;
    it.took("power cut to all instances healthy again", world.timeline.now() - began, false);
    tokio::time::sleep(AROUND).await;
    let loaded = world.unload(load).await?;
    at_most_those_on_it(it, &loaded, on_it);
    Ok(())
}

/// The disk that the service logs to is full: it serves on, and logs again when there is room.
pub(super) async fn full_log_disk(world: &World, it: &mut Findings) -> Result<(), String> {
    let victim = victim(world)?.id;
    let run = async |script: &str| {
        let done = world.machines()?.exec(&victim, &["sh", "-c", script]).await;
        done.map_err(|error| error.to_string())
    };
    let lines = "wc -l </var/log/tideline/tideline.log";
    let load = world.load("full-log-disk", super::RATE)?;
    tokio::time::sleep(AROUND * 2).await;
    world.timeline.note(EventKind::Fault, format!("the log disk of {victim} is full"));
    run("cat /dev/zero >/var/log/full 2>/dev/null; true").await?;
    let room = run("df --output=avail /var/log | tail -n 1").await?;
    it.check("there is no room left", format!("{} KiB", room.trim()), room.trim() == "0");
    tokio::time::sleep(AROUND * 2).await;
    world.timeline.note(EventKind::Fault, "there is room on it again");
    run("rm /var/log/full").await?;
    let count = |text: String| text.trim().parse::<u64>().map_err(|_| format!("no number of lines: {text}"));
    let before = count(run(lines).await?)?;
    tokio::time::sleep(AROUND).await;
    let after = count(run(lines).await?)?;
    it.check("it logs again", format!("{before} → {after} lines"), after > before);
    let view = world.view()?;
    it.check(
        "the instance was not replaced",
        victim.clone(),
        view.instances.iter().any(|each| each.id == victim && is_healthy(each)),
    );
    none_failed(it, &world.unload(load).await?);
    Ok(())
}

/// The table cannot be reached: the service says so at once, no instance is replaced for it, and it serves when it is back.
pub(super) async fn no_dynamodb(world: &World, it: &mut Findings) -> Result<(), String> {
    let ids = |view: &View| view.instances.iter().map(|each| each.id.clone()).collect::<Vec<_>>();
    let before = ids(&world.settled(60).await?);
    let load = world.load("no-dynamodb", super::RATE)?;
    tokio::time::sleep(AROUND * 2).await;
    world.timeline.note(EventKind::Fault, "DynamoDB is gone");
    let gone = world.timeline.now();
    world.region.dynamodb(false);
    tokio::time::sleep(OUTAGE).await;
    let health = world.ask("/health").await?.status();
    it.check("instances stay healthy", health.to_string(), health.is_success());
    world.region.dynamodb(true);
    let back = world.timeline.now();
    world.timeline.note(EventKind::Fault, "DynamoDB is back");
    tokio::time::sleep(AROUND * 3).await;
    let after = ids(&world.settled(60).await?);
    it.check("no instance was replaced", format!("{} instances", after.len()), after == before);
    let loaded = world.unload(load).await?;
    let at = |second: &Second| world.timeline.at_unix(loaded.began) + second.at;
    let during: Vec<_> = loaded.rows.iter().filter(|row| at(row) > gone + 5.0 && at(row) < back).collect();
    let slowest = during.iter().filter_map(|row| row.p99).fold(0.0, f64::max);
    it.check(
        "meanwhile it answers at once",
        format!("p99 of the slowest second {slowest:.0} ms"),
        !during.is_empty() && slowest < 2_000.0,
    );
    let last = loaded.rows.iter().filter(|row| row.failed > 0).map(at).fold(back, f64::max);
    it.check(
        "it serves again by itself",
        format!("the last failure {:.0} s after its return", last - back),
        last - back < 10.0,
    );
    it.took("DynamoDB's return to the last failure", last - back, false);
    Ok(())
}
