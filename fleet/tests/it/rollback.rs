//! Going back, and stopping.

use serde_json::Value;
use tideline_rehearsal::Behaviour;

use crate::program::{PATIENT, empty, finish, impatient, region, run, stalled, versions};

#[tokio::test(flavor = "multi_thread")]
async fn in_progress_it_is_taken_back() {
    let region = region().await;
    let rollout = stalled(&region, &[]).await;
    region.resume();
    run(&region, &["rollback"])
        .await
        .expect(0, &["goes back", "rolled back: every instance of tideline runs version 1 again"]);
    finish(rollout).await.expect(3, &["rolled back"]);
    assert_eq!(region.calls("StartInstanceRefresh"), 1, "it is the same refresh");
    assert_eq!(versions(&region), ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn afterwards_it_is_a_new_refresh_and_never_forward_again() {
    let region = region().await;
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &[]);
    run(&region, &["rollback"]).await.expect(0, &["every instance of tideline runs version 1"]);
    assert_eq!(versions(&region), ["1", "1"]);
    run(&region, &["rollback"]).await.expect(0, &["nothing to do", "--to VERSION goes further back"]);
    assert_eq!(versions(&region), ["1", "1"]);
    run(&region, &["rollback", "--to", "2"]).await.expect(0, &["runs version 2"]);
    assert_eq!(versions(&region), ["2", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_says_so_and_does_not_go_forward() {
    let region = impatient().await;
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &[]);
    region.behave("1", Behaviour::NeverHealthy);
    let advice = ["the rollout of version 1 failed", "tideline-fleet status --group tideline"];
    run(&region, &["rollback"]).await.expect(1, &advice);
    assert!(versions(&region).contains(&"2".to_owned()), "what was healthy still serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_note_a_version_is_asked_for() {
    let region = region().await;
    run(&region, &["rollback"]).await.expect(2, &["tideline-fleet rollback --group tideline --to VERSION"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_number_is_refused() {
    let region = empty(PATIENT).await;
    region.group("tideline").template("lt-0123456789abcdef0", "$Latest").create().unwrap();
    run(&region, &["rollout", "--to", "2"]).await.expect(2, &["launches from version $Latest", "Version=NUMBER"]);
    run(&region, &["rollout", "--to", "$Default"]).await.expect(2, &["pass the number"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_stops_and_can_be_made_one_again() {
    let region = region().await;
    let rollout = stalled(&region, &["--json"]).await;
    region.resume();
    run(&region, &["cancel"]).await.expect(0, &["cancelled", "tideline-fleet rollback --group tideline"]);
    let rollout = finish(rollout).await;
    let verdict = rollout.events().pop().unwrap();
    assert_eq!((rollout.code, &verdict["outcome"]), (4, &Value::from("cancelled")));
    run(&region, &["watch"]).await.expect(4, &["cancelled"]);
    run(&region, &["rollback"]).await.expect(0, &["version 1"]);
    assert_eq!(versions(&region), ["1", "1"]);
    run(&region, &["cancel"]).await.expect(0, &["nothing to cancel"]);
}
