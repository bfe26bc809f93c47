//! A self-test in words.

use super::{Device, Selftest, device::Report};
use crate::doctor::known;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// GPU by GPU: which library, each call with its time and error, and the verdict.
#[must_use]
pub fn text(selftest: &Selftest) -> String {
    // Writing to a string does not fail.
    let mut text = String::new();
    if let Some(none) = &selftest.none {
        let _ = writeln!(text, "{BAD}error{BAD:#}: {none}");
    }
    for device in &selftest.devices {
        match device {
            Device::Done { device, report, stderr } => {
                done(&mut text, *device, report);
                said(&mut text, stderr, !report.is_right());
            }
            Device::Died { device, end, stderr } => {
                let _ = writeln!(text, "GPU {device}: {BAD}the test {end}{BAD:#}");
                said(&mut text, stderr, true);
            }
        }
    }
    let right = selftest.devices.iter().filter(|device| device.is_right()).count();
    if !selftest.devices.is_empty() {
        let all = selftest.devices.len();
        let style = if right == all { GOOD } else { BAD };
        let _ = writeln!(text, "{style}{right} of {all} GPUs compute right{style:#}");
    }
    text
}

fn done(text: &mut String, device: u32, report: &Report) {
    let _ = writeln!(text, "GPU {device}: {}", format!("{} {}", report.name, report.target).trim());
    if !report.served_by.is_empty() {
        let _ = writeln!(text, "  {}", report.served_by);
    }
    if let Some(error) = &report.error {
        let _ = writeln!(text, "  {BAD}failed{BAD:#}: {error}");
    }
    for check in &report.checks {
        let call = &check.call;
        let _ = match (&check.error, check.max_error.zip(check.of_bound)) {
            (Some(error), _) => writeln!(text, "  {call}: {BAD}failed{BAD:#}: {error}"),
            (None, Some((error, of_bound))) => {
                let (style, word) = if check.right { (GOOD, "right") } else { (BAD, "wrong") };
                writeln!(
                    text,
                    "  {call}: {style}{word}{style:#}, largest error {error:.1e}, {:.1} % of what \
                     rounding may do, {:.1} ms",
                    of_bound * 1e2,
                    check.milliseconds
                )
            }
            (None, None) => {
                writeln!(text, "  {call}: {BAD}wrong{BAD:#}: there are results that are no numbers")
            }
        };
    }
}

/// What the libraries complained about, and what is known of it.
fn said(text: &mut String, stderr: &str, explain: bool) {
    for line in stderr.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(text, "  said: {line}");
    }
    for known in known::explain(stderr).into_iter().filter(|_| explain) {
        let _ = writeln!(text, "  why:  {}: {}\n  do:   {}", known.title, known.cause, known.cure);
    }
}
