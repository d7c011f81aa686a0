//! The load balancer: HAProxy, driven from the load balancer, listeners and target groups that Terraform made.
//!
//! ```text
//! settings.rs   what Terraform made, as the API behind tells it
//! config.rs     HAProxy's configuration from that
//! targets.rs    targets: what HAProxy is to be told about them, and what it says of them
//! runtime.rs    its runtime socket
//! process.rs    its process
//! ```
//!
//! It listens on loopback and sends requests into the network that the machines are in. A target that comes, drains or goes is
//! told through the runtime socket; only what Terraform changes needs a reload, which loses no connection.

mod config;
mod process;
mod runtime;
mod settings;
mod targets;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::complain::complain;
use crate::gateway::client::Upstream;
use crate::instances::Target;
use process::{Files, Process};
use settings::Settings;
use targets::Targets;

/// How often HAProxy is asked and told.
const STEP: Duration = Duration::from_millis(200);
/// How often it is looked whether Terraform has changed something.
const LOOK: Duration = Duration::from_secs(2);

/// The load balancer. It is the region that runs it.
#[derive(Clone, Debug)]
pub struct Balancer {
    state: Arc<Mutex<State>>,
    files: Files,
    listen: IpAddr,
    namespace: String,
}

/// A target's place in HAProxy's configuration, whoever has it next.
#[derive(Clone, Debug)]
pub struct Place {
    backend: String,
    server: String,
}

#[derive(Debug, Default)]
struct State {
    settings: Option<Settings>,
    groups: Vec<(String, Targets)>,
    complaint: Option<String>,
}

impl Balancer {
    /// A balancer of the run whose files are in `folder`. It is to listen on `listen`, at the ports of its listeners.
    pub fn new(folder: &Path, namespace: &str, listen: IpAddr) -> Self {
        let files = Files::new(folder, namespace);
        Self { state: Arc::default(), files, listen, namespace: namespace.to_owned() }
    }

    /// Registers a target with a target group. Fails when there is no more place.
    pub fn register(&self, group: &str, id: &str, address: Ipv4Addr) -> Result<(), String> {
        let registered = self.state().targets(group).register(id, address, Instant::now());
        registered.then_some(()).ok_or_else(|| format!("{group} has no place for more targets"))
    }

    /// Sends a target no more requests.
    pub fn drain(&self, group: &str, id: &str) {
        self.state().targets(group).drain(id);
    }

    /// Cuts a target's last connections, and forgets it.
    pub fn remove(&self, group: &str, id: &str) {
        self.state().targets(group).remove(id);
    }

    /// What it says of a target.
    pub fn target(&self, group: &str, id: &str) -> Target {
        let state = self.state();
        let settings = state.settings.as_ref().and_then(|it| it.target_groups.iter().find(|each| each.arn == group));
        let targets = state.groups.iter().find(|(arn, _)| arn == group);
        match (settings, targets) {
            (Some(settings), Some((_, targets))) => targets.target(id, settings, Instant::now()),
            // Registered with a group that no balancer sends anything to.
            _ => Target::Unused,
        }
    }

    /// How long a target of this group may finish what it has. Nothing where the group is unknown.
    pub fn deregistration_delay(&self, group: &str) -> Duration {
        let state = self.state();
        let groups = state.settings.iter().flat_map(|settings| &settings.target_groups);
        groups.into_iter().find(|each| each.arn == group).map_or(Duration::ZERO, |each| each.deregistration_delay)
    }

    /// Requests that a target has now, of all groups.
    pub fn in_flight(&self, id: &str) -> u64 {
        self.state().groups.iter().map(|(_, targets)| targets.in_flight(id)).sum()
    }

    /// The place of a target that is registered with one group.
    pub fn place(&self, id: &str) -> Option<Place> {
        let state = self.state();
        let mut groups = state.groups.iter().enumerate();
        groups.find_map(|(number, (_, targets))| {
            Some(Place { backend: config::backend(number), server: targets.place(id)? })
        })
    }

