//! Simulations: that they come out the same, hold the rules, and are done soon.

use std::process::Command;
use std::time::Duration;

use tideline_rehearsal::Behaviour;
use tideline_rehearsal::instances::Times;
use tideline_rehearsal::simulate::traffic::{Shape, Spike, Traffic, phases};
use tideline_rehearsal::simulate::{Outcome, Rollout, STEP, Settings, page, run, text};

const HOUR: Duration = Duration::from_secs(3600);

/// As Terraform has it, with instances that do 1,000 requests a second.
fn usual(shape: Shape, length: Duration) -> Settings {
    Settings {
        traffic: Traffic { shape, spike: None },
        length,
        requests_per_vcpu: 500.0,
        vcpus: 2,
        price: 0.02,
        min: 2,
        max: 5,
        cpu_target: 50.0,
        requests_target: None,
        warmup: Duration::from_secs(60),
        times: Times::default(),
        metric_delay: Duration::from_secs(60),
        rollout: None,
        schedules: Vec::new(),
    }
}

fn steady(rate: f64, length: Duration) -> Settings {
    usual(Shape::Points(vec![(0.0, rate), (length.as_secs_f64(), rate)]), length)
}

/// A thousand instances at its peak.
fn great_day() -> Settings {
    let day = usual(Shape::Day { trough: 100_000.0, peak: 480_000.0 }, 24 * HOUR);
    let spike = Spike { factor: 3.0, at: 10 * HOUR, length: HOUR / 2 };
    Settings { traffic: Traffic { spike: Some(spike), ..day.traffic }, min: 20, max: 1000, ..day }
}

fn rollout(behaviour: Behaviour) -> Rollout {
    Rollout { at: HOUR, behaviour, bake: Duration::from_secs(300), limit: HOUR }
}

/// When the desired capacity was first changed, and to what.
fn first_change(outcome: &Outcome) -> (f64, [u32; 2]) {
    outcome.events.iter().find_map(|event| Some((event.at, event.desired?))).unwrap()
}

#[test]
fn the_same_settings_have_the_same_outcome() {
    let day = usual(Shape::Day { trough: 200.0, peak: 2000.0 }, 24 * HOUR);
    let settings = Settings { rollout: Some(rollout(Behaviour::NeverHealthy)), ..day };
    let (one, other) = (run(&settings).unwrap(), run(&settings).unwrap());
    assert_eq!(one, other);
    assert_eq!(page(&one), page(&other));
    assert!(one.totals.scale_outs > 0 && one.totals.scale_ins > 0, "{:?}", one.totals);
}

#[test]
fn a_day_of_a_thousand_instances_holds_the_rules_in_a_bounded_number_of_steps() {
    let settings = great_day();
    let outcome = run(&settings).unwrap();
    let totals = &outcome.totals;
    assert_eq!(totals.steps, settings.length.as_secs() / STEP.as_secs());
    assert_eq!(outcome.timeline.len(), 24 * 60);
    assert_eq!((totals.most_desired, totals.most_serving), (1000, 1000));
    for row in &outcome.timeline {
        assert!((settings.min..=settings.max).contains(&row.desired), "{row:?}");
        assert!(row.serving + row.pending <= settings.max, "{row:?}");
        // What is done, refused and failed is what came.
        assert!(row.refused <= row.offered && (row.refused > 0.0) <= (row.utilisation > 100.0), "{row:?}");
    }
    let changes: Vec<_> = outcome.events.iter().filter_map(|event| event.desired).collect();
    for [from, to] in changes.iter().filter(|[from, to]| to < from) {
        assert!(f64::from(from - to) <= (f64::from(*from) / 10.0).max(1.0), "{from} to {to}");
    }
    assert!(changes.windows(2).all(|pair| pair[0][1] == pair[1][0]));
    // Outside of the spike, the day is followed without a refusal.
    assert!(outcome.timeline.iter().all(|row| row.refused == 0.0 || (36_000.0..=37_800.0).contains(&row.at)));
    assert!((totals.cost_per_month / totals.cost_per_day - 730.0 / 24.0).abs() < 1e-9);
    assert!((totals.cost - totals.instance_hours * settings.price).abs() < 1e-6);
}

/// Three datapoints of a minute each, known a minute late; then a boot and two health checks.
#[test]
fn a_spike_brings_instances_within_the_documented_delay() {
    let calm = steady(600.0, 2 * HOUR);
    let spike = Spike { factor: 4.0, at: HOUR, length: HOUR };
    let settings = Settings { traffic: Traffic { spike: Some(spike), ..calm.traffic }, ..calm };
    let outcome = run(&settings).unwrap();
    let (at, change) = first_change(&outcome);
    assert_eq!((at, change), (3600.0 + 240.0, [2, 4]));
    let times = settings.times;
    let serves = at + (times.boot + times.healthy).as_secs_f64();
    let helped = outcome.timeline.iter().find(|row| row.serving == 4).unwrap();
    assert!((serves..=serves + 60.0).contains(&helped.at), "{} {serves}", helped.at);
    // 2,400 come, two instances do 2,000; the rest is refused until then.
    assert!((outcome.totals.refused - 400.0 * (serves - 3600.0)).abs() <= 400.0 * 2.0 * STEP.as_secs_f64());
    assert_eq!(outcome.timeline.last().map(|row| row.desired), Some(5));
}

