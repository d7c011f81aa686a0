use super::*;
use crate::record::Failure;
use crate::report::{Event, Times};
use crate::verdict::{Outcome, Verdict};

#[test]
fn the_page_stands_alone_and_has_all_its_parts() {
    let page = page(&example::summary(true), &example::timeline(true));
    for part in [
        "<title>✕ scale-out: Failed: a threshold was crossed</title>",
        "<li>p99 since due was 742 ms in phase hold: over 500 ms</li>",
        "61 of 483,451 planned never sent",
        "Requests per second",
        "log scale",
        "Failures per second",
        "1.4.2<b data-key=\"v0\">",
        "desired<b",
        "fleet<b",
        "hold</span>",
        "hold: 4:00–12:22, 800 per second</title>",
        "<title>5:01 Launching a new EC2 instance",
        "✕ not reached",
        "POST /data</code>",
        "<b>With care.</b>",
        "connection reset by peer",
        "And 406 more; <code>summary.json</code> has the first 100.",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // It names no address to fetch from: the only one is that of the target, as text.
    for part in [" src=", "url(", "@import", "http://", "<link rel=\"style", "eval("] {
        assert!(!page.contains(part), "{part}");
    }
    assert_eq!(page.matches("https://").count(), 1);
    assert!(page.len() < 700_000, "{}", page.len());
}

#[test]
fn nothing_foreign_is_markup() {
    let evil = |name: &str| format!("{name}\"'><script>alert(1)</script><!--");
    let (mut summary, mut timeline) = (example::summary(true), example::timeline(true));
    summary.run = evil("run");
    summary.profile = evil("profile");
    summary.url = evil("url");
    summary.started = evil("started");
    summary.interrupted = Some(evil("signal"));
    summary.verdict = Verdict { outcome: Outcome::Interrupted, reasons: vec![evil("reason")] };
    summary.events.push(Event { at: 5.0, text: evil("event") });
    summary.failures[0] =
        Failure { at: 0.0, endpoint: evil("endpoint"), instance: evil("id"), status: 1, error: evil("error") };
    summary.instances[0].id = evil("instance");
    summary.instances[0].zone = evil("zone");
    summary.instances[0].version = evil("version");
    summary.phases[0].name = evil("phase");
    summary.phases[0].endpoints.insert(evil("template"), Times::default());
    timeline[0].phase = evil("row");
    timeline[0].versions.insert(evil("seen"), 1);
    let page = page(&summary, &timeline);
    assert!(!page.contains("<script>alert") && !page.contains("<!--") && !page.contains("'>&lt;script"));
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    for name in [
        "run", "profile", "url", "started", "signal", "reason", "event", "endpoint", "id", "error", "instance", "zone",
        "version", "phase", "template",
    ] {
        assert!(page.contains(&format!("{name}&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--")), "{name}");
    }
    // In the script's data as JSON, where only `<` matters.
    assert!(page.contains(r#"phase\"'>\u003cscript>alert(1)\u003c/script>"#));
}

#[test]
fn a_day_stays_small_and_keeps_its_worst_second() {
    let mut timeline: Vec<_> = example::timeline(true).into_iter().cycle().take(86_400).collect();
    for (second, row) in timeline.iter_mut().enumerate() {
        row.at = second as f64 + 1.004;
    }
    timeline[50_000].p99_ms = 54_321.0;
    let mut summary = example::summary(true);
    summary.duration = 86_400.0;
    summary.events = summary.events.into_iter().cycle().take(5000).collect();
    summary.instances = summary.instances.into_iter().cycle().take(10_000).collect();
    let page = page(&summary, &timeline);
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("54321.0") && page.contains("Each point is 1 min") && page.contains(">22:00</span>"));
    assert!(page.contains("And 4,800 more"));
}

#[test]
fn a_run_of_nothing_is_drawn() {
    let (mut summary, timeline) = (example::summary(false), example::timeline(false));
    assert!(page(&summary, &timeline[..1]).contains("h.01"));
    let empty = page(&summary, &[]);
    assert!(empty.contains("No timeline was recorded.") && empty.contains("Requests per second"));
    (summary.duration, summary.issued, summary.planned) = (0.0, 0, 0);
    (summary.phases, summary.instances, summary.events) = (Vec::new(), Vec::new(), Vec::new());
    (summary.total, summary.generator) = Default::default();
    summary.verdict.reasons.clear();
    for timeline in [&timeline[..0], &[Row { p99_ms: f64::NAN, own_cpus: f64::INFINITY, ok: 1, ..Row::default() }]] {
        let page = page(&summary, timeline);
        assert!(!page.contains("NaN") && !page.contains("inf") && page.contains("No answer named its instance."));
    }
}
