//! What every command has: the clients, the group, the deadline, the signals, and somebody to tell.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::aws::{self, Alarm, Aws};
use crate::error::{Error, Kind};
use crate::fault::{Fault, Trouble};
use crate::group::Group;
use crate::refresh::Refresh;
use crate::report::Report;
use crate::snapshot::Snapshot;

/// The first pause before a call is made again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// The name of a signal that came, once it came.
pub type Signals = watch::Receiver<Option<&'static str>>;

/// A command that runs.
#[derive(Debug)]
pub struct Session {
    /// The calls.
    pub aws: Aws,
    /// The group's name.
    pub group: String,
    /// From look to look.
    pub poll: Duration,
    /// How long a call is made again.
    pub patience: Duration,
    /// When the command gives up waiting.
    pub deadline: Instant,
    /// SIGINT and SIGTERM.
    pub signals: Signals,
    /// What it tells, and how.
    pub report: Report,
}

/// What `work` comes to, unless the deadline or a signal comes first.
pub async fn until<T>(deadline: Instant, signals: &Signals, work: impl Future<Output = T>) -> Result<T, Error> {
    let mut signals = signals.clone();
    tokio::select! {
        biased;
        Ok(signal) = signals.wait_for(Option::is_some) => {
            let kind = if *signal == Some("SIGTERM") { Kind::Terminated } else { Kind::Interrupted };
            Err(Error::new(kind, format!("ended by {}", signal.unwrap_or("a signal"))))
        }
        () = sleep_until(deadline) => Err(Error::new(Kind::Deadline, "the deadline has passed")),
        done = work => Ok(done),
    }
}

impl Session {
    /// What `work` comes to, unless the deadline or a signal comes first.
    pub async fn until<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        until(self.deadline, &self.signals, work).await
    }

    /// Makes a call until AWS answers it, for `patience` at the most.
    pub async fn ask<T, F>(&self, call: impl Fn() -> F) -> Result<Result<T, Fault>, Error>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let end = Instant::now() + self.patience;
        let mut pause = PAUSES.0;
        loop {
            let fault = match self.until(call()).await? {
                Err(fault) if fault.trouble == Trouble::Passing => fault,
                done => return Ok(done),
            };
            if Instant::now() + pause >= end {
                return Ok(Err(fault));
            }
            self.report.trouble(&fault.text);
            self.until(sleep(pause)).await?;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The group, without its targets' health.
    pub async fn group(&self) -> Result<Group, Error> {
        let group = self.ask(|| self.aws.group(&self.group)).await??;
        Ok(group.ok_or_else(|| aws::no_group(&self.group))?)
    }

    /// The last refreshes, the newest first.
    pub async fn refreshes(&self) -> Result<Vec<Refresh>, Error> {
        Ok(self.ask(|| self.aws.refreshes(&self.group, None)).await??)
    }

    /// The state of these alarms.
    pub async fn alarms(&self, names: &[String]) -> Result<Vec<Alarm>, Error> {
        Ok(self.ask(|| self.aws.alarms(names)).await??)
    }

    /// One look at everything, made once: it is for those who will look again.
    pub async fn look(&self, refresh: Option<&str>) -> Result<Snapshot, Fault> {
        let mut group = self.aws.group(&self.group).await?.ok_or_else(|| aws::no_group(&self.group))?;
        for target_group in group.target_groups.clone() {
            let health = self.aws.target_health(&target_group).await?;
            group.add_target_health(&health);
        }
        let refresh = match refresh {
            Some(id) => self.aws.refreshes(&self.group, Some(id)).await?.into_iter().next(),
            None => None,
        };
        let names = refresh.as_ref().map(|refresh| refresh.alarms.as_slice()).unwrap_or_default();
        let alarms = match self.aws.alarms(names).await {
            Err(fault) if fault.trouble == Trouble::Passing => return Err(fault),
            // Who may not see alarms may still watch the rollout.
            alarms => alarms.unwrap_or_default(),
        };
        Ok(Snapshot { group, refresh, alarms })
    }
}
