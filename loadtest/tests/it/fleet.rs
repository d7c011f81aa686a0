//! Instances and versions that come and go, as a double shows them.

use serde_json::Value;

use crate::double::{Double, Fault};
use crate::program::run;

const SCALE_OUT: [&str; 7] = ["scale-out", "--rate", "100", "--duration", "3s", "--settle", "2s"];

fn phases(summary: &Value) -> Vec<(&str, &Value)> {
    let phases = summary["phases"].as_array().unwrap();
    phases.iter().map(|phase| (phase["name"].as_str().unwrap(), &phase["reached"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_out_and_in_is_waited_for_and_seen() {
    let double = Double::as_fleet(Fault::None, |since, number| {
        // A second instance from 6 s to 14 s.
        let second = (6..14).contains(&since.as_secs()) && number.is_multiple_of(2);
        if second { ("i-2".to_owned(), "b", "1") } else { ("i-1".to_owned(), "a", "1") }
    });
    let done = run(&[&SCALE_OUT[..], &["--limit", "20s"]].concat(), &double.await.url).await;
    let summary = done.summary();
    assert_eq!(done.code, 0, "{}", done.said);
    let [.., hold, trickle] = &phases(&summary)[..] else { panic!("{summary}") };
    assert_eq!((hold, trickle), (&("hold", &Value::from(true)), &("trickle", &Value::from(true))));
    assert!(summary["duration"].as_f64().unwrap() < 25.0, "each phase ends when its event comes");
    assert_eq!(summary["instances"].as_array().unwrap().len(), 2);
    assert_eq!(summary["events"].as_array().unwrap().len(), 2, "{}", summary["events"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_does_not_grow_fails_the_expectation() {
    let double = Double::start(Fault::None).await;
    let done = run(&[&SCALE_OUT[..], &["--limit", "3s"]].concat(), &double.url).await;
    assert_eq!(done.code, 4, "{}", done.said);
    assert!(done.said.contains("0 new instances answered"), "{}", done.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_over_when_its_version_has_been_alone() {
    let double = Double::as_fleet(Fault::None, |since, number| match (since.as_secs(), number % 2) {
        (0..4, _) | (4..7, 0) => ("i-old".to_owned(), "a", "1"),
        _ => ("i-new".to_owned(), "a", "2"),
    });
    let arguments = ["rollout", "--expect-version", "2", "--limit", "40s", "--settle", "2s"];
    let done = run(&arguments, &double.await.url).await;
    let summary = done.summary();
    assert_eq!(done.code, 0, "{}", done.said);
    assert_eq!(phases(&summary), [("rollout", &Value::from(true))]);
    let duration = summary["duration"].as_f64().unwrap();
    assert!((7.0..20.0).contains(&duration), "{duration}");
    assert!(summary["longest_gap"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_come_fails_the_expectation() {
    let double = Double::start(Fault::None).await;
    let done = run(&["rollout", "--expect-version", "2", "--limit", "3s", "--settle", "1s"], &double.url).await;
    assert_eq!(done.code, 4, "{}", done.said);
    assert!(done.said.contains("version 2 was never alone"), "{}", done.said);
}
