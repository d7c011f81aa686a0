//! Good requests in every cut, many on one connection, and what stands around a refusal.

use tideline_server::guard::Limits;
use tokio::io::AsyncWriteExt;

use super::harness::{Client, checksum, server, statuses};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const CLOSE: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LENGTH: &str = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";
const CHUNKED: &str = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5;a=b\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n0\r\nX: y\r\nZ: \r\n\r\n";
const BAD: &str = "GET /d HTTP/1.1\r\nHost : a\r\n\r\n";

fn expected() -> Vec<String> {
    let sum = checksum(b"hello world");
    vec![format!("/a 0 0 0"), format!("/b 11 {sum} 0"), format!("/c 11 {sum} 2"), format!("/last 0 0 0")]
}

#[tokio::test]
async fn answers_come_in_order_and_a_refusal_in_its_turn() {
    let address = server(Limits::default()).await;
    assert_eq!(statuses(address, [GET, GET, BAD].concat()).await, [200, 200, 400]);
    assert_eq!(statuses(address, [GET, LENGTH, CHUNKED, BAD, GET].concat()).await, [200, 200, 200, 400]);
    let slow = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(statuses(address, [slow, GET, BAD].concat()).await, [200, 200, 400]);
    // What comes after an answer that closes is not answered, not even if it is bad.
    assert_eq!(statuses(address, [CLOSE, BAD].concat()).await, [200]);
    // Of a body, too; and the requests before it are not blamed.
    let broken = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nbroken\r\n";
    assert_eq!(statuses(address, [slow, CHUNKED, broken, GET].concat()).await, [200, 200, 400]);
}

#[tokio::test]
async fn a_hundred_at_once() {
    let address = server(Limits::default()).await;
    let mut client = Client::connect(address).await;
    let requests: String = (0..100).map(|i| format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests).await;
    for i in 0..100 {
        assert_eq!(client.answer().await.map(|answer| answer.body), Some(format!("/{i} 0 0 0")));
    }
}

#[tokio::test]
async fn byte_by_byte() {
    let address = server(Limits::default()).await;
    let mut client = Client::connect(address).await;
    for byte in [GET, LENGTH, CHUNKED, CLOSE].concat().bytes() {
        client.send([byte]).await;
        tokio::task::yield_now().await;
    }
    let bodies: Vec<_> = client.answers().await.into_iter().map(|answer| answer.body).collect();
    assert_eq!(bodies, expected());
}

#[tokio::test]
async fn cut_at_every_place() {
    let address = server(Limits::default()).await;
    let all = [GET, LENGTH, CHUNKED, CLOSE].concat();
    for cut in 1..all.len() {
        let mut client = Client::connect(address).await;
        client.send(&all[..cut]).await;
        if all[..cut].contains("\r\n\r\n") {
            // The first answer does not wait for what follows it.
            assert_eq!(client.answer().await.map(|answer| answer.body), Some(expected()[0].clone()));
            client.send(&all[cut..]).await;
        } else {
            tokio::task::yield_now().await;
            client.send(&all[cut..]).await;
            assert_eq!(client.answer().await.map(|answer| answer.body), Some(expected()[0].clone()));
        }
        let bodies: Vec<_> = client.answers().await.into_iter().map(|answer| answer.body).collect();
        assert_eq!(bodies, expected()[1..], "cut at {cut}");
    }
}

#[tokio::test]
async fn an_empty_line_after_a_body_is_no_request() {
    let limits = Limits { head_time: std::time::Duration::from_millis(50), ..Limits::default() };
    let address = server(limits).await;
    let mut client = Client::connect(address).await;
    client.send(format!("{LENGTH}\r\n")).await;
    assert_eq!(client.answer().await.map(|answer| answer.status), Some(200));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    client.send(GET).await;
    assert_eq!(client.answer().await.map(|answer| answer.status), Some(200));
    client.send("\r\n").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answers().await, []);
}

#[tokio::test]
async fn a_client_that_only_ends_its_sending_is_answered() {
    let address = server(Limits::default()).await;
    for (request, statuses) in [
        ("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), vec![200]),
        ([GET, CHUNKED, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"].concat(), vec![200, 200, 200]),
        (BAD.to_owned(), vec![400]),
        // In the middle of a head, and of a body.
        ([GET, &GET[..20]].concat(), vec![200, 400]),
        (LENGTH[..LENGTH.len() - 1].to_owned(), vec![400]),
        (CHUNKED[..CHUNKED.len() - 1].to_owned(), vec![400]),
        (String::new(), vec![]),
    ] {
        let mut client = Client::connect(address).await;
        client.send(&request).await;
        client.stream.shutdown().await.unwrap();
        let got: Vec<_> = client.answers().await.iter().map(|answer| answer.status).collect();
        assert_eq!(got, statuses, "{request:?}");
    }
}

#[tokio::test]
async fn expect_continue() {
    let address = server(Limits::default()).await;
    let mut client = Client::connect(address).await;
    client.send("POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n").await;
    assert_eq!(client.answer().await.map(|answer| answer.status), Some(100));
    client.send("hello world").await;
    assert_eq!(client.answer().await.map(|answer| answer.body), Some(expected()[1].clone()));
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let address = server(Limits::default()).await;
    let body: Vec<u8> = (0..1024 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let text = format!("/ {} {} 0", body.len(), checksum(&body));
    let mut client = Client::connect(address).await;
    for _ in 0..2 {
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        client.send(&body).await;
        assert_eq!(client.answer().await.map(|answer| answer.body), Some(text.clone()));
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let mut chunks = Vec::new();
        let mut rest = &body[..];
        let mut size = 1;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(size.min(rest.len()));
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
            (rest, size) = (later, size * 7 % 65_521 + 1);
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        client.send(&chunks).await;
        assert_eq!(client.answer().await.map(|answer| answer.body), Some(text.clone()));
    }
}

/// The client sends all before it reads: without lingering, its TCP would throw the answer away.
#[tokio::test]
async fn an_early_answer_is_not_lost_to_what_is_still_sent() {
    let address = server(Limits::default()).await;
    let early = |framing: &str| format!("POST /early HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
    for request in [
        early("Content-Length: 700000") + &"x".repeat(700_000),
        early("Transfer-Encoding: chunked")
            + &"1000\r\n".chars().chain("x".repeat(4096).chars()).chain("\r\n".chars()).collect::<String>().repeat(100),
        BAD.to_owned() + &"x".repeat(700_000),
        format!("{CLOSE}{}", GET.repeat(10_000)),
    ] {
        let mut client = Client::connect(address).await;
        client.send(&request).await;
        let answers = client.answers().await;
        assert_eq!(answers.len(), 1, "{:?}: {answers:?}", &request[..80]);
    }
}
