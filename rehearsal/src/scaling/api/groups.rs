//! Groups, and what is set on them.

use super::{Answer, Group, group, page};
use crate::protocol::{Failure, Tree};
use crate::scaling::{Lifecycle, Scaling, World};

/// Of all processes, those that can be suspended.
const PROCESSES: [&str; 9] = [
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
];

/// What EnableMetricsCollection without names turns on.
const METRICS: [&str; 8] = [
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
];

/// More groups than an account may have by default.
const GROUPS: usize = 500;

pub(super) fn create(scaling: &mut Scaling, parameters: &Tree, world: &mut World<'_>) -> Answer {
    let group = Group::create(parameters, &scaling.place, world.now)?;
    if scaling.groups.contains_key(&group.name) {
        return Err(Failure::new(
            "AlreadyExists",
            format!(
                "AutoScalingGroup by this name already exists - A group with the name {} already exists",
                group.name
            ),
        ));
    }
    if scaling.groups.len() == GROUPS {
        return Err(Failure::new("LimitExceeded", format!("there are {GROUPS} groups already")));
    }
    scaling.groups.insert(group.name.clone(), group);
    Ok(Tree::new())
}

pub(super) fn update(scaling: &mut Scaling, parameters: &Tree, world: &mut World<'_>) -> Answer {
    let place = scaling.place.clone();
    group(scaling, parameters)?.update(parameters, &place, world.now)?;
    Ok(Tree::new())
}

pub(super) fn delete(scaling: &mut Scaling, parameters: &Tree, world: &mut World<'_>) -> Answer {
    let force = parameters.flag("ForceDelete")?.unwrap_or(false);
    let group = group(scaling, parameters)?;
    if !force && group.instances.iter().any(|it| it.lifecycle != Lifecycle::Terminating) {
        return Err(Failure::new(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
        ));
    }
    if !force && !group.instances.is_empty() {
        return Err(Failure::new(
            "ScalingActivityInProgress",
            "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
        ));
    }
    group.deleting = true;
    group.resize(0, 0, 0, world.now)?;
    let tickets: Vec<_> = group.instances.iter().map(|it| it.ticket).collect();
    for ticket in tickets {
        let cause = format!(
            "At {} an instance was taken out of service in response to the group being deleted.",
            humantime::format_rfc3339_seconds(world.now)
        );
        group.terminate(world, ticket, cause);
    }
    scaling.groups.retain(|_, group| !group.is_gone());
    Ok(Tree::new())
}

pub(super) fn describe(scaling: &Scaling, parameters: &Tree) -> Answer {
    let names = parameters.texts("AutoScalingGroupNames");
    let filters: Vec<_> = parameters.members("Filters").collect();
    for filter in &filters {
        let name = filter.required("Name")?;
        if !(name.starts_with("tag:") || matches!(name, "tag-key" | "tag-value")) {
            return Err(Failure::validation(format!("Filter type {name} is not correct.")));
        }
    }
    let wanted = |group: &&Group| {
        (names.is_empty() || names.contains(&group.name)) && filters.iter().all(|filter| has_tag(group, filter))
    };
    page("AutoScalingGroups", scaling.groups.values().filter(wanted).map(Group::tree).collect(), parameters)
}

fn has_tag(group: &Group, filter: &Tree) -> bool {
    let (name, values) = (filter.text("Name").unwrap_or_default(), filter.texts("Values"));
    match (name, name.strip_prefix("tag:")) {
        (_, Some(key)) => group.tags.get(key).is_some_and(|(value, _)| values.contains(value)),
        ("tag-key", _) => group.tags.keys().any(|key| values.contains(key)),
        _ => group.tags.values().any(|(value, _)| values.contains(value)),
    }
}

pub(super) fn set_desired(scaling: &mut Scaling, parameters: &Tree, world: &mut World<'_>) -> Answer {
    parameters.required("DesiredCapacity")?;
    let desired = parameters.number("DesiredCapacity")?.unwrap_or_default();
    let group = group(scaling, parameters)?;
    let (min, max, from) = (group.min, group.max, group.desired);
    group.resize(min, max, desired, world.now)?;
    if desired != from {
        group.reason = Some(format!(
            "At {} a user request explicitly set group desired capacity changing the desired capacity from {from} to {desired}.",
            humantime::format_rfc3339_seconds(world.now)
        ));
    }
    Ok(Tree::new())
}

fn processes(parameters: &Tree) -> Result<Vec<String>, Failure> {
    let named = parameters.texts("ScalingProcesses");
    if let Some(unknown) = named.iter().find(|name| !PROCESSES.contains(&name.as_str())) {
        return Err(Failure::validation(format!("Invalid scaling process: {unknown}")));
    }
    Ok(if named.is_empty() { PROCESSES.map(str::to_owned).to_vec() } else { named })
}

