//! Machines that are rows of a table.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::{Identity, Instances, Launch, State, Target, Ticket, Times};

/// How long a machine that is gone can still be asked about, as on EC2.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How the machines of one version of the launch template behave.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Behaviour {
    /// They boot, pass their health checks and serve.
    #[default]
    Healthy,
    /// They boot and never pass a health check.
    NeverHealthy,
    /// They pass their health checks and fail requests: the alarm [`Settings::errors_alarm`](crate::Settings) goes off two
    /// minutes later, and is OK again two minutes after the last of them.
    Errors,
    /// As healthy, but only so long after they run.
    HealthyAfter(Duration),
    /// Healthy until so long after they run, and then no more.
    HealthyFor(Duration),
    /// EC2 launches none of them, and says why.
    Refused(String),
}

/// The table.
#[derive(Debug, Default)]
pub struct Modelled {
    times: Times,
    behaviours: BTreeMap<String, Behaviour>,
    machines: HashMap<Ticket, Machine>,
    forgot: Option<SystemTime>,
}

#[derive(Debug)]
struct Machine {
    identity: Identity,
    version: String,
    registered: bool,
    /// When it runs, or ran.
    runs: SystemTime,
    refused: Option<String>,
    /// When it was told to go, or when it died.
    ending: Option<(SystemTime, Ending)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Terminated,
    Died,
}

impl Modelled {
    /// A table with nothing in it.
    pub fn new(times: Times) -> Self {
        Self { times, ..Self::default() }
    }

    /// Says how the machines of a version behave from now on, those that run included.
    pub fn behave(&mut self, version: &str, behaviour: Behaviour) {
        self.behaviours.insert(version.to_owned(), behaviour);
    }

    /// Begins to launch a machine that has this identity.
    pub fn launch_as(&mut self, launch: &Launch, identity: Identity, now: SystemTime) {
        self.forget(now);
        let refused = match self.behaviours.get(&launch.version) {
            Some(Behaviour::Refused(why)) => Some(why.clone()),
            _ => None,
        };
        let machine = Machine {
            identity,
            version: launch.version.clone(),
            registered: !launch.target_groups.is_empty(),
            runs: if launch.running { now - Duration::from_secs(24 * 3600) } else { now + self.times.boot },
            ending: refused.is_some().then_some((now, Ending::Died)),
            refused,
        };
        self.machines.insert(launch.ticket, machine);
    }

    /// A machine is gone from one moment to the next: a power cut.
    pub fn kill(&mut self, ticket: Ticket, now: SystemTime) {
        if let Some(machine) = self.machines.get_mut(&ticket) {
            machine.ending.get_or_insert((now, Ending::Died));
        }
    }

    fn behaviour(&self, machine: &Machine) -> &Behaviour {
        self.behaviours.get(&machine.version).unwrap_or(&Behaviour::Healthy)
    }

    /// Once for all that are launched at the same time.
    fn forget(&mut self, now: SystemTime) {
        if self.forgot.replace(now) == Some(now) {
            return;
        }
        let kept = self.times.drain + self.times.shut_down + REMEMBERED;
        self.machines.retain(|_, machine| machine.ending.is_none_or(|(at, _)| since(at, now) < kept));
    }
}

fn since(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or_default()
}

