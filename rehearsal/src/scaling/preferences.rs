//! The preferences of an instance refresh, with AWS's defaults and bounds.
//!
//! From "Understand the default values for an instance refresh" (user guide) and RefreshPreferences (API reference).

use std::time::Duration;

use super::group::Group;
use crate::protocol::{Failure, Tree};

/// What a refresh does with instances that are protected from scale-in, or in standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are replaced, or terminated, like the others.
    Replaced,
    /// They stay as they are.
    Ignored,
    /// Somebody is waited for who changes that.
    Waited,
}

/// How a refresh is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Preferences {
    sent: Tree,
    pub(crate) min_healthy: u32,
    /// `None`: not given, so that an instance is terminated while its replacement is launched.
    pub(crate) max_healthy: Option<u32>,
    pub(crate) warmup: Duration,
    pub(crate) skip_matching: bool,
    pub(crate) auto_rollback: bool,
    pub(crate) alarms: Vec<String>,
    pub(crate) bake: Duration,
    /// Rising percentages; none is one at 100.
    pub(crate) checkpoints: Vec<u32>,
    pub(crate) checkpoint_delay: Duration,
    pub(crate) protected: Kept,
    pub(crate) standby: Kept,
}

impl Preferences {
    /// Reads `Preferences` of StartInstanceRefresh for a group.
    pub(crate) fn read(sent: Option<&Tree>, group: &Group) -> Result<Self, Failure> {
        let none = Tree::new();
        let sent = sent.unwrap_or(&none);
        let within = |name: &str, low: u32, high: u32| match sent.number::<u32>(name)? {
            Some(value) if value < low || value > high => Err(Failure::validation(format!(
                "1 validation error detected: Value '{value}' at 'preferences.{name}' failed to satisfy constraint: \
                 Member must have value between {low} and {high}"
            ))),
            value => Ok(value),
        };
        let (min, max) = (within("MinHealthyPercentage", 0, 100)?, within("MaxHealthyPercentage", 100, 200)?);
        if max.is_some() && min.is_none() {
            return Err(Failure::validation(
                "If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage.",
            ));
        }
        if let (Some(min), Some(max)) = (min, max)
            && max - min > 100
        {
            return Err(Failure::validation(
                "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.",
            ));
        }
        let policy = group.maintenance();
        let checkpoints: Vec<u32> = sent
            .texts("CheckpointPercentages")
            .iter()
            .map(|text| text.parse().ok().filter(|percent| (1..=100).contains(percent)))
            .collect::<Option<_>>()
            .filter(|percents: &Vec<u32>| percents.windows(2).all(|pair| pair[0] < pair[1]))
            .ok_or_else(|| {
                Failure::validation("CheckpointPercentages must be unique numbers from 1 to 100 in ascending order.")
            })?;
        if checkpoints.is_empty() && sent.text("CheckpointDelay").is_some() {
            return Err(Failure::validation("CheckpointDelay needs CheckpointPercentages."));
        }
        let alarms = sent.texts("AlarmSpecification.Alarms");
        if alarms.len() > 10 {
            return Err(Failure::validation("You can specify up to 10 alarms."));
        }
        let seconds =
            |name: &str, longest| Ok(within(name, 0, longest)?.map(|value| Duration::from_secs(value.into())));
        Ok(Self {
            min_healthy: min.or(policy.map(|(min, _)| min)).unwrap_or(90),
            // The policy's maximum goes with its minimum.
            max_healthy: max.or(policy.filter(|_| min.is_none()).map(|(_, max)| max)),
            warmup: seconds("InstanceWarmup", 3600 * 24)?.unwrap_or_else(|| group.warmup()),
            skip_matching: sent.flag("SkipMatching")?.unwrap_or(false),
            auto_rollback: sent.flag("AutoRollback")?.unwrap_or(false),
            alarms,
            bake: seconds("BakeTime", 172_800)?.unwrap_or_default(),
            checkpoints,
            checkpoint_delay: seconds("CheckpointDelay", 172_800)?.unwrap_or(Duration::from_secs(3600)),
            protected: kept(sent, "ScaleInProtectedInstances", "Refresh")?,
            standby: kept(sent, "StandbyInstances", "Terminate")?,
            sent: sent.clone(),
        })
    }

