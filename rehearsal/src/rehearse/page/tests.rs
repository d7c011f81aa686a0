use super::super::example;
use super::super::outcome::{Event, EventKind, Figure, Instances, Row};
use super::*;

#[test]
fn foreign_text_stays_text() {
    let mut outcome = example::outcome();
    let foreign = "</script><img src=x onerror=\"alert('1')\">&";
    outcome.began = foreign.to_owned();
    let step = &mut outcome.steps[0];
    step.name = foreign.to_owned();
    step.failure = Some(foreign.to_owned());
    step.checks[0].what = foreign.to_owned();
    step.checks[0].seen = foreign.to_owned();
    step.figures = vec![Figure { what: foreign.into(), value: 1.0, unit: foreign.into(), compressed: true }];
    outcome.events.push(Event { at: 1.0, kind: EventKind::Fault, text: foreign.to_owned() });
    outcome.timeline[300].instances.insert(foreign.to_owned(), Instances { healthy: 1, ..Instances::default() });
    let page = page(&outcome);
    assert!(!page.contains("<img") && page.matches("</script>").count() == 2);
    assert!(
        !page.contains("onerror=\"alert")
            && page.contains("&lt;/script&gt;&lt;img src=x onerror=&quot;alert(&#39;1&#39;)")
    );
}

#[test]
fn what_failed_is_in_the_verdict() {
    let page = page(&example::outcome());
    assert!(page.contains("<title>✗ Rehearsal failed</title>"));
    let verdict = page.split("class=\"verdict bad\"").nth(1).and_then(|rest| rest.split("</section>").next()).unwrap();
    assert!(verdict.contains(
        "“the power of an instance is cut”: expected “at most the requests in flight failed”, seen “7, of 2"
    ));

    let mut outcome = example::outcome();
    outcome.steps.retain(|step| !step.name.starts_with("the power"));
    outcome.passed = true;
    let page = super::page(&outcome);
    assert!(page.contains("class=\"verdict good\"") && page.contains("<title>✓ Rehearsal passed</title>"));
}

#[test]
fn a_single_failed_request_has_a_mark() {
    let mut outcome = example::outcome();
    outcome.timeline.iter_mut().for_each(|row| row.failed = 0);
    let none = page(&outcome);
    assert!(!none.contains("class=\"fails\"") && !none.contains("class=\"failing\"") && !none.contains("class=\"bars"));
    assert!(none.contains("a second; none failed"));
    outcome.timeline[300].failed = 1;
    let one = page(&outcome);
    assert!(
        one.contains(
            "title=\"1 request failed from 5:00 to 5:01\" style=\"--x:37.56%;--wide:0;--narrow:0\">✗ 1</span>"
        )
    );
    assert!(one.contains("class=\"bars c-failed\" d=\"M375.0 100V") && one.matches("class=\"failing\"").count() == 4);
}

#[test]
fn the_page_stands_alone() {
    let page = page(&example::outcome());
    for outside in ["http:", "https:", "//cdn", "src=", "@import", "<link rel=\"stylesheet", "fetch("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#").count());
}

#[test]
fn half_an_hour_is_no_heavy_page() {
    let mut outcome = example::outcome();
    let rows: Vec<Row> = outcome.timeline.iter().cycle().take(1800).cloned().collect();
    outcome.timeline = rows.into_iter().enumerate().map(|(second, row)| Row { at: second as f64, ..row }).collect();
    outcome.seconds = 1800.0;
    let size = page(&outcome).len();
    assert!(size < 400_000, "{size}");
}

#[test]
fn nothing_at_all_is_a_page_too() {
    let mut outcome = example::outcome();
    (outcome.steps, outcome.events, outcome.timeline) = (Vec::new(), Vec::new(), Vec::new());
    outcome.seconds = 0.0;
    let page = page(&outcome);
    assert!(page.contains("it did not get to its end") && !page.contains("NaN") && !page.contains("inf%"));
}

#[test]
fn both_reports_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new");
    // `TIDELINE_EXAMPLE=folder cargo test` leaves them there, to be looked at.
    let folder = std::env::var_os("TIDELINE_EXAMPLE").map_or(folder, Into::into);
    super::super::write(&example::outcome(), &folder).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!((&json["schema"], &json["passed"]), (&1.into(), &false.into()));
    assert_eq!(json["steps"][9]["checks"][0]["seen"], "7, of 2 in flight");
    assert_eq!(json["steps"][4]["figures"][3]["compressed"], true);
    assert_eq!(json["events"][0]["kind"], "action");
    assert_eq!(json["timeline"][545]["failed"], 1);
    assert_eq!(json["timeline"][300]["instances"]["0.1.0+5d6e7f8"]["starting"], 1);
    assert_eq!(read("report.html"), page(&example::outcome()));
}
