//! Checks of the outputs of calls: what they find, what they ignore, and the consequences.

use crate::{Program, installer};
use rocblas_abi::{
    by_name,
    operands::{is_described, operands},
};
use rocblas_trace::{
    capture::{Reader, Time, Values},
    layout::{Due, Skipped},
    read::CallId,
};
use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};
use tests::{
    artefacts::{self, standins},
    compile::library,
    run::{Ended, run},
    scenario::linked_client,
    traces::{Recorded, Traced, read_all},
    tree::Tree,
};

/// `many_calls.c` on the CPU reference backend.
fn many_calls() -> Program {
    let tree = Tree::with_backend(artefacts::reference());
    let path = linked_client(&tree, "many_calls.c", &[]);
    Program { tree, path }
}

/// The same with these options, arguments and fault.
fn many_calls_with(options: &str, arguments: &[&str], fault: Option<&str>) -> (Ended, Program) {
    let program = many_calls();
    let mut command = program.command();
    command.args(arguments).env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
    command.envs(fault.map(|fault| ("REFERENCE_BACKEND_FAULT", fault)));
    (run(&mut command).success(), program)
}

/// The calls that have operands.
fn numeric(trace: &Traced) -> Vec<CallId> {
    let has_operands = |name: &str| by_name(name).is_some_and(|f| is_described(f.index.into()));
    let calls = trace.calls().into_iter().filter(|call| has_operands(call.name));
    calls.map(|call| CallId { thread: 1, sequence: call.sequence }).collect()
}

fn saved_files(directory: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("safetensors") || name.contains("unfinished")).collect()
}

#[test]
fn nothing_is_found_where_every_number_is_right() {
    let untraced = many_calls();
    let untraced = run(untraced.command().env_remove("ROCBLAS_SHIM_TRACE")).silent_success();
    let (ended, program) = many_calls_with("check=nan,inf,on-bad=capture", &[], None);
    assert_eq!((ended.stdout, ended.stderr.as_str()), (untraced.stdout, ""));
    let trace = program.traced();
    assert_eq!((trace.findings.as_slice(), trace.skipped.as_slice()), (&[][..], &[][..]));
    assert_eq!(saved_files(&trace.directory).len(), 0);
    assert_eq!(numeric(&trace).len(), 10_000);
    let has_output = |call: &&Recorded| {
        let argument = |position: usize| call.words[position];
        let function = by_name(call.name).map_or(0, |function| function.index);
        let operands = operands(function.into(), &argument);
        operands.is_some_and(|all| all.iter().any(|o| o.is_written() && o.span().is_some()))
    };
    let with_outputs = trace.calls().into_iter().filter(has_output).count() as u64;
    assert!(with_outputs > 7_000 && with_outputs < 10_000, "some are of no elements");
    assert_eq!(trace.checked, with_outputs);
}

#[test]
fn one_nan_in_ten_thousand_calls_is_found_and_its_operands_are_saved() {
    let options = "check=nan,inf,on-bad=capture";
    let (ended, program) = many_calls_with(options, &[], Some("nan@7041"));
    let trace = program.traced();
    let call = numeric(&trace)[7040];
    let [finding] = trace.findings.as_slice() else { panic!("{:?}", trace.findings) };
    assert_eq!((finding.call, finding.nan, finding.inf), (call, 1, 0));
    assert_eq!(ended.stderr.matches(" has 1 NaN and 0 infinite elements after call 1:").count(), 1);
    let saved: Vec<CallId> = trace.saved.iter().map(|saved| saved.call).collect();
    assert_eq!(saved, [call]);

    let path = trace.directory.join(rocblas_trace::process::saved_file(1, call.sequence));
    let reader = Reader::open(&path).expect("a capture");
    let meta = reader.meta();
    let recorded = trace.calls().into_iter().find(|of| of.sequence == call.sequence).cloned();
    let recorded = recorded.expect("recorded");
    assert_eq!((meta.function.as_str(), meta.status), (recorded.name, Some(0)));
    assert_eq!((meta.origin.thread, meta.origin.sequence), (1, call.sequence));
    assert!(meta.origin.why.contains("has 1 NaN"), "{meta:?}");
    let words: Vec<u64> = meta.arguments.iter().map(|argument| argument.word).collect();
    assert_eq!(words, recorded.words);
    for (number, operand) in meta.operands.iter().enumerate() {
        assert_eq!(reader.entry(number, Time::Before).is_some(), operand.read, "{operand:?}");
        let is_written = operand.direction != rocblas_abi::Direction::In;
        assert_eq!(reader.entry(number, Time::After).is_some(), is_written, "{operand:?}");
    }
}

