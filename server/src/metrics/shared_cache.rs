//! The cache that instances share counts for itself; it is read when the metrics are asked for.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::store::SharedCache;
use crate::store::breaker::State;

/// `tideline_shared_cache_…`.
#[derive(Debug)]
pub(super) struct Shared(pub(super) SharedCache);

impl Collector for Shared {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = self.0.stats();
        for (name, help, count) in [
            ("shared_cache_hits", "Reads that the shared cache answered", stats.hits),
            ("shared_cache_misses", "Reads that it could not answer", stats.misses),
            ("shared_cache_passed_by", "Reads that it was not asked for: it fails, or lacks a write", stats.passed_by),
            ("shared_cache_fills", "Documents stored in it", stats.fills),
            ("shared_cache_refused_fills", "Documents not stored: something newer is known", stats.refused_fills),
            ("shared_cache_malformed", "Values found in it that are not ours", stats.malformed),
            ("shared_cache_overflows", "Times that all of it was invalidated at once", stats.overflows),
        ] {
            let count = ConstCounter::new(count);
            count.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let pending = i64::try_from(stats.pending).unwrap_or(i64::MAX);
        let open = i64::from(stats.breaker != State::Closed);
        for (name, help, value) in [
            ("shared_cache_pending", "Writes that it is still to be told of", pending),
            ("shared_cache_breaker_open", "1 while it is passed by, because it failed too often in a row", open),
        ] {
            let value = ConstGauge::new(value);
            value.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let help = "Calls of it that failed, by kind";
        let mut failures = encoder.encode_descriptor("shared_cache_failures", help, None, MetricType::Counter)?;
        for (kind, count) in stats.failures {
            ConstCounter::new(count).encode(failures.encode_family(&[("kind", kind.label())])?)?;
        }
        Ok(())
    }
}
