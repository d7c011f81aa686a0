//! Times as AWS says them, as people read them, and as machines do.

use std::time::{Duration, SystemTime};

use aws_sdk_autoscaling::primitives::DateTime;
use serde::Serializer;

/// The time that AWS said.
pub fn of(time: &DateTime) -> Option<SystemTime> {
    SystemTime::try_from(*time).ok()
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// How long ago, in its two largest units: `3m 20s`, `2days 4h`.
pub fn ago(time: SystemTime, now: SystemTime) -> String {
    let passed = now.duration_since(time).unwrap_or_default();
    let text = humantime::format_duration(Duration::from_secs(passed.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// For serde: RFC 3339 or null.
pub fn optional<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_str(&rfc3339(*time)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let before = |seconds| ago(now - Duration::from_secs(seconds), now);
        assert_eq!(before(5), "5s");
        assert_eq!(before(200), "3m 20s");
        assert_eq!(before(100_000), "1day 3h");
        assert_eq!(ago(now + Duration::from_secs(5), now), "0s");
    }
}
