//! Scaling policies and scheduled actions: kept as they were sent, and given back. What they ask for is done in `tracking.rs` and
//! `schedule.rs`.

use std::time::SystemTime;

use super::{Answer, group, page};
use crate::protocol::{Failure, Tree};
use crate::scaling::Scaling;
use crate::scaling::schedule::Recurrence;

/// More than AWS allows to a group.
const KEPT: usize = 200;

fn full(what: &str) -> Failure {
    Failure::new("LimitExceeded", format!("the group has {KEPT} {what} already"))
}

pub(super) fn put(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let name = parameters.required("PolicyName")?.to_owned();
    let kind = parameters.text("PolicyType").unwrap_or("SimpleScaling").to_owned();
    let (region, account) = (scaling.place.region.clone(), scaling.place.account.clone());
    let group = group(scaling, parameters)?;
    if group.policies.len() >= KEPT && !group.policies.contains_key(&name) {
        return Err(full("policies"));
    }
    let before = group.policies.get(&name);
    let arn = before.and_then(|policy| policy.text("PolicyARN")).map(str::to_owned).unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4();
        format!(
            "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{id}:autoScalingGroupName/{}:policyName/{name}",
            group.name
        )
    });
    let alarms = match (before, kind.as_str()) {
        (Some(policy), "TargetTrackingScaling") => policy.get("Alarms").cloned().unwrap_or_default(),
        (None, "TargetTrackingScaling") => Tree::list(["High", "Low"].map(|side| {
            let alarm = format!("TargetTracking-{}-Alarm{side}-{}", group.name, uuid::Uuid::new_v4());
            let arn = format!("arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}");
            Tree::new().set("AlarmName", alarm).set("AlarmARN", arn)
        })),
        _ => Tree::new(),
    };
    let mut policy = parameters.clone().replace("PolicyType", Tree::leaf(&kind)).set("PolicyARN", &arn);
    if policy.get("Enabled").is_none() {
        policy = policy.set("Enabled", true);
    }
    if let Some(tracking) = policy.get("TargetTrackingConfiguration").cloned()
        && tracking.get("DisableScaleIn").is_none()
    {
        policy = policy.replace("TargetTrackingConfiguration", tracking.set("DisableScaleIn", false));
    }
    group.policies.insert(name, policy.with("Alarms", alarms.clone()));
    Ok(Tree::new().set("PolicyARN", arn).with("Alarms", alarms))
}

pub(super) fn describe(scaling: &Scaling, parameters: &Tree) -> Answer {
    let (names, types) = (parameters.texts("PolicyNames"), parameters.texts("PolicyTypes"));
    let of = parameters.text("AutoScalingGroupName");
    if let Some(name) = of {
        scaling.group(name)?;
    }
    let wanted = |policy: &&Tree| {
        let is = |texts: &[String], name| {
            texts.is_empty() || policy.text(name).is_some_and(|it| texts.iter().any(|one| one == it))
        };
        (is(&names, "PolicyName") || is(&names, "PolicyARN")) && is(&types, "PolicyType")
    };
    let groups = scaling.groups.values().filter(|group| of.is_none_or(|name| name == group.name));
    page(
        "ScalingPolicies",
        groups.flat_map(|group| group.policies.values()).filter(wanted).cloned().collect(),
        parameters,
    )
}

pub(super) fn delete(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let named = parameters.required("PolicyName")?;
    let all = match parameters.text("AutoScalingGroupName") {
        Some(_) => vec![group(scaling, parameters)?],
        None => scaling.groups.values_mut().collect(),
    };
    let is = |policy: &Tree| policy.text("PolicyName") == Some(named) || policy.text("PolicyARN") == Some(named);
    for group in all {
        if group.policies.values().any(&is) {
            group.policies.retain(|_, policy| !is(policy));
            return Ok(Tree::new());
        }
    }
    Err(Failure::validation("No policy found with that name"))
}

pub(super) fn put_schedule(scaling: &mut Scaling, parameters: &Tree, now: SystemTime) -> Answer {
    let name = parameters.required("ScheduledActionName")?.to_owned();
    let (region, account) = (scaling.place.region.clone(), scaling.place.account.clone());
    let group = group(scaling, parameters)?;
    if group.schedules.len() >= KEPT && !group.schedules.contains_key(&name) {
        return Err(full("scheduled actions"));
    }
    let id = uuid::Uuid::new_v4();
    let arn = format!(
        "arn:aws:autoscaling:{region}:{account}:scheduledUpdateGroupAction:{id}:autoScalingGroupName/{}:scheduledActionName/{name}",
        group.name
    );
    let mut schedule = parameters.clone().set("ScheduledActionARN", arn);
    let recurrence = schedule.text("Recurrence").map(Recurrence::read).transpose()?;
    if let (None, Some(recurrence)) = (schedule.text("StartTime"), recurrence) {
        // AWS says when a recurring action comes next.
        let next = humantime::format_rfc3339_seconds(recurrence.next(now)).to_string();
        schedule = schedule.set("StartTime", next);
    }
    group.schedules.insert(name, schedule);
    Ok(Tree::new())
}

pub(super) fn describe_schedules(scaling: &Scaling, parameters: &Tree) -> Answer {
    let (names, of) = (parameters.texts("ScheduledActionNames"), parameters.text("AutoScalingGroupName"));
    let groups = scaling.groups.values().filter(|group| of.is_none_or(|name| name == group.name));
    let all = groups.flat_map(|group| &group.schedules).filter(|(name, _)| names.is_empty() || names.contains(name));
    page("ScheduledUpdateGroupActions", all.map(|(_, schedule)| schedule.clone()).collect(), parameters)
}

pub(super) fn delete_schedule(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let name = parameters.required("ScheduledActionName")?;
    let gone = group(scaling, parameters)?.schedules.remove(name);
    gone.map(|_| Tree::new()).ok_or_else(|| Failure::validation("Scheduled action name not found"))
}
