//! Prometheus's text format.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// What `render` gives out.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The registry as text.
///
/// The library writes OpenMetrics, in which a counter's family lacks the `_total` of its samples and which has lines of
/// its own (`UNIT`, `EOF`). Prometheus's older and more widely read format (its own `promtool` and the CloudWatch agent
/// among the readers) wants the family named like its samples.
pub(super) fn render(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut open_metrics = String::with_capacity(16 * 1024);
    encode(&mut open_metrics, registry)?;
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "UNIT", ..] | ["#", "EOF"] => continue,
            ["#", "HELP", family, help] => {
                let is_counter = lines.peek().is_some_and(|next| *next == format!("# TYPE {family} counter"));
                let suffix = if is_counter { "_total" } else { "" };
                text.push_str(&format!("# HELP {family}{suffix} {help}"));
            }
            ["#", "TYPE", family, "counter"] => text.push_str(&format!("# TYPE {family}_total counter")),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    Ok(text)
}
