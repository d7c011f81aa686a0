//! A store that is gone for a minute, under load: nobody waits, nothing breaks, and it recovers by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::faults::{Fault, on_faulty_store};
use crate::support::{JSON, long_or_short};

/// What a client saw: when it asked, how long it took, and the status.
type Seen = (Instant, Duration, u16);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_is_short_answers_and_then_service() {
    let outage = Duration::from_secs(long_or_short(60, 3) as u64);
    let (process, store) = on_faulty_store(&[]).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (api, stopped) = (process.api.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut seen: Vec<Seen> = Vec::new();
                for number in client.. {
                    let asked = Instant::now();
                    let answer = match number % 4 {
                        0 => api.get("/data/a").await,
                        1 => api.send("POST", "/data", &[JSON], "{}").await,
                        2 => api.get("/product/a").await,
                        _ => api.get("/data").await,
                    };
                    if answer.status == 503 {
                        assert_eq!(
                            (answer.problem().as_str(), answer.header("retry-after")),
                            ("store-unavailable", "1")
                        );
                        assert_ne!(number % 4, 2, "a product that was in the cache");
                    }
                    seen.push((asked, asked.elapsed(), answer.status.as_u16()));
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                seen
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.set(Fault::Hanging);
    let began = Instant::now();
    while process.admin.metric("tideline_store_breaker_open").await < 1.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let open = Instant::now();
    tokio::time::sleep(outage.saturating_sub(began.elapsed())).await;
    assert_eq!(process.api.get("/status").await.json()["status"], "degraded");
    assert_eq!(process.api.get("/health").await.status, 200);
    store.set(Fault::None);
    let over = Instant::now();
    process.api.until("/data/a", |answer| answer.status == 200).await;
    let recovered = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stopped.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for client in clients {
        seen.extend(client.await.unwrap());
    }
    assert!(seen.iter().all(|(.., status)| matches!(status, 200 | 201 | 503)), "a bare error");
    let after = seen.iter().filter(|(asked, ..)| *asked > recovered);
    assert!(after.clone().count() > 20 && after.clone().all(|(.., status)| *status < 300), "it fell back");
    let (mut took, mut failed) = (Vec::new(), 0);
    // Who asked before the breaker opened waits for the store's bound; those are not of this count.
    for (_, time, status) in seen.iter().filter(|(asked, ..)| *asked > open && *asked < over) {
        took.push(*time);
        failed += usize::from(*status == 503);
    }
    took.sort_unstable();
    let quick = took.iter().filter(|time| **time < Duration::from_millis(50)).count() as f64 / took.len() as f64;
    println!(
        "{outage:?} without a store: open after {:?}; then {} answers, {failed} of them 503, the others from the cache, \
         {:.2} % in under 50 ms (median {:?}); serving {:?} after its return",
        open - began,
        took.len(),
        quick * 100.0,
        took[took.len() / 2],
        recovered - over
    );
    assert!(failed > took.len() / 2 && took.len() > 200, "{failed} of {} were 503", took.len());
    // Nobody waits for the store but its probes, one at a time and at least 3/4 s apart.
    let waited = took.iter().filter(|time| **time > Duration::from_millis(450)).count();
    assert!(waited as u64 <= outage.as_secs() * 4 / 3 + 1, "{waited} waited for the store");
    // Beside the short form the other tests take the CPU.
    assert!(quick >= 0.99 || outage < Duration::from_secs(60), "only {quick} of the answers came at once");
    assert!(recovered - over < Duration::from_secs(5));
}

#[tokio::test]
async fn who_reads_a_product_does_not_wait_for_who_probes_with_it() {
    let (process, store) = on_faulty_store(&["--cache-max-age", "50ms"]).await;
    store.set(Fault::Hanging);
    let failing = (0..5).map(|_| process.api.get("/data/b"));
    futures_util::future::join_all(failing).await;
    assert_eq!(process.admin.metric("tideline_store_breaker_open").await, 1.0);
    // Until somebody is let through to it, and waits: the first reader after the time of rest.
    let calls = store.calls();
    let mut readers = tokio::task::JoinSet::new();
    while store.calls() == calls {
        let api = process.api.clone();
        readers.spawn(async move { api.get("/product/a").await.status });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    for _ in 0..5 {
        let stale = process.api.get("/product/a").await;
        assert!(
            stale.status == 200 && stale.header("cache-status").contains("ttl=-"),
            "{}",
            stale.header("cache-status")
        );
    }
    assert!(asked.elapsed() < Duration::from_millis(400), "readers waited {:?} for the probe", asked.elapsed());
    assert!(readers.join_all().await.iter().all(|status| *status == 200), "the probe itself has an older one to give");
}
