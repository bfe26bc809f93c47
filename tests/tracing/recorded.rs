//! The contents of a record.

use crate::Program;
use rocblas_abi::{Kind, c_exports};
use std::collections::HashMap;
use tests::{
    artefacts,
    compile::cxx,
    run::{client, run},
    scenario::{c_backend, cxx_backend},
    skip::skip,
    traces::{Recorded, read_only},
    tree::Tree,
};

/// The program of `tests/src/bin/forward_all.rs`, traced.
fn forward_all(first: &str) -> (String, Vec<Recorded>) {
    forward_all_with(first, "")
}

/// The same with settings for the loader.
fn forward_all_with(first: &str, tunables: &str) -> (String, Vec<Recorded>) {
    let tree = Tree::with_shim();
    let traces = tree.root().join("traces");
    let mut command = client(&tree, env!("CARGO_BIN_EXE_forward_all").as_ref());
    // A copy of the file, because the first one is the backend, which must not be loaded yet.
    let direct = tree.root().join("direct.so");
    std::fs::copy(artefacts::probe(), &direct).expect("copy the probe");
    let words = tree.root().join("words");
    command.env("DIRECT_PROBE", direct).env("ROCBLAS_SHIM_TRACE", &traces).env("WORDS", &words);
    // These functions of the shim read their arguments.
    command.env("ROCBLAS_SHIM_COMPAT", "-all").env("ROCBLAS_SHIM_LISTEN", "off");
    command.env("GLIBC_TUNABLES", tunables);
    command.arg(tree.lib().join("librocblas.so.5")).arg(artefacts::probe()).arg(first);
    run(&mut command).silent_success();
    let trace = read_only(&traces);
    trace.assert_nothing_is_missing();
    let [thread] = trace.threads.as_slice() else { panic!("{:?}", trace.threads.len()) };
    (std::fs::read_to_string(words).expect("what was sent"), thread.calls.clone())
}

#[test]
fn every_c_function_is_recorded_with_its_arguments_and_cxx_ones_are_left_alone() {
    // A function without parameters, one with many, a C++ function and a variadic one: each as the lazy first
    // call.
    for first in [
        "rocblas_abort",
        "rocblas_gemm_strided_batched_ex_get_solutions",
        "_Z32rocblas_internal_get_device_propP15_rocblas_handle",
        "rocblas_device_malloc_alloc",
    ] {
        let (printed, calls) = forward_all(first);
        let sent: Vec<(&str, &str)> =
            printed.lines().filter_map(|line| line.split_once(" [")).collect();
        let typed = c_exports().iter().filter(|f| f.kind == Kind::C).count();
        let lazy = usize::from(c_exports().iter().any(|f| f.name == first && f.kind == Kind::C));
        assert_eq!(sent.len(), 2 * typed + lazy, "{first}");
        assert_eq!(calls.len(), sent.len(), "{first}");
        let mut longest = 0;
        for ((name, words), call) in sent.iter().zip(&calls) {
            assert_eq!(call.name, *name);
            assert_eq!(format!("{:x?}", call.words), format!("[{words}"), "{name}");
            assert!(call.has_ended && call.depth == 0, "{call:?}");
            longest = longest.max(call.words.len());
        }
        assert_eq!(longest, 30);
    }
}

#[test]
fn a_thread_finds_its_things_where_the_loader_had_no_room_for_them() {
    // With no static TLS space left, the variables of a library that is loaded late are at a different offset
    // in each thread. A loader without this setting ignores it.
    let tunables = "glibc.rtld.optional_static_tls=0";
    let (_, without) = forward_all_with("rocblas_abort", tunables);
    let (_, with) = forward_all("rocblas_abort");
    assert_eq!(without.len(), with.len());
    assert!(without.iter().zip(&with).all(|(a, b)| (a.name, &a.words) == (b.name, &b.words)));
}

#[test]
fn answers_are_recorded() {
    let (_, calls) = forward_all("rocblas_abort");
    for call in calls {
        let function = rocblas_abi::by_name(call.name).expect("in the table");
        let answer = probe_record::answer(u64::from(function.index));
        if let Some(status) = call.status {
            assert_eq!(status, answer as i32, "{}", call.name);
        }
    }
}

