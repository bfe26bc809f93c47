//! The comparison of calls' results as text.

use super::{
    Deviation, Differing, Results,
    alone::Captured,
    verdict::{conclusion, verdict},
};
use crate::{
    output::{BAD, DIM, GOOD, HEADING, Line, NOTE, Text, count, shown},
    trace::diff::table,
};

/// A number with as many digits as distinguish it from another one of the same size.
pub(in crate::compare) fn number(value: f64) -> String {
    match value {
        whole if whole.fract() == 0.0 && whole.abs() < 1e9 => format!("{whole}"),
        value => format!("{value:.9e}"),
    }
}

impl Deviation {
    /// By how much the values differ.
    pub(in crate::compare) fn error(&self) -> String {
        let [a, b] = self.values;
        figure((a - b).abs())
    }

    /// By how much the values may differ.
    pub(in crate::compare) fn bound(&self) -> String {
        figure(self.allowed)
    }
}

fn figure(value: f64) -> String {
    match value {
        whole if whole.fract() == 0.0 && whole.abs() < 1e6 => format!("{whole}"),
        value => format!("{value:.1e}"),
    }
}

impl Results {
    /// How many calls were compared, and with what result.
    pub(in crate::compare) fn counted(&self) -> String {
        let given_others = match self.given_others {
            0 => String::new(),
            calls => format!(", {calls} different whose inputs already differ"),
        };
        format!(
            "{} compared: {} with the same bits, {} rounded differently, {} different{given_others}",
            count(self.compared(), "call"),
            self.same,
            self.rounded,
            self.different
        )
    }

    /// Which calls were not compared, and why.
    pub(in crate::compare) fn not_compared(&self) -> impl Iterator<Item = String> {
        [
            (self.one_sided, "with a digest on one side only"),
            (self.skipped, "without a digest; `installer trace summary` says why"),
            (
                self.unmatched,
                "cannot be compared: no call of the other run was given the same inputs, and several threads make \
                 calls, so the order of calls does not say which belong together",
            ),
            (
                self.unknown_inputs,
                "cannot be compared: there is no digest of their inputs, which may be larger than save-limit, and \
                 several threads make calls, so the order of calls does not say which belong together",
            ),
        ]
        .into_iter()
        .filter(|(calls, _)| *calls > 0)
        .map(|(calls, why)| format!("{} {why}", count(calls, "call")))
    }

    /// The sentence to show if no results differ.
    pub(in crate::compare) fn agreement(&self) -> Option<&'static str> {
        match (self.compared(), self.unmatched + self.unknown_inputs) {
            _ if self.differ() => None,
            (0, _) => None,
            (_, 0) => Some("No result differs by more than rounding."),
            _ => Some("No result that can be compared differs by more than rounding."),
        }
    }

    /// The heading for the described calls.
    pub(in crate::compare) fn heading(&self) -> String {
        match self.differing.len() {
            1 => "The first call whose results differ by more than rounding".to_owned(),
            described => format!(
                "The first {described} of {} whose results differ by more than rounding",
                count(self.different + self.given_others, "call")
            ),
        }
    }

    /// The results, with the names of the backends.
    pub(in crate::compare) fn text(&self, names: &[String; 2]) -> Text {
        let mut page = Text::new();
        page.line("");
        page.line(Line::new().styled(HEADING, "Results"));
        if self.compared() == 0 {
            page.line(Line::new().styled(BAD, NOTHING_COMPARED));
        } else {
            page.line(self.counted());
        }
        for said in self.not_compared() {
            page.line(Line::new().styled(DIM, said));
        }
        if let Some(said) = self.agreement() {
            page.line(Line::new().styled(GOOD, said));
        }
        let Some(first) = self.differing.first() else { return page };
        page.line("");
        page.line(Line::new().styled(BAD, self.heading()));
        if self.differing.len() > 1 {
            page.append(&self.table(names));
        }
        page.append(&first.text(names));
        page.append(&first.replays(names));
        for (differing, number) in self.differing.iter().zip(1..).skip(1) {
            page.line("");
            page.line(Line::new().styled(HEADING, format_args!("Call {number} of the table")));
            page.append(&differing.text(names));
        }
        page
    }

    fn table(&self, names: &[String; 2]) -> Text {
        let mut page = Text::new();
        let rows = self.differing.iter().enumerate().map(|(i, it)| {
            let what = format!("{} of {}", it.deviation.measure, it.output);
            let (error, bound) = (it.deviation.error(), it.deviation.bound());
            vec![(i + 1).to_string(), error, bound, what, verdict(it, names), it.call.clone()]
        });
        let header = ["number", "difference", "bound", "of", "alone", "call"];
        page.append(&table(&header, rows, self.differing.len()));
        page.line("");
        page
    }
}

/// The sentence to show if digests are missing.
pub(in crate::compare) const NOTHING_COMPARED: &str =
    "No call has a digest of its outputs on both sides";

impl Differing {
    /// The difference, its position, and what was captured.
    fn text(&self, names: &[String; 2]) -> Text {
        let mut page = Text::new();
        page.line(Line::from("  ").text(&self.call));
        let [a, b] = self.deviation.values.map(number);
        let Deviation { measure, allowed, .. } = self.deviation;
        let rounding = match allowed {
            0.0 => String::new(),
            allowed => format!("; rounding accounts for a difference of {allowed:.1e}"),
        };
        page.line(format_args!("  {measure} of {}: {a} and {b}{rounding}", self.output));
        for (name, side) in names.iter().zip(&self.sides) {
            page.line(format_args!(
                "  {name}: {}, call {}:{} in run {}, {}",
                side.outcome, side.thread, side.sequence, side.run, side.process
            ));
        }
        for (name, captured) in names.iter().zip(&self.captured) {
            let Some(Captured { file, problem, .. }) = captured else { continue };
            if let Some(problem) = problem {
                page.line(format_args!("  {name}: not replayed: {problem}"));
            }
            if let Some(file) = file {
                page.line(format_args!("  {name}: captured in {}", shown(file)));
            }
        }
        page
    }

    /// The replays of the call alone, and what follows from them.
    fn replays(&self, names: &[String; 2]) -> Text {
        let mut page = Text::new();
        for (name, captured) in names.iter().zip(&self.captured) {
            if let Some(replay) = captured.as_ref().and_then(|it| it.replay.as_ref()) {
                page.line("");
                let what = format!("The call alone, with the operands of {name}");
                page.line(Line::new().styled(HEADING, what));
                page.append(&replay.text());
            }
        }
        if let Some(said) = conclusion(self) {
            page.line("");
            page.line(Line::new().styled(NOTE, said));
        }
        page
    }
}
