//! The states of CloudWatch alarms: of those that were set here, where nobody behind keeps them, and of those of target tracking.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::protocol::Tree;
use crate::protocol::cbor::Value;
use crate::scaling::{Place, Scaling, TrackingAlarm};

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

/// Where the API's own words are from.
pub(crate) const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";

/// An alarm as DescribeAlarms has it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    arn: String,
    pub(crate) state: AlarmState,
    reason: String,
    since: SystemTime,
}

/// What a call of DescribeAlarms asks about.
pub(crate) struct Wanted<'a> {
    names: Vec<String>,
    prefix: &'a str,
    state: Option<AlarmState>,
    /// Some want only those that are made of others, which nothing here is.
    metric: bool,
}

impl<'a> Wanted<'a> {
    pub(crate) fn read(parameters: &'a Tree) -> Self {
        let types = parameters.texts("AlarmTypes");
        Self {
            names: parameters.texts("AlarmNames"),
            prefix: parameters.text("AlarmNamePrefix").unwrap_or_default(),
            state: parameters.text("StateValue").and_then(AlarmState::named),
            metric: types.is_empty() || types.iter().any(|kind| kind == "MetricAlarm"),
        }
    }

    fn has(&self, name: &str, state: AlarmState) -> bool {
        self.metric
            && (self.names.is_empty() || self.names.iter().any(|each| each == name))
            && name.starts_with(self.prefix)
            && self.state.is_none_or(|wanted| wanted == state)
    }
}

/// Those that were set here.
pub(crate) fn set(alarms: &Alarms, wanted: &Wanted<'_>, place: &Place) -> Vec<Found> {
    let Place { region, account } = place;
    let found = alarms.iter().filter(|(name, state, _)| wanted.has(name, *state)).map(|(name, state, since)| Found {
        name: name.to_owned(),
        arn: format!("arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
        state,
        reason: "Set in the pretend region".to_owned(),
        since,
    });
    found.collect()
}

/// Those of target tracking, which nobody behind knows of.
pub(crate) fn tracking(scaling: &Scaling, wanted: &Wanted<'_>) -> Vec<Found> {
    let found = |alarm: TrackingAlarm<'_>| Found {
        name: alarm.name.to_owned(),
        arn: alarm.arn.to_owned(),
        state: alarm.state,
        reason: "Evaluated in the pretend region".to_owned(),
        since: alarm.since,
    };
    let all = scaling.groups().flat_map(|group| group.tracking_alarms());
    all.filter(|alarm| wanted.has(alarm.name, alarm.state)).map(found).collect()
}

/// Those that CloudWatch's own answer of the Query protocol tells of.
pub(crate) fn told(answer: &Tree) -> Vec<Found> {
    let each = |alarm: &Tree| {
        let since = alarm.text("StateUpdatedTimestamp").and_then(|time| humantime::parse_rfc3339(time).ok());
        Some(Found {
            name: alarm.text("AlarmName")?.to_owned(),
            arn: alarm.text("AlarmArn").unwrap_or_default().to_owned(),
            state: alarm.text("StateValue").and_then(AlarmState::named)?,
            reason: alarm.text("StateReason").unwrap_or_default().to_owned(),
            since: since.unwrap_or(SystemTime::UNIX_EPOCH),
        })
    };
    answer.members("DescribeAlarmsResult.MetricAlarms").filter_map(each).collect()
}

/// The answer of the Query protocol: `answer`, with these in addition.
pub(crate) fn tree(answer: Tree, found: &[Found]) -> Tree {
    let each = |alarm: &Found| {
        Tree::new()
            .set("AlarmName", &alarm.name)
            .set("AlarmArn", &alarm.arn)
            .set("StateValue", alarm.state.as_str())
            .set("StateReason", &alarm.reason)
            .set("StateUpdatedTimestamp", humantime::format_rfc3339_millis(alarm.since))
            .set("ActionsEnabled", true)
    };
    let all: Vec<_> = answer.members("MetricAlarms").cloned().chain(found.iter().map(each)).collect();
    answer.replace("MetricAlarms", Tree::list(all))
}

/// The answer in CBOR or JSON.
pub(crate) fn value<'a>(found: impl Iterator<Item = &'a Found>) -> Value {
    let each = |alarm: &Found| {
        Value::Map(vec![
            ("AlarmName", Value::Text(alarm.name.clone())),
            ("AlarmArn", Value::Text(alarm.arn.clone())),
            ("StateValue", Value::Text(alarm.state.as_str().to_owned())),
            ("StateReason", Value::Text(alarm.reason.clone())),
            ("StateUpdatedTimestamp", Value::Time(alarm.since)),
            ("ActionsEnabled", Value::Flag(true)),
        ])
    };
    Value::Map(vec![("MetricAlarms", Value::List(found.map(each).collect()))])
}
