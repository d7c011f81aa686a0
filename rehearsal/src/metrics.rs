//! The metric that policies track, as CloudWatch's GetMetricStatistics tells of it: the CPU of a group.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::protocol::cbor::Value;
use crate::protocol::{Failure, Tree};
use crate::region::State;
use crate::scaling::Metric;

/// More are not told at once, as on AWS.
const MOST: f64 = 1_440.0;

/// Datapoints of a minute each: when it began, and the mean of it.
pub(crate) type Datapoints = Vec<(SystemTime, f64)>;

/// The datapoints that a call asks for, the oldest first; none if the metric is not ours. Of the window only the length counts:
/// the region's time may be far ahead of the caller's, so it ends at the newest.
pub(crate) fn find(state: &State, parameters: &Tree) -> Option<Result<Datapoints, Failure>> {
    let is = |name: &str, text: &str| parameters.text(name) == Some(text);
    if !is("Namespace", "AWS/EC2") || !is("MetricName", "CPUUtilization") {
        return None;
    }
    let mut dimensions = parameters.members("Dimensions");
    let group = dimensions.find(|dimension| dimension.text("Name") == Some("AutoScalingGroupName"))?.text("Value")?;
    let group = state.scaling.groups().find(|each| each.name() == group)?;
    let (Some(start), Some(end)) = (seconds(parameters, "StartTime"), seconds(parameters, "EndTime")) else {
        let message = "StartTime and EndTime must be times";
        return Some(Err(Failure::new("InvalidParameterValue", message)));
    };
    let minutes = ((end - start) / 60.0).clamp(0.0, MOST) as usize;
    let mut found: Datapoints = group.datapoints(Metric::AverageCpu).take(minutes).collect();
    found.reverse();
    Some(Ok(found))
}

/// A time in seconds since 1970: as a number, or as RFC 3339 has it.
fn seconds(parameters: &Tree, name: &str) -> Option<f64> {
    let text = parameters.text(name)?;
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64());
    text.parse().ok().or_else(|| since(humantime::parse_rfc3339(text).ok()?))
}

/// The answer of the Query protocol.
pub(crate) fn tree(found: &Datapoints) -> Tree {
    let each = |(at, value): &(SystemTime, f64)| {
        Tree::new()
            .set("Timestamp", humantime::format_rfc3339_seconds(*at))
            .set("Average", value)
            .set("Unit", "Percent")
    };
    Tree::new().set("Label", "CPUUtilization").with("Datapoints", Tree::list(found.iter().map(each)))
}

/// The answer in CBOR or JSON.
pub(crate) fn value(found: &Datapoints) -> Value {
    let each = |(at, value): &(SystemTime, f64)| {
        Value::Map(vec![
            ("Timestamp", Value::Time(*at)),
            ("Average", Value::Number(*value)),
            ("Unit", Value::Text("Percent".to_owned())),
        ])
    };
    Value::Map(vec![
        ("Label", Value::Text("CPUUtilization".to_owned())),
        ("Datapoints", Value::List(found.iter().map(each).collect())),
    ])
}
