//! The process of HAProxy: started, reloaded without losing a connection, stopped; and found again after a crash of ours.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::runtime;

/// How long it may take to start or to reload.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end, when it was asked to; then it is killed.
const END: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Its files, in the folder of a run, and its socket.
#[derive(Clone, Debug)]
pub(super) struct Files {
    config: PathBuf,
    pid: PathBuf,
    log: PathBuf,
    /// Elsewhere, because a socket's path may have no more than a hundred characters.
    pub(super) socket: PathBuf,
}

/// HAProxy, as it runs.
#[derive(Debug)]
pub(super) struct Process {
    files: Files,
    child: Child,
}

impl Files {
    pub(super) fn new(folder: &Path, namespace: &str) -> Self {
        Self {
            config: folder.join("haproxy.cfg"),
            pid: folder.join("haproxy.pid"),
            log: folder.join("haproxy.log"),
            socket: Path::new("/run").join(format!("{namespace}.sock")),
        }
    }

    /// Writes a configuration, and has HAProxy check it.
    pub(super) async fn write(&self, config: &str) -> io::Result<()> {
        tokio::fs::write(&self.config, config).await?;
        let mut check = Command::new("haproxy");
        let check = check.arg("-c").arg("-f").arg(&self.config).stdin(Stdio::null()).kill_on_drop(true);
        let done = tokio::time::timeout(START, check.output()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let why = said.lines().find(|line| line.contains("ALERT")).unwrap_or("it does not say why");
        Err(io::Error::other(format!("HAProxy refuses: {why}")))
    }

    pub(super) async fn start(&self) -> io::Result<Process> {
        let log = fs::File::create(&self.log)?;
        let mut command = Command::new("haproxy");
        // The master keeps the listeners while workers come and go.
        command.arg("-W").arg("-db").arg("-f").arg(&self.config).arg("-p").arg(&self.pid);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A Ctrl-C at the terminal is ours to handle.
        let child = command.process_group(0).spawn()?;
        let mut process = Process { files: self.clone(), child };
        let started = process.until(|pid| pid.is_some()).await;
        match started {
            Ok(()) => Ok(process),
            Err(error) => {
                process.stop().await;
                Err(error)
            }
        }
    }

    /// Ends what an earlier run left, if it is still the process that it was.
    pub(super) async fn end_left(&self) {
        // Also the workers, which have the same command line and outlive a master that was killed.
        let config = self.config.to_string_lossy().into_owned();
        for _ in 0..3 {
            for pid in processes_with(&config) {
                let _gone = kill_process(pid, Signal::KILL);
            }
            if processes_with(&config).is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        for file in [&self.pid, &self.socket] {
            let _none = fs::remove_file(file);
        }
    }
}

impl Process {
    /// Has it take the configuration that was written, without losing a connection.
    pub(super) async fn reload(&mut self) -> io::Result<()> {
        let before = worker(&self.files.socket).await;
        self.signal(Signal::USR2);
        self.until(|now| now.is_some() && now != before).await
    }

    /// Whether it runs still.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it, and returns when it is gone.
    pub(super) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
            let _gone = self.child.kill().await;
        }
        self.files.end_left().await;
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _gone = kill_process(pid, signal);
        }
    }

    async fn until(&mut self, reached: impl Fn(Option<u32>) -> bool) -> io::Result<()> {
        let end = Instant::now() + START;
        while !reached(worker(&self.files.socket).await) {
            if Instant::now() > end || !self.runs() {
                let log = fs::read_to_string(&self.files.log).unwrap_or_default();
                let why = log.lines().rev().find(|line| line.contains("ALERT")).unwrap_or("it does not say why");
                return Err(io::Error::other(format!("HAProxy does not start: {why}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// The number of the process that answers at the socket.
async fn worker(socket: &Path) -> Option<u32> {
    let info = runtime::send(socket, &["show info".to_owned()]).await.ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid: "))?.trim().parse().ok()
}

/// Processes of HAProxy that have this word on their command line.
fn processes_with(word: &str) -> Vec<Pid> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next()?.ends_with(b"haproxy");
        (program && words.any(|each| each == word.as_bytes())).then(|| Pid::from_raw(pid)).flatten()
    })
    .collect()
}
