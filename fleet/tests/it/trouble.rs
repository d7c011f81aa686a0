//! AWS that throttles, refuses, or is not there.

use serde_json::Value;
use tideline_rehearsal::Fault;

use crate::program::{finish, region, run, spawn, stalled, until, versions};

#[tokio::test(flavor = "multi_thread")]
async fn throttling_in_the_middle_is_waited_out() {
    let region = region().await;
    let rollout = stalled(&region, &[]).await;
    // More than the SDK tries by itself.
    region.throttle("DescribeInstanceRefreshes", 6);
    region.fault("DescribeTargetHealth", &Fault::InternalFailure, 2);
    until("it was throttled", || region.calls("DescribeInstanceRefreshes") > 10).await;
    region.resume();
    finish(rollout).await.expect(0, &["Throttling", "asking again", "every instance of tideline runs version 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_at_the_start_is_waited_out() {
    let region = region().await;
    for action in ["DescribeAutoScalingGroups", "CreateOrUpdateTags", "StartInstanceRefresh"] {
        region.throttle(action, 2);
    }
    // More than the SDK tries by itself.
    region.throttle("CreateOrUpdateTags", 4);
    region.fault("DescribeAutoScalingGroups", &Fault::Hangup, 1);
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &["runs version 2"]);
    assert_eq!(versions(&region), ["2", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_starts_no_second_refresh() {
    let region = region().await;
    region.fault("StartInstanceRefresh", &Fault::Lost, 1);
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &["to version 2 has begun", "runs version 2"]);
    assert_eq!(region.calls("StartInstanceRefresh"), 2, "the second was refused: the first had been heard");
    assert_eq!(versions(&region), ["2", "2"]);

    // A refusal for one that is over by the time it is looked for.
    let gone = Fault::Refuse("InstanceRefreshInProgress".to_owned(), "An Instance Refresh is in progress".to_owned());
    region.fault("StartInstanceRefresh", &gone, 1);
    run(&region, &["rollout", "--to", "3"]).await.expect(6, &["An Instance Refresh is in progress", "try again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_without_end_has_one() {
    let region = region().await;
    region.throttle("DescribeAutoScalingGroups", 1000);
    run(&region, &["wait", "--deadline", "3s"]).await.expect(5, &["the deadline has passed"]);
    let done = run(&region, &["rollout", "--to", "2", "--patience", "1s"]).await;
    done.expect(8, &["AWS could not be asked for all of --patience", "Throttling"]);
    assert_eq!(region.calls("StartInstanceRefresh"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_before_anything_is_changed() {
    let region = region().await;
    region.fault("CreateOrUpdateTags", &Fault::AccessDenied, 1);
    run(&region, &["rollout", "--to", "2"])
        .await
        .expect(7, &["CreateOrUpdateTags: AccessDenied", "aws sts get-caller-identity"]);
    assert_eq!(region.calls("StartInstanceRefresh"), 0);
    region.fault("DescribeAutoScalingGroups", &Fault::AccessDenied, 1);
    run(&region, &["status"]).await.expect(7, &["DescribeAutoScalingGroups: AccessDenied"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_permission_while_watching_says_that_it_goes_on() {
    let region = region().await;
    let rollout = stalled(&region, &[]).await;
    let expired = Fault::Refuse("ExpiredToken".to_owned(), "The security token is expired".to_owned());
    region.fault("DescribeInstanceRefreshes", &expired, 1);
    finish(rollout).await.expect(7, &["ExpiredToken", "goes on", "tideline-fleet watch --group tideline"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_start_leaves_the_note_as_it_was() {
    let region = region().await;
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &[]);
    let refusal = Fault::Refuse("ValidationError".to_owned(), "There is no version 99".to_owned());
    region.fault("StartInstanceRefresh", &refusal, 1);
    run(&region, &["rollout", "--to", "99"]).await.expect(2, &["There is no version 99"]);
    let status = run(&region, &["status", "--json"]).await;
    let note = &status.events()[0]["group"]["note"];
    assert_eq!((&note["previous"], &note["target"]), (&Value::from("1"), &Value::from("2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_is_named() {
    let region = region().await;
    for command in ["rollback", "watch", "cancel", "status", "wait"] {
        let done = run(&region, &[command, "--group", "tidelime"]).await;
        done.expect(2, &["there is no Auto Scaling group \"tidelime\"", "AWS_REGION"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_region_credentials_or_a_way_there_it_says_so() {
    let region = region().await;
    for (variable, value, code, part) in [
        ("AWS_REGION", "", 2, "no AWS region is set"),
        ("AWS_ACCESS_KEY_ID", "", 7, "no AWS credentials"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 8, "Connection refused"),
    ] {
        let mut command = crate::program::command(&region, &["status", "--patience", "1s"], "/nowhere".as_ref());
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/nowhere");
        if value.is_empty() {
            command.env_remove(variable)
        } else {
            command.env(variable, value)
        };
        finish(command.spawn().unwrap()).await.expect(code, &[part]);
    }
    let usage = finish(spawn(&region, &["rollout", "--to", "2", "--bake", "soon"])).await;
    usage.expect(2, &["as in 30s or 5m"]);
}
