//! The scripts that make what is real. They are inside the program, and bash runs them. And how a command is run to its end.

use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

/// Nothing that a script does takes longer; a machine may take 90 s to power off.
const BOUND: Duration = Duration::from_secs(120);

/// What a script complained of.
#[derive(Debug, thiserror::Error)]
#[error("{script} {arguments}: {complaint}")]
pub struct ScriptError {
    script: &'static str,
    arguments: String,
    complaint: String,
}

/// Runs a script to its end and gives its output.
pub(crate) async fn run(
    script: &'static str,
    text: &'static str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<String, ScriptError> {
    let fail = |complaint: String| {
        let arguments = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        ScriptError { script, arguments, complaint }
    };
    let mut command = Command::new("bash");
    command.arg("-c").arg(text).arg(script).args(arguments).envs(variables.iter().copied()).stderr(Stdio::piped());
    let done = output(&mut command, BOUND).await.map_err(fail)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(fail(format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim())))
}

/// Runs a command to its end, and gives its output. One that takes longer than its bound, or that nobody waits for any more,
/// ends with all that it started.
pub(crate) async fn output(command: &mut Command, bound: Duration) -> Result<Output, String> {
    // A Ctrl-C at the terminal is ours to handle.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
    let child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let mut group = Group(child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw));
    let done = tokio::time::timeout(bound, child.wait_with_output()).await;
    let done = done.map_err(|_| format!("not done after {} s", bound.as_secs()))?;
    // What it leaves running at its end, as a machine, is meant to.
    group.0 = None;
    done.map_err(|error| error.to_string())
}

/// A command with all that it started, which ends with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _over = kill_process_group(pid, Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_what_it_says_and_what_it_complains_of() {
        let run = |text, arguments| async move { run("it", text, arguments, &[("A", "b")]).await };
        assert_eq!(run("echo $1 $A", &["one"]).await.unwrap(), "one b\n");
        let error = run("echo no >&2; exit 3", &["do", "it"]).await.unwrap_err();
        assert_eq!(error.to_string(), "it do it: exit status: 3: no");
    }

    #[tokio::test]
    async fn what_takes_too_long_ends_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut command = Command::new("bash");
        command.args(["-c", "sleep 60 & echo $! >\"$1\"; wait", "it"]).arg(&file);
        let late = output(&mut command, Duration::from_secs(1)).await;
        assert_eq!(late.unwrap_err(), "not done after 1 s");
        let sleeper = std::fs::read_to_string(&file).unwrap();
        let gone = || std::fs::read(format!("/proc/{}/cmdline", sleeper.trim())).unwrap_or_default().is_empty();
        for _ in 0..50 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(gone());
    }
}