#[test]
fn scalars_are_recorded_where_they_can_be_read() {
    let program = Program::new("scalars.c", artefacts::reference());
    run(&mut program.command()).silent_success();
    let trace = program.traced();
    let expected = [
        "rocblas_create_handle()",
        "rocblas_sscal(n=4, alpha=2, incx=1)",
        "rocblas_sscal(n=4, alpha=3, incx=1)",
        "rocblas_sscal(n=4, alpha=4, incx=1)",
        "rocblas_sscal(n=4, incx=1)",
        "rocblas_sscal(n=0, incx=1)",
        "rocblas_sscal(n=0, incx=1)",
        "rocblas_sscal(n=4, alpha=5, incx=1)",
        "rocblas_sscal(n=0, incx=1)",
        "rocblas_sscal(n=0, incx=1)",
        "rocblas_cscal(n=2, alpha=1.5-2i, incx=1)",
        "rocblas_sdot(n=4, incx=1, incy=1, result=480)",
        "rocblas_drotm(n=2, incx=1, incy=1, param=[-2, 1, 0, 0, 1])",
        "rocblas_set_pointer_mode(pointer_mode=device)",
    ];
    let texts = trace.texts();
    assert_eq!(texts[..expected.len()], expected);
    let device = trace.calls()[expected.len()];
    assert!(device.text.starts_with("rocblas_sscal(n=4, alpha=<device 0x7"), "{device:?}");
    assert!(!device.note.at_entry(0), "what is in device memory is not looked at");
    let rest = [
        "rocblas_set_pointer_mode(pointer_mode=host)",
        "rocblas_sscal(n=4, alpha=2, incx=1)",
        "rocblas_set_stream()",
        "rocblas_saxpy(n=4, alpha=2, incx=1, incy=1)",
        "rocblas_sscal(n=4, incx=1)",
        "rocblas_destroy_handle()",
    ];
    assert_eq!(texts[expected.len() + 1..], rest);
    // The handle's stream, once it is set; a call without a handle has no stream.
    let streams: Vec<Option<u32>> =
        trace.calls().iter().filter(|c| c.name.ends_with("axpy")).map(|c| c.stream).collect();
    assert_eq!(streams, [Some(1)]);
    let statuses: Vec<Option<i32>> = trace.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses[4], Some(3), "alpha is null: invalid_pointer");
    assert_eq!(statuses[statuses.len() - 2], Some(1), "no handle: invalid_handle");
    // A word contains only the scalar, and none of the program's bytes after it.
    let file = trace.directory.join(rocblas_trace::process::thread_file(1));
    let bytes = std::fs::read(file).expect("the thread's file");
    let has = |word: u64| bytes.chunks_exact(8).any(|chunk| chunk == word.to_le_bytes());
    let alpha = 2f32.to_bits();
    assert!(has(u64::from(alpha)));
    assert!(!has(0xfeed_face << 32 | u64::from(alpha)));
}

#[test]
fn what_is_known_of_a_handle_is_told_at_its_first_call_whichever_that_is() {
    let program = Program::new("handles.c", artefacts::reference());
    let mut command = program.command();
    run(command.env_remove("ROCBLAS_SHIM_TRACE").arg(program.traces())).silent_success();
    let streams: Vec<Option<u32>> = program.traced().calls().iter().map(|c| c.stream).collect();
    assert_eq!(streams, [1, 2, 3, 4, 5, 1, 2, 3, 4, 5].map(Some));
}

#[test]
fn a_mode_that_the_backend_refuses_to_tell_is_none() {
    // On the straight line, and with a limit on the number of calls.
    for options in ["", "first=100"] {
        let tree = Tree::with_shim();
        let backend = c_backend(&tree, "refusing.so", &["-DREFUSES_MODES"]);
        tree.add_backend("only", &backend);
        let program = Program::in_tree(tree, "refused.c");
        run(program.command().env("ROCBLAS_SHIM_TRACE_OPTIONS", options)).silent_success();
        let expected = [
            "rocblas_create_handle()",
            "rocblas_sscal(n=0, alpha=2, incx=1)",
            "rocblas_sscal(n=1, alpha=2, incx=1)",
            "rocblas_sscal(n=2, incx=1)",
            "rocblas_sscal(n=3, incx=1)",
            "rocblas_sscal(n=4, incx=1)",
            "rocblas_sscal(n=5, incx=1)",
        ];
        assert_eq!(program.traced().texts(), expected, "{options}");
    }
}

