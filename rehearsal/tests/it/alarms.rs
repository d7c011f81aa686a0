//! DescribeAlarms, which its SDK asks in CBOR.

use tideline_rehearsal::AlarmState;

use crate::support::{config, region};

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
