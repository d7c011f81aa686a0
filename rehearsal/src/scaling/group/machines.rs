//! What a group does with machines: it watches, launches and terminates them.

use std::time::Duration;

use super::{Group, Zone};
use crate::instances::{Launch, State, Target, Ticket};
use crate::scaling::World;
use crate::scaling::activity;
use crate::scaling::configuration::Configuration;
use crate::scaling::instance::{Instance, Lifecycle};
use crate::scaling::refresh::Refresh;

impl Group {
    /// Takes over what machines and targets are now.
    pub(super) fn observe(&mut self, world: &mut World<'_>) {
        let now = world.now;
        let mut gone = Vec::new();
        for instance in &mut self.instances {
            let named = instance.id.is_some();
            instance.target = world.instances.target(instance.ticket, now);
            let Some(state) = world.instances.state(instance.ticket, now) else {
                gone.push(instance.ticket);
                self.activities.end(instance.activity, None, now);
                continue;
            };
            let before = instance.lifecycle;
            instance.observe(&state, now);
            if let (false, Some(id)) = (named, &instance.id)
                && before == Lifecycle::Pending
            {
                self.activities.describe(instance.activity, format!("Launching a new EC2 instance: {id}"));
                self.activities.at(instance.activity, "PreInService", 30);
                self.refusals = (None, 0);
            }
            match (before, &state) {
                (Lifecycle::Pending, State::Refused(why)) => {
                    self.activities.end(instance.activity, Some(format!("{why} Launching EC2 instance failed.")), now);
                    // How long AWS waits is not documented; that it waits longer each time is.
                    let waits = 15 * (1 << self.refusals.1.min(5));
                    self.refusals = (Some(now + Duration::from_secs(waits)), self.refusals.1 + 1);
                    gone.push(instance.ticket);
                }
                (Lifecycle::Pending, State::Running(_)) => self.activities.end(instance.activity, None, now),
                (Lifecycle::Terminating, State::Draining(_)) => {
                    self.activities.at(instance.activity, "WaitingForELBConnectionDraining", 50);
                }
                (Lifecycle::Terminating, State::ShuttingDown(_)) => {
                    self.activities.at(instance.activity, "InProgress", 60);
                }
                (Lifecycle::Terminating, State::Terminated(_) | State::Refused(_)) => {
                    self.activities.end(instance.activity, None, now);
                    gone.push(instance.ticket);
                }
                _ => {}
            }
        }
        self.instances.retain(|instance| !gone.contains(&instance.ticket));
    }

    /// Adds an instance, of which nothing is known yet, to what the group has.
    pub(crate) fn launch(&mut self, world: &mut World<'_>, next: &mut Ticket, cause: &str, running: bool) {
        let now = world.now;
        let configuration = self.launches().clone();
        let zone = self.emptiest_zone().clone();
        let cause = match &self.reason {
            Some(reason) => format!("{reason}  At {} {cause}", activity::moment(now)),
            None => format!("At {} {cause}", activity::moment(now)),
        };
        let details = match &zone.subnet {
            Some(subnet) => format!("{{\"Subnet ID\":\"{subnet}\",\"Availability Zone\":\"{}\"}}", zone.name),
            None => format!("{{\"Availability Zone\":\"{}\"}}", zone.name),
        };
        let activity = self.activities.begin("Launching a new EC2 instance".to_owned(), cause, details, now);
        self.activities.at(activity, "WaitingForInstanceId", 0);
        let types = configuration.instance_types();
        let ticket = *next;
        *next += 1;
        let launch = Launch {
            ticket,
            group: self.name.clone(),
            template: configuration.template.id.clone().or(configuration.template.name.clone()).unwrap_or_default(),
            version: configuration.template.version.clone(),
            instance_type: types.first().cloned(),
            zone: zone.name.clone(),
            subnet: zone.subnet,
            target_groups: self.target_groups.clone(),
            tags: self
                .tags
                .iter()
                .filter(|(_, (_, inherited))| *inherited)
                .map(|(key, (value, _))| (key.clone(), value.clone()))
                .chain([("aws:autoscaling:groupName".to_owned(), self.name.clone())])
                .collect(),
            running,
        };
        world.instances.launch(&launch, now);
        self.instances.push(Instance {
            ticket,
            id: None,
            instance_type: types.first().cloned().unwrap_or_default(),
            image: None,
            zone: zone.name,
            template: configuration.template,
            lifecycle: Lifecycle::Pending,
            in_service: None,
            protected: self.settings.text("NewInstancesProtectedFromScaleIn") == Some("true"),
            target: Target::Unused,
            illness: None,
            activity,
        });
    }

    /// Begins to terminate an instance; returns the number of the activity.
    pub(crate) fn terminate(&mut self, world: &mut World<'_>, ticket: Ticket, cause: String) -> u64 {
        let now = world.now;
        let Some(instance) = self.instances.iter_mut().find(|instance| instance.ticket == ticket) else { return 0 };
        if instance.lifecycle == Lifecycle::Terminating {
            return instance.activity;
        }
        let id = instance.id.clone().unwrap_or_default();
        let details = format!("{{\"Availability Zone\":\"{}\"}}", instance.zone);
        instance.lifecycle = Lifecycle::Terminating;
        instance.activity = self.activities.begin(format!("Terminating EC2 instance: {id}"), cause, details, now);
        world.instances.terminate(ticket, now);
        instance.target = world.instances.target(ticket, now);
        instance.activity
    }

    /// What is launched now: what a refresh brings, while one does.
    pub(crate) fn launches(&self) -> &Configuration {
        let brought = self.refreshes.last().and_then(Refresh::brings);
        brought.unwrap_or(&self.configuration)
    }

    /// Of the zones, the one with the fewest instances that stay; of those, the one with the fewest; the first of these.
    fn emptiest_zone(&self) -> &Zone {
        let held = |zone: &&Zone| {
            let here = self.instances.iter().filter(|it| it.counts() && it.zone == zone.name);
            let leaving = |it: &&Instance| {
                !it.is_healthy() || self.refreshes.last().is_some_and(|refresh| refresh.old.contains(&it.ticket))
            };
            (here.clone().filter(|it| !leaving(it)).count(), here.count())
        };
        // There is always one: a group without zones is refused.
        self.zones.iter().min_by_key(held).unwrap_or(&self.zones[0])
    }

    /// The instances that a test's group has from the beginning.
    pub(crate) fn found_running(&mut self, world: &mut World<'_>, next: &mut Ticket) {
        self.reason = None;
        for _ in 0..self.desired {
            self.launch(
                world,
                next,
                "an instance was started in response to a difference between desired and actual capacity.",
                true,
            );
        }
        self.observe(world);
        for instance in &mut self.instances {
            instance.in_service = Some(world.now - Duration::from_secs(24 * 3600));
        }
    }
}
