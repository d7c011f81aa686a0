//! Rows for drawing: of a long run there are more than a screen has columns.

use crate::report::Row;

/// Points that a chart has at the most.
const POINTS: f64 = 1500.0;

/// A row, or several of them together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Point {
    /// Its end, seconds from the start.
    pub(super) at: f64,
    /// Planned requests a second, the mean.
    pub(super) planned: f64,
    /// Requests sent a second, the mean.
    pub(super) sent: f64,
    /// Good answers a second, the mean.
    pub(super) ok: f64,
    /// Failures of the second that has most.
    pub(super) failed: f64,
    /// Milliseconds since due, each the highest; none where nothing was answered.
    pub(super) p50: Option<f64>,
    /// 95 %.
    pub(super) p95: Option<f64>,
    /// 99 %.
    pub(super) p99: Option<f64>,
    /// CPUs of the generator, the mean.
    pub(super) own_cpus: f64,
    /// Instances wanted, the last.
    pub(super) desired: Option<f64>,
    /// Instances in service, the last.
    pub(super) in_service: Option<f64>,
    /// The fleet's CPU in per cent, the mean.
    pub(super) fleet_cpu: Option<f64>,
}

/// The points, and how many seconds each stands for.
pub(super) fn thin(rows: &[Row]) -> (Vec<Point>, f64) {
    let end = rows.iter().map(|row| row.at).fold(0.0, f64::max);
    let widths = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];
    let width = widths.into_iter().find(|width| end / width <= POINTS).unwrap_or(end / POINTS);
    if width == 1.0 && rows.len() as f64 <= POINTS {
        return (rows.iter().map(|row| together(std::slice::from_ref(row))).collect(), width);
    }
    // A row's time is its end: the one that ends with a bin is the bin's last. Clocks are some milliseconds late.
    let bin = |row: &Row| ((row.at - 0.25) / width).floor();
    (rows.chunk_by(|a, b| bin(a) == bin(b)).map(together).collect(), width)
}

fn together(rows: &[Row]) -> Point {
    let number = rows.len().max(1) as f64;
    let mean = |value: fn(&Row) -> f64| rows.iter().map(value).sum::<f64>() / number;
    let most = |value: fn(&Row) -> f64| rows.iter().map(value).fold(0.0, f64::max);
    let answered = rows.iter().any(|row| row.ok + row.failed > 0);
    let last = |value: fn(&Row) -> Option<u64>| rows.iter().rev().find_map(value).map(|value| value as f64);
    let fleet: Vec<f64> = rows.iter().filter_map(|row| row.fleet_cpu).collect();
    Point {
        at: rows.last().map_or(0.0, |row| row.at),
        planned: mean(|row| row.planned_rate),
        sent: mean(|row| row.sent as f64),
        ok: mean(|row| row.ok as f64),
        failed: most(|row| row.failed as f64),
        p50: answered.then(|| most(|row| row.p50_ms)),
        p95: answered.then(|| most(|row| row.p95_ms)),
        p99: answered.then(|| most(|row| row.p99_ms)),
        own_cpus: mean(|row| row.own_cpus),
        desired: last(|row| row.desired),
        in_service: last(|row| row.in_service),
        fleet_cpu: (!fleet.is_empty()).then(|| fleet.iter().sum::<f64>() / fleet.len() as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: u32) -> Row {
        Row { at: f64::from(second) + 0.003, sent: 100, ok: 100, p50_ms: 2.0, p99_ms: 9.0, ..Row::default() }
    }

    #[test]
    fn a_short_run_is_drawn_as_it_is() {
        let rows: Vec<Row> = (1..=1200).map(row).collect();
        let (points, width) = thin(&rows);
        assert_eq!((points.len(), width, points[7].at), (1200, 1.0, 8.003));
        assert_eq!(thin(&[]), (Vec::new(), 1.0));
    }

    #[test]
    fn thinning_keeps_the_worst_and_the_mean() {
        let mut rows: Vec<Row> = (1..=86_400).map(row).collect();
        rows[50_000].p99_ms = 777.0;
        rows[50_000].failed = 13;
        for row in &mut rows[60..120] {
            row.sent = 160;
        }
        rows[120].desired = Some(4);
        let (points, width) = thin(&rows);
        assert_eq!((points.len(), width), (1440, 60.0));
        let worst = points.iter().filter(|point| point.p99 == Some(777.0)).collect::<Vec<_>>();
        assert_eq!((worst.len(), worst[0].failed), (1, 13.0));
        assert_eq!((points[0].sent, points[1].sent, points[2].desired), (100.0, 160.0, Some(4.0)));
    }

    #[test]
    fn a_gap_stays_one() {
        let rows: Vec<Row> = (1..=1000).chain(9000..=10_000).map(row).collect();
        let (points, width) = thin(&rows);
        assert_eq!(width, 10.0);
        assert!(points.windows(2).any(|pair| pair[1].at - pair[0].at > 7000.0) && points.len() < 210);
    }
}
