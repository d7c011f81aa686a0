//! `/product/{id}`: through the cache.

use std::time::{Duration, Instant};

use crate::redis::RedisServer;
use crate::support::TestServer;

const READS: &str = r#"tideline_store_calls_total{operation="GetItem",result="ok"}"#;

#[tokio::test]
async fn the_second_read_is_spared_the_store() {
    let server = TestServer::with(&["--cache-max-age", "1m"]).await;
    let made = server.api.post(r#"{"id":"a","v":1}"#).await;
    let miss = server.api.get("/product/a").await;
    assert_eq!((&miss.body, miss.header("etag")), (&made.body, made.header("etag")));
    assert_eq!((miss.header("cache-status"), miss.header("age")), ("Tideline; fwd=miss; stored; ttl=60", "0"));
    let before = server.admin.metric(READS).await;
    let hit = server.api.get("/product/a").await;
    assert_eq!(hit.body, made.body);
    assert!(hit.header("cache-status").starts_with("Tideline; hit; ttl="), "{}", hit.header("cache-status"));
    assert_eq!(hit.header("cache-control"), "max-age=60");
    assert!(hit.header("age").parse::<u64>().unwrap() >= 1, "an age is never told too young");
    let not_modified = server.api.send("GET", "/product/a", &[("if-none-match", made.header("etag"))], "").await;
    assert_eq!(not_modified.status, 304);
    assert_eq!(server.admin.metric(READS).await, before);
    assert_eq!(server.admin.metric("tideline_cache_hits_total").await, 2.0);
    assert_eq!(server.admin.metric("tideline_cache_misses_total").await, 1.0);
}

#[tokio::test]
async fn many_readers_at_once_make_one_read_of_the_store() {
    let server = TestServer::with(&["--cache-max-age", "1m"]).await;
    server.api.post(r#"{"id":"a"}"#).await;
    let before = server.admin.metric(READS).await;
    let readers = (0..50).map(|_| server.api.get("/product/a"));
    let answers = futures_util::future::join_all(readers).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(server.admin.metric(READS).await, before + 1.0);
}

#[tokio::test]
async fn what_this_instance_wrote_it_reads_at_once() {
    let server = TestServer::with(&["--cache-max-age", "1m"]).await;
    assert_eq!(server.api.get("/product/a").await.status, 404);
    server.api.post(r#"{"id":"a","v":1}"#).await;
    assert_eq!(server.api.get("/product/a").await.json()["v"], 1);
    server.api.put("a", &[], r#"{"v":2}"#).await;
    assert_eq!(server.api.get("/product/a").await.json()["v"], 2);
    server.api.delete("a", &[]).await;
    assert_eq!(server.api.get("/product/a").await.status, 404);
}

#[tokio::test]
async fn what_another_instance_wrote_is_read_within_the_bound() {
    let reader = TestServer::with(&["--cache-max-age", "500ms"]).await;
    let writer = reader.beside(&[]).await;
    writer.api.post(r#"{"id":"a","v":1}"#).await;
    assert_eq!(reader.api.get("/product/a").await.json()["v"], 1);
    writer.api.put("a", &[], r#"{"v":2}"#).await;
    let written = Instant::now();
    // Whatever is answered after the bound, counted from the acknowledged write, must be the new one.
    loop {
        let asked = written.elapsed();
        let version = reader.api.get("/product/a").await.json()["v"].clone();
        if version == 2 {
            break;
        }
        assert!(asked <= Duration::from_millis(500), "asked {asked:?} after the write, it is still the old one");
    }
}

#[tokio::test]
async fn a_maximum_age_of_zero_turns_the_cache_off() {
    let server = TestServer::with(&["--cache-max-age", "0s"]).await;
    server.api.post(r#"{"id":"a"}"#).await;
    let before = server.admin.metric(READS).await;
    for _ in 0..3 {
        let answer = server.api.get("/product/a").await;
        assert_eq!(answer.header("cache-status"), "Tideline; fwd=bypass");
    }
    assert_eq!(server.admin.metric(READS).await, before + 3.0);
}

/// Flags of an instance on a shared cache, which the machine's other work does not make fail.
fn shared(url: &str) -> [&str; 6] {
    ["--cache-url", url, "--cache-max-age", "200ms", "--cache-timeout", "5s"]
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn what_one_instance_read_another_finds_in_the_shared_cache() {
    let redis = RedisServer::start(&[]).await;
    let one = TestServer::with(&shared(&redis.url())).await;
    let two = one.beside(&shared(&redis.url())).await;
    let made = one.api.post(r#"{"id":"a","v":1}"#).await;
    one.api.get("/product/a").await;
    let before = two.admin.metric(READS).await;
    let read = two.api.get("/product/a").await;
    assert_eq!((&read.body, read.header("etag")), (&made.body, made.header("etag")));
    assert_eq!(two.admin.metric(READS).await, before, "the store was asked");
    assert_eq!(two.admin.metric("tideline_shared_cache_hits_total").await, 1.0);
    assert_eq!(two.api.get("/status").await.json()["cache"]["shared"], "up");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn no_read_is_older_than_a_write_acknowledged_a_bound_ago() {
    let redis = RedisServer::start(&[]).await;
    let writer = TestServer::with(&shared(&redis.url())).await;
    let reader = writer.beside(&shared(&redis.url())).await;
    writer.api.post(r#"{"id":"a","v":0}"#).await;
    for version in 1..=20 {
        // Readers fill the caches all the while.
        let reading = tokio::spawn({
            let api = reader.api.clone();
            async move { futures_util::future::join_all((0..20).map(|_| api.get("/product/a"))).await }
        });
        let write = match version % 5 {
            0 => writer.api.delete("a", &[]).await,
            _ => writer.api.put("a", &[], format!("{{\"v\":{version}}}")).await,
        };
        assert!(write.status.is_success(), "{}", write.text());
        let written = Instant::now();
        reading.await.unwrap();
        loop {
            let asked = written.elapsed();
            let read = reader.api.get("/product/a").await;
            let current = match version % 5 {
                0 => read.status == 404,
                _ => read.status == 200 && read.json()["v"] == version,
            };
            if current {
                break;
            }
            assert!(asked <= Duration::from_millis(200), "asked {asked:?} after write {version}: {}", read.text());
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_shared_cache_that_dies_fails_no_request_and_is_used_again_when_it_is_back() {
    let mut redis = RedisServer::start(&[]).await;
    let server = TestServer::with(&["--cache-url", &redis.url(), "--cache-max-age", "10ms"]).await;
    server.api.post(r#"{"id":"a","v":0}"#).await;
    redis.kill();
    for version in 1..=20 {
        let put = server.api.put("a", &[], format!("{{\"v\":{version}}}")).await;
        assert_eq!(put.status, 200, "{}", put.text());
        assert_eq!(server.api.get("/product/a").await.json()["v"], version);
    }
    assert_eq!(server.api.get("/status").await.json()["cache"]["shared"], "failing");
    assert_eq!(server.api.get("/status").await.json()["status"], "healthy", "a cache is no condition of health");
    redis.resume().await;
    let fills = "tideline_shared_cache_fills_total";
    let filled = |metrics: &crate::support::Answer| !metrics.text().contains(&format!("{fills} 0\n"));
    let asking = async {
        while !filled(&server.admin.get("/metrics").await) {
            server.api.get("/product/a").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect("it is not used again");
    assert_eq!(server.api.get("/product/a").await.json()["v"], 20);
}
