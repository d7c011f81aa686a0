//! The outcome for a terminal.

use tideline_report::words::{count, length, whole};

use super::outcome::{Event, Outcome, clock, share};

/// Of more events, the first and the last are told.
const TOLD: usize = 20;

/// A summary of some twenty lines.
pub fn text(outcome: &Outcome) -> String {
    let Outcome { inputs, totals, .. } = outcome;
    let events = Event::joined(&outcome.events);
    let mut lines = vec![
        format!("Simulated {}: {}", outcome.simulated(), inputs.traffic),
        format!(
            "  {} to {} instances of {} vCPUs, {} requests/s each at full load, CPU target {} %",
            count(inputs.min.into()),
            count(inputs.max.into()),
            inputs.vcpus,
            whole(inputs.requests_per_vcpu * f64::from(inputs.vcpus)),
            inputs.cpu_target,
        ),
        String::new(),
        format!("  requests       {}", whole(totals.requests)),
        format!("  refused        {} ({})", whole(totals.refused), share(totals.refused, totals.requests)),
    ];
    if inputs.rollout.is_some() {
        lines.push(format!("  failed         {} ({})", whole(totals.failed), share(totals.failed, totals.requests)));
        lines.push(format!("  rollout        {}", totals.rollout.unwrap_or("not begun")));
    }
    lines.extend([
        format!(
            "  above target   {}, {} overloaded",
            length(totals.seconds_above_target),
            length(totals.seconds_overloaded)
        ),
        format!("  utilisation    {:.0} % in the mean", totals.mean_utilisation),
        format!(
            "  instances      {} to {} serving, {:.1} in the mean",
            count(totals.least_serving.into()),
            count(totals.most_serving.into()),
            totals.instance_hours / (inputs.seconds as f64 / 3600.0),
        ),
        format!("  scaled         {} times out, {} times in", totals.scale_outs, totals.scale_ins),
        format!(
            "  cost           ${:.2} a day, ${} a month, of the instances alone",
            totals.cost_per_day,
            whole(totals.cost_per_month)
        ),
        String::new(),
    ]);
    let skipped = events.len().saturating_sub(TOLD);
    for (number, event) in events.iter().enumerate() {
        if skipped == 0 || number < TOLD / 2 || number >= TOLD / 2 + skipped {
            lines.push(format!("  {:>8}  {}", clock(event.at), event.text));
        } else if number == TOLD / 2 {
            lines.push(format!("       ...  {skipped} more, in the report"));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
