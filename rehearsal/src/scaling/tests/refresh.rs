//! Instance refresh.

use super::scene::{Scene, fleet, fleet_with};
use crate::alarms::AlarmState;
use crate::instances::modelled::Behaviour;
use crate::protocol::Tree;

fn percent(min: u32, max: u32) -> Tree {
    Tree::new().set("MinHealthyPercentage", min).set("MaxHealthyPercentage", max)
}

/// As the fleet's own rollouts are: launch before terminate, and back by itself.
fn careful() -> Tree {
    let alarms = Tree::new().with("Alarms", Tree::list([Tree::leaf("5xx")]));
    percent(100, 150).set("AutoRollback", true).with("AlarmSpecification", alarms)
}

fn list(percents: &[u32]) -> Tree {
    Tree::list(percents.iter().map(Tree::leaf))
}

/// "Undo changes with a rollback", "Start an instance refresh with auto rollback"; InstanceRefreshStatus in the API reference.
#[test]
fn ends_as_documented() {
    struct Case {
        name: &'static str,
        preferences: Tree,
        version_2: Behaviour,
        meanwhile: fn(&mut Scene),
        ends: &'static str,
        /// Of version 1 and of version 2.
        left: (usize, usize),
        launches: &'static str,
    }
    let nothing: fn(&mut Scene) = |_| {};
    let alarm: fn(&mut Scene) = |it| it.alarm("5xx", AlarmState::Alarm);
    let cases = [
        Case {
            name: "success",
            preferences: careful(),
            version_2: Behaviour::Healthy,
            meanwhile: nothing,
            ends: "Successful",
            left: (0, 4),
            launches: "2",
        },
        Case {
            name: "never healthy, with rollback",
            preferences: careful(),
            version_2: Behaviour::NeverHealthy,
            meanwhile: nothing,
            ends: "RollbackSuccessful",
            left: (4, 0),
            launches: "1",
        },
        Case {
            name: "never healthy, without",
            preferences: percent(100, 150),
            version_2: Behaviour::NeverHealthy,
            meanwhile: nothing,
            ends: "Failed",
            left: (4, 0),
            launches: "1",
        },
        Case {
            name: "EC2 launches none",
            preferences: careful(),
            version_2: Behaviour::Refused("We currently do not have sufficient capacity.".to_owned()),
            meanwhile: nothing,
            ends: "RollbackSuccessful",
            left: (4, 0),
            launches: "1",
        },
        Case {
            name: "an alarm half-way, with rollback",
            preferences: careful(),
            version_2: Behaviour::Healthy,
            meanwhile: alarm,
            ends: "RollbackSuccessful",
            left: (4, 0),
            launches: "1",
        },
        Case {
            // "Any instances that were already replaced are not rolled back."
            name: "an alarm half-way, without",
            preferences: careful().replace("AutoRollback", Tree::leaf(false)),
            version_2: Behaviour::Healthy,
            meanwhile: alarm,
            ends: "Failed",
            left: (2, 2),
            launches: "1",
        },
        Case {
            name: "cancelled half-way",
            preferences: careful(),
            version_2: Behaviour::Healthy,
            meanwhile: |it| drop(it.call("CancelInstanceRefresh", Tree::new()).unwrap()),
            ends: "Cancelled",
            left: (2, 2),
            launches: "1",
        },
        Case {
            name: "rolled back by a call half-way",
            preferences: percent(100, 150),
            version_2: Behaviour::Healthy,
            meanwhile: |it| drop(it.call("RollbackInstanceRefresh", Tree::new()).unwrap()),
            ends: "RollbackSuccessful",
            left: (4, 0),
            launches: "1",
        },
        Case {
            name: "stalled",
            preferences: careful(),
            version_2: Behaviour::Healthy,
            meanwhile: |it| it.stall(true),
            ends: "RollbackFailed",
            left: (2, 2),
            launches: "1",
        },
    ];
    for case in cases {
        let mut scene = fleet(4);
        scene.behave("2", case.version_2);
        scene.refresh("2", case.preferences).unwrap();
        scene.pass(120);
        (case.meanwhile)(&mut scene);
        scene.until(case.ends, 8000);
        scene.stall(false);
        scene.pass(600);
        assert_eq!((scene.count("1"), scene.count("2")), case.left, "{}", case.name);
        assert_eq!(scene.launch_version(), case.launches, "{}", case.name);
        let described = scene.described();
        assert!(described.text("EndTime").is_some(), "{}", case.name);
        assert_eq!(described.get("RollbackDetails").is_some(), case.ends.starts_with("Rollback"), "{}", case.name);
    }
}

