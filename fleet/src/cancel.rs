//! `cancel`: stops the refresh in progress where it stands.

use crate::error::{Error, Kind};
use crate::follow::follow;
use crate::refresh::Status;
use crate::session::Session;
use crate::start::running;

/// Cancels and waits until that is so. With nothing in progress there is nothing to do.
pub async fn cancel(session: &Session) -> Result<String, Error> {
    let group = session.group().await?.name;
    let refreshes = session.refreshes().await?;
    let Some(running) = running(&refreshes) else {
        return Ok(format!("nothing to cancel: no instance refresh of {group} is in progress"));
    };
    if running.status != Status::Cancelling {
        match session.ask(|| session.aws.cancel_refresh(&group)).await? {
            // It may have ended between the look and the call: how, is seen next.
            Err(fault) if fault.code == "ActiveInstanceRefreshNotFound" => {}
            done => done?,
        }
    }
    let ended = follow(session, &running.id).await?;
    match ended.status {
        Status::Cancelled => Ok(format!(
            "cancelled: {group} may run two versions now; tideline-fleet status --group {group} shows them, tideline-fleet \
             rollback --group {group} goes back, tideline-fleet rollout --group {group} --to VERSION goes on"
        )),
        status => Err(Error::new(
            Kind::Failed,
            format!(
                "the refresh was over before it could be cancelled: {status:?}; tideline-fleet status --group {group}"
            ),
        )),
    }
}
