//! moto's server, as a process of ours: who answers what the region does not. Its files are inside the program, see `moto/` and
//! `scripts/`; they are written into the run's folder, and what they need is made there and kept.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::network::GATEWAY;
use crate::script;
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
        let (folder, cache) = (site.folder(), site.cache());
        let (venv, packages, log) = (folder.join("moto/venv"), cache.join("packages"), folder.join("moto.log"));
        write(folder)?;
        let requirements = folder.join("moto/requirements.txt");
        run(folder, "environment", &[&venv, &requirements], INSTALL).await?;
        let root = run(folder, "rootfs", &[cache], ROOT).await?;
        let errors = fs::File::create(&log).map_err(|error| fault(&log, error))?;
        let mut command = Command::new(venv.join("bin/python"));
        command.arg(folder.join("moto/server.py")).arg("--outside");
        command.arg("--namespace").arg(site.namespace()).arg("--address").arg(GATEWAY.to_string());
        command.arg("--root").arg(root.trim()).arg("--images").arg(site.images()).arg("--packages").arg(packages);
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
async fn run(folder: &Path, name: &'static str, words: &[&Path], bound: Duration) -> Result<String, MotoError> {
    let failed = |why: String| MotoError::Preparation(name, why);
    let mut command = Command::new("bash");
    command.arg(folder.join("scripts").join(name)).args(words);
    let done = script::output(&mut command, bound).await.map_err(failed)?;
    if !done.status.success() {
        return Err(failed(done.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    format!("{}: see {}", last.unwrap_or("it says nothing"), log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_a_script_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("scripts")).unwrap();
        fs::write(folder.path().join("scripts/environment"), "[[ $1 != fail ]] || exit 3\necho \"$1\"").unwrap();
        let run = async |word: &str| run(folder.path(), "environment", &[Path::new(word)], START).await;
        assert_eq!(run("hello").await.unwrap(), "hello\n");
        assert_eq!(run("fail").await.unwrap_err().to_string(), "environment failed: exit status: 3");
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
