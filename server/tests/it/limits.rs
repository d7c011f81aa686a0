//! What one client or one defect cannot take from the others: slots, time, the process.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{Method, StatusCode};
use tideline_server::http::empty;
use tideline_server::routes::Handler;
use tideline_server::systemd::while_it_answers;
use tokio::sync::Notify;

use crate::support::{Api, JSON, TestServer, serve_routes};

#[tokio::test]
async fn what_is_too_much_is_told_so_at_once_and_health_is_not() {
    // Two requests that stay in flight: their bodies never come.
    let server = TestServer::with(&["--max-in-flight", "2"]).await;
    let held = [server.api.hold_post().await, server.api.hold_post().await];
    server.admin.until("/metrics", |metrics| metrics.text().contains(r#"in_flight{listener="public"} 2"#)).await;
    for (method, path) in [("GET", "/data"), ("POST", "/data"), ("GET", "/"), ("GET", "/product/a")] {
        let refused = server.api.send(method, path, &[JSON], "{}").await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "overloaded"), "{method} {path}");
        assert_eq!(refused.header("retry-after"), "1");
    }
    for path in ["/health", "/status"] {
        assert_eq!(server.api.get(path).await.status, 200, "{path}");
    }
    assert_eq!(server.admin.get("/metrics").await.status, 200);
    drop(held);
    server.api.until("/data", |page| page.status == 200).await;
}

#[tokio::test]
async fn a_request_has_a_bound_of_time() {
    const ROUTES: &[(Method, &str, Handler)] = &[(Method::GET, "/endless", |_, _| std::future::pending().boxed())];
    let (api, app) = serve_routes(&["--request-timeout", "100ms"], ROUTES).await;
    let answer = api.get("/endless").await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "took-too-long"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(app.slots.available_permits(), 512, "its slot is free again");
}

#[tokio::test]
async fn a_panic_is_one_answer_of_500_and_nothing_more() {
    const ROUTES: &[(Method, &str, Handler)] = &[
        (Method::GET, "/panic", |_, _| async { panic!("on purpose: secret") }.boxed()),
        (Method::GET, "/fine", |_, _| async { Ok(empty(StatusCode::OK)) }.boxed()),
    ];
    let (api, app) = serve_routes(&["--max-in-flight", "1"], ROUTES).await;
    for _ in 0..3 {
        let answer = api.get("/panic").await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (500, "internal"));
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        // The one slot is free again, and the connection is still good.
        assert_eq!(api.get("/fine").await.status, 200);
    }
    assert_eq!(app.metrics.panics.get(), 3);
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot_and_is_counted() {
    let server = TestServer::with(&["--max-in-flight", "1"]).await;
    let held = server.api.hold_post().await;
    server.admin.until("/metrics", |metrics| metrics.text().contains(r#"in_flight{listener="public"} 1"#)).await;
    drop(held);
    server.api.until("/data", |page| page.status == 200).await;
    let left = r#"tideline_requests_total{method="POST",route="/data",status="4"#;
    let metrics = server.admin.get("/metrics").await.text();
    assert!(metrics.contains(left), "{metrics}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_are_served_in_their_turn() {
    // The server's own client keeps one.
    let server = TestServer::with(&["--max-connections", "3"]).await;
    let notify = Arc::new(Notify::new());
    let held = [server.api.hold_post().await, server.api.hold_post().await];
    let (api, done) = (Api::at(server.api.address), notify.clone());
    let waiting = tokio::spawn(async move {
        let answer = api.get("/health").await;
        done.notify_one();
        answer
    });
    let early = tokio::time::timeout(Duration::from_millis(300), notify.notified()).await;
    assert!(early.is_err(), "a fourth connection was served beside three");
    drop(held);
    assert_eq!(waiting.await.unwrap().status, 200);
}

/// Both threads that run requests are taken, and nothing runs: that is what the watchdog is for.
#[test]
#[expect(clippy::disallowed_methods, reason = "it blocks a worker on purpose")]
fn of_a_wedged_runtime_the_watchdog_hears_nothing() {
    const WEDGE: Duration = Duration::from_millis(900);
    const ROUTES: &[(Method, &str, Handler)] = &[(Method::GET, "/wedge", |_, _| {
        async {
            // A mistake that any handler could make.
            std::thread::sleep(WEDGE);
            Ok(empty(StatusCode::OK))
        }
        .boxed()
    })];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (api, _app) = runtime.block_on(async { tokio::spawn(serve_routes(&[], ROUTES)).await.unwrap() });
    let (alive, heard) = std::sync::mpsc::sync_channel(1_000);
    let beat = move || alive.send(Instant::now()).unwrap_or_default();
    runtime.spawn(while_it_answers(api.address, Duration::from_millis(200), beat));
    let bound = Duration::from_secs(10);
    let first = heard.recv_timeout(bound).expect("it serves, and the watchdog does not hear of it");
    let wedge = |_| {
        let mut stream = std::net::TcpStream::connect(api.address).unwrap();
        stream.write_all(b"GET /wedge HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        stream
    };
    // More than threads: which thread takes which is the runtime's choice.
    let _wedged: Vec<_> = (0..6).map(wedge).collect();
    let mut beats = vec![first];
    while beats.iter().max().unwrap().duration_since(beats[0]) < WEDGE {
        beats.push(heard.recv_timeout(bound).expect("it serves again, and the watchdog does not hear of it"));
    }
    let longest = beats.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest >= WEDGE - Duration::from_millis(300), "it was told in the middle of the wedge: {longest:?}");
}
