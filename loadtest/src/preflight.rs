//! What must be right before any load: each fault is one clear line.

use std::path::Path;
use std::time::Duration;

use crate::plan::Plan;
use crate::target::{Ask, Target};

/// Above this rate a machine that is not this one is loaded only by somebody who says `--yes`.
pub const UNASKED_RATE: f64 = 1_000.0;

/// Files that are open beside the connections of the users.
const OTHER_FILES: u64 = 64;

/// Checks what can be checked without asking the target.
pub fn generator(target: &Target, plan: &Plan, users: usize, yes: bool) -> Result<(), String> {
    if plan.peak() > UNASKED_RATE && !target.is_loopback() && !yes {
        let peak = plan.peak();
        return Err(format!("{peak} requests a second to {}: if that machine is yours, say --yes", target.url()));
    }
    let needed = users as u64 + OTHER_FILES;
    let limit = procfs::process::Process::myself().and_then(|process| process.limits()).map(|l| l.max_open_files);
    if let Ok(procfs::process::Limit { soft_limit: procfs::process::LimitValue::Value(files), .. }) = limit
        && files < needed
    {
        return Err(format!("{users} users need {needed} open files, and {files} are allowed: ulimit -n {needed}"));
    }
    Ok(())
}

/// Makes the folder of the reports, and finds out whether it can be written.
pub fn folder(out: &Path) -> Result<(), String> {
    let probe = out.join(".probe");
    let made = std::fs::create_dir_all(out)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(probe));
    made.map_err(|error| format!("--out {}: {error}", out.display()))
}

/// Asks the target whether it is a Tideline, and which version answers.
pub async fn target(target: &Target) -> Result<String, String> {
    let url = target.url();
    let ask = Ask::get("GET /status", "/status");
    let asking = target.send(&ask);
    let answer = match tokio::time::timeout(Duration::from_secs(15), asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(format!("{url} cannot be reached: {error}")),
        Err(_) => return Err(format!("{url} does not answer within 15 s")),
    };
    let stranger = || format!("{url} is no Tideline: GET /status was answered with {} and no status", answer.status);
    let status = answer.json().map_err(|_| stranger())?;
    let (Some(version), true) = (status["version"].as_str(), status["instance"]["id"].is_string()) else {
        return Err(stranger());
    };
    if status["status"] != "healthy" {
        return Err(format!("{url} says that it is {}: first see to that", status["status"]));
    }
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_not_loaded_by_mistake() {
        let target = |url: &str| Target::new(url.parse().unwrap(), None, Duration::from_secs(1)).unwrap();
        let plan: Plan = "a:1s@0..1001".parse().unwrap();
        let refused = generator(&target("http://example.com"), &plan, 1, false).unwrap_err();
        assert!(refused.contains("--yes"), "{refused}");
        assert!(generator(&target("http://example.com"), &plan, 1, true).is_ok());
        assert!(generator(&target("http://127.0.0.1"), &plan, 1, false).is_ok());
        let many = generator(&target("http://127.0.0.1"), &plan, 100_000_000, false).unwrap_err();
        assert!(many.contains("ulimit -n"), "{many}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_told_so() {
        let folder_at = tempfile::tempdir().unwrap();
        assert!(folder(&folder_at.path().join("a/b")).is_ok());
        let file = folder_at.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = folder(&file.join("x")).unwrap_err();
        assert!(error.starts_with("--out "), "{error}");
    }
}
