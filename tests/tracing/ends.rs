//! However a program ends, its calls are in the files.

use crate::Program;
use rocblas_trace::layout::State;
use std::{fs, process::Command};
use tests::{
    artefacts,
    run::{Ended, run},
    scenario::c_backend,
    skip::skip,
    traces::{Traced, read_all},
    tree::Tree,
};

/// Runs a program that ends in that way while four threads call. Returns the trace, and how many calls each
/// thread had completed.
fn ends(how: &str) -> (Ended, Traced, Vec<i64>) {
    let program = Program::new("ends.c", artefacts::reference());
    let counts = program.tree.root().join("counts");
    let ended = run(program.command().arg(how).arg(&counts));
    let bytes = fs::read(counts).expect("the counts");
    let words = bytes.chunks_exact(8).take(4);
    let counts = words.map(|word| i64::from_le_bytes(word.try_into().expect("eight"))).collect();
    (ended, program.traced(), counts)
}

#[track_caller]
fn assert_all_is_there(how: &str) -> Ended {
    let (ended, trace, counts) = ends(how);
    trace.assert_nothing_is_missing();
    assert_eq!(trace.threads.len(), counts.len(), "{how}");
    for thread in &trace.threads {
        // The increment is the number of the thread, the dimension that of the call.
        let number = thread.calls[0].words[4] as usize;
        let completed = thread.calls.iter().filter(|call| call.has_ended).count() as i64;
        let counted = counts[number];
        // A call that the thread had not counted yet may be in the trace, complete or not.
        assert!((counted..=counted + 1).contains(&completed), "{how}: {completed} of {counted}");
        for (n, call) in thread.calls.iter().enumerate() {
            assert_eq!((call.words[1] as usize, call.sequence as usize), (n, n), "{how}");
            assert!(call.has_ended || n + 1 == thread.calls.len(), "{how}: {n}");
        }
    }
    ended
}

#[test]
fn every_completed_call_is_there_after_any_end() {
    for (how, signal) in [
        ("SIGKILL", Some(libc::SIGKILL)),
        ("SIGSEGV", Some(libc::SIGSEGV)),
        ("abort", Some(libc::SIGABRT)),
        ("_exit", None),
        ("exit", None),
        ("return", None),
        ("execve", None),
    ] {
        assert_eq!(assert_all_is_there(how).signal(), signal, "{how}");
    }
}

#[test]
fn a_call_that_crashes_is_the_last_one_and_in_flight() {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "crashing.so", &["-DCRASHES"]);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "crashes.c");
    // In a ring that has wrapped around; with a limit on the number of calls, each takes the slow path.
    for (options, before, recorded) in [
        ("", "2", 3..4),
        ("ring=64K", "5000", 340..1400),
        ("ring=64K,first=1000000", "5000", 340..1400),
    ] {
        let mut command = program.command();
        let ended = run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).arg(before));
        assert_eq!(ended.signal(), Some(libc::SIGSEGV), "{ended:?}");
        let trace = program.traced();
        let calls = trace.calls();
        assert!(recorded.contains(&calls.len()), "{}", calls.len());
        let last = calls.last().expect("a call");
        assert_eq!(last.text, "rocblas_dasum(n=42, incx=1)");
        assert!(!last.has_ended && !last.was_left, "{options}: {last:?}");
        assert!(calls[..calls.len() - 1].iter().all(|call| call.has_ended));
        fs::remove_dir_all(program.traces()).expect("remove");
    }
}

#[test]
fn a_child_has_a_directory_of_its_own_and_leaves_its_parents_alone() {
    let program = Program::new("forks.c", artefacts::reference());
    let ended = run(&mut program.command()).silent_success();
    let mut traces = read_all(&program.traces());
    assert_eq!(traces.len(), 3);
    let dimensions = |trace: &Traced| -> Vec<u64> {
        assert_eq!(trace.threads.len(), 1);
        let calls = &trace.threads[0].calls;
        assert!(calls.iter().enumerate().all(|(n, call)| call.sequence == n as u64));
        calls.iter().map(|call| call.words[1]).collect()
    };
    traces.sort_by_key(|trace| dimensions(trace)[0]);
    let expected: [Vec<u64>; 3] =
        [(100..110).collect(), (200..207).collect(), (300..303).collect()];
    assert_eq!(traces.iter().map(dimensions).collect::<Vec<_>>(), expected);
    let mut pids: Vec<u32> = traces.iter().map(|trace| trace.process.pid).collect();
    assert_eq!(ended.stdout.trim(), traces[0].directory.to_str().expect("UTF-8"));
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3, "each says its own number");
}

