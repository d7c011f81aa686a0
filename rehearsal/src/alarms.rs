//! The states of CloudWatch alarms, where nobody behind keeps them.

use std::collections::BTreeMap;
use std::time::SystemTime;

/// What CloudWatch says of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// Within its threshold.
    Ok,
    /// Gone off.
    Alarm,
    /// Not enough datapoints to say.
    InsufficientData,
}

impl AlarmState {
    /// The name of it in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    /// The state that the API names `name`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData].into_iter().find(|state| state.as_str() == name)
    }
}

/// Alarms by name, each with its state and since when it is in it.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    known: BTreeMap<String, (AlarmState, SystemTime)>,
}

impl Alarms {
    pub(crate) fn set(&mut self, name: &str, state: AlarmState, now: SystemTime) {
        let known = self.known.entry(name.to_owned()).or_insert((state, now));
        if known.0 != state {
            *known = (state, now);
        }
    }

    pub(crate) fn state(&self, name: &str) -> Option<AlarmState> {
        self.known.get(name).map(|(state, _)| *state)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, AlarmState, SystemTime)> {
        self.known.iter().map(|(name, (state, since))| (name.as_str(), *state, *since))
    }
}
