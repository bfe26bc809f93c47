//! Traces of real libraries: a traced program makes the same GPU calls, and the trace has each of its calls, and none
//! that libraries make internally.

use rocblas_abi::{EnumId, Kind, by_name, enumeration};
use rocblas_trace::layout::{Due, Skipped};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{
        Rocm,
        compared::{Seen, assert_same},
        log::Log,
        root,
    },
    traces::{Recorded, read_all, read_only},
};

/// A program without and with a trace.
fn twice(rocm: &Rocm, program: &Path, arguments: &[&str]) -> (Seen, PathBuf) {
    let untraced = Seen::of(rocm, program, arguments, &[]);
    let traces = rocm.tree().root().join("traces");
    let place = traces.to_str().expect("UTF-8");
    let traced = Seen::of(rocm, program, arguments, &[("ROCBLAS_SHIM_TRACE", place)]);
    assert_same(&untraced, &traced, "without a trace | with one");
    assert_eq!(traced.ended.stderr, untraced.ended.stderr);
    // Events around each call cause neither launches nor HIP errors.
    let measured = rocm.tree().root().join("measured");
    let place = measured.to_str().expect("UTF-8");
    let options = [("ROCBLAS_SHIM_TRACE", place), ("ROCBLAS_SHIM_TRACE_OPTIONS", "gpu-time=1")];
    let timed = Seen::of(rocm, program, arguments, &options);
    assert_same(&untraced, &timed, "without a trace | with GPU times");
    let [before, after] = [&traces, &measured].map(|place| errors(place));
    assert_eq!(before, after);
    let checked = rocm.tree().root().join("checked");
    let place = checked.to_str().expect("UTF-8");
    let checks = ("ROCBLAS_SHIM_TRACE_OPTIONS", "check=nan,inf,digest,on-bad=capture");
    let checked = Seen::of(rocm, program, arguments, &[("ROCBLAS_SHIM_TRACE", place), checks]);
    assert_eq!(checked.printed, untraced.printed, "without a trace | with checks");
    only_copies_are_more(&untraced, &checked);
    (traced, traces)
}

/// The launches of both runs are the same, in the same order, except for copies of batches with pointers.
fn only_copies_are_more(without: &Seen, with: &Seen) {
    let launches = |seen: &Seen| -> Vec<String> {
        seen.hip.iter().filter(|line| line.starts_with("launch ")).cloned().collect()
    };
    let (without, with) = (launches(without), launches(with));
    let mut expected = without.iter().peekable();
    for launch in &with {
        if expected.next_if(|next| *next == launch).is_none() {
            assert!(launch.contains("copy"), "a launch of a check: {launch}");
        }
    }
    assert_eq!(expected.next(), None, "a launch that a check took away");
}

/// HIP's last errors before and after each call, sorted by name, because the order of forked processes
/// varies.
fn errors(traces: &Path) -> Vec<(&'static str, Option<[u16; 2]>)> {
    let traces = read_all(traces);
    let calls = traces.iter().flat_map(|trace| trace.calls());
    let mut errors: Vec<_> = calls.map(|call| (call.name, call.note.errors())).collect();
    errors.sort_unstable();
    errors
}

fn client(rocm: &Rocm, source: &str, libraries: &[&str]) -> PathBuf {
    let path = workspace().join("tests/clients/real").join(source).with_extension("c");
    let arguments = rocm.link_with(libraries);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    compile(&path, &rocm.tree().root().join(source), &arguments)
}

/// The calls of a function.
fn count(calls: &[&Recorded], name: &str) -> usize {
    calls.iter().filter(|call| call.name == name).count()
}

