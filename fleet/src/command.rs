//! Which command does what.

use tokio::time::Instant;

use crate::args::{Command, Images};
use crate::aws::Aws;
use crate::error::Error;
use crate::report::Report;
use crate::session::{self, Session, Signals};
use crate::start::Wishes;
use crate::{cancel, follow, images, rollback, rollout, status, wait};

/// Runs a command to its end, tells that, and gives the exit code.
pub async fn run(command: Command, signals: Signals) -> u8 {
    let common = command.common().clone();
    let report = Report::new(common.json);
    let deadline = Instant::now() + command.deadline();
    let aws = match session::until(deadline, &signals, Aws::connect()).await {
        Ok(Ok(aws)) => aws,
        Ok(Err(error)) | Err(error) => return report.verdict(&Err(error)),
    };
    let (group, poll, patience) = (common.group, common.poll, common.patience);
    let session = Session { aws, group, poll, patience, deadline, signals, report };
    if let Command::Status(_) = command {
        return match status::status(&session).await {
            Ok(status) if common.json => session.report.object(&status),
            status => session.report.verdict(&status.map(|status| status.text())),
        };
    }
    let done = perform(&session, command).await;
    session.report.verdict(&done)
}

async fn perform(session: &Session, command: Command) -> Result<String, Error> {
    match command {
        Command::Rollout { to, alarms, bake, skip_matching, .. } => {
            let wishes = Wishes { alarms, bake, skip_matching, auto_rollback: true };
            rollout::rollout(session, to, &wishes).await
        }
        Command::Rollback { to, .. } => rollback::rollback(session, to).await,
        Command::Watch(_) => follow::watch(session).await,
        Command::Cancel(_) => cancel::cancel(session).await,
        Command::Status(_) => status::status(session).await.map(|status| status.text()),
        Command::Wait(_) => wait::wait(session).await,
        Command::Images(Images::Prune { keep, dry_run, .. }) => images::prune(session, keep.into(), dry_run).await,
    }
}
