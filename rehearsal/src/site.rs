//! What a run really has: a network, machines in it, the metadata service, the balancer. All of it is named after the run's
//! folder, so that the next run finds what one that crashed left, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::balancer::{self, Balancer};
use crate::machines::{Allowance, Machines};
use crate::metadata::Metadata;
use crate::network::{GATEWAY, METADATA, Network};
use crate::script::ScriptError;

/// The port at which machines reach the region.
const API: u16 = 4566;
/// The port of the load balancer's first listener.
const HTTP: u16 = 80;
/// Programs, and Debian's packages that have them.
const TOOLS: [(&str, &str); 8] = [
    ("bash", "bash"),
    ("flock", "util-linux"),
    ("haproxy", "haproxy"),
    ("ip", "iproute2"),
    ("mmdebstrap", "mmdebstrap"),
    ("nsenter", "util-linux"),
    ("pgrep", "procps"),
    ("systemd-nspawn", "systemd-container"),
];
/// What the root file systems of Debian are checked with.
const KEYRING: (&str, &str) = ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring");

/// The run's own images, in its folder: moto's other files are beside them, and nobody else's.
const IMAGES: &str = "moto/images";

/// What a run is to have.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its files are kept; each run needs one of its own.
    pub folder: PathBuf,
    /// Root file systems of images, in folders named by the images' ids. Without it, they are in the run's folder, and end with
    /// the run.
    pub images: Option<PathBuf>,
    /// Where Debian's root file system and packages are kept.
    pub cache: PathBuf,
    /// The address that the balancer listens on, at the ports of its listeners. Loopback only.
    pub balancer: IpAddr,
    /// What each machine may use.
    pub allowance: Allowance,
}

impl Settings {
    /// The host of the balancer's URLs.
    pub(crate) fn balancer_host(&self) -> String {
        balancer::host(self.balancer)
    }
}

/// Why a run cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Namespaces, mounts and control groups are root's.
    #[error("machines need root: run it with sudo, or with --simulate, which boots none")]
    NotRoot,
    /// Programs are missing.
    #[error("machines need more: sudo apt-get install --yes {0}; or --simulate, which boots none")]
    Missing(String),
    /// It must not be reached from outside.
    #[error("{0} is not on loopback: let the balancer listen on 127.0.0.1, or another address that begins with 127")]
    NotLoopback(IpAddr),
    /// Somebody else listens there.
    #[error("the load balancer cannot listen on {0}: {1}; give it another address, as --balancer 127.53.0.2")]
    Taken(SocketAddr, io::Error),
    /// Another run has the folder.
    #[error("a rehearsal runs in {0} already, as process {1}: end that one first, or take another folder")]
    Running(String, u32),
    /// A script failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The folder cannot be used, or nothing can listen.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// A run's network, machines, metadata service and balancer.
#[derive(Clone, Debug)]
pub struct Site {
    folder: PathBuf,
    images: PathBuf,
    cache: PathBuf,
    allowance: Allowance,
    network: Network,
    /// The machines.
    pub machines: Machines,
    /// What they ask about themselves.
    pub metadata: Metadata,
    /// Who sends them requests.
    pub balancer: Balancer,
}

impl Site {
    /// Makes the network, without what an earlier run left in the folder. Gives the listener at which machines reach the
    /// region, and the metadata service that runs.
    pub async fn start(settings: &Settings) -> Result<(Self, TcpListener, JoinHandle<()>), SiteError> {
        if !rustix::process::geteuid().is_root() {
            return Err(SiteError::NotRoot);
        }
        let missing = missing().await;
        if !missing.is_empty() {
            return Err(SiteError::Missing(missing.into_iter().collect::<Vec<_>>().join(" ")));
        }
        if !settings.balancer.is_loopback() {
            return Err(SiteError::NotLoopback(settings.balancer));
        }
        let site = Self::in_folder(settings)?;
        site.clean_up().await?;
        let begun = site.begin(settings.balancer).await;
        if begun.is_err() {
            // What went wrong first is what is told.
            let _second = site.clean_up().await;
        }
        let (api, metadata) = begun?;
        Ok((site, api, metadata))
    }

    /// Removes what a run that is over left in a folder: machines, mounts, control groups, processes, the network.
    pub async fn down(folder: &Path) -> Result<(), SiteError> {
        if !folder.exists() {
            return Ok(());
        }
        let site = Self::in_folder(&Settings {
            folder: folder.to_owned(),
            images: None,
            cache: PathBuf::new(),
            balancer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            allowance: Allowance { cpus: 1.0, memory: 512, log_disk: 64 },
        })?;
        site.clean_up().await
    }

    /// Removes all that it made.
    pub async fn stop(&self) -> Result<(), SiteError> {
        self.clean_up().await
    }

    /// Where machines reach the region.
    pub fn api(&self) -> String {
        format!("http://{GATEWAY}:{API}")
    }

