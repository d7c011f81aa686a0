//! How a refresh is started, cancelled and rolled back: by calls, or because it fails.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::{Refresh, Rollback, Status};
use crate::instances::Ticket;
use crate::protocol::{Failure, Tree};
use crate::scaling::configuration::Configuration;
use crate::scaling::group::Group;
use crate::scaling::instance::Lifecycle;
use crate::scaling::preferences::Preferences;

impl Group {
    fn active_refresh(&mut self) -> Option<&mut Refresh> {
        self.refreshes.last_mut().filter(|refresh| refresh.is_active())
    }

    /// StartInstanceRefresh. Returns the refresh's id.
    pub(crate) fn start_refresh(
        &mut self,
        parameters: &Tree,
        next: Ticket,
        now: SystemTime,
    ) -> Result<String, Failure> {
        if let Some(going) = self.active_refresh() {
            return Err(Failure::new(
                "InstanceRefreshInProgress",
                format!(
                    "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh. \
                     It is {} ({}).",
                    going.id,
                    going.status.as_str()
                ),
            ));
        }
        match parameters.text("Strategy") {
            None | Some("Rolling") => {}
            Some(other) => {
                return Err(Failure::validation(format!("The strategy {other} is not modelled; Rolling is")));
            }
        }
        let preferences = Preferences::read(parameters.get("Preferences"), self)?;
        let wanted = parameters.get("DesiredConfiguration").filter(|tree| !tree.is_empty());
        let desired = wanted.map(|tree| {
            Configuration::read(tree)?.ok_or_else(|| {
                Failure::validation("DesiredConfiguration must have a LaunchTemplate or a MixedInstancesPolicy.")
            })
        });
        let desired = desired.transpose()?;
        if preferences.auto_rollback && desired.is_none() {
            return Err(Failure::validation(
                "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration \
                 parameter is empty. Set AutoRollback to false or specify a desired configuration and try again.",
            ));
        }
        if preferences.auto_rollback && !self.configuration.is_reversible() {
            return Err(Failure::validation(format!(
                "The request isn't valid. The AutoRollback parameter cannot be set to true when the Auto Scaling group uses \
                 the launch template version {}. Use a version number and try again.",
                self.configuration.template.version
            )));
        }
        let target = desired.as_ref().unwrap_or(&self.configuration);
        let old: BTreeSet<_> = self
            .instances
            .iter()
            .filter(|it| it.counts() || it.lifecycle == Lifecycle::Standby)
            .filter(|it| !(preferences.skip_matching && it.matches(target)))
            .map(|it| it.ticket)
            .collect();
        let refresh = Refresh {
            id: uuid::Uuid::new_v4().to_string(),
            status: Status::Pending,
            reason: None,
            start: now,
            end: None,
            desired,
            total: old.len(),
            percentage: 0,
            to_update: old.len(),
            old,
            first_new: next,
            checkpoint: 0,
            waits_until: None,
            progress: ((0, 0), now),
            rollback: None,
            waits_for_begun: true,
            preferences,
        };
        // AWS keeps six weeks of them.
        if self.refreshes.len() == 100 {
            self.refreshes.remove(0);
        }
        let id = refresh.id.clone();
        self.refreshes.push(refresh);
        Ok(id)
    }

    /// CancelInstanceRefresh. Returns the refresh's id.
    pub(crate) fn cancel_refresh(&mut self, wait: bool) -> Result<String, Failure> {
        let missing = self.no_refresh();
        let refresh = self.active_refresh().filter(|refresh| refresh.status != Status::Cancelling).ok_or(missing)?;
        (refresh.status, refresh.waits_for_begun, refresh.waits_until) = (Status::Cancelling, wait, None);
        Ok(refresh.id.clone())
    }

    /// RollbackInstanceRefresh. Returns the refresh's id.
    pub(crate) fn rollback_refresh(&mut self, next: Ticket, now: SystemTime) -> Result<String, Failure> {
        let (missing, reversible) = (self.no_refresh(), self.configuration.is_reversible());
        let version = self.configuration.template.version.clone();
        let forward =
            |refresh: &&mut Refresh| matches!(refresh.status, Status::Pending | Status::InProgress | Status::Baking);
        let refresh = self.active_refresh().filter(forward).ok_or(missing)?;
        let irreversible = |message: String| Err(Failure::new("IrreversibleInstanceRefresh", message));
        if refresh.desired.is_none() {
            return irreversible(
                "The instance refresh has no desired configuration, so there is nothing to roll back.".to_owned(),
            );
        }
        if !reversible {
            return irreversible(format!(
                "The Auto Scaling group uses the launch template version {version}, to which a rollback is not possible."
            ));
        }
        let id = refresh.id.clone();
        self.begin_rollback("Manual rollback was initiated by the user.".to_owned(), next, now);
        Ok(id)
    }

    fn no_refresh(&self) -> Failure {
        Failure::new(
            "ActiveInstanceRefreshNotFound",
            format!("No in progress or pending Instance Refresh found for Auto Scaling group {}", self.name),
        )
    }

    fn begin_rollback(&mut self, reason: String, next: Ticket, now: SystemTime) {
        let Some(refresh) = self.refreshes.last_mut() else { return };
        // What it brought so far goes; what it never came to stays.
        let brought: BTreeSet<_> =
            self.instances.iter().filter(|it| it.counts() && refresh.is_new(it)).map(|it| it.ticket).collect();
        refresh.rollback = Some(Rollback {
            reason: reason.clone(),
            start: now,
            percentage: refresh.percentage,
            to_update: refresh.to_update,
        });
        (refresh.status, refresh.reason, refresh.waits_until) = (Status::RollbackInProgress, Some(reason), None);
        (refresh.total, refresh.old, refresh.first_new) = (brought.len(), brought, next);
        refresh.progress = ((0, 0), now);
    }

    pub(super) fn fail_refresh(&mut self, reason: String, next: Ticket, now: SystemTime) {
        let Some(refresh) = self.refreshes.last_mut() else { return };
        match refresh.status {
            Status::RollbackInProgress => refresh.finish(Status::RollbackFailed, Some(reason), now),
            _ if refresh.preferences.auto_rollback => self.begin_rollback(reason, next, now),
            _ => refresh.finish(Status::Failed, Some(reason), now),
        }
    }
}
