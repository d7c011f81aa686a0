//! Machines that boot: EC2 of whoever is behind knows them, the balancer sends them requests, and their health is what it finds.

mod launch;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;

use super::{Identity, Instances, Launch, State, Target, Ticket};
use crate::complain::complain;
use crate::gateway::client::{EC2, ELB, Upstream};
use crate::protocol::Tree;
use crate::scaling::{Place, since};
use crate::site::Site;

/// How long a machine that is gone can still be asked about, as on EC2.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How often it is looked whether machines are still on.
const LOOK: Duration = Duration::from_millis(250);

/// Those of a region.
#[derive(Debug)]
pub struct Booted {
    behind: Behind,
    tasks: JoinSet<()>,
    looked: Option<Instant>,
}

/// What the tasks of machines work with.
#[derive(Clone, Debug)]
struct Behind {
    site: Site,
    upstream: Arc<Upstream>,
    place: Place,
    entries: Arc<Mutex<HashMap<Ticket, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    launch: Launch,
    state: State,
    address: Option<Ipv4Addr>,
    /// It was told to go.
    leaving: bool,
    /// Since when it drains, in the region's time and in that of this machine.
    draining: Option<(SystemTime, Instant)>,
    /// Its end has begun.
    ending: bool,
    /// When it was gone.
    gone: Option<SystemTime>,
    /// The time on a CPU that it had used, and when that was, in the time of this machine.
    used: Option<(Duration, Instant)>,
}

impl Booted {
    /// None yet.
    pub(crate) fn new(site: Site, upstream: Arc<Upstream>, place: Place) -> Self {
        let behind = Behind { site, upstream, place, entries: Arc::default() };
        Self { behind, tasks: JoinSet::new(), looked: None }
    }

    /// What is under way, for the region to end.
    pub(crate) fn take_tasks(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.tasks)
    }

    /// Pulls the plug of one.
    pub(crate) fn kill(&mut self, ticket: Ticket) {
        if let Some(id) = self.behind.id(ticket) {
            let machines = self.behind.site.machines.clone();
            // If it does not end, that is seen.
            self.tasks.spawn(async move { drop(machines.cut_power(&id).await) });
        }
    }

    /// Begins the end of all that have drained, or that went off by themselves.
    fn end_what_is_due(&mut self, now: SystemTime) {
        let look = self.looked.is_none_or(|at| at.elapsed() >= LOOK);
        if look {
            self.looked = Some(Instant::now());
        }
        let mut due = Vec::new();
        let site = &self.behind.site;
        for (ticket, entry) in self.behind.entries().iter_mut().filter(|(_, entry)| !entry.ending) {
            let (State::Running(identity) | State::Draining(identity)) = entry.state.clone() else { continue };
            if look && !site.machines.is_on(&identity.id) {
                (entry.state, entry.ending, entry.gone) = (State::Terminated(identity), true, Some(now));
                due.push(*ticket);
            } else if entry.draining.is_some_and(|began| drained(site, entry, &identity.id, began, now)) {
                (entry.state, entry.ending) = (State::ShuttingDown(identity), true);
                due.push(*ticket);
            }
        }
        for ticket in due {
            self.tasks.spawn(self.behind.clone().end(ticket, now));
        }
    }
}

/// Whether a machine has had its time to finish what it has. Compressed time ends nothing that is under way.
fn drained(site: &Site, entry: &Entry, id: &str, began: (SystemTime, Instant), now: SystemTime) -> bool {
    let delays = entry.launch.target_groups.iter().map(|arn| site.balancer.deregistration_delay(arn));
    let delay = delays.max().unwrap_or_default();
    since(began.0, now) >= delay && (site.balancer.in_flight(id) == 0 || began.1.elapsed() >= delay)
}

