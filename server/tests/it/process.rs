//! The real binary as a process: what systemd, the kernel and a person at a terminal see of it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tideline_server::version::{COMMIT, VERSION};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

use crate::support::{Api, JSON, long_or_short};

/// No process of a test lives longer than this.
const BOUND: Duration = Duration::from_secs(20);

/// A running `tideline`. It is killed when this is dropped.
pub struct Process {
    pub api: Api,
    pub admin: Api,
    pub child: Child,
    /// None where nobody wants to read it.
    log: Option<Lines<BufReader<ChildStderr>>>,
    pub folder: Arc<TempDir>,
}

fn command(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tideline"));
    command
        .current_dir(folder)
        .envs([("TIDELINE_LISTEN", "127.0.0.1:0"), ("TIDELINE_ADMIN_LISTEN", "127.0.0.1:0")])
        .env("TIDELINE_LOG_FORMAT", "json")
        .args(flags)
        .envs(variables.iter().copied())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Process {
    pub async fn start(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), flags, variables).await
    }

    pub async fn on(folder: Arc<TempDir>, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(folder.path(), flags, variables).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let (address, admin) = loop {
            let line = tokio::time::timeout(BOUND, log.next_line()).await.unwrap().unwrap().expect("it ended early");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if let (Some(address), Some(admin)) = (line["listen"].as_str(), line["admin"].as_str()) {
                break (address.parse().unwrap(), admin.parse().unwrap());
            }
        };
        Self { api: Api::at(address), admin: Api::at(admin), child, log: Some(log), folder }
    }

    /// Reads its log to nowhere: else it fills the pipe in a long run, and lines are dropped.
    pub fn without_log(mut self) -> Self {
        let mut log = self.log.take().unwrap();
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the end: the exit status, what the log calls it, and the rest of the log.
    async fn ended(&mut self) -> (ExitStatus, String, Vec<Value>) {
        let ending = async {
            let mut rest: Vec<Value> = Vec::new();
            while let Some(line) = self.log.as_mut().unwrap().next_line().await.unwrap() {
                rest.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}")));
            }
            let how = rest.iter().find_map(|line| line["ended"].as_str()).unwrap_or_default().to_owned();
            (self.child.wait().await.unwrap(), how, rest)
        };
        tokio::time::timeout(BOUND, ending).await.expect("it did not end")
    }
}

/// Sends a running process a signal.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// Runs it to its end.
async fn output(flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let running = command(folder.path(), flags, variables).stdout(Stdio::piped()).output();
    tokio::time::timeout(BOUND, running).await.expect("it did not end").unwrap()
}

#[tokio::test]
async fn systemd_is_told_when_it_is_ready_and_when_it_is_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    let receive = || {
        let mut buffer = [0; 1024];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let mut process = Process::start(&[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]).await;
    assert!(receive().contains("READY=1\n"));
    assert_eq!(process.api.get("/health").await.status, 200, "ready means that it serves");
    process.signal("TERM");
    assert!(receive().contains("STOPPING=1\n"));
    assert!(process.ended().await.0.success());
}

#[tokio::test]
async fn sigterm_under_load_fails_no_request_and_loses_no_log_line() {
    let mut process = Process::start(&["--drain-delay", "300ms"], &[]).await;
    let address = process.api.address;
    process.api.post(r#"{"id":"a"}"#).await;
    // As a balancer does: connections that are kept, until an answer says that this one is closing.
    let client = |number: usize| async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut answered = 0_usize;
        loop {
            let request = match number % 2 {
                0 => http::Request::get("/data/a").body(Full::default()),
                _ => http::Request::post("/data").header("content-type", "application/json").body(Full::from("{}")),
            };
            let mut request: http::Request<Full<Bytes>> = request.unwrap();
            request.headers_mut().insert("host", "localhost".parse().unwrap());
            sender.ready().await.expect("the connection ended without a word");
            let answer = sender.send_request(request).await.expect("a request failed");
            assert!(answer.status().is_success(), "{}", answer.status());
            let closing = answer.headers().contains_key("connection");
            answer.into_body().collect().await.expect("an answer was cut off");
            answered += 1;
            if closing {
                return answered;
            }
        }
    };
    let clients: Vec<_> = (0..16).map(|number| tokio::spawn(client(number))).collect();
    process.api.until("/data?limit=50", |page| page.json()["items"].as_array().unwrap().len() == 50).await;
    process.signal("TERM");
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    let (status, how, log) = process.ended().await;
    assert!(status.success() && how == "Clean", "{status}, {how}");
    assert!(answered > 100, "{answered} requests are no load");
    let logged = log.iter().filter(|line| line["route"] == "/data/{id}" || line["method"] == "POST").count();
    // The first POST is among them.
    assert_eq!(logged, answered + 1, "the log has not every request");
}

