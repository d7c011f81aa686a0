//! The two ends: from nothing to a fleet that serves, and back to nothing.

use std::collections::BTreeSet;

use hyper::StatusCode;

use super::{Findings, GROUP, World, all_run, none_failed};
use crate::rehearse::checkout::last_lines;
use crate::rehearse::load::Load;

/// `make build-app`: build, bake, apply, wait.
pub(super) async fn build_app(world: &World, it: &mut Findings) -> Result<(), String> {
    world.timeline.names(1, world.checkout.version());
    let said = world.makes("build-app", "build-app", &[]).await?;
    let url = format!("http://{}", world.listener.ip());
    let last = last_lines(&said, 1);
    it.check("its last line is the URL", last.clone(), last == url);
    // One that was launched before there was a load balancer may have been replaced.
    let view = world.settled(120).await?;
    all_run(it, &view, "1");
    let zones: BTreeSet<&str> = view.instances.iter().map(|instance| instance.zone.as_str()).collect();
    it.check("the instances are in different zones", format!("{zones:?}"), zones.len() == view.instances.len().min(2));
    let serves = world.serves().await?;
    it.check("what serves is what was built", serves.clone(), serves == world.checkout.version());
    Ok(())
}

/// `make load-test PROFILE=smoke`: does everything work?
pub(super) async fn smoke(world: &World, it: &mut Findings) -> Result<(), String> {
    let loaded = Load::of(&world.checkout, "smoke", "smoke", "--duration 10s")?.counted().await?;
    world.timeline.add(&loaded);
    none_failed(it, &loaded);
    Ok(())
}

/// The page, as a browser gets it.
pub(super) async fn page(world: &World, it: &mut Findings) -> Result<(), String> {
    let answer = world.ask("/").await?;
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    it.check(
        "it is HTML",
        format!("{} {kind}", answer.status()),
        answer.status() == StatusCode::OK && kind.starts_with("text/html"),
    );
    let named = String::from_utf8_lossy(answer.body()).contains("<title>Tideline");
    it.check("it is Tideline's", format!("{} bytes", answer.body().len()), named);
    let metrics = world.ask("/metrics").await?.status();
    it.check("the metrics are not everybody's", metrics.to_string(), metrics == StatusCode::NOT_FOUND);
    Ok(())
}

/// `make destroy`.
pub(super) async fn destroy(world: &World, it: &mut Findings) -> Result<(), String> {
    world.waits();
    let said = world.makes("destroy", "destroy", &[("CONFIRM", GROUP)]).await;
    world.works();
    let said = last_lines(&said?, 1);
    it.check("it says that nothing is left", said.clone(), said.starts_with("Nothing is left"));
    it.check("there is no group", GROUP, world.region.observe(GROUP).is_none());
    let machines = world.machines()?.list().await.map_err(|error| error.to_string())?;
    it.check("there is no machine", format!("{machines:?}"), machines.is_empty());
    Ok(())
}
