//! Three instances behind a balancer, restarted one after the other under load.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::process::signal;
use crate::redis::free_port;
use crate::support::{Api, JSON, long_or_short};

/// `tideline` on a fixed port, on a store that it shares with the others.
struct Instance {
    port: u16,
    child: Child,
}

impl Instance {
    fn start(folder: &TempDir, port: u16) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_tideline"))
            .current_dir(folder.path())
            .env("TIDELINE_LISTEN", format!("127.0.0.1:{port}"))
            .env("TIDELINE_ADMIN_LISTEN", "127.0.0.1:0")
            .env("TIDELINE_DRAIN_DELAY", "1s")
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { port, child }
    }

    fn api(&self) -> Api {
        Api::at(SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// Ends it as systemd does, and waits for its end.
    async fn stop(mut self) {
        signal(&self.child, "TERM");
        assert!(self.child.wait().await.unwrap().success());
    }
}

/// HAProxy in front of these ports. It tries nothing twice: what an instance refuses, the client sees.
fn balancer(folder: &TempDir, port: u16, instances: &[u16]) -> Child {
    let servers: String = instances.iter().map(|port| format!("  server s{port} 127.0.0.1:{port} check\n")).collect();
    let config = format!(
        "defaults\n  mode http\n  retries 0\n  timeout connect 1s\n  timeout client 60s\n  timeout server 10s\n\
         frontend public\n  bind 127.0.0.1:{port}\n  default_backend fleet\n\
         backend fleet\n  balance roundrobin\n  option httpchk GET /health\n  http-check expect status 200\n  \
         default-server inter 100ms fall 1 rise 1\n{servers}"
    );
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-db").arg("-f").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    haproxy.spawn().expect("haproxy; apt-get install haproxy")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs haproxy: apt-get install haproxy"]
async fn no_request_fails_while_the_instances_are_restarted_in_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port(), free_port()];
    let mut instances: Vec<Instance> = Vec::new();
    for port in ports {
        let instance = Instance::start(&folder, port);
        instance.api().until("/health", |answer| answer.status == 200).await;
        instances.push(instance);
    }
    let port = free_port();
    let _balancer = balancer(&folder, port, &ports);
    let api = Api::at(SocketAddr::from(([127, 0, 0, 1], port)));
    api.until("/health", |answer| answer.status == 200).await;
    api.post(r#"{"id":"a"}"#).await;

    let (least, restarts) = (long_or_short(2_000_000, 2_000), long_or_short(12, 3));
    let (done, restarted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (api, done, restarted) = (api.clone(), done.clone(), restarted.clone());
            tokio::spawn(async move {
                loop {
                    let number = done.fetch_add(1, Ordering::Relaxed);
                    if number >= least && restarted.load(Ordering::Relaxed) >= restarts {
                        return;
                    }
                    // A tenth of them are writes.
                    let answer = match number % 10 {
                        0 => api.send("POST", "/data", &[JSON], "{}").await,
                        1..5 => api.get("/data/a").await,
                        _ => api.get("/product/a").await,
                    };
                    assert!(answer.status.is_success(), "request {number}: {} {}", answer.status, answer.text());
                }
            })
        })
        .collect();
    for number in 0..restarts {
        // Spread over the whole of the load.
        while done.load(Ordering::Relaxed) < least / restarts * number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        instances.remove(0).stop().await;
        let instance = Instance::start(&folder, ports[number % 3]);
        instance.api().until("/health", |answer| answer.status == 200).await;
        instances.push(instance);
        // The balancer sees it before the next one goes.
        tokio::time::sleep(Duration::from_millis(500)).await;
        restarted.fetch_add(1, Ordering::Relaxed);
    }
    for client in clients {
        client.await.unwrap();
    }
    let (done, writes) = (done.load(Ordering::Relaxed), done.load(Ordering::Relaxed) / 10);
    println!("{done} requests, {writes} of them writes, over {restarts} restarts behind a balancer: 0 failed");
}
