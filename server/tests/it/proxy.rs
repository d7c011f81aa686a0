//! A way to a server that can be cut for one instance alone.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes bytes on, until it is cut: then connections are ended, and new ones at once.
pub struct Proxy {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct Way {
    cut: bool,
    /// Connections numbered below this have gone silent.
    silent: usize,
}

impl Proxy {
    /// A way to a port of this machine.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, watched) = watch::channel(Way::default());
        let task = tokio::spawn(async move {
            for number in 0.. {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut watched = watched.clone();
                tokio::spawn(async move {
                    let pass = async {
                        let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    };
                    tokio::select! {
                        biased;
                        _ = watched.wait_for(|way| way.cut || number < way.silent) => {}
                        () = pass => return,
                    }
                    let _ = watched.wait_for(|way| way.cut).await;
                });
            }
        });
        Self { address, way, task }
    }

    /// `redis://` and where it is.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.way.send_modify(|way| way.cut = true);
    }

    /// Mends it.
    pub fn mend(&self) {
        self.way.send_modify(|way| way.cut = false);
    }

    /// Loses the first connection without a word to either side, as a firewall does that has forgotten it.
    pub fn silence(&self) {
        self.way.send_modify(|way| way.silent = 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
