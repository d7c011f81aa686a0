//! `rollout`: brings a launch template version to every instance, by an instance refresh that can go back.

use std::time::SystemTime;

use crate::aws::Alarm;
use crate::error::Error;
use crate::follow::follow;
use crate::group::{Group, Note};
use crate::refresh::{self, Refresh};
use crate::session::Session;
use crate::start::{Wishes, running, start};
use crate::version::TemplateVersion;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Every instance runs the version.
    Nothing,
    /// A refresh is to be started; the group launches from this version now.
    Start(TemplateVersion),
}

/// Rolls `to` out and waits until that has succeeded.
pub async fn rollout(session: &Session, to: TemplateVersion, wishes: &Wishes) -> Result<String, Error> {
    let group = session.group().await?;
    let Plan::Start(before) = plan(&group, &session.refreshes().await?, to, wishes.skip_matching)? else {
        return Ok(format!("nothing to do: {} launches from version {to}, and every instance runs it", group.name));
    };
    check(&wishes.alarms, &session.alarms(&wishes.alarms).await?)?;
    let note = note(before, to);
    if let Some(note) = &note {
        session.ask(|| session.aws.write_note(&group.name, note)).await??;
    }
    let id = match start(session, &group, to, wishes).await {
        Ok(id) => id,
        Err(error) => {
            // Nothing was started, so what was noted before still holds.
            if let (Some(_), Some(earlier)) = (&note, &group.note) {
                session.ask(|| session.aws.write_note(&group.name, earlier)).await.ok();
            }
            return Err(error);
        }
    };
    let ended = follow(session, &id).await?;
    ended.verdict(&group.name).unwrap_or_else(|| Err(refresh::in_progress(&ended, &group.name)))
}

fn plan(group: &Group, refreshes: &[Refresh], to: TemplateVersion, skip_matching: bool) -> Result<Plan, Error> {
    let before = group.numeric_version()?;
    if let Some(running) = running(refreshes) {
        return Err(refresh::in_progress(running, &group.name));
    }
    Ok(if skip_matching && group.runs_only(to) { Plan::Nothing } else { Plan::Start(before) })
}

/// A refresh goes back at once for an alarm that is on before it begins, and AWS knows only alarms that exist.
fn check(names: &[String], alarms: &[Alarm]) -> Result<(), Error> {
    if let Some(missing) = names.iter().find(|name| alarms.iter().all(|alarm| alarm.name != **name)) {
        return Err(Error::refused(format!(
            "there is no CloudWatch alarm {missing:?} in this account and region: terraform output rollout_alarm_names says \
             their names"
        )));
    }
    match alarms.iter().find(|alarm| alarm.state == "ALARM") {
        None => Ok(()),
        Some(Alarm { name, .. }) => Err(Error::refused(format!(
            "alarm {name} is on already, so the rollout would be taken back at once: see why first, or, if the new version is \
             what mends it, leave --alarm {name} out"
        ))),
    }
}

/// What is to be noted: the version before. A rollout that goes where the group already is has none, and the note of the
/// rollout that it finishes stays.
fn note(before: TemplateVersion, to: TemplateVersion) -> Option<Note> {
    let now = SystemTime::now();
    (before != to).then(|| Note { previous: before.to_string(), target: to.to_string(), at: Some(now) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::group;
    use crate::refresh::Status;
    use crate::refresh::tests::refresh;

    fn version(number: &str) -> TemplateVersion {
        number.parse().unwrap()
    }

    #[test]
    fn a_rollout_is_planned_by_what_runs() {
        let over = [refresh(Status::Successful, "6")];
        let plan = |group: &Group, skip| plan(group, &over, version("7"), skip).unwrap();
        assert_eq!(plan(&group("6", &["6", "6"]), true), Plan::Start(version("6")));
        assert_eq!(plan(&group("7", &["7", "6"]), true), Plan::Start(version("7")), "one was left behind");
        assert_eq!(plan(&group("7", &["7", "7"]), true), Plan::Nothing);
        assert_eq!(plan(&group("7", &["7", "7"]), false), Plan::Start(version("7")), "all anew, as was asked");
    }

    #[test]
    fn one_at_a_time() {
        for status in [Status::Pending, Status::Baking, Status::RollbackInProgress, Status::Cancelling] {
            let error = plan(&group("6", &["6"]), &[refresh(status, "7")], version("7"), true).unwrap_err();
            assert_eq!(error.kind.exit_code(), 6);
            for command in ["watch", "cancel", "rollback"] {
                assert!(error.text.contains(&format!("tideline-fleet {command} --group tideline")), "{error}");
            }
        }
    }

    #[test]
    fn alarms_must_exist_and_be_quiet() {
        let alarm = |state: &str| [Alarm { name: "5xx".to_owned(), state: state.to_owned() }];
        let names = ["5xx".to_owned()];
        assert!(check(&names, &alarm("OK")).is_ok());
        assert!(check(&names, &alarm("INSUFFICIENT_DATA")).is_ok(), "no traffic yet");
        assert!(check(&names, &alarm("ALARM")).unwrap_err().text.contains("on already"));
        assert!(check(&names, &[]).unwrap_err().text.contains("no CloudWatch alarm \"5xx\""));
    }

    #[test]
    fn the_note_is_where_a_rollback_goes() {
        let note_of = |before, to| note(version(before), version(to)).map(|note| note.previous);
        assert_eq!(note_of("6", "7").as_deref(), Some("6"));
        assert_eq!(note_of("7", "7"), None, "the earlier note stays");
    }
}
