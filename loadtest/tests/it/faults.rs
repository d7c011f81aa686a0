//! What goose as it comes calls a success, or does not notice.

use crate::double::{Double, Fault};
use crate::program::run;

/// A steady run of some seconds in which nearly all users read products.
const STEADY: [&str; 4] = ["run", "--phases", "steady:4s@100", "--users"];

async fn against(fault: Fault, part: &str) {
    let double = Double::start(fault).await;
    let done = run(&[&STEADY[..], &["17"]].concat(), &double.url).await;
    assert_eq!(done.code, 1, "{fault:?}: {}", done.said);
    let summary = done.summary();
    let failures = summary["failures"].as_array().unwrap();
    let failed = summary["total"]["failed"].as_u64().unwrap();
    assert!(failed > 10 && failures[0]["endpoint"].is_string(), "{fault:?}: {failed} failed");
    assert!(
        failures.iter().any(|failure| failure["error"].as_str().unwrap().contains(part)),
        "{fault:?}: {failures:?}"
    );
    assert_eq!(summary["verdict"]["outcome"], "threshold");
    assert_eq!(summary["planned"], summary["issued"], "{fault:?}: what fails is no reason to ask less");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_short_is_a_failure() {
    against(Fault::Truncates, "body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_within_a_body_is_a_failure() {
    against(Fault::Closes, "body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_is_a_failure() {
    against(Fault::Unavailable, "503").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    against(Fault::Redirects, "302").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_question_is_a_failure() {
    against(Fault::Lies, "got \"another\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_goes_away_is_a_failure() {
    against(Fault::Refuses, "refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_failures_may_be_allowed() {
    let double = Double::start(Fault::Unavailable).await;
    let allowed = run(&[&STEADY[..], &["17", "--max-error-ratio", "0.5"]].concat(), &double.url).await;
    assert_eq!(allowed.code, 0, "{}", allowed.said);
    assert!(allowed.summary()["total"]["failed"].as_u64().unwrap() > 10);
}

/// Coordinated omission: users that wait for a stalled target do not ask, and so do not notice; who comes in these two
/// seconds does.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_felt_by_all_who_come_in_it() {
    let double = Double::start(Fault::Stalls).await;
    let done = run(&["run", "--phases", "steady:10s@100", "--users", "20", "--p99", "1000"], &double.url).await;
    let summary = done.summary();
    let p99 = summary["total"]["since_due"]["p99"].as_f64().unwrap();
    assert!(p99 > 1_900.0, "p99 is {p99} ms");
    // goose's own report is told the same.
    let goose: serde_json::Value = serde_json::from_str(&done.file("goose.json")).unwrap();
    assert!(goose.to_string().contains("product"), "{goose}");
    assert_eq!((done.code, &summary["planned"]), (1, &1_000.into()), "{}", done.said);
    assert_eq!(summary["issued"], 1_000, "requests that had to wait are late, not dropped");
    assert!(done.said.contains("p99 of the run"), "{}", done.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_it_passes() {
    let double = Double::start(Fault::None).await;
    let done = run(&[&STEADY[..], &["17"]].concat(), &double.url).await;
    assert_eq!(done.code, 0, "{}", done.said);
    assert_eq!(done.summary()["issued"], 400);
}
