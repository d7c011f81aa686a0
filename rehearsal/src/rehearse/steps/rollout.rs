//! Versions: one that is good, two that are not, and the way back.

use std::time::Duration;

use super::{Findings, World, all_run, none_failed, told};
use crate::View;
use crate::rehearse::checkout::last_lines;
use crate::rehearse::load::Loaded;

/// What the second version is known by afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Deployed {
    /// `ami-…`
    image: String,
}

/// After so long without what it is of, an alarm is off again.
const ALARM: Duration = Duration::from_secs(180);

/// What came of a target that rolls out.
struct RolledOut {
    well: bool,
    said: String,
    loaded: Loaded,
    view: View,
    seconds: f64,
}

/// Makes a target that rolls out. While it builds, bakes and applies, nothing is compressed and nobody asks; from its stage
/// `rollout` on there is a load, until nothing leaves any more.
async fn rolled_out(world: &World, name: &str, target: &str, variables: &[(&str, &str)]) -> Result<RolledOut, String> {
    let mut make = world.checkout.make(name, target, variables)?;
    if target == "deploy" {
        world.follow(&mut make, Some("rollout")).await;
    }
    let load = world.load(name, super::RATE)?;
    let began = world.timeline.now();
    world.waits();
    world.follow(&mut make, None).await;
    let (well, said) = make.end().await?;
    let seconds = world.timeline.now() - began;
    let view = world.settled(120).await;
    world.works();
    if !well {
        // With an alarm that is on, no rollout begins.
        world.passes(ALARM).await?;
    }
    let loaded = world.unload(load).await?;
    Ok(RolledOut { well, said, loaded, view: view?, seconds })
}

/// That a rollout went back by itself, for an alarm.
fn taken_back(it: &mut Findings, done: &RolledOut, alarm: &str) {
    let why =
        done.said.lines().rev().find(|line| line.contains("rolled back")).unwrap_or("it says nothing of going back");
    let passed = !done.well && why.contains(alarm);
    it.check(&format!("make deploy fails: it was rolled back for the alarm {alarm}"), why, passed);
}

/// A good version, by `make deploy`.
pub(super) async fn second(world: &World, it: &mut Findings, deployed: &mut Deployed) -> Result<(), String> {
    let version = world.checkout.commit("The second version").await?;
    world.timeline.names(2, &version);
    let done = rolled_out(world, "deploy-second", "deploy", &[]).await?;
    it.check("make deploy ends well", last_lines(&done.said, 1), done.well);
    none_failed(it, &done.loaded);
    all_run(it, &done.view, "2");
    let serves = world.serves().await?;
    it.check("what serves is what was deployed", serves.clone(), serves == version);
    it.took("rollout, with its bake time", done.seconds, true);
    let image = done.said.lines().rev().find_map(|line| line.split_whitespace().find(|word| word.starts_with("ami-")));
    deployed.image = image.ok_or("make deploy does not say which image it baked")?.trim_matches(',').to_owned();
    Ok(())
}

/// A setting that the service refuses to start with.
pub(super) async fn never_ready(world: &World, it: &mut Findings, deployed: &Deployed) -> Result<(), String> {
    let delay = "TIDELINE_DRAIN_DELAY = ";
    world.checkout.edit("terraform/locals.tf", &format!("{delay}\"5s\""), &format!("{delay}\"five\""))?;
    let version = world.checkout.commit("A setting that is none").await?;
    world.timeline.names(3, &format!("{version} (never ready)"));
    let done = rolled_out(world, "deploy-never-ready", "deploy", &[("IMAGE", &deployed.image)]).await?;
    taken_back(it, &done, "tideline-unhealthy");
    none_failed(it, &done.loaded);
    all_run(it, &done.view, "2");
    it.took("rollout and the way back", done.seconds, true);
    world.checkout.undo().await
}

/// Bakes what `make deploy` then finds, and bakes no more: a fault that no bake notices, a list of documents is an internal error.
pub(super) async fn bake_failing(world: &World) -> Result<(), String> {
    let list = "pub async fn list(app: Arc<App>, request: Request) -> Result<Response, Error> {\n";
    let fails = format!("{list}    return Err(Error::Internal(\"a version that fails\".to_owned()));\n");
    world.checkout.edit("server/src/handlers/data.rs", list, &fails)?;
    let version = world.checkout.commit("A list that fails").await?;
    world.timeline.names(4, &version);
    world.makes("image-failing", "image", &[]).await.map(drop)
}

/// The version that fails, by `make deploy`.
pub(super) async fn failing(world: &World, it: &mut Findings, baked: Result<(), String>) -> Result<(), String> {
    baked?;
    let done = rolled_out(world, "deploy-failing", "deploy", &[]).await?;
    taken_back(it, &done, "tideline-5xx");
    all_run(it, &done.view, "2");
    let (requests, failed) = done.loaded.requests();
    it.check("the load noticed", format!("{failed} of {requests} failed"), failed > 0);
    it.figure(
        "requests that failed before it was taken back",
        100.0 * failed as f64 / requests.max(1) as f64,
        "%",
        false,
    );
    it.took("rollout and the way back", done.seconds, true);
    let after = world.load("after-failing", super::RATE)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    none_failed(it, &world.unload(after).await?);
    Ok(())
}

/// To the first version, by `make rollback`. Without a number there is nothing to do: the last rollout was taken back already.
pub(super) async fn back(world: &World, it: &mut Findings, first: &str) -> Result<(), String> {
    let done = rolled_out(world, "rollback", "rollback", &[("ARGS", "--to 1")]).await?;
    it.check("make rollback ends well", last_lines(&done.said, 1), done.well);
    none_failed(it, &done.loaded);
    all_run(it, &done.view, "1");
    let serves = world.serves().await?;
    it.check("what serves is the first version", format!("{serves}: {}", told(&done.view)), serves == first);
    it.took("rollback", done.seconds, true);
    Ok(())
}
