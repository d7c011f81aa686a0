//! The scripts that make what is real. They are inside the program, and bash runs them.

use std::process::Stdio;
use std::time::Duration;

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
    command.arg("-c").arg(text).arg(script).args(arguments).envs(variables.iter().copied());
    let command = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let done = tokio::time::timeout(BOUND, command).await;
    let done = done.map_err(|_| fail(format!("not done after {} s", BOUND.as_secs())))?;
    let done = done.map_err(|error| fail(format!("cannot be run: {error}")))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(fail(format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim())))
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
}
