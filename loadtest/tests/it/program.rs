//! Running the program, and a Tideline to run it against.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures_util::FutureExt;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tideline_server::app::App;
use tideline_server::args::Args;
use tideline_server::config::Config;
use tideline_server::error::Error;
use tideline_server::handlers::{data, metrics, page, product, status};
use tideline_server::http::Response;
use tideline_server::layers::{Shared, stack};
use tideline_server::logging::{AccessLog, DroppedLines};
use tideline_server::routes::{Handler, Router};
use tideline_server::serve::{Limits, serve};
use tideline_server::server::Server;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// No run of a test takes longer.
const BOUND: Duration = Duration::from_secs(120);

/// What a run left.
pub struct Done {
    pub code: i32,
    pub said: String,
    pub out: TempDir,
}

impl Done {
    pub fn summary(&self) -> Value {
        serde_json::from_str(&self.file("summary.json")).unwrap()
    }

    pub fn file(&self, name: &str) -> String {
        let path = self.out.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}; {}", self.said))
    }
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tideline-loadtest"));
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub async fn output(arguments: &[&str]) -> (i32, String) {
    finish(command(arguments).spawn().unwrap()).await
}

pub async fn finish(child: Child) -> (i32, String) {
    let Output { status, stdout, stderr } =
        tokio::time::timeout(BOUND, child.wait_with_output()).await.expect("it did not end").unwrap();
    (status.code().unwrap(), String::from_utf8([stderr, stdout].concat()).unwrap())
}

/// The command line of a run with reports in `out`. How late this machine's other work makes us is not what is tested.
pub fn arguments<'a>(profile: &[&'a str], url: &'a str, out: &'a Path) -> Vec<&'a str> {
    [profile, &["--url", url, "--out", out.to_str().unwrap(), "--max-late-ratio", "1"]].concat()
}

/// Runs to the end.
pub async fn run(profile: &[&str], url: &str) -> Done {
    let out = tempfile::tempdir().unwrap();
    let (code, said) = output(&arguments(profile, url, out.path())).await;
    Done { code, said, out }
}

fn config(folder: &Path, flags: &[&str]) -> Config {
    let data = folder.to_str().unwrap();
    let all = ["tideline", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data];
    Config::check(&Args::parse_from([&all, flags].concat())).unwrap()
}

/// An answer that takes 400 ms more.
async fn late(answer: impl Future<Output = Result<Response, Error>>) -> Result<Response, Error> {
    tokio::time::sleep(Duration::from_millis(400)).await;
    answer.await
}

/// A Tideline in this process; it ends when this is dropped.
pub struct Tideline {
    pub url: String,
    pub admin: String,
    _stop: mpsc::Sender<&'static str>,
    _folder: TempDir,
}

impl Tideline {
    pub async fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), flags);
        let server = Server::bind(&config, AccessLog::off(), DroppedLines::default()).await.unwrap();
        let url = format!("http://{}", server.public_address().unwrap());
        let admin = format!("http://{}", server.admin_address().unwrap());
        let (stop, stops) = mpsc::channel(1);
        tokio::spawn(server.run(stops));
        let tideline = Self { url, admin, _stop: stop, _folder: folder };
        while tideline.get("/health").await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tideline
    }

    /// One that takes 400 ms more to read or create a document: so much that all else is little beside it.
    pub async fn slow() -> Self {
        const TABLE: &[(Method, &str, Handler)] = &[
            (Method::GET, "/", |app, request| page::index(app, request).boxed()),
            (Method::GET, "/page.css", |app, request| page::style(app, request).boxed()),
            (Method::GET, "/page.js", |app, request| page::script(app, request).boxed()),
            (Method::GET, "/status", |app, request| status::show(app, request).boxed()),
            (Method::GET, "/metrics", |app, request| metrics::show(app, request).boxed()),
            (Method::GET, "/data", |app, request| late(data::list(app, request)).boxed()),
            (Method::POST, "/data", |app, request| late(data::create(app, request)).boxed()),
            (Method::GET, "/data/{id}", |app, request| late(data::read(app, request)).boxed()),
            (Method::PUT, "/data/{id}", |app, request| data::replace(app, request).boxed()),
            (Method::DELETE, "/data/{id}", |app, request| data::remove(app, request).boxed()),
            (Method::GET, "/product/{id}", |app, request| late(product::read(app, request)).boxed()),
        ];
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), &[]);
        let app = App::start(&config, AccessLog::off(), DroppedLines::default()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let metrics = app.metrics.listener("public");
        let router = Arc::new(Router::of(TABLE, &app.metrics));
        let shared = Shared { app, router, metrics: metrics.clone() };
        let limits = Limits { connections: 1000, drain: Duration::ZERO, guard: config.limits.guard };
        let (stop, mut stops) = mpsc::channel(1);
        let stopped = async move {
            let _ = stops.recv().await;
        };
        tokio::spawn(serve(listener, move |peer| stack(shared.clone(), peer), metrics, limits, stopped));
        Self { admin: url.clone(), url, _stop: stop, _folder: folder }
    }

    /// The body of an answer that is 200.
    pub async fn get(&self, path: &str) -> Option<String> {
        get(&format!("{}{path}", self.url)).await
    }

    /// How many documents there are, at the most 200.
    pub async fn documents(&self) -> usize {
        let page: Value = serde_json::from_str(&self.get("/data?limit=200").await.unwrap()).unwrap();
        page["items"].as_array().unwrap().len()
    }
}

pub async fn get(url: &str) -> Option<String> {
    let answer = reqwest::get(url).await.ok()?;
    if answer.status().as_u16() == 200 { answer.text().await.ok() } else { None }
}
