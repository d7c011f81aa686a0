//! The calls to AWS, each with a bound of its own. What is asked again, and for how long, is the session's business.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_autoscaling::Client as AutoScaling;
use aws_sdk_autoscaling::config::ProvideCredentials;
use aws_sdk_autoscaling::types::{DesiredConfiguration, RefreshPreferences, RefreshStrategy, Tag};
use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_cloudwatch::types::AlarmType;
use aws_sdk_elasticloadbalancingv2::Client as Balancing;
use serde::Serialize;

use crate::ec2::Ec2;
use crate::error::{Error, Kind};
use crate::fault::{Fault, Trouble};
use crate::group::{Group, Note};
use crate::refresh::Refresh;
use crate::time;

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
/// One call with the SDK's own tries.
const CALL: Duration = Duration::from_secs(30);
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A set of credentials may come from a process, a file, SSO's cache or the instance's metadata.
const CREDENTIALS: Duration = Duration::from_secs(20);

/// Scaling activities that are looked through for the time of a launch; AWS gives no more in one answer.
const ACTIVITIES: i32 = 100;

/// The clients of one account and region.
#[derive(Debug, Clone)]
pub struct Aws {
    scaling: AutoScaling,
    balancing: Balancing,
    metrics: CloudWatch,
    /// EC2, by another way.
    pub ec2: Ec2,
}

/// A CloudWatch alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
}

/// The health of a target and why, in the balancer's words.
pub type TargetHealth = (String, Option<String>);