#[test]
fn a_trace_stops_at_the_first_bad_output_with_the_calls_before_it() {
    let options = "check=nan,inf,on-bad=stop,ring=128K";
    let (_, program) = many_calls_with(options, &[], Some("nan@7041"));
    let trace = program.traced();
    let why = trace.ended.expect("it was stopped");
    assert!(why.contains("has 1 NaN and 0 infinite elements"), "{why}");
    let [finding, ..] = trace.findings.as_slice() else { panic!("none") };
    let sequences: Vec<u64> = trace.threads[1].calls.iter().map(|call| call.sequence).collect();
    assert!(sequences.contains(&finding.call.sequence), "{finding:?} {sequences:?}");
    assert!(sequences.first().is_some_and(|first| *first > 1000), "it is a ring");
}

#[test]
fn the_first_bad_call_is_named_after_a_ring_has_overwritten_it() {
    let options = "check=nan,inf,on-bad=capture,ring=128K";
    let (_, program) = many_calls_with(options, &[], Some("nan@700"));
    let output = |words: &[&str]| {
        let mut command = installer();
        run(command.args(words).arg(program.traces()))
    };
    let summary = output(&["trace", "summary"]).silent_success().stdout;
    let lines: Vec<&str> = summary.lines().collect();
    let found = lines.iter().position(|line| line.contains(" has 1 NaN and 0 infinite elements"));
    let found = found.unwrap_or_else(|| panic!("{summary}"));
    assert!(lines[found + 1].contains(": its record was overwritten"), "{summary}");
    assert!(lines[found + 1].starts_with("    rocblas_"), "{summary}");
    let file = lines[found + 2].trim().strip_prefix("its operands are in ").expect("a file");
    assert!(file.starts_with("call-1-"), "{summary}");
    assert!(summary.contains("1 checked output has NaN"), "{summary}");
    let diagnosis = output(&["doctor", "--trace"]).stdout;
    assert!(diagnosis.contains(&format!("saved in {file}")), "{diagnosis}");
    assert!(diagnosis.contains("installer replay FILE"), "{diagnosis}");
}

#[test]
fn checks_that_a_killed_process_did_not_do_are_counted() {
    let program = many_calls();
    let summary = || {
        let mut command = installer();
        run(command.args(["trace", "summary"]).arg(program.traces())).silent_success().stdout
    };
    let options = "check=nan,inf";
    run(program.command().env("ROCBLAS_SHIM_TRACE_OPTIONS", options)).silent_success();
    assert!(!summary().contains("the process ended before"), "{}", summary());
    fs::remove_dir_all(program.traces()).expect("remove");
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).stdout(std::process::Stdio::null());
    let mut child = command.spawn().expect("start");
    thread::sleep(Duration::from_millis(70));
    child.kill().expect("kill");
    child.wait().expect("wait");
    let summary = summary();
    let message = "calls with outputs were checked; the process ended before the others were";
    assert!(summary.contains(message), "{summary}");
}

