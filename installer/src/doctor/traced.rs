//! Problems that a trace shows: calls that failed, calls that returned success although they failed, outputs
//! without finite values, and handles that were never destroyed.

use super::{Finding, Severity, findings::finding};
use crate::{
    output::count,
    trace::summary::{Failure, Found, Instance, Summary},
};

/// The maximum number of calls of one kind.
const CALLS: usize = 10;

/// Turns the summary of a trace into findings.
pub(super) fn findings(summary: &Summary) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !summary.silent.is_empty() {
        let calls: u64 = summary.silent.iter().map(|failure| failure.calls).sum();
        let calls = count(calls, "call");
        findings.push(
            finding(Severity::Error, format!("{calls} returned success with a HIP error"))
                .seen(summary.silent.iter().take(CALLS).map(line))
                .because(
                    "rocBLAS returned success, and at most printed a HIP error. With \
                     hipErrorInvalidDeviceFunction, a kernel was not launched because the library has none for \
                     the GPU, so the result is what was in memory before.",
                )
                .cured_by("use a backend that has kernels for the GPU: installer inspect"),
        );
    }
    if !summary.failures.is_empty() {
        findings.push(
            finding(Severity::Error, format!("{} failed", count(summary.errors, "call")))
                .seen(summary.failures.iter().take(CALLS).map(line))
                .because("rocBLAS returned these statuses.")
                .cured_by("installer trace show TRACE --status error"),
        );
    }
    if summary.bad_outputs > 0 {
        let outputs = count(summary.bad_outputs, "output");
        let is_saved = summary.findings.iter().any(|found| found.saved.is_some());
        let cure = if is_saved {
            "repeat the saved call on other backends, and inspect its inputs: installer replay FILE, installer trace \
             show-capture FILE"
        } else {
            "save its operands and repeat it on other backends: installer trace capture, installer replay"
        };
        findings.push(
            finding(Severity::Error, format!("{outputs} with NaN or infinite elements"))
                .seen(bad_calls(&summary.findings))
                .because("A check during the trace found them. The first call's inputs may already contain some.")
                .cured_by(cure),
        );
    }
    if let Some(kept) = summary.kept_handles.filter(|kept| *kept > 0) {
        findings.push(
            finding(Severity::Warning, format!("{} never destroyed", count(kept, "handle")))
                .because("Each keeps GPU memory until the program ends."),
        );
    }
    if findings.is_empty() {
        let calls = count(summary.calls, "call");
        findings
            .push(finding(Severity::Fine, format!("the trace has {calls}, none of which failed")));
    }
    findings
}

/// `internal_error 3 times, first at 1.200000 s, call 1:12: rocblas_sgemm(...)`
fn line(failure: &Failure) -> String {
    let Failure { status, calls, first, .. } = failure;
    let times = if *calls == 1 { "once".to_owned() } else { format!("{calls} times") };
    format!("{status} {times}, first {}", call(first))
}

/// The first of them, and the first saved one if that is another.
fn bad_calls(found: &[Found]) -> impl Iterator<Item = String> {
    let line = |found: &Found| {
        let saved = found.saved.as_ref().map_or(String::new(), |file| format!(", saved in {file}"));
        format!("{}{saved}", call(&found.call))
    };
    let (first, further) = found.split_at(found.len().min(CALLS));
    let is_among = first.iter().any(|found| found.saved.is_some());
    let saved = further.iter().find(|found| found.saved.is_some() && !is_among);
    first.iter().chain(saved).map(line)
}

fn call(instance: &Instance) -> String {
    format!("{} {}", instance.place(), instance.call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_of_the_smallest_solves_is_explained() {
        let first = Instance {
            call: "rocblas_strsm_batched(m=64, n=64, batch=4)".to_owned(),
            at: 1.5e9,
            process: 7,
            thread: 2,
            sequence: 9,
        };
        let silent = Failure {
            function: "rocblas_strsm_batched".to_owned(),
            backend: String::new(),
            status: "success with hipErrorInvalidDeviceFunction (98)".to_owned(),
            calls: 3,
            first,
        };
        let summary =
            Summary { calls: 9, silent: vec![silent], kept_handles: Some(1), ..Summary::default() };
        let found = findings(&summary);
        let [error, warning] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(error.title, "3 calls returned success with a HIP error");
        assert_eq!(
            error.seen,
            [
                "success with hipErrorInvalidDeviceFunction (98) 3 times, first at 1.500000 s, call 2:9: \
              rocblas_strsm_batched(m=64, n=64, batch=4)"
            ]
        );
        assert_eq!(warning.severity, Severity::Warning);
        assert_eq!(warning.title, "1 handle never destroyed");
        let fine = findings(&Summary { calls: 9, ..Summary::default() });
        assert_eq!(fine[0].title, "the trace has 9 calls, none of which failed");
    }
}
