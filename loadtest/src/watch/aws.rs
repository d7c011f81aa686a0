//! The Auto Scaling group beside the load: what it wants, what it has, why; its CPU; its targets' health.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_autoscaling::Client as AutoScaling;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_elasticloadbalancingv2::Client as Balancing;
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;

use super::{EVERY, Watched};
use crate::target::chain;

/// CPU is asked for this far back: with detailed monitoring a datapoint a minute, some minutes late.
const CPU_WINDOW: Duration = Duration::from_secs(5 * 60);

/// An Auto Scaling group and the clients that ask about it.
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
    scaling: AutoScaling,
    metrics: CloudWatch,
    balancing: Balancing,
}

impl Group {
    /// The group of this name, in the account and region that the environment says.
    pub async fn find(name: &str) -> Result<Self, String> {
        let config: SdkConfig = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let group = Self {
            name: name.to_owned(),
            scaling: AutoScaling::new(&config),
            metrics: CloudWatch::new(&config),
            balancing: Balancing::new(&config),
        };
        group.describe().await?;
        Ok(group)
    }

    async fn describe(&self) -> Result<aws_sdk_autoscaling::types::AutoScalingGroup, String> {
        let answer = self.scaling.describe_auto_scaling_groups().auto_scaling_group_names(&self.name).send().await;
        let groups = answer.map_err(|error| said(&error))?.auto_scaling_groups.unwrap_or_default();
        let none = || format!("there is no Auto Scaling group {:?} in this account and region", self.name);
        groups.into_iter().next().ok_or_else(none)
    }

    /// Whether its instances send a datapoint a minute. Without, scaling out takes a quarter of an hour.
    pub async fn has_detailed_monitoring(&self) -> Result<bool, String> {
        // Its launch template says so, which only EC2 could tell; CloudWatch shows what comes of it.
        Ok(self.cpu_points().await?.len() > 2)
    }

    async fn cpu_points(&self) -> Result<Vec<(SystemTime, f64)>, String> {
        let now = SystemTime::now();
        let dimension = Dimension::builder().name("AutoScalingGroupName").value(&self.name).build();
        let answer = self
            .metrics
            .get_metric_statistics()
            .namespace("AWS/EC2")
            .metric_name("CPUUtilization")
            .dimensions(dimension)
            .start_time((now - CPU_WINDOW).into())
            .end_time(now.into())
            .period(60)
            .statistics(Statistic::Average)
            .send()
            .await
            .map_err(|error| said(&error))?;
        let points = answer.datapoints.unwrap_or_default();
        let mut points: Vec<(SystemTime, f64)> = points
            .into_iter()
            .filter_map(|point| Some((SystemTime::try_from(point.timestamp?).ok()?, point.average?)))
            .collect();
        points.sort_unstable_by_key(|(at, _)| *at);
        Ok(points)
    }

    /// Looks again and again.
    pub async fn watch(self, watched: Watched) {
        let mut ticks = tokio::time::interval(EVERY);
        // Activities of before the run are not the run's.
        let mut known = self.activities().await.unwrap_or_default().into_iter().map(|(id, _)| id).collect();
        let mut trouble = None;
        loop {
            ticks.tick().await;
            let error = self.look(&watched, &mut known).await.err();
            // Once, however long it lasts.
            if let Some(error) = error.as_ref().filter(|_| error != trouble) {
                watched.event(format!("the Auto Scaling group did not say how it is: {error}"));
            }
            trouble = error;
        }
    }

    /// Everything is asked, also where one answer fails: of those that fail the first is told.
    async fn look(&self, watched: &Watched, known: &mut HashSet<String>) -> Result<(), String> {
        let activities = self.activities().await.map(|activities| {
            for (id, text) in activities {
                if known.insert(id) {
                    watched.event(text);
                }
            }
        });
        let cpu = self.cpu_points().await.map(|points| {
            if let Some((_, cpu)) = points.last() {
                watched.update(|seen| seen.fleet_cpu = Some(*cpu));
            }
        });
        let group = self.describe().await?;
        let in_service = group
            .instances()
            .iter()
            .filter(|instance| instance.lifecycle_state().is_some_and(|state| state.as_str() == "InService"));
        let in_service = in_service.count() as u64;
        let desired = group.desired_capacity().and_then(|count| u64::try_from(count).ok());
        watched.update(|seen| (seen.desired, seen.in_service) = (desired, Some(in_service)));
        let healthy = self.healthy(group.target_group_arns()).await?;
        watched.update(|seen| seen.healthy = healthy);
        activities.and(cpu)
    }

    /// The healthy targets of the group's target groups; none where it has no target group.
    async fn healthy(&self, target_groups: &[String]) -> Result<Option<u64>, String> {
        let mut healthy = None;
        for arn in target_groups {
            let answer = self.balancing.describe_target_health().target_group_arn(arn).send().await;
            let targets = answer.map_err(|error| said(&error))?.target_health_descriptions.unwrap_or_default();
            let well = targets.iter().filter(|target| {
                let state = target.target_health().and_then(|health| health.state());
                state == Some(&TargetHealthStateEnum::Healthy)
            });
            *healthy.get_or_insert(0) += well.count() as u64;
        }
        Ok(healthy)
    }

    /// The last scaling activities, the oldest first: id, and what happened and why.
    async fn activities(&self) -> Result<Vec<(String, String)>, String> {
        let answer = self.scaling.describe_scaling_activities().auto_scaling_group_name(&self.name).max_records(20);
        let activities = answer.send().await.map_err(|error| said(&error))?.activities.unwrap_or_default();
        let text = |activity: aws_sdk_autoscaling::types::Activity| {
            let (what, why) = (activity.description.unwrap_or_default(), activity.cause.unwrap_or_default());
            Some((activity.activity_id?, format!("{what}: {why}")))
        };
        Ok(activities.into_iter().rev().filter_map(text).collect())
    }
}

/// An answer that is an error, in AWS's words; or why there was none.
fn said<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => chain(error),
    }
}
