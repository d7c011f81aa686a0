//! An instance refresh as AWS describes it, and what its status means.

use std::time::SystemTime;

use aws_sdk_autoscaling::types as aws;
use serde::Serialize;

use crate::error::{Error, Kind};
use crate::time;

/// Where a refresh stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Status {
    /// Accepted, not begun.
    Pending,
    /// Replacing instances.
    InProgress,
    /// All are replaced; alarms are watched for the bake time.
    Baking,
    /// Being cancelled.
    Cancelling,
    /// Going back to the version before.
    RollbackInProgress,
    /// Every instance is as desired.
    Successful,
    /// Given up; the fleet may run two versions.
    Failed,
    /// Stopped; the fleet may run two versions.
    Cancelled,
    /// The version before is back.
    RollbackSuccessful,
    /// It neither went forward nor back.
    RollbackFailed,
    /// A status that this program does not know. It is waited on.
    Unknown,
}

impl Status {
    /// Whether nothing will happen any more.
    pub fn is_over(self) -> bool {
        use Status::{Cancelled, Failed, RollbackFailed, RollbackSuccessful, Successful};
        matches!(self, Successful | Failed | Cancelled | RollbackSuccessful | RollbackFailed)
    }

    fn of(status: Option<&aws::InstanceRefreshStatus>) -> Self {
        use aws::InstanceRefreshStatus as Theirs;
        match status {
            Some(Theirs::Pending) => Self::Pending,
            Some(Theirs::InProgress) => Self::InProgress,
            Some(Theirs::Baking) => Self::Baking,
            Some(Theirs::Cancelling) => Self::Cancelling,
            Some(Theirs::RollbackInProgress) => Self::RollbackInProgress,
            Some(Theirs::Successful) => Self::Successful,
            Some(Theirs::Failed) => Self::Failed,
            Some(Theirs::Cancelled) => Self::Cancelled,
            Some(Theirs::RollbackSuccessful) => Self::RollbackSuccessful,
            Some(Theirs::RollbackFailed) => Self::RollbackFailed,
            _ => Self::Unknown,
        }
    }
}

/// An instance refresh.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refresh {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// How much is replaced, per cent; of a rollback, how much is back.
    pub percent: u8,
    /// Instances that are still to be replaced.
    pub to_update: Option<i32>,
    /// The launch template version that it goes to, where it was started with one.
    pub to: Option<String>,
    /// Alarms that it goes back for.
    pub alarms: Vec<String>,
    /// Why it stands where it stands, in AWS's words.
    pub reason: Option<String>,
    /// When it began.
    #[serde(serialize_with = "time::optional")]
    pub started: Option<SystemTime>,
    /// When it was over.
    #[serde(serialize_with = "time::optional")]
    pub ended: Option<SystemTime>,
}

impl Refresh {
    /// What AWS described.
    pub fn of(refresh: &aws::InstanceRefresh) -> Self {
        let status = Status::of(refresh.status());
        let back = refresh.rollback_details().and_then(|details| details.rollback_reason());
        let reason = match (refresh.status_reason(), back) {
            (Some(reason), Some(back)) if !reason.contains(back) => Some(format!("{back} {reason}")),
            (reason, back) => reason.or(back).map(str::to_owned),
        };
        let alarms = refresh.preferences().and_then(|preferences| preferences.alarm_specification());
        Self {
            id: refresh.instance_refresh_id().unwrap_or_default().to_owned(),
            status,
            percent: u8::try_from(refresh.percentage_complete().unwrap_or(0).clamp(0, 100)).unwrap_or(0),
            to_update: refresh.instances_to_update(),
            to: refresh.desired_configuration().and_then(version_of),
            alarms: alarms.map(|alarms| alarms.alarms().to_vec()).unwrap_or_default(),
            reason: reason.filter(|reason| !reason.trim().is_empty()),
            started: refresh.start_time().and_then(time::of),
            ended: refresh.end_time().and_then(time::of),
        }
    }