#[test]
fn calls_that_the_backend_makes_of_itself_do_not_appear() {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "pliable.so", &[]);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "mixed.c");
    let ended = run(&mut program.command()).success();
    // sgemm of that backend calls its own sscal and dscal.
    let trace = program.traced();
    let names: Vec<&str> = trace.calls().iter().map(|call| call.name).collect();
    assert_eq!(
        names,
        [
            "rocblas_create_handle",
            "rocblas_get_version_string",
            "rocblas_sgemm",
            "rocblas_strsm",
            "rocblas_sgemm",
            "rocblas_is_user_managing_device_memory",
            "rocblas_destroy_handle",
        ]
    );
    assert!(trace.calls().iter().all(|call| call.depth == 0));
    // The shim handles functions that it lacks, and reports that once.
    let by_shim: HashMap<&str, bool> =
        trace.calls().iter().map(|call| (call.name, call.by_shim)).collect();
    assert!(by_shim["rocblas_strsm"] && !by_shim["rocblas_sgemm"]);
    assert!(by_shim["rocblas_get_version_string"], "a promise");
    assert!(!by_shim["rocblas_create_handle"], "the backend's own answer");
    let strsm = trace.calls().into_iter().find(|call| call.name == "rocblas_strsm").cloned();
    assert_eq!(strsm.expect("recorded").status, Some(2), "not_implemented");
    assert_eq!(
        ended.stderr.matches("rocblas_strsm is missing from backend").count(),
        1,
        "{ended:?}"
    );
}

#[test]
fn a_call_that_is_left_by_an_exception_is_marked_and_nesting_stays_right() {
    if cxx().is_none() {
        return skip("exceptions through a traced call", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    let backend = cxx_backend(&tree);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "left.cpp");
    run(&mut program.command()).success();
    let trace = program.traced();
    let calls: Vec<(&str, u8, bool, bool)> = trace
        .calls()
        .iter()
        .map(|call| (call.name, call.depth, call.has_ended, call.was_left))
        .collect();
    let ordinary = ("rocblas_sscal", 0, true, false);
    let left = ("rocblas_destroy_handle", 0, false, true);
    assert_eq!(calls, [ordinary, left, ordinary, left, ordinary, ordinary]);
}

#[test]
fn a_record_in_the_place_of_a_call_that_was_left_is_not_marked() {
    if cxx().is_none() {
        return skip("a ring of calls left by exceptions", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    tree.add_backend("only", &cxx_backend(&tree));
    let program = Program::in_tree(tree, "left.cpp");
    // With a limit on the number of calls, each call takes the slow path.
    for options in ["ring=64K", "ring=64K,first=1000000"] {
        let mut command = program.command();
        run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).arg("many")).silent_success();
        let trace = program.traced();
        let calls = trace.calls();
        let (left, ended): (Vec<&Recorded>, _) = calls.iter().partition(|call| call.was_left);
        assert!(left.iter().all(|call| call.name == "rocblas_destroy_handle"), "{options}");
        assert_eq!(ended.len(), 700);
        std::fs::remove_dir_all(program.traces()).expect("remove");
    }
}

#[test]
fn the_header_says_what_ran() {
    let program = Program::new("many.c", artefacts::reference());
    let mut command = program.command();
    command.args(["3", "0"]).env("ROCBLAS_LAYER", "0").env("HIP_VISIBLE_DEVICES", "1");
    command.env("SECRET", "s").env("ROCBLAS_SHIM_TRACE_OPTIONS", "ring=1M,first=100");
    let id = {
        let child = command.spawn().expect("start");
        let id = child.id();
        child.wait_with_output().expect("wait");
        id
    };
    let trace = program.traced();
    let process = &trace.process;
    assert_eq!(process.pid, id);
    assert_eq!(
        process.program,
        program.path.canonicalize().expect("a file").to_str().expect("UTF-8")
    );
    assert_eq!(process.arguments[1..], ["3", "0"]);
    assert_eq!(process.backend.name, "only");
    assert!(process.backend.path.ends_with("librocblas.so.4"), "{process:?}");
    assert!(!process.backend.version.is_empty());
    assert!(process.promises.contains(&"version".to_owned()));
    assert_eq!((process.settings.ring, process.settings.first), (Some(1 << 20), Some(100)));
    assert_eq!(process.environment["HIP_VISIBLE_DEVICES"], "1");
    assert!(!process.environment.contains_key("SECRET"));
    assert_eq!(process.functions.len(), c_exports().len());
    assert!(process.clock.hertz > 1e6 && process.clock.start.realtime > 0, "{:?}", process.clock);
    let name = trace.directory.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(name, format!("many-{id}"));
}

#[test]
fn times_are_those_of_the_calls() {
    let program = Program::new("many.c", artefacts::reference());
    run(program.command().args(["5", "20000"])).silent_success();
    let trace = program.traced();
    let per_second = trace.process.clock.hertz;
    let begins: Vec<u64> = trace.calls().iter().map(|call| call.begin).collect();
    for pair in begins.windows(2) {
        let milliseconds = (pair[1] - pair[0]) as f64 / per_second * 1e3;
        assert!((19.0..200.0).contains(&milliseconds), "{milliseconds} ms, slept for 20");
    }
    for call in trace.calls() {
        assert!((call.ticks as f64) < per_second / 1e3, "a call of nothing: {call:?}");
    }
}
