//! The states of CloudWatch alarms, where nobody behind keeps them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::protocol::Tree;
use crate::protocol::cbor::Value;

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
    since: SystemTime,
}

/// Those that a call asks about.
pub(crate) fn find(alarms: &Alarms, parameters: &Tree, region: &str, account: &str) -> Vec<Found> {
    let names = parameters.texts("AlarmNames");
    let prefix = parameters.text("AlarmNamePrefix").unwrap_or_default();
    let wanted = parameters.text("StateValue").and_then(AlarmState::named);
    alarms
        .iter()
        .filter(|(name, state, _)| {
            (names.is_empty() || names.iter().any(|each| each == name))
                && name.starts_with(prefix)
                && wanted.is_none_or(|wanted| wanted == *state)
        })
        .map(|(name, state, since)| Found {
            name: name.to_owned(),
            arn: format!("arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
            state,
            since,
        })
        .collect()
}

/// Those that CloudWatch's own answer of the Query protocol tells of.
pub(crate) fn told(answer: &Tree) -> Vec<Found> {
    let each = |alarm: &Tree| {
        let since = alarm.text("StateUpdatedTimestamp").and_then(|time| humantime::parse_rfc3339(time).ok());
        Some(Found {
            name: alarm.text("AlarmName")?.to_owned(),
            arn: alarm.text("AlarmArn").unwrap_or_default().to_owned(),
            state: alarm.text("StateValue").and_then(AlarmState::named)?,
            since: since.unwrap_or(SystemTime::UNIX_EPOCH),
        })
    };
    answer.members("DescribeAlarmsResult.MetricAlarms").filter_map(each).collect()
}

/// The answer of the Query protocol.
pub(crate) fn tree(found: &[Found]) -> Tree {
    let each = |alarm: &Found| {
        Tree::new()
            .set("AlarmName", &alarm.name)
            .set("AlarmArn", &alarm.arn)
            .set("StateValue", alarm.state.as_str())
            .set("StateReason", "Set in the pretend region")
            .set("StateUpdatedTimestamp", humantime::format_rfc3339_millis(alarm.since))
            .set("ActionsEnabled", true)
    };
    Tree::new().with("MetricAlarms", Tree::list(found.iter().map(each)))
}

/// The answer in CBOR.
pub(crate) fn cbor(found: &[Found]) -> Value {
    let each = |alarm: &Found| {
        Value::Map(vec![
            ("AlarmName", Value::Text(alarm.name.clone())),
            ("AlarmArn", Value::Text(alarm.arn.clone())),
            ("StateValue", Value::Text(alarm.state.as_str().to_owned())),
            ("StateReason", Value::Text("Set in the pretend region".to_owned())),
            ("StateUpdatedTimestamp", Value::Time(alarm.since)),
            ("ActionsEnabled", Value::Flag(true)),
        ])
    };
    Value::Map(vec![("MetricAlarms", Value::List(found.iter().map(each).collect()))])
}