#[test]
fn digests_are_those_of_the_outputs_and_of_every_nth_call() {
    let digests = |options, fault| {
        let (_, program) = many_calls_with(options, &["--calls", "500"], fault);
        let trace = program.traced();
        assert_eq!(trace.skipped, []);
        let numbers = numeric(&trace);
        let of = trace.digests.iter().map(|digest| {
            let call = numbers.iter().position(|number| *number == digest.call).expect("recorded");
            let values = (digest.hash, digest.not_finite, digest.sum.to_bits());
            (call, digest.parameter, values)
        });
        of.collect::<Vec<_>>()
    };
    let all = digests("check=digest", None);
    assert_eq!(all, digests("check=digest", None));
    let with_fault = digests("check=digest", Some("nan@100"));
    let different: Vec<usize> =
        all.iter().zip(&with_fault).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
    assert_eq!((with_fault.len(), different.len()), (all.len(), 1), "{different:?}");
    let every = digests("check=digest,every=7", None);
    let expected = |is_due: &dyn Fn(usize) -> bool| {
        all.iter().filter(|(call, ..)| is_due(*call)).copied().collect::<Vec<_>>()
    };
    assert_eq!(every, expected(&|call| call % 7 == 0));
    // The handle and its event are the first two records.
    let window = digests("check=digest,window=12-21,functions=*", None);
    assert_eq!(window, expected(&|call| (10..20).contains(&call)));
}

#[test]
fn digests_of_inputs_are_those_of_the_results_they_were() {
    let program = Program::new("chained.c", artefacts::reference());
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "check=digest,inputs");
    run(&mut command).silent_success();
    let trace = program.traced();
    let of = |call: CallId, is_before: bool| {
        let digests = trace.digests.iter().filter(move |digest| digest.call == call);
        let digests = digests.filter(move |digest| digest.is_before == is_before);
        digests.map(|digest| (digest.parameter, digest.hash)).collect::<Vec<_>>()
    };
    let calls = numeric(&trace);
    assert_eq!(calls.len(), 10);
    for (number, pair) in calls.windows(2).enumerate() {
        let ([(_, left)], [(7, a), (9, _)]) = (&of(pair[0], false)[..], &of(pair[1], true)[..])
        else {
            panic!("C is not read where beta is zero: {:?}", trace.digests)
        };
        // The call with unique sizes reads more than the previous call writes, and writes more than the next
        // one reads.
        assert_eq!(left == a, ![3, 4].contains(&number), "{number}");
    }
}

#[test]
fn a_call_is_saved_by_the_digest_of_what_it_leaves() {
    let calls = ["--calls", "300"];
    let (_, program) = many_calls_with("check=digest", &calls, None);
    let trace = program.traced();
    let digest = trace.digests.iter().find(|digest| digest.call.sequence >= 57).expect("one");
    let options = format!("check=digest,save-digest=1:{:016x}", digest.hash);
    let (_, program) = many_calls_with(&options, &calls, None);
    let trace = program.traced();
    let saved: Vec<CallId> = trace.saved.iter().map(|saved| saved.call).collect();
    let first = trace.digests.iter().find(|other| other.hash == digest.hash).expect("the same");
    assert_eq!(saved, [first.call]);
    let CallId { thread, sequence } = first.call;
    let path = trace.directory.join(rocblas_trace::process::saved_file(thread, sequence));
    assert_eq!(Reader::open(&path).expect("a capture").meta().values, Values::Complete);
}

#[test]
fn gaps_are_not_looked_at_nor_are_outputs_of_calls_that_fail() {
    let program = Program::new("checked.c", artefacts::reference());
    let mut command = program.command();
    command.arg("stale").env("ROCBLAS_SHIM_TRACE_OPTIONS", "check=nan,inf");
    run(&mut command).silent_success();
    let trace = program.traced();
    let statuses: Vec<Option<i32>> = trace.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses[1..], [Some(0), Some(3), Some(0)]);
    assert_eq!((trace.findings, trace.skipped), (vec![], vec![]));
}

#[test]
fn a_forked_child_has_findings_of_its_own() {
    let program = Program::new("checked.c", artefacts::reference());
    let mut command = program.command();
    command.arg("fork").env("ROCBLAS_SHIM_TRACE_OPTIONS", "check=nan,inf,on-bad=capture");
    run(&mut command).success();
    let traces = read_all(&program.traces());
    let mut nan: Vec<u64> = Vec::new();
    for trace in &traces {
        let [finding] = trace.findings.as_slice() else { panic!("{trace:?}") };
        nan.push(finding.nan);
        assert_eq!(saved_files(&trace.directory).len(), 1, "{trace:?}");
    }
    nan.sort_unstable();
    assert_eq!(nan, [2, 3]);
}