    /// The root file system of an image, if there is one.
    pub fn image(&self, id: &str) -> Option<PathBuf> {
        let named = !id.is_empty() && id.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
        let root = self.images.join(id);
        (named && root.is_dir()).then_some(root)
    }

    /// Where the first load balancer is, once Terraform has made it: the URL of the page.
    pub fn url(&self) -> String {
        format!("http://{}", self.balancer.host())
    }

    /// Where its files are kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Root file systems of images, in folders named by the images' ids.
    pub fn images(&self) -> &Path {
        &self.images
    }

    /// Where Debian's root file system and packages are kept.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The name of its network namespace.
    pub fn namespace(&self) -> &str {
        self.network.namespace()
    }

    /// What each machine may use.
    pub fn allowance(&self) -> Allowance {
        self.allowance
    }

    fn in_folder(settings: &Settings) -> Result<Self, SiteError> {
        let fault = |error| SiteError::Io(settings.folder.display().to_string(), error);
        fs::create_dir_all(&settings.folder).map_err(fault)?;
        let folder = settings.folder.canonicalize().map_err(fault)?;
        if let Some(pid) = owner(&folder).filter(|pid| *pid != std::process::id()) {
            return Err(SiteError::Running(folder.display().to_string(), pid));
        }
        // The name of a network is derived from the folder's, so it must always be the same.
        let network = Network::of(&folder);
        Ok(Self {
            machines: Machines::new(&folder, &network),
            balancer: Balancer::new(&folder, network.namespace(), settings.balancer),
            images: settings.images.as_deref().map_or_else(|| folder.join(IMAGES), absolute),
            cache: absolute(&settings.cache),
            allowance: settings.allowance,
            metadata: Metadata::default(),
            network,
            folder,
        })
    }

    async fn begin(&self, balancer: IpAddr) -> Result<(TcpListener, JoinHandle<()>), SiteError> {
        let pid = std::process::id();
        let mine = format!("{pid} {}", started(pid).unwrap_or_default());
        fs::write(self.folder.join("run.pid"), mine)
            .map_err(|error| SiteError::Io(self.folder.display().to_string(), error))?;
        // HAProxy listens when Terraform has made a listener, which is late to be told that it cannot.
        let http = SocketAddr::from((balancer, HTTP));
        drop(std::net::TcpListener::bind(http).map_err(|error| SiteError::Taken(http, error))?);
        self.network.up().await?;
        let listen = |address: Ipv4Addr, port| {
            let address = SocketAddr::from((address, port));
            self.network.listen(address).map_err(|error| SiteError::Io(format!("cannot listen on {address}"), error))
        };
        let (api, metadata) = (listen(GATEWAY, API)?, listen(METADATA, 80)?);
        Ok((api, tokio::spawn(self.metadata.clone().serve(metadata))))
    }

    async fn clean_up(&self) -> Result<(), SiteError> {
        self.balancer.end_left().await;
        for name in self.machines.list().await? {
            self.machines.remove(&name).await?;
        }
        // What ran there may take a moment to be gone.
        for _ in 0..20 {
            if self.network.down().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.network.down().await?;
        // Gigabytes, when moto was killed before it could remove them.
        let _none = fs::remove_dir_all(self.folder.join(IMAGES));
        let _none = fs::remove_file(self.folder.join("run.pid"));
        Ok(())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Debian's packages that are missing.
async fn missing() -> BTreeSet<&'static str> {
    let mut missing: BTreeSet<_> =
        TOOLS.iter().filter(|(tool, _)| !is_installed(tool)).map(|(_, package)| *package).collect();
    if !Path::new(KEYRING.0).exists() {
        missing.insert(KEYRING.1);
    }
    // Debian has the part of Python that makes virtual environments in a package of its own.
    let mut python = tokio::process::Command::new("python3");
    let venv = python.args(["-c", "import ensurepip"]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let venv = tokio::time::timeout(Duration::from_secs(20), venv.status()).await;
    if !matches!(venv, Ok(Ok(status)) if status.success()) {
        missing.insert("python3-venv");
    }
    missing
}

/// Whether a program is in the path.
pub(crate) fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// The process whose run is in a folder, if it lives.
fn owner(folder: &Path) -> Option<u32> {
    let text = fs::read_to_string(folder.join("run.pid")).ok()?;
    let (pid, began) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    // The number may be somebody else's by now.
    (started(pid)? == began).then_some(pid)
}

/// When a process began, in the kernel's own count.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have spaces; after it the 20th word is the 22nd of all.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_whether_the_run_in_a_folder_lives() {
        let folder = std::env::temp_dir().join(format!("rehearsal-owner-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pid = std::process::id();
        let write = |text: String| fs::write(folder.join("run.pid"), text).unwrap();
        let nobody = owner(&folder);
        write(format!("{pid} {}\n", started(pid).unwrap()));
        let me = owner(&folder);
        write(format!("{pid} 1\n"));
        let another = owner(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((nobody, me, another), (None, Some(pid), None));
    }
}
