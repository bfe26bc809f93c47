//! Threads that are cancelled, or end, around traced calls: a traced call is not a cancellation point, reaches
//! the backend, and leaves no lock held.

use crate::Program;
use tests::{
    run::run,
    scenario::c_backend,
    traces::{Recorded, read_all},
    tree::Tree,
};

/// Runs `cancelled.c` in a trace with these options. Returns how many calls returned before the last two
/// threads, and the calls of each thread.
fn cancelled(arguments: &[&str], options: &str) -> (usize, Vec<Vec<Recorded>>) {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "calling.so", &["-DCALLS_X"]);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "cancelled.c");
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).args(arguments);
    let ended = run(&mut command).silent_success();
    let returned = ended.stdout.trim().parse().expect("a number");
    let traces = read_all(&program.traces());
    let threads = traces.into_iter().flat_map(|trace| trace.threads);
    (returned, threads.map(|thread| thread.calls).collect())
}

const TYPES: [&str; 2] = ["deferred", "asynchronous"];

/// The straight line of the thunk, and the slow paths at each call.
const OPTIONS: [&str; 2] = ["", "first=1000000"];

#[test]
fn calls_of_a_thread_with_a_pending_cancellation_reach_the_backend() {
    for (kind, options) in TYPES.into_iter().flat_map(|kind| OPTIONS.map(|o| (kind, o))) {
        let (returned, threads) = cancelled(&["pending", kind], options);
        assert_eq!(returned, 2000, "{kind} {options}");
        assert_eq!(threads[0].len(), 2000, "{kind} {options}");
        assert!(threads[0].iter().all(|call| call.status == Some(77)), "{kind} {options}");
    }
}

#[test]
fn a_call_that_is_cancelled_in_the_backend_is_marked_and_the_program_goes_on() {
    for (kind, options) in TYPES.into_iter().flat_map(|kind| OPTIONS.map(|o| (kind, o))) {
        let (_, threads) = cancelled(&["within", kind], options);
        let [_, call] = threads[0].as_slice() else { panic!("{threads:?}") };
        assert!(call.was_left && !call.has_ended, "{kind} {options}: {call:?}");
        assert_eq!(threads.len(), 3, "{kind} {options}");
    }
}

#[test]
fn a_call_in_which_its_thread_exits_is_marked_and_the_program_goes_on() {
    for options in OPTIONS {
        let (_, threads) = cancelled(&["exits"], options);
        let [_, call] = threads[0].as_slice() else { panic!("{threads:?}") };
        assert!(call.was_left && !call.has_ended, "{options}: {call:?}");
        assert_eq!(threads.len(), 3, "{options}");
    }
}

#[test]
fn threads_cancelled_at_any_instruction_leave_nothing_locked_and_the_trace_right() {
    const THREADS: usize = 300;
    for options in OPTIONS {
        let (returned, threads) = cancelled(&["anywhere", &THREADS.to_string()], options);
        let calls: Vec<&Recorded> = threads.iter().flatten().collect();
        let ended = calls.iter().filter(|call| call.has_ended).count();
        let left = calls.iter().filter(|call| call.was_left).count();
        println!("{options}: {returned} calls returned, {ended} recorded as ended, {left} as left");
        // The calls of the last two threads: two returned, one was abandoned. A thread may have been cancelled
        // after its call ended and before it counted it, or after the call and before its record was complete.
        assert!(calls.iter().all(|call| call.has_ended != call.was_left), "{options}");
        let returned = returned + 2;
        assert!(ended.abs_diff(returned) <= THREADS && ended + left >= returned, "{options}");
        assert!(left > 0, "{options}: {left}");
        for thread in &threads {
            assert!(thread.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
        }
    }
}
