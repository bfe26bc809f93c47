//! Traces to stderr.

use crate::Program;
use tests::{
    artefacts,
    run::{Ended, run},
};

fn lines(source: &str, options: &str, arguments: &[&str]) -> (Ended, Vec<String>) {
    let program = Program::new(source, artefacts::reference());
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE", "stderr").env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
    let ended = run(command.args(arguments));
    assert!(!program.tree.root().join("stderr").exists());
    let lines = ended.stderr.lines().map(str::to_owned).collect();
    (ended, lines)
}

/// A line without its time.
fn without_time(line: &str) -> &str {
    let (call, time) = line.rsplit_once("  ").expect("a time");
    let (number, unit) = time.split_once(' ').expect("a number and a unit");
    assert!(number.parse::<f64>().is_ok() && ["ns", "us", "ms"].contains(&unit), "{line}");
    call
}

#[test]
fn each_call_is_a_line_when_it_ends() {
    let (ended, lines) = lines("mixed.c", "", &[]);
    ended.success();
    let calls: Vec<&str> = lines.iter().map(|line| without_time(line)).collect();
    assert_eq!(
        calls,
        [
            "rocblas-shim: rocblas_create_handle() = success",
            "rocblas-shim: rocblas_get_version_string(len=64) = success by the shim",
            "rocblas-shim: rocblas_sgemm(none, transpose, m=2, n=2, k=2, alpha=1, lda=2, ldb=2, \
             beta=0, ldc=2) = success",
            "rocblas-shim: rocblas_strsm(left, upper, none, non_unit, m=2, n=2, alpha=1, lda=2, \
             ldb=2) = success",
            "rocblas-shim: rocblas_sgemm(none, none, m=-1, n=2, k=2, alpha=1, lda=2, ldb=2, beta=0, \
             ldc=2) = invalid_size",
            "rocblas-shim: rocblas_is_user_managing_device_memory() = false",
            "rocblas-shim: rocblas_destroy_handle() = success",
        ]
    );
}

#[test]
fn filters_are_for_lines_too() {
    let (ended, lines) = lines("mixed.c", "functions=*trsm*", &[]);
    ended.success();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (ended, lines) = self::lines("many.c", "first=3", &["100"]);
    ended.success();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let (ended, lines) = self::lines("many.c", "min=1s", &["100"]);
    ended.success();
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn what_needs_a_file_is_refused_before_the_first_call() {
    let (ended, lines) = lines("mixed.c", "check=nan,inf,on-bad=capture", &[]);
    ended.success();
    let refusal = "setting ignored: ROCBLAS_SHIM_TRACE_OPTIONS: on-bad=capture has no effect on lines to stderr: \
                   trace into a directory instead";
    assert!(lines[0].ends_with(refusal), "{lines:?}");
    // Calls are printed all the same, as with any setting that is ignored.
    assert_eq!(lines.iter().filter(|line| line.contains("rocblas_sgemm(")).count(), 2, "{lines:?}");
}
