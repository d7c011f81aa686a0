//! What one look at the fleet showed, and what has changed since the look before.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::aws::Alarm;
use crate::group::{Group, Instance};
use crate::refresh::Refresh;

/// One look.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// The group with its instances and their targets' health.
    pub group: Group,
    /// The refresh that is watched.
    pub refresh: Option<Refresh>,
    /// The alarms that it goes back for.
    pub alarms: Vec<Alarm>,
}

impl Snapshot {
    /// Whether capacity is there and everything in service is healthy: no more, no less.
    pub fn is_well(&self) -> bool {
        let (well, others) = self.wellness();
        others == 0 && well >= self.group.desired
    }

    /// Instances that are well, and those that stay and are not.
    pub fn wellness(&self) -> (usize, usize) {
        let targets = !self.group.target_groups.is_empty();
        // Who stands by was taken out of service by somebody, and does not count as capacity.
        let counted = || self.group.staying().filter(|instance| !instance.state.contains("Standby"));
        let well = counted().filter(|instance| instance.is_well(targets)).count();
        (well, counted().count() - well)
    }

    /// All of it in one line.
    pub fn line(&self) -> String {
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in &self.group.instances {
            *versions.entry(instance.version.as_deref().unwrap_or("none")).or_default() += 1;
        }
        let versions: Vec<String> =
            versions.iter().map(|(version, count)| format!("{count} of version {version}")).collect();
        let versions = if versions.is_empty() { "no instance".to_owned() } else { versions.join(", ") };
        let mut line = self.refresh.as_ref().map(|refresh| standing(refresh) + ": ").unwrap_or_default();
        line += &format!("{versions}; {} of {} desired are healthy", self.wellness().0, self.group.desired);
        if !self.alarms.is_empty() {
            line += &format!("; alarms: {}", self.alarms_line());
        }
        line
    }

    /// The alarms in one line.
    pub fn alarms_line(&self) -> String {
        let alarms: Vec<String> = self.alarms.iter().map(|alarm| format!("{} {}", alarm.name, alarm.state)).collect();
        alarms.join(", ")
    }

    /// What is other than it was `before`, a line each.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if let Some(refresh) = &self.refresh {
            let (now, was) = (standing(refresh), before.refresh.as_ref().map(standing));
            if was.as_ref() != Some(&now) {
                changes.push(now);
            }
            let was = before.refresh.as_ref().and_then(|refresh| refresh.reason.as_ref());
            if let Some(reason) = refresh.reason.as_ref().filter(|reason| Some(*reason) != was) {
                changes.push(reason.clone());
            }
        }
        let find = |list: &[Instance], id: &str| list.iter().find(|one| one.id == id).cloned();
        for instance in &self.group.instances {
            let now = condition(instance);
            match find(&before.group.instances, &instance.id).map(|instance| condition(&instance)) {
                None => changes.push(format!("{}: {now}", who(instance))),
                Some(was) if was != now => changes.push(format!("{}: {was} → {now}", who(instance))),
                Some(_) => {}
            }
        }
        let gone = before.group.instances.iter().filter(|one| find(&self.group.instances, &one.id).is_none());
        changes.extend(gone.map(|instance| format!("{}: gone", who(instance))));
        for alarm in &self.alarms {
            let was = before.alarms.iter().find(|one| one.name == alarm.name);
            if let Some(was) = was.filter(|was| was.state != alarm.state) {
                changes.push(format!("alarm {}: {} → {}", alarm.name, was.state, alarm.state));
            }
        }
        changes
    }
}

fn standing(refresh: &Refresh) -> String {
    let left = refresh.to_update.filter(|left| *left > 0).map(|left| format!(", {left} to go")).unwrap_or_default();
    format!("{:?} {} %{left}", refresh.status, refresh.percent)
}

fn who(instance: &Instance) -> String {
    format!("{} (version {})", instance.id, instance.version.as_deref().unwrap_or("none"))
}

/// How an instance is: its state, what the balancer says, and the group where it disagrees.
pub fn condition(instance: &Instance) -> String {
    let mut condition = instance.state.clone();
    if let Some(target) = &instance.target {
        condition += &format!(", {target}");
    }
    if instance.health.eq_ignore_ascii_case("unhealthy") {
        condition += ", to be replaced";
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::{group, instance};
    use crate::refresh::Status;
    use crate::refresh::tests::refresh;

    fn snapshot(status: Status, instances: &[Instance], alarm: &str) -> Snapshot {
        let group = Group { instances: instances.to_vec(), desired: 1, ..group("6", &[]) };
        let alarms = vec![Alarm { name: "5xx".to_owned(), state: alarm.to_owned() }];
        Snapshot { group, refresh: Some(refresh(status, "7")), alarms }
    }

    #[test]
    fn changes_are_told_and_nothing_else() {
        let before = snapshot(Status::Pending, &[instance("i-1", "6", "InService")], "OK");
        assert!(before.changes(&before).is_empty());
        let mut leaving = instance("i-1", "6", "Terminating");
        leaving.target = Some("draining".to_owned());
        let after = snapshot(Status::InProgress, &[leaving, instance("i-2", "7", "Pending")], "ALARM");
        assert_eq!(
            after.changes(&before),
            [
                "InProgress 50 %, 1 to go",
                "i-1 (version 6): InService, healthy → Terminating, draining",
                "i-2 (version 7): Pending, healthy",
                "alarm 5xx: OK → ALARM",
            ]
        );
        assert_eq!(before.changes(&after)[2], "i-2 (version 7): gone");
    }

    #[test]
    fn one_line_says_it_all() {
        let look = snapshot(Status::InProgress, &[instance("i-1", "6", "InService")], "OK");
        assert_eq!(look.line(), "InProgress 50 %, 1 to go: 1 of version 6; 1 of 1 desired are healthy; alarms: 5xx OK");
    }

    #[test]
    fn a_fleet_is_well_when_capacity_is_there_and_healthy() {
        let with = |instances: &[Instance]| snapshot(Status::Successful, instances, "OK").is_well();
        let well = instance("i-1", "7", "InService");
        assert!(with(std::slice::from_ref(&well)));
        assert!(!with(&[]), "too few");
        assert!(!with(&[well.clone(), instance("i-2", "7", "Pending")]), "one is on its way");
        assert!(with(&[well.clone(), instance("i-2", "7", "Terminating")]), "one leaves");
        let unhealthy = Instance { target: Some("unhealthy".to_owned()), ..well.clone() };
        assert!(!with(&[unhealthy]));
        let unknown = Instance { target: None, ..well };
        assert!(!with(std::slice::from_ref(&unknown)), "the balancer does not know it");
        let mut look = snapshot(Status::Successful, &[unknown], "OK");
        look.group.target_groups.clear();
        assert!(look.is_well(), "nobody asks a balancer");
    }
}
