//! What the service says of itself: `/status`, `/health`, the headers of every answer, OPTIONS.

use serde_json::{Value, json};
use tideline_server::server::Ended;
use tideline_server::version::VERSION;

use crate::support::{TestServer, elsewhere};

#[tokio::test]
async fn status_tells_everything() {
    let server = TestServer::start().await;
    let answer = server.api.get("/status").await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-store"));
    let status = answer.json();
    assert_eq!((&status["status"], &status["version"]), (&json!("healthy"), &json!(VERSION)));
    assert_eq!(status["instance"]["id"], answer.header("x-tideline-instance"));
    assert_eq!(status["instance"]["zone"], "local");
    assert_eq!(status["store"]["backend"], if elsewhere() { "dynamodb" } else { "embedded" });
    assert_eq!(status["store"]["state"], "up");
    assert!(status["store"]["latency_ms"].as_f64().unwrap() > 0.0);
    assert!(status["uptime_seconds"].is_u64());
    assert!(
        status["process"]["cpu_seconds"].as_f64().unwrap() > 0.0 && status["process"]["cpus"].as_u64().unwrap() > 0
    );
    assert_eq!(status["cache"], json!({"max_age_ms": 2000, "entries": 0, "bytes": 0, "shared": null}));
}

#[tokio::test]
async fn health_is_empty_and_never_asks_the_store() {
    let server = TestServer::start().await;
    let calls = r#"tideline_store_calls_total{operation="GetItem",result="ok"}"#;
    let before = server.admin.metric(calls).await;
    for api in [&server.api, &server.api] {
        let health = api.get("/health").await;
        assert_eq!((health.status.as_u16(), health.body.len()), (200, 0));
    }
    assert_eq!(server.admin.get("/live").await.status, 200);
    assert_eq!(server.admin.metric(calls).await, before);
}

#[tokio::test]
async fn every_answer_says_who_gave_it() {
    let server = TestServer::start().await;
    let all = [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/nothing"),
        ("DELETE", "/data"),
        ("OPTIONS", "/data"),
        ("POST", "/data"),
        ("GET", "/data/a%20b"),
    ];
    let mut ids = Vec::new();
    for (method, path) in all {
        let answer = server.api.send(method, path, &[], "").await;
        assert_eq!(answer.header("x-tideline-zone"), "local", "{method} {path}");
        assert_eq!(answer.header("x-tideline-version"), VERSION, "{method} {path}");
        assert!(!answer.header("x-tideline-instance").is_empty(), "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
        ids.push(answer.header("x-request-id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "two requests share an id");
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_another_replaced() {
    let server = TestServer::start().await;
    for (sent, kept) in [("abc-1.2_3~", true), ("a b", false), ("\"", false), ("", false), (&*"x".repeat(129), false)] {
        let answer = server.api.send("GET", "/health", &[("x-request-id", sent)], "").await;
        assert_eq!(answer.header("x-request-id") == sent, kept, "{sent:?}");
        assert!(!answer.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn options_tell_the_methods() {
    let server = TestServer::start().await;
    for (path, allow) in [
        ("/", "GET, HEAD, OPTIONS"),
        ("/data", "GET, HEAD, POST, OPTIONS"),
        ("/data/a", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/product/a", "GET, HEAD, OPTIONS"),
    ] {
        let answer = server.api.send("OPTIONS", path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (204, allow), "{path}");
    }
}

#[tokio::test]
async fn while_it_drains_it_serves_says_so_and_closes() {
    let server = TestServer::with(&["--drain-delay", "1m"]).await;
    server.api.post(r#"{"id":"a"}"#).await;
    server.stop().await;
    let health = server.api.until("/health", |answer| answer.status == 503).await;
    assert_eq!((health.header("connection"), health.body.len()), ("close", 0));
    let read = server.api.get("/data/a").await;
    assert_eq!((read.status.as_u16(), read.header("connection")), (200, "close"));
    let status = server.api.get("/status").await;
    assert_eq!((status.status.as_u16(), &status.json()["status"]), (503, &Value::from("draining")));
    server.stop().await;
    assert_eq!(server.ended().await, Ended::AtOnce, "a second request cuts it short");
}

#[tokio::test]
async fn an_idle_connection_may_ask_once_more_before_the_end() {
    let server = TestServer::start().await;
    server.api.get("/health").await;
    server.stop().await;
    // The client's connection is kept from before; a new one would be refused by now or soon.
    let last = server.api.get("/status").await;
    assert_eq!((last.status.as_u16(), last.header("connection")), (503, "close"));
    assert_eq!(server.ended().await, Ended::Clean);
}
