//! A rehearsal to try the report with: three builds, a rollout that goes back, faults, and one step that fails.

use std::collections::BTreeMap;

use super::outcome::{Check, Event, EventKind, Figure, Inputs, Instances, Outcome, Row, Step};

const FIRST: &str = "0.1.0+1a2b3c4";
const SECOND: &str = "0.1.0+5d6e7f8";
const BROKEN: &str = "0.1.0+9a0b1c2";

/// Name, end, and its checks: what, seen, passed.
type Told = (&'static str, f64, &'static [(&'static str, &'static str, bool)]);

const STEPS: &[Told] = &[
    (
        "build and check the image",
        95.0,
        &[("the image is baked", "tideline-0.1.0", true), ("it is what was asked for", "sha256 equal", true)],
    ),
    (
        "make up",
        150.0,
        &[("both instances are healthy", "2 of 2", true), ("nothing else is running", "2 machines", true)],
    ),
    ("make smoke", 155.0, &[("every endpoint answers", "11 of 11", true)]),
    ("the page is fetched", 158.0, &[("it shows the build", FIRST, true)]),
    (
        "scale-out under load",
        290.0,
        &[("the group grows to 4", "4 healthy", true), ("no request failed", "0 of 21,310", true)],
    ),
    (
        "a rollout under load",
        400.0,
        &[
            ("all instances run the second build", "4 of 4", true),
            ("no request failed", "0 of 17,204", true),
            ("the refresh is Successful", "Successful", true),
        ],
    ),
    (
        "a build that never becomes ready",
        480.0,
        &[("the refresh rolls back by itself", "RollbackSuccessful", true), ("no request failed", "0 of 12,010", true)],
    ),
    ("make rollback", 540.0, &[("all instances run the first build", "4 of 4", true)]),
    (
        "the service is killed",
        560.0,
        &[("at most the requests in flight failed", "1, of 2 in flight", true), ("it is back", "after 1.2 s", true)],
    ),
    (
        "the power of an instance is cut",
        610.0,
        &[
            ("at most the requests in flight failed", "7, of 2 in flight", false),
            ("the group replaces it", "after 38 s", true),
        ],
    ),
    ("the log disk is full", 618.0, &[("no request failed", "0 of 960", true)]),
    (
        "DynamoDB is gone for a minute",
        690.0,
        &[("every answer is a 503 with a reason", "1,804 of 1,804", true), ("no instance is replaced", "0", true)],
    ),
    ("scale-in", 770.0, &[("the group shrinks to 2", "2 healthy", true), ("no request failed", "0 of 2,110", true)]),
    ("make down", 796.0, &[("nothing is left", "0 resources", true)]),
    ("look for leftovers", 800.0, &[("no machine, mount or process is left", "0", true)]),
];

/// It took 800 seconds.
pub(super) fn outcome() -> Outcome {
    let mut at = 0.0;
    let mut step = |(name, end, checks): &Told| {
        let checks = checks.iter().map(|(what, seen, passed)| Check {
            what: (*what).to_owned(),
            seen: (*seen).to_owned(),
            passed: *passed,
        });
        let began = std::mem::replace(&mut at, *end);
        let (name, checks) = ((*name).to_owned(), checks.collect());
        Step { figures: figures(&name), name, at: began, seconds: end - began, checks, failure: None }
    };
    Outcome {
        schema: 1,
        began: "2025-11-21T08:44:12Z".to_owned(),
        seconds: 800.0,
        passed: false,
        inputs: Inputs { cores: 2, memory: 7951, speed: 30.0, instance_cpus: 0.5, instance_memory: 512 },
        steps: STEPS.iter().map(&mut step).collect(),
        events: events(),
        timeline: (0..800).map(row).collect(),
    }
}

fn figures(step: &str) -> Vec<Figure> {
    let figure = |what: &str, value, unit: &str, compressed| Figure {
        what: what.to_owned(),
        value,
        unit: unit.to_owned(),
        compressed,
    };
    match step {
        "make up" => vec![figure("boot to serving", 11.42, "s", false)],
        "scale-out under load" => vec![
            figure("spike to the alarm", 9.1, "s", true),
            figure("alarm to a new instance's boot", 1.3, "s", false),
            figure("boot to healthy", 13.8, "s", false),
            figure("spike to the first new instance serving", 24.2, "s", true),
        ],
        "a rollout under load" => {
            vec![figure("all of the rollout", 88.0, "s", true), figure("latency p99 meanwhile", 14.25, "ms", false)]
        }
        "the power of an instance is cut" => vec![figure("until the load balancer sees it", 10.4, "s", false)],
        _ => Vec::new(),
    }
}

