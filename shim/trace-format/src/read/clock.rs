//! Converts ticks of a trace's clock to nanoseconds.

use crate::{
    layout::ClockPoint,
    process::{Clock, Point},
};

/// For traces shorter than this, in nanoseconds, the rate measured at the start is more precise: reading two
/// clocks in succession has an error of some ten nanoseconds.
const LONG: u64 = 20_000_000;

/// The clock of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeline {
    start: Point,
    ticks_per_nanosecond: f64,
}

impl Timeline {
    /// Uses the reading at the start and the latest one.
    #[must_use]
    pub fn new(clock: &Clock, latest: ClockPoint) -> Self {
        let start = clock.start;
        let measured = clock.hertz / 1e9;
        let ticks = latest.ticks.saturating_sub(start.ticks) as f64;
        let nanoseconds = latest.monotonic.saturating_sub(start.monotonic);
        let over_all = ticks / nanoseconds as f64;
        // A rate that differs much from the measured one is due to damage.
        let agrees = (over_all / measured - 1.0).abs() < 0.01;
        let rate = if nanoseconds >= LONG && agrees { over_all } else { measured };
        let is_rate = rate.is_finite() && rate > 0.0;
        Self { start, ticks_per_nanosecond: if is_rate { rate } else { 1.0 } }
    }

    /// Ticks per nanosecond.
    #[must_use]
    pub fn ticks_per_nanosecond(&self) -> f64 {
        self.ticks_per_nanosecond
    }

    /// A number of ticks in nanoseconds.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.ticks_per_nanosecond
    }

    /// Nanoseconds from the start of the trace to a time; negative before it.
    #[must_use]
    pub fn since_start(&self, ticks: u64) -> f64 {
        // Subtracted first, because ticks since boot have more digits than an f64.
        let distance = ticks.wrapping_sub(self.start.ticks).cast_signed();
        distance as f64 / self.ticks_per_nanosecond
    }

    /// The start, in nanoseconds since 1970.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start.realtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        let start = Point { ticks: 1 << 60, monotonic: 5_000, realtime: 1_700_000_000_000_000_000 };
        Clock { kind: "tsc".to_owned(), hertz: 2.5e9, start }
    }

    fn latest(ticks: u64, nanoseconds: u64) -> ClockPoint {
        ClockPoint { ticks: (1 << 60) + ticks, monotonic: 5_000 + nanoseconds }
    }

    #[test]
    fn a_long_trace_measures_its_own_clock() {
        let short = Timeline::new(&clock(), latest(2_600, 1_000));
        assert_eq!(short.ticks_per_nanosecond(), 2.5);
        let long = Timeline::new(&clock(), latest(25_010_000_000, 10_000_000_000));
        assert_eq!(long.ticks_per_nanosecond(), 2.501);
        assert_eq!(long.since_start((1 << 60) + 2501), 1000.0);
        assert_eq!(long.since_start((1 << 60) - 2501), -1000.0);
    }

    #[test]
    fn damage_makes_no_other_clock() {
        for damaged in [latest(1, 1 << 40), latest(1 << 62, 1 << 30), latest(0, 0)] {
            assert_eq!(Timeline::new(&clock(), damaged).ticks_per_nanosecond(), 2.5);
        }
        let broken = Clock { hertz: 0.0, ..clock() };
        assert_eq!(Timeline::new(&broken, latest(0, 0)).ticks_per_nanosecond(), 1.0);
    }
}
