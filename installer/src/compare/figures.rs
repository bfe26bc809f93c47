//! Statistics of a backend's runs: how they ended, and the number and duration of their calls.

use super::{runs::Ran, times::Spread};
use crate::{
    doctor::End,
    output::count,
    trace::summary::{self, Summary, missing},
};
use anyhow::Result;
use rocblas_trace::read::NO_CALLS;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// A backend and its runs.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Its name in the store, or its path.
    pub name: String,
    /// The backend's version string; empty if no call was made.
    pub version: String,
    /// The shim's version; empty if no call was made.
    pub shim: String,
    /// Its runs.
    pub runs: Vec<Run>,
    /// The time that a run spends in rocBLAS.
    pub time: Spread,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Its number among all runs, from 1.
    pub number: usize,
    /// How the program ended.
    pub end: End,
    /// How many calls were recorded.
    pub calls: u64,
    /// How many of these calls failed.
    pub errors: u64,
    /// How many of these calls had not returned at the end.
    pub unfinished: u64,
    /// Its trace, if traces are kept.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub trace: Option<PathBuf>,
}

impl Side {
    /// How its runs ended, and how many of them ended in each way.
    pub(super) fn ends(&self) -> BTreeMap<&End, usize> {
        let mut ends = BTreeMap::new();
        for run in &self.runs {
            *ends.entry(&run.end).or_default() += 1;
        }
        ends
    }

    /// Whether each of its runs made at least one call.
    pub(super) fn has_calls(&self) -> bool {
        self.runs.iter().all(|run| run.calls > 0)
    }

    /// The number of calls in all runs.
    pub(super) fn calls(&self) -> u64 {
        self.runs.iter().map(|run| run.calls).sum()
    }
}

/// Reads the traces of runs.
pub(super) fn summaries(runs: &[Ran]) -> Result<Vec<Summary>> {
    runs.iter().map(|run| summary::summary(&run.trace)).collect()
}

/// The statistics of runs with these summaries.
pub(super) fn side(name: &str, runs: &[Ran], summaries: &[Summary], keeps: bool) -> Side {
    let process = summaries.iter().flat_map(|summary| &summary.processes).next();
    let of_runs = runs.iter().zip(summaries).map(|(run, summary)| Run {
        number: run.number,
        end: run.end.clone(),
        calls: summary.calls,
        errors: summary.errors,
        unfinished: summary.unfinished,
        trace: keeps.then(|| run.trace.clone()),
    });
    Side {
        name: name.to_owned(),
        version: process.map_or(String::new(), |process| process.backend.clone()),
        shim: process.map_or(String::new(), |process| process.shim.clone()),
        runs: of_runs.collect(),
        time: Spread::of(summaries.iter().map(|summary| summary.time).collect()),
    }
}

/// Sentences about what is missing from the traces of runs.
pub(super) fn problems(name: &str, runs: &[Ran], summaries: &[Summary]) -> Vec<String> {
    let mut problems = Vec::new();
    for (run, summary) in runs.iter().zip(summaries) {
        let number = run.number;
        if summary.calls == 0 {
            problems.push(format!(
                "run {number} ({name}) recorded no rocBLAS call: {NO_CALLS}; `installer which PROGRAM` \
                 says which rocBLAS it loads, and ROCBLAS_SHIM_TRACE_OPTIONS may leave out its functions"
            ));
        }
        for (why, calls) in &summary.missing {
            let calls = count(*calls, "call");
            problems.push(format!("run {number} ({name}): {calls} {}", missing(why)));
        }
        let unread = summary.problems.iter();
        problems.extend(unread.map(|problem| format!("run {number} ({name}): {problem}")));
    }
    problems
}