/// "How an instance refresh works": the healthy percentages bound the replacement all the time.
#[test]
fn stays_within_its_bounds() {
    for (desired, min, max, least, most) in [
        (2, 100, 150, 2, 3),
        (4, 100, 150, 4, 6),
        (10, 90, 120, 9, 12),
        (5, 100, 100, 5, 6),
        (4, 50, 100, 2, 4),
        (1, 100, 200, 1, 2),
    ] {
        let mut scene = fleet(desired);
        scene.refresh("2", percent(min, max)).unwrap();
        let mut extremes = (usize::MAX, 0);
        for _ in 0..3000 {
            scene.pass(1);
            extremes = (extremes.0.min(scene.serving()), extremes.1.max(scene.counting()));
            if scene.status() == "Successful" {
                break;
            }
        }
        assert_eq!(scene.status(), "Successful", "{desired} at {min} to {max}");
        assert_eq!(extremes, (least, most), "{desired} at {min} to {max}");
        assert_eq!(scene.counting(), desired as usize);
    }
}

/// RefreshPreferences, MaxHealthyPercentage (API reference): "When omitted, Auto Scaling terminates an instance and launches its
/// replacement simultaneously."
#[test]
fn terminates_while_it_launches_without_a_maximum() {
    let mut scene = fleet_with(2, |draft| draft.maintenance = None);
    scene.refresh("2", Tree::new().set("MinHealthyPercentage", 100)).unwrap();
    scene.pass(2);
    assert_eq!((scene.counting(), scene.serving(), scene.count("2")), (2, 1, 1));
    scene.until("Successful", 1000);
}

/// "Understand the default values for an instance refresh".
#[test]
fn has_the_documented_defaults() {
    let mut scene = fleet_with(2, |draft| draft.maintenance = None);
    scene.refresh("2", Tree::new()).unwrap();
    let preferences = scene.described().get("Preferences").unwrap().clone();
    for (name, value) in [
        ("MinHealthyPercentage", Some("90")),
        ("MaxHealthyPercentage", None),
        ("InstanceWarmup", Some("60")),
        ("SkipMatching", Some("false")),
        ("AutoRollback", Some("false")),
        ("BakeTime", Some("0")),
        ("ScaleInProtectedInstances", Some("Wait")),
        ("StandbyInstances", Some("Wait")),
    ] {
        assert_eq!(preferences.text(name), value, "{name}");
    }
    let mut scene = fleet(2);
    scene.refresh("2", Tree::new()).unwrap();
    let preferences = scene.described().get("Preferences").unwrap().clone();
    assert_eq!(preferences.text("MinHealthyPercentage"), Some("100"), "the instance maintenance policy's");
    assert_eq!(preferences.text("MaxHealthyPercentage"), Some("150"), "the instance maintenance policy's");
}

/// "Use an instance refresh with skip matching": "the instance refresh will succeed immediately without making any replacements".
#[test]
fn skips_what_matches() {
    let mut scene = fleet(2);
    let before = scene.id(0);
    scene.refresh("1", careful().set("SkipMatching", true)).unwrap();
    scene.pass(2);
    assert_eq!(scene.status(), "Successful");
    assert_eq!(scene.described().text("PercentageComplete"), Some("100"));
    assert_eq!(scene.id(0), before);
    // Half is of version 2 already, after a refresh that was cancelled.
    scene.refresh("2", careful()).unwrap();
    scene.pass(120);
    scene.call("CancelInstanceRefresh", Tree::new()).unwrap();
    scene.until("Cancelled", 300);
    assert_eq!((scene.count("1"), scene.count("2")), (1, 1));
    scene.refresh("2", careful().set("SkipMatching", true)).unwrap();
    assert_eq!(scene.described().text("InstancesToUpdate"), Some("1"));
    scene.until("Successful", 600);
    // Without it, everything is replaced once more.
    let before = scene.id(0);
    scene.refresh("2", careful()).unwrap();
    assert_eq!(scene.described().text("InstancesToUpdate"), Some("2"));
    scene.until("Successful", 1000);
    assert_ne!(scene.id(0), before);
}

