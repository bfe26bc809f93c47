//! Calls that return success although they set HIP's last error.

use crate::{Program, installer};
use serde_json::Value;
use tests::{artefacts::standins, compile::library, run::run, tree::Tree};

/// `timed.c` on its backend.
pub(crate) fn program() -> Program {
    let tree = Tree::with_shim();
    let backend = tree.root().join("timed.so");
    let backend = library(&standins().join("timed.c"), &backend, "librocblas.so.4", &[]);
    tree.add_backend("only", &backend);
    Program::in_tree(tree, "timed.c")
}

/// Its output in a trace with these options.
pub(crate) fn traced(program: &Program, arguments: &[&str], options: &str) -> String {
    let mut command = program.command();
    let backend = program.tree.lib().join("rocblas-shim/backends/only/lib/librocblas.so.4");
    command.args(arguments).env("BACKEND", backend).env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
    command.env("ROCBLAS_SHIM_COMPAT", "-tensile").env("GGML_CUDA_DISABLE_GRAPHS", "1");
    run(&mut command).success().stdout
}

/// The output of `trace WHAT` for its trace.
pub(crate) fn output_of(program: &Program, what: &[&str]) -> String {
    let mut command = installer();
    command.args(["trace", what[0]]).arg(program.traces()).args(&what[1..]);
    run(&mut command).silent_success().stdout
}

/// Functions with HIP's last errors before and after.
fn errors(program: &Program) -> Vec<(&'static str, Option<[u16; 2]>)> {
    let trace = program.traced();
    trace.calls().iter().map(|call| (&call.name["rocblas_".len()..], call.note.errors())).collect()
}

const PRINTED: &str = "0 98 98 1 98\nmade 0, recorded 0, error 0\n";

#[test]
fn the_last_error_is_recorded_and_left_to_the_program() {
    let program = program();
    for options in ["", "first=1000"] {
        assert_eq!(traced(&program, &["errors"], options), PRINTED, "{options}");
        assert_eq!(
            errors(&program),
            [
                ("create_handle", None),
                ("create_handle", None),
                ("sscal", Some([0, 0])),
                ("strsm", Some([0, 98])),
                ("sscal", Some([98, 98])),
                ("sasum", Some([0, 1])),
                ("strsm", Some([0, 0])),
                ("strsm", Some([0, 98])),
                ("strsm", Some([0, 98])),
                ("destroy_handle", Some([0, 0])),
            ],
            "{options}"
        );
        std::fs::remove_dir_all(program.traces()).expect("remove");
    }
    assert_eq!(traced(&program, &["errors"], "errors=off"), PRINTED);
    assert!(errors(&program).iter().all(|(_, errors)| errors.is_none()));
}

#[test]
fn success_with_an_error_of_hip_is_told_from_success() {
    let program = program();
    traced(&program, &["errors"], "");
    let summary = output_of(&program, &["summary"]);
    for expected in [
        "1 call failed",
        "internal_error once, first at",
        "3 calls raised an error of HIP and did not return it",
        "success with hipErrorInvalidDeviceFunction (98) 3 times, first at",
        "rocblas_strsm(left, upper, none, non_unit, m=16, n=4, lda=16, ldb=16)",
        "1 call began and ended with the same error of HIP pending",
        "1 handle was created and never destroyed",
    ] {
        assert!(summary.contains(expected), "{expected}: {summary}");
    }
    let document: Value =
        serde_json::from_str(&output_of(&program, &["summary", "--json"])).expect("JSON");
    let summary = document.get("summary").unwrap_or(&document);
    assert_eq!(summary["silent"][0]["calls"], 3, "{document}");
    assert_eq!(summary["pending_errors"], 1);
    assert_eq!(summary["kept_handles"], 1);
    assert_eq!(summary["statuses"]["success with hipErrorInvalidDeviceFunction (98)"], 3);

    let shown = output_of(&program, &["show", "--status", "error"]);
    let expected = " = success with hipErrorInvalidDeviceFunction (98)  ";
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert_eq!(shown.matches(expected).count(), 3, "{shown}");
    assert_eq!(shown.matches(" = internal_error with hipErrorInvalidValue (1)  ").count(), 1);
    let shown = output_of(&program, &["show", "--json"]);
    assert_eq!(shown.matches("\"hip_error\":\"hipErrorInvalidDeviceFunction\"").count(), 3);
    assert_eq!(shown.matches("\"pending_hip_error\"").count(), 1);

    let mut command = installer();
    command.args(["doctor", "--trace"]).arg(program.traces());
    let ended = run(&mut command);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for expected in [
        "3 calls returned success with a HIP error",
        "success with hipErrorInvalidDeviceFunction (98) 3 times, first at",
        "1 call failed",
        "1 handle never destroyed",
    ] {
        assert!(ended.stdout.contains(expected), "{expected}: {ended:?}");
    }

    let page = program.traces().join("report.html");
    output_of(&program, &["report", "--output", page.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("success with hipErrorInvalidDeviceFunction (98)"), "{page}");
}

#[test]
fn a_trace_in_which_a_kernel_is_missing_differs_from_one_in_which_it_is_not() {
    let (bad, good) = (program(), program());
    traced(&bad, &["errors"], "");
    traced(&good, &["errors"], "errors=off");
    let mut command = installer();
    command.args(["trace", "diff"]).arg(good.traces()).arg(bad.traces());
    let ended = run(&mut command);
    let changed = "m=16, n=4): 2 success -> 2 success with hipErrorInvalidDeviceFunction (98)";
    assert!(ended.stdout.contains(changed), "{ended:?}");
    assert!(!ended.stdout.contains("m=64, n=4): "), "{ended:?}");
}
