//! Tells the binary which commit it was built from: `TIDELINE_COMMIT`, else git's, else nothing.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=TIDELINE_COMMIT");
    // The file that changes with every commit and every switch of branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    let commit = std::env::var("TIDELINE_COMMIT").ok().or_else(|| git(&["rev-parse", "HEAD"])).unwrap_or_default();
    println!("cargo::rustc-env=TIDELINE_COMMIT={commit}");
    let crate_version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = commit.get(..7).map_or(crate_version.clone(), |short| format!("{crate_version}+{short}"));
    println!("cargo::rustc-env=TIDELINE_VERSION={version}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
