//! Calls that are captured into a graph, if HIP is queried.

use crate::{Program, installer};
use rocblas_trace::layout::Capture::{self, No, Unasked, Untold, Yes};
use std::path::Path;
use tests::{artefacts::standins, compile::library, run::run, tree::Tree};

/// A trace of `captured.c` with these options, and what it printed.
fn traced(options: &str) -> (Program, String) {
    let tree = Tree::with_shim();
    let backend = tree.root().join("capturing.so");
    let backend = library(&standins().join("capturing.c"), &backend, "librocblas.so.4", &[]);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "captured.c");
    let mut command = program.command();
    // The tree has no kernels for the stand-in's unknown device.
    command.env("ROCBLAS_SHIM_COMPAT", "-tensile").env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
    let ended = run(&mut command).silent_success();
    (program, ended.stdout)
}

fn captures(program: &Program) -> Vec<(&'static str, Capture)> {
    let trace = program.traced();
    trace.calls().iter().map(|call| (&call.name["rocblas_".len()..], call.note.capture())).collect()
}

fn output_of(what: &str, traces: &Path, words: &[&str]) -> String {
    run(installer().args(["trace", what]).arg(traces).args(words)).silent_success().stdout
}

#[test]
fn calls_are_marked_where_hip_is_asked() {
    let (program, printed) = traced("capture=ask");
    assert_eq!(
        captures(&program),
        [
            // There is no handle yet; the default stream is never captured.
            ("create_handle", Unasked),
            ("sscal", No),
            ("set_stream", No),
            ("sscal", Yes),
            ("set_stream", Yes),
            ("sscal", Untold),
            ("set_stream", Untold),
            ("sscal", No),
            ("sscal", No),
            ("destroy_handle", No),
        ]
    );
    assert_eq!(printed, "asked 6 times\n", "once for each call on a stream");

    let traces = program.traces();
    let shown = output_of("show", &traces, &[]);
    assert_eq!(shown.matches(" = success into a graph  ").count(), 2, "{shown}");
    let documents = output_of("show", &traces, &["--json"]);
    assert_eq!(documents.matches("\"captured\":true").count(), 2, "{documents}");
    assert_eq!(documents.matches("\"captured\":false").count(), 5, "{documents}");
    let summary = output_of("summary", &traces, &[]);
    assert!(summary.contains("2 calls were captured into a graph, whose launches"), "{summary}");
    assert!(summary.contains("HIP did not say of 2 calls whether a graph"), "{summary}");
    assert!(!summary.contains("capture=ask"), "{summary}");
    let page = traces.join("report.html");
    output_of("report", &traces, &["--output", page.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("2 calls were captured into a graph"), "{page}");
}

#[test]
fn hip_is_not_asked_without_the_option_and_that_is_said() {
    let (program, printed) = traced("limit=1M");
    assert!(captures(&program).iter().all(|(_, capture)| *capture == Unasked));
    assert_eq!(printed, "asked 0 times\n");
    let summary = output_of("summary", &program.traces(), &[]);
    let blind = "Calls in a HIP graph are recorded once: capture=ask marks them, \
                 GGML_CUDA_DISABLE_GRAPHS=1 avoids it\n";
    assert!(summary.ends_with(blind), "{summary}");
    assert!(!output_of("show", &program.traces(), &["--json"]).contains("captured"));
}

#[test]
fn where_llama_cpp_makes_no_graphs_nothing_is_said_of_them() {
    let (program, _) = traced("limit=1M");
    std::fs::remove_dir_all(program.traces()).expect("remove");
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_COMPAT", "-tensile").env("GGML_CUDA_DISABLE_GRAPHS", "1");
    run(&mut command).silent_success();
    let summary = output_of("summary", &program.traces(), &[]);
    assert!(!summary.contains("graph"), "{summary}");
}