/// A request that stays in flight, and that has been taken.
async fn unfinished_request(process: &Process) -> TcpStream {
    let stream = process.api.hold_post().await;
    // Connections are taken in their order: whoever answers this has taken that.
    process.api.get("/health").await;
    stream
}

#[tokio::test]
async fn a_drain_has_a_bound() {
    let mut process = Process::start(&["--drain-timeout", "1500ms"], &[]).await;
    let _unfinished = unfinished_request(&process).await;
    let asked = Instant::now();
    process.signal("TERM");
    let (status, how, _) = process.ended().await;
    assert!(status.success() && asked.elapsed() >= Duration::from_millis(1500), "{status} in {:?}", asked.elapsed());
    assert_eq!(how, "Cut { connections: 1 }");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut process = Process::start(&["--drain-timeout", "10m"], &[]).await;
    let _unfinished = unfinished_request(&process).await;
    process.signal("TERM");
    process.api.until_refused().await;
    process.signal("INT");
    let (status, how, _) = process.ended().await;
    assert_eq!((status.code(), how.as_str()), (Some(1), "AtOnce"));
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_end() {
    let mut process = Process::start(&["--drain-timeout", "10m"], &[]).await;
    let mut stream = unfinished_request(&process).await;
    process.signal("TERM");
    process.api.until_refused().await;
    stream.write_all(br#""id":"a"}"#).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.contains("connection: close"), "{answer}");
    assert!(process.ended().await.0.success());
}

#[tokio::test]
async fn an_acknowledged_write_survives_kill_9() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let rounds = long_or_short(200, 5);
    let mut survived = 0;
    for round in 0..rounds {
        let mut process = Process::on(folder.clone(), &[], &[]).await;
        let stopped = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (api, stopped) = (process.api.clone(), stopped.clone());
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        let id = format!("r{round}-w{writer}-n{number}");
                        let body = format!(r#"{{"id":"{id}","text":"{}"}}"#, "x".repeat(500));
                        match api.try_send("POST", "/data", &[JSON], body.clone()).await {
                            Ok(answer) if answer.status == 201 => acknowledged.push((id, body)),
                            Ok(answer) => panic!("{}", answer.text()),
                            Err(_) if stopped.load(Ordering::SeqCst) => return acknowledged,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let first = format!("/data/r{round}-w0-n20");
        process.api.until(&first, |answer| answer.status == 200).await;
        stopped.store(true, Ordering::SeqCst);
        process.signal("KILL");
        process.child.wait().await.unwrap();
        let again = Process::on(folder.clone(), &[], &[]).await;
        let mut checked = 0;
        for writer in writers {
            for (id, body) in writer.await.unwrap() {
                let read = again.api.get(&format!("/data/{id}")).await;
                assert_eq!(read.text(), body, "an acknowledged write is lost or torn");
                checked += 1;
            }
        }
        assert!(checked > 20, "{checked} writes are no test");
        survived += checked;
    }
    println!("{survived} writes acknowledged before {rounds} times kill -9: 0 lost, 0 torn");
}

/// Runs it as a socket unit does, with a listener passed on as file descriptor 3, after a `prelude` in the shell.
fn with_listener(folder: &Path, listener: &std::net::TcpListener, prelude: &str) -> Command {
    let pass_on = format!(r#"{prelude}exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0""#);
    let mut command = Command::new("sh");
    command
        .current_dir(folder)
        .args(["-c", &pass_on, env!("CARGO_BIN_EXE_tideline")])
        .envs([("TIDELINE_ADMIN_LISTEN", "127.0.0.1:0"), ("TIDELINE_LISTEN", "127.0.0.1:1")])
        .stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())))
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn behind_a_passed_on_socket_it_is_replaced_under_load_and_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Api::at(listener.local_addr().unwrap());
    let mut process = with_listener(folder.path(), &listener, "").spawn().unwrap();
    api.until("/health", |answer| answer.status == 200).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (api, stopped) = (Api::without_keep_alive(api.address), stopped.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                while !stopped.load(Ordering::SeqCst) {
                    let answer = api.send("POST", "/data", &[JSON], "{}");
                    assert_eq!(answer.await.status, 201);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for _ in 0..5 {
        let before = api.all("/data?limit=200").await.len();
        signal(&process, "TERM");
        assert!(tokio::time::timeout(BOUND, process.wait()).await.unwrap().unwrap().success());
        process = with_listener(folder.path(), &listener, "").spawn().unwrap();
        // Under load before and after: the next one goes on where this one ended.
        while api.all("/data?limit=200").await.len() <= before {}
    }
    stopped.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert_eq!(api.all("/data?limit=200").await.len(), answered, "acknowledged and stored differ");
}

#[tokio::test]
async fn without_file_descriptors_it_waits_and_then_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Api::at(listener.local_addr().unwrap());
    let child = with_listener(folder.path(), &listener, "ulimit -n 64; ").spawn().unwrap();
    api.until("/health", |answer| answer.status == 200).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(TcpStream::connect(api.address).await.unwrap());
    }
    // Out of descriptors it must not spin: a second of that would be a hundred of the kernel's ticks.
    let process = procfs::process::Process::new(child.id().unwrap().try_into().unwrap()).unwrap();
    let ticks = || process.stat().map(|stat| stat.utime + stat.stime).unwrap();
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ticks() - before < 30, "{} ticks of CPU in a second of waiting", ticks() - before);
    drop(held);
    let fresh = Api::without_keep_alive(api.address);
    fresh.until("/data", |answer| answer.status == 200).await;
}

