//! A real Redis of one's own, for as long as a test lives.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisResult};
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// `redis-server` on a port of its own; killed when dropped.
pub struct RedisServer {
    pub port: u16,
    options: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one with more options than those that make it private, and waits until it listens.
    pub async fn start(options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self { port: free_port(), options, folder: tempfile::tempdir().unwrap(), child: None };
        server.resume().await;
        server
    }

    /// `redis://` and where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, as a machine that dies would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again where it was, with what it saved, if anything.
    pub async fn resume(&mut self) {
        let port = self.port.to_string();
        let standard = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"];
        let mut command = Command::new("redis-server");
        command.args(standard).arg("--dir").arg(self.folder.path()).args(&self.options).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server; apt-get install redis-server"));
        let listening = async || tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        eventually("redis-server listens", PATIENCE, listening).await;
    }

    /// Stops it in its tracks (SIGSTOP): connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// A connection of the library's own, to look behind the cache's back.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    }

    /// What a command says.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.connection().await).await
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Asks again and again until it is so.
pub async fn eventually(what: &str, bound: Duration, mut so: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !so().await {
        assert!(started.elapsed() < bound, "not within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

/// An authority, `ca.pem`, and what it vouches for on 127.0.0.1: `server.pem` and `server.key`.
pub fn certificates(folder: &Path) {
    let openssl = |words: &str| {
        let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"));
    let leaf = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    openssl(&format!(
        "req -x509 {key} -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem -subj /CN=redis {leaf}"
    ));
}