impl Instances for Modelled {
    fn launch(&mut self, launch: &Launch, now: SystemTime) {
        let identity = Identity {
            // Seventeen hexadecimal digits as EC2's, and the same in every run: an odd factor keeps different tickets different.
            id: format!("i-0{:016x}", launch.ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            instance_type: launch.instance_type.clone().unwrap_or_else(|| "t3.small".to_owned()),
            image: None,
        };
        self.launch_as(launch, identity, now);
    }

    fn terminate(&mut self, ticket: Ticket, now: SystemTime) {
        if let Some(machine) = self.machines.get_mut(&ticket) {
            machine.ending.get_or_insert((now, Ending::Terminated));
        }
    }

    fn state(&self, ticket: Ticket, now: SystemTime) -> Option<State> {
        let machine = self.machines.get(&ticket)?;
        if let Some(why) = &machine.refused {
            return Some(State::Refused(why.clone()));
        }
        let identity = machine.identity.clone();
        let drain = if machine.registered { self.times.drain } else { Duration::ZERO };
        Some(match machine.ending.map(|(at, ending)| (since(at, now), ending)) {
            Some((_, Ending::Died)) => State::Terminated(identity),
            Some((passed, _)) if passed < drain => State::Draining(identity),
            Some((passed, _)) if passed < drain + self.times.shut_down => State::ShuttingDown(identity),
            Some(_) => State::Terminated(identity),
            None if machine.runs <= now => State::Running(identity),
            None => State::Pending(identity),
        })
    }

    fn target(&self, ticket: Ticket, now: SystemTime) -> Target {
        let Some(machine) = self.machines.get(&ticket).filter(|machine| machine.registered) else {
            return Target::Unused;
        };
        match machine.ending {
            Some((_, Ending::Died)) => {
                return Target::Unhealthy { reason: "Target.Timeout", description: "Request timed out".to_owned() };
            }
            Some((at, Ending::Terminated)) if since(at, now) < self.times.drain => return Target::Draining,
            Some(_) => return Target::Unused,
            None => {}
        }
        let Ok(running) = now.duration_since(machine.runs) else { return Target::Initial };
        let (from, until) = match self.behaviour(machine) {
            Behaviour::NeverHealthy => (Duration::MAX, Duration::MAX),
            Behaviour::HealthyAfter(after) => (*after, Duration::MAX),
            Behaviour::HealthyFor(length) => (self.times.healthy, *length),
            _ => (self.times.healthy, Duration::MAX),
        };
        if running >= from && running < until {
            Target::Healthy
        } else if running < self.times.unhealthy {
            Target::Initial
        } else {
            Target::Unhealthy { reason: "Target.FailedHealthChecks", description: "Health checks failed".to_owned() }
        }
    }

    fn errs(&self, ticket: Ticket, now: SystemTime) -> bool {
        self.target(ticket, now) == Target::Healthy
            && self.machines.get(&ticket).is_some_and(|machine| *self.behaviour(machine) == Behaviour::Errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(ticket: Ticket, version: &str) -> Launch {
        Launch {
            ticket,
            group: "tideline".to_owned(),
            template: "lt-1".to_owned(),
            version: version.to_owned(),
            instance_type: None,
            zone: "eu-west-1a".to_owned(),
            subnet: None,
            target_groups: vec!["arn".to_owned()],
            tags: Vec::new(),
            running: false,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn boots_serves_drains_and_is_forgotten() {
        let mut machines = Modelled::new(Times::default());
        machines.launch(&launch(1, "1"), at(0));
        assert!(matches!(machines.state(1, at(14)), Some(State::Pending(_))));
        assert!(matches!(machines.state(1, at(15)), Some(State::Running(_))));
        assert_eq!(machines.target(1, at(39)), Target::Initial);
        assert_eq!(machines.target(1, at(40)), Target::Healthy);
        machines.terminate(1, at(100));
        assert_eq!(machines.target(1, at(129)), Target::Draining);
        assert_eq!(machines.target(1, at(130)), Target::Unused);
        assert!(matches!(machines.state(1, at(139)), Some(State::ShuttingDown(_))));
        assert!(matches!(machines.state(1, at(140)), Some(State::Terminated(_))));
        machines.launch(&launch(2, "1"), at(100 + 40 + 3600));
        assert_eq!(machines.state(1, at(4000)), None);
    }

    #[test]
    fn behaves_as_told() {
        let mut machines = Modelled::new(Times::default());
        machines.behave("2", Behaviour::NeverHealthy);
        machines.behave("3", Behaviour::Errors);
        machines.behave("4", Behaviour::HealthyFor(Duration::from_secs(60)));
        machines.behave("5", Behaviour::Refused("no capacity".to_owned()));
        for version in 1..=5 {
            machines.launch(&launch(version, &version.to_string()), at(0));
        }
        assert!(matches!(machines.target(2, at(45)), Target::Unhealthy { .. }));
        assert!(!machines.errs(1, at(45)) && machines.errs(3, at(45)) && !machines.errs(3, at(20)));
        assert_eq!(machines.target(4, at(45)), Target::Healthy);
        assert!(matches!(machines.target(4, at(75)), Target::Unhealthy { .. }));
        assert_eq!(machines.state(5, at(1)), Some(State::Refused("no capacity".to_owned())));
        machines.kill(1, at(50));
        assert!(matches!(machines.state(1, at(50)), Some(State::Terminated(_))));
    }
}
