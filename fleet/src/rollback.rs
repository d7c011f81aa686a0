//! `rollback`: takes the refresh in progress back or, when there is none, refreshes to the version before the last rollout.

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::follow::follow;
use crate::group::Group;
use crate::refresh::{self, Refresh, Status};
use crate::session::Session;
use crate::start::{Wishes, running, start};
use crate::version::TemplateVersion;

/// How it is done.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// The refresh of this id goes back already.
    Join(String),
    /// AWS takes the refresh of this id back.
    TakeBack(String),
    /// A new refresh to this version.
    Start(TemplateVersion),
    /// Every instance runs this version.
    Nothing(TemplateVersion),
}

/// Goes back, to `to` or to the version before, and waits until that has succeeded.
pub async fn rollback(session: &Session, to: Option<TemplateVersion>) -> Result<String, Error> {
    let group = session.group().await?;
    let name = &group.name;
    let plan = plan(&group, &session.refreshes().await?, to)?;
    let id = match &plan {
        Plan::Nothing(version) => {
            return Ok(format!(
                "nothing to do: {name} launches from version {version}, and every instance runs it; --to VERSION goes \
                 further back"
            ));
        }
        Plan::Join(id) => id.clone(),
        Plan::TakeBack(id) => take_back(session, id).await?,
        // An alarm may well be on because of what is taken back; and to go back from going back is to go where it was bad.
        Plan::Start(version) => {
            let wishes = Wishes { alarms: Vec::new(), bake: Duration::ZERO, skip_matching: true, auto_rollback: false };
            start(session, &group, *version, &wishes).await?
        }
    };
    let ended = follow(session, &id).await?;
    match ended.status {
        Status::RollbackSuccessful => {
            let version = group.version.as_deref().unwrap_or("before");
            Ok(format!("rolled back: every instance of {name} runs version {version} again"))
        }
        Status::Successful if matches!(plan, Plan::TakeBack(_)) => Err(Error::new(
            Kind::Failed,
            format!(
                "the refresh succeeded before it could be taken back; tideline-fleet rollback --group {name} now goes back"
            ),
        )),
        _ => ended.verdict(name).unwrap_or_else(|| Err(refresh::in_progress(&ended, name))),
    }
}

/// Asks AWS to take the refresh in progress back, and gives its id.
async fn take_back(session: &Session, id: &str) -> Result<String, Error> {
    let name = &session.group;
    match session.ask(|| session.aws.rollback_refresh(name)).await? {
        // It may have ended between the look and the call: how, is seen next.
        Err(fault) if fault.code == "ActiveInstanceRefreshNotFound" => {}
        Err(fault) if fault.code == "IrreversibleInstanceRefresh" => {
            return Err(Error::from(fault).and(&format!(
                "tideline-fleet cancel --group {name}, then tideline-fleet rollback --group {name} --to VERSION"
            )));
        }
        done => done?,
    }
    session.report.event(
        "rollback",
        &format!("refresh {id} of {name} goes back"),
        serde_json::json!({"refresh_id": id}),
    );
    Ok(id.to_owned())
}

fn plan(group: &Group, refreshes: &[Refresh], to: Option<TemplateVersion>) -> Result<Plan, Error> {
    let current = group.numeric_version()?;
    let previous = group.note.as_ref().and_then(|note| note.previous.parse().ok());
    if let Some(running) = running(refreshes) {
        let goes_to: Option<TemplateVersion> = running.to.as_deref().and_then(|to| to.parse().ok());
        // While a refresh goes on, the group itself still launches from the version before it.
        let goes_back = goes_to != Some(current) && goes_to.is_some() && goes_to == previous;
        let wanted = to.unwrap_or(if goes_back { previous.unwrap_or(current) } else { current });
        return match running.status {
            Status::RollbackInProgress if wanted == current => Ok(Plan::Join(running.id.clone())),
            Status::Pending | Status::InProgress | Status::Baking if goes_to == Some(wanted) => {
                Ok(Plan::Join(running.id.clone()))
            }
            Status::Pending | Status::InProgress | Status::Baking if wanted == current => {
                Ok(Plan::TakeBack(running.id.clone()))
            }
            _ => Err(refresh::in_progress(running, &group.name)),
        };
    }
    let Some(version) = to.or(previous) else {
        return Err(Error::refused(format!(
            "no rollout has noted on {name} what ran before it; pass the version to go back to: tideline-fleet rollback --group \
             {name} --to VERSION (it launches from {current} now; tideline-fleet status --group {name} shows what runs)",
            name = group.name
        )));
    };
    Ok(if group.runs_only(version) { Plan::Nothing(version) } else { Plan::Start(version) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Note;
    use crate::group::tests::group;
    use crate::refresh::tests::refresh;

    fn version(number: &str) -> TemplateVersion {
        number.parse().unwrap()
    }

    /// The group after, or while, version 7 is rolled out where 6 was.
    fn noted(version: &str, instances: &[&str]) -> Group {
        let note = Note { previous: "6".to_owned(), target: "7".to_owned(), at: None };
        Group { note: Some(note), ..group(version, instances) }
    }

    #[test]
    fn in_progress_it_is_taken_back() {
        let group = noted("6", &["6", "7"]);
        for status in [Status::Pending, Status::InProgress, Status::Baking] {
            let running = [refresh(status, "7")];
            for to in [None, Some(version("6"))] {
                assert_eq!(plan(&group, &running, to), Ok(Plan::TakeBack("r-1".to_owned())));
            }
            let error = plan(&group, &running, Some(version("5"))).unwrap_err();
            assert_eq!(error.kind, Kind::InProgress, "AWS can only take it to where it came from");
        }
    }

    #[test]
    fn a_rollback_asked_for_twice_is_joined() {
        let join = Ok(Plan::Join("r-1".to_owned()));
        let going_back = [refresh(Status::RollbackInProgress, "7")];
        assert_eq!(plan(&noted("6", &["6", "7"]), &going_back, None), join);
        // A new refresh to 6, after the rollout of 7 had succeeded: to take that back would bring 7.
        let back = [refresh(Status::InProgress, "6")];
        assert_eq!(plan(&noted("7", &["6", "7"]), &back, None), join);
        assert_eq!(plan(&noted("7", &["6", "7"]), &back, Some(version("6"))), join);
        let cancelling = [refresh(Status::Cancelling, "7")];
        assert_eq!(plan(&noted("6", &["6", "7"]), &cancelling, None).unwrap_err().kind, Kind::InProgress);
    }

    #[test]
    fn afterwards_it_is_a_refresh_to_the_noted_version() {
        let over = [refresh(Status::Successful, "7")];
        assert_eq!(plan(&noted("7", &["7", "7"]), &over, None), Ok(Plan::Start(version("6"))));
        assert_eq!(plan(&noted("7", &["7", "7"]), &over, Some(version("5"))), Ok(Plan::Start(version("5"))));
        assert_eq!(plan(&noted("6", &["6", "6"]), &over, None), Ok(Plan::Nothing(version("6"))));
        let cancelled = [refresh(Status::Cancelled, "7")];
        assert_eq!(plan(&noted("6", &["6", "7"]), &cancelled, None), Ok(Plan::Start(version("6"))));
    }

    #[test]
    fn without_a_note_a_version_is_asked_for() {
        let error = plan(&group("7", &["7"]), &[], None).unwrap_err();
        assert!(error.text.contains("--to VERSION"), "{error}");
        assert_eq!(plan(&group("7", &["7"]), &[], Some(version("6"))), Ok(Plan::Start(version("6"))));
    }
}