#[test]
fn metrics_that_come_late_are_acted_on_late() {
    for delay in [0, 60, 180] {
        let settings = Settings { metric_delay: Duration::from_secs(delay), ..steady(1500.0, HOUR) };
        let settings = Settings {
            traffic: Traffic { shape: phases("calm:20m@500,busy:40m@1500").unwrap(), ..settings.traffic },
            ..settings
        };
        let (at, change) = first_change(&run(&settings).unwrap());
        assert_eq!((at, change), ((20.0 + 3.0) * 60.0 + delay as f64, [2, 3]), "{delay}");
    }
}

#[test]
fn scale_in_waits_and_goes_gradually() {
    let settings = Settings { max: 100, ..usual(phases("busy:1h@40000,calm:2h@4000").unwrap(), 3 * HOUR) };
    let outcome = run(&settings).unwrap();
    let (at, change) = first_change(&outcome);
    // Fifteen minutes, the one that the metric is late, and the first that is whole.
    assert_eq!((at, change), (3600.0 + 16.0 * 60.0, [80, 72]));
    assert_eq!(outcome.totals.refused, 0.0);
    assert_eq!(outcome.timeline.last().map(|row| row.desired), Some(8));
}

#[test]
fn a_thousand_instances_are_replaced_within_the_maintenance_policy() {
    let quiet = steady(400_000.0, 2 * HOUR);
    let settings = Settings { min: 1000, max: 1000, rollout: Some(rollout(Behaviour::Healthy)), ..quiet };
    let outcome = run(&settings).unwrap();
    assert_eq!(outcome.totals.rollout, Some("Successful"));
    assert_eq!((outcome.totals.refused, outcome.totals.failed), (0.0, 0.0));
    for row in &outcome.timeline {
        assert!(row.serving >= 1000 && row.serving + row.pending <= 1500, "{row:?}");
    }
    assert_eq!(outcome.timeline.last().map(|row| row.new), Some(1000));
}

#[test]
fn a_version_that_fails_requests_goes_back_by_itself() {
    let quiet = steady(400_000.0, 2 * HOUR);
    let settings = Settings { min: 1000, max: 1000, rollout: Some(rollout(Behaviour::Errors)), ..quiet };
    let outcome = run(&settings).unwrap();
    assert_eq!(outcome.totals.rollout, Some("RollbackSuccessful"));
    assert!(outcome.events.iter().any(|event| event.text.contains("tideline-5xx went into the ALARM state")));
    assert!(outcome.totals.failed > 0.0 && outcome.totals.failed < outcome.totals.requests * 0.1);
    let last = outcome.timeline.last().unwrap();
    assert_eq!((last.serving, last.new, last.failed), (1000, 0, 0.0));
}

#[test]
fn a_version_that_never_becomes_healthy_harms_nobody() {
    let quiet = steady(400_000.0, 2 * HOUR);
    let never = Rollout { limit: HOUR / 4, ..rollout(Behaviour::NeverHealthy) };
    let settings = Settings { min: 1000, max: 1000, rollout: Some(never), ..quiet };
    let outcome = run(&settings).unwrap();
    assert_eq!(outcome.totals.rollout, Some("RollbackSuccessful"));
    assert_eq!((outcome.totals.refused, outcome.totals.failed, outcome.totals.least_serving), (0.0, 0.0, 1000));
    assert!(outcome.timeline.iter().all(|row| row.serving + row.pending <= 1500 && row.new == 0));
}

#[test]
fn a_schedule_is_there_before_the_rush() {
    let rush = usual(phases("night:2h@500,rush:1h@4000").unwrap(), 3 * HOUR);
    let late = run(&Settings { max: 10, ..rush.clone() }).unwrap();
    let ready = run(&Settings { max: 10, schedules: vec![("50 1 * * *".to_owned(), 8)], ..rush }).unwrap();
    assert!(late.totals.refused > 0.0);
    assert_eq!(ready.totals.refused, 0.0);
}

#[test]
fn the_program_writes_its_reports_and_refuses_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tideline-rehearsal"));
        command.arg("simulate").args(words).current_dir(&folder).output().unwrap()
    };
    let done = simulate(&["--spike", "3", "--rollout", "12h", "--out", "report"]);
    assert!(done.status.success(), "{done:?}");
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.contains("Simulated 24 h: a day between"), "{told}");
    let json = std::fs::read_to_string(folder.path().join("report/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["schema"].as_u64(), json["totals"]["rollout"].as_str()), (Some(1), Some("Successful")));
    let page = std::fs::read_to_string(folder.path().join("report/report.html")).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));
    for foreign in ["http:", "https:", "src=", "url(", "@import", "NaN", "inf"] {
        assert!(!page.contains(foreign), "{foreign}");
    }

    for (words, fault) in [
        (&["--min", "9"][..], "--min 9 is more than --max 5"),
        (&["--traffic", "nothing"], "neither day, nor phases, nor a file"),
        (&["--traffic", "a:1h@x"], "is no phase"),
        (&["--peak=-3"], "--peak"),
    ] {
        let refused = simulate(words);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && said.contains(fault), "{said}");
    }
}

#[test]
fn nothing_asked_is_an_outcome_too() {
    let outcome = run(&steady(0.0, HOUR)).unwrap();
    assert_eq!((outcome.totals.requests, outcome.totals.most_desired), (0.0, 2));
    assert!(text(&outcome).contains("0 requests/s") && !page(&outcome).contains("NaN"));
}
