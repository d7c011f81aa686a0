//! A store that throttles, breaks, hangs, lies or denies, and recovers.
//!
//! In front of a real DynamoDB engine stands a double that does on demand what the engine cannot be made to do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dynoxide::Database;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::process::Process;
use crate::support::JSON;

/// What the store does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// It answers, after [`SLOWNESS`].
    Slow,
    Throttled,
    Internal,
    Hanging,
    Reset,
    Truncated,
    NotJson,
    TableMissing,
    Denied,
}

/// How long a slow store takes for each answer.
pub const SLOWNESS: Duration = Duration::from_millis(50);

/// A DynamoDB that can be made to fail.
#[derive(Clone)]
pub struct FaultyStore {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    calls: Arc<Mutex<usize>>,
    /// Answers to be lost after the engine has done what was asked.
    losing: Arc<Mutex<usize>>,
}

impl FaultyStore {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let store =
            Self { address, fault: Arc::new(Mutex::new(Fault::None)), calls: Arc::default(), losing: Arc::default() };
        let engine = Database::memory().unwrap();
        let serving = store.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (store, engine) = (serving.clone(), engine.clone());
                let service = service_fn(move |request| store.clone().answer(engine.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        store
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn lose_next_answer(&self) -> Arc<Mutex<usize>> {
        *self.losing.lock().unwrap() = 1;
        self.losing.clone()
    }

    pub fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    async fn answer(
        self,
        engine: Database,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<Full<Bytes>>, &'static str> {
        *self.calls.lock().unwrap() += 1;
        let fault = *self.fault.lock().unwrap();
        let error = |status: u16, kind: &str, message: &str| {
            let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"{message}"}}"#);
            Ok(http::Response::builder().status(status).body(Full::from(body)).unwrap())
        };
        match fault {
            Fault::None => {}
            Fault::Slow => tokio::time::sleep(SLOWNESS).await,
            Fault::Throttled => return error(400, "ProvisionedThroughputExceededException", "slow down"),
            Fault::Internal => return error(500, "InternalServerError", "broken"),
            Fault::Hanging => std::future::pending().await,
            // Returned as an error, hyper drops the connection without an answer.
            Fault::Reset => return Err("reset"),
            Fault::Truncated => return Ok(http::Response::new(Full::from(r#"{"Item":{"id":{"S":"#))),
            Fault::NotJson => return Ok(http::Response::new(Full::from("<html>"))),
            Fault::TableMissing => {
                return error(400, "ResourceNotFoundException", "arn:aws:dynamodb:eu:123456789012:table");
            }
            Fault::Denied => {
                return error(400, "AccessDeniedException", "arn:aws:iam::123456789012:role/x is not allowed");
            }
        }
        let operation = request.headers()["x-amz-target"].to_str().unwrap().split_once('.').unwrap().1.to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        macro_rules! run {
            ($operation:ident) => {
                engine
                    .$operation(serde_json::from_slice(&body).unwrap())
                    .map(|output| serde_json::to_string(&output).unwrap())
            };
        }
        let result = match operation.as_str() {
            "GetItem" => run!(get_item),
            "PutItem" => run!(put_item),
            "UpdateItem" => run!(update_item),
            "DeleteItem" => run!(delete_item),
            "Query" => run!(query),
            "TransactWriteItems" => run!(transact_write_items),
            "DescribeTable" => run!(describe_table),
            "CreateTable" => run!(create_table),
            "UpdateTimeToLive" => run!(update_time_to_live),
            other => panic!("{other}"),
        };
        if std::mem::take(&mut *self.losing.lock().unwrap()) > 0 {
            return Err("lost");
        }
        let (status, body) = result.map_or_else(|error| (error.status_code(), error.to_json()), |body| (200, body));
        Ok(http::Response::builder().status(status).body(Full::from(body)).unwrap())
    }
}

/// The service on such a store, with a document `a` in it and in its cache.
pub async fn on_faulty_store(flags: &[&str]) -> (Process, FaultyStore) {
    let store = FaultyStore::start().await;
    let endpoint = format!("http://{}", store.address);
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", "eu-north-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ];
    let flags = [&["--table", "documents", "--create-table"], flags].concat();
    let process = Process::start(&flags, &variables).await;
    process.api.until("/health", |answer| answer.status == 200).await;
    assert_eq!(process.api.post(r#"{"id":"a","v":1}"#).await.status, 201);
    assert_eq!(process.api.get("/product/a").await.status, 200);
    (process, store)
}

#[tokio::test]
async fn every_fault_is_503_with_retry_after_and_no_internals_and_passes() {
    for (fault, state) in [
        (Fault::Throttled, "throttled"),
        (Fault::Internal, "unavailable"),
        (Fault::Hanging, "timed_out"),
        (Fault::Reset, "unavailable"),
        (Fault::TableMissing, "table_missing"),
        (Fault::Denied, "denied"),
    ] {
        let (process, store) = on_faulty_store(&["--store-attempt-timeout", "100ms", "--store-timeout", "300ms"]).await;
        store.set(fault);
        for (method, path) in
            [("GET", "/data/a"), ("GET", "/data"), ("POST", "/data"), ("PUT", "/data/a"), ("DELETE", "/data/a")]
        {
            let answer = process.api.send(method, path, &[JSON], "{}").await;
            assert_eq!(
                (answer.status.as_u16(), answer.problem().as_str()),
                (503, "store-unavailable"),
                "{fault:?} {path}"
            );
            assert_eq!(answer.header("retry-after"), "1");
            assert!(!answer.text().contains("arn") && !answer.text().contains("123456789012"), "{}", answer.text());
        }
        let failed = process.admin.get("/metrics").await.text();
        assert!(
            failed.contains(&format!(r#"tideline_store_calls_total{{operation="GetItem",result="{state}"}}"#)),
            "{failed}"
        );
        assert_eq!(process.api.get("/health").await.status, 200, "{fault:?}");
        let status = process.api.get("/status").await;
        assert_eq!((status.status.as_u16(), &status.json()["status"]), (200, &"degraded".into()), "{fault:?}");
        store.set(Fault::None);
        process.api.until("/data/a", |answer| answer.status == 200).await;
        process.api.until("/status", |answer| answer.json()["status"] == "healthy").await;
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_believed() {
    let (process, store) = on_faulty_store(&[]).await;
    for fault in [Fault::Truncated, Fault::NotJson] {
        store.set(fault);
        let answer = process.api.get("/data/a").await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "store-unavailable"), "{fault:?}");
        store.set(Fault::None);
        process.api.until("/data/a", |answer| answer.status == 200).await;
    }
}

#[tokio::test]
async fn in_an_outage_nobody_waits_products_are_served_and_it_recovers_by_itself() {
    let flags = ["--store-attempt-timeout", "100ms", "--store-timeout", "300ms", "--cache-max-age", "100ms"];
    let (process, store) = on_faulty_store(&flags).await;
    store.set(Fault::Hanging);
    // Until the breaker opens, each waits its bound; then nobody does.
    for _ in 0..5 {
        assert_eq!(process.api.get("/data/a").await.status, 503);
    }
    assert_eq!(process.admin.metric("tideline_store_breaker_open").await, 1.0);
    let (before, asked) = (store.calls(), Instant::now());
    for _ in 0..200 {
        assert_eq!(process.api.get("/data/a").await.problem(), "store-unavailable");
        let stale = process.api.get("/product/a").await;
        assert_eq!((stale.status.as_u16(), &stale.json()["v"]), (200, &1.into()));
        assert!(stale.header("age").parse::<u64>().unwrap() >= 1);
        assert!(stale.header("cache-status").starts_with("Tideline; hit; ttl=-"), "{}", stale.header("cache-status"));
    }
    // Now and then one probe goes through and takes its bound; all the others do not ask.
    let probes = store.calls() - before;
    assert!(probes <= 2 + asked.elapsed().as_millis() as usize / 500, "{probes} calls in {:?}", asked.elapsed());
    assert_eq!(process.api.get("/product/b").await.status, 503, "what was never read cannot be served");
    store.set(Fault::None);
    let recovered = Instant::now();
    process.api.until("/data/a", |answer| answer.status == 200).await;
    assert!(recovered.elapsed() < Duration::from_secs(5), "serving again only after {:?}", recovered.elapsed());
    process.api.until("/product/a", |answer| answer.header("cache-status").contains("fwd=miss")).await;
    assert_eq!(process.admin.metric("tideline_store_breaker_open").await, 0.0);
}

#[tokio::test]
async fn when_the_store_is_down_retries_do_not_double_its_load() {
    let (process, store) = on_faulty_store(&[]).await;
    store.set(Fault::Throttled);
    let before = store.calls();
    for _ in 0..300 {
        process.api.get("/data/a").await;
    }
    let calls = store.calls() - before;
    // 300 tries, the 50 of the burst, and a tenth of the few that succeeded before.
    assert!((300..=360).contains(&calls), "{calls} calls for 300 requests");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_taken_for_anothers() {
    // The store does the write and the answer is lost; the SDK sends it again, which finds the document written.
    let (process, store) = on_faulty_store(&["--store-attempt-timeout", "300ms"]).await;
    let lost = store.lose_next_answer();
    let made = process.api.post(r#"{"id":"b"}"#).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(*lost.lock().unwrap() == 0, "no answer was lost");
    let lost = store.lose_next_answer();
    let put = process.api.put("b", &[("if-match", made.header("etag"))], r#"{"v":2}"#).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert!(*lost.lock().unwrap() == 0, "no answer was lost");
    let lost = store.lose_next_answer();
    let new = process.api.put("c", &[], "{}").await;
    assert_eq!(new.status, 201, "{}", new.text());
    assert!(*lost.lock().unwrap() == 0, "no answer was lost");
    assert_eq!(process.api.get("/data/b").await.header("etag"), put.header("etag"));
}
