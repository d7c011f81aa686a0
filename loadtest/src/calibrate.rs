//! Finding the rate that a fleet can take: step up until its CPU says that it is enough.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::args::users_for;
use crate::panel::Panel;
use crate::profile;
use crate::session::{self, Settings};
use crate::verdict::{Expectations, Thresholds};

/// The first step, requests a second.
const FROM: f64 = 50.0;

/// Finds the rate at which the fleet's CPU is at `percent`, and gives the plan that rate as its peak.
pub async fn calibrate(
    settings: &mut Settings,
    percent: f64,
    step: Duration,
    signals: &mut mpsc::Receiver<&'static str>,
    panel: &mut Panel,
) -> Result<(), String> {
    let plan = profile::calibration(step, FROM);
    let steps = Settings {
        profile: "calibration".to_owned(),
        users: users_for(plan.peak()),
        plan,
        out: None,
        // Finding the end of a fleet's strength may cost requests.
        thresholds: Thresholds { error_ratio: 1.0, late_ratio: 1.0, p99: Vec::new() },
        expectations: Expectations::default(),
        enough_cpu: Some(percent),
        ..settings.clone()
    };
    let ran = session::run(steps, signals, panel).await.map_err(|error| error.to_string())?;
    if let Some(signal) = &ran.summary.interrupted {
        return Err(format!("ended by {signal} while calibrating"));
    }
    let reached = ran.timeline.iter().rev().find(|row| row.fleet_cpu.is_some_and(|cpu| cpu >= percent));
    let Some(reached) = reached else {
        let most = ran.timeline.iter().filter_map(|row| row.fleet_cpu).fold(0.0, f64::max);
        return Err(format!(
            "the fleet's CPU never came to {percent} %, the most it said was {most:.0} %: give --rate"
        ));
    };
    let rate = reached.planned_rate;
    panel.say(&format!("at {rate:.0}/s the fleet's CPU is at {:.0} %", reached.fleet_cpu.unwrap_or_default()));
    settings.plan = settings.plan.clone().scaled(rate / settings.plan.peak());
    settings.users = settings.users.max(users_for(rate));
    Ok(())
}
