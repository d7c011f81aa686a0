//! Nothing is left.

use super::{Findings, GROUP, World};
use crate::rehearse::checkout::last_lines;

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
