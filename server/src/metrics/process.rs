//! The process itself, read from `/proc` when the metrics are asked for.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// CPU time, memory and open files, under the names that every Prometheus client uses, `process_…`.
#[derive(Debug)]
pub(super) struct Process;

/// CPU time that this process has used, user and system, in seconds.
pub fn cpu_seconds() -> procfs::ProcResult<f64> {
    procfs::process::Process::myself()?.stat().map(|stat| seconds(&stat))
}

fn seconds(stat: &procfs::process::Stat) -> f64 {
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        if let Ok(stat) = process.stat() {
            let cpu = ConstCounter::new(seconds(&stat));
            let help = "CPU time used, user and system";
            let unit = Some(&Unit::Seconds);
            cpu.encode(encoder.encode_descriptor("process_cpu", help, unit, cpu.metric_type())?)?;
            let rss = ConstGauge::new(i64::try_from(stat.rss * procfs::page_size()).unwrap_or(i64::MAX));
            let unit = Some(&Unit::Bytes);
            rss.encode(encoder.encode_descriptor(
                "process_resident_memory",
                "Memory in RAM",
                unit,
                rss.metric_type(),
            )?)?;
        }
        if let Ok(count) = process.fd_count() {
            let open = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            open.encode(encoder.encode_descriptor("process_open_fds", "Open files", None, open.metric_type())?)?;
        }
        Ok(())
    }
}