#[test]
fn llama_cpps_calls() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let libraries = ["libhipblas.so.3", "librocblas.so.5", "libamdhip64.so.7"];
    let program = client(&rocm, "blas_calls", &libraries);
    let (seen, traces) = twice(&rocm, &program, &[]);
    let trace = read_only(&traces);
    trace.assert_nothing_is_missing();
    assert!(trace.process.backend.version.starts_with("4.4.1"), "{:?}", trace.process.backend);
    let [(0, name, target)] = trace.devices.as_slice() else { panic!("{:?}", trace.devices) };
    assert!(!name.is_empty() && target.starts_with("gfx906"), "{:?}", trace.devices);
    let calls = trace.calls();
    // Internal calls of rocBLAS, such as a product within a solver, are not calls of the program.
    assert!(calls.iter().all(|call| call.has_ended && call.depth == 0));
    let printed = |what: &str| {
        let named = seen.printed.iter().filter(|line| line.starts_with(what));
        named.filter(|line| line.ends_with(": 0")).count()
    };
    assert!(printed("Sgemm n=") > 0 && printed("GemmEx ") > 0, "{seen:?}");
    assert_eq!(count(&calls, "rocblas_sgemm"), printed("Sgemm n="));
    assert_eq!(count(&calls, "rocblas_create_handle"), 1);
    let streams: Vec<Option<u32>> = calls.iter().map(|call| call.stream).collect();
    assert!(streams.contains(&Some(0)) && streams.contains(&Some(1)), "{streams:?}");
    let devices = calls.iter().filter(|call| call.stream.is_some()).map(|call| call.device);
    assert!(devices.clone().count() > 10 && devices.clone().all(|device| device == Some(0)));
    let one = "rocblas_sgemm(transpose, none, m=4096, n=1, k=4096, alpha=1, lda=4096, ldb=4096, \
               beta=0, ldc=4096)";
    assert!(trace.texts().contains(&one), "{:#?}", trace.texts());
}

/// The nodes of the graphs that a program's calls create, one line each.
fn nodes(seen: &Seen) -> Vec<&str> {
    seen.hip.iter().filter_map(|line| line.strip_prefix("node ")).collect()
}

#[test]
fn a_graph_has_the_same_nodes_and_skipped_calls_are_counted() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let libraries = ["libhipblas.so.3", "librocblas.so.5", "libamdhip64.so.7"];
    let program = client(&rocm, "graph_calls", &libraries);
    let untraced = Seen::of(&rocm, &program, &[], &[]);
    let statuses = untraced.printed.iter().map(|line| line.rsplit(' ').next());
    assert!(statuses.clone().all(|status| status == Some("0")), "{:?}", untraced.printed);
    let of_graph = nodes(&untraced);
    // Six calls, some of several launches.
    assert!(
        of_graph.len() >= 6 && of_graph.iter().all(|node| !node.starts_with("event")),
        "{of_graph:?}"
    );
    // The calls that were captured, each of which has work for the GPU.
    const CAPTURED: u64 = 6;
    for (number, (options, due)) in [
        ("gpu-time=1", vec![Due::GpuTime]),
        ("check=nan,inf,digest", vec![Due::Check]),
        ("check=nan,inf,digest,on-bad=capture", vec![Due::Check]),
        ("save-functions=*gemm*:*trsm*:*scal*,save-count=18", vec![Due::Save]),
        (
            "gpu-time=1,check=nan,inf,digest,on-bad=capture,capture=ask",
            vec![Due::GpuTime, Due::Check],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let place = rocm.tree().root().join(format!("graph-{number}"));
        let path = place.to_str().expect("UTF-8");
        let environment = [("ROCBLAS_SHIM_TRACE", path), ("ROCBLAS_SHIM_TRACE_OPTIONS", options)];
        let traced = Seen::of(&rocm, &program, &[], &environment);
        assert_eq!(traced.printed, untraced.printed, "{options}");
        assert_eq!(traced.ended.stderr, untraced.ended.stderr, "{options}");
        assert_eq!(nodes(&traced), of_graph, "{options}");
        only_copies_are_more(&untraced, &traced);
        let trace = read_only(&place);
        for due in due {
            let skipped = trace.skipped.iter().filter(|calls| calls.due == due);
            let mut counts: BTreeMap<Skipped, u64> = BTreeMap::new();
            for calls in skipped {
                *counts.entry(calls.reason).or_default() += calls.count;
            }
            assert_eq!(
                counts,
                BTreeMap::from([(Skipped::Capturing, CAPTURED)]),
                "{options}: {due:?}"
            );
        }
    }
}

#[test]
fn solvers_call_cxx_functions_untouched() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let libraries = ["librocsolver.so.0", "librocblas.so.5", "libamdhip64.so.7"];
    let program = client(&rocm, "solver_calls", &libraries);
    let (seen, traces) = twice(&rocm, &program, &[]);
    assert!(seen.launches() > 20, "{}", seen.launches());
    let trace = read_only(&traces);
    trace.assert_nothing_is_missing();
    let calls = trace.calls();
    // To rocBLAS, rocSOLVER is a program like any other: its C calls are in the trace.
    assert!(calls.len() > 20 && calls.iter().all(|call| call.has_ended && call.depth == 0));
    assert!(count(&calls, "rocblas_get_pointer_mode") > 0, "{:#?}", trace.texts());
}

