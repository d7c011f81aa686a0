//! A region, and the SDKs' clients of it.

use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region as Name, SdkConfig};
use aws_sdk_autoscaling::types::{
    AlarmSpecification, DesiredConfiguration, InstanceRefresh, LaunchTemplateSpecification, MetricType,
    PredefinedMetricSpecification, RefreshPreferences, TargetTrackingConfiguration,
};
use tideline_rehearsal::{Region, Settings};

pub(crate) const TEMPLATE: &str = "lt-0123456789abcdef0";

/// An hour in four seconds, a minute in seventy milliseconds.
pub(crate) async fn region() -> Region {
    Region::start(Settings { speed: 900.0, ..Settings::default() }).await.unwrap()
}

pub(crate) async fn config(region: &Region) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Name::new("eu-west-1"))
        .endpoint_url(region.endpoint())
        .credentials_provider(aws_config_credentials())
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .load()
        .await
}

fn aws_config_credentials() -> aws_sdk_autoscaling::config::Credentials {
    aws_sdk_autoscaling::config::Credentials::new("test", "test", None, None, "test")
}

pub(crate) struct Scaling(pub(crate) aws_sdk_autoscaling::Client);

pub(crate) async fn scaling(region: &Region) -> Scaling {
    Scaling(aws_sdk_autoscaling::Client::new(&config(region).await))
}

pub(crate) fn to(version: &str) -> DesiredConfiguration {
    let template = LaunchTemplateSpecification::builder().launch_template_id(TEMPLATE).version(version).build();
    DesiredConfiguration::builder().launch_template(template).build()
}

/// As the fleet's own rollout asks for.
pub(crate) fn preferences() -> aws_sdk_autoscaling::types::builders::RefreshPreferencesBuilder {
    RefreshPreferences::builder()
        .min_healthy_percentage(100)
        .max_healthy_percentage(150)
        .auto_rollback(true)
        .skip_matching(true)
        .alarm_specification(AlarmSpecification::builder().alarms("tideline-5xx").build())
}

impl Scaling {
    /// Starts a refresh of the group `tideline` to a version; its id.
    pub(crate) async fn start(&self, version: &str, preferences: RefreshPreferences) -> String {
        let request = self.0.start_instance_refresh().auto_scaling_group_name("tideline");
        let started = request.desired_configuration(to(version)).preferences(preferences).send().await.unwrap();
        started.instance_refresh_id.unwrap()
    }

    pub(crate) async fn refresh(&self, id: &str) -> InstanceRefresh {
        let request = self.0.describe_instance_refreshes().auto_scaling_group_name("tideline").instance_refresh_ids(id);
        request.send().await.unwrap().instance_refreshes.unwrap().remove(0)
    }

    /// Waits for a refresh to be in a state, which it had better be within ten seconds.
    pub(crate) async fn until(&self, id: &str, status: &str) -> InstanceRefresh {
        let began = Instant::now();
        loop {
            let refresh = self.refresh(id).await;
            if refresh.status.as_ref().unwrap().as_str() == status {
                return refresh;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "not {status} but {refresh:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn group(&self) -> aws_sdk_autoscaling::types::AutoScalingGroup {
        let request = self.0.describe_auto_scaling_groups().auto_scaling_group_names("tideline");
        request.send().await.unwrap().auto_scaling_groups.unwrap().remove(0)
    }

    /// Causes of all activities, the oldest first.
    pub(crate) async fn causes(&self) -> Vec<String> {
        let request = self.0.describe_scaling_activities().auto_scaling_group_name("tideline");
        let activities = request.send().await.unwrap().activities.unwrap();
        activities.into_iter().rev().map(|activity| activity.cause.unwrap()).collect()
    }
}

/// Keeps the CPU of the group `tideline` at 50 %; the names of the alarms that AWS makes for that.
pub(crate) async fn track(scaling: &Scaling) -> Vec<String> {
    let cpu = PredefinedMetricSpecification::builder().predefined_metric_type(MetricType::AsgAverageCpuUtilization);
    let tracking =
        TargetTrackingConfiguration::builder().predefined_metric_specification(cpu.build()).target_value(50.0);
    let put = scaling.0.put_scaling_policy().auto_scaling_group_name("tideline").policy_name("cpu");
    let put = put.policy_type("TargetTrackingScaling").target_tracking_configuration(tracking.build());
    let alarms = put.send().await.unwrap().alarms.unwrap();
    alarms.into_iter().map(|alarm| alarm.alarm_name.unwrap()).collect()
}

/// The versions of the instances in service, sorted.
pub(crate) fn versions(region: &Region) -> Vec<String> {
    let mut versions: Vec<_> = region
        .instances("tideline")
        .into_iter()
        .filter(|instance| instance.state == "InService")
        .map(|instance| instance.version)
        .collect();
    versions.sort();
    versions
}