/// StartInstanceRefresh (API reference), BakeTime: the group changes after it, and the alarms are watched until then.
#[test]
fn bakes() {
    let mut scene = fleet(2);
    scene.refresh("2", careful().set("BakeTime", 600)).unwrap();
    scene.until("Baking", 600);
    assert_eq!(scene.described().text("PercentageComplete"), Some("100"));
    assert_eq!(scene.launch_version(), "1");
    scene.pass(598);
    assert_eq!(scene.status(), "Baking");
    scene.until("Successful", 3);
    assert_eq!(scene.launch_version(), "2");

    let mut scene = fleet(2);
    scene.refresh("2", careful().set("BakeTime", 600)).unwrap();
    scene.until("Baking", 600);
    scene.pass(300);
    scene.alarm("5xx", AlarmState::Alarm);
    scene.until("RollbackSuccessful", 900);
    assert_eq!((scene.launch_version().as_str(), scene.count("1")), ("1", 2));
}

/// "Add checkpoints to an instance refresh", the example of ten instances with `[20,50]`, 15 minutes, 80 percent, a warm-up of ten
/// minutes: two at 0:00, two at 0:25, one at 0:35, and the end at 0:45, with boot and health checks on top.
#[test]
fn pauses_at_checkpoints() {
    let mut scene = fleet_with(10, |draft| {
        draft.maintenance = None;
        draft.warmup = 600;
    });
    let preferences = Tree::new()
        .set("MinHealthyPercentage", 80)
        .with("CheckpointPercentages", list(&[20, 50]))
        .set("CheckpointDelay", 900);
    scene.refresh("2", preferences).unwrap();
    let mut replaced = vec![];
    for minute in 0..60 {
        scene.pass(60);
        let now = scene.count("2");
        if replaced.last().is_none_or(|(_, last)| *last != now) {
            replaced.push((minute, now));
        }
        assert!(scene.counting() <= 10 && scene.count("1") + 2 >= 10 - scene.count("2"));
        if scene.status() == "Successful" {
            break;
        }
    }
    assert_eq!(replaced, [(0, 2), (25, 4), (35, 5)]);
    assert_eq!(scene.status(), "Successful");
    assert_eq!((scene.count("1"), scene.count("2")), (5, 5));
    assert_eq!(scene.described().text("PercentageComplete"), Some("50"));
}

/// The same document: "it skips the first checkpoint (10) and sends a notification for the second checkpoint (40)".
#[test]
fn skips_checkpoints_that_it_is_past() {
    let mut scene = fleet(2);
    let preferences = careful().with("CheckpointPercentages", list(&[10, 40, 100])).set("CheckpointDelay", 600);
    scene.refresh("2", preferences).unwrap();
    let mut reasons = vec![];
    for _ in 0..2000 {
        scene.pass(1);
        let reason = scene.described().text("StatusReason").unwrap_or_default().to_owned();
        if reason.contains("checkpoint") && reasons.last() != Some(&reason) {
            reasons.push(reason);
        }
    }
    assert_eq!(reasons, ["Waiting for the checkpoint delay to pass, after the checkpoint of 40 percent."]);
    assert_eq!(scene.status(), "Successful");
}

/// RefreshPreferences, ScaleInProtectedInstances (API reference): Refresh, Ignore, Wait.
#[test]
fn minds_scale_in_protection() {
    for (word, ends, left) in
        [("Refresh", "Successful", (0, 2)), ("Ignore", "Successful", (1, 1)), ("Wait", "Failed", (1, 1))]
    {
        let mut scene = fleet(2);
        let protect =
            Tree::new().with("InstanceIds", Tree::list([Tree::leaf(scene.id(0))])).set("ProtectedFromScaleIn", true);
        scene.call("SetInstanceProtection", protect).unwrap();
        scene.refresh("2", percent(100, 150).set("ScaleInProtectedInstances", word)).unwrap();
        scene.pass(600);
        let reason = scene.described().text("StatusReason").unwrap_or_default().to_owned();
        assert_eq!(
            reason.contains("is protected. Remove instance scale-in protection to continue."),
            word == "Wait",
            "{reason}"
        );
        scene.until(ends, 4000);
        assert_eq!((scene.count("1"), scene.count("2")), left, "{word}");
    }
}

/// The same of StandbyInstances: Terminate, Ignore, Wait.
#[test]
fn minds_instances_in_standby() {
    for (word, ends, standby) in [("Terminate", "Successful", 0), ("Ignore", "Successful", 1), ("Wait", "Failed", 1)] {
        let mut scene = fleet(3);
        let aside = Tree::new()
            .with("InstanceIds", Tree::list([Tree::leaf(scene.id(0))]))
            .set("ShouldDecrementDesiredCapacity", true);
        scene.call("EnterStandby", aside).unwrap();
        scene.refresh("2", percent(100, 150).set("StandbyInstances", word)).unwrap();
        scene.until(ends, 5000);
        let left =
            scene.group().instances().iter().filter(|it| it.lifecycle == crate::scaling::Lifecycle::Standby).count();
        assert_eq!((left, scene.count("2")), (standby, 2), "{word}");
    }
}

