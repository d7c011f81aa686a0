//! What really exists: machines that take time to boot, answer health checks or do not, drain and go.

pub mod booted;
pub mod modelled;
pub mod upstream;

use std::time::{Duration, SystemTime};

/// The number under which the group knows a machine from before it has an id.
pub type Ticket = u64;

/// What is to be launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The number under which the group will ask about it.
    pub ticket: Ticket,
    /// The Auto Scaling group.
    pub group: String,
    /// The launch template's id, or its name where the group was given only that.
    pub template: String,
    /// The version of the launch template: a number, `$Latest` or `$Default`.
    pub version: String,
    /// The instance type where the group, not the template, says it.
    pub instance_type: Option<String>,
    /// The Availability Zone, as `eu-west-1a`.
    pub zone: String,
    /// The subnet in that zone, where there are subnets.
    pub subnet: Option<String>,
    /// Target groups to register with.
    pub target_groups: Vec<String>,
    /// Tags of the group that the instance inherits, name and value.
    pub tags: Vec<(String, String)>,
    /// It has been running for a day, as far as anybody can see. Where machines are modelled only.
    pub running: bool,
}

/// Where a machine is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for; it has no id yet.
    Requested,
    /// There will be none: what EC2 said.
    Refused(String),
    /// It has an id and boots.
    Pending(Identity),
    /// It runs, whatever its targets say.
    Running(Identity),
    /// It takes no more requests and finishes those it has.
    Draining(Identity),
    /// It is being stopped.
    ShuttingDown(Identity),
    /// It is gone, asked for or not.
    Terminated(Identity),
}

impl State {
    /// The machine's identity, once it has one.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Requested | Self::Refused(_) => None,
            Self::Pending(it)
            | Self::Running(it)
            | Self::Draining(it)
            | Self::ShuttingDown(it)
            | Self::Terminated(it) => Some(it),
        }
    }
}

/// What EC2 gave the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `i-…`
    pub id: String,
    /// `t3.small`
    pub instance_type: String,
    /// The image, `ami-…`, where it is known.
    pub image: Option<String>,
}

/// What the load balancer says of a machine as a target, in the words of DescribeTargetHealth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Registered; the first health checks are not through.
    Initial,
    /// Passes its health checks.
    Healthy,
    /// Fails them, and how.
    Unhealthy {
        /// `Target.FailedHealthChecks`, `Target.Timeout`, `Target.ResponseCodeMismatch`
        reason: &'static str,
        /// For people.
        description: String,
    },
    /// Deregistered, and finishing what it has.
    Draining,
    /// Not registered.
    Unused,
}

/// Whoever launches and terminates. Nothing here waits: a machine's state is asked again at the next step.
pub trait Instances: Send {
    /// Does what is due at `now`; called before it is asked about anything then.
    fn step(&mut self, now: SystemTime) {
        let _nothing_is = now;
    }

    /// Begins to launch.
    fn launch(&mut self, launch: &Launch, now: SystemTime);

    /// Begins to take it out of its target groups, and to terminate it when it has drained.
    fn terminate(&mut self, ticket: Ticket, now: SystemTime);

    /// Where it is now. `None`: never heard of, or gone for an hour.
    fn state(&self, ticket: Ticket, now: SystemTime) -> Option<State>;

    /// What the load balancer says of it now.
    fn target(&self, ticket: Ticket, now: SystemTime) -> Target;

    /// Whether it fails requests, being healthy by its health check.
    fn errs(&self, ticket: Ticket, now: SystemTime) -> bool;

    /// Per cent of its CPUs that it has used since this was last asked. `None`: not known, or not yet.
    fn cpu(&mut self, ticket: Ticket) -> Option<f64> {
        let _has_none = ticket;
        None
    }
}

/// How long modelled machines take for what, in the region's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From being asked for to running.
    pub boot: Duration,
    /// From running to the first passed health checks.
    pub healthy: Duration,
    /// From running to the verdict that it fails its health checks.
    pub unhealthy: Duration,
    /// From deregistered to drained.
    pub drain: Duration,
    /// From drained to gone.
    pub shut_down: Duration,
}

impl Default for Times {
    /// Plausible, and following from the defaults of the infrastructure: checks every 10 s, two of them decide, 30 s to drain.
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(15),
            healthy: Duration::from_secs(25),
            unhealthy: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            shut_down: Duration::from_secs(10),
        }
    }
}
