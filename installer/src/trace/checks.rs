//! The results of checks and the names of saved calls. The shim writes them to a separate file, keyed by
//! call.

use rocblas_abi::params;
use rocblas_trace::{
    layout::{Due, Skipped},
    process::saved_file,
    read::{CallId, Digest, Finding, Record, Trace},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The number of the shim's own thread.
pub(super) const OWN: u32 = 0;

/// The results of checks by call, and the saved calls.
#[derive(Debug, Default)]
pub struct Checks {
    findings: BTreeMap<CallId, Vec<Finding>>,
    digests: BTreeMap<CallId, Vec<Digest>>,
    saved: BTreeSet<CallId>,
}

impl Checks {
    /// Reads the part of a trace that has been written. Unreadable parts are reported when the threads are
    /// read.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let mut checks = Self::default();
        let threads = trace.threads().map(|(threads, _)| threads).unwrap_or_default();
        for mut own in threads.into_iter().filter(|thread| thread.written().ordinal == OWN) {
            own.close();
            while let Ok(Some(record)) = own.next() {
                match record {
                    Record::Finding(finding) => {
                        checks.findings.entry(finding.call).or_default().push(finding);
                    }
                    Record::Digest(digest) => {
                        checks.digests.entry(digest.call).or_default().push(digest);
                    }
                    Record::Saved(saved) => {
                        checks.saved.insert(saved.call);
                    }
                    _ => {}
                }
            }
        }
        checks
    }

    /// What checks found in the outputs of a call.
    #[must_use]
    pub fn findings(&self, call: CallId) -> &[Finding] {
        self.findings.get(&call).map(Vec::as_slice).unwrap_or_default()
    }

    /// All findings, by call.
    pub(super) fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().flatten()
    }

    /// The file in the trace's directory that holds a call's operands.
    #[must_use]
    pub fn saved(&self, call: CallId) -> Option<String> {
        self.saved.contains(&call).then(|| saved_file(call.thread, call.sequence))
    }

    /// Lines about a call of the given function.
    pub(super) fn lines(&self, call: CallId, function: usize) -> impl Iterator<Item = String> {
        let findings = self.findings(call).iter().map(move |finding| sentence(finding, function));
        findings.chain(self.saved(call).map(|file| format!("its operands are in {file}")))
    }

    /// Adds the results to the JSON document of a call of the given function.
    pub(super) fn add_to(&self, document: &mut Value, call: CallId, function: usize) {
        let parameter = |position: u8| parameter(function, position);
        if let Some(findings) = self.findings.get(&call) {
            let of = |finding: &Finding| document_of(finding, function);
            document["findings"] = findings.iter().map(of).collect();
        }
        if let Some(digests) = self.digests.get(&call) {
            let of = |digest: &Digest| {
                json!({
                    "parameter": parameter(digest.parameter),
                    "before": digest.is_before,
                    "hash": format!("{:016x}", digest.hash),
                    "not_finite": digest.not_finite,
                    "sum": digest.sum,
                    "absolute": digest.absolute,
                    "projection": digest.projection,
                    "largest": digest.largest,
                })
            };
            document["digests"] = digests.iter().map(of).collect();
        }
        if let Some(file) = self.saved(call) {
            document["saved"] = file.into();
        }
    }
}

/// The name of a parameter.
pub(super) fn parameter(function: usize, position: u8) -> &'static str {
    params(function).nth(usize::from(position)).map_or("?", |param| param.name)
}

fn document_of(finding: &Finding, function: usize) -> Value {
    json!({
        "parameter": parameter(function, finding.parameter),
        "nan": finding.nan,
        "inf": finding.inf,
        "first": finding.first,
    })
}

/// The JSON document of a single finding.
pub(super) fn document(finding: &Finding, function: usize) -> Value {
    let mut document = document_of(finding, function);
    document["function"] = rocblas_abi::name(function).to_string_lossy().into();
    document["thread"] = finding.call.thread.into();
    document["sequence"] = finding.call.sequence.into();
    document
}

/// `C has 1 NaN and 0 infinite elements, the first is element 33`
pub(super) fn sentence(finding: &Finding, function: usize) -> String {
    let Finding { nan, inf, first, parameter: position, .. } = *finding;
    let name = parameter(function, position);
    format!("{name} has {nan} NaN and {inf} infinite elements, the first is element {first}")
}

/// What should have been done for a call and why it was skipped: `checked: its stream captured a graph`.
pub(super) fn skipped(due: Due, reason: Skipped) -> String {
    let due = match due {
        Due::GpuTime => "timed on the GPU",
        Due::Check => "checked",
        Due::Save => "saved with their numbers",
    };
    let why = match reason {
        Skipped::Capturing => "their stream captured a graph, or HIP did not say",
        Skipped::Busy => "the GPU was too far behind (every=N checks fewer calls)",
        Skipped::TooLarge => "their operands are larger than the limit (save-limit=SIZE)",
        Skipped::Unable => "HIP or the backend could not copy their operands",
        Skipped::Ended => "the trace ended before their results were there",
    };
    format!("{due}: {why}")
}
