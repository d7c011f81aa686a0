//! A run to try the report with: a scale-out from two instances to four and back, at the end of a rollout.

use std::collections::BTreeMap;

use crate::record::{Failure, Instance};
use crate::report::{Event, Generator, PhaseSummary, Quantiles, Row, SCHEMA, Summary, Times};
use crate::verdict::{Outcome, Verdict};

/// Name, start, end, rates, and whether what it waited for came.
type Phase = (&'static str, f64, f64, [f64; 2], Option<bool>);

const PHASES: [Phase; 4] = [
    ("warm", 0.0, 60.0, [50.0, 50.0], None),
    ("ramp", 60.0, 240.0, [50.0, 800.0], None),
    ("hold", 240.0, 742.0, [800.0, 800.0], Some(true)),
    ("trickle", 742.0, 1200.0, [5.0, 5.0], Some(true)),
];

/// The same run with and without what goes wrong.
pub(crate) fn summary(unhappy: bool) -> Summary {
    let failed = if unhappy { 431 } else { 0 };
    let slow = if unhappy { 3.5 } else { 1.0 };
    let phases = PHASES.map(|(name, start, end, rates, reached)| {
        let all = ((rates[0] + rates[1]) / 2.0 * (end - start)) as u64;
        let bad = if name == "hold" { failed } else { 0 };
        let part = |share: u64| times(all * share / 100, bad * share / 100, slow);
        let endpoints = [("GET /data/{id}", 80), ("POST /data", 15), ("GET /data", 5)];
        PhaseSummary {
            name: name.to_owned(),
            start,
            end,
            rates,
            reached: if unhappy && name == "trickle" { Some(false) } else { reached },
            total: times(all, bad, slow),
            endpoints: endpoints.map(|(endpoint, share)| (endpoint.to_owned(), part(share))).into(),
        }
    });
    let issued = phases.iter().map(|phase| phase.total.ok + phase.total.failed).sum();
    let event = |at, text: &str| Event { at, text: text.to_owned() };
    Summary {
        schema: SCHEMA,
        run: "20251121T084412Z-7f3a".to_owned(),
        profile: "scale-out".to_owned(),
        url: "https://tideline.example.com".to_owned(),
        started: "2025-11-21T08:44:12Z".to_owned(),
        duration: 1200.5,
        interrupted: None,
        planned: issued + if unhappy { 61 } else { 0 },
        issued,
        users: 512,
        total: times(issued, failed, slow),
        phases: phases.to_vec(),
        instances: instances(),
        longest_gap: if unhappy { 2.75 } else { 0.5 },
        longest_gap_at: 331.5,
        generator: Generator {
            cpu_seconds: 412.5,
            cpus: 2.0,
            cpu_us_per_request: 832.5,
            late: if unhappy { 812 } else { 0 },
            overslept_ms: 6.25,
            throttled_seconds: if unhappy { 3 } else { 0 },
            ..Generator::default()
        },
        events: vec![
            event(66.0, "version 1.5.0 first seen, on i-0b77e21c94d3f0a61"),
            event(118.0, "version 1.4.2 last seen: the rollout is over"),
            event(301.0, "Launching a new EC2 instance: i-0c5f7a9130be2d447 (target tracking, CPU 83 %)"),
            event(309.0, "Launching a new EC2 instance: i-0d1e88b2f64ac7390 (target tracking, CPU 84 %)"),
            event(372.0, "i-0c5f7a9130be2d447 in service"),
            event(421.0, "i-0d1e88b2f64ac7390 in service"),
            event(1012.0, "Terminating EC2 instance: i-0c5f7a9130be2d447 (scale in)"),
            event(1131.0, "Terminating EC2 instance: i-0d1e88b2f64ac7390 (scale in)"),
        ],
        failures: if unhappy { failures() } else { Vec::new() },
        verdict: verdict(unhappy),
    }
}

fn verdict(unhappy: bool) -> Verdict {
    let (outcome, reasons): (_, &[&str]) = match unhappy {
        false => (
            Outcome::Pass,
            &[
                "no request failed (at most 0.1 % may)",
                "p99 since due was 43 ms (at most 500 ms)",
                "two further instances answered, each for two minutes, 8:22 after the hold began",
                "the fleet went back from four instances to two",
            ],
        ),
        true => (
            Outcome::Threshold,
            &[
                "p99 since due was 742 ms in phase hold: over 500 ms",
                "the fleet did not go back to two instances within the phase trickle",
                "431 requests failed, 0.09 %: within 0.1 %",
            ],
        ),
    };
    Verdict { outcome, reasons: reasons.iter().map(|&reason| reason.to_owned()).collect() }
}

fn times(all: u64, failed: u64, slow: f64) -> Times {
    let quantiles = |by: f64| {
        let [mean, p50, p90, p95, p99, p999, max] = [6.5, 4.75, 9.5, 14.5, 43.25, 188.5, 412.25].map(|time| time * by);
        Quantiles { mean, p50, p90, p95, p99, p999, max }
    };
    let mut statuses = BTreeMap::from([(200, all - failed)]);
    if failed > 0 {
        statuses.extend([(503, failed - failed / 9), (0, failed / 9)]);
    }
    Times { ok: all - failed, failed, statuses, service: quantiles(0.75), since_due: quantiles(slow) }
}

fn instances() -> Vec<Instance> {
    let instance = |id: &str, zone: &str, version: &str, first, last, answers| Instance {
        id: id.to_owned(),
        zone: zone.to_owned(),
        version: version.to_owned(),
        first,
        last,
        answers,
    };
    vec![
        instance("i-08e3c1f27ab94d512", "eu-central-1a", "1.4.2", 0.25, 74.5, 2310),
        instance("i-0fa2290d7e6b1c384", "eu-central-1b", "1.4.2", 0.25, 118.0, 5127),
        instance("i-0b77e21c94d3f0a61", "eu-central-1a", "1.5.0", 66.0, 1200.0, 178_322),
        instance("i-03d9c5518fe0a72b4", "eu-central-1b", "1.5.0", 104.0, 1199.5, 171_043),
        instance("i-0c5f7a9130be2d447", "eu-central-1c", "1.5.0", 372.0, 1010.0, 63_914),
        instance("i-0d1e88b2f64ac7390", "eu-central-1a", "1.5.0", 421.0, 1130.5, 58_801),
    ]
}

fn failures() -> Vec<Failure> {
    let failure = |number: u32| {
        let (status, instance, error) = match number % 9 {
            0 => (0, "", "error sending request: connection reset by peer (os error 104)"),
            _ => (503, "i-0b77e21c94d3f0a61", "503 with problem overloaded: as many requests as may be in flight are"),
        };
        Failure {
            at: 331.5 + f64::from(number) * 0.25,
            endpoint: "GET /data/{id}".to_owned(),
            instance: instance.to_owned(),
            status,
            error: error.to_owned(),
        }
    };
    (0..100).map(failure).collect()
}

/// A number from 0 to 1 that looks like chance, from a second and a kind.
fn chance(second: u32, kind: u32) -> f64 {
    let mixed = (second ^ kind.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    f64::from((mixed ^ (mixed >> 16)) >> 8) / f64::from(1u32 << 24)
}

/// Its seconds.
pub(crate) fn timeline(unhappy: bool) -> Vec<Row> {
    let row = |second: u32| {
        let at = f64::from(second);
        let phase = PHASES.iter().find(|phase| at <= phase.2).unwrap_or(&PHASES[3]);
        let planned = phase.3[0] + (phase.3[1] - phase.3[0]) * (at - phase.1) / (phase.2 - phase.1);
        let there = |instance: &Instance| instance.first <= at && at <= instance.last;
        let answering: Vec<Instance> = instances().into_iter().filter(there).collect();
        let load = planned / answering.len().max(1) as f64;
        let busy = (load / 230.0).powi(3);
        let (bad, lost) = match second {
            325..=340 if unhappy => (true, (20.0 + 24.0 * chance(second, 1)) as u64),
            _ => (false, 0),
        };
        let sent = (planned + (chance(second, 2) - 0.5) * planned.sqrt() * 0.6).max(0.0).round() as u64;
        let slow = 1.0 + busy * if unhappy { 2.6 } else { 0.35 } + if bad { 30.0 } else { 0.0 };
        let p50 = (2.2 + 1.4 * chance(second, 3)) * slow;
        let p95 = p50 * (2.1 + 0.8 * chance(second, 4));
        let outlier = if chance(second, 6) > 0.985 { 5.0 } else { 1.0 };
        let p99 = p95 * (1.6 + 1.5 * chance(second, 5)) * outlier;
        let share = |p: f64| (p * 8.0).round() / 8.0;
        let mut versions = BTreeMap::new();
        let mut zones = BTreeMap::new();
        for instance in answering {
            *versions.entry(instance.version).or_default() += 1;
            *zones.entry(instance.zone).or_default() += 1;
        }
        let desired = match second {
            300..=1009 => 4,
            1010..=1127 => 3,
            _ => 2,
        };
        let in_service = match second {
            372..=420 | 1012..=1130 => 3,
            421..=1011 => 4,
            _ => 2,
        };
        Row {
            at,
            phase: phase.0.to_owned(),
            planned_rate: share(planned),
            due: sent,
            sent,
            ok: sent.saturating_sub(lost),
            failed: lost,
            in_flight: (load / 60.0) as u64,
            waiting: 0,
            p50_ms: share(p50),
            p95_ms: share(p95),
            p99_ms: share(p99),
            service_p50_ms: share(p50 * 0.75),
            versions,
            zones,
            own_cpus: share(0.05 + planned / 900.0 + 0.15 * chance(second, 7)),
            desired: Some(desired),
            in_service: Some(in_service),
            healthy: Some(in_service),
            fleet_cpu: second.is_multiple_of(60).then(|| share((load / 4.2 + 8.0 * chance(second, 8)).min(97.0))),
            ..Row::default()
        }
    };
    (1..=1200).map(row).collect()
}
