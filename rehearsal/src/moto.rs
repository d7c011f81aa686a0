//! moto's server, as a process of ours: who answers what the region does not. Its files are inside the program, see `moto/` and
//! `scripts/`; they are written into the run's folder, and what they need is made there and kept.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::network::GATEWAY;
use crate::site::Site;

/// What is written into the run's folder, as it stands in the sources.
const FILES: [(&str, &str); 9] = [
    ("moto/machines.py", include_str!("../moto/machines.py")),
    ("moto/network.py", include_str!("../moto/network.py")),
    ("moto/packages.py", include_str!("../moto/packages.py")),
    ("moto/repair.py", include_str!("../moto/repair.py")),
    ("moto/requirements.txt", include_str!("../moto/requirements.txt")),
    ("moto/server.py", include_str!("../moto/server.py")),
    ("scripts/environment", include_str!("../scripts/environment")),
    ("scripts/machine", include_str!("../scripts/machine")),
    ("scripts/rootfs", include_str!("../scripts/rootfs")),
];
/// How long Python's packages may take to be installed.
const INSTALL: Duration = Duration::from_secs(600);
/// How long Debian's packages may take to be.
const ROOT: Duration = Duration::from_secs(1200);
/// How long the server may take to listen.
const START: Duration = Duration::from_secs(60);
/// How long it may take to remove the images that it made, and to end.
const END: Duration = Duration::from_secs(60);

/// Why there is no moto.
#[derive(Debug, thiserror::Error)]
pub enum MotoError {
    /// Its files cannot be written.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// What it needs was not made. The script said why on standard error.
    #[error("{0} failed: {1}")]
    Preparation(&'static str, String),
    /// It does not listen.
    #[error("moto's server does not start: {0}")]
    Server(String),
}

/// The server. It ends when this is dropped, however that happens: it reads a pipe of ours.
#[derive(Debug)]
pub(crate) struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    /// Starts it beside a run's machines. The first time on a day this takes a minute or two, and says so.
    pub(crate) async fn start(site: &Site) -> Result<Self, MotoError> {
        let (folder, images) = (site.folder(), site.images());
        let beside = images.parent().unwrap_or(images);
        let (venv, packages, log) = (folder.join("moto/venv"), beside.join("packages"), folder.join("moto.log"));
        write(folder)?;
        let requirements = folder.join("moto/requirements.txt");
        run(folder, "environment", &[&venv, &requirements], INSTALL).await?;
        let root = run(folder, "rootfs", &[beside], ROOT).await?;
        let errors = fs::File::create(&log).map_err(|error| fault(&log, error))?;
        let mut command = Command::new(venv.join("bin/python"));
        command.arg(folder.join("moto/server.py")).arg("--outside");
        command.arg("--namespace").arg(site.namespace()).arg("--address").arg(GATEWAY.to_string());
        command.arg("--root").arg(root.trim()).arg("--images").arg(images).arg("--packages").arg(packages);
        command.env("TIDELINE_MACHINES", folder.join("machines")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        // A Ctrl-C at the terminal is ours to handle.
        let child = command.process_group(0).spawn().map_err(|error| MotoError::Server(error.to_string()))?;
        let mut moto = Self { child, url: String::new() };
        moto.url = moto.listens().await.ok_or_else(|| MotoError::Server(last_line(&log)))?;
        Ok(moto)
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, and returns when it is gone.
    pub(crate) async fn stop(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
            let _gone = self.child.kill().await;
        }
    }

    /// The URL that it prints when it listens.
    async fn listens(&mut self) -> Option<String> {
        let mut lines = BufReader::new(self.child.stdout.take()?).lines();
        let line = tokio::time::timeout(START, lines.next_line()).await.ok()?.ok()??;
        line.starts_with("http://").then_some(line)
    }
}

fn fault(path: &Path, error: io::Error) -> MotoError {
    MotoError::Io(path.display().to_string(), error)
}

fn write(folder: &Path) -> Result<(), MotoError> {
    for (name, text) in FILES {
        let path = folder.join(name);
        let written = fs::create_dir_all(path.parent().unwrap_or(folder)).and_then(|()| fs::write(&path, text));
        // Python runs the script `machine` itself.
        let mode = fs::Permissions::from_mode(0o755);
        written.and_then(|()| fs::set_permissions(&path, mode)).map_err(|error| fault(&path, error))?;
    }
    Ok(())
}

/// Runs a script to its end, and gives its output. What it says on standard error is the user's to read.
async fn run(folder: &Path, script: &'static str, words: &[&Path], bound: Duration) -> Result<String, MotoError> {
    let failed = |why: String| MotoError::Preparation(script, why);
    let mut command = Command::new("bash");
    command.arg(folder.join("scripts").join(script)).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let child = command.process_group(0).spawn().map_err(|error| failed(error.to_string()))?;
    let _ends = Group(child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw));
    let done = tokio::time::timeout(bound, child.wait_with_output()).await;
    let done = done.map_err(|_| failed(format!("not done after {} s", bound.as_secs())))?;
    let done = done.map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed(done.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A script with all that it started, which ends with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _over = kill_process_group(pid, Signal::TERM);
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    format!("{}: see {}", last.unwrap_or("it says nothing"), log.display())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[tokio::test]
    async fn runs_a_script_and_ends_what_it_started() {
        let folder = std::env::temp_dir().join(format!("rehearsal-moto-{}", std::process::id()));
        let scripts = folder.join("scripts");
        fs::create_dir_all(&scripts).unwrap();
        let pid = folder.join("pid");
        let text = "[[ $1 != fail ]] || exit 3\n[[ $1 != last ]] || { sleep 60 & echo $! >$2; wait; }\necho \"$1\"";
        fs::write(scripts.join("environment"), text).unwrap();
        let run = |word: &'static str, bound| run_with(folder.clone(), word, pid.clone(), bound);
        let second = Duration::from_secs(1);
        let said = run("hello", second * 20).await.unwrap();
        let failed = run("fail", second * 20).await.unwrap_err().to_string();
        let late = run("last", second).await.unwrap_err().to_string();
        let sleeper = fs::read_to_string(&pid).unwrap();
        let gone = || fs::read(format!("/proc/{}/cmdline", sleeper.trim())).unwrap_or_default().is_empty();
        for _ in 0..50 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let ended = gone();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(said, "hello\n");
        assert_eq!(failed, "environment failed: exit status: 3");
        assert_eq!(late, "environment failed: not done after 1 s");
        assert!(ended);
    }

    async fn run_with(folder: PathBuf, word: &str, pid: PathBuf, bound: Duration) -> Result<String, MotoError> {
        run(&folder, "environment", &[Path::new(word), &pid], bound).await
    }

    #[test]
    fn has_every_file_that_the_server_needs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("moto");
        let found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        for name in found.iter().filter_map(|name| name.to_str()).filter(|name| !name.starts_with("__")) {
            assert!(FILES.iter().any(|(file, _)| *file == format!("moto/{name}")), "{name} is not in the program");
        }
    }
}
