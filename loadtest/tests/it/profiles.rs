//! Runs against a real Tideline.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::program::{Done, Tideline, arguments, command, finish, get, output, run};

/// All requests of an endpoint, as the service itself counts them.
async fn counted(tideline: &Tideline) -> BTreeMap<String, u64> {
    let metrics = get(&format!("{}/metrics", tideline.admin)).await.unwrap();
    let mut counts = BTreeMap::new();
    for line in metrics.lines().filter_map(|line| line.strip_prefix("tideline_requests_total{")) {
        let (labels, count) = line.split_once("} ").unwrap();
        let label =
            |name: &str| labels.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
        let endpoint = format!("{} {}", label("method"), label("route"));
        *counts.entry(endpoint).or_default() += count.parse::<f64>().unwrap() as u64;
    }
    counts
}

fn asked(summary: &Value) -> BTreeMap<String, u64> {
    let mut asked = BTreeMap::new();
    for phase in summary["phases"].as_array().unwrap() {
        for (endpoint, times) in phase["endpoints"].as_object().unwrap() {
            let count = times["ok"].as_u64().unwrap() + times["failed"].as_u64().unwrap();
            *asked.entry(endpoint.clone()).or_default() += count;
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planned_request_is_sent_and_the_service_has_seen_it() {
    let tideline = Tideline::start(&[]).await;
    let before = counted(&tideline).await;
    let done = run(&["run", "--phases", "rise:2s@20..100,steady:3s@100,pause:500ms@0,end:1s@50"], &tideline.url).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let summary = done.summary();
    assert_eq!((&summary["planned"], &summary["issued"]), (&470.into(), &470.into()));
    let after = counted(&tideline).await;
    for (endpoint, count) in asked(&summary) {
        // Beside the load only /status is asked, and documents are written before it and removed after it.
        if ["GET /status", "PUT /data/{id}", "DELETE /data/{id}"].contains(&endpoint.as_str()) {
            continue;
        }
        let seen = after[&endpoint] - before.get(&endpoint).copied().unwrap_or(0);
        assert_eq!(seen, count, "{endpoint}");
    }
    let endpoints = asked(&summary);
    assert!(endpoints.len() >= 9, "every scenario has asked: {endpoints:?}");
    assert_eq!(tideline.documents().await, 0, "everything that was written is gone");
    for file in ["timeline.csv", "report.html", "summary.md", "histograms.json", "goose.html", "goose.json", "goose.md"]
    {
        assert!(done.file(file).len() > 200, "{file}");
    }
    let rows = done.file("timeline.csv").lines().count() - 1;
    let seconds = summary["duration"].as_f64().unwrap();
    assert!(rows >= 6 && rows as f64 <= seconds + 1.0, "{rows} rows for {seconds} s");
    assert_eq!(summary["instances"].as_array().unwrap().len(), 1);
}

/// Where the service takes long enough that the way to it is nothing, both measure the same.
#[tokio::test(flavor = "multi_thread")]
async fn its_times_are_the_service_s_own() {
    let tideline = Tideline::slow().await;
    let done = run(&["run", "--phases", "steady:8s@50"], &tideline.url).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let metrics = get(&format!("{}/metrics", tideline.admin)).await.unwrap();
    let summary = done.summary();
    let mut compared = 0;
    for (endpoint, times) in summary["phases"][0]["endpoints"].as_object().unwrap() {
        let (method, route) = endpoint.split_once(' ').unwrap();
        // Those that the run itself asks beside its load, or that are not slow.
        if !["/data", "/data/{id}", "/product/{id}"].contains(&route) || ["PUT", "DELETE"].contains(&method) {
            continue;
        }
        let value = |name: &str| -> f64 {
            let line = format!("tideline_request_duration_seconds_{name}{{method=\"{method}\",route=\"{route}\"}} ");
            metrics.lines().find_map(|found| found.strip_prefix(&line)).expect(&line).parse().unwrap()
        };
        let (own, theirs) = (times["service"]["mean"].as_f64().unwrap(), value("sum") / value("count") * 1e3);
        assert!(theirs > 400.0 && (own / theirs - 1.0).abs() < 0.05, "{endpoint}: {own} ms, the service: {theirs} ms");
        compared += 1;
    }
    assert_eq!(compared, 4, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn smoke_and_soak_pass_with_a_token() {
    let hash = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"; // of "password"
    let tideline = Tideline::start(&["--write-token-sha256", hash]).await;
    for profile in ["smoke", "soak"] {
        let done = run(
            &[profile, "--duration", "4s", "--rate", "40", "--token", "password", "--max-drift", "100"],
            &tideline.url,
        )
        .await;
        assert_eq!(done.code, 0, "{}", done.said);
        assert_eq!(done.summary()["issued"], 160);
    }
    assert_eq!(tideline.documents().await, 0);
}

async fn interrupted(signal: &str) -> (Done, Tideline) {
    let tideline = Tideline::start(&[]).await;
    let out = tempfile::tempdir().unwrap();
    let child = command(&arguments(&["soak"], &tideline.url, out.path())).spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    // The load has begun when there is more than what was written for it.
    while !get(&format!("{}/metrics", tideline.admin)).await.unwrap().contains("route=\"/product/{id}\",status=\"200\"")
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    let (code, said) = finish(child).await;
    (Done { code, said, out }, tideline)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_with_every_report_and_nothing_left() {
    for (signal, code, outcome) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        let (done, tideline) = interrupted(signal).await;
        assert_eq!(done.code, code, "{}", done.said);
        let summary = done.summary();
        assert_eq!((&summary["verdict"]["outcome"], &summary["total"]["failed"]), (&outcome.into(), &0.into()));
        assert!(summary["issued"].as_u64().unwrap() > 50, "{}", summary["issued"]);
        assert!(done.file("report.html").contains("<svg") && done.file("goose.json").len() > 200);
        assert_eq!(tideline.documents().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_can_be_cleaned_up_after() {
    let tideline = Tideline::start(&[]).await;
    let client = reqwest::Client::new();
    for id in ["load-abc-1", "load-abc-2", "loae", "load", "a", "zzz"] {
        let put =
            client.put(format!("{}/data/{id}", tideline.url)).header("content-type", "application/json").body("{}");
        assert_eq!(put.send().await.unwrap().status(), 201);
    }
    let (code, said) = output(&["clean", "--url", &tideline.url]).await;
    assert!(code == 0 && said.contains("2 documents removed"), "{code}: {said}");
    assert_eq!(tideline.documents().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_two_generators_are_joined() {
    let tideline = Tideline::start(&[]).await;
    let plan = ["run", "--phases", "a:2s@50,b:1s@50"];
    let (one, two) = tokio::join!(run(&plan, &tideline.url), run(&plan, &tideline.url));
    let out = tempfile::tempdir().unwrap();
    let folders = [&one, &two].map(|done| done.out.path().to_str().unwrap());
    let (code, said) = output(&[&["merge", "--out", out.path().to_str().unwrap()], &folders[..]].concat()).await;
    assert_eq!(code, 0, "{said}");
    let joined = Done { code, said, out }.summary();
    assert_eq!((&joined["issued"], &joined["phases"][0]["rates"]), (&300.into(), &serde_json::json!([100.0, 100.0])));
    let max = |done: &Done| done.summary()["total"]["service"]["max"].as_f64().unwrap();
    assert_eq!(joined["total"]["service"]["max"].as_f64().unwrap(), max(&one).max(max(&two)));
    let (code, said) = output(&["merge", "--out", "x", folders[0], "/nowhere"]).await;
    assert!(code == 2 && said.contains("/nowhere"), "{code}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_there_are_lines() {
    let tideline = Tideline::start(&[]).await;
    let mut child =
        command(&["smoke", "--duration", "6s", "--url", &tideline.url, "--max-late-ratio", "1"]).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0), "{said}");
    let line = said.lines().find(|line| line.contains(" s  smoke")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("20/s of 20") && line.contains("p99") && line.contains("instances 1×"), "{line}");
    assert!(!said.contains('\u{1b}'), "escapes without a terminal: {said}");
}
