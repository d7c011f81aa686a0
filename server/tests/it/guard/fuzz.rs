//! Mutated requests through sockets and hyper: whatever comes, every answer is the service's own and whole, and the
//! connection ends cleanly.

use tideline_server::guard::Limits;
use tokio::io::AsyncWriteExt;

use super::harness::{Client, server};
use crate::mutations::Chance;

const SEEDS: [&str; 5] = [
    "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "GET http://a/d HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
];
const BYTES: &[u8] = b"\r\r\n\n \t:;,\"\\#?*/%@[]0157afFxX+-.=\0\x7f\x80\xffGETHost";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes() {
    let address = server(Limits::default()).await;
    let mut chance = Chance(0x5EED);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..2_500 {
        let (bytes, _) = chance.stream(&SEEDS, BYTES);
        let mut client = Client::connect(address).await;
        let cut = chance.below(bytes.len());
        client.send(&bytes[..cut]).await;
        if chance.below(2) == 0 {
            tokio::task::yield_now().await;
        }
        client.send(&bytes[cut..]).await;
        let _ = client.stream.shutdown().await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answers = client.answers().await;
        assert!(!answers.is_empty(), "{text:?}");
        for (i, answer) in answers.iter().enumerate() {
            *seen.entry(answer.status).or_insert(0) += 1;
            assert!(answer.status == 100 || !answer.body.is_empty(), "hyper's own: {answer:?} to {text:?}");
            assert!(matches!(answer.status, 100 | 200 | 400 | 417 | 501 | 505), "{answer:?} to {text:?}");
            assert!(i + 1 == answers.len() || answer.status < 300, "{answers:?} to {text:?}");
        }
    }
    assert!(seen[&200] > 500 && seen[&400] > 500, "{seen:?}");
}
