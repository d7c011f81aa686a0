//! What systemd is told: ready, stopping. Without systemd these do nothing.

use sd_notify::NotifyState;

/// The service is up: whoever waits for the unit goes on.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The service is ending; the unit's stop timeout runs.
pub fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
