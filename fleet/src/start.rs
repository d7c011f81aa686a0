//! What an instance refresh is started with.

use std::time::Duration;

use aws_sdk_autoscaling::types::{
    AlarmSpecification, DesiredConfiguration, LaunchTemplate, LaunchTemplateSpecification, MixedInstancesPolicy,
    RefreshPreferences, ScaleInProtectedInstances, StandbyInstances,
};
use serde_json::json;

use crate::error::{Error, Kind};
use crate::group::Group;
use crate::refresh::{self, Refresh};
use crate::session::Session;
use crate::version::TemplateVersion;

/// How many per cent of the desired instances run while they are replaced, where the group's maintenance policy does not say
/// that more than all of them may: one new for every two.
const MAX_HEALTHY: i32 = 150;

/// The most that AWS takes beside a minimum of 100.
const MOST_HEALTHY: i32 = 200;

/// How a version is to be brought to the fleet.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Alarms that take the refresh back.
    pub alarms: Vec<String>,
    /// How long they are watched once every instance is replaced.
    pub bake: Duration,
    /// Whether instances that are as desired already stay.
    pub skip_matching: bool,
    /// Whether a refresh that fails goes back by itself.
    pub auto_rollback: bool,
}

/// Starts a refresh of `group` to `to` and gives its id. One to the same version that somebody else has just started, or that
/// an unanswered call of ours did, is as good.
pub async fn start(session: &Session, group: &Group, to: TemplateVersion, wishes: &Wishes) -> Result<String, Error> {
    let desired = desired(group, to);
    let preferences = preferences(group, wishes);
    let call = || session.aws.start_refresh(&session.group, desired.clone(), preferences.clone());
    let unknown = |error: Error| {
        let advice = "whether the refresh was started is not known";
        error.and(&format!("{advice}: tideline-fleet status --group {} shows it", session.group))
    };
    let id = match session.ask(call).await.map_err(unknown)? {
        Ok(id) => id,
        Err(fault) if fault.code == "InstanceRefreshInProgress" => {
            let running = running(&session.refreshes().await?).cloned();
            let Some(running) = running else {
                return Err(Error::new(Kind::InProgress, format!("{}; try again", fault.text)));
            };
            if running.to != Some(to.to_string()) {
                return Err(refresh::in_progress(&running, &session.group));
            }
            running.id
        }
        Err(fault) => return Err(Error::from(fault)),
    };
    let text = format!("refresh {id} of {} to version {to} has begun", session.group);
    session.report.event("started", &text, json!({"group": session.group, "refresh_id": id, "to": to.to_string()}));
    Ok(id)
}

/// The refresh that is not over.
pub fn running(refreshes: &[Refresh]) -> Option<&Refresh> {
    refreshes.iter().find(|refresh| !refresh.status.is_over())
}

/// The group's own template, or its own mixed-instances policy, at this version.
fn desired(group: &Group, to: TemplateVersion) -> DesiredConfiguration {
    let template = LaunchTemplateSpecification::builder().set_launch_template_id(group.template.clone());
    let template = template.version(to.to_string()).build();
    let desired = DesiredConfiguration::builder();
    match &group.mixed {
        None => desired.launch_template(template).build(),
        Some(policy) => desired.mixed_instances_policy(at(policy, template)).build(),
    }
}

fn at(policy: &MixedInstancesPolicy, template: LaunchTemplateSpecification) -> MixedInstancesPolicy {
    let mut policy = policy.clone();
    let mut launch = policy.launch_template.unwrap_or_else(|| LaunchTemplate::builder().build());
    launch.launch_template_specification = Some(template);
    for other in launch.overrides.iter_mut().flatten() {
        // AWS describes a template with id and name, and takes but one of them.
        if let Some(specification) = &mut other.launch_template_specification
            && specification.launch_template_id.is_some()
        {
            specification.launch_template_name = None;
        }
    }
    policy.launch_template = Some(launch);
    policy
}

