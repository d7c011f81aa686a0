//! The network that machines are in: a namespace with a bridge, which leads nowhere. See `scripts/network`.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::LinkNameSpaceType;

use crate::script::{self, ScriptError};

const SCRIPT: &str = include_str!("../scripts/network");

/// The bridge's own address: what machines have for a gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 255, 254);
/// Where EC2 has its metadata service.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// A network namespace. It is not removed when this is dropped, but by [`Network::down`].
#[derive(Clone, Debug)]
pub struct Network {
    namespace: String,
}

impl Network {
    /// The network of the run whose files are in `folder`, whether it is up or not. Each folder has its own.
    pub fn of(folder: &Path) -> Self {
        // FNV-1a, so that a later build finds what this one left.
        let hash = folder.as_os_str().as_encoded_bytes();
        let hash = hash.iter().fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self { namespace: format!("rehearsal-{hash:08x}") }
    }

    /// The namespace's name, as `ip netns` has it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Makes it. Fails if it is there already.
    pub async fn up(&self) -> Result<(), ScriptError> {
        let (gateway, metadata) = (format!("{GATEWAY}/16"), format!("{METADATA}/32"));
        script::run("network", SCRIPT, &["up", &self.namespace, &gateway, &metadata], &[]).await.map(drop)
    }

    /// Removes it, with an error if something still runs in it; nothing happens if there is none.
    pub async fn down(&self) -> Result<(), ScriptError> {
        script::run("network", SCRIPT, &["down", &self.namespace], &[]).await.map(drop)
    }

    /// A listener in it; this process stays where it is.
    pub fn listen(&self, address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        let namespace = File::open(Path::new("/run/netns").join(&self.namespace))?;
        // A namespace is a thread's own, and a socket stays in the one it was made in.
        let thread = std::thread::spawn(move || {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            std::net::TcpListener::bind(address)
        });
        let listener = thread.join().map_err(|_| io::Error::other("the thread that listens panicked"))??;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_its_own_always_the_same() {
        assert_eq!(Network::of(Path::new("/a")).namespace(), "rehearsal-70d2182d");
        assert_ne!(Network::of(Path::new("/b")).namespace(), "rehearsal-70d2182d");
    }
}
