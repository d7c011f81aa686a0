//! Clients that are too slow, and that they harm nobody else.

use std::time::{Duration, Instant};

use tideline_server::guard::Limits;
use tokio::io::AsyncReadExt;

use super::harness::{Client, LONG, server};

const SHORT: Duration = Duration::from_millis(200);

fn short() -> Limits {
    Limits { head_time: SHORT, body_time: SHORT, write_stall: SHORT, linger_time: SHORT, ..Limits::default() }
}

/// Sends a byte every now and then until the answer is there; gives it, and when it came.
async fn drip(mut client: Client, first: &str, drops: &str) -> (Vec<u16>, Duration) {
    let started = Instant::now();
    client.send(first).await;
    for drop in drops.bytes() {
        let answered = tokio::time::timeout(SHORT / 8, client.stream.readable()).await;
        if answered.is_ok() {
            break;
        }
        client.send([drop]).await;
    }
    let statuses = client.answers().await.iter().map(|answer| answer.status).collect();
    (statuses, started.elapsed())
}

#[tokio::test]
async fn slow_senders_are_answered_408_while_others_are_served() {
    let address = server(short()).await;
    let mut live = Client::connect(address).await;
    let drops = "x".repeat(1000);
    let head = drip(Client::connect(address).await, "GET / HTTP/1.1\r\nHost: a\r\nX: ", &drops);
    let silent = drip(Client::connect(address).await, "G", "");
    let length =
        drip(Client::connect(address).await, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", &drops);
    let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
    let chunked = drip(Client::connect(address).await, chunked, &drops);
    let second = drip(Client::connect(address).await, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", "");
    let serving = async {
        let mut served = 0;
        let started = Instant::now();
        while started.elapsed() < SHORT * 2 {
            live.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(live.answer().await.map(|answer| answer.status), Some(200));
            served += 1;
        }
        served
    };
    let (head, silent, length, chunked, second, served) = tokio::join!(head, silent, length, chunked, second, serving);
    assert!(served > 20, "{served}");
    for (statuses, took) in [&head, &silent, &length, &chunked] {
        assert_eq!(statuses, &[408]);
        assert!(*took >= SHORT && *took < SHORT * 5, "{took:?}");
    }
    assert_eq!(second.0, [200, 408]);
    // Idling costs nothing.
    tokio::time::sleep(SHORT * 2).await;
    live.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(live.answers().await.len(), 1);
}

#[tokio::test]
async fn a_deadline_is_each_request_s_own() {
    let address = server(short()).await;
    let mut client = Client::connect(address).await;
    for _ in 0..4 {
        for part in ["PUT / HTTP/1.1\r\nHo", "st: a\r\nContent-Length: 4\r\n\r\nab", "cd"] {
            client.send(part).await;
            tokio::time::sleep(SHORT / 3).await;
        }
        assert_eq!(client.answer().await.map(|answer| answer.status), Some(200));
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_left_and_one_that_is_slow_is_not() {
    let address = server(short()).await;
    let request = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let stalled = async {
        let mut client = Client::connect(address).await;
        client.send(request).await;
        tokio::time::sleep(SHORT * 4).await;
        let mut all = Vec::new();
        let _ = tokio::time::timeout(LONG, client.stream.read_to_end(&mut all)).await.unwrap();
        all.len()
    };
    let slow = async {
        let mut client = Client::connect(address).await;
        client.send(request).await;
        let mut buf = vec![0; 3 * 1024 * 1024];
        let mut total = 0;
        loop {
            tokio::time::sleep(SHORT / 8).await;
            match tokio::time::timeout(LONG, client.stream.read(&mut buf)).await.unwrap().unwrap() {
                0 => return total,
                n => total += n,
            }
        }
    };
    let (stalled, slow) = tokio::join!(stalled, slow);
    let size = 32 * 1024 * 1024;
    assert!(stalled < size, "{stalled}");
    assert!(slow > size, "{slow}");
}

#[tokio::test]
async fn lingering_ends() {
    let address = server(short()).await;
    let mut client = Client::connect(address).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer().await.map(|answer| answer.status), Some(400));
    // The client sends on, at leisure.
    let started = Instant::now();
    while client.stream.try_write(b"x").is_ok() {
        assert!(started.elapsed() < SHORT * 5);
        tokio::time::sleep(SHORT / 20).await;
    }
    assert!(started.elapsed() >= SHORT / 2, "{:?}", started.elapsed());
}
