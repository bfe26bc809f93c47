//! rocTX ranges around calls.

use crate::{Program, errors::program};
use std::path::PathBuf;
use tests::{
    artefacts::standins,
    compile::library,
    run::{Ended, run},
};

const NEW: &str = "librocprofiler-sdk-roctx.so.1";
const OLD: &str = "libroctx64.so.4";

/// A stand-in for a rocTX library in the tree, which prints `name`.
fn place(program: &Program, file: &str, name: &str) -> PathBuf {
    let path = program.tree.lib().join(file);
    library(&standins().join("roctx.c"), &path, file, &[&format!("-DNAME=\"{name}\"")])
}

fn traced(program: &Program, options: &str, preloaded: Option<PathBuf>) -> Ended {
    let mut command = program.command();
    let backend = program.tree.lib().join("rocblas-shim/backends/only/lib/librocblas.so.4");
    command.args(["times", "2"]).env("BACKEND", backend).env("ROCBLAS_SHIM_COMPAT", "-tensile");
    command
        .env("ROCBLAS_SHIM_TRACE_OPTIONS", options)
        .envs(preloaded.map(|path| ("LD_PRELOAD", path)));
    run(&mut command).success()
}

/// Ranges of these functions, in order.
fn ranges(library: &str, functions: &[&str]) -> String {
    let lines = functions.iter().map(|name| format!("{library} push {name} 0\n{library} pop 0\n"));
    lines.collect()
}

const CALLED: [&str; 4] =
    ["rocblas_create_handle", "rocblas_sscal", "rocblas_sscal", "rocblas_destroy_handle"];

#[test]
fn each_recorded_call_has_a_range() {
    let program = program();
    place(&program, OLD, "old");
    place(&program, NEW, "new");
    let printed = traced(&program, "roctx=on", None).stdout;
    assert!(printed.starts_with(&ranges("new", &CALLED)), "{printed}");
    assert_eq!(program.traced().calls().len(), CALLED.len());
    let printed = traced(&program, "roctx=on,functions=*scal,gpu-time=1", None).stdout;
    assert!(printed.starts_with(&ranges("new", &CALLED[1..3])), "{printed}");
    let printed = traced(&program, "limit=1M", None).stdout;
    assert!(printed.starts_with("made 0"), "{printed}");
}

#[test]
fn a_library_that_is_loaded_already_is_preferred() {
    let program = program();
    let old = place(&program, OLD, "old");
    place(&program, NEW, "new");
    let printed = traced(&program, "roctx=on", Some(old)).stdout;
    assert!(printed.starts_with(&ranges("old", &CALLED)), "{printed}");
}

#[test]
fn without_a_library_calls_are_recorded_all_the_same() {
    let program = program();
    let ended = traced(&program, "roctx=on", None);
    let expected = format!("setting ignored: roctx=on: neither {NEW} nor {OLD} is found\n");
    assert!(ended.stderr.contains(&expected), "{ended:?}");
    assert_eq!(program.traced().calls().len(), CALLED.len());
}
