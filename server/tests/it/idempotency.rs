//! `POST /data` with an `Idempotency-Key`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, Api, JSON, TestServer, long_or_short};

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

/// A proxy that resets every third connection: one kind before the request gets through, the other after it got through
/// and before its answer does.
async fn resetting_proxy(server: std::net::SocketAddr) -> (Api, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resets = Arc::new(AtomicUsize::new(0));
    let counted = resets.clone();
    tokio::spawn(async move {
        for number in 0_usize.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(server).await.unwrap();
                let mut request = vec![0; 4096];
                let count = client.read(&mut request).await.unwrap_or(0);
                if number % 6 == 1 {
                    counted.fetch_add(1, Ordering::Relaxed);
                    return client.set_zero_linger().unwrap();
                }
                upstream.write_all(&request[..count]).await.unwrap();
                let mut answer = vec![0; 4096];
                let count = upstream.read(&mut answer).await.unwrap_or(0);
                if number % 6 == 4 {
                    counted.fetch_add(1, Ordering::Relaxed);
                    return client.set_zero_linger().unwrap();
                }
                let _ = client.write_all(&answer[..count]).await;
            });
        }
    });
    (Api::without_keep_alive(address), resets)
}

#[tokio::test]
async fn whatever_is_reset_on_the_way_no_document_is_made_twice() {
    let server = TestServer::start().await;
    let (api, resets) = resetting_proxy(server.api.address).await;
    let posts = long_or_short(10_000, 300);
    let numbers = Arc::new(AtomicUsize::new(0));
    let clients = (0..8).map(|_| {
        let (api, numbers) = (api.clone(), numbers.clone());
        tokio::spawn(async move {
            let mut made = BTreeSet::new();
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                if number >= posts {
                    return made;
                }
                let (key, body) = (format!("key-{number}"), format!("{{\"number\":{number}}}"));
                let headers = [JSON, ("idempotency-key", &*key), ("connection", "close")];
                // As a client does that was told to be safe: until there is an answer.
                let answer = loop {
                    if let Ok(answer) = api.try_send("POST", "/data", &headers, body.clone()).await {
                        break answer;
                    }
                };
                assert_eq!(answer.status, 201, "{}", answer.text());
                assert!(made.insert(answer.json()["id"].as_str().unwrap().to_owned()), "two keys, one document");
            }
        })
    });
    let mut made = BTreeSet::new();
    for client in futures_util::future::join_all(clients).await {
        made.extend(client.unwrap());
    }
    let stored: BTreeSet<String> = server
        .api
        .all("/data?limit=200")
        .await
        .iter()
        .map(|document| document["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((made.len(), stored == made), (posts, true), "{} stored", stored.len());
    let resets = resets.load(Ordering::Relaxed);
    assert!(resets > posts / 4, "{resets} resets are no test");
    println!("{posts} POSTs with keys through {resets} resets: 0 duplicates, 0 lost");
}