fn events() -> Vec<Event> {
    use EventKind::{Action, Fault, Rollout, Scaling};
    let told = [
        (0.0, Action, "make image"),
        (95.0, Action, "make up"),
        (112.0, Scaling, "launching i-0a1b2c3d4e5f60718 in eu-central-1a"),
        (112.4, Scaling, "launching i-0a1b2c3d4e5f60719 in eu-central-1b"),
        (150.0, Action, "make smoke"),
        (158.0, Action, "the load begins: 160 requests a second"),
        (196.0, Scaling, "2 → 4: AlarmHigh of tideline-cpu, CPU 71.3 %"),
        (290.0, Action, "make deploy"),
        (292.0, Rollout, "Pending"),
        (293.0, Rollout, "InProgress"),
        (392.0, Rollout, "Successful"),
        (400.0, Action, "make deploy, of a build that never becomes ready"),
        (402.0, Rollout, "InProgress"),
        (452.0, Rollout, "RollbackInProgress: the alarm tideline-unhealthy is on"),
        (474.0, Rollout, "RollbackSuccessful"),
        (480.0, Action, "make rollback"),
        (482.0, Rollout, "InProgress"),
        (536.0, Rollout, "Successful"),
        (545.0, Fault, "kill -9 of the service on i-0123456789abcdef0"),
        (566.0, Fault, "power cut of i-0123456789abcdef1"),
        (577.0, Scaling, "terminating i-0123456789abcdef1: an EC2 instance status check failure"),
        (578.0, Scaling, "launching i-0123456789abcdef2"),
        (611.0, Fault, "the log disk of i-0123456789abcdef0 is filled"),
        (617.0, Fault, "it is emptied"),
        (620.0, Fault, "DynamoDB answers nothing"),
        (680.0, Fault, "DynamoDB answers again"),
        (692.0, Action, "the load ends"),
        (724.0, Scaling, "4 → 3: AlarmLow of tideline-cpu, CPU 6.1 %"),
        (748.0, Scaling, "3 → 2: AlarmLow of tideline-cpu, CPU 7.9 %"),
        (770.0, Action, "make down"),
    ];
    told.map(|(at, kind, text)| Event { at, kind, text: text.to_owned() }).into()
}

/// As if it were random, from 0 to 1.
fn noise(second: u32, salt: u32) -> f64 {
    let mixed = second.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)).rotate_left(13);
    f64::from(mixed.wrapping_mul(2_246_822_519) >> 16) / 65_536.0
}

fn row(second: u32) -> Row {
    let calm = noise(second, 1);
    let answered = match second {
        150..158 => 4,
        158..692 => 160 + (calm * 14.0) as u64,
        692..770 => 8 + (calm * 5.0) as u64,
        _ => 0,
    };
    let failed = match second {
        545 => 1,
        566 => 4,
        567 => 2,
        569 => 1,
        620..680 => 28 + (calm * 6.0) as u64,
        _ => 0,
    };
    let slow = match second {
        158..225 => 9.0,
        290..400 => 2.2,
        566..576 | 620..680 => 14.0,
        _ => 1.0,
    };
    let p50 = (answered > 0).then_some((1.4 + calm * 0.4) * f64::sqrt(slow));
    let cpu = match second {
        0..112 | 770.. => None,
        112..158 => Some(4.0),
        158..196 => Some(f64::from(second - 158).mul_add(1.9, 4.0)),
        196..240 => Some(76.0 - f64::from(second - 196)),
        240..692 => Some(34.0 + calm * 5.0),
        _ => Some(f64::from(second - 692).mul_add(-0.4, 34.0).max(6.0)),
    };
    let speed = match second {
        170..192 | 240..285 | 330..340 | 425..448 | 700..765 => 30.0,
        _ => 1.0,
    };
    Row {
        at: f64::from(second),
        answered,
        failed,
        p50,
        p99: p50.map(|p50| p50 * (2.5 + noise(second, 2) * slow)),
        desired: match second {
            0..110 | 770.. => 0,
            110..196 | 748..770 => 2,
            724..748 => 3,
            _ => 4,
        },
        instances: instances(second),
        cpu,
        speed,
    }
}

fn instances(second: u32) -> BTreeMap<String, Instances> {
    let of = |starting, healthy, unhealthy, leaving| Instances { starting, healthy, unhealthy, leaving };
    let replaced = |since: u32| (second.saturating_sub(since) / 25).min(4);
    let old_and_new = |since: u32, (from, to): (&str, &str)| {
        let done = replaced(since);
        let into = second.saturating_sub(since) % 25;
        let starting = u32::from(done < 4 && into < 14);
        let leaving = u32::from(done < 4 && into >= 14);
        let new = done + u32::from(done < 4 && into >= 14);
        vec![(from.to_owned(), of(0, 4 - new, 0, leaving)), (to.to_owned(), of(starting, new, 0, 0))]
    };
    let all = |healthy| vec![(FIRST.to_owned(), healthy)];
    let now: Vec<(String, Instances)> = match second {
        112..126 => all(of(2, 0, 0, 0)),
        126..196 => all(of(0, 2, 0, 0)),
        196..212 => all(of(2, 2, 0, 0)),
        212..293 => all(of(0, 4, 0, 0)),
        293..400 => old_and_new(293, (FIRST, SECOND)),
        400..404 | 474..482 => vec![(SECOND.to_owned(), of(0, 4, 0, 0))],
        404..420 => vec![(SECOND.to_owned(), of(0, 4, 0, 0)), (BROKEN.to_owned(), of(1, 0, 0, 0))],
        420..456 => vec![(SECOND.to_owned(), of(0, 4, 0, 0)), (BROKEN.to_owned(), of(0, 0, 1, 0))],
        456..474 => vec![(SECOND.to_owned(), of(0, 4, 0, 0)), (BROKEN.to_owned(), of(0, 0, 0, 1))],
        482..545 => old_and_new(432, (SECOND, FIRST)),
        545..547 => all(of(0, 3, 1, 0)),
        566..577 => all(of(0, 3, 1, 0)),
        577..592 => all(of(1, 3, 0, 0)),
        547..724 => all(of(0, 4, 0, 0)),
        724..734 => all(of(0, 3, 0, 1)),
        734..748 => all(of(0, 3, 0, 0)),
        748..758 => all(of(0, 2, 0, 1)),
        758..770 => all(of(0, 2, 0, 0)),
        770..785 => all(of(0, 0, 0, 2)),
        _ => Vec::new(),
    };
    now.into_iter().filter(|(_, instances)| *instances != Instances::default()).collect()
}
