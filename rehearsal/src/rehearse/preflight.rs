//! What a rehearsal needs beside what its machines need, and the environment that its make targets get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Settings;
use super::checkout::Environment;
use crate::script;

/// Packages come from the Internet once, and a gigabyte is copied.
const BOUND: Duration = Duration::from_secs(300);

/// Programs, and where they come from.
const TOOLS: [(&str, &str); 7] = [
    ("cargo", "https://rustup.rs"),
    ("git", "apt-get install git"),
    ("make", "apt-get install make"),
    ("packer", "apt-get install packer, or https://developer.hashicorp.com/packer/install"),
    ("python3", "apt-get install python3-venv"),
    ("terraform", "https://developer.hashicorp.com/terraform/install"),
    ("unshare", "apt-get install util-linux"),
];

/// Fails, with all that is missing.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let mut missing: Vec<String> = TOOLS
        .iter()
        .filter(|(tool, _)| !crate::site::is_installed(tool))
        .map(|(tool, from)| format!("{tool} is missing: {from}"))
        .collect();
    for (_, name, program) in programs(settings) {
        if !program.is_file() {
            missing.push(format!("{name} is not beside this program: make rehearse builds it"));
        }
    }
    if !settings.project.join("terraform/scripts/deploy").is_file() {
        missing.push(format!("{} is no checkout of Tideline: start it in one", settings.project.display()));
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

/// What the make targets find, beside where the region is. Makes what of it is missing.
pub(super) async fn environment(settings: &Settings) -> Result<Environment, String> {
    let folder = &settings.site.folder;
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    let build = folder.join("build");
    let mut environment = vec![
        ("CARGO_TARGET_DIR".to_owned(), shown(&build)),
        // Nearly a release, in half the time.
        ("TIDELINE_PROFILE".to_owned(), "optimized".to_owned()),
        // The versions differ in a line or two.
        ("CARGO_INCREMENTAL".to_owned(), "1".to_owned()),
        // Who asks often costs nothing here.
        ("TIDELINE_POLL".to_owned(), "1s".to_owned()),
        // Nothing is listed here that is gone.
        ("TIDELINE_LEFT_WAIT".to_owned(), "30".to_owned()),
        ("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".to_owned()),
    ];
    environment.extend(programs(settings).map(|(variable, _, program)| (variable.to_owned(), shown(&program))));
    if ["TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"].iter().all(|name| std::env::var_os(name).is_none()) {
        // A provider has 700 MB: it is fetched once.
        let plugins = settings.project.join("target/terraform-plugins");
        fs::create_dir_all(&plugins).map_err(|error| format!("{}: {error}", plugins.display()))?;
        environment.push(("TF_PLUGIN_CACHE_DIR".to_owned(), shown(&plugins)));
        environment.push(("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE".to_owned(), "1".to_owned()));
    }
    if !crate::site::is_installed("aws") {
        let cli = folder.join("aws-cli");
        let pinned = settings.project.join("terraform/tests/deploy/requirements.txt");
        command(&settings.project.join("rehearsal/scripts/environment"), &[&cli, &pinned]).await?;
        let path = std::env::var("PATH").unwrap_or_default();
        environment.push(("PATH".to_owned(), format!("{}:{path}", shown(&cli.join("bin")))));
    }
    let built = settings.project.join("target/optimized");
    if !build.exists() && built.join("deps").is_dir() {
        // What is built of others' crates is not built once more. A copy: what is changed there must not be found here.
        let copy = build.join("optimized");
        fs::create_dir_all(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
        for part in [".fingerprint", "build", "deps"] {
            let words = [Path::new("--archive"), Path::new("--reflink=auto"), &built.join(part), &copy];
            command(Path::new("cp"), &words).await?;
        }
    }
    Ok(environment)
}

/// The programs that the make targets run in place of building them: variable, name and path.
fn programs(settings: &Settings) -> [(&'static str, &'static str, PathBuf); 2] {
    [("TIDELINE_FLEET", "tideline-fleet"), ("TIDELINE_LOAD_TEST", "tideline-loadtest")].map(|(variable, name)| {
        let given = std::env::var_os(variable).filter(|given| !given.is_empty()).map(PathBuf::from);
        (variable, name, given.unwrap_or_else(|| settings.programs.join(name)))
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

async fn command(program: &Path, arguments: &[&Path]) -> Result<(), String> {
    let done = script::output(Command::new(program).args(arguments).stderr(Stdio::piped()), BOUND).await;
    let done = done.map_err(|error| format!("{}: {error}", program.display()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&done.stderr).trim()))
}
