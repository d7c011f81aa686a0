//! Capacity, health, and what replaces what is ill.

use super::scene::{fleet, fleet_with};
use crate::instances::modelled::Behaviour;
use crate::protocol::Tree;

/// "Health checks for instances in an Auto Scaling group": a failed check counts after the grace period.
#[test]
fn a_health_check_counts_after_the_grace() {
    let mut scene = fleet_with(1, |draft| draft.grace = 300);
    scene.behave("1", Behaviour::NeverHealthy);
    scene.set_desired(2);
    // The first has been in service for a day, the second is spared for five minutes after its boot of 15 seconds.
    let spared = scene.group().instances().last().map(|it| it.ticket);
    let healthy = |scene: &super::scene::Scene| {
        scene.group().instances().iter().any(|it| Some(it.ticket) == spared && it.counts() && it.is_healthy())
    };
    scene.pass(310);
    assert!(healthy(&scene));
    scene.pass(10);
    assert!(!healthy(&scene));
    let causes = scene.causes();
    let ill = causes.iter().filter(|cause| cause.ends_with("in response to an ELB system health check failure."));
    assert!(ill.count() >= 2, "{causes:#?}");
}

/// "Instance maintenance policies", health check failures: by default terminated first; with a minimum of 100 launched first.
#[test]
fn the_maintenance_policy_decides_what_comes_first() {
    for (policy, counting) in [(None, 2), (Some((100, 150)), 3)] {
        let mut scene = fleet_with(2, |draft| draft.maintenance = policy);
        let sick = Tree::new().set("InstanceId", scene.id(0)).set("HealthStatus", "Unhealthy");
        scene.call("SetInstanceHealth", sick).unwrap();
        assert_eq!(scene.counting(), counting, "{policy:?}");
        scene.pass(300);
        assert_eq!(scene.counting(), 2);
        assert!(scene.group().instances().iter().all(crate::scaling::Instance::is_healthy));
        assert!(scene.causes().iter().any(|cause| cause.ends_with("in response to a user health-check.")));
    }
}

/// A fleet that is ill as a whole is replaced as far as its bounds let it, and not left alone.
#[test]
fn a_fleet_that_fell_ill_recovers() {
    let mut scene = fleet(3);
    scene.behave("1", Behaviour::HealthyFor(std::time::Duration::from_secs(200)));
    scene.pass(100);
    scene.behave("1", Behaviour::Healthy);
    scene.pass(600);
    assert_eq!((scene.counting(), scene.serving()), (3, 3));
}

/// "Suspend and resume Amazon EC2 Auto Scaling processes".
#[test]
fn suspended_processes_do_nothing() {
    let mut scene = fleet(2);
    let processes = |names: &[&str]| Tree::new().with("ScalingProcesses", Tree::list(names.iter().map(Tree::leaf)));
    scene.call("SuspendProcesses", processes(&["Launch", "InstanceRefresh"])).unwrap();
    scene.set_desired(3);
    scene.refresh("2", Tree::new()).unwrap();
    scene.pass(300);
    assert_eq!((scene.counting(), scene.count("2")), (2, 0));
    assert!(scene.call("SuspendProcesses", processes(&["Lunch"])).is_err());
    scene.call("ResumeProcesses", processes(&[])).unwrap();
    scene.until("Successful", 1000);
    assert_eq!(scene.count("2"), 3);
}

/// "Control which Auto Scaling instances terminate": evenly over zones, never a protected one.
#[test]
fn shrinks_evenly_and_spares_the_protected() {
    let mut scene = fleet(6);
    let protect =
        Tree::new().with("InstanceIds", Tree::list([Tree::leaf(scene.id(0))])).set("ProtectedFromScaleIn", true);
    let kept = scene.id(0);
    scene.call("SetInstanceProtection", protect).unwrap();
    scene.set_desired(2);
    scene.pass(100);
    let zones: Vec<_> = scene.group().instances().iter().map(|it| it.zone.as_str()).collect();
    assert_eq!((zones.len(), zones.contains(&"eu-west-1a"), zones.contains(&"eu-west-1b")), (2, true, true));
    assert_eq!(scene.id(0), kept);
}

/// TerminateInstanceInAutoScalingGroup (API reference).
#[test]
fn an_instance_is_terminated_by_hand() {
    let mut scene = fleet_with(2, |draft| draft.min = 1);
    let id = scene.id(0);
    let terminate =
        |decrement: bool| Tree::new().set("InstanceId", &id).set("ShouldDecrementDesiredCapacity", decrement);
    let answer = scene.call("TerminateInstanceInAutoScalingGroup", terminate(true)).unwrap();
    let cause = answer.text("Activity.Cause").unwrap();
    assert!(
        cause.ends_with(&format!("instance {id} was taken out of service in response to a user request.")),
        "{cause}"
    );
    scene.pass(100);
    assert_eq!(scene.counting(), 1);
    let last = Tree::new().set("InstanceId", scene.id(0)).set("ShouldDecrementDesiredCapacity", true);
    assert!(scene.call("TerminateInstanceInAutoScalingGroup", last).is_err());
}

/// EC2 that refuses is asked again, less and less often.
#[test]
fn launches_that_fail_are_repeated() {
    let mut scene = fleet(1);
    scene.behave("1", Behaviour::Refused("We currently do not have sufficient t3.small capacity.".to_owned()));
    scene.set_desired(2);
    scene.pass(3600);
    let answer = scene.call("DescribeScalingActivities", Tree::new()).unwrap();
    let failed = answer.members("Activities").filter(|it| it.text("StatusCode") == Some("Failed")).count();
    assert!((5..30).contains(&failed), "{failed}");
    scene.behave("1", Behaviour::Healthy);
    scene.pass(600);
    assert_eq!(scene.serving(), 2);
}
