//! One wrong number, traced from a program that reports "wrong" to the call that produced it: the README's
//! example.
//!
//! The fault is deliberate: one of the stand-ins writes a NaN into the solution of one of the client's
//! shapes.

use crate::{
    layout::{BACKEND, Layout},
    prepare::Built,
    report::{Step, indented, paragraph},
    run_client,
};
use std::{fs, path::Path};

/// The name in the store of the library with the fault.
const SUSPECT: &str = "suspect";
/// The one without.
const RIGHT: &str = "6.3.0";
/// What triggers it: a solve of 417 by 79, only in the library of that name.
const FAULT: [(&str, &str); 2] =
    [("REFERENCE_BACKEND_FAULT", "nan@417x79"), ("REFERENCE_BACKEND_ONLY", SUSPECT)];

/// The steps, in the order in which a user would take them.
pub(crate) fn found(built: &Built, layout: &Layout) -> Result<(), String> {
    let step = Step::begin("One wrong number: which call was it?");
    layout.installer(&["backends", "add", BACKEND, "--name", SUSPECT])?;
    println!();
    paragraph(&format!(
        "The same library once more, as backend {SUSPECT}. In it a fault is planted: one element of the \
         solution for n = 79, k = 417 is NaN, and the status is success.",
    ));
    println!();
    let mut settings = FAULT.to_vec();
    settings.push(("ROCBLAS_SHIM_BACKEND", SUSPECT));
    let ended = run_client(layout, &built.solve_tri, &settings, "");
    indented(&layout.relative(&ended.stdout));
    step.expect(
        ended.status.code() == Some(1) && ended.stdout.contains("4 of 5 shapes solved"),
        "one of five solutions should have been wrong, and was not",
    )?;

    println!();
    let place = "traces/wrong";
    settings.push(("ROCBLAS_SHIM_TRACE", place));
    settings.push(("ROCBLAS_SHIM_TRACE_OPTIONS", "check=nan,inf,on-bad=capture"));
    run_client(layout, &built.solve_tri, &settings, " >/dev/null 2>&1");
    println!();
    layout.trace(&["summary", place])?;

    println!();
    let capture = saved(&layout.tree().root().join(place))
        .ok_or_else(|| "the call should have been saved, and was not".to_owned())?;
    let capture = layout.relative(&capture.display().to_string());
    layout.trace(&["show-capture", &capture])?;

    println!();
    let backends = ["--backend", SUSPECT, "--backend", RIGHT];
    let replay = [&["replay", &capture, "--rocm", "."], &backends[..]].concat();
    let ended = layout.with_fault(&FAULT, &replay);
    step.expect(
        ended.status.code() == Some(1) && ended.stdout.contains("wrong"),
        "the suspect should have been wrong when the call was made again, and was not",
    )?;

    println!();
    let program = built.solve_tri.display().to_string();
    let silent = format!("{program} >/dev/null 2>&1");
    let compare =
        [&["compare", "--results", "--rocm", "."], &backends[..], &["--", "sh", "-c", &silent]];
    let ended = layout.with_fault(&FAULT, &compare.concat());
    step.expect(
        ended.status.code() == Some(1) && ended.stdout.contains("strsm_batched"),
        "the results should have differed from those of the other library, and did not",
    )
}

/// The saved call in a directory of traces.
fn saved(place: &Path) -> Option<std::path::PathBuf> {
    let traces = fs::read_dir(place).ok()?.filter_map(Result::ok);
    let files = traces.filter_map(|trace| fs::read_dir(trace.path()).ok()).flatten();
    let mut files = files.filter_map(Result::ok).map(|file| file.path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
}
