//! Machines: Debian roots booted by systemd-nspawn over an overlay, in a network namespace. See `scripts/machine`.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::network::{GATEWAY, Network};
use crate::script::{self, ScriptError};

const SCRIPT: &str = include_str!("../scripts/machine");

/// What a machine boots with.
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// Its name: letters, digits and hyphens.
    pub name: &'a str,
    /// The root file system that it has a layer over.
    pub root: &'a Path,
    /// Its own address.
    pub address: Ipv4Addr,
    /// What it may use.
    pub allowance: Allowance,
    /// The environment of every service in it.
    pub environment: &'a [(&'a str, &'a str)],
}

/// What a machine may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// CPUs; a half is half the time of one.
    pub cpus: f64,
    /// Memory, in MiB.
    pub memory: u32,
    /// The disk that it logs to, in MiB. What is written there is in its memory.
    pub log_disk: u32,
}

/// The machines of one run.
#[derive(Clone, Debug)]
pub struct Machines {
    folder: PathBuf,
    namespace: String,
}

impl Machines {
    /// Those that are kept in `folder`, in this network.
    pub fn new(folder: &Path, network: &Network) -> Self {
        Self { folder: folder.join("machines"), namespace: network.namespace().to_owned() }
    }

    /// Boots one; returns when it is powered on, long before it is up.
    pub async fn boot(&self, boot: &Boot<'_>) -> Result<(), ScriptError> {
        let environment: Vec<_> = boot.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut arguments = vec!["boot".to_owned(), boot.name.to_owned()];
        for (option, value) in [
            ("--root", boot.root.display().to_string()),
            ("--namespace", self.namespace.clone()),
            ("--address", format!("{}/32", boot.address)),
            ("--gateway", GATEWAY.to_string()),
            ("--metadata", format!("http://{}", crate::network::METADATA)),
            ("--cpus", boot.allowance.cpus.to_string()),
            ("--memory", format!("{}M", boot.allowance.memory)),
            ("--log-disk", format!("{}M", boot.allowance.log_disk)),
            ("--environment", environment.join(" ")),
        ] {
            arguments.extend([option.to_owned(), value]);
        }
        self.script(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await.map(drop)
    }

    /// Presses its power button, and returns when it is off; after 90 s with an error.
    pub async fn power_off(&self, name: &str) -> Result<(), ScriptError> {
        self.script(&["power-off", name]).await.map(drop)
    }

    /// Pulls its plug.
    pub async fn cut_power(&self, name: &str) -> Result<(), ScriptError> {
        self.script(&["kill", name]).await.map(drop)
    }

    /// Pulls its plug if need be, and removes all that was made for it.
    pub async fn remove(&self, name: &str) -> Result<(), ScriptError> {
        self.script(&["remove", name]).await.map(drop)
    }

    /// Runs a command in it, and gives its output.
    pub async fn exec(&self, name: &str, command: &[&str]) -> Result<String, ScriptError> {
        self.script(&[&["exec", name], command].concat()).await
    }

    /// All that were booted and not removed, also by a run that crashed.
    pub async fn list(&self) -> Result<Vec<String>, ScriptError> {
        Ok(self.script(&["list"]).await?.lines().map(str::to_owned).collect())
    }

    /// Whether it is powered on.
    pub fn is_on(&self, name: &str) -> bool {
        let cmdline = || {
            let pid = fs::read_to_string(self.folder.join(name).join("pid")).ok()?;
            fs::read(Path::new("/proc").join(pid.trim()).join("cmdline")).ok()
        };
        // The number may be somebody else's by now.
        cmdline().is_some_and(|line| line.windows(name.len()).any(|part| part == name.as_bytes()))
    }

    /// The time on a CPU that all of it has used since it was powered on. None when it is gone.
    pub fn cpu(&self, name: &str) -> Option<Duration> {
        let cgroups = fs::read_to_string(self.folder.join(name).join("cgroups")).ok()?;
        cgroups.lines().find_map(|cgroup| used(Path::new(cgroup)).ok())
    }

    /// The last lines of its console.
    pub fn console(&self, name: &str) -> String {
        let text = fs::read(self.folder.join(name).join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(text.get(text.len().saturating_sub(4096)..).unwrap_or_default()).into_owned()
    }

    async fn script(&self, arguments: &[&str]) -> Result<String, ScriptError> {
        let folder = self.folder.to_string_lossy();
        script::run("machine", SCRIPT, arguments, &[("TIDELINE_MACHINES", &*folder)]).await
    }
}

/// The CPU time that a control group counts, of version 1 or 2.
fn used(cgroup: &Path) -> io::Result<Duration> {
    let not_a_number = || io::Error::new(io::ErrorKind::InvalidData, "no number");
    if let Ok(nanoseconds) = fs::read_to_string(cgroup.join("cpuacct.usage")) {
        return nanoseconds.trim().parse().map(Duration::from_nanos).map_err(|_| not_a_number());
    }
    let stat = fs::read_to_string(cgroup.join("cpu.stat"))?;
    let microseconds = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).ok_or_else(not_a_number)?;
    microseconds.trim().parse().map(Duration::from_micros).map_err(|_| not_a_number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_cpu_of_both_versions() {
        let folder = std::env::temp_dir().join(format!("rehearsal-cgroups-{}", std::process::id()));
        let (first, second) = (folder.join("v1"), folder.join("v2"));
        for each in [&first, &second] {
            fs::create_dir_all(each).unwrap();
        }
        fs::write(first.join("cpuacct.usage"), "1500000000\n").unwrap();
        // Version 1 has a file of this name as well, in the controller that bounds.
        fs::write(first.join("cpu.stat"), "nr_periods 0\n").unwrap();
        fs::write(second.join("cpu.stat"), "usage_usec 2500000\nuser_usec 1\n").unwrap();
        let times = [used(&first).unwrap(), used(&second).unwrap()];
        let nothing = used(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(times, [Duration::from_millis(1500), Duration::from_millis(2500)]);
        assert!(nothing.is_err());
    }
}
