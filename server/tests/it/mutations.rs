//! Mutated requests of every kind over the wire, against the real process: no panic, no answer of 5xx but the two that
//! HTTP has for what we do not speak.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::support::{Api, long_or_short};

/// Requests of every kind, to be spoilt; the fuzzer begins with them too.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/connection");

/// Bytes that matter to the grammars come up more often than others.
const BYTES: &[u8] = b"\r\r\n\n \t:;,\"\\#?*/%@[]{}0157afFxXeE+-.=\0\x7f\x80\xff\xc3GETHost";

/// Chance that is the same each time: xorshift64.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    /// One to three of the seeds after each other with up to three bytes changed, put in or taken out, and how many
    /// requests that was.
    pub fn stream(&mut self, seeds: &[impl AsRef<[u8]>], spoils: &[u8]) -> (Vec<u8>, usize) {
        let requests = 1 + self.below(3);
        let mut bytes: Vec<u8> = (0..requests).flat_map(|_| seeds[self.below(seeds.len())].as_ref().to_vec()).collect();
        for _ in 0..self.below(4) {
            let (place, byte) = (self.below(bytes.len()), spoils[self.below(spoils.len())]);
            match self.below(3) {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        (bytes, requests)
    }
}

/// Sends all, then an end, and gives the statuses of the answers.
async fn statuses(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answers = Vec::new();
    let exchange = async {
        // It may refuse and close before it has all.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        stream.read_to_end(&mut answers).await
    };
    let text = || String::from_utf8_lossy(bytes).into_owned();
    let exchanged = tokio::time::timeout(Duration::from_secs(20), exchange).await;
    exchanged
        .unwrap_or_else(|_| panic!("no end: {:?}", text()))
        .unwrap_or_else(|error| panic!("{error}: {:?}", text()));
    let answers = String::from_utf8_lossy(&answers).into_owned();
    // Who asks in HTTP/1.0 is answered in it.
    let starts = answers.match_indices("HTTP/1.").map(|(place, start)| &answers[place + start.len()..]);
    starts.filter_map(|rest| rest.get(2..5)?.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_is_answered_without_a_fault_of_ours() {
    let process = Process::start(&[], &[]).await.without_log();
    assert_eq!(process.api.post(r#"{"id":"a"}"#).await.status, 201);
    let (requests, sent) = (long_or_short(1_000_000, 3_000), Arc::new(AtomicUsize::new(0)));
    let files = std::fs::read_dir(SEEDS).unwrap().map(|file| file.unwrap().path());
    let mut seeds: Vec<Vec<u8>> = files.map(|path| std::fs::read(path).unwrap()).collect();
    // The folder has no order; chance is to be the same each time.
    seeds.sort_unstable();
    let clients: Vec<_> = (1..=8)
        .map(|client| {
            let (address, sent, seeds) = (process.api.address, sent.clone(), seeds.clone());
            tokio::spawn(async move {
                let (mut chance, mut seen) = (Chance(0x5EED * client), BTreeMap::new());
                while sent.load(Ordering::Relaxed) < requests {
                    let (bytes, count) = chance.stream(&seeds, BYTES);
                    sent.fetch_add(count, Ordering::Relaxed);
                    let statuses = statuses(address, &bytes).await;
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(!statuses.is_empty(), "no answer: {text:?}");
                    for status in statuses {
                        // 501: a method or coding that is not ours; 505: a version that is not ours.
                        assert!(status < 500 || status == 501 || status == 505, "{status}: {text:?}");
                        *seen.entry(status).or_insert(0_usize) += 1;
                    }
                }
                seen
            })
        })
        .collect();
    let mut seen = BTreeMap::new();
    for client in clients {
        for (status, count) in client.await.unwrap() {
            *seen.entry(status).or_insert(0) += count;
        }
    }
    assert_eq!(process.admin.metric("tideline_panics_total").await, 0.0);
    assert_eq!(Api::at(process.api.address).get("/health").await.status, 200);
    println!("{} mutated requests: 0 panics, 0 faults; answers by status: {seen:?}", sent.load(Ordering::Relaxed));
    assert!(seen[&200] > requests / 10 && seen[&400] > requests / 10, "{seen:?}");
}
