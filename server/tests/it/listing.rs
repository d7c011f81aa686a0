//! `GET /data`: newest id first, in pages.

use serde_json::{Value, json};

use crate::support::TestServer;

fn ids(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_empty_store_is_an_empty_page() {
    let server = TestServer::start().await;
    let page = server.api.get("/data").await;
    assert_eq!((page.status.as_u16(), page.text().as_str()), (200, r#"{"items":[],"next":null}"#));
}

#[tokio::test]
async fn documents_come_newest_first_in_pages_of_any_size() {
    let server = TestServer::start().await;
    let mut made = Vec::new();
    for number in 0..120 {
        made.push(server.api.post(format!("{{\"number\":{number}}}")).await.json());
    }
    made.reverse();
    for limit in [1, 7, 50, 120, 200] {
        let listed = server.api.all(&format!("/data?limit={limit}")).await;
        assert_eq!(listed, made, "limit {limit}");
    }
    let page = server.api.get("/data").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 50);
    assert_eq!(page["next"], format!("/data?limit=50&before={}", made[49]["id"].as_str().unwrap()));
    let exact = server.api.get("/data?limit=120").await.json();
    assert_eq!(exact["next"], Value::Null, "a full last page has no next");
}

#[tokio::test]
async fn a_cursor_is_any_id_there_or_not() {
    let server = TestServer::start().await;
    for id in ["b", "d", "f"] {
        server.api.post(json!({"id": id}).to_string()).await;
    }
    for (before, expected) in [("g", vec!["f", "d", "b"]), ("f", vec!["d", "b"]), ("c", vec!["b"]), ("a", vec![])] {
        assert_eq!(ids(&server.api.all(&format!("/data?before={before}")).await), expected, "before {before}");
    }
}

#[tokio::test]
async fn ids_that_all_live_in_one_shard_are_listed_whole() {
    let server = TestServer::start().await;
    // The worst case for the merge: one shard has everything, the others nothing.
    let id = |number: usize| format!("n{number:05}");
    let one_shard = |id: &String| tideline_server::model::shard_of(id) == 3;
    let mut expected: Vec<String> = (0..1000).map(id).filter(one_shard).collect();
    assert!(expected.len() > 100);
    for id in &expected {
        assert_eq!(server.api.post(json!({"id": id}).to_string()).await.status, 201);
    }
    expected.reverse();
    assert_eq!(ids(&server.api.all("/data?limit=60").await), expected);
}

#[tokio::test]
async fn large_documents_make_short_pages_not_large_answers() {
    let server = TestServer::start().await;
    let text = "x".repeat(300_000);
    for number in 0..12 {
        server.api.post(json!({"id": format!("d{number:02}"), "text": text}).to_string()).await;
    }
    let page = server.api.get("/data?limit=200").await;
    assert!(page.body.len() < 2_000_000, "{} bytes", page.body.len());
    assert!(page.json()["next"].is_string());
    let listed = server.api.all("/data?limit=200").await;
    let expected: Vec<String> = (0..12).rev().map(|number| format!("d{number:02}")).collect();
    assert_eq!(ids(&listed), expected);
}
