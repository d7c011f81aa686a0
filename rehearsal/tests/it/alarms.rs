//! DescribeAlarms, which its SDK asks in CBOR.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::operation::describe_alarms::builders::DescribeAlarmsFluentBuilder;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use tideline_rehearsal::{AlarmState, Region, Settings};

use crate::support::{config, region, scaling, track};

#[tokio::test]
async fn alarms_are_what_they_were_set_to() {
    let region = region().await;
    region.alarm("tideline-5xx", AlarmState::Ok);
    region.alarm("tideline-unhealthy", AlarmState::Alarm);
    let alarms = aws_sdk_cloudwatch::Client::new(&config(&region).await);
    let all = alarms.describe_alarms().alarm_name_prefix("tideline-").send().await.unwrap();
    let states: Vec<_> = all
        .metric_alarms()
        .iter()
        .map(|alarm| (alarm.alarm_name().unwrap(), alarm.state_value().unwrap().as_str()))
        .collect();
    assert_eq!(states, [("tideline-5xx", "OK"), ("tideline-unhealthy", "ALARM")]);
    let one = alarms.describe_alarms().alarm_names("tideline-unhealthy").alarm_names("other").send().await.unwrap();
    assert_eq!(one.metric_alarms().len(), 1);
    assert!(one.metric_alarms()[0].state_updated_timestamp().is_some());

    region.throttle("DescribeAlarms", 1);
    let error = alarms.describe_alarms().send().await.unwrap_err();
    assert_eq!(aws_sdk_cloudwatch::error::ProvideErrorMetadata::code(&error), Some("Throttling"));
}

#[tokio::test]
async fn target_tracking_has_two_alarms_for_each_policy() {
    let region = Region::start(Settings { speed: 0.0, ..Settings::default() }).await.unwrap();
    region.group("tideline").create().unwrap();
    region.alarm("tideline-5xx", AlarmState::Ok);
    let scaling = scaling(&region).await;
    let named = track(&scaling).await;
    assert!(named[0].starts_with("TargetTracking-tideline-AlarmHigh-"), "{named:?}");
    assert!(named[1].starts_with("TargetTracking-tideline-AlarmLow-"), "{named:?}");
    let alarms = aws_sdk_cloudwatch::Client::new(&config(&region).await);
    let tracking = || alarms.describe_alarms().alarm_name_prefix("TargetTracking-tideline-");

    assert_eq!(states(tracking()).await, expected(&named, ["INSUFFICIENT_DATA"; 2]));
    for _ in 0..4 {
        region.advance(Duration::from_secs(60));
        region.cpu("tideline", 80.0).unwrap();
    }
    region.advance(Duration::from_secs(1));
    assert_eq!(states(tracking()).await, expected(&named, ["ALARM", "OK"]));
    assert_eq!(states(tracking().state_value(StateValue::Alarm)).await, expected(&named[..1], ["ALARM"]));
    assert_eq!(states(alarms.describe_alarms().alarm_names(&named[1])).await, expected(&named[1..], ["OK"]));
    assert_eq!(states(alarms.describe_alarms().alarm_name_prefix("tideline-")).await.len(), 1);
    assert_eq!(states(alarms.describe_alarms()).await.len(), 3);
    let composite = alarms.describe_alarms().alarm_types(AlarmType::CompositeAlarm);
    assert_eq!(states(composite).await, []);
    // Since the third minute was over.
    let since = tracking().send().await.unwrap().metric_alarms()[0].state_updated_timestamp().unwrap().secs();
    let now = i64::try_from(region.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    assert!((0..=121).contains(&(now - since)), "{since} {now}");

    scaling.0.delete_auto_scaling_group().auto_scaling_group_name("tideline").force_delete(true).send().await.unwrap();
    region.advance(Duration::from_secs(120));
    assert_eq!(states(tracking()).await, []);
}

#[tokio::test]
async fn alarms_of_a_policy_go_with_it() {
    let region = region().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    track(&scaling).await;
    let alarms = aws_sdk_cloudwatch::Client::new(&config(&region).await);
    assert_eq!(states(alarms.describe_alarms()).await.len(), 2);
    scaling.0.delete_policy().auto_scaling_group_name("tideline").policy_name("cpu").send().await.unwrap();
    assert_eq!(states(alarms.describe_alarms()).await, []);
}

async fn states(asked: DescribeAlarmsFluentBuilder) -> Vec<(String, String)> {
    let found = asked.send().await.unwrap();
    let alarms = found.metric_alarms().iter();
    alarms.map(|it| (it.alarm_name().unwrap().to_owned(), it.state_value().unwrap().as_str().to_owned())).collect()
}

fn expected<const N: usize>(names: &[String], states: [&str; N]) -> Vec<(String, String)> {
    names.iter().cloned().zip(states.map(str::to_owned)).collect()
}
