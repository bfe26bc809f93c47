//! Prints the results of a self-test.

use super::{Device, Selftest, device::Report};
use crate::{
    doctor::known::{
        self,
        advice::{Advice, Tree},
    },
    output::{BAD, GOOD, Line, Text},
};

/// For each GPU: the library, each call with its time and error, and the verdict.
#[must_use]
pub fn text(selftest: &Selftest) -> Text {
    let mut text = Text::new();
    if let Some(none) = &selftest.none {
        text.line(Line::new().styled(BAD, "error").text(": ").text(none));
    }
    for device in &selftest.devices {
        match device {
            Device::Done { device, report, stderr } => {
                done(&mut text, *device, report);
                said(&mut text, stderr, !report.is_right());
            }
            Device::Died { device, end, stderr } => {
                let line = Line::from(format_args!("GPU {device}: "));
                text.line(line.styled(BAD, format_args!("the test {end}")));
                said(&mut text, stderr, true);
            }
        }
    }
    let right = selftest.devices.iter().filter(|device| device.is_right()).count();
    if !selftest.devices.is_empty() {
        let all = selftest.devices.len();
        let style = if right == all { GOOD } else { BAD };
        text.line(
            Line::new().styled(style, format_args!("{right} of {all} GPUs compute correctly")),
        );
    }
    text
}

fn done(text: &mut Text, device: u32, report: &Report) {
    let name = format!("{} {}", report.name, report.target);
    text.line(format_args!("GPU {device}: {}", name.trim()));
    if !report.served_by.is_empty() {
        text.line(Line::from("  ").text(&report.served_by));
    }
    if let Some(error) = &report.error {
        text.line(Line::from("  ").styled(BAD, "failed").text(": ").text(error));
    }
    for check in &report.checks {
        let call = Line::from(format_args!("  {}: ", check.call));
        text.line(match (&check.error, check.max_error.zip(check.of_bound)) {
            (Some(error), _) => call.styled(BAD, "failed").text(": ").text(error),
            (None, Some((error, of_bound))) => {
                let (style, word) = if check.right { (GOOD, "right") } else { (BAD, "wrong") };
                call.styled(style, word).text(format_args!(
                    ", largest error {error:.1e}, {:.1} % of the rounding bound, {:.1} ms",
                    of_bound * 1e2,
                    check.milliseconds
                ))
            }
            (None, None) => call.styled(BAD, "wrong").text(": the result contains NaN"),
        });
    }
}

/// What the libraries printed, and what is known about it.
fn said(text: &mut Text, stderr: &str, explain: bool) {
    for line in stderr.lines().filter(|line| !line.trim().is_empty()) {
        text.line(Line::from("  said: ").text(line));
    }
    // The shim is in place in the tested tree.
    let advice = Advice { own: Tree { applied: true, ..Tree::default() }, ..Advice::default() };
    for known in known::explain(stderr).into_iter().filter(|_| explain) {
        text.line(format_args!("  why:  {}: {}", known.title(), known.why()));
        text.line(format_args!("  do:   {}", known.cure(&advice)));
    }
}
