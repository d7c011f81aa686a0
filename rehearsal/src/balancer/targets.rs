//! The targets of one target group: their stages, what HAProxy is to be told about them, and what it says of them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::config::{SLOTS, backend, server};
use super::runtime::Row;
use super::settings::{HealthCheck, TargetGroup};
use crate::instances::Target;

/// How long after an answer of 5xx a target counts as one that fails requests: until that was seen.
const FAILING: Duration = Duration::from_secs(1);

/// The targets of a group, each in a slot of HAProxy's.
#[derive(Debug)]
pub(super) struct Targets {
    slots: Vec<Option<Slot>>,
}

#[derive(Debug)]
struct Slot {
    id: String,
    address: Ipv4Addr,
    stage: Stage,
    /// Whether HAProxy knows of the stage.
    told: bool,
    since: Instant,
    row: Row,
    failed: Option<Instant>,
}

/// What is to become of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It serves as soon as it passes one health check, whatever the threshold for one that has been unhealthy.
    Initial,
    /// It is HAProxy's to judge.
    Serving,
    /// It gets no more requests.
    Draining,
    /// Its last connections are cut, and its slot is free then.
    Leaving,
}

impl Default for Targets {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }
}

impl Targets {
    /// Takes a target in. Returns whether there was a place for it.
    pub(super) fn register(&mut self, id: &str, address: Ipv4Addr, now: Instant) -> bool {
        if self.find(id).is_some() {
            return true;
        }
        let free = self.slots.iter_mut().find(|slot| slot.is_none());
        let found = free.is_some();
        if let Some(slot) = free {
            *slot = Some(Slot {
                id: id.to_owned(),
                address,
                stage: Stage::Initial,
                told: false,
                since: now,
                row: Row::default(),
                failed: None,
            });
        }
        found
    }

    pub(super) fn drain(&mut self, id: &str) {
        self.to(id, Stage::Draining);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.to(id, Stage::Leaving);
    }

    fn to(&mut self, id: &str, stage: Stage) {
        let slot = self.slots.iter_mut().flatten().find(|slot| slot.id == id);
        if let Some(slot) = slot.filter(|slot| slot.stage != stage && slot.stage != Stage::Leaving) {
            (slot.stage, slot.told) = (stage, false);
        }
    }

    fn find(&self, id: &str) -> Option<&Slot> {
        self.slots.iter().flatten().find(|slot| slot.id == id)
    }

    /// What HAProxy is to be told now, of group number `group`.
    pub(super) fn commands(&mut self, group: usize, port: u16, now: Instant) -> Vec<String> {
        let mut commands = Vec::new();
        for (number, place) in self.slots.iter_mut().enumerate() {
            let Some(slot) = place else { continue };
            let name = format!("{}/{}", backend(group), server(number));
            let set = |what: &str| format!("set server {name} {what}");
            if !slot.told {
                slot.told = true;
                // Nobody checked it before.
                slot.since = now;
                match slot.stage {
                    // Leaving maintenance makes it healthy; while it drains, that does not matter.
                    Stage::Initial => commands.extend([
                        set(&format!("addr {} port {port}", slot.address)),
                        set("state drain"),
                        set("health down"),
                        set("state ready"),
                    ]),
                    Stage::Serving => {}
                    Stage::Draining => commands.push(set("state drain")),
                    Stage::Leaving => {
                        commands.extend([set("state maint"), format!("shutdown sessions server {name}")]);
                        *place = None;
                    }
                }
            } else if slot.stage == Stage::Initial && passes(&slot.row) {
                slot.stage = Stage::Serving;
                commands.push(set("health up"));
            }
        }
        commands
    }

    /// Takes in what HAProxy says.
    pub(super) fn see(&mut self, group: usize, rows: &[Row], now: Instant) {
        let backend = backend(group);
        for row in rows.iter().filter(|row| row.backend == backend) {
            let number = row.server.strip_prefix("target").and_then(|number| number.parse::<usize>().ok());
            let slot = number.and_then(|number| self.slots.get_mut(number)).and_then(Option::as_mut);
            let Some(slot) = slot.filter(|slot| slot.told) else { continue };
            // Of a place that somebody else had before, all failures are old ones.
            if row.failed > slot.row.failed && !slot.row.status.is_empty() {
                slot.failed = Some(now);
            }
            slot.row = row.clone();
        }
    }

    /// A new process of HAProxy knows those that `serving` gives, and must be told about the others.
    pub(super) fn forget_told(&mut self) {
        for slot in self.slots.iter_mut().flatten().filter(|slot| !slot.serves()) {
            if slot.stage == Stage::Serving {
                slot.stage = Stage::Initial;
            }
            slot.told = false;
        }
    }

    /// Addresses of the healthy targets, by slot.
    pub(super) fn serving(&self) -> Vec<Option<Ipv4Addr>> {
        self.slots.iter().map(|slot| slot.as_ref().filter(|slot| slot.serves()).map(|slot| slot.address)).collect()
    }

    /// In the words of DescribeTargetHealth.
    pub(super) fn target(&self, id: &str, group: &TargetGroup, now: Instant) -> Target {
        let Some(slot) = self.find(id) else { return Target::Unused };
        match slot.stage {
            Stage::Draining => Target::Draining,
            Stage::Leaving => Target::Unused,
            Stage::Serving if slot.row.status.starts_with("UP") => Target::Healthy,
            Stage::Initial if now.duration_since(slot.since) < verdict(&group.check) => Target::Initial,
            _ => unhealthy(&slot.row),
        }
    }