#[test]
fn a_child_goes_on_counting_calls_where_its_parent_was() {
    let program = Program::new("forks.c", artefacts::reference());
    let mut command = program.command();
    run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "first=11")).silent_success();
    let mut counts: Vec<usize> =
        read_all(&program.traces()).iter().map(|trace| trace.calls().len()).collect();
    counts.sort_unstable();
    // Before the child started, five of eleven calls had been made; the trace had stopped before it forked again.
    assert_eq!(counts, [6, 10]);
}

/// `within.c`, also compiled with these flags, on a backend that calls the function it is given.
fn within(what: &str, options: &str, flags: &[&str]) -> (Ended, Vec<Traced>) {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "calling.so", &[&["-DCALLS_X"], flags].concat());
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "within.c");
    let mut command = program.command();
    let ended =
        run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).arg(what).arg(program.traces()));
    (ended.silent_success(), read_all(&program.traces()))
}

#[test]
fn a_call_within_which_others_overwrite_its_record_leaves_theirs_alone() {
    let (_, traces) = within("calls", "ring=64K", &[]);
    let calls = traces[0].calls();
    let (within, behind) = calls.split_at(calls.len() - 1);
    assert!((340..1400).contains(&within.len()), "{}", within.len());
    // The value that the backend returns.
    assert!(within.iter().all(|call| call.depth == 1 && call.status == Some(77)), "{within:?}");
    assert_eq!((behind[0].name, behind[0].depth), ("rocblas_sscal", 0));
    let (_, traces) = self::within("calls", "", &[]);
    let depths: Vec<u8> = traces[0].calls().iter().map(|call| call.depth).collect();
    assert_eq!(depths[..3], [0, 0, 1]);
    assert_eq!(depths[5001..], [1, 0]);
    assert!(traces[0].calls().iter().all(|call| call.has_ended));
}

#[test]
fn a_call_whose_stack_was_switched_away_ends_no_other() {
    let (_, traces) = within("switches", "", &[]);
    let calls: Vec<(bool, Option<i32>, bool)> = traces[0].calls()[1..]
        .iter()
        .map(|call| (call.has_ended, call.status, call.was_left))
        .collect();
    // A call from a higher frame implies that the lower frame no longer exists, which is wrong here.
    assert_eq!(calls, [(false, None, true), (true, Some(1), false)]);
}