impl Aws {
    /// Clients with what the environment says: region, credentials, endpoint. Fails where one of them is missing.
    pub async fn connect() -> Result<Self, Error> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL);
        let retries = RetryConfig::standard().with_max_attempts(TRIES);
        let retries = retries.with_initial_backoff(FIRST_PAUSE).with_max_backoff(LONGEST_PAUSE);
        let loader = aws_config::defaults(BehaviorVersion::latest());
        let config = loader.timeout_config(timeouts.build()).retry_config(retries).load().await;
        let region = config.region().map(ToString::to_string).ok_or_else(|| {
            Error::refused("no AWS region is set: export AWS_REGION, such as AWS_REGION=eu-central-1")
        })?;
        credentials(&config).await?;
        Ok(Self {
            scaling: AutoScaling::new(&config),
            balancing: Balancing::new(&config),
            metrics: CloudWatch::new(&config),
            ec2: Ec2 { region },
        })
    }

    /// The group of this name, without its targets' health; `None` where there is none.
    pub async fn group(&self, name: &str) -> Result<Option<Group>, Fault> {
        let call = self.scaling.describe_auto_scaling_groups().auto_scaling_group_names(name);
        let answer = call.send().await.map_err(|error| Fault::of("DescribeAutoScalingGroups", &error))?;
        Ok(answer.auto_scaling_groups().first().map(Group::of))
    }

    /// The health of every target of a target group, by instance.
    pub async fn target_health(&self, target_group: &str) -> Result<HashMap<String, TargetHealth>, Fault> {
        let call = self.balancing.describe_target_health().target_group_arn(target_group);
        let answer = call.send().await.map_err(|error| Fault::of("DescribeTargetHealth", &error))?;
        let health = answer.target_health_descriptions().iter().filter_map(|described| {
            let id = described.target()?.id()?.to_owned();
            let health = described.target_health()?;
            Some((id, (health.state()?.as_str().to_owned(), health.description().map(str::to_owned))))
        });
        Ok(health.collect())
    }

    /// The last instance refreshes, the newest first; with an id, that one alone.
    pub async fn refreshes(&self, group: &str, id: Option<&str>) -> Result<Vec<Refresh>, Fault> {
        let call = self.scaling.describe_instance_refreshes().auto_scaling_group_name(group).max_records(10);
        let call = call.set_instance_refresh_ids(id.map(|id| vec![id.to_owned()]));
        let answer = call.send().await.map_err(|error| Fault::of("DescribeInstanceRefreshes", &error))?;
        Ok(answer.instance_refreshes().iter().map(Refresh::of).collect())
    }

    /// Starts an instance refresh and gives its id.
    pub async fn start_refresh(
        &self,
        group: &str,
        desired: DesiredConfiguration,
        preferences: RefreshPreferences,
    ) -> Result<String, Fault> {
        let call = self.scaling.start_instance_refresh().auto_scaling_group_name(group);
        let call = call.strategy(RefreshStrategy::Rolling).desired_configuration(desired).preferences(preferences);
        let answer = call.send().await.map_err(|error| Fault::of("StartInstanceRefresh", &error))?;
        Ok(answer.instance_refresh_id.unwrap_or_default())
    }

    /// Asks for the end of the refresh in progress.
    pub async fn cancel_refresh(&self, group: &str) -> Result<(), Fault> {
        let call = self.scaling.cancel_instance_refresh().auto_scaling_group_name(group);
        call.send().await.map_err(|error| Fault::of("CancelInstanceRefresh", &error)).map(drop)
    }

    /// Asks that the refresh in progress go back.
    pub async fn rollback_refresh(&self, group: &str) -> Result<(), Fault> {
        let call = self.scaling.rollback_instance_refresh().auto_scaling_group_name(group);
        call.send().await.map_err(|error| Fault::of("RollbackInstanceRefresh", &error)).map(drop)
    }

    /// Writes the note of a rollout into the group's tags.
    pub async fn write_note(&self, group: &str, note: &Note) -> Result<(), Fault> {
        let tag = |(key, value)| {
            let tag = Tag::builder().resource_type("auto-scaling-group").resource_id(group).propagate_at_launch(false);
            tag.key(key).value(value).build()
        };
        let call = self.scaling.create_or_update_tags().set_tags(Some(note.tags().map(tag).into()));
        call.send().await.map_err(|error| Fault::of("CreateOrUpdateTags", &error)).map(drop)
    }

    /// The alarms of these names that exist, composite ones too.
    pub async fn alarms(&self, names: &[String]) -> Result<Vec<Alarm>, Fault> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.metrics.describe_alarms().set_alarm_names(Some(names.to_vec()));
        // CloudWatch leaves composite alarms out unless it is asked for them.
        let call = call.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
        let answer = call.send().await.map_err(|error| Fault::of("DescribeAlarms", &error))?;
        let alarm = |name: Option<&str>, state: Option<&str>| Alarm {
            name: name.unwrap_or_default().to_owned(),
            state: state.unwrap_or("unknown").to_owned(),
        };
        let metric =
            answer.metric_alarms().iter().map(|one| alarm(one.alarm_name(), one.state_value().map(|v| v.as_str())));
        let composite = answer.composite_alarms().iter();
        let composite = composite.map(|one| alarm(one.alarm_name(), one.state_value().map(|v| v.as_str())));
        Ok(metric.chain(composite).collect())
    }

    /// When the group's scaling activities began, with what they say, the newest first.
    pub async fn activities(&self, group: &str) -> Result<Vec<(SystemTime, String)>, Fault> {
        let call = self.scaling.describe_scaling_activities().auto_scaling_group_name(group).max_records(ACTIVITIES);
        let answer = call.send().await.map_err(|error| Fault::of("DescribeScalingActivities", &error))?;
        let activity = |one: &aws_sdk_autoscaling::types::Activity| {
            Some((one.start_time().and_then(time::of)?, one.description()?.to_owned()))
        };
        Ok(answer.activities().iter().filter_map(activity).collect())
    }
}

/// Whether there are credentials: better to know before the first call than from each one's failure.
async fn credentials(config: &SdkConfig) -> Result<(), Error> {
    // This program reads no SSO session itself: what that takes would double it.
    const ADVICE: &str = "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; with SSO: \
                          eval \"$(aws configure export-credentials --format env)\"";
    let none = |why: String| Error::new(Kind::Access, format!("no AWS credentials: {why}; {ADVICE}"));
    let provider = config.credentials_provider().ok_or_else(|| none("no provider".to_owned()))?;
    match tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        // Everything that was tried stands on lines of its own; the first says what came of it.
        Ok(Err(error)) => {
            let text = crate::fault::chain(&error);
            let first = text.lines().next().unwrap_or_default();
            Err(none(first.trim_end_matches(" Attempted:").trim_end_matches('.').to_owned()))
        }
        Err(_) => Err(none(format!("not within {} s", CREDENTIALS.as_secs()))),
    }
}

/// A fault as this program makes it itself.
pub fn no_group(name: &str) -> Fault {
    let text = format!(
        "there is no Auto Scaling group {name:?} in this account and region; terraform output autoscaling_group_name says \
         its name, AWS_REGION and AWS_PROFILE where it is looked for"
    );
    Fault { trouble: Trouble::Refusal, code: String::new(), text }
}
