//! Waiting for a refresh to be over, and `watch`, which does nothing else.

use tokio::time::sleep;

use crate::error::{Error, Kind};
use crate::fault::{Fault, Trouble};
use crate::refresh::{self, Refresh};
use crate::session::Session;
use crate::start::running;

/// Watches the refresh in progress to its end. Without one, says how the last one ended.
pub async fn watch(session: &Session) -> Result<String, Error> {
    let name = &session.group().await?.name;
    let refreshes = session.refreshes().await?;
    let Some(last) = running(&refreshes).or(refreshes.first()) else {
        return Err(Error::refused(format!(
            "{name} has had no instance refresh yet: tideline-fleet rollout --group {name} --to VERSION starts one"
        )));
    };
    let ended = follow(session, &last.id).await?;
    ended.verdict(name).unwrap_or_else(|| Err(refresh::in_progress(&ended, name)))
}

/// Looks until the refresh is over. Whatever ends the looking before, the refresh goes on, and the error says so.
pub async fn follow(session: &Session, id: &str) -> Result<Refresh, Error> {
    let mut last = String::new();
    let group = &session.group;
    let goes_on = |error: Error, last: &str| {
        let last = if last.is_empty() { String::new() } else { format!(" (last seen: {last})") };
        error.and(&format!(
            "refresh {id} goes on{last}: tideline-fleet watch --group {group} rejoins it, tideline-fleet cancel --group {group} \
             stops it, tideline-fleet rollback --group {group} takes it back"
        ))
    };
    loop {
        match session.until(session.look(Some(id))).await.map_err(|error| goes_on(error, &last))? {
            Ok(look) => {
                session.report.seen(&look);
                last = look.line();
                if let Some(refresh) = look.refresh.filter(|refresh| refresh.status.is_over()) {
                    return Ok(refresh);
                }
            }
            Err(Fault { trouble: Trouble::Passing, text, .. }) => session.report.trouble(&text),
            Err(Fault { trouble: Trouble::Refusal, text, .. }) => return Err(Error::new(Kind::Failed, text)),
            Err(fault) => return Err(goes_on(fault.into(), &last)),
        }
        session.until(sleep(session.poll)).await.map_err(|error| goes_on(error, &last))?;
    }
}