    /// As DescribeInstanceRefreshes gives them back: what was sent, and what that means.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = self.sent.clone();
        let word = |kept: Kept, replaced: &'static str| match kept {
            Kept::Replaced => replaced,
            Kept::Ignored => "Ignore",
            Kept::Waited => "Wait",
        };
        for (name, value) in [
            ("MinHealthyPercentage", Some(self.min_healthy.to_string())),
            ("MaxHealthyPercentage", self.max_healthy.map(|max| max.to_string())),
            ("InstanceWarmup", Some(self.warmup.as_secs().to_string())),
            ("SkipMatching", Some(self.skip_matching.to_string())),
            ("AutoRollback", Some(self.auto_rollback.to_string())),
            ("BakeTime", Some(self.bake.as_secs().to_string())),
            ("ScaleInProtectedInstances", Some(word(self.protected, "Refresh").to_owned())),
            ("StandbyInstances", Some(word(self.standby, "Terminate").to_owned())),
        ] {
            if let (None, Some(value)) = (tree.get(name), value) {
                tree = tree.set(name, value);
            }
        }
        tree
    }

    /// How many of `desired` must stay in service, healthy and warm while instances are replaced.
    pub(crate) fn floor(&self, desired: usize) -> usize {
        floor(self.min_healthy, self.max_healthy, desired)
    }

    /// How many of `desired` may be in service or pending while instances are replaced.
    pub(crate) fn ceiling(&self, desired: usize) -> usize {
        ceiling(self.min_healthy, self.max_healthy, desired)
    }
}

/// The least that must be ready: the percentage rounded up. Where nothing is launched before something is terminated, at least
/// one instance may go, or nothing ever would.
pub(crate) fn floor(min: u32, max: Option<u32>, desired: usize) -> usize {
    let floor = percent_up(min, desired);
    if max.is_none() { floor.min(desired.saturating_sub(1)) } else { floor }
}

/// The most there may be: the percentage rounded down, but one more than desired where the bounds would otherwise let
/// nothing be replaced; without a maximum, as many as desired.
pub(crate) fn ceiling(min: u32, max: Option<u32>, desired: usize) -> usize {
    let Some(max) = max else { return desired };
    let ceiling = desired * max as usize / 100;
    if ceiling <= desired && percent_up(min, desired) >= desired { desired + 1 } else { ceiling.max(desired) }
}

/// A percentage of a number, rounded up.
pub(crate) fn percent_up(percent: u32, of: usize) -> usize {
    (of * percent as usize).div_ceil(100)
}

fn kept(sent: &Tree, name: &str, replaced: &str) -> Result<Kept, Failure> {
    match sent.text(name) {
        Some(word) if word == replaced => Ok(Kept::Replaced),
        Some("Ignore") => Ok(Kept::Ignored),
        None | Some("Wait") => Ok(Kept::Waited),
        Some(word) => Err(Failure::validation(format!("{name} must be {replaced}, Ignore or Wait, not {word}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RefreshPreferences, MaxHealthyPercentage; "Instance maintenance policy overview", table of examples.
    #[test]
    fn bounds_are_percentages_of_the_desired_capacity() {
        for (min, max, desired, least, most) in [
            (100, Some(150), 2, 2, 3),
            (100, Some(150), 4, 4, 6),
            (100, Some(110), 2, 2, 3),
            (90, Some(120), 10, 9, 12),
            (50, Some(150), 2, 1, 3),
            // Explicit, and impossible to honour: launches before it terminates.
            (100, Some(100), 2, 2, 3),
            (90, Some(100), 2, 2, 3),
            (90, Some(100), 20, 18, 20),
            // Not given: terminates while it launches, one at least.
            (90, None, 2, 1, 2),
            (100, None, 4, 3, 4),
            (50, None, 4, 2, 4),
            (90, None, 1, 0, 1),
        ] {
            let case = format!("{min} to {max:?} of {desired}");
            assert_eq!(floor(min, max, desired), least, "{case}");
            assert_eq!(ceiling(min, max, desired), most, "{case}");
        }
    }
}
