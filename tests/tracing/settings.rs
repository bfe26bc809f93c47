//! Which calls are kept, and how many; and the sources of settings.

use crate::{Program, set_user_id};
use rocblas_trace::layout::State;
use std::fs;
use tests::{
    artefacts,
    run::{Ended, run},
    traces::Traced,
    tree::Tree,
};

fn with(options: &str, arguments: &[&str]) -> (Ended, Traced) {
    let program = Program::new("many.c", artefacts::reference());
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).args(arguments);
    let ended = run(&mut command).success();
    (ended, program.traced())
}

fn dimensions(trace: &Traced) -> Vec<u64> {
    trace.calls().iter().map(|call| call.words[1]).collect()
}

#[test]
fn a_ring_keeps_the_last_calls() {
    // With a limit on the number of calls, each call takes the slow path.
    for options in ["ring=128K", "ring=128K,first=1000000"] {
        let (_, trace) = with(options, &["100000"]);
        let kept = dimensions(&trace);
        let first = 100_000 - kept.len() as u64;
        assert_eq!(kept, (first..100_000).collect::<Vec<_>>());
        // 96 bytes per call, and three of four segments are complete.
        assert!((900..1400).contains(&kept.len()), "{}", kept.len());
        assert_eq!(trace.threads[0].overwritten, first);
        assert_eq!(trace.threads[0].bytes, 4096 + (128 << 10));
    }
}

#[test]
fn the_smallest_ring_has_a_whole_segment_behind_the_one_that_is_written() {
    let (_, trace) = with("ring=64K", &["100000"]);
    assert!(dimensions(&trace).len() >= 340, "{}", dimensions(&trace).len());
    assert_eq!(trace.threads[0].bytes, 4096 + (64 << 10));
}

#[test]
fn a_limit_ends_the_trace_and_not_the_program() {
    let (ended, trace) = with("limit=128K", &["100000"]);
    assert_eq!(ended.stderr.matches("has reached its size limit").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("limit=SIZE"), "{ended:?}");
    let kept = dimensions(&trace);
    assert_eq!(kept, (0..kept.len() as u64).collect::<Vec<_>>());
    let [thread] = trace.threads.as_slice() else { panic!("{}", trace.threads.len()) };
    assert_eq!(
        (thread.state, thread.calls.len() as u64 + thread.untraced),
        (Some(State::Limit), 100_000)
    );
    assert!(thread.bytes <= 128 << 10, "{}", thread.bytes);
}

#[test]
fn a_thread_that_has_reached_the_limit_keeps_its_calls_when_it_ends() {
    let (_, trace) = with("limit=128K", &["100000", "0", "1"]);
    let kept = dimensions(&trace);
    assert!(kept.len() > 500, "{}", kept.len());
    assert_eq!(kept, (0..kept.len() as u64).collect::<Vec<_>>());
    let [thread] = trace.threads.as_slice() else { panic!("{}", trace.threads.len()) };
    assert_eq!(
        (thread.state, thread.calls.len() as u64 + thread.untraced),
        (Some(State::Limit), 100_000)
    );
}

#[test]
fn what_a_thread_was_not_given_others_may_have() {
    let (_, trace) = with("limit=128K", &["1000", "0", "2"]);
    let kept: Vec<(Option<State>, usize)> =
        trace.threads.iter().map(|thread| (thread.state, thread.calls.len())).collect();
    // The first one has two segments, and would have had two more at once.
    assert_eq!(kept, [(Some(State::Limit), 680), (Some(State::Limit), 340)]);
}

#[test]
fn the_first_calls_are_recorded_and_then_the_trace_stops() {
    let (_, trace) = with("first=10", &["100"]);
    assert_eq!(dimensions(&trace), (0..10).collect::<Vec<_>>());
    assert_eq!(trace.ended.as_deref(), Some("as many calls as were asked for are recorded"));
    assert_eq!(trace.threads[0].untraced, 0);
}

#[test]
fn calls_that_are_too_short_are_left_out() {
    let (_, trace) = with("min=1s", &["100"]);
    assert_eq!(dimensions(&trace), [0; 0]);
    assert_eq!(trace.threads[0].filtered, 100);
    let (_, trace) = with("min=1ns", &["100"]);
    assert_eq!(dimensions(&trace).len() as u64 + trace.threads[0].filtered, 100);
    assert!(dimensions(&trace).len() > 50, "{trace:?}");
}

