//! `POST /data` with an `Idempotency-Key`.

use crate::support::{Answer, JSON, TestServer};

async fn post(server: &TestServer, key: &str, body: &str) -> Answer {
    server.api.send("POST", "/data", &[JSON, ("idempotency-key", key)], body.to_owned()).await
}

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_again() {
    let server = TestServer::start().await;
    let first = post(&server, "key-1", r#"{"v":1}"#).await;
    assert_eq!(first.status, 201);
    for key in ["key-1", "\"key-1\""] {
        let again = post(&server, key, r#"{"v":1}"#).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        for header in ["location", "etag", "last-modified"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
    }
    assert_eq!(server.api.all("/data").await.len(), 1);
    let other_key = post(&server, "key-2", r#"{"v":1}"#).await;
    assert_ne!(other_key.body, first.body);
}

#[tokio::test]
async fn the_first_answer_stands_whatever_became_of_the_document() {
    let server = TestServer::start().await;
    let first = post(&server, "key", r#"{"id":"a","v":1}"#).await;
    server.api.put("a", &[], r#"{"v":2}"#).await;
    assert_eq!(post(&server, "key", r#"{"id":"a","v":1}"#).await.body, first.body);
    server.api.delete("a", &[]).await;
    assert_eq!(post(&server, "key", r#"{"id":"a","v":1}"#).await.body, first.body);
    assert_eq!(server.api.get("/data/a").await.status, 404, "an answer again is not a write again");
}

#[tokio::test]
async fn the_same_key_with_another_body_is_a_mistake() {
    let server = TestServer::start().await;
    post(&server, "key", r#"{"v":1}"#).await;
    let other = post(&server, "key", r#"{"v":2}"#).await;
    assert_eq!((other.status.as_u16(), other.problem().as_str()), (422, "key-reused"));
    assert_eq!(server.api.all("/data").await.len(), 1);
}

#[tokio::test]
async fn a_refused_creation_does_not_use_up_its_key() {
    let server = TestServer::start().await;
    server.api.post(r#"{"id":"a"}"#).await;
    let refused = post(&server, "key", r#"{"id":"a","v":1}"#).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (409, "already-exists"));
    server.api.delete("a", &[]).await;
    assert_eq!(post(&server, "key", r#"{"id":"a","v":1}"#).await.status, 201);
}

#[tokio::test]
async fn many_at_once_make_one_document() {
    let server = TestServer::start().await;
    let answers = futures_util::future::join_all((0..20).map(|_| post(&server, "key", r#"{"v":1}"#))).await;
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.body), (201, &answers[0].body), "{}", answer.text());
    }
    assert_eq!(server.api.all("/data").await.len(), 1);
}

#[tokio::test]
async fn keys_that_are_none_are_refused() {
    let server = TestServer::start().await;
    for key in ["", "a b", "a\"b", "\"", "\\", &"k".repeat(256)] {
        let answer = post(&server, key, "{}").await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "bad-header"), "{key:?}");
    }
    let twice = [JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_eq!(server.api.send("POST", "/data", &twice, "{}").await.status, 400);
    assert!(server.api.all("/data").await.is_empty());
}