#[test]
fn every_function_with_its_status_in_the_trace_of_its_process() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let program = Path::new(env!("CARGO_BIN_EXE_every_function"));
    // Each function is called in a forked child, so there is a trace for each, and the parent's.
    let (seen, traces) = twice(&rocm, program, &["librocblas.so.5", "valid"]);
    let mut statuses: BTreeMap<&str, Vec<Option<i32>>> = BTreeMap::new();
    let mut crashed = 0;
    let traces = read_all(&traces);
    for trace in &traces {
        for call in trace.calls() {
            assert_eq!(call.depth, 0, "{call:?}");
            crashed += usize::from(!call.has_ended);
            statuses.entry(call.name).or_default().push(call.status);
        }
    }
    let name = |status: i32| enumeration(EnumId::Status).short_name_of(status).unwrap_or("?");
    let mut compared = 0;
    for line in &seen.printed {
        let (function, answer) = line.split_once(": ").expect("name: answer");
        let typed = by_name(function).is_some_and(|f| f.kind == Kind::C);
        let recorded = statuses.get(function).map_or(&[][..], Vec::as_slice);
        assert_eq!(recorded.is_empty(), !typed, "{line}");
        let recorded: Vec<&str> = recorded.iter().flatten().map(|status| name(*status)).collect();
        let first = answer.split(' ').next().unwrap_or_default();
        if answer.starts_with("signal ") || recorded.is_empty() {
            continue;
        }
        compared += 1;
        assert!(recorded.contains(&first), "{line}: recorded as {recorded:?}");
    }
    let signals = seen.printed.iter().filter(|line| line.contains(": signal ")).count();
    assert_eq!(crashed, signals, "calls that crashed are in flight");
    assert!(compared > 1_200, "{compared}");
}

/// The names of the functions in rocBLAS's own log of a program's calls.
fn logged(rocm: &Rocm, program: &Path, environment: &[(&str, &str)]) -> Vec<String> {
    let log = Log::new(rocm.tree().root().join("rocblas.log"));
    let path = log.path().to_str().expect("UTF-8");
    let own = [("ROCBLAS_LAYER", "1"), ("ROCBLAS_LOG_TRACE_PATH", path)];
    Seen::of(rocm, program, &[], &[&own[..], environment].concat());
    let lines = log.lines();
    // rocBLAS appends to an existing log.
    fs::remove_file(log.path()).expect("remove");
    let name = |line: String| line.split(',').next().unwrap_or_default().to_owned();
    lines.into_iter().map(name).collect()
}

#[test]
fn rocblas_logs_calls_of_the_shim_only_for_new_handles_and_for_traced_scalars() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let program = client(&rocm, "logged", &["librocblas.so.5", "libamdhip64.so.7"]);
    let own = [
        "rocblas_create_handle",
        "rocblas_sscal",
        "rocblas_sdot",
        "rocblas_scopy",
        "rocblas_set_pointer_mode",
        "rocblas_sscal",
        "rocblas_destroy_handle",
    ];
    // This backend reads the variable that the promise `atomics` sets, so no call is made.
    for promises in ["", "-atomics"] {
        let lines = logged(&rocm, &program, &[("ROCBLAS_SHIM_COMPAT", promises)]);
        assert_eq!(lines, own, "{promises}");
    }

    let traces = rocm.tree().root().join("traces");
    let place = traces.to_str().expect("UTF-8");
    let traced = logged(&rocm, &program, &[("ROCBLAS_SHIM_TRACE", place)]);
    let mode = "rocblas_get_pointer_mode";
    let expected = [
        &own[..1],
        &["rocblas_get_stream", mode, "rocblas_get_atomics_mode"],
        &[mode, "rocblas_sscal", mode, "rocblas_sdot", "rocblas_scopy"],
        &["rocblas_set_pointer_mode", mode, "rocblas_sscal", "rocblas_destroy_handle"],
    ]
    .concat();
    assert_eq!(traced, expected);
}
