//! What goes wrong by itself.

use std::time::Duration;

use super::begin::ready_since;
use super::{Findings, World, is_healthy, none_failed};
use crate::InstanceView;
use crate::rehearse::outcome::EventKind;
use crate::rehearse::timeline::monotonic;

/// How long there is a load before and after.
const AROUND: Duration = Duration::from_secs(4);
/// How long DynamoDB is gone.
const OUTAGE: Duration = Duration::from_secs(60);
/// Requests a second while an instance is lost: some are on it at any moment.
const BUSY: u32 = 100;

fn victim(world: &World) -> Result<InstanceView, String> {
    world.view()?.instances.into_iter().find(is_healthy).ok_or_else(|| "no instance is healthy".to_owned())
}

/// Of the requests that failed, that they are no more than were on the victim.
fn at_most_those_in_flight(it: &mut Findings, world: &World, victim: &str, load: (u64, u64), in_flight: u64) {
    let (requests, failed) = load;
    let seen = format!("{failed} of {requests}; {in_flight} were in flight on {victim}");
    let _of = world;
    it.check("at most those in flight on the victim failed", seen, failed <= in_flight && requests > 0);
}

/// The service is killed: systemd starts it again, and its socket keeps who comes meanwhile.
pub(super) async fn kill(world: &World, it: &mut Findings) -> Result<(), String> {
    let load = world.load("kill", BUSY)?;
    tokio::time::sleep(AROUND * 2).await;
    let victim = victim(world)?.id;
    world.timeline.note(EventKind::Fault, format!("kill -9 of the service on {victim}"));
    let in_flight = world.in_flight(&victim);
    let command = ["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "tideline.service"];
    let at = monotonic();
    world.machines()?.exec(&victim, &command).await.map_err(|error| error.to_string())?;
    tokio::time::sleep(AROUND).await;
    let back = ready_since(world, &victim).await?;
    it.check("systemd started it again", format!("{:.2} s later", back - at), back > at);
    it.took("kill -9 to serving again", back - at, false);
    let view = world.settled(60).await?;
    it.check("the instance was not replaced", victim.clone(), view.instances.iter().any(|each| each.id == victim));
    let loaded = world.unload(load).await?;
    at_most_those_in_flight(it, world, &victim, loaded.requests(), in_flight);
    Ok(())
}

/// An instance is gone from one moment to the next.
pub(super) async fn power_cut(world: &World, it: &mut Findings) -> Result<(), String> {
    let load = world.load("power-cut", BUSY)?;
    tokio::time::sleep(AROUND * 2).await;
    let victim = victim(world)?.id;
    world.timeline.note(EventKind::Fault, format!("power cut of {victim}"));
    let in_flight = world.in_flight(&victim);
    let began = world.timeline.now();
    world.region.kill(&victim);
    world.until("it is missed", 60, |view| !view.instances.iter().any(|each| each.id == victim && is_healthy(each))).await?;
    world.settled(120).await?;
    it.took("power cut to all instances healthy again", world.timeline.now() - began, false);
    tokio::time::sleep(AROUND).await;
    let loaded = world.unload(load).await?;
    at_most_those_in_flight(it, world, &victim, loaded.requests(), in_flight);
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
    it.check("the instance was not replaced", victim.clone(), view.instances.iter().any(|each| each.id == victim && is_healthy(each)));
    none_failed(it, &world.unload(load).await?);
    Ok(())
}

/// The table cannot be reached: the service says so at once, no instance is replaced for it, and it serves when it is back.
pub(super) async fn no_dynamodb(world: &World, it: &mut Findings) -> Result<(), String> {
    let ids = |view: &crate::View| view.instances.iter().map(|each| each.id.clone()).collect::<Vec<_>>();
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
    let at = |second: &crate::rehearse::load::Second| world.timeline.at_unix(loaded.began) + second.at;
    let during: Vec<_> = loaded.rows.iter().filter(|row| at(row) > gone + 5.0 && at(row) < back).collect();
    let slowest = during.iter().filter_map(|row| row.p99).fold(0.0, f64::max);
    it.check("meanwhile it answers at once", format!("p99 of the slowest second {slowest:.0} ms"), !during.is_empty() && slowest < 2_000.0);
    let last = loaded.rows.iter().filter(|row| row.failed > 0).map(at).fold(back, f64::max);
    it.check("it serves again by itself", format!("the last failure {:.0} s after its return", last - back), last - back < 10.0);
    it.took("DynamoDB's return to the last failure", last - back, false);
    Ok(())
}