#[test]
fn a_call_that_is_too_short_for_its_trace_leaves_the_next_one_alone() {
    let (_, mut traces) = within("restarts", "min=1s", &[]);
    traces.sort_by_key(|trace| trace.calls().len());
    let [first, second] = traces.as_slice() else { panic!("{traces:?}") };
    // It can no longer be removed.
    assert_eq!(first.texts(), ["rocblas_dcopy(n=3, incx=1, incy=1)"]);
    let numbers: Vec<u64> = second.calls().iter().map(|call| call.sequence).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_call_within_which_another_trace_begins_ends_in_its_own() {
    let (_, mut traces) = within("restarts", "", &[]);
    traces.sort_by_key(|trace| trace.calls().len());
    let [first, second] = traces.as_slice() else { panic!("{traces:?}") };
    let calls: Vec<(&str, bool)> =
        first.calls().iter().map(|call| (call.name, call.has_ended)).collect();
    assert_eq!(calls, [("rocblas_sscal", true), ("rocblas_dcopy", true)]);
    assert_eq!(second.calls().len(), 6);
    assert!(second.calls().iter().all(|call| call.has_ended && !call.was_left));
}

#[test]
fn a_child_that_was_forked_within_a_call_does_not_end_it() {
    let (_, mut traces) = within("forks", "", &[]);
    traces.sort_by_key(|trace| trace.calls().len());
    let [parent, child] = traces.as_slice() else { panic!("{traces:?}") };
    let calls: Vec<(&str, u8, bool)> =
        parent.calls().iter().map(|call| (call.name, call.depth, call.has_ended)).collect();
    assert_eq!(calls, [("rocblas_sscal", 0, true), ("rocblas_dcopy", 0, false)]);
    assert!(child.calls().iter().all(|call| call.depth == 0 && call.has_ended));
    assert_eq!(child.calls().len(), 3);
}

#[test]
fn a_call_that_its_thread_ends_in_is_marked() {
    // Without unwind tables, the unwinder does not reach the thunk.
    for flags in [&[][..], &["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]] {
        let (_, traces) = within("ends", "", flags);
        let calls = traces[0].calls();
        let [_, _, call] = calls.as_slice() else { panic!("{calls:?}") };
        assert!(call.was_left && !call.has_ended, "{flags:?}: {call:?}");
    }
}

#[test]
fn a_thread_that_ends_closes_its_file_and_its_last_calls_are_in_it() {
    let program = Program::new("threads_end.c", artefacts::reference());
    run(&mut program.command()).silent_success();
    let trace = program.traced();
    let dimensions: Vec<Vec<u64>> =
        trace.threads.iter().map(|t| t.calls.iter().map(|call| call.words[1]).collect()).collect();
    assert_eq!(dimensions[..3], [vec![0], (0..10).collect(), (0..20).collect()]);
    // Destructors of other keys, in all four rounds: in the thread's file, or in another one for calls after it was
    // closed.
    let late: Vec<u64> = dimensions[3..].concat();
    let mut expected: Vec<u64> = (0..30).collect();
    expected.extend([900, 1000, 1001, 1002, 1003]);
    assert_eq!(late, expected);
    assert!(dimensions.len() <= 5, "not one for each round: {dimensions:?}");
    assert_eq!(
        trace.threads[0].state,
        Some(State::Running),
        "the main thread ends with the process"
    );
    for thread in &trace.threads[1..3] {
        assert_eq!(thread.state, Some(State::Ended));
        assert_eq!(thread.bytes, 4096 + (32 << 10), "cut to what is used");
    }
}

#[test]
fn a_file_is_cut_to_what_its_thread_has_written() {
    let program = Program::new("many.c", artefacts::reference());
    run(program.command().args(["1000", "0", "1"])).silent_success();
    let trace = program.traced();
    let [thread] = trace.threads.as_slice() else { panic!("{}", trace.threads.len()) };
    assert_eq!((thread.calls.len(), thread.records), (1000, 1000));
    // Three segments; it has grown to four.
    assert_eq!(thread.bytes, 4096 + 3 * (32 << 10));
}

/// Runs with a file system for traces that has room for some hundred kilobytes.
fn on_a_small_disk(program: &Program, arguments: &[&str]) -> Option<Ended> {
    let traces = program.traces();
    fs::create_dir_all(&traces).expect("make a directory");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=400k", "none"])
        .arg(&traces)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        skip("traces on a full disk", "mounting a file system needs root's rights");
        return None;
    }
    let ended = run(program.command().args(arguments));
    // The trace is read before the file system is unmounted.
    let copy = program.tree.root().join("copy");
    let copied = Command::new("cp").arg("-a").arg(&traces).arg(&copy).status();
    Command::new("umount").arg(&traces).status().expect("unmount");
    assert!(copied.expect("copy").success());
    fs::remove_dir(&traces).expect("remove");
    fs::rename(copy, traces).expect("rename");
    Some(ended)
}

#[test]
fn on_a_full_disk_the_program_goes_on_and_the_trace_says_where_it_stopped() {
    let program = Program::new("many.c", artefacts::reference());
    let Some(ended) = on_a_small_disk(&program, &["50000"]) else { return };
    let ended = ended.success();
    assert_eq!(ended.stderr.matches("the trace cannot be continued").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("No space left on device"), "{ended:?}");
    let trace = program.traced();
    let [thread] = trace.threads.as_slice() else { panic!("{}", trace.threads.len()) };
    assert_eq!((thread.state, thread.errno), (Some(State::Failed), libc::ENOSPC as u32));
    let recorded = thread.calls.len() as u64;
    assert!(recorded > 1000, "{recorded}");
    assert_eq!(recorded + thread.untraced, 50_000);
    assert!(thread.calls.iter().enumerate().all(|(n, call)| call.words[1] == n as u64));
}

#[test]
fn a_process_whose_files_may_not_be_long_is_not_killed() {
    let program = Program::new("many.c", artefacts::reference());
    let mut command = Command::new("sh");
    let traced = program.command();
    command.args(["-c", "ulimit -f 200; exec \"$0\" 50000"]).arg(&program.path);
    for (name, value) in traced.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ended = run(&mut command).success();
    assert!(ended.stderr.contains("File too large"), "{ended:?}");
    let trace = program.traced();
    let thread = &trace.threads[0];
    assert_eq!((thread.state, thread.errno), (Some(State::Failed), libc::EFBIG as u32));
    assert_eq!(thread.calls.len() as u64 + thread.untraced, 50_000);
}
