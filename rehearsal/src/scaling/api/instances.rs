//! Instances, by hand.

use super::{Answer, Group, group, page};
use crate::protocol::{Failure, Tree};
use crate::scaling::instance::{Illness, Instance};
use crate::scaling::{Lifecycle, Scaling, World, since};

pub(super) fn describe(scaling: &Scaling, parameters: &Tree) -> Answer {
    let ids = parameters.texts("InstanceIds");
    let wanted = |it: &&Instance| it.id.as_ref().is_some_and(|id| ids.is_empty() || ids.contains(id));
    let all = scaling
        .groups
        .values()
        .flat_map(|group| group.instances.iter().filter(wanted).map(|it| it.tree(Some(&group.name))));
    page("AutoScalingInstances", all.collect(), parameters)
}

fn with_id<'a>(group: &'a mut Group, id: &str) -> Option<&'a mut Instance> {
    group.instances.iter_mut().find(|it| it.id.as_deref() == Some(id))
}

fn missing(id: &str) -> Failure {
    Failure::validation(format!("Instance Id not found - No managed instance found for instance ID: {id}"))
}

/// The group that has the instance.
fn owner<'a>(scaling: &'a mut Scaling, id: &str) -> Result<&'a mut Group, Failure> {
    let has = |group: &&mut Group| group.instances.iter().any(|it| it.id.as_deref() == Some(id));
    scaling.groups.values_mut().find(has).ok_or_else(|| missing(id))
}

pub(super) fn terminate(scaling: &mut Scaling, parameters: &Tree, world: &mut World<'_>) -> Answer {
    let id = parameters.required("InstanceId")?;
    parameters.required("ShouldDecrementDesiredCapacity")?;
    let decrement = parameters.flag("ShouldDecrementDesiredCapacity")?.unwrap_or(false);
    let group = owner(scaling, id)?;
    if decrement && group.desired <= group.min {
        return Err(Failure::validation(format!(
            "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate group's min size \
             constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
            group.min
        )));
    }
    if decrement {
        group.desired -= 1;
    }
    let at = humantime::format_rfc3339_seconds(world.now);
    let ticket = with_id(group, id).map(|it| it.ticket).unwrap_or_default();
    let cause = format!("At {at} instance {id} was taken out of service in response to a user request.");
    let activity = group.terminate(world, ticket, cause);
    let tree = group.activities.tree(activity, &group.name, &group.arn);
    Ok(Tree::new().maybe_with("Activity", tree.as_ref()))
}

pub(super) fn set_health(scaling: &mut Scaling, parameters: &Tree, world: &mut World<'_>) -> Answer {
    let id = parameters.required("InstanceId")?;
    let illness = match parameters.required("HealthStatus")? {
        "Healthy" => None,
        "Unhealthy" => Some(Illness::Custom),
        other => return Err(Failure::validation(format!("HealthStatus must be Healthy or Unhealthy, not {other}"))),
    };
    let respects = parameters.flag("ShouldRespectGracePeriod")?.unwrap_or(true);
    let group = owner(scaling, id)?;
    let grace = group.grace();
    if let Some(it) = with_id(group, id) {
        let young = it.in_service.is_none_or(|at| since(at, world.now) < grace);
        if !(respects && young && illness.is_some()) {
            it.illness = illness;
        }
    }
    Ok(Tree::new())
}

pub(super) fn protect(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    parameters.required("ProtectedFromScaleIn")?;
    let protected = parameters.flag("ProtectedFromScaleIn")?.unwrap_or(false);
    let group = group(scaling, parameters)?;
    for id in parameters.texts("InstanceIds") {
        with_id(group, &id).ok_or_else(|| missing(&id))?.protected = protected;
    }
    Ok(Tree::new())
}

pub(super) fn enter_standby(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    parameters.required("ShouldDecrementDesiredCapacity")?;
    let decrement = parameters.flag("ShouldDecrementDesiredCapacity")?.unwrap_or(false);
    let group = group(scaling, parameters)?;
    for id in parameters.texts("InstanceIds") {
        let it = with_id(group, &id).ok_or_else(|| missing(&id))?;
        if it.lifecycle != Lifecycle::InService {
            return Err(Failure::validation(format!("The instance {id} is not in InService.")));
        }
        it.lifecycle = Lifecycle::Standby;
        if decrement {
            group.desired = group.desired.saturating_sub(1).max(group.min);
        }
    }
    Ok(Tree::new().with("Activities", Tree::new()))
}

/// Which adds to the desired capacity, as on AWS.
pub(super) fn exit_standby(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let group = group(scaling, parameters)?;
    for id in parameters.texts("InstanceIds") {
        let it = with_id(group, &id).ok_or_else(|| missing(&id))?;
        if it.lifecycle != Lifecycle::Standby {
            return Err(Failure::validation(format!("The instance {id} is not in Standby.")));
        }
        it.lifecycle = Lifecycle::InService;
        group.desired = (group.desired + 1).min(group.max);
    }
    Ok(Tree::new().with("Activities", Tree::new()))
}