#[tokio::test]
async fn the_watchdog_hears_of_it_only_while_the_public_listener_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let process = Process::start(&["--max-connections", "1"], &variables).await;
    let heard = async |bound: Duration| {
        let hearing = async {
            loop {
                let mut buffer = [0; 1024];
                let count = socket.recv(&mut buffer).await.unwrap();
                if String::from_utf8_lossy(&buffer[..count]).contains("WATCHDOG=1") {
                    return;
                }
            }
        };
        tokio::time::timeout(bound, hearing).await.is_ok()
    };
    assert!(heard(BOUND).await && heard(BOUND).await, "it serves, and the watchdog does not hear of it");
    // The only connection there may be is taken: the service lives, and nobody can reach it.
    let taken = process.api.hold_post().await;
    while heard(Duration::from_millis(600)).await {}
    drop(taken);
    assert!(heard(BOUND).await, "it serves again, and the watchdog does not hear of it");
}

#[tokio::test]
async fn the_embedded_store_is_made_in_data_on_first_use() {
    let mut process = Process::start(&[], &[]).await;
    process.api.post(r#"{"id":"a"}"#).await;
    assert!(process.folder.path().join("data/tideline.db").is_file());
    process.signal("TERM");
    process.ended().await;
    let again = Process::on(process.folder.clone(), &[], &[]).await;
    assert_eq!(again.api.get("/data/a").await.text(), r#"{"id":"a"}"#);
}

#[tokio::test]
async fn the_log_goes_to_a_file_where_a_folder_is_named() {
    let logs = tempfile::tempdir().unwrap();
    let path = logs.path().to_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    let notify = folder.path().join("notify");
    let variables = [("TIDELINE_LOG_DIR", path.as_str()), ("NOTIFY_SOCKET", notify.to_str().unwrap())];
    let mut child = command(folder.path(), &[], &variables).spawn().unwrap();
    socket.recv(&mut [0; 1024]).unwrap();
    let read = || -> Vec<Value> {
        let text = std::fs::read_to_string(logs.path().join("tideline.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let started = read().into_iter().find(|line| line["listen"].is_string()).expect("the start is logged");
    let api = Api::at(started["listen"].as_str().unwrap().parse().unwrap());
    let answer = api.send("GET", "/data/none?secret=1", &[("x-request-id", "find-me")], "").await;
    assert_eq!(answer.status, 404);
    signal(&child, "TERM");
    tokio::time::timeout(BOUND, child.wait()).await.unwrap().unwrap();
    let line = read().into_iter().find(|line| line["request_id"] == "find-me").expect("the request is logged");
    assert_eq!((&line["method"], &line["path"]), (&Value::from("GET"), &Value::from("/data/none")));
    assert_eq!((&line["status"], &line["route"]), (&Value::from(404), &Value::from("/data/{id}")));
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0 && line["timestamp"].is_string());
}

#[tokio::test]
async fn bad_settings_end_it_with_64_and_name_the_variable() {
    for (flags, variables, part) in [
        (&["--listen", "nowhere"][..], &[][..], "--listen (TIDELINE_LISTEN): \"nowhere\""),
        (&[], &[("TIDELINE_DRAIN_TIMEOUT", "soon")], "--drain-timeout (TIDELINE_DRAIN_TIMEOUT): \"soon\""),
        (&[], &[("TIDELINE_TABLE", "")], "(TIDELINE_TABLE): \"\""),
        (&["--lisen", "x"], &[], "--lisen"),
    ] {
        let output = output(flags, variables).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_start_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap().to_owned();
    for variable in ["TIDELINE_DATA_DIR", "TIDELINE_LOG_DIR"] {
        let output = output(&[], &[(variable, &file)]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(variable), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut binary = Command::new(env!("CARGO_BIN_EXE_tideline"));
    let output = binary.current_dir(folder.path()).args(["--listen", &address]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("TIDELINE_LISTEN") && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn the_version_names_the_commit_and_the_build() {
    let said = async |flag: &str| String::from_utf8(output(&[flag], &[]).await.stdout).unwrap();
    assert_eq!(said("-V").await.trim_end(), format!("tideline {VERSION}"));
    let long = said("--version").await;
    let build_id = long.lines().find_map(|line| line.strip_prefix("build id ")).expect("no build id");
    assert!(build_id.len() == 40 && build_id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{long}");
    assert!(COMMIT.is_empty() || long.contains(&format!("commit {COMMIT}")), "{long}");
}

#[tokio::test]
async fn help_documents_every_setting_with_its_variable_and_default() {
    let output = output(&["--help"], &[]).await;
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    let mut settings = 0;
    for setting in help.split("\n      --").skip(1).filter(|setting| setting.contains("[env: ")) {
        let flag = setting.split([' ', '=', '[']).next().unwrap();
        let variable = format!("TIDELINE_{}", flag.to_uppercase().replace('-', "_"));
        // What may be secret is named without its value.
        let named = [format!("[env: {variable}="), format!("[env: {variable}]")];
        assert!(named.iter().any(|name| setting.contains(name)), "{flag}: no {variable}");
        let words: Vec<&str> = setting.split_whitespace().collect();
        assert!(words.join(" ").contains("[default: "), "{flag}: no default");
        settings += 1;
    }
    assert!(settings >= 14, "{settings} settings");
    assert_eq!(
        help.matches("\n      --").count() + help.matches("\n  -").count(),
        settings + 2,
        "one without a variable"
    );
}