#[test]
fn named_calls_are_saved_and_as_many_of_a_function_as_are_wanted() {
    let calls = ["--calls", "300"];
    let (_, program) = many_calls_with("save-call=1:57", &calls, None);
    let trace = program.traced();
    assert_eq!(saved_files(&trace.directory), BTreeSet::from(["call-1-57.safetensors".to_owned()]));
    assert_eq!(trace.saved[0].call, CallId { thread: 1, sequence: 57 });

    let (_, program) = many_calls_with("save-functions=*trsm*,save-count=3", &calls, None);
    let trace = program.traced();
    let is_trsm = |name: &str| name.contains("trsm");
    let expected = trace.calls().into_iter().filter(|call| is_trsm(call.name)).take(3);
    let expected: Vec<u64> = expected.map(|call| call.sequence).collect();
    let saved: Vec<u64> = trace.saved.iter().map(|saved| saved.call.sequence).collect();
    assert_eq!((saved.len(), &saved), (3, &expected));
    for sequence in saved {
        let path = trace.directory.join(rocblas_trace::process::saved_file(1, sequence));
        assert_eq!(Reader::open(&path).expect("a capture").meta().values, Values::Complete);
    }

    let redacted = "save-functions=*trsm*,save-values=off";
    let (_, program) = many_calls_with(redacted, &calls, None);
    let trace = program.traced();
    let [name] = &saved_files(&trace.directory).into_iter().collect::<Vec<_>>()[..] else {
        panic!("one")
    };
    let reader = Reader::open(&trace.directory.join(name)).expect("a capture");
    assert_eq!(reader.meta().values, Values::Redacted);
    assert!(reader.entry(0, Time::Before).is_none());
}

#[test]
fn operands_beyond_the_limit_are_not_copied_and_that_is_said() {
    // The smallest limit, and an output of 8 bytes each that is larger.
    let program = Program::new("large.c", artefacts::reference());
    for (options, due) in [("check=nan", Due::Check), ("save-functions=*", Due::Save)] {
        let mut command = program.command();
        let options = format!("{options},save-limit=64K");
        run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options)).silent_success();
        let trace = program.traced();
        let [skipped] = trace.skipped.as_slice() else { panic!("{:?}", trace.skipped) };
        assert_eq!((skipped.due, skipped.reason, skipped.count), (due, Skipped::TooLarge, 1));
        if due == Due::Save {
            let sequence = trace.saved[0].call.sequence;
            let path = trace.directory.join(rocblas_trace::process::saved_file(1, sequence));
            assert_eq!(Reader::open(&path).expect("a capture").meta().values, Values::TooLarge);
        }
        fs::remove_dir_all(program.traces()).expect("remove");
    }
}

#[test]
fn a_process_killed_while_calls_are_saved_leaves_whole_files() {
    let program = many_calls();
    let mut whole = 0;
    for pause in [30, 60, 90, 120, 150, 180] {
        let mut command = program.command();
        command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "save-functions=*,save-count=10000");
        let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("start");
        thread::sleep(Duration::from_millis(pause));
        child.kill().expect("kill");
        child.wait().expect("wait");
        let Ok(directories) = fs::read_dir(program.traces()) else { continue };
        for directory in directories.map(|entry| entry.expect("an entry").path()) {
            let files = saved_files(&directory).into_iter();
            for name in files.filter(|name| !name.ends_with("unfinished")) {
                Reader::open(&directory.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
                whole += 1;
            }
        }
        fs::remove_dir_all(program.traces()).expect("remove");
    }
    assert!(whole > 20, "{whole}");
}