    /// Requests that whoever is in a place has now, and those that it was chosen for ever since HAProxy began: at this moment.
    pub async fn requests(&self, place: &Place) -> io::Result<(u64, u64)> {
        let rows = runtime::rows(&self.files.socket).await?;
        let row = rows.iter().find(|row| row.backend == place.backend && row.server == place.server);
        row.map(|row| (row.current, row.total)).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Whether a target answered 5xx lately.
    pub fn fails(&self, id: &str) -> bool {
        self.state().groups.iter().any(|(_, targets)| targets.fails(id, Instant::now()))
    }

    /// Where requests are to be sent, once something listens.
    pub fn url(&self) -> Option<String> {
        let port = self.state().settings.as_ref()?.listeners.iter().map(|listener| listener.port).min()?;
        Some(format!("http://{}:{port}", self.host()))
    }

    /// The host of its URLs.
    pub(crate) fn host(&self) -> String {
        host(self.listen)
    }

    /// Ends HAProxy, also one that an earlier run left.
    pub async fn end_left(&self) {
        self.files.end_left().await;
    }

    /// Runs until it is dropped. HAProxy lives on then, until [`Balancer::end_left`].
    pub(crate) async fn run(self, upstream: Arc<Upstream>) {
        let (mut process, mut looked) = (None, None::<Instant>);
        loop {
            let stepped = self.step(&upstream, &mut process, &mut looked).await;
            if let Some(complaint) = self.complaint(stepped.err()) {
                complain(format_args!("the load balancer: {complaint}"));
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// What is wrong, if it was not so before.
    fn complaint(&self, now: Option<String>) -> Option<String> {
        let before = std::mem::replace(&mut self.state().complaint, now.clone());
        now.filter(|now| before.as_ref() != Some(now))
    }

    async fn step(
        &self,
        upstream: &Upstream,
        process: &mut Option<Process>,
        looked: &mut Option<Instant>,
    ) -> Result<(), String> {
        if process.as_mut().is_some_and(|process| !process.runs()) {
            (*process, *looked) = (None, None);
            self.state().settings = None;
        }
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            let found = Settings::read(upstream).await.map_err(|failure| failure.to_string())?;
            if found != self.state().settings {
                self.follow(found, process).await.map_err(|error| error.to_string())?;
            }
            *looked = Some(Instant::now());
        }
        if process.is_some() {
            self.talk().await.map_err(|error| format!("HAProxy does not answer: {error}"))?;
        }
        Ok(())
    }

    /// Brings HAProxy to what Terraform made.
    async fn follow(&self, found: Option<Settings>, process: &mut Option<Process>) -> io::Result<()> {
        let Some(settings) = found else {
            if let Some(process) = process.take() {
                process.stop().await;
            }
            *self.state() = State::default();
            return Ok(());
        };
        let config = {
            let mut state = self.state();
            let arns: Vec<_> = settings.target_groups.iter().map(|group| group.arn.clone()).collect();
            state.arrange(&arns);
            let healthy: Vec<_> = state.groups.iter().take(arns.len()).map(|(_, targets)| targets.serving()).collect();
            let place = config::Place { listen: self.listen, namespace: &self.namespace, socket: &self.files.socket };
            // What HAProxy does not know through the configuration it is told anew.
            state.groups.iter_mut().for_each(|(_, targets)| targets.forget_told());
            config::render(&settings, place, &healthy).map_err(io::Error::other)?
        };
        self.files.write(&config).await?;
        match process {
            Some(process) => process.reload().await?,
            None => *process = Some(self.files.start().await?),
        }
        self.state().settings = Some(settings);
        Ok(())
    }

    async fn talk(&self) -> io::Result<()> {
        let now = Instant::now();
        let commands: Vec<_> = {
            let mut state = self.state();
            let ports: Vec<_> =
                state.settings.iter().flat_map(|settings| &settings.target_groups).map(|group| group.port).collect();
            let groups = state.groups.iter_mut().zip(ports).enumerate();
            groups.flat_map(|(number, ((_, targets), port))| targets.commands(number, port, now)).collect()
        };
        // A line of the socket's has room for few.
        for some in commands.chunks(16) {
            runtime::send(&self.files.socket, some).await?;
        }
        let rows = runtime::rows(&self.files.socket).await?;
        let now = Instant::now();
        self.state().groups.iter_mut().enumerate().for_each(|(number, (_, targets))| targets.see(number, &rows, now));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address, as a URL has it.
pub(crate) fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl State {
    fn targets(&mut self, arn: &str) -> &mut Targets {
        let at = self.groups.iter().position(|(each, _)| each == arn).unwrap_or_else(|| {
            self.groups.push((arn.to_owned(), Targets::default()));
            self.groups.len() - 1
        });
        &mut self.groups[at].1
    }

    /// Puts these groups first, in this order, because backends are numbered so.
    fn arrange(&mut self, arns: &[String]) {
        for arn in arns {
            self.targets(arn);
        }
        self.groups.sort_by_key(|(arn, _)| arns.iter().position(|each| each == arn).unwrap_or(usize::MAX));
    }
}