fn preferences(group: &Group, wishes: &Wishes) -> RefreshPreferences {
    let preferences = RefreshPreferences::builder()
        // A maximum above 100 is what makes it launch before it terminates, whatever the minimum says.
        .min_healthy_percentage(100)
        .max_healthy_percentage(max_healthy(group))
        .auto_rollback(wishes.auto_rollback)
        .skip_matching(wishes.skip_matching)
        // AWS would wait an hour for somebody to end the protection, and fail then.
        .scale_in_protected_instances(ScaleInProtectedInstances::Refresh)
        .standby_instances(StandbyInstances::Ignore);
    if wishes.alarms.is_empty() {
        return preferences.build();
    }
    let alarms = AlarmSpecification::builder().set_alarms(Some(wishes.alarms.clone())).build();
    let bake = i32::try_from(wishes.bake.as_secs()).unwrap_or(i32::MAX);
    preferences.alarm_specification(alarms).bake_time(bake).build()
}

fn max_healthy(group: &Group) -> i32 {
    group.max_healthy_percent.filter(|percent| *percent > 100).unwrap_or(MAX_HEALTHY).min(MOST_HEALTHY)
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{InstancesDistribution, LaunchTemplateOverrides};

    use super::*;
    use crate::group::tests::group;

    fn wishes(alarms: &[&str]) -> Wishes {
        Wishes {
            alarms: alarms.iter().map(ToString::to_string).collect(),
            bake: Duration::from_secs(180),
            skip_matching: true,
            auto_rollback: true,
        }
    }

    #[test]
    fn it_launches_before_it_terminates() {
        for (policy, sent) in [(Some(120), 120), (Some(100), 150), (None, 150), (Some(300), 200)] {
            let group = Group { max_healthy_percent: policy, ..group("6", &[]) };
            let preferences = preferences(&group, &wishes(&[]));
            assert_eq!(
                (preferences.min_healthy_percentage, preferences.max_healthy_percentage),
                (Some(100), Some(sent))
            );
        }
    }

    #[test]
    fn alarms_are_watched_and_baked_for() {
        let sent = preferences(&group("6", &[]), &wishes(&["5xx"]));
        assert_eq!(sent.alarm_specification().unwrap().alarms(), ["5xx"]);
        assert_eq!((sent.bake_time, sent.auto_rollback, sent.skip_matching), (Some(180), Some(true), Some(true)));
        let sent = preferences(&group("6", &[]), &wishes(&[]));
        assert_eq!((sent.alarm_specification, sent.bake_time), (None, None));
    }

    #[test]
    fn the_template_goes_by_id_and_number() {
        let desired = desired(&group("6", &[]), "7".parse().unwrap());
        let template = desired.launch_template().unwrap();
        assert_eq!((template.launch_template_id(), template.version()), (Some("lt-1"), Some("7")));
        assert_eq!(template.launch_template_name(), None);
        assert!(desired.mixed_instances_policy().is_none());
    }

    #[test]
    fn a_mixed_group_keeps_its_policy() {
        let described = |version: &str| {
            let template = LaunchTemplateSpecification::builder().launch_template_id("lt-1").version(version);
            template.launch_template_name("tideline").build()
        };
        let arm =
            LaunchTemplateSpecification::builder().launch_template_id("lt-2").launch_template_name("arm").version("3");
        let other =
            LaunchTemplateOverrides::builder().instance_type("t4g.small").launch_template_specification(arm.build());
        let launch = LaunchTemplate::builder().launch_template_specification(described("6")).overrides(other.build());
        let distribution = InstancesDistribution::builder().on_demand_base_capacity(1).build();
        let policy = MixedInstancesPolicy::builder().launch_template(launch.build());
        let policy = policy.instances_distribution(distribution.clone()).build();
        let group = Group { mixed: Some(policy), ..group("6", &[]) };

        let desired = desired(&group, "7".parse().unwrap());
        assert!(desired.launch_template().is_none(), "AWS takes one or the other");
        let policy = desired.mixed_instances_policy().unwrap();
        assert_eq!(policy.instances_distribution(), Some(&distribution));
        let launch = policy.launch_template().unwrap();
        let template = launch.launch_template_specification().unwrap();
        assert_eq!((template.version(), template.launch_template_name()), (Some("7"), None));
        let other = launch.overrides()[0].launch_template_specification().unwrap();
        assert_eq!((other.version(), other.launch_template_name()), (Some("3"), None));
    }
}