/// `staged.c` on the stand-in whose GPU is a thread, built with these flags.
fn staged(options: &str, arguments: &[&str], flags: &[&str]) -> (String, Traced) {
    let tree = Tree::with_shim();
    let backend = tree.root().join("staged.so");
    let backend = library(&standins().join("staged.c"), &backend, "librocblas.so.4", flags);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "staged.c");
    let mut command = program.command();
    // The tree has no kernels for the stand-in's unknown device.
    command.env("ROCBLAS_SHIM_COMPAT", "-tensile").env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
    let ended = run(command.args(arguments)).success();
    (ended.stdout, program.traced())
}

#[test]
fn outputs_are_copied_in_their_stream_and_nothing_is_put_into_one_that_captures() {
    // Two slots. Their flags are written by HIP; where it cannot, each has a word on the device, and that word is
    // copied there and the flag from it. Only the program's thread calls HIP, and the program sees neither the error of
    // the query of the default stream nor that of the write.
    for (flags, calls) in [
        (&["-DWRITES=1"][..], "copies 2, writes 2, allocations 2"),
        (&["-DWRITES=0"], "copies 6, writes 0, allocations 4"),
        (&[], "copies 6, writes 0, allocations 4"),
    ] {
        let printed = bad_outputs_are_found(flags);
        assert_eq!(printed, format!("{calls}, foreign 0, captured 0, error 0\n"), "{flags:?}");
    }
}

/// What the stand-in prints.
fn bad_outputs_are_found(flags: &[&str]) -> String {
    let (printed, trace) = staged("check=nan,inf", &[], flags);
    let found: Vec<(u64, u64, u64)> =
        trace.findings.iter().map(|found| (found.nan, found.inf, found.first)).collect();
    assert_eq!(found, [(1, 0, 2), (0, 1, 6)]);
    let skipped: Vec<(Due, Skipped)> =
        trace.skipped.iter().map(|skipped| (skipped.due, skipped.reason)).collect();
    assert!(skipped.iter().all(|of| *of == (Due::Check, Skipped::Capturing)), "{skipped:?}");
    assert_eq!(trace.skipped.iter().map(|skipped| skipped.count).sum::<u64>(), 5);
    printed
}

#[test]
fn memory_is_taken_once_for_many_calls() {
    let (printed, trace) = staged("check=nan,inf", &["500"], &[]);
    let allocations = printed.split("allocations ").nth(1).and_then(|rest| rest.split(',').next());
    let allocations: u32 = allocations.and_then(|n| n.parse().ok()).expect("a number");
    assert!(allocations <= 32, "{printed}");
    assert_eq!(trace.findings.len(), 2);
    let busy = trace.skipped.iter().filter(|skipped| skipped.reason == Skipped::Busy);
    assert_eq!(busy.count(), 0, "{:?}", trace.skipped);
}

#[test]
fn nothing_is_asked_of_hip_without_the_options() {
    let (printed, trace) = staged("errors=off", &[], &["-DWRITES=1"]);
    assert_eq!(printed, "copies 0, writes 0, allocations 0, foreign 0, captured 0, error 0\n");
    assert_eq!((trace.findings, trace.skipped), (vec![], vec![]));
}

/// The numbers of checked calls and of findings in each trace of a process, in order. A call of the first is held until
/// that many others have been started.
fn checked_late(later: &str) -> Vec<(u64, usize)> {
    let program = Program::new("checked_late.c", artefacts::reference());
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").arg(program.traces()).arg(later);
    let ended = run(&mut command).success();
    assert_eq!(ended.stderr.lines().count(), 1, "only the NaN is said: {ended:?}");
    let mut traces = read_all(&program.traces());
    traces.sort_by_key(|trace| trace.calls().first().map(|call| call.begin));
    traces.iter().map(|trace| (trace.checked, trace.findings.len())).collect()
}

#[test]
fn a_call_that_returns_in_the_next_trace_is_checked_in_its_own() {
    assert_eq!(checked_late("1"), [(2, 0), (2, 1)]);
}

#[test]
fn a_call_that_returns_after_two_more_traces_is_not_checked_and_leaves_their_results() {
    assert_eq!(checked_late("2"), [(1, 0), (1, 0), (2, 1)]);
}
