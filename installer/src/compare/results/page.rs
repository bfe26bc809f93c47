//! The comparison of calls' results, for the page.

use super::{
    Differing, Results,
    text::{NOTHING_COMPARED, number},
    verdict::{conclusion, verdict},
};
use crate::{output, trace::report::shown};
use serde::Serialize;

/// The results of two backends.
#[derive(Debug, Serialize)]
pub(in crate::compare) struct Page {
    /// How many calls were compared, or that none were.
    summary: String,
    /// Calls that were not compared, and why.
    not_compared: Vec<String>,
    /// The sentence to show if no results differ.
    agreement: Option<&'static str>,
    heading: String,
    differing: Vec<Call>,
}

/// A call whose results differ.
#[derive(Debug, Serialize)]
struct Call {
    call: String,
    /// `sum of C`
    measure: String,
    /// The values on both sides.
    values: [String; 2],
    difference: String,
    bound: String,
    verdict: String,
    sides: Vec<Side>,
    replays: Vec<Replayed>,
    conclusion: Option<&'static str>,
}

/// The call on one side.
#[derive(Debug, Serialize)]
struct Side {
    name: String,
    outcome: String,
    number: String,
    run: usize,
    process: String,
    /// The capture, or why there is no usable one.
    captured: Option<String>,
    is_missing: bool,
}

/// The call, made alone.
#[derive(Debug, Serialize)]
struct Replayed {
    /// The side whose operands it was given.
    name: String,
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
    wrong: Vec<String>,
}

impl Results {
    /// The contents for the page, with the names of the backends.
    pub(in crate::compare) fn page(&self, names: &[String; 2]) -> Page {
        Page {
            summary: match self.compared() {
                0 => NOTHING_COMPARED.to_owned(),
                _ => self.counted(),
            },
            not_compared: self.not_compared().collect(),
            agreement: self.agreement(),
            heading: self.heading(),
            differing: self.differing.iter().map(|it| it.page(names)).collect(),
        }
    }
}

impl Differing {
    fn page(&self, names: &[String; 2]) -> Call {
        let sides =
            names.iter().zip(&self.sides).zip(&self.captured).map(|((name, found), captured)| {
                let problem = captured.as_ref().and_then(|it| it.problem.as_deref());
                let file = captured.as_ref().and_then(|it| it.file.as_deref());
                Side {
                    name: shown(name),
                    outcome: found.outcome.clone(),
                    number: format!("{}:{}", found.thread, found.sequence),
                    run: found.run,
                    process: shown(&found.process),
                    is_missing: problem.is_some(),
                    captured: problem
                        .map(|problem| format!("not replayed: {problem}"))
                        .or_else(|| file.map(|file| output::shown(file).to_string())),
                }
            });
        let replays = names.iter().zip(&self.captured).filter_map(|(name, captured)| {
            let replay = captured.as_ref()?.replay.as_ref()?;
            let (header, rows) = replay.table();
            let wrong = replay.wrong_elements().map(|wrong| shown(&wrong)).collect();
            Some(Replayed { name: shown(name), header, rows, wrong })
        });
        Call {
            call: shown(&self.call),
            measure: format!("{} of {}", self.deviation.measure, self.output),
            values: self.deviation.values.map(number),
            difference: self.deviation.error(),
            bound: self.deviation.bound(),
            verdict: shown(&verdict(self, names)),
            sides: sides.collect(),
            replays: replays.collect(),
            conclusion: conclusion(self),
        }
    }
}
