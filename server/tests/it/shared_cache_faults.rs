//! What is left of the shared cache when its Redis is gone, hangs, talks nonsense, or is cut off from one instance.

use std::time::{Duration, Instant};

use tideline_server::store::breaker::{Settings, State};
use tideline_server::store::{Failure, SharedCache, SharedCacheConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::proxy::Proxy;
use crate::redis::{PATIENCE, RedisServer, eventually};
use crate::shared_cache::{ID, entry, failures, hit, id, instance, json, patient, read_through, ticket, version};

/// The default bounds.
fn hasty(url: String) -> SharedCache {
    SharedCache::new(&SharedCacheConfig::new(url, "documents")).unwrap()
}

/// The time of one read that finds nothing.
async fn a_miss(cache: &SharedCache) -> Duration {
    let started = Instant::now();
    assert_eq!(hit(cache).await, None);
    started.elapsed()
}

/// Five reads within their bound, then the breaker: reads that cost nothing.
async fn is_passed_by(cache: &SharedCache) {
    for _ in 0..5 {
        let time = a_miss(cache).await;
        // Two bounds of 50 ms, and what a busy machine adds.
        assert!(time < Duration::from_millis(180), "{time:?}");
    }
    assert_eq!(cache.stats().breaker, State::Open, "{:?}", cache.stats());
    let started = Instant::now();
    for _ in 0..100 {
        a_miss(cache).await;
    }
    let time = started.elapsed();
    assert!(time < Duration::from_millis(50), "{time:?} for 100");
    assert!(cache.stats().passed_by >= 100);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_redis_that_dies_is_passed_by_and_one_that_is_back_is_used_again() {
    let mut redis = RedisServer::start(&[]).await;
    let cache = hasty(redis.url());
    eventually("a first read", PATIENCE, async || hit(&cache).await.is_none() && cache.stats().misses > 0).await;
    redis.kill();
    is_passed_by(&cache).await;
    redis.resume().await;
    let misses = cache.stats().misses;
    let again = async || hit(&cache).await.is_none() && cache.stats().misses > misses;
    eventually("reads again", Duration::from_secs(2), again).await;
    assert_eq!(cache.stats().breaker, State::Closed);
    read_through(&cache, 1).await;
    assert_eq!(hit(&cache).await, Some(entry(1)));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_redis_that_freezes_is_passed_by_and_used_again_when_it_goes_on() {
    let redis = RedisServer::start(&[]).await;
    let cache = hasty(redis.url());
    eventually("a first read", PATIENCE, async || hit(&cache).await.is_none() && cache.stats().misses > 0).await;
    redis.freeze();
    is_passed_by(&cache).await;
    assert!(failures(&cache.stats(), Failure::TimedOut) >= 1);
    redis.thaw();
    let misses = cache.stats().misses;
    let again = async || hit(&cache).await.is_none() && cache.stats().misses > misses;
    eventually("reads again", Duration::from_secs(2), again).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_passed_by() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cache = hasty(format!("redis://{}", listener.local_addr().unwrap()));
    is_passed_by(&cache).await;
    assert_eq!(failures(&cache.stats(), Failure::Connect), 5);
    // The breaker bounds writes as well, and forgets none.
    let started = Instant::now();
    for number in 0..100 {
        cache.invalidate(&id(&format!("document-{number}")), version(1)).await;
    }
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
    assert_eq!(cache.stats().pending, 100);
    let started = Instant::now();
    assert_eq!(cache.drain(Duration::from_millis(200)).await, 100);
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_connection_ends_with_the_cache_even_if_the_server_takes_no_more() {
    const LARGE: usize = 32 * 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = patient(format!("redis://{}", listener.local_addr().unwrap()));
    let cache = SharedCache::new(&SharedCacheConfig { max_json: LARGE, ..settings }).unwrap();
    let (ended, end) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = vec![0; 4096];
        let generation = format!("$32\r\n{}\r\n", "0".repeat(32));
        // One answer while it connects, two to a read; then it takes nothing until the cache is gone.
        for answer in [generation.clone(), format!("{generation}$0\r\n\r\n")] {
            assert!(stream.read(&mut question).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        end.await.unwrap();
        let mut taken = 0;
        while let Ok(bytes @ 1..) = stream.read(&mut question).await {
            taken += bytes;
        }
        taken
    });
    let ticket = ticket(&cache).await;
    let document = format!("{{{}}}", " ".repeat(LARGE - 2)).into();
    let fill = cache.fill(ticket, version(1), &document);
    assert!(tokio::time::timeout(Duration::from_millis(200), fill).await.is_err());
    drop(cache);
    tokio::task::yield_now().await;
    ended.send(()).unwrap();
    let taken = tokio::time::timeout(PATIENCE, server).await.expect("its end is seen").unwrap();
    assert!((1..LARGE).contains(&taken), "{taken}");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_connection_that_went_silent_is_given_up() {
    let redis = RedisServer::start(&[]).await;
    let proxy = Proxy::to(redis.port).await;
    let timeout = Duration::from_millis(300);
    let cache = SharedCache::new(&SharedCacheConfig { timeout, ..patient(proxy.url()) }).unwrap();
    read_through(&cache, 1).await;
    proxy.silence();
    assert_eq!(hit(&cache).await, None);
    assert_eq!(hit(&cache).await, Some(entry(1)));
    assert_eq!(failures(&cache.stats(), Failure::TimedOut), 1);
}

#[tokio::test]
async fn nobody_there_is_passed_by() {
    is_passed_by(&hasty("redis://127.0.0.1:1".to_owned())).await;
    // A name that does not resolve; of a domain that never will.
    let cache = hasty("redis://cache.invalid".to_owned());
    assert!(a_miss(&cache).await < Duration::from_millis(180));
    assert_eq!(failures(&cache.stats(), Failure::Connect), 1);
}

#[tokio::test]
async fn nonsense_is_passed_by() {
    let words: [&'static [u8]; 9] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\r\n",
        b"$-7\r\n$99999999999999999999\r\n",
        b"$9000000000000000000\r\nx",
        b"*9000000000000000000\r\n*9000000000000000000\r\n",
        b"|9000000000000000000\r\n",
        b":1\r\n:1\r\n:1\r\n:1\r\n",
        b"-OK fine\r\n-OK fine\r\n-OK fine\r\n",
    ];
    for words in words {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cache = hasty(format!("redis://{}", listener.local_addr().unwrap()));
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut question = [0; 4096];
                    while stream.read(&mut question).await.is_ok_and(|bytes| bytes > 0) {
                        if words.is_empty() || stream.write_all(words).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        is_passed_by(&cache).await;
        cache.invalidate(&id(ID), version(1)).await;
        assert_eq!(cache.stats().pending, 1, "{:?}", String::from_utf8_lossy(words));
        server.abort();
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_write_that_cannot_be_told_is_told_later() {
    let redis = RedisServer::start(&[]).await;
    let proxy = Proxy::to(redis.port).await;
    let [writer, other] = [instance(proxy.url()), instance(redis.url())];
    read_through(&writer, 1).await;
    let slow = {
        redis.ask::<()>(&["COPY", "tideline:1:documents:doc:a", "kept"]).await.unwrap();
        redis.ask::<()>(&["DEL", "tideline:1:documents:doc:a"]).await.unwrap();
        let slow = ticket(&other).await;
        redis.ask::<()>(&["RENAME", "kept", "tideline:1:documents:doc:a"]).await.unwrap();
        slow
    };
    proxy.cut();
    writer.invalidate(&id(ID), version(2)).await;
    assert_eq!(writer.stats().pending, 1);
    // What cannot be helped, and the module says so: the others do not know yet, and may even bring it back.
    assert_eq!(hit(&other).await, Some(entry(1)));
    other.fill(slow, version(1), &json(1)).await;
    assert_eq!(hit(&writer).await, None, "the writer knows better than to ask");

    proxy.mend();
    eventually("the others are told", Duration::from_secs(2), async || hit(&other).await.is_none()).await;
    eventually("nothing is pending", PATIENCE, async || writer.stats().pending == 0).await;
    read_through(&other, 2).await;
    assert_eq!(hit(&writer).await, Some(entry(2)));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_call_that_is_dropped_is_delivered_all_the_same() {
    let redis = RedisServer::start(&[]).await;
    let [writer, other] = [instance(redis.url()), instance(redis.url())];
    read_through(&other, 1).await;
    redis.freeze();
    // As when the client goes away while its handler waits.
    let (gone, cached) = (id(ID), writer.clone());
    let dropped = tokio::time::timeout(Duration::from_millis(20), cached.invalidate(&gone, version(2))).await;
    assert!(dropped.is_err() && writer.stats().pending == 1);
    assert_eq!(hit(&writer).await, None);
    assert_eq!(writer.stats().passed_by, 1, "this instance does not even ask");
    redis.thaw();
    eventually("it is delivered", Duration::from_secs(2), async || writer.stats().pending == 0).await;
    assert_eq!(hit(&other).await, None);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn too_many_that_cannot_be_told_invalidate_everything() {
    let redis = RedisServer::start(&[]).await;
    let proxy = Proxy::to(redis.port).await;
    let writer = SharedCache::new(&SharedCacheConfig { pending: 10, ..patient(proxy.url()) }).unwrap();
    let other = instance(redis.url());
    read_through(&writer, 1).await;
    let elsewhere = instance(redis.url());
    let slow = match elsewhere.get(&id("written-9")).await {
        tideline_server::store::Found::Nothing(Some(ticket)) => ticket,
        found => panic!("{found:?}"),
    };
    proxy.cut();
    for number in 0..30 {
        writer.invalidate(&id(&format!("written-{number}")), version(2)).await;
    }
    assert_eq!((writer.stats().pending, writer.stats().overflows), (1, 1));
    assert_eq!(hit(&writer).await, None, "of no id does it know that nothing is pending");
    assert_eq!(hit(&other).await, Some(entry(1)));

    proxy.mend();
    let everything = async || hit(&other).await.is_none();
    eventually("everything is invalid, also for the others", Duration::from_secs(2), everything).await;
    eventually("nothing is pending", PATIENCE, async || writer.stats().pending == 0).await;
    elsewhere.fill(slow, version(1), &json(1)).await;
    assert_eq!(elsewhere.stats().refused_fills, 1, "a reader from before one of those writes");
    read_through(&other, 2).await;
    assert_eq!(hit(&writer).await, Some(entry(2)));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn ten_thousand_are_delivered_within_seconds() {
    let redis = RedisServer::start(&[]).await;
    let proxy = Proxy::to(redis.port).await;
    let writer = instance(proxy.url());
    proxy.cut();
    for number in 0..10_000 {
        writer.invalidate(&id(&format!("written-{number}")), version(2)).await;
    }
    assert_eq!((writer.stats().pending, writer.stats().overflows), (10_000, 0));
    proxy.mend();
    eventually("all are delivered", PATIENCE, async || writer.stats().pending == 0).await;
    let keys: u64 = redis.ask(&["DBSIZE"]).await.unwrap();
    assert_eq!(keys, 10_002);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_redis_that_comes_back_with_old_data_is_not_believed() {
    let mut redis = RedisServer::start(&["--dbfilename", "old.rdb"]).await;
    let [writer, other] = [instance(redis.url()), instance(redis.url())];
    read_through(&other, 1).await;
    redis.ask::<()>(&["SAVE"]).await.unwrap();
    writer.invalidate(&id(ID), version(2)).await;
    let slow = ticket(&other).await;
    redis.kill();
    redis.resume().await;
    let restored: String = redis.ask(&["GETRANGE", "tideline:1:documents:doc:a", "0", "1"]).await.unwrap();
    assert_eq!(restored, "1:", "the snapshot has the entry from before the write");
    // Nobody wrote meanwhile, nobody has anything pending: it is the server's run_id that tells.
    let answered = other.stats().misses;
    let back = async || hit(&other).await.is_some() || other.stats().misses > answered;
    eventually("it answers", PATIENCE, back).await;
    assert_eq!(hit(&other).await, None);
    other.fill(slow, version(1), &json(1)).await;
    assert_eq!(hit(&other).await, None);
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_server_that_may_only_be_read_is_refused() {
    let primary = RedisServer::start(&[]).await;
    let port = primary.port.to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]).await;
    let settings = SharedCacheConfig {
        breaker: Settings { failures: 1, open_for: Duration::from_millis(100) },
        ..patient(replica.url())
    };
    read_through(&instance(primary.url()), 1).await;
    let cache = SharedCache::new(&settings).unwrap();
    assert_eq!(hit(&cache).await, None);
    let stats = cache.stats();
    assert_eq!((failures(&stats, Failure::Refused), stats.misses), (1, 0), "{stats:?}");
    // The replica takes over, as in a failover: the same clients find a primary there.
    replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    eventually("it is used", PATIENCE, async || hit(&cache).await.is_none() && cache.stats().misses > 0).await;
    assert_eq!(hit(&cache).await, None, "what it had from before is of another generation");
}