    /// Requests that it has now.
    pub(super) fn in_flight(&self, id: &str) -> u64 {
        self.find(id).map_or(0, |slot| slot.row.current)
    }

    /// The name of its place, as HAProxy has it.
    pub(super) fn place(&self, id: &str) -> Option<String> {
        let at = self.slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.id == id));
        at.map(server)
    }

    /// Whether it answered 5xx lately.
    pub(super) fn fails(&self, id: &str, now: Instant) -> bool {
        let failed = self.find(id).and_then(|slot| slot.failed);
        failed.is_some_and(|at| now.duration_since(at) < FAILING)
    }
}

impl Slot {
    fn serves(&self) -> bool {
        self.stage == Stage::Serving && self.row.status.starts_with("UP")
    }
}

/// Whether the last check was passed, though HAProxy would like to see more of them.
fn passes(row: &Row) -> bool {
    row.status.starts_with("UP") || (row.status.starts_with("DOWN ") && row.check == "L7OK")
}

/// When a target that has passed no check is unhealthy.
fn verdict(check: &HealthCheck) -> Duration {
    check.interval * check.unhealthy + check.timeout
}

fn unhealthy(row: &Row) -> Target {
    let (reason, description) = match row.check.as_str() {
        "L7STS" => ("Target.ResponseCodeMismatch", format!("Health checks failed with these codes: [{}]", row.code)),
        "L4TOUT" | "L6TOUT" | "L7TOUT" => ("Target.Timeout", "Request timed out".to_owned()),
        _ => ("Target.FailedHealthChecks", "Health checks failed".to_owned()),
    };
    Target::Unhealthy { reason, description }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::settings::example;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    fn row(status: &str, check: &str, failed: u64) -> Row {
        Row {
            backend: "group0".to_owned(),
            server: "target0".to_owned(),
            status: status.to_owned(),
            check: check.to_owned(),
            code: "503".to_owned(),
            current: 1,
            failed,
            ..Row::default()
        }
    }

    #[test]
    fn serves_after_one_passed_check_and_drains_before_it_is_cut() {
        let (group, now, mut targets) = (example().target_groups.remove(0), Instant::now(), Targets::default());
        assert!(targets.register("i-1", ADDRESS, now));
        let told = targets.commands(0, 8080, now);
        assert_eq!(told.first().unwrap(), "set server group0/target0 addr 10.0.0.7 port 8080");
        assert_eq!(told.last().unwrap(), "set server group0/target0 state ready");
        targets.see(0, &[row("DOWN", "L4CON", 0)], now);
        assert!(targets.commands(0, 8080, now).is_empty());
        assert_eq!(targets.target("i-1", &group, now), Target::Initial);
        targets.see(0, &[row("DOWN 1/2", "L7OK", 0)], now);
        assert_eq!(targets.commands(0, 8080, now), ["set server group0/target0 health up"]);
        targets.see(0, &[row("UP", "L7OK", 0)], now);
        assert_eq!(targets.target("i-1", &group, now), Target::Healthy);
        assert_eq!(targets.serving()[0], Some(ADDRESS));
        targets.drain("i-1");
        assert_eq!(targets.commands(0, 8080, now), ["set server group0/target0 state drain"]);
        assert_eq!((targets.target("i-1", &group, now), targets.in_flight("i-1")), (Target::Draining, 1));
        assert_eq!(targets.serving()[0], None);
        targets.remove("i-1");
        let told = targets.commands(0, 8080, now);
        assert_eq!(told.last().unwrap(), "shutdown sessions server group0/target0");
        assert_eq!(targets.target("i-1", &group, now), Target::Unused);
    }

    #[test]
    fn says_why_it_is_unhealthy() {
        let (group, now, mut targets) = (example().target_groups.remove(0), Instant::now(), Targets::default());
        targets.register("i-1", ADDRESS, now);
        targets.commands(0, 8080, now);
        targets.see(0, &[row("DOWN", "L7STS", 0)], now);
        // Three checks, 10 s apart, and 5 s for the last.
        let late = now + Duration::from_secs(35);
        assert_eq!(targets.target("i-1", &group, late - Duration::from_secs(1)), Target::Initial);
        let description = "Health checks failed with these codes: [503]".to_owned();
        let unhealthy = Target::Unhealthy { reason: "Target.ResponseCodeMismatch", description };
        assert_eq!(targets.target("i-1", &group, late), unhealthy);
    }

    #[test]
    fn fails_for_a_while_after_an_answer_of_5xx() {
        let (now, mut targets) = (Instant::now(), Targets::default());
        targets.register("i-1", ADDRESS, now);
        targets.commands(0, 8080, now);
        targets.see(0, &[row("UP", "L7OK", 5)], now);
        assert!(!targets.fails("i-1", now), "those of a target before it");
        targets.see(0, &[row("UP", "L7OK", 6)], now);
        assert!(targets.fails("i-1", now) && !targets.fails("i-1", now + FAILING));
    }

    #[test]
    fn has_places_for_so_many_and_no_more() {
        let (now, mut targets) = (Instant::now(), Targets::default());
        for number in 0..SLOTS {
            assert!(targets.register(&format!("i-{number}"), ADDRESS, now));
        }
        assert!(!targets.register("i-more", ADDRESS, now) && targets.register("i-3", ADDRESS, now));
        targets.remove("i-3");
        targets.commands(0, 8080, now);
        assert!(targets.register("i-more", ADDRESS, now));
    }
}
