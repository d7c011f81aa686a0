//! Rollouts, and what ends them.

use serde_json::Value;
use tideline_rehearsal::{AlarmState, Behaviour};

use crate::program::{ALARM, PATIENT, empty, finish, impatient, region, run, stalled, staying, versions};

#[tokio::test(flavor = "multi_thread")]
async fn a_version_comes_to_every_instance() {
    let region = region().await;
    let done = run(&region, &["rollout", "--to", "2", "--alarm", ALARM]).await;
    done.expect(
        0,
        &["to version 2 has begun", "InProgress", "InService, healthy", "every instance of tideline runs version 2"],
    );
    assert_eq!(done.out.lines().count(), 1, "the verdict alone is on standard output: {}", done.out);
    assert_eq!(versions(&region), ["2", "2"]);

    // What was there before is noted, and a second time there is nothing to do.
    let status = run(&region, &["status", "--json"]).await;
    let note = &status.events()[0]["group"]["note"];
    assert_eq!((&note["previous"], &note["target"]), (&Value::from("1"), &Value::from("2")), "{status:?}");
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &["nothing to do"]);
    assert_eq!(region.calls("StartInstanceRefresh"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_becomes_healthy_goes_back_by_itself() {
    let region = impatient().await;
    region.behave("2", Behaviour::NeverHealthy);
    let done = run(&region, &["rollout", "--to", "2"]).await;
    done.expect(
        3,
        &["(version 2): InService, unhealthy", "rolled back: tideline runs the version before version 2 again"],
    );
    assert_eq!(versions(&region), ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_takes_it_back() {
    let region = region().await;
    region.behave("2", Behaviour::Errors);
    let done = run(&region, &["rollout", "--to", "2", "--alarm", ALARM, "--bake", "10m"]).await;
    done.expect(3, &["rolled back", "alarm tideline-5xx: OK → ALARM"]);
    assert_eq!(versions(&region), ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_that_is_on_or_unknown_is_refused_beforehand() {
    let region = region().await;
    run(&region, &["rollout", "--to", "2", "--alarm", "no-such"]).await.expect(2, &["no CloudWatch alarm \"no-such\""]);
    region.alarm(ALARM, AlarmState::Alarm);
    run(&region, &["rollout", "--to", "2", "--alarm", ALARM]).await.expect(2, &["alarm tideline-5xx is on already"]);
    assert_eq!((region.calls("StartInstanceRefresh"), region.calls("CreateOrUpdateTags")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_group_keeps_its_policy() {
    let region = empty(PATIENT).await;
    region.group("tideline").desired(2).mixed(&["t3.small", "t3a.small"]).create().unwrap();
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &["runs version 2"]);
    assert_eq!(versions(&region), ["2", "2"]);
    run(&region, &["rollback"]).await.expect(0, &["runs version 1"]);
    assert_eq!(versions(&region), ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_skip_matching_all_are_replaced() {
    let region = region().await;
    let before: Vec<String> = staying(&region).map(|instance| instance.id).collect();
    run(&region, &["rollout", "--to", "1", "--skip-matching=false"]).await.expect(0, &["runs version 1"]);
    assert!(staying(&region).all(|instance| !before.contains(&instance.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_is_refused_and_says_what_can_be_done() {
    let region = region().await;
    let first = stalled(&region, &[]).await;
    let advice = ["tideline-fleet watch --group tideline", "tideline-fleet cancel --group tideline"];
    run(&region, &["rollout", "--to", "3"]).await.expect(6, &advice);
    region.resume();
    finish(first).await.expect(0, &["runs version 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_told_in_objects() {
    let region = impatient().await;
    let done = run(&region, &["rollout", "--to", "2", "--json"]).await;
    done.expect(0, &[]);
    let events = done.events();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!(of("started")[0]["to"], "2");
    let progress = of("progress");
    assert!(progress.len() > 3, "{events:#?}");
    assert!(progress.iter().any(|event| event["refresh"]["percent"] == 50), "{progress:#?}");
    assert_eq!(progress[0]["instances"][0]["target"], "healthy");
    let verdict = events.last().unwrap();
    assert_eq!((&verdict["event"], &verdict["outcome"]), (&Value::from("verdict"), &Value::from("done")));
    assert_eq!((&verdict["exit_code"], &verdict["refresh"]["status"]), (&Value::from(0), &Value::from("Successful")));
    assert!(events.iter().all(|event| event["at"].as_str().unwrap().ends_with('Z') && event["text"].is_string()));

    region.behave("3", Behaviour::NeverHealthy);
    let done = run(&region, &["rollout", "--to", "3", "--json"]).await;
    let verdict = done.events().pop().unwrap();
    assert_eq!(
        (done.code, &verdict["exit_code"], &verdict["outcome"]),
        (3, &Value::from(3), &Value::from("rolled-back"))
    );
}
