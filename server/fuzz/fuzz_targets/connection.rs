//! Any bytes as what a client sends, through the guard, hyper, every layer and the embedded store: no panic, whole
//! answers, and no status of 5xx but those for what we do not speak.
#![no_main]

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use tideline_server::app::App;
use tideline_server::args::Args;
use tideline_server::config::Config;
use tideline_server::guard::Guarded;
use tideline_server::layers::{Shared, stack};
use tideline_server::logging::{AccessLog, DroppedLines};
use tideline_server::routes::Router;
use tideline_server::serve::{Peer, connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::sync::watch;

struct Service {
    runtime: Runtime,
    shared: Shared,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap().keep();
    let args = Args::parse_from(["tideline", "--data-dir", folder.to_str().unwrap()]);
    let config = Config::check(&args).unwrap();
    let app = runtime.block_on(App::start(&config, AccessLog::off(), DroppedLines::default())).unwrap();
    let metrics = app.metrics.listener("public");
    let router = Arc::new(Router::public(&app.metrics));
    Service { runtime, shared: Shared { app, router, metrics } }
});

fuzz_target!(|bytes: &[u8]| {
    SERVICE.runtime.block_on(async {
        let limits = tideline_server::guard::Limits::default();
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let (server, faults) = Guarded::new(server, limits);
        let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), faults };
        let (_open, ending) = watch::channel(());
        let serving = connection(server, limits, stack(SERVICE.shared.clone(), peer), ending);
        let mut answers = Vec::new();
        let exchange = async {
            // It may refuse and close before it has all.
            let _ = client.write_all(bytes).await;
            let _ = client.shutdown().await;
            client.read_to_end(&mut answers).await.unwrap();
        };
        let both = async { tokio::join!(serving, exchange) };
        tokio::time::timeout(Duration::from_secs(5), both).await.expect("no end").0.ok();
        let answers = String::from_utf8_lossy(&answers);
        for (place, start) in answers.match_indices("HTTP/1.") {
            let status = answers.get(place + start.len() + 2..).and_then(|rest| rest.get(..3)).unwrap_or_default();
            assert!(!status.starts_with('5') || ["501", "505"].contains(&status), "{status}: {answers}");
        }
    });
});
