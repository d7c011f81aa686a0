//! Target tracking, one test for each rule, with the document that it is from.

use std::time::{Duration, SystemTime};

use super::{Decision, Metric};
use crate::alarms::Alarms;
use crate::instances::Times;
use crate::instances::modelled::Modelled;
use crate::protocol::Tree;
use crate::protocol::query::Call;
use crate::scaling::{Draft, Group, Lifecycle, Place, Scaling, World};

const GROUP: &str = "my-asg";

/// A group with its time.
struct Fleet {
    scaling: Scaling,
    machines: Modelled,
    now: SystemTime,
}

impl Fleet {
    fn new(min: u32, max: u32, desired: u32) -> Self {
        let place = Place { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
        let draft = Draft { min, max, desired, ..Draft::new(GROUP, &place) };
        let mut fleet = Self {
            scaling: Scaling::new(place, Duration::from_secs(3600)),
            machines: Modelled::new(Times { drain: Duration::from_secs(120), ..Times::default() }),
            now: humantime::parse_rfc3339("2026-01-05T07:00:00Z").unwrap(),
        };
        fleet.with(|scaling, world| scaling.create(&draft, world).unwrap());
        fleet
    }

    fn with<T>(&mut self, something: impl FnOnce(&mut Scaling, &mut World<'_>) -> T) -> T {
        let alarms = Alarms::default();
        something(&mut self.scaling, &mut World { now: self.now, instances: &mut self.machines, alarms: &alarms })
    }

    fn call(&mut self, action: &str, parameters: Tree) -> Tree {
        let call = Call { action: action.to_owned(), parameters: parameters.set("AutoScalingGroupName", GROUP) };
        self.with(|scaling, world| scaling.call(&call, world)).unwrap()
    }

    /// A policy as Terraform puts it.
    fn tracks(mut self, metric: Metric, target: f64, more: &Tree) -> Self {
        let kind = Tree::new().set("PredefinedMetricType", metric.as_str());
        let tracking = Tree::new().set("TargetValue", target).with("PredefinedMetricSpecification", kind);
        let tracking = tracking.maybe_with("DisableScaleIn", more.get("DisableScaleIn"));
        let parameters = more.without("DisableScaleIn").set("PolicyName", metric.as_str());
        let parameters = parameters.set("PolicyType", "TargetTrackingScaling");
        self.call("PutScalingPolicy", parameters.with("TargetTrackingConfiguration", tracking));
        self
    }

    fn cpu(self, target: f64) -> Self {
        self.tracks(Metric::AverageCpu, target, &Tree::new())
    }

    fn group(&self) -> &Group {
        self.scaling.groups().next().unwrap()
    }

    fn step(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.with(Scaling::step);
    }

    /// Minutes that each end with these datapoints for the minute, and the desired capacity then.
    fn minutes(&mut self, minutes: u64, datapoints: &[(Metric, f64)]) -> u32 {
        for _ in 0..minutes {
            self.step(30);
            for (metric, value) in datapoints {
                self.scaling.publish(GROUP, *metric, *value, self.now).unwrap();
            }
            self.step(30);
        }
        self.group().desired
    }

    /// The same of CPU alone.
    fn at(&mut self, minutes: u64, cpu: f64) -> u32 {
        self.minutes(minutes, &[(Metric::AverageCpu, cpu)])
    }

    /// Of CPU that follows from a load, in instances that it fills.
    fn loaded(&mut self, minutes: u64, load: f64) -> u32 {
        for _ in 0..minutes {
            let serving = self.group().instances().iter().filter(|it| it.lifecycle == Lifecycle::InService).count();
            self.at(1, (100.0 * load / serving as f64).min(100.0));
        }
        self.group().desired
    }

    fn last(&self) -> Decision {
        self.group().decisions().last().cloned().unwrap()
    }

    fn causes(&mut self) -> Vec<String> {
        let answer = self.call("DescribeScalingActivities", Tree::new());
        answer.members("Activities").filter_map(|it| it.text("Cause")).map(str::to_owned).collect()
    }
}

/// AlarmHigh as AWS makes it: GreaterThanThreshold, 3 periods of 60 s.
#[test]
fn scales_out_after_three_minutes_above_the_target() {
    let mut fleet = Fleet::new(2, 10, 4).cpu(50.0);
    assert_eq!(fleet.at(2, 60.0), 4);
    assert_eq!(fleet.at(1, 50.0), 4);
    assert_eq!(fleet.at(2, 60.0), 4);
    assert_eq!(fleet.at(1, 60.0), 5);
}

/// "Considerations": adding 1.5 instances would bring it to 50 percent, so "we round up and add two instances".
#[test]
fn rounds_up_when_it_adds() {
    let mut fleet = Fleet::new(2, 10, 5).cpu(50.0);
    assert_eq!(fleet.at(3, 65.0), 7);
}

/// "Similarly, if we determine that removing 1.5 instances increases your CPU utilization to above 50 percent, we remove just one
/// instance."
#[test]
fn rounds_up_when_it_removes() {
    // 10 x 42.5 / 50 = 8.5
    let mut fleet = Fleet::new(2, 10, 10).cpu(50.0);
    assert_eq!(fleet.at(15, 42.5), 9);
}

/// AlarmLow as AWS makes it: LessThanThreshold, 15 periods of 60 s.
#[test]
fn scales_in_after_fifteen_minutes_below_nine_tenths_of_the_target() {
    let mut fleet = Fleet::new(2, 10, 10).cpu(50.0);
    assert_eq!(fleet.at(14, 20.0), 10);
    assert_eq!(fleet.at(1, 46.0), 10);
    assert_eq!(fleet.at(14, 20.0), 10);
    assert_eq!(fleet.at(1, 20.0), 9);
}

/// The lower capacity must hold the load: two instances at 30 % would be one at 60 %.
#[test]
fn keeps_what_fewer_could_not_carry() {
    let mut fleet = Fleet::new(1, 10, 2).cpu(50.0);
    assert_eq!(fleet.at(60, 30.0), 2);
    assert_eq!(fleet.at(15, 24.0), 1);
}

/// "the Auto Scaling group scales out proportionally to the metric as fast as it can, but scales in more gradually".
#[test]
fn scales_out_at_once_and_in_gradually() {
    let mut fleet = Fleet::new(2, 500, 100).cpu(50.0);
    assert_eq!(fleet.at(3, 100.0), 200);
    let mut fleet = Fleet::new(2, 500, 100).cpu(50.0);
    assert_eq!(fleet.at(15, 10.0), 90);
    let before: Vec<u32> = (0..40).map(|_| fleet.loaded(1, 10.0)).collect();
    assert!(before.windows(2).all(|pair| pair[1] <= pair[0] && f64::from(pair[1]) >= f64::from(pair[0]) * 0.9 - 1.0));
    // 10 of 22 is the first above 45 %.
    assert_eq!(fleet.loaded(60, 10.0), 22);
}

/// "Dynamic scaling", example 1: maximum 3, 2 instances, a policy that adds 3 adds 1. Example 2: minimum 2, 3 instances, a policy
/// that removes 2 removes 1.
#[test]
fn stays_within_minimum_and_maximum() {
    assert_eq!(Fleet::new(1, 3, 2).cpu(40.0).at(3, 100.0), 3);
    assert_eq!(Fleet::new(2, 5, 3).cpu(50.0).at(60, 5.0), 2);
}

/// "Set the default instance warmup": those that warm up count as part of the desired capacity for the next scale-out, so several
/// breaches that ask for the same result in a single scaling activity; and there is more if the metric of the others asks for it.
#[test]
fn adds_nothing_twice_while_instances_warm_up() {
    let mut fleet = Fleet::new(2, 20, 4).cpu(50.0);
    assert_eq!(fleet.at(3, 70.0), 6);
    fleet.step(5);
    assert_eq!(fleet.group().measured(fleet.now).count(), 4);
    let breach = fleet.now;
    fleet.scaling.publish(GROUP, Metric::AverageCpu, 70.0, breach).unwrap();
    fleet.step(55);
    assert_eq!(fleet.group().desired, 6);
    fleet.scaling.publish(GROUP, Metric::AverageCpu, 95.0, fleet.now).unwrap();
    fleet.step(60);
    assert_eq!(fleet.group().desired, 8);
}

/// The same: an instance contributes to the metric only when its warm-up is over.
#[test]
fn measures_only_those_that_are_warm() {
    let mut fleet = Fleet::new(2, 20, 4).cpu(50.0);
    fleet.at(3, 100.0);
    // 15 s to boot and 60 s to warm up.
    fleet.step(15);
    fleet.step(59);
    assert_eq!(fleet.group().measured(fleet.now).count(), 4);
    fleet.step(1);
    assert_eq!(fleet.group().measured(fleet.now).count(), 8);
}

/// EstimatedInstanceWarmup: without a default warm-up, the default cooldown (300 s) takes its place.
#[test]
fn the_default_cooldown_takes_the_place_of_a_missing_warmup() {
    let mut fleet = Fleet::new(2, 20, 4).cpu(50.0);
    fleet.call("UpdateAutoScalingGroup", Tree::new().set("DefaultInstanceWarmup", -1));
    fleet.at(3, 100.0);
    fleet.step(15);
    fleet.step(299);
    assert_eq!(fleet.group().measured(fleet.now).count(), 4);
    fleet.step(1);
    assert_eq!(fleet.group().measured(fleet.now).count(), 8);
}

/// "A scale-in activity can't start while a scale-out activity is in progress", and scale-in is blocked "until the instances
/// finish warming up".
#[test]
fn does_not_scale_in_while_anything_is_coming() {
    let mut fleet = Fleet::new(2, 20, 10).cpu(50.0);
    fleet.at(14, 20.0);
    fleet.call("SetDesiredCapacity", Tree::new().set("DesiredCapacity", 12));
    assert_eq!(fleet.at(1, 20.0), 12);
    assert_eq!(fleet.at(1, 20.0), 11);
}

/// "While scaling in, we consider instances that are terminating as part of the current capacity".
#[test]
fn counts_what_terminates_when_it_removes() {
    let mut fleet = Fleet::new(2, 20, 20).cpu(50.0);
    assert_eq!(fleet.at(15, 44.0), 18);
    // 18 at 44 would be 16; with the two that still drain, 20 at 44 are 18.
    assert_eq!(fleet.at(1, 44.0), 18);
    // They are gone after 130 s.
    assert_eq!(fleet.at(2, 44.0), 17);
}

/// "It will scale out the Auto Scaling group if any of the target tracking policies are ready for scale out, but will scale in only
/// if all of the target tracking policies (with the scale-in portion enabled) are ready to scale in"; the one that provides most
/// takes precedence.
#[test]
fn any_policy_scales_out_and_all_must_scale_in() {
    let both = || Fleet::new(2, 20, 10).cpu(50.0).tracks(Metric::RequestsPerTarget, 1000.0, &Tree::new());
    let point = |cpu, requests| [(Metric::AverageCpu, cpu), (Metric::RequestsPerTarget, requests)];
    assert_eq!(both().minutes(3, &point(20.0, 1300.0)), 13);
    let mut fleet = both();
    assert_eq!(fleet.minutes(3, &point(55.0, 1300.0)), 13);
    assert_eq!((fleet.last().metric, fleet.last().from), (Metric::RequestsPerTarget, 10));
    assert_eq!(both().minutes(30, &point(20.0, 950.0)), 10);
    assert_eq!(both().minutes(15, &point(20.0, 850.0)), 9);
}

/// "You can disable the scale-in portion of a target tracking scaling policy": then it is not asked, either.
#[test]
fn scale_in_can_be_disabled() {
    let off = || Tree::new().set("DisableScaleIn", true);
    assert_eq!(Fleet::new(2, 20, 10).tracks(Metric::AverageCpu, 50.0, &off()).at(60, 5.0), 10);
    let mut fleet = Fleet::new(2, 20, 10).cpu(50.0).tracks(Metric::RequestsPerTarget, 1000.0, &off());
    assert_eq!(fleet.minutes(15, &[(Metric::AverageCpu, 20.0), (Metric::RequestsPerTarget, 950.0)]), 9);
}

/// "The intention ... is to always prioritize availability": one that wants more keeps the others from scaling in, also where it
/// may not scale in itself and the maximum lets it have no more.
#[test]
fn does_not_scale_in_while_another_policy_wants_more() {
    let off = Tree::new().set("DisableScaleIn", true);
    let mut fleet = Fleet::new(2, 10, 10).cpu(50.0).tracks(Metric::RequestsPerTarget, 1000.0, &off);
    assert_eq!(fleet.minutes(30, &[(Metric::AverageCpu, 20.0), (Metric::RequestsPerTarget, 1500.0)]), 10);
}

/// "A target tracking scaling policy does not scale in your Auto Scaling group when the specified metric has insufficient data".
#[test]
fn does_nothing_without_data() {
    let mut fleet = Fleet::new(2, 20, 10).cpu(50.0);
    fleet.minutes(60, &[]);
    assert_eq!(fleet.group().desired, 10);
    fleet.at(14, 20.0);
    assert_eq!(fleet.minutes(60, &[]), 10);
}

/// "Suspend and resume": AlarmNotification.
#[test]
fn does_nothing_while_alarm_notification_is_suspended() {
    let mut fleet = Fleet::new(2, 20, 10).cpu(50.0);
    fleet.call("SuspendProcesses", Tree::new().with("ScalingProcesses", Tree::list([Tree::leaf("AlarmNotification")])));
    assert_eq!(fleet.at(5, 100.0), 10);
    assert!(fleet.group().tracking_alarms().any(|it| it.name.contains("AlarmHigh") && it.state.as_str() == "ALARM"));
    fleet.call("ResumeProcesses", Tree::new());
    assert_eq!(fleet.at(1, 100.0), 20);
}

/// "Verify a scaling activity": the words of Cause.
#[test]
fn causes_are_in_the_words_of_aws() {
    let mut fleet = Fleet::new(2, 10, 2).cpu(50.0);
    fleet.at(3, 60.0);
    let cause = fleet.causes().remove(0);
    let (before, after) = cause.split_once(" in state ALARM triggered policy ASGAverageCPUUtilization ").unwrap();
    assert!(before.starts_with("At 2026-01-05T07:03:00Z a monitor alarm TargetTracking-my-asg-AlarmHigh-"), "{cause}");
    assert_eq!(
        after,
        "changing the desired capacity from 2 to 3.  At 2026-01-05T07:03:00Z an instance was started in response to a difference \
         between desired and actual capacity, increasing the capacity from 2 to 3."
    );
    fleet.at(20, 5.0);
    let cause = fleet.causes().remove(0);
    assert!(cause.contains("a monitor alarm TargetTracking-my-asg-AlarmLow-"), "{cause}");
    assert!(cause.contains("changing the desired capacity from 3 to 2.  At "), "{cause}");
    assert!(cause.contains("shrinking the capacity from 3 to 2.  At "), "{cause}");
}

/// "Scheduled scaling": sizes by the clock, and a policy goes on from there.
#[test]
fn scheduled_actions_set_sizes() {
    let mut fleet = Fleet::new(2, 10, 2).cpu(50.0);
    let action = Tree::new().set("ScheduledActionName", "morning").set("Recurrence", "30 7 * * MON-FRI");
    fleet.call("PutScheduledUpdateGroupAction", action.set("MinSize", 6).set("MaxSize", 20));
    assert_eq!(fleet.at(29, 40.0), 2);
    assert_eq!(fleet.at(1, 40.0), 6);
    assert!(
        fleet.causes()[0].starts_with(
            "At 2026-01-05T07:30:00Z the scheduled action morning executed. Setting min size from 2 to 6. Setting max size from \
             10 to 20. Setting desired capacity from 2 to 6.  At "
        ),
        "{:?}",
        fleet.causes()[0]
    );
    assert_eq!(fleet.at(30, 5.0), 6);
    assert_eq!(fleet.at(3, 100.0), 12);
    let described = fleet.call("DescribeScheduledActions", Tree::new());
    let next =
        described.members("ScheduledUpdateGroupActions").next().and_then(|it| it.text("StartTime")).map(str::to_owned);
    assert_eq!(next.as_deref(), Some("2026-01-05T07:30:00Z"));
}

/// An action at one time is run then and not again.
#[test]
fn a_scheduled_action_without_recurrence_runs_once() {
    let mut fleet = Fleet::new(2, 10, 2);
    let action = Tree::new().set("ScheduledActionName", "once").set("StartTime", "2026-01-05T07:10:00Z");
    fleet.call("PutScheduledUpdateGroupAction", action.set("DesiredCapacity", 5));
    assert_eq!(fleet.minutes(9, &[]), 2);
    assert_eq!(fleet.minutes(1, &[]), 5);
    fleet.call("SetDesiredCapacity", Tree::new().set("DesiredCapacity", 3));
    assert_eq!(fleet.minutes(30, &[]), 3);
}
