//! What is seen of a group from within the process.

use std::time::{Duration, SystemTime};

use tideline_rehearsal::instances::Target;
use tideline_rehearsal::scaling::Status;
use tideline_rehearsal::{Region, Settings};

use crate::support::{preferences, scaling};

#[tokio::test]
async fn a_look_tells_of_capacity_time_cpu_and_instances() {
    let region = Region::start(Settings { speed: 0.0, ..Settings::default() }).await.unwrap();
    assert_eq!(region.observe("tideline"), None);
    assert!(region.activities("tideline").is_empty() && region.refreshes("tideline").is_empty());
    region.group("tideline").template("lt-1", "7").create().unwrap();
    let scaling = scaling(&region).await;
    let first = region.observe("tideline").unwrap();
    assert_eq!((first.speed, first.now, first.desired, first.cpu), (0.0, region.now(), 2, None));
    assert_eq!(first.instances, region.instances("tideline"));

    let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for per_cent in [40.0, 61.5] {
        region.advance(Duration::from_secs(60));
        region.cpu("tideline", per_cent).unwrap();
    }
    scaling.0.set_desired_capacity().auto_scaling_group_name("tideline").desired_capacity(3).send().await.unwrap();
    let view = region.observe("tideline").unwrap();
    assert_eq!(view.now.duration_since(first.now).unwrap(), Duration::from_secs(120));
    let (minute, per_cent) = view.cpu.unwrap();
    assert_eq!((seconds(minute), per_cent), ((seconds(view.now) / 60 - 1) * 60, 61.5));
    assert_eq!(view.desired, 3);
    let seen: Vec<_> =
        view.instances.iter().map(|it| (it.version.as_str(), it.state.as_str(), it.target.clone())).collect();
    assert_eq!(
        seen,
        [("7", "InService", Target::Healthy), ("7", "InService", Target::Healthy), ("7", "Pending", Target::Initial)]
    );

    region.set_speed(600.0);
    assert_eq!((region.speed(), region.observe("tideline").unwrap().speed), (600.0, 600.0));
}

#[tokio::test]
async fn what_a_group_did_is_told_the_newest_first() {
    let region = Region::start(Settings { speed: 0.0, ..Settings::default() }).await.unwrap();
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let mut ids = Vec::new();
    for version in ["2", "3"] {
        ids.insert(0, scaling.start(version, preferences().build()).await);
        region.advance(Duration::from_secs(5));
        let newest = region.refreshes("tideline").remove(0);
        assert_eq!((newest.status, newest.percentage, newest.end), (Status::InProgress, 0, None));
        assert!(newest.reason.is_some());
        assert_eq!(region.activities("tideline")[0].status, "PreInService");
        region.advance(Duration::from_secs(600));
    }
    let refreshes = region.refreshes("tideline");
    assert_eq!(refreshes.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), ids);
    assert!(
        refreshes.iter().all(|it| it.status == Status::Successful && it.percentage == 100 && it.end > Some(it.start))
    );

    let activities = region.activities("tideline");
    assert!(activities.is_sorted_by(|newer, older| newer.start >= older.start));
    // Two that were there, and of either version two that came and two that went.
    assert_eq!(activities.len(), 2 + 2 * 4);
    let causes: Vec<_> = activities.iter().rev().map(|it| it.cause.clone()).collect();
    assert_eq!(causes, scaling.causes().await);
    assert!(activities[0].description.starts_with("Terminating EC2 instance: i-"), "{:?}", activities[0]);
    assert!(activities.iter().all(|it| it.status == "Successful" && it.end >= Some(it.start)), "{activities:#?}");
}
