//! The actions of EC2 Auto Scaling: one row each.

mod groups;
mod instances;
mod policies;
mod refreshes;
mod tags;

use super::{Group, Scaling, World};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree};

type Answer = Result<Tree, Failure>;

/// Does what a call asks. An action that is not here is refused by name.
pub(super) fn call(scaling: &mut Scaling, call: &Call, world: &mut World<'_>) -> Answer {
    let parameters = &call.parameters;
    match call.action.as_str() {
        "CreateAutoScalingGroup" => groups::create(scaling, parameters, world),
        "UpdateAutoScalingGroup" => groups::update(scaling, parameters, world),
        "DeleteAutoScalingGroup" => groups::delete(scaling, parameters, world),
        "DescribeAutoScalingGroups" => groups::describe(scaling, parameters),
        "SetDesiredCapacity" => groups::set_desired(scaling, parameters, world),
        "SuspendProcesses" => groups::suspend(scaling, parameters),
        "ResumeProcesses" => groups::resume(scaling, parameters),
        "EnableMetricsCollection" => groups::enable_metrics(scaling, parameters),
        "DisableMetricsCollection" => groups::disable_metrics(scaling, parameters),
        "AttachLoadBalancerTargetGroups" => groups::attach(scaling, parameters, "TargetGroupARNs"),
        "DetachLoadBalancerTargetGroups" => groups::detach(scaling, parameters, "TargetGroupARNs"),
        "DescribeLoadBalancerTargetGroups" => groups::target_groups(scaling, parameters),
        "AttachTrafficSources" => groups::attach(scaling, parameters, "TrafficSources"),
        "DetachTrafficSources" => groups::detach(scaling, parameters, "TrafficSources"),
        "DescribeTrafficSources" => groups::traffic_sources(scaling, parameters),
        "DescribeScalingActivities" => groups::activities(scaling, parameters),
        "PutWarmPool" => groups::put_warm_pool(scaling, parameters),
        "DescribeWarmPool" => groups::describe_warm_pool(scaling, parameters),
        "DeleteWarmPool" => groups::delete_warm_pool(scaling, parameters),
        "DescribeAutoScalingInstances" => instances::describe(scaling, parameters),
        "TerminateInstanceInAutoScalingGroup" => instances::terminate(scaling, parameters, world),
        "SetInstanceHealth" => instances::set_health(scaling, parameters, world),
        "SetInstanceProtection" => instances::protect(scaling, parameters),
        "EnterStandby" => instances::enter_standby(scaling, parameters),
        "ExitStandby" => instances::exit_standby(scaling, parameters),
        "PutScalingPolicy" => policies::put(scaling, parameters),
        "DescribePolicies" => policies::describe(scaling, parameters),
        "DeletePolicy" => policies::delete(scaling, parameters),
        "PutScheduledUpdateGroupAction" => policies::put_schedule(scaling, parameters, world.now),
        "DescribeScheduledActions" => policies::describe_schedules(scaling, parameters),
        "DeleteScheduledAction" => policies::delete_schedule(scaling, parameters),
        "CreateOrUpdateTags" => tags::create(scaling, parameters),
        "DeleteTags" => tags::delete(scaling, parameters),
        "DescribeTags" => tags::describe(scaling, parameters),
        "StartInstanceRefresh" => refreshes::start(scaling, parameters, world.now),
        "DescribeInstanceRefreshes" => refreshes::describe(scaling, parameters),
        "CancelInstanceRefresh" => refreshes::cancel(scaling, parameters),
        "RollbackInstanceRefresh" => refreshes::rollback(scaling, parameters, world.now),
        action => Err(Failure::new(
            "InvalidAction",
            format!("The action {action} of Auto Scaling is not modelled by the pretend region"),
        )),
    }
}

/// The group that a call names.
fn group<'a>(scaling: &'a mut Scaling, parameters: &Tree) -> Result<&'a mut Group, Failure> {
    scaling.group_mut(parameters.required("AutoScalingGroupName")?)
}

/// A page of a list, under `name`, with the token of the next one.
fn page(name: &str, all: Vec<Tree>, parameters: &Tree) -> Answer {
    let most = parameters.number::<usize>("MaxRecords")?.unwrap_or(50).clamp(1, 100);
    let from = parameters.text("NextToken").map_or(Ok(0), str::parse::<usize>);
    let from = from.map_err(|_| Failure::new("InvalidNextToken", "The token is not one that was given out"))?;
    let next = (all.len() > from + most).then_some(from + most);
    Ok(Tree::new().with(name, Tree::list(all.into_iter().skip(from).take(most))).maybe("NextToken", next))
}
