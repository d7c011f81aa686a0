//! Instance refresh over the wire.

use aws_sdk_autoscaling::error::ProvideErrorMetadata;
use tideline_rehearsal::{AlarmState, Behaviour};

use crate::support::{preferences, region, scaling, to, versions};

#[tokio::test]
async fn replaces_every_instance_and_then_changes_the_group() {
    let region = region().await;
    region.group("tideline").desired(3).create().unwrap();
    let scaling = scaling(&region).await;
    let id = scaling.start("2", preferences().bake_time(60).build()).await;

    let going = scaling.until(&id, "InProgress").await;
    assert_eq!((going.percentage_complete, going.instances_to_update), (Some(0), Some(3)));
    assert_eq!(scaling.group().await.launch_template.unwrap().version.as_deref(), Some("1"));
    scaling.until(&id, "Baking").await;
    assert_eq!(scaling.group().await.launch_template.unwrap().version.as_deref(), Some("1"));

    let done = scaling.until(&id, "Successful").await;
    assert_eq!((done.percentage_complete, done.instances_to_update), (Some(100), Some(0)));
    assert!(done.end_time > done.start_time);
    let group = scaling.group().await;
    assert_eq!(group.launch_template.unwrap().version.as_deref(), Some("2"));
    assert_eq!(versions(&region), ["2", "2", "2"]);
    let causes = scaling.causes().await;
    assert!(causes.iter().any(|cause| cause.ends_with("an instance was launched in response to an instance refresh.")));
    assert!(causes.iter().any(|cause| cause.contains("taken out of service in response to an instance refresh.  At ")));
}

#[tokio::test]
async fn goes_back_when_the_new_version_never_becomes_healthy() {
    let region = region().await;
    region.group("tideline").create().unwrap();
    region.behave("2", Behaviour::NeverHealthy);
    let scaling = scaling(&region).await;
    let id = scaling.start("2", preferences().build()).await;
    let back = scaling.until(&id, "RollbackSuccessful").await;
    let details = back.rollback_details.unwrap();
    assert!(details.rollback_reason.unwrap().contains("made no progress for 1h"));
    assert_eq!((details.percentage_complete_on_rollback, details.instances_to_update_on_rollback), (Some(0), Some(2)));
    assert_eq!(scaling.group().await.launch_template.unwrap().version.as_deref(), Some("1"));
    assert_eq!(versions(&region), ["1", "1"]);
    let causes = scaling.causes().await;
    assert!(
        causes.iter().any(|cause| cause.ends_with("in response to an ELB system health check failure.")),
        "{causes:#?}"
    );
}

#[tokio::test]
async fn goes_back_when_an_alarm_goes_off() {
    let region = region().await;
    region.group("tideline").desired(4).create().unwrap();
    region.alarm("tideline-5xx", AlarmState::Ok);
    region.behave("2", Behaviour::Errors);
    let scaling = scaling(&region).await;
    let id = scaling.start("2", preferences().bake_time(300).build()).await;
    let back = scaling.until(&id, "RollbackSuccessful").await;
    assert!(back.rollback_details.unwrap().rollback_reason.unwrap().contains("tideline-5xx"));
    assert_eq!(versions(&region), ["1"; 4]);
    assert_eq!(back.percentage_complete, Some(0));
}

#[tokio::test]
async fn is_one_at_a_time_and_can_be_cancelled() {
    let region = region().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    region.stall();
    let id = scaling.start("2", preferences().build()).await;
    let again = scaling.0.start_instance_refresh().auto_scaling_group_name("tideline").desired_configuration(to("3"));
    let error = again.send().await.unwrap_err().into_service_error();
    assert!(error.is_instance_refresh_in_progress_fault(), "{error:?}");

    let cancelled = scaling.0.cancel_instance_refresh().auto_scaling_group_name("tideline").send().await.unwrap();
    assert_eq!(cancelled.instance_refresh_id.as_deref(), Some(id.as_str()));
    let over = scaling.until(&id, "Cancelled").await;
    assert_eq!(over.status_reason.as_deref(), Some("Cancelled due to user request."));

    let error = scaling.0.cancel_instance_refresh().auto_scaling_group_name("tideline").send().await.unwrap_err();
    assert!(error.into_service_error().is_active_instance_refresh_not_found_fault());
    let error = scaling.0.rollback_instance_refresh().auto_scaling_group_name("tideline").send().await.unwrap_err();
    assert_eq!(error.code(), Some("ActiveInstanceRefreshNotFound"));
}

#[tokio::test]
async fn fails_after_an_hour_without_progress() {
    let region = region().await;
    region.group("tideline").create().unwrap();
    region.stall();
    let scaling = scaling(&region).await;
    let id = scaling.start("2", preferences().auto_rollback(false).build()).await;
    let failed = scaling.until(&id, "Failed").await;
    assert!(failed.status_reason.unwrap().starts_with("The instance refresh made no progress for 1h"));
    assert_eq!(versions(&region), ["1", "1"]);
}

#[tokio::test]
async fn a_call_rolls_it_back() {
    let region = region().await;
    region.group("tideline").desired(4).create().unwrap();
    let scaling = scaling(&region).await;
    let id = scaling.start("2", preferences().bake_time(3600).build()).await;
    scaling.until(&id, "Baking").await;
    let request = scaling.0.rollback_instance_refresh().auto_scaling_group_name("tideline");
    assert_eq!(request.send().await.unwrap().instance_refresh_id.as_deref(), Some(id.as_str()));
    let back = scaling.until(&id, "RollbackSuccessful").await;
    assert_eq!(back.rollback_details.unwrap().percentage_complete_on_rollback, Some(100));
    assert_eq!(versions(&region), ["1"; 4]);
}

#[tokio::test]
async fn latest_cannot_be_gone_back_to() {
    let region = region().await;
    region.group("tideline").template("lt-0123456789abcdef0", "$Latest").create().unwrap();
    let scaling = scaling(&region).await;
    let request = scaling.0.start_instance_refresh().auto_scaling_group_name("tideline").desired_configuration(to("2"));
    let error = request.clone().preferences(preferences().build()).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
    request.preferences(preferences().auto_rollback(false).build()).send().await.unwrap();
    let error = scaling.0.rollback_instance_refresh().auto_scaling_group_name("tideline").send().await.unwrap_err();
    assert!(error.into_service_error().is_irreversible_instance_refresh_fault());
}