/// "How an instance refresh works", desired configuration: "If a scale-out event occurs during an instance refresh, new instances
/// launch with the desired configuration".
#[test]
fn scaling_goes_on_meanwhile() {
    let mut scene = fleet(2);
    scene.refresh("2", careful()).unwrap();
    scene.pass(30);
    scene.set_desired(5);
    assert!(scene.count("2") >= 3);
    scene.until("Successful", 1000);
    assert_eq!((scene.count("1"), scene.count("2")), (0, 5));

    let mut scene = fleet(5);
    scene.refresh("2", careful()).unwrap();
    scene.pass(30);
    scene.set_desired(2);
    scene.until("Successful", 2000);
    scene.pass(100);
    assert_eq!((scene.count("1"), scene.count("2")), (0, 2));
}

/// RollbackDetails and PercentageComplete (API reference): what it was when the rollback began, and "gradually goes back down to
/// zero"; "The new instances match the configuration that you last saved on the group".
#[test]
fn tells_how_far_it_was_when_it_went_back() {
    let mut scene = fleet(4);
    scene.refresh("2", careful()).unwrap();
    while scene.described().text("PercentageComplete") == Some("0") {
        scene.pass(1);
    }
    scene.pass(1);
    let before = scene.described();
    assert_eq!((before.text("PercentageComplete"), before.text("InstancesToUpdate")), (Some("50"), Some("2")));
    scene.call("RollbackInstanceRefresh", Tree::new()).unwrap();
    let mut percents = vec![];
    while scene.status() == "RollbackInProgress" {
        let described = scene.described();
        assert_eq!(described.text("RollbackDetails.PercentageCompleteOnRollback"), Some("50"));
        assert_eq!(described.text("RollbackDetails.InstancesToUpdateOnRollback"), Some("2"));
        percents.push(described.text("PercentageComplete").unwrap().parse::<u32>().unwrap());
        scene.pass(1);
    }
    assert_eq!(scene.status(), "RollbackSuccessful");
    assert!(percents.is_sorted_by(|one, two| one >= two), "{percents:?}");
    assert_eq!(scene.described().text("PercentageComplete"), Some("0"));
}

/// "If it is not in a stable state, the rollback workflow will still occur, but it will eventually fail."
#[test]
fn a_rollback_fails_too() {
    let mut scene = fleet(2);
    scene.refresh("2", careful()).unwrap();
    scene.pass(120);
    scene.behave("1", Behaviour::NeverHealthy);
    scene.call("RollbackInstanceRefresh", Tree::new()).unwrap();
    scene.until("RollbackFailed", 8000);
}

/// CancelInstanceRefresh (API reference), WaitForTransitioningInstances.
#[test]
fn a_cancellation_waits_for_what_was_begun_unless_told_not_to() {
    for (wait, reason) in [(true, "Cancelled due to user request."), (false, "Cancelled without waiting for ")] {
        let mut scene = fleet(2);
        scene.refresh("2", careful()).unwrap();
        scene.pass(5);
        assert_eq!(scene.count("2"), 1);
        scene.call("CancelInstanceRefresh", Tree::new().set("WaitForTransitioningInstances", wait)).unwrap();
        assert_eq!(scene.status(), if wait { "Cancelling" } else { "Cancelled" });
        scene.until("Cancelled", 120);
        assert!(scene.described().text("StatusReason").unwrap().starts_with(reason));
    }
}