pub(super) fn suspend(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let processes = processes(parameters)?;
    group(scaling, parameters)?.suspended.extend(processes);
    Ok(Tree::new())
}

pub(super) fn resume(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let processes = processes(parameters)?;
    group(scaling, parameters)?.suspended.retain(|process| !processes.contains(process));
    Ok(Tree::new())
}

fn metrics(parameters: &Tree) -> Vec<String> {
    let named = parameters.texts("Metrics");
    if named.is_empty() { METRICS.map(str::to_owned).to_vec() } else { named }
}

pub(super) fn enable_metrics(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    if parameters.required("Granularity")? != "1Minute" {
        return Err(Failure::validation("The only valid granularity is 1Minute"));
    }
    group(scaling, parameters)?.metrics.extend(metrics(parameters));
    Ok(Tree::new())
}

pub(super) fn disable_metrics(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let metrics = metrics(parameters);
    group(scaling, parameters)?.metrics.retain(|metric| !metrics.contains(metric));
    Ok(Tree::new())
}

/// ARNs of target groups, under either of the names that calls have for them.
fn arns(parameters: &Tree, name: &str) -> Vec<String> {
    let named = parameters.members(name).map(|each| each.text("Identifier").unwrap_or(each.as_text()).to_owned());
    named.filter(|arn| !arn.is_empty()).collect()
}

/// Instances that there are are registered with what they were launched with: only those launched later know of a change.
pub(super) fn attach(scaling: &mut Scaling, parameters: &Tree, name: &str) -> Answer {
    let arns = arns(parameters, name);
    let group = group(scaling, parameters)?;
    for arn in arns {
        if !group.target_groups.contains(&arn) {
            group.target_groups.push(arn);
        }
    }
    Ok(Tree::new())
}

pub(super) fn detach(scaling: &mut Scaling, parameters: &Tree, name: &str) -> Answer {
    let arns = arns(parameters, name);
    group(scaling, parameters)?.target_groups.retain(|arn| !arns.contains(arn));
    Ok(Tree::new())
}

/// `InService` once one instance passed its health checks, `Added` before, as the API reference says.
fn attachment(group: &Group) -> &'static str {
    let serves = group.instances.iter().any(|it| it.target == crate::instances::Target::Healthy);
    if serves { "InService" } else { "Added" }
}

pub(super) fn target_groups(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let group = group(scaling, parameters)?;
    let each = |arn: &String| Tree::new().set("LoadBalancerTargetGroupARN", arn).set("State", attachment(group));
    page("LoadBalancerTargetGroups", group.target_groups.iter().map(each).collect(), parameters)
}

pub(super) fn traffic_sources(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let group = group(scaling, parameters)?;
    let each = |arn: &String| {
        Tree::new()
            .set("Identifier", arn)
            .set("TrafficSource", arn)
            .set("Type", "elbv2")
            .set("State", attachment(group))
    };
    page("TrafficSources", group.target_groups.iter().map(each).collect(), parameters)
}

pub(super) fn activities(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let ids = parameters.texts("ActivityIds");
    let of = |group: &Group| group.activities.trees(&group.name, &group.arn);
    let all = match parameters.text("AutoScalingGroupName") {
        // A group that is gone has no activities, which is no error, as on AWS.
        Some(name) => scaling.groups.get(name).map(of).unwrap_or_default(),
        None => scaling.groups.values().flat_map(of).collect(),
    };
    let wanted =
        |activity: &Tree| ids.is_empty() || activity.text("ActivityId").is_some_and(|id| ids.iter().any(|it| it == id));
    page("Activities", all.into_iter().filter(wanted).collect(), parameters)
}

/// The pool's settings are kept; it has no instances here.
pub(super) fn put_warm_pool(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let mut pool = Tree::new();
    for name in ["MaxGroupPreparedCapacity", "MinSize", "PoolState", "InstanceReusePolicy"] {
        pool = pool.maybe_with(name, parameters.get(name).filter(|value| value.as_text() != "-1"));
    }
    for (name, value) in [("MinSize", "0"), ("PoolState", "Stopped")] {
        if pool.get(name).is_none() {
            pool = pool.set(name, value);
        }
    }
    group(scaling, parameters)?.warm_pool = Some(pool);
    Ok(Tree::new())
}

pub(super) fn describe_warm_pool(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let pool = group(scaling, parameters)?.warm_pool.clone();
    Ok(Tree::new().maybe_with("WarmPoolConfiguration", pool.as_ref()).with("Instances", Tree::new()))
}

pub(super) fn delete_warm_pool(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    let pool = group(scaling, parameters)?.warm_pool.take();
    pool.map(|_| Tree::new()).ok_or_else(|| Failure::validation("No warm pool found for the Auto Scaling group"))
}
