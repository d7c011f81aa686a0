//! A copy of this checkout with a repository of its own, and its make targets in an environment that leads to the pretend
//! region alone: what a person has deployed from here is not touched, nor found.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::script;

/// A bake, an apply and a rollout take minutes; this is the end of each of them.
const BOUND: Duration = Duration::from_secs(900);
/// The checkout is small.
const GIT: Duration = Duration::from_secs(60);
/// What a caller's own environment must not decide here.
const FOREIGN: [&str; 5] = ["AWS_", "TF_", "PKR_", "MAKE", "TIDELINE_"];
/// What it may: where Terraform's providers are.
const WELCOME: [&str; 3] =
    ["TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"];

/// Variables of the environment, name and value.
pub(super) type Environment = Vec<(String, String)>;

/// The copy.
#[derive(Debug)]
pub(super) struct Checkout {
    folder: PathBuf,
    logs: PathBuf,
    environment: Environment,
    version: String,
}

impl Checkout {
    /// Copies what git knows of `project`, and what it would, to `folder/checkout`, and commits it there.
    pub(super) async fn copy(project: &Path, folder: &Path, environment: Environment) -> Result<Self, String> {
        let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
        let (copy, logs) = (folder.join("checkout"), folder.join("logs"));
        let mut checkout = Self { folder: copy, logs, environment, version: String::new() };
        for made in [&checkout.folder, &checkout.logs] {
            let _none = fs::remove_dir_all(made);
            fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
        }
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(project)
            .stderr(Stdio::null());
        let list = script::output(&mut list, GIT).await.ok().filter(|listed| listed.status.success());
        let list = list.ok_or_else(|| format!("{} is no git checkout: clone it", project.display()))?;
        for name in String::from_utf8_lossy(&list.stdout).split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (project.join(name), checkout.folder.join(name));
            // One that was removed and not committed is still listed.
            if from.is_file() {
                let parent = to.parent().unwrap_or(&checkout.folder);
                fs::create_dir_all(parent)
                    .and_then(|()| fs::copy(&from, &to))
                    .map_err(|error| format!("{}: {error}", from.display()))?;
            }
        }
        checkout.git(&["init", "--quiet"]).await?;
        checkout.version = checkout.commit("The first version").await?;
        Ok(checkout)
    }

    /// The version that a build of what was copied says it is.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Commits all there is. Gives the version that a build of it says it is: `0.1.0+1a2b3c4`.
    pub(super) async fn commit(&self, subject: &str) -> Result<String, String> {
        self.git(&["add", "--all"]).await?;
        let author = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost"];
        self.git(&[&author[..], &["commit", "--quiet", "--allow-empty", "--message", subject]].concat()).await?;
        let commit = self.git(&["rev-parse", "HEAD"]).await?;
        Ok(format!("{}+{}", env!("CARGO_PKG_VERSION"), commit.get(..7).unwrap_or_default()))
    }

    /// Takes back what was changed since the last commit but one.
    pub(super) async fn undo(&self) -> Result<(), String> {
        self.git(&["checkout", "--quiet", "HEAD~1", "--", "."]).await.map(drop)
    }

    /// Puts `new` in place of `old` in a file. Fails unless `old` is there once.
    pub(super) fn edit(&self, file: &str, old: &str, new: &str) -> Result<(), String> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        if text.matches(old).count() != 1 {
            return Err(format!("{file} has not exactly one {old:?}: the rehearsal must be adapted"));
        }
        fs::write(&path, text.replace(old, new)).map_err(|error| format!("{file}: {error}"))
    }

    /// Starts `make TARGET VARIABLE=VALUE…`; its output is kept in `logs/NAME.log`.
    pub(super) fn make(&self, name: &str, target: &str, variables: &[(&str, &str)]) -> Result<Make, String> {
        let fault = |error: &dyn std::fmt::Display| format!("make {target}: {error}");
        let mut command = Command::new("bash");
        // Both outputs in one, in their order. In a process namespace what make starts, also in a session of its own as
        // Terraform is, ends with it.
        command.args(["-c", "exec unshare --pid --fork --kill-child make \"$@\" 2>&1", "make", target]);
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        self.here(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
        let mut child = command.spawn().map_err(|error| fault(&error))?;
        let output = child.stdout.take().ok_or_else(|| fault(&"no output"))?;
        let log = self.logs.join(format!("{name}.log"));
        let (stage, stages) = watch::channel(String::new());
        let reader = tokio::spawn(keep(output, log.clone(), stage));
        Ok(Make { target: target.to_owned(), log, child, reader, stages })
    }

    async fn git(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("git");
        let done = script::output(self.here(command.args(words)).stderr(Stdio::piped()), GIT).await;
        let done = done.map_err(|error| format!("git: {error}"))?;
        if !done.status.success() {
            return Err(format!("git {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr)));
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    fn here<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let foreign = |name: &str| FOREIGN.iter().any(|prefix| name.starts_with(prefix)) && !WELCOME.contains(&name);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(foreign) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(&self.folder)
    }
}

/// Keeps what is said in a file, and tells the stages that it names (`== rollout`).
async fn keep(output: ChildStdout, log: PathBuf, stage: watch::Sender<String>) -> io::Result<()> {
    let mut file = tokio::fs::File::create(&log).await?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        file.write_all(format!("{line}\n").as_bytes()).await?;
        if let Some(title) = line.strip_prefix("== ") {
            stage.send_replace(title.to_owned());
        }
    }
    file.flush().await
}

/// A target that is being made.
#[derive(Debug)]
pub(super) struct Make {
    target: String,
    log: PathBuf,
    child: Child,
    reader: JoinHandle<io::Result<()>>,
    stages: watch::Receiver<String>,
}

impl Make {
    /// What it is at, whenever that changes. `None` when it is over.
    pub(super) async fn stage(&mut self) -> Option<String> {
        self.stages.changed().await.ok()?;
        Some(self.stages.borrow_and_update().clone())
    }

    /// Presses Ctrl-C.
    pub(super) fn interrupt(&self) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // If it is over already, so be it.
            let _gone = kill_process_group(pid, Signal::INT);
        }
    }

    /// Waits for its end: whether all went well, and what it said.
    pub(super) async fn end(mut self) -> Result<(bool, String), String> {
        let ended = tokio::time::timeout(BOUND, self.child.wait()).await;
        let ended = ended.map_err(|_| format!("make {} is not done after {} s", self.target, BOUND.as_secs()))?;
        let ended = ended.map_err(|error| format!("make {}: {error}", self.target))?;
        let kept = self.reader.await.map_err(|error| error.to_string())?;
        kept.map_err(|error| format!("{}: {error}", self.log.display()))?;
        let said = fs::read_to_string(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        Ok((ended.success(), said))
    }

    /// Waits for its end, which must be a good one, and gives what it said.
    pub(super) async fn succeeds(self) -> Result<String, String> {
        let (target, log) = (self.target.clone(), self.log.clone());
        let (well, said) = self.end().await?;
        if well { Ok(said) } else { Err(format!("make {target} failed: {}\n{}", log.display(), last_lines(&said, 12))) }
    }
}

/// The end of a text.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, words: &[&str]) {
        let git = std::process::Command::new("git").args(words).current_dir(folder).output().unwrap();
        assert!(git.status.success(), "{git:?}");
    }

    #[tokio::test]
    async fn is_a_copy_of_what_git_knows_and_would() {
        let (project, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = |name: &str| project.path().join(name);
        git(project.path(), &["init", "--quiet"]);
        for (name, text) in
            [(".gitignore", "terraform.tfstate\n"), ("known", "one two\n"), ("gone", ""), ("terraform.tfstate", "{}")]
        {
            fs::write(file(name), text).unwrap();
        }
        git(project.path(), &["add", "--all"]);
        fs::remove_file(file("gone")).unwrap();
        fs::write(file("new"), "").unwrap();
        let checkout = Checkout::copy(project.path(), folder.path(), Vec::new()).await.unwrap();
        let copied = |name: &str| checkout.folder().join(name);
        assert!(copied("known").exists() && copied("new").exists());
        // Nobody's deployment is found, and nothing is made up.
        assert!(!copied("terraform.tfstate").exists() && !copied("gone").exists());

        assert!(checkout.edit("known", "o", "0").is_err(), "it is there twice");
        checkout.edit("known", "two", "2").unwrap();
        let second = checkout.commit("The second").await.unwrap();
        assert!(second.starts_with(env!("CARGO_PKG_VERSION")) && second != checkout.version(), "{second}");
        checkout.undo().await.unwrap();
        assert_eq!(fs::read_to_string(copied("known")).unwrap(), "one two\n");
        assert_eq!(fs::read_to_string(file("known")).unwrap(), "one two\n");
        let none = Checkout::copy(folder.path(), folder.path(), Vec::new()).await;
        assert!(none.unwrap_err().contains("no git checkout"));
    }
}