impl Behind {
    fn entries(&self) -> MutexGuard<'_, HashMap<Ticket, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, ticket: Ticket) -> Option<String> {
        self.entries().get(&ticket)?.state.identity().map(|identity| identity.id.clone())
    }

    fn to(&self, ticket: Ticket, state: State) {
        if let Some(entry) = self.entries().get_mut(&ticket) {
            entry.state = state;
        }
    }

    /// Takes a machine into its target groups, unless it was told to go meanwhile: then it ends at once.
    async fn serve(&self, launch: &Launch, identity: Identity, address: Ipv4Addr) {
        let leaving = {
            let mut entries = self.entries();
            let Some(entry) = entries.get_mut(&launch.ticket) else { return };
            entry.ending = entry.leaving;
            entry.state =
                if entry.leaving { State::ShuttingDown(identity.clone()) } else { State::Running(identity.clone()) };
            entry.leaving
        };
        if leaving {
            return self.clone().end(launch.ticket, SystemTime::now()).await;
        }
        for arn in &launch.target_groups {
            // A machine without a place is unused, which is what is told about it.
            let _full = self.site.balancer.register(arn, &identity.id, address);
            // It is the balancer that tells of health; that it is a target there is for those who list targets.
            let _unlisted = self.upstream.ask(ELB, "RegisterTargets", targets(arn, &identity.id)).await;
        }
    }

    /// Powers a machine off, as EC2 does, and removes it.
    async fn end(self, ticket: Ticket, now: SystemTime) {
        let (id, launch, address) = {
            let entries = self.entries();
            let Some(entry) = entries.get(&ticket) else { return };
            let Some(identity) = entry.state.identity() else { return };
            (identity.id.clone(), entry.launch.clone(), entry.address)
        };
        let began = Instant::now();
        for arn in &launch.target_groups {
            self.site.balancer.remove(arn, &id);
            let _unlisted = self.upstream.ask(ELB, "DeregisterTargets", targets(arn, &id)).await;
        }
        // One that does not power off has its plug pulled.
        let _stuck = self.site.machines.power_off(&id).await;
        if let Err(error) = self.site.machines.remove(&id).await {
            complain(error);
        }
        if let Some(address) = address {
            self.site.metadata.remove(address);
        }
        let parameters = Tree::new().with("InstanceId", Tree::list([Tree::leaf(&id)]));
        if let Err(failure) = self.upstream.ask(EC2, "TerminateInstances", parameters).await {
            complain(failure);
        }
        if let Some(entry) = self.entries().get_mut(&ticket) {
            if let Some(identity) = entry.state.identity().cloned() {
                entry.state = State::Terminated(identity);
            }
            entry.gone.get_or_insert(now + began.elapsed());
        }
    }
}

fn targets(arn: &str, id: &str) -> Tree {
    Tree::new().set("TargetGroupArn", arn).with("Targets", Tree::list([Tree::new().set("Id", id)]))
}

impl Instances for Booted {
    fn step(&mut self, now: SystemTime) {
        while self.tasks.try_join_next().is_some() {}
        self.end_what_is_due(now);
        self.behind.entries().retain(|_, entry| entry.gone.is_none_or(|at| since(at, now) < REMEMBERED));
    }

    fn launch(&mut self, launch: &Launch, now: SystemTime) {
        let entry = Entry {
            launch: launch.clone(),
            state: State::Requested,
            address: None,
            leaving: false,
            draining: None,
            ending: false,
            gone: None,
            used: None,
        };
        self.behind.entries().insert(launch.ticket, entry);
        self.tasks.spawn(self.behind.clone().launch(launch.clone(), now));
    }

    fn terminate(&mut self, ticket: Ticket, now: SystemTime) {
        let mut entries = self.behind.entries();
        let Some(entry) = entries.get_mut(&ticket).filter(|entry| !entry.leaving) else { return };
        entry.leaving = true;
        if let State::Running(identity) = entry.state.clone() {
            for arn in &entry.launch.target_groups {
                self.behind.site.balancer.drain(arn, &identity.id);
            }
            entry.draining = Some((now, Instant::now()));
            entry.state = State::Draining(identity);
        }
    }

    fn state(&self, ticket: Ticket, _: SystemTime) -> Option<State> {
        self.behind.entries().get(&ticket).map(|entry| entry.state.clone())
    }

    fn target(&self, ticket: Ticket, _: SystemTime) -> Target {
        let groups = self.behind.entries().get(&ticket).map(|entry| entry.launch.target_groups.clone());
        let (Some(id), Some(groups)) = (self.behind.id(ticket), groups) else { return Target::Unused };
        // As Auto Scaling has it: unhealthy in one group is unhealthy.
        let all: Vec<_> = groups.iter().map(|arn| self.behind.site.balancer.target(arn, &id)).collect();
        let worst = all.iter().find(|target| **target != Target::Healthy).or(all.first());
        worst.cloned().unwrap_or(Target::Unused)
    }

    fn errs(&self, ticket: Ticket, _: SystemTime) -> bool {
        self.behind.id(ticket).is_some_and(|id| self.behind.site.balancer.fails(&id))
    }

    fn cpu(&mut self, ticket: Ticket) -> Option<f64> {
        let site = &self.behind.site;
        let mut entries = self.behind.entries();
        let entry = entries.get_mut(&ticket)?;
        let used = (site.machines.cpu(&entry.state.identity()?.id)?, Instant::now());
        let (before, at) = entry.used.replace(used)?;
        let elapsed = used.1.duration_since(at).as_secs_f64().max(1e-3);
        Some(used.0.saturating_sub(before).as_secs_f64() / elapsed / site.allowance().cpus * 100.0)
    }
}