#[test]
fn functions_are_chosen_by_patterns() {
    let program = Program::new("mixed.c", artefacts::reference());
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "functions=*gemm*:*trsm*:-*_batched*");
    run(&mut command).success();
    let trace = program.traced();
    let names: Vec<&str> = trace.calls().iter().map(|call| call.name).collect();
    assert_eq!(names, ["rocblas_sgemm", "rocblas_strsm", "rocblas_sgemm"]);
    // The handle was created before anything was recorded, but is still known.
    assert!(trace.calls().iter().all(|call| call.stream == Some(0)));
}

#[test]
fn the_file_of_settings_starts_a_trace_and_the_environment_ends_it() {
    let tree = Tree::with_backend(artefacts::reference());
    tree.write_settings("[trace]\ndirectory = \"traces\"\nfirst = 2\n");
    let program = Program::in_tree(tree, "many.c");
    let store = program.tree.settings().with_file_name("traces");
    run(program.command().env_remove("ROCBLAS_SHIM_TRACE").arg("5")).silent_success();
    let trace = tests::traces::read_only(&store);
    assert_eq!(dimensions(&trace), [0, 1]);
    fs::remove_dir_all(&store).expect("remove");
    run(program.command().env("ROCBLAS_SHIM_TRACE", "off").arg("5")).silent_success();
    assert!(!store.exists());
}

#[test]
fn a_program_that_calls_nothing_leaves_no_trace() {
    let program = Program::new("many.c", artefacts::reference());
    run(program.command().arg("0")).silent_success();
    assert!(!program.traces().exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_said_once_and_the_program_goes_on() {
    let program = Program::new("many.c", artefacts::reference());
    let file = program.tree.root().join("file");
    fs::write(&file, "").expect("write");
    let ended = run(program.command().env("ROCBLAS_SHIM_TRACE", file.join("below")).arg("100"));
    let ended = ended.success();
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("cannot make a trace in"), "{ended:?}");
    assert!(ended.stderr.contains("Not a directory"), "{ended:?}");
}

#[test]
fn secrets_of_the_command_line_and_the_environment_are_not_in_the_trace() {
    let program = Program::new("many.c", artefacts::reference());
    let mut command = program.command();
    command.args(["5", "0", "1", "--api-key", "hush-1", "--hf-token=hush-2", "--ctx-size", "8192"]);
    command.arg("https://user:hush-3@host/model.gguf");
    command.env("HF_TOKEN", "hush-4").env("ROCBLAS_API_KEY", "hush-5");
    command.env("HIP_MIRROR", "https://user:hush-6@host/").env("HIP_VISIBLE_DEVICES", "0");
    run(&mut command).silent_success();
    let trace = program.traced();
    assert_eq!(
        trace.process.arguments[1..],
        [
            "5",
            "0",
            "1",
            "--api-key",
            "***",
            "--hf-token=***",
            "--ctx-size",
            "8192",
            "https://***@host/model.gguf"
        ]
    );
    assert_eq!(trace.process.environment["HIP_VISIBLE_DEVICES"], "0");
    for file in fs::read_dir(&trace.directory).expect("its files") {
        let file = file.expect("a file").path();
        let bytes = fs::read(&file).expect("read");
        assert!(!bytes.windows(4).any(|part| part == b"hush"), "{}", file.display());
    }
}

#[test]
fn options_that_are_no_options_are_said() {
    let program = Program::new("many.c", artefacts::reference());
    let mut command = program.command();
    let ended = run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "rings=1M").arg("1")).success();
    let expected =
        "ROCBLAS_SHIM_TRACE_OPTIONS: rings: there is no `rings` (there are: ring, limit,";
    assert!(ended.stderr.contains(expected), "{ended:?}");
}

#[test]
fn a_process_of_more_rights_is_not_traced_by_its_environment() {
    let program = Program::new("many.c", artefacts::reference());
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        return tests::skip::skip(
            "traces of set-user-ID programs",
            "making one needs root's rights",
        );
    }
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(set_user_id(&program.tree, "many.c"));
    command.uid(65_534).arg("5").env("ROCBLAS_SHIM_TRACE", program.traces());
    run(&mut command).success();
    assert!(!program.traces().exists());
}
