//! GPU times of alike calls. Some are measured, from which the total of all is estimated: for each shape by itself, since
//! of long calls a larger share may have been measured than of short ones.

use rocblas_trace::layout::Skipped;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Measured GPU times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    calls: u64,
    total: f64,
}

impl Times {
    /// Adds the GPU time of a call, in nanoseconds.
    pub(super) fn add(&mut self, time: f64) {
        self.calls += 1;
        self.total += time;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.calls += other.calls;
        self.total += other.total;
    }

    /// The figures for that many calls; `None` if none was measured.
    pub(super) fn figures(self, calls: u64) -> Option<Figures> {
        let mean = self.total / self.calls as f64;
        (self.calls > 0).then_some(Figures {
            measured: self.calls,
            mean,
            total: mean * calls as f64,
        })
    }
}

/// The GPU time of alike calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many of the calls were measured.
    pub measured: u64,
    /// The mean of all calls in nanoseconds: of calls of one shape, that of the measured ones.
    pub mean: f64,
    /// Estimated nanoseconds of all calls, assuming that the others took as long.
    pub total: f64,
}

/// The GPU time of calls of several shapes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shapes {
    measured: u64,
    /// The number of calls of shapes of which some were measured, and their estimated total.
    calls: u64,
    total: f64,
}

impl Shapes {
    /// Adds a shape with that many calls.
    pub(super) fn add(&mut self, calls: u64, figures: Option<Figures>) {
        if let Some(figures) = figures {
            self.measured += figures.measured;
            self.calls += calls;
            self.total += figures.total;
        }
    }

    /// The figures for that many calls of all shapes; `None` if none was measured.
    pub(super) fn figures(self, calls: u64) -> Option<Figures> {
        let mean = self.total / self.calls as f64;
        (self.measured > 0).then_some(Figures {
            measured: self.measured,
            mean,
            total: mean * calls as f64,
        })
    }
}

/// How GPU times were measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gpu {
    /// One of this many calls of each thread is measured; `None` if none is, or if traces differ in it.
    pub every: Option<u64>,
    /// After a measured call, no call of the thread is measured for this long, in nanoseconds.
    pub pause: Option<u64>,
    /// Calls that should have been measured but were not, by reason.
    #[serde(serialize_with = "by_reason")]
    pub skipped: BTreeMap<Skipped, u64>,
}

impl Gpu {
    /// Sentences about calls that were not measured.
    pub(super) fn notes(&self) -> Vec<String> {
        let sentence = |(reason, calls): (&Skipped, &u64)| {
            let calls = crate::output::count(*calls, "GPU time");
            format!("{calls} not measured: {}", why(*reason))
        };
        self.skipped.iter().map(sentence).collect()
    }
}

fn why(reason: Skipped) -> &'static str {
    match reason {
        Skipped::Capturing => "a stream captured a graph",
        Skipped::Busy => "too many calls were still to be done by the GPU",
        Skipped::TooLarge | Skipped::Unable => {
            "an error of HIP was pending, or HIP could not record events"
        }
        Skipped::Ended => "the thread ended before the GPU had done them",
    }
}

fn by_reason<S: Serializer>(skipped: &BTreeMap<Skipped, u64>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(
        skipped.iter().map(|(reason, calls)| (format!("{reason:?}").to_lowercase(), calls)),
    )
}
