//! What a rehearsal needs beside what its machines need, and the environment that its make targets get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Settings;
use super::checkout::{Environment, last_lines};
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
    seed(&settings.project.join("target/optimized"), &build).await?;
    Ok(environment)
}

/// Copies what is built of others' crates to `build`, where it is not built once more then. A copy: what is changed there
/// must not be found here. While another build is at work in `built`, there is nothing whole to copy.
async fn seed(built: &Path, build: &Path) -> Result<(), String> {
    // Cargo holds this lock while it builds.
    let Ok(lock) = fs::File::open(built.join(".cargo-lock")) else { return Ok(()) };
    if build.exists() || lock.try_lock_shared().is_err() {
        return Ok(());
    }
    // It gets its name when it is whole: of half a copy cargo would believe that it is built.
    let half = build.with_extension("half");
    let _none = fs::remove_dir_all(&half);
    let copy = half.join("optimized");
    let fault = |error: std::io::Error| format!("{}: {error}", half.display());
    fs::create_dir_all(&copy).map_err(fault)?;
    for part in [".fingerprint", "build", "deps"] {
        let words = [Path::new("--archive"), Path::new("--reflink=auto"), &built.join(part), &copy];
        command(Path::new("cp"), &words).await?;
    }
    fs::rename(&half, build).map_err(fault)
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
    // A tool that fails for one reason may say so for each of a thousand files.
    let complaint = String::from_utf8_lossy(&done.stderr);
    Err(format!("{}: {}", program.display(), last_lines(complaint.trim(), 5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_built_is_copied_once_whole_and_not_while_a_build_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let (built, build) = (folder.path().join("optimized"), folder.path().join("build"));
        for part in [".fingerprint", "build", "deps"] {
            fs::create_dir_all(built.join(part)).unwrap();
            fs::write(built.join(part).join("file"), part).unwrap();
        }
        // Cargo never built there.
        seed(&built, &build).await.unwrap();
        assert!(!build.exists());

        let cargo = fs::File::create(built.join(".cargo-lock")).unwrap();
        cargo.lock().unwrap();
        seed(&built, &build).await.unwrap();
        assert!(!build.exists());
        cargo.unlock().unwrap();

        // What an earlier one did not bring to its end is no part of it.
        let half = build.with_extension("half").join("optimized/deps");
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("old"), "").unwrap();
        seed(&built, &build).await.unwrap();
        assert_eq!(fs::read_to_string(build.join("optimized/deps/file")).unwrap(), "deps");
        assert!(!build.join("optimized/deps/old").exists() && !build.with_extension("half").exists());

        fs::write(built.join("deps/file"), "newer").unwrap();
        seed(&built, &build).await.unwrap();
        assert_eq!(fs::read_to_string(build.join("optimized/deps/file")).unwrap(), "deps");
    }
}
