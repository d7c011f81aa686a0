//! Every kind of request for a long time: the process must not grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::process::Process;
use crate::support::{Api, long_or_short};

/// Documents that are read and replaced.
const DOCUMENTS: usize = 1_000;
const CLIENTS: usize = 16;
const SAMPLES: usize = 100;

/// One of a hundred kinds of request, and what it must be answered with.
async fn ask(api: &Api, number: usize) {
    let id = format!("d{}", number * 7_919 % DOCUMENTS);
    let (what, answer, statuses): (_, _, &[u16]) = match number % 100 {
        0..50 => ("product", api.get(&format!("/product/{id}")).await, &[200]),
        50..65 => ("read", api.get(&format!("/data/{id}")).await, &[200]),
        65..70 => ("list", api.get("/data?limit=20").await, &[200]),
        70..78 => {
            let body = format!(r#"{{"number":{number},"text":"{}"}}"#, "x".repeat(number % 500));
            ("replace", api.put(&id, &[], body).await, &[200])
        }
        78..82 => {
            let made = api.post(format!(r#"{{"number":{number}}}"#)).await;
            assert_eq!(made.status, 201, "{}", made.text());
            ("delete", api.delete(made.json()["id"].as_str().unwrap(), &[]).await, &[204])
        }
        82..87 => ("condition", api.send("GET", "/product/d0", &[("if-none-match", "*")], "").await, &[304]),
        87..90 => ("absence", api.get(&format!("/data/none-{number}")).await, &[404]),
        90..92 => ("bad JSON", api.post("{").await, &[400]),
        92..93 => ("bad type", api.send("POST", "/data", &[], "{}").await, &[415]),
        93..96 => ("page", api.get("/").await, &[200]),
        96..97 => ("options", api.send("OPTIONS", "/data", &[], "").await, &[204]),
        97..98 => ("head", api.send("HEAD", "/data/d0", &[], "").await, &[200]),
        98..99 => ("new connection", Api::without_keep_alive(api.address).get("/status").await, &[200]),
        _ => ("health", api.get("/health").await, &[200]),
    };
    assert!(statuses.contains(&answer.status.as_u16()), "{what} {number}: {} {}", answer.status, answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_resident_memory_is_flat_over_a_long_time() {
    let requests = long_or_short(10_000_000, 5_000);
    let process = Process::start(&[], &[]).await.without_log();
    for number in 0..DOCUMENTS {
        assert_eq!(process.api.put(&format!("d{number}"), &[], "{}").await.status, 201);
    }
    let resident = || {
        let pid = process.child.id().unwrap().try_into().unwrap();
        let pages = procfs::process::Process::new(pid).unwrap().statm().unwrap().resident;
        (pages * procfs::page_size()) as f64 / 1024.0 / 1024.0
    };
    let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (api, next) = (process.api.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    ask(&api, number).await;
                }
            })
        })
        .collect();
    let mut samples = Vec::new();
    for sample in 1..=SAMPLES {
        while next.load(Ordering::Relaxed) < requests / SAMPLES * sample {
            assert!(!clients.iter().any(|client| client.is_finished()), "a client ended before the end");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        samples.push(resident());
        if sample % (SAMPLES / 10) == 0 {
            println!("{:>3} %  {:>5.0?}  {:.1} MiB", sample * 100 / SAMPLES, started.elapsed(), samples[sample - 1]);
        }
    }
    for client in clients {
        client.await.unwrap();
    }
    // The first quarter fills caches and pools.
    let settled = &samples[SAMPLES / 4..];
    let (growth, mean) = (growth(settled), settled.iter().sum::<f64>() / settled.len() as f64);
    let share = growth / mean * 100.0;
    println!("{requests} mixed requests: {mean:.1} MiB resident, {share:+.2} % over the last three quarters");
    if requests >= 1_000_000 {
        assert!(share < 1.0, "it grew by {growth:.2} of {mean:.1} MiB");
    }
}

/// What the line of least squares through the samples gains from its first to its last.
fn growth(samples: &[f64]) -> f64 {
    let count = samples.len() as f64;
    let (x_mean, y_mean) = ((count - 1.0) / 2.0, samples.iter().sum::<f64>() / count);
    let points = || samples.iter().enumerate().map(|(x, y)| (x as f64 - x_mean, y - y_mean));
    let slope = points().map(|(x, y)| x * y).sum::<f64>() / points().map(|(x, _)| x * x).sum::<f64>();
    slope * (count - 1.0)
}

#[test]
fn growth_is_that_of_the_line() {
    assert!((growth(&[1.0, 2.0, 3.0, 4.0]) - 3.0).abs() < 1e-9);
    assert!(growth(&[5.0, 1.0, 1.0, 5.0]).abs() < 1e-9);
}
