//! `/metrics`, on the admin listener.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Answer, TestServer};

/// Metrics after some of everything.
async fn after_some_use() -> (TestServer, Answer) {
    let server = TestServer::with(&["--cache-max-age", "1m"]).await;
    server.api.post(r#"{"id":"a"}"#).await;
    for path in ["/", "/data", "/data/a", "/data/b", "/product/a", "/product/a", "/nothing"] {
        server.api.get(path).await;
    }
    server.api.put("a", &[("if-match", "\"1\"")], "{}").await;
    server.api.send("BREW\u{7e}", "/data", &[], "").await;
    let metrics = server.admin.get("/metrics").await;
    (server, metrics)
}

#[tokio::test]
async fn everything_is_counted_under_names_of_our_own() {
    let (server, metrics) = after_some_use().await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for (sample, value) in [
        (r#"tideline_requests_total{method="POST",route="/data",status="201"}"#, 1.0),
        (r#"tideline_requests_total{method="GET",route="/data/{id}",status="200"}"#, 1.0),
        (r#"tideline_requests_total{method="GET",route="/data/{id}",status="404"}"#, 1.0),
        (r#"tideline_requests_total{method="PUT",route="/data/{id}",status="412"}"#, 1.0),
        (r#"tideline_requests_total{method="GET",route="unmatched",status="404"}"#, 1.0),
        (r#"tideline_requests_total{method="other",route="/data",status="405"}"#, 1.0),
        (r#"tideline_request_duration_seconds_count{method="GET",route="/data/{id}"}"#, 2.0),
        (r#"tideline_store_calls_total{operation="Query",result="ok"}"#, 8.0),
        (r#"tideline_store_calls_total{operation="UpdateItem",result="condition_failed"}"#, 1.0),
        (r#"tideline_store_call_duration_seconds_count{operation="UpdateItem"}"#, 1.0),
        (r#"tideline_requests_in_flight{listener="public"}"#, 0.0),
        (r#"tideline_requests_in_flight{listener="admin"}"#, 1.0),
        ("tideline_cache_hits_total", 1.0),
        ("tideline_cache_misses_total", 1.0),
        ("tideline_log_lines_dropped_total", 0.0),
        ("tideline_panics_total", 0.0),
    ] {
        assert_eq!(server.admin.metric(sample).await, value, "{sample}");
    }
    for sample in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(metrics.text().contains(&format!("# TYPE {sample} ")), "{sample}");
    }
    assert!(server.admin.metric("process_resident_memory_bytes").await > 1e6);
    assert!(server.admin.metric("process_open_fds").await > 3.0);
    assert!(server.admin.metric(r#"tideline_connections{listener="public"}"#).await >= 1.0);
    assert!(metrics.text().contains("tideline_build_info{version=\""));
    assert!(!metrics.text().contains("BREW"), "a client's word became a label");
}

#[tokio::test]
#[ignore = "needs promtool: apt-get install prometheus"]
async fn promtool_finds_nothing_to_say() {
    let (_server, metrics) = after_some_use().await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, from Debian's package prometheus");
    promtool.stdin.take().unwrap().write_all(&metrics.body).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = [said.stdout, said.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(said.status.success() && text.is_empty(), "promtool: {text}");
}
