//! What instances share through a Redis that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tideline_server::model::{DocumentId, Version};
use tideline_server::store::breaker::State;
use tideline_server::store::{Entry, Failure, Found, SharedCache, SharedCacheConfig, Stats, Ticket};
use tokio::task::JoinSet;

use crate::process::Process;
use crate::redis::{PATIENCE, RedisServer, certificates, eventually, free_port};

pub const ID: &str = "a";

/// The key of [`ID`].
const KEY: &str = "tideline:1:documents:doc:a";

pub fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).unwrap()
}

pub fn version(number: u64) -> Version {
    number.to_string().parse().unwrap()
}

/// The document of a version.
pub fn json(number: u64) -> Bytes {
    Bytes::from(format!(r#"{{"id":"a","number":{number}}}"#))
}

pub fn entry(number: u64) -> Entry {
    Entry { version: version(number), json: json(number) }
}

/// Settings that a machine with other things to do does not run into; tests of the bounds set their own.
pub fn patient(url: String) -> SharedCacheConfig {
    let (connect_timeout, timeout) = (PATIENCE, PATIENCE);
    SharedCacheConfig { connect_timeout, timeout, ..SharedCacheConfig::new(url, "documents") }
}

pub fn instance(url: String) -> SharedCache {
    SharedCache::new(&patient(url)).unwrap()
}

/// A read that finds the document.
pub async fn hit(cache: &SharedCache) -> Option<Entry> {
    match cache.get(&id(ID)).await {
        Found::Entry(entry) => Some(entry),
        Found::Nothing(_) => None,
    }
}

/// A read that finds nothing, and may fill it in.
pub async fn ticket(cache: &SharedCache) -> Ticket {
    match cache.get(&id(ID)).await {
        Found::Nothing(Some(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

/// A read that misses, reads the store and fills in.
pub async fn read_through(cache: &SharedCache, number: u64) {
    let ticket = ticket(cache).await;
    cache.fill(ticket, version(number), &json(number)).await;
}

pub fn failures(stats: &Stats, kind: Failure) -> u64 {
    stats.failures.iter().find(|(other, _)| *other == kind).unwrap().1
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn another_instance_finds_what_one_filled_in() {
    let redis = RedisServer::start(&[]).await;
    let [one, other] = [instance(redis.url()), instance(format!("{}/0", redis.url()))];
    assert_eq!(hit(&one).await, None);
    read_through(&one, 1).await;
    assert_eq!(hit(&other).await, Some(entry(1)));
    assert_eq!(hit(&instance(format!("{}/1", redis.url()))).await, None, "another database");
    let stats = one.stats();
    assert_eq!((stats.misses, stats.fills, other.stats().hits), (2, 1, 1));
    let left: u64 = redis.ask(&["PTTL", KEY]).await.unwrap();
    assert!((3_590_000..=3_600_000).contains(&left), "{left}");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_write_invalidates_and_a_reader_that_was_slower_changes_nothing() {
    let redis = RedisServer::start(&[]).await;
    let [reader, writer] = [instance(redis.url()), instance(redis.url())];
    // With an entry there before the write, and without.
    for before in [true, false] {
        redis.ask::<()>(&["FLUSHALL"]).await.unwrap();
        let slow = ticket(&reader).await;
        if before {
            read_through(&reader, 1).await;
        }
        writer.invalidate(&id(ID), version(2)).await;
        reader.fill(slow, version(1), &json(1)).await;
        assert_eq!((hit(&reader).await, hit(&writer).await), (None, None));
        read_through(&reader, 2).await;
        assert_eq!(hit(&writer).await, Some(entry(2)), "the version of the write may be filled in");
        writer.invalidate(&id(ID), version(2)).await;
        writer.invalidate(&id(ID), version(1)).await;
        assert_eq!(hit(&writer).await, Some(entry(2)), "and stays, when invalidations come late");
    }
    assert_eq!((reader.stats().refused_fills, writer.stats().pending), (2, 0));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn versions_are_told_apart_to_the_last_digit() {
    let redis = RedisServer::start(&[]).await;
    let cache = instance(redis.url());
    // 2^53 is where a double stops to count; all of them are pairs of neighbours.
    for newer in [10, (1 << 53) + 1, 1_000_000_000_000_000_000, 9_007_199_254_740_993_124, u64::MAX] {
        redis.ask::<()>(&["FLUSHALL"]).await.unwrap();
        let slow = ticket(&cache).await;
        cache.invalidate(&id(ID), version(newer)).await;
        cache.fill(slow, version(newer - 1), &json(1)).await;
        assert_eq!(hit(&cache).await, None, "{newer}");
        let ticket = ticket(&cache).await;
        cache.fill(ticket, version(newer), &json(2)).await;
        assert_eq!(hit(&cache).await.map(|entry| entry.version), Some(version(newer)));
        cache.invalidate(&id(ID), version(newer - 1)).await;
        assert!(hit(&cache).await.is_some(), "{newer}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_tombstone_lives_as_long_as_an_entry() {
    let redis = RedisServer::start(&[]).await;
    let cache = SharedCache::new(&SharedCacheConfig { ttl: Duration::from_secs(90), ..patient(redis.url()) }).unwrap();
    cache.invalidate(&id(ID), version(7)).await;
    assert_eq!(redis.ask::<String>(&["GET", KEY]).await.unwrap(), "7");
    let left: u64 = redis.ask(&["PTTL", KEY]).await.unwrap();
    assert!((80_000..=90_000).contains(&left), "{left}");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn what_we_did_not_write_is_a_miss_and_is_overwritten() {
    let redis = RedisServer::start(&[]).await;
    let cache = instance(redis.url());
    let generation: String = {
        assert_eq!(hit(&cache).await, None);
        redis.ask(&["GET", "tideline:1:documents:generation"]).await.unwrap()
    };
    let large = format!("5:{generation}:{{{}}}", " ".repeat(1_000_000));
    let cut = format!("5:{generation}:{{\"id\":");
    for odd in [
        &["SET", KEY, "99999999999999999999:x"][..],
        &["SET", KEY, "x"],
        &["SET", KEY, &cut],
        &["SET", KEY, &large],
        &["RPUSH", KEY, "x"],
    ] {
        redis.ask::<()>(&["DEL", KEY]).await.unwrap();
        redis.ask::<()>(odd).await.unwrap();
        let before = cache.stats();
        read_through(&cache, 5).await;
        assert_eq!((cache.stats().malformed, cache.stats().fills), (before.malformed + 1, before.fills + 1));
        assert_eq!(hit(&cache).await, Some(entry(5)));

        redis.ask::<()>(&["DEL", KEY]).await.unwrap();
        redis.ask::<()>(odd).await.unwrap();
        cache.invalidate(&id(ID), version(6)).await;
        assert_eq!(redis.ask::<String>(&["GET", KEY]).await.unwrap(), "6");
    }
    // The keys beside the documents are no exception.
    for key in ["tideline:1:documents:generation", "tideline:1:documents:server"] {
        redis.ask::<()>(&["DEL", key]).await.unwrap();
        redis.ask::<()>(&["RPUSH", key, "x"]).await.unwrap();
        let cache = instance(redis.url());
        read_through(&cache, 8).await;
        assert_eq!(hit(&cache).await, Some(entry(8)));
    }
    assert!(cache.stats().failures.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_document_that_is_too_large_is_left_out() {
    let redis = RedisServer::start(&[]).await;
    let cache = SharedCache::new(&SharedCacheConfig { max_json: 400_000, ..patient(redis.url()) }).unwrap();
    for (length, stored) in [(400_000, true), (400_001, false)] {
        redis.ask::<()>(&["FLUSHALL"]).await.unwrap();
        let json = Bytes::from(format!("{{{}}}", " ".repeat(length - 2)));
        let ticket = ticket(&cache).await;
        cache.fill(ticket, version(1), &json).await;
        assert_eq!(hit(&cache).await.is_some_and(|entry| entry.json == json), stored, "{length}");
        assert_eq!(redis.ask::<bool>(&["EXISTS", KEY]).await.unwrap(), stored);
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn scripts_and_generation_that_are_lost_are_brought_back() {
    let redis = RedisServer::start(&[]).await;
    let cache = instance(redis.url());
    read_through(&cache, 1).await;
    let slow = {
        redis.ask::<()>(&["DEL", KEY]).await.unwrap();
        ticket(&cache).await
    };
    cache.invalidate(&id(ID), version(2)).await;
    redis.ask::<()>(&["SCRIPT", "FLUSH"]).await.unwrap();
    redis.ask::<()>(&["FLUSHALL"]).await.unwrap();
    // The tombstone is lost; that of all others is that this ticket is of another generation.
    cache.fill(slow, version(1), &json(1)).await;
    assert_eq!(hit(&cache).await, None);
    read_through(&cache, 2).await;
    assert_eq!(hit(&cache).await, Some(entry(2)));
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_redis_without_memory_still_takes_invalidations() {
    let redis = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await;
    let cache = instance(redis.url());
    read_through(&cache, 1).await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let slow = { instance(redis.url()).get(&id("b")).await };
    assert_eq!(hit(&cache).await, Some(entry(1)), "reads go on");
    cache.invalidate(&id(ID), version(2)).await;
    assert_eq!((hit(&cache).await, cache.stats().pending), (None, 0));
    let mut tickets = Vec::new();
    for _ in 0..10 {
        tickets.push(ticket(&cache).await);
    }
    for ticket in tickets {
        cache.fill(ticket, version(2), &json(2)).await;
    }
    assert_eq!((failures(&cache.stats(), Failure::Full), cache.stats().breaker), (10, State::Closed));
    assert_eq!(redis.ask::<String>(&["GET", KEY]).await.unwrap(), "2");
    assert!(matches!(slow, Found::Nothing(Some(_))));
}

/// A Redis that also speaks TLS, its port for that, and the folder of the authority that vouches for it: `ca.pem`.
async fn redis_with_tls(more: &[&str]) -> (RedisServer, u16, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let port = free_port();
    let options = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no", "--tls-ca-cert-file", &file("ca.pem")];
    let identity = ["--tls-cert-file", &file("server.pem"), "--tls-key-file", &file("server.key")];
    let redis = RedisServer::start(&[&options[..], &identity[..], more].concat()).await;
    (redis, port, folder)
}

/// As on ElastiCache, but that this Redis takes every password: that AWS takes the signature only AWS can show.
#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn it_signs_in_with_the_instance_s_credentials() {
    let (redis, port, folder) =
        redis_with_tls(&["--user", "tideline-cache", "on", "nopass", "~*", "&*", "+@all"]).await;
    let (url, ca) = (format!("rediss://tideline-cache@127.0.0.1:{port}"), folder.path().join("ca.pem"));
    let cache =
        [("TIDELINE_CACHE_URL", &*url), ("TIDELINE_CACHE_CA", ca.to_str().unwrap()), ("TIDELINE_CACHE_IAM", "cache")];
    // More than the default 50 ms: this machine does other things beside.
    let patience =
        [("TIDELINE_CACHE_TIMEOUT", "5s"), ("AWS_REGION", "eu-north-1"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let failures = r#"tideline_shared_cache_failures_total{kind="denied"}"#;

    let signed = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let process = Process::start(&[], &[&cache[..], &patience[..], &signed[..]].concat()).await;
    assert_eq!(process.api.get("/product/none").await.status, 404);
    let clients: String = redis.ask(&["CLIENT", "LIST"]).await.unwrap();
    assert!(clients.contains("user=tideline-cache"), "{clients}");
    assert_eq!(process.admin.metric(failures).await, 0.0);

    // Without credentials it is passed by.
    let process = Process::start(&[], &[&cache[..], &patience[..]].concat()).await;
    assert_eq!(process.api.get("/product/none").await.status, 404);
    assert!(process.admin.metric(failures).await > 0.0, "{}", process.admin.get("/metrics").await.text());
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn tls_needs_an_authority_that_vouches_for_the_server() {
    let (_redis, port, folder) = redis_with_tls(&[]).await;
    let url = format!("rediss://127.0.0.1:{port}");

    let authorities = Some(folder.path().join("ca.pem"));
    let cache =
        SharedCache::new(&SharedCacheConfig { authorities: authorities.clone(), ..patient(url.clone()) }).unwrap();
    eventually("a read through TLS", PATIENCE, async || hit(&cache).await.is_none() && cache.stats().misses > 0).await;
    read_through(&cache, 1).await;
    assert_eq!(hit(&cache).await, Some(entry(1)));

    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    let authorities = [Some(other.path().join("ca.pem")), authorities];
    let urls = [url, format!("rediss://localhost:{port}")];
    for (authorities, url) in authorities.into_iter().zip(urls) {
        let cache = SharedCache::new(&SharedCacheConfig { authorities, ..patient(url) }).unwrap();
        assert_eq!(hit(&cache).await, None);
        assert_eq!(failures(&cache.stats(), Failure::Connect), 1);
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_password_is_used_and_missed() {
    let redis = RedisServer::start(&["--requirepass", "s3/cret"]).await;
    let at = |credentials: &str| instance(redis.url().replace("redis://", &format!("redis://{credentials}")));
    for good in [":s3%2Fcret@", "default:s3%2Fcret@"] {
        let cache = at(good);
        drop(ticket(&cache).await);
        assert_eq!(cache.stats().misses, 1);
    }
    for bad in ["", ":wrong@", "nobody:s3%2Fcret@"] {
        let cache = at(bad);
        assert_eq!(hit(&cache).await, None);
        assert_eq!(failures(&cache.stats(), Failure::Denied), 1, "{bad}: {:?}", cache.stats());
    }
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn many_at_once_share_one_connection() {
    let redis = RedisServer::start(&[]).await;
    let cache = instance(redis.url());
    let readers: Vec<_> = (0..200)
        .map(|number| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let id = id(&format!("document-{number}"));
                if let Found::Nothing(Some(ticket)) = cache.get(&id).await {
                    cache.fill(ticket, version(number), &json(number)).await;
                }
                let stored = matches!(cache.get(&id).await, Found::Entry(found) if found == entry(number));
                cache.invalidate(&id, version(number + 1)).await;
                stored && matches!(cache.get(&id).await, Found::Nothing(Some(_)))
            })
        })
        .collect();
    for reader in readers {
        assert!(reader.await.unwrap());
    }
    let received: String = redis.ask(&["INFO", "stats"]).await.unwrap();
    // One to find it listening, one of the cache, one to ask this.
    assert!(received.contains("total_connections_received:3\r\n"), "{received}");
}

#[tokio::test]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn a_connection_that_the_server_has_ended_is_made_anew_at_once() {
    let redis = RedisServer::start(&[]).await;
    let cache = instance(redis.url());
    read_through(&cache, 1).await;
    redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await.unwrap();
    let connected = async || redis.ask::<String>(&["CLIENT", "LIST"]).await.unwrap().lines().count();
    eventually("the connection is gone", PATIENCE, async || connected().await == 1).await;
    assert_eq!(hit(&cache).await, Some(entry(1)));
    assert!(cache.stats().failures.iter().all(|(_, count)| *count == 0));
}

/// Writers and readers of one document at once, through four instances, with a store beside them that is a number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: apt-get install redis-server"]
async fn no_read_is_older_than_a_write_that_was_acknowledged_before_it() {
    let redis = RedisServer::start(&[]).await;
    let instances: Vec<_> = (0..4).map(|_| instance(redis.url())).collect();
    let stored = Arc::new(AtomicU64::new(1));
    let acknowledged = Arc::new(AtomicU64::new(1));
    let (hits, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for (number, cache) in (0..16).zip(instances.iter().cycle()) {
        let (cache, stored, acknowledged) = (cache.clone(), Arc::clone(&stored), Arc::clone(&acknowledged));
        let (hits, over) = (Arc::clone(&hits), Arc::clone(&over));
        tasks.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                if number < 2 {
                    let written = stored.fetch_add(1, Ordering::SeqCst) + 1;
                    cache.invalidate(&id(ID), version(written)).await;
                    acknowledged.fetch_max(written, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    continue;
                }
                let least = acknowledged.load(Ordering::SeqCst);
                match cache.get(&id(ID)).await {
                    Found::Entry(entry) => {
                        hits.fetch_add(1, Ordering::SeqCst);
                        assert!(entry.version >= version(least), "{} is older than {least}", entry.version);
                    }
                    Found::Nothing(Some(ticket)) => {
                        let read = stored.load(Ordering::SeqCst);
                        // Some readers are slow, by a few writes.
                        tokio::time::sleep(Duration::from_millis(number)).await;
                        cache.fill(ticket, version(read), &json(read)).await;
                    }
                    Found::Nothing(None) => tokio::task::yield_now().await,
                }
            }
        });
    }
    // Until there was enough of everything that could go wrong.
    let enough = async || {
        let refused: u64 = instances.iter().map(|cache| cache.stats().refused_fills).sum();
        hits.load(Ordering::SeqCst) > 300 && refused > 300 && stored.load(Ordering::SeqCst) > 100
    };
    eventually("enough", 3 * PATIENCE, enough).await;
    over.store(true, Ordering::SeqCst);
    tasks.join_all().await;
}