/// The errors of StartInstanceRefresh, CancelInstanceRefresh and RollbackInstanceRefresh (API reference).
#[test]
fn refuses() {
    let mut scene = fleet(2);
    let code = |scene: &mut Scene, action| scene.call(action, Tree::new()).unwrap_err().code;
    assert_eq!(code(&mut scene, "CancelInstanceRefresh"), "ActiveInstanceRefreshNotFound");
    assert_eq!(code(&mut scene, "RollbackInstanceRefresh"), "ActiveInstanceRefreshNotFound");
    let wrong = [
        percent(101, 150),
        percent(90, 99),
        percent(50, 151),
        Tree::new().set("MaxHealthyPercentage", 150),
        careful().with("CheckpointPercentages", list(&[50, 20])),
        careful().with("CheckpointPercentages", list(&[20, 101])),
        careful().set("CheckpointDelay", 60),
        careful().set("ScaleInProtectedInstances", "Terminate"),
        careful().set("SkipMatching", "yes"),
        careful().replace("AlarmSpecification", Tree::new().with("Alarms", Tree::list((0..11).map(Tree::leaf)))),
    ];
    for preferences in wrong {
        assert!(scene.refresh("2", preferences.clone()).is_err(), "{preferences:#?}");
    }
    assert!(scene.refresh("two", careful()).is_err());
    let nothing = Tree::new().with("Preferences", careful());
    let failure = scene.call("StartInstanceRefresh", nothing).unwrap_err();
    assert!(failure.message.contains("AutoRollback parameter cannot be set to true when the DesiredConfiguration"));

    scene.call("StartInstanceRefresh", Tree::new().with("Preferences", percent(100, 150))).unwrap();
    assert_eq!(scene.refresh("2", careful()).unwrap_err().code, "InstanceRefreshInProgress");
    assert_eq!(code(&mut scene, "RollbackInstanceRefresh"), "IrreversibleInstanceRefresh");
    scene.until("Successful", 1000);
    scene.refresh("2", careful()).unwrap();
    scene.until("Successful", 1000);
    // "You can't roll it back after it's finished."
    assert_eq!(code(&mut scene, "RollbackInstanceRefresh"), "ActiveInstanceRefreshNotFound");
}

/// "Make sure that it's possible to roll back to your Auto Scaling group's current launch template."
#[test]
fn latest_and_default_cannot_be_gone_back_to() {
    for version in ["$Latest", "$Default"] {
        let mut scene = fleet_with(2, |draft| draft.version = version.to_owned());
        assert_eq!(scene.refresh("2", careful()).unwrap_err().code, "ValidationError");
        scene.refresh("2", percent(100, 150)).unwrap();
        assert_eq!(scene.call("RollbackInstanceRefresh", Tree::new()).unwrap_err().code, "IrreversibleInstanceRefresh");
    }
}

/// The instances of a mixed instances policy, brought by one as desired configuration.
#[test]
fn brings_a_mixed_instances_policy() {
    let mut scene = fleet_with(2, |draft| draft.instance_types = vec!["t3.small".to_owned(), "t3a.small".to_owned()]);
    let template = Tree::new().set("LaunchTemplateId", "lt-0123456789abcdef0").set("Version", 2);
    let types = Tree::list([Tree::new().set("InstanceType", "m7i.large")]);
    let inner = Tree::new().with("LaunchTemplateSpecification", template).with("Overrides", types);
    let policy = Tree::new().with("MixedInstancesPolicy", Tree::new().with("LaunchTemplate", inner));
    let parameters = Tree::new().with("DesiredConfiguration", policy).with("Preferences", careful());
    scene.call("StartInstanceRefresh", parameters).unwrap();
    scene.until("Successful", 1000);
    let group = scene.group().tree();
    assert_eq!(group.text("MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version"), Some("2"));
    assert_eq!(
        group.text("MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity"),
        Some("100")
    );
    assert!(scene.group().instances().iter().all(|it| it.instance_type == "m7i.large" || !it.counts()));
}

/// "How an instance refresh works", health check grace period; PercentageComplete (API reference): an instance counts when it is
/// healthy and warm, and a grace period that is still running does not make it healthy.
#[test]
fn warm_is_not_healthy() {
    let mut scene = fleet_with(2, |draft| draft.grace = 3000);
    scene.behave("2", Behaviour::NeverHealthy);
    scene.refresh("2", careful()).unwrap();
    scene.pass(1000);
    assert_eq!((scene.count("1"), scene.count("2")), (2, 1));
    let reason = scene.described().text("StatusReason").unwrap().to_owned();
    assert!(reason.ends_with("has not passed its health checks with Elastic Load Balancing."), "{reason}");
}

/// New instances take the zones of those that they replace.
#[test]
fn keeps_the_zones_even() {
    for desired in 2..=5 {
        let mut scene = fleet(desired);
        scene.refresh("2", careful()).unwrap();
        scene.until("Successful", 1500);
        scene.pass(100);
        let in_a = scene.group().instances().iter().filter(|it| it.zone == "eu-west-1a").count();
        assert!(in_a.abs_diff(scene.counting() - in_a) <= 1, "{in_a} of {desired} in one zone");
    }
}

/// As large as simulations are to be.
#[test]
fn a_thousand_instances_are_a_matter_of_seconds() {
    let began = std::time::Instant::now();
    let mut scene = fleet(1000);
    scene.refresh("2", percent(90, 110)).unwrap();
    scene.until("Successful", 7200);
    assert_eq!(scene.count("2"), 1000);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