    /// How a rollout that was this refresh ended: `None` while it is not over.
    pub fn verdict(&self, group: &str) -> Option<Result<String, Error>> {
        let to = self.to.as_deref().map_or("the desired version".to_owned(), |to| format!("version {to}"));
        let because = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let fault = |kind, text| Some(Err(Error::new(kind, text)));
        match self.status {
            Status::Successful => Some(Ok(format!("every instance of {group} runs {to}"))),
            Status::RollbackSuccessful => fault(
                Kind::RolledBack,
                format!(
                    "rolled back: {group} runs the version before {to} again{because}; see what was wrong with {to}, and roll \
                     out the next one"
                ),
            ),
            Status::Cancelled => fault(
                Kind::Cancelled,
                format!(
                    "cancelled: {group} may run two versions now{because}; tideline-fleet status --group {group} shows them, \
                     and tideline-fleet rollback --group {group} makes them one"
                ),
            ),
            Status::RollbackFailed => fault(
                Kind::Failed,
                format!(
                    "{group} could neither go to {to} nor back{because}; it may run two versions: tideline-fleet status \
                     --group {group}, then mend the cause and tideline-fleet rollback --group {group} --to VERSION"
                ),
            ),
            Status::Failed => fault(
                Kind::Failed,
                format!(
                    "the rollout of {to} failed{because}; {group} may run two versions: tideline-fleet status --group {group}, \
                     then tideline-fleet rollback --group {group}"
                ),
            ),
            _ => None,
        }
    }
}

/// The version in a desired configuration, plain or mixed.
fn version_of(desired: &aws::DesiredConfiguration) -> Option<String> {
    let mixed = || desired.mixed_instances_policy()?.launch_template()?.launch_template_specification();
    let template = desired.launch_template().or_else(mixed)?;
    template.version().map(str::to_owned)
}

/// The refusal because of `refresh`, which is in progress.
pub fn in_progress(refresh: &Refresh, group: &str) -> Error {
    let to = refresh.to.as_deref().map(|to| format!(" to version {to}")).unwrap_or_default();
    let Refresh { id, status, percent, .. } = refresh;
    Error::new(
        Kind::InProgress,
        format!(
            "an instance refresh of {group}{to} is in progress already ({id}, {status:?}, {percent} %): watch it with \
             tideline-fleet watch --group {group}, stop it with tideline-fleet cancel --group {group}, take it back with \
             tideline-fleet rollback --group {group}"
        ),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn refresh(status: Status, to: &str) -> Refresh {
        let to = Some(to.to_owned());
        Refresh {
            id: "r-1".to_owned(),
            status,
            percent: 50,
            to_update: Some(1),
            to,
            alarms: Vec::new(),
            reason: None,
            started: None,
            ended: None,
        }
    }

    #[test]
    fn each_status_has_its_end() {
        use Status::*;
        for (status, code) in [
            (Successful, Some(0)),
            (Failed, Some(1)),
            (RollbackFailed, Some(1)),
            (RollbackSuccessful, Some(3)),
            (Cancelled, Some(4)),
            (Pending, None),
            (InProgress, None),
            (Baking, None),
            (Cancelling, None),
            (RollbackInProgress, None),
            (Unknown, None),
        ] {
            let verdict = refresh(status, "7").verdict("tideline");
            let ended = verdict.map(|verdict| verdict.map_or_else(|error| error.kind.exit_code(), |_| 0));
            assert_eq!(ended, code, "{status:?}");
            assert_eq!(status.is_over(), code.is_some(), "{status:?}");
        }
    }

    #[test]
    fn the_reason_is_told() {
        let mut refresh = refresh(Status::RollbackSuccessful, "7");
        refresh.reason = Some("an alarm went off".to_owned());
        let error = refresh.verdict("tideline").unwrap().unwrap_err();
        assert!(error.text.contains("before version 7 again: an alarm went off"), "{error}");
    }

    #[test]
    fn a_description_is_read() {
        let template = aws::LaunchTemplateSpecification::builder().launch_template_id("lt-1").version("7").build();
        let mixed = aws::MixedInstancesPolicy::builder()
            .launch_template(aws::LaunchTemplate::builder().launch_template_specification(template.clone()).build());
        for desired in [
            aws::DesiredConfiguration::builder().launch_template(template),
            aws::DesiredConfiguration::builder().mixed_instances_policy(mixed.build()),
        ] {
            let described = aws::InstanceRefresh::builder()
                .instance_refresh_id("r-1")
                .status(aws::InstanceRefreshStatus::RollbackInProgress)
                .status_reason("Going back.")
                .rollback_details(aws::RollbackDetails::builder().rollback_reason("Alarm.").build())
                .desired_configuration(desired.build());
            let refresh = Refresh::of(&described.build());
            assert_eq!((refresh.to.as_deref(), refresh.status), (Some("7"), Status::RollbackInProgress));
            assert_eq!(refresh.reason.as_deref(), Some("Alarm. Going back."));
        }
    }
}
