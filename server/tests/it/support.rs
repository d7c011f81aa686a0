//! A server for a test, and a client that shows everything of an answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tideline_server::app::App;
use tideline_server::args::Args;
use tideline_server::config::Config;
use tideline_server::layers::{Shared, stack};
use tideline_server::logging::{AccessLog, DroppedLines};
use tideline_server::routes::{Handler, Router};
use tideline_server::serve::{Limits, serve};
use tideline_server::server::{Ended, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A service in this process. It drains when it is dropped.
pub struct TestServer {
    pub api: Api,
    pub admin: Api,
    stop: mpsc::Sender<&'static str>,
    running: JoinHandle<Ended>,
    folder: Arc<TempDir>,
}

impl TestServer {
    /// The service with its default settings, on ports of its own.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with some flags.
    pub async fn with(flags: &[&str]) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), flags).await
    }

    /// Another instance on the same store.
    pub async fn beside(&self, flags: &[&str]) -> Self {
        Self::on(self.folder.clone(), flags).await
    }

    async fn on(folder: Arc<TempDir>, flags: &[&str]) -> Self {
        let config = config(&folder, flags);
        let server = Server::bind(&config, AccessLog::off(), DroppedLines::default()).await.unwrap();
        let api = Api::at(server.public_address().unwrap());
        let admin = Api::at(server.admin_address().unwrap());
        let (stop, stops) = mpsc::channel(2);
        let server = Self { api, admin, stop, running: tokio::spawn(server.run(stops)), folder };
        server.api.until("/health", |answer| answer.status == 200).await;
        server
    }

    /// What a handler of another instance on the same store would use.
    pub async fn app_beside(&self) -> Arc<App> {
        App::start(&config(&self.folder, &[]), AccessLog::off(), DroppedLines::default()).await.unwrap()
    }

    /// Asks it to end.
    pub async fn stop(&self) {
        self.stop.send("the test").await.unwrap();
    }

    /// How it ended.
    pub async fn ended(self) -> Ended {
        self.running.await.unwrap()
    }
}

/// The settings of a service on the store in `folder`.
fn config(folder: &TempDir, flags: &[&str]) -> Config {
    let path = folder.path().to_str().unwrap();
    let mut all = vec!["tideline", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", path];
    let table = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
    if elsewhere() {
        // moto is slow; how slow is not what these tests are about.
        all.extend(["--table", &table, "--create-table", "--store-attempt-timeout", "20s", "--store-timeout", "20s"]);
    }
    // It would be a call to the store more, at a time that no test knows.
    if !flags.contains(&"--heartbeat") {
        all.extend(["--heartbeat", "0s"]);
    }
    all.extend(flags);
    Config::check(&Args::parse_from(all)).unwrap()
}

/// Serves a table of routes of the test's own, through the whole stack.
pub async fn serve_routes(flags: &[&str], table: &'static [(Method, &'static str, Handler)]) -> (Api, Arc<App>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let config = Config::check(&Args::parse_from([&["tideline", "--data-dir", path], flags].concat())).unwrap();
    let app = App::start(&config, AccessLog::off(), DroppedLines::default()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = Api::at(listener.local_addr().unwrap());
    let metrics = app.metrics.listener("public");
    let shared =
        Shared { app: app.clone(), router: Arc::new(Router::of(table, &app.metrics)), metrics: metrics.clone() };
    let limits = Limits { connections: 100, drain: std::time::Duration::ZERO, guard: config.limits.guard };
    let service = move |peer| stack(shared.clone(), peer);
    tokio::spawn(async move {
        serve(listener, service, metrics, limits, std::future::pending()).await;
        drop(folder);
    });
    (api, app)
}

/// The hash by which the service knows a token.
pub fn sha256(token: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(token))
}

/// How much of a test that can be long: the short form, or with `TIDELINE_CHAOS` (`make chaos`) the full one.
pub fn long_or_short(full: usize, short: usize) -> usize {
    if std::env::var_os("TIDELINE_CHAOS").is_some() { full } else { short }
}

/// Whether the store is a DynamoDB outside this process.
pub fn elsewhere() -> bool {
    std::env::var_os("TIDELINE_TEST_TABLES").is_some()
}

/// A client of one listener.
#[derive(Clone)]
pub struct Api {
    pub address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// All of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub const JSON: (&str, &str) = ("content-type", "application/json");

impl Api {
    pub fn at(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// A client that makes a connection for each request.
    pub fn without_keep_alive(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http() }
    }

    /// Any request; an error of the connection as it is.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let mut request = http::Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Any request.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, body: impl Into<Bytes>) -> Answer {
        self.send("POST", "/data", &[JSON], body).await
    }

    pub async fn put(&self, id: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.send("PUT", &format!("/data/{id}"), &[&[JSON], headers].concat(), body).await
    }

    pub async fn delete(&self, id: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("DELETE", &format!("/data/{id}"), headers, "").await
    }

    /// Asks until the answer is as wanted, for ten seconds at the most.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                match self.try_send("GET", path, &[], "").await {
                    Ok(answer) if wanted(&answer) => return answer,
                    _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            }
        };
        let bound = std::time::Duration::from_secs(10);
        tokio::time::timeout(bound, asking).await.unwrap_or_else(|_| panic!("{path} never became as wanted"))
    }

    /// A request that stays in flight: its body is announced and does not come.
    pub async fn hold_post(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head =
            "POST /data HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Tries until nobody listens any more, for ten seconds at the most.
    pub async fn until_refused(&self) {
        let trying = async {
            while TcpStream::connect(self.address).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), trying).await.expect("it goes on listening");
    }

    /// One number of the metrics, by its whole sample name; zero where it is not there.
    pub async fn metric(&self, sample: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Every document, by following `next` to the end.
    pub async fn all(&self, first: &str) -> Vec<Value> {
        let mut documents = Vec::new();
        let mut next = Some(first.to_owned());
        while let Some(path) = next {
            let page = self.get(&path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text());
            let page = page.json();
            documents.extend(page["items"].as_array().unwrap().iter().cloned());
            next = page["next"].as_str().map(str::to_owned);
        }
        documents
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The name of the problem that this answer is, after checking that it is a whole problem document.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        problem["type"].as_str().unwrap().strip_prefix("urn:tideline:problem:").unwrap().to_owned()
    }
}
