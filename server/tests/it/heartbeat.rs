//! What instances tell each other: `/fleet`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tideline_server::store::Heartbeat;
use tideline_server::version::VERSION;

use crate::support::{Answer, TestServer};

fn instances(fleet: &Answer) -> Vec<Value> {
    fleet.json()["instances"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_instance_is_there_from_its_start_to_its_end() {
    let server = TestServer::with(&["--heartbeat", "200ms", "--drain-delay", "5s"]).await;
    let other = server.beside(&["--heartbeat", "0s"]).await;
    let ready = other.api.until("/fleet", |fleet| instances(fleet).first().is_some_and(|one| one["state"] == "ready"));
    let ready = ready.await;
    assert_eq!(ready.header("cache-control"), "no-store");
    let one = &instances(&ready)[0];
    assert_eq!((&one["zone"], &one["version"]), (&json!("local"), &json!(VERSION)));
    assert_eq!(one["id"], server.api.get("/health").await.header("x-tideline-instance"));
    assert!(one["cpu_percent"].as_f64().is_some_and(|cpu| (0.0..=100.0).contains(&cpu)), "{one}");

    // What it does is told: more than its own /fleet and /health.
    let busy = async {
        loop {
            server.api.get("/page.css").await;
        }
    };
    let told = other.api.until("/fleet", |fleet| {
        instances(fleet).first().is_some_and(|one| one["requests_per_second"].as_f64() > Some(50.0))
    });
    tokio::select! {
        _ = busy => {}
        _ = told => {}
    }

    server.stop().await;
    other.api.until("/fleet", |fleet| instances(fleet).first().is_some_and(|one| one["state"] == "draining")).await;
    server.stop().await;
    server.ended().await;
    other.api.until("/fleet", |fleet| instances(fleet).is_empty()).await;
}

#[tokio::test]
async fn who_says_nothing_any_more_is_gone() {
    let server = TestServer::start().await;
    let app = server.app_beside().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for (instance, age, expires_in) in [("i-alive", 3, 10), ("i-dead", 60, -1_i64)] {
        let word = Heartbeat {
            instance: instance.to_owned(),
            at: now.as_millis() as u64 - age * 1000,
            expires_at: now.as_secs().saturating_add_signed(expires_in),
            says: json!({"id": instance, "something": "new"}).to_string(),
        };
        app.store.beat(&word).await.unwrap();
    }
    let fleet = server.api.get("/fleet").await;
    let told = instances(&fleet);
    assert_eq!(told.len(), 1, "{}", fleet.text());
    // What a newer version says is passed on.
    assert_eq!((&told[0]["id"], &told[0]["something"]), (&json!("i-alive"), &json!("new")));
    assert!(told[0]["seen_seconds_ago"].as_u64().is_some_and(|age| (3..10).contains(&age)), "{told:?}");
}
