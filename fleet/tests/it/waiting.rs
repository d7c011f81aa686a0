//! What ends the waiting before there is an end: the deadline, a signal. The refresh goes on, and is rejoined.

use std::process::Command;

use tideline_rehearsal::Behaviour;
use tokio::process::Child;

use crate::program::{finish, impatient, region, run, spawn, stalled, until, versions};

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_stalls_ends_with_the_deadline_and_is_rejoined() {
    let region = region().await;
    let rollout = stalled(&region, &["--deadline", "2s"]).await;
    let texts = ["the deadline has passed", "goes on", "tideline-fleet watch --group tideline rejoins it"];
    finish(rollout).await.expect(5, &texts);
    region.resume();
    run(&region, &["watch"]).await.expect(0, &["every instance of tideline runs version 2"]);
    run(&region, &["watch"]).await.expect(0, &["every instance of tideline runs version 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_aws_gives_up_is_a_failure_that_went_back() {
    let region = impatient().await;
    let rollout = stalled(&region, &[]).await;
    // It stands still past the region's own limit, and then there is room again.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    region.resume();
    finish(rollout).await.expect(3, &["rolled back"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_leave_the_refresh_running() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let region = region().await;
        let rollout = stalled(&region, &[]).await;
        send(signal, &rollout);
        let done = finish(rollout).await;
        let name = format!("ended by SIG{signal}");
        done.expect(code, &[&name, "tideline-fleet watch --group tideline", "tideline-fleet cancel --group tideline"]);
        assert_eq!((region.calls("CancelInstanceRefresh"), region.calls("RollbackInstanceRefresh")), (0, 0));
        region.resume();
        run(&region, &["watch"]).await.expect(0, &["runs version 2"]);
        assert_eq!(versions(&region), ["2", "2"]);
    }
}

fn send(signal: &str, child: &Child) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_refresh_there_is_nothing_to_watch() {
    let region = region().await;
    run(&region, &["watch"]).await.expect(2, &["no instance refresh yet", "tideline-fleet rollout --group tideline"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_waited_for_until_it_is_well() {
    let region = region().await;
    run(&region, &["wait"]).await.expect(0, &["tideline is well: 2 of version 1; 2 of 2 desired are healthy"]);

    let gone = region.instances("tideline")[0].id.clone();
    assert!(region.kill(&gone));
    until("the group sees that it is gone", || {
        region.instances("tideline").iter().all(|instance| instance.id != gone || instance.state != "InService")
    })
    .await;
    let waiting = spawn(&region, &["wait"]);
    finish(waiting).await.expect(0, &["tideline is well"]);
    assert_eq!(versions(&region), ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_does_not_become_well_is_told_by_name() {
    let region = region().await;
    region.behave("1", Behaviour::NeverHealthy);
    let gone = region.instances("tideline")[0].id.clone();
    assert!(region.kill(&gone));
    until("it is missed", || !versions(&region).is_empty() && region.instances("tideline").len() != 2).await;
    let done = run(&region, &["wait", "--deadline", "2s"]).await;
    done.expect(5, &["the deadline has passed", "of 2 desired are healthy", "describe-scaling-activities"]);
}
