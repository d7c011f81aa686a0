//! Instance refreshes.

use std::time::SystemTime;

use super::{Answer, group, page};
use crate::protocol::{Failure, Tree};
use crate::scaling::Scaling;

fn id(id: String) -> Tree {
    Tree::new().set("InstanceRefreshId", id)
}

pub(super) fn start(scaling: &mut Scaling, parameters: &Tree, now: SystemTime) -> Answer {
    let next = scaling.next;
    group(scaling, parameters)?.start_refresh(parameters, next, now).map(id)
}

pub(super) fn cancel(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let wait = parameters.flag("WaitForTransitioningInstances")?.unwrap_or(true);
    group(scaling, parameters)?.cancel_refresh(wait).map(id)
}

pub(super) fn rollback(scaling: &mut Scaling, parameters: &Tree, now: SystemTime) -> Answer {
    let next = scaling.next;
    group(scaling, parameters)?.rollback_refresh(next, now).map(id)
}

/// The newest first.
pub(super) fn describe(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let ids = parameters.texts("InstanceRefreshIds");
    let group = group(scaling, parameters)?;
    if let Some(unknown) = ids.iter().find(|id| !group.refreshes.iter().any(|refresh| &refresh.id == *id)) {
        return Err(Failure::validation(format!("No instance refresh found with the id {unknown}")));
    }
    let wanted = group.refreshes.iter().rev().filter(|refresh| ids.is_empty() || ids.contains(&refresh.id));
    page("InstanceRefreshes", wanted.map(|refresh| refresh.tree(&group.name)).collect(), parameters)
}
