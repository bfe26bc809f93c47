//! The call stacks of recorded calls.

use crate::{Program, errors, installer};
use installer::trace::stacks::{Reading, line};
use rocblas_trace::read::{Record, Trace, traces_in};
use serde_json::Value;
use std::{fs, path::Path, process::Command};
use tests::{
    artefacts::{self, workspace},
    compile::{cxx, library},
    run::run,
    scenario::{cxx_backend, linked_client},
    skip::skip,
    tree::Tree,
};

/// `stacks.c`, compiled with these arguments.
fn program(arguments: &[&str]) -> Program {
    let tree = Tree::with_backend(artefacts::probe());
    let path = linked_client(&tree, "tracing/stacks.c", &[&["-Wl,--build-id"], arguments].concat());
    Program { tree, path }
}

fn traced(program: &Program, arguments: &[&str], options: &str) {
    let mut command = program.command();
    command.args(arguments).env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
    run(&mut command).silent_success();
}

/// The recorded calls in the order of their threads, with their callers from the innermost on, as far as `main` or the
/// end.
fn callers(traces: &Path) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for directory in traces_in(traces).expect("traces") {
        let trace = Trace::open(&directory).expect("a trace");
        let mut reading = Reading::of(&trace);
        for mut thread in trace.threads().expect("threads").0 {
            let number = thread.written().ordinal;
            thread.close();
            while let Some(record) = thread.next().expect("records") {
                reading.take(number, &record);
                if let Record::Call(call) = record {
                    let mut frames = reading.callers(number, &call);
                    let main = frames.iter().position(|frame| frame.name == "main");
                    frames.truncate(main.map_or(frames.len(), |main| main + 1));
                    let name = call.name().trim_start_matches("rocblas_").to_owned();
                    calls.push((name, line(&frames, usize::MAX)));
                }
            }
            assert_eq!(thread.problems(), []);
        }
    }
    calls
}

fn call(name: &str, callers: &str) -> (String, String) {
    (name.to_owned(), callers.to_owned())
}

const INNER: &str = "inner (stacks) < outer (stacks) < main (stacks)";

#[test]
fn each_call_has_its_callers_with_and_without_frame_pointers() {
    for arguments in [["-fno-omit-frame-pointer"], ["-fomit-frame-pointer"], ["-O2"], ["-no-pie"]] {
        let program = program(&arguments);
        traced(&program, &["named"], "stacks=1");
        let other = "other (stacks) < main (stacks)";
        let expected = [call("sscal", INNER), call("sscal", INNER), call("sscal", INNER)];
        let expected = [&expected[..], &[call("dscal", other)]].concat();
        assert_eq!(callers(&program.traces()), expected, "{arguments:?}");
    }
}

#[test]
fn a_stripped_program_is_named_where_its_symbols_are() {
    let program = program(&[]);
    let whole = fs::read(&program.path).expect("read");
    let strip = Command::new("strip").arg(&program.path).status().expect("strip");
    assert!(strip.success());
    traced(&program, &["named"], "stacks=1");
    let stripped = callers(&program.traces());
    assert!(stripped[0].1.starts_with("stacks+0x"), "{stripped:?}");
    assert!(stripped[0].1.split(" < ").count() >= 3, "{stripped:?}");
    // As on another machine, with the file before it was stripped.
    fs::write(&program.path, &whole).expect("write");
    assert_eq!(callers(&program.traces())[0], call("sscal", INNER));
    // Another build has other functions there.
    let other = linked_client(&program.tree, "tracing/stacks.c", &["-Wl,--build-id", "-Os"]);
    assert_eq!(other, program.path);
    assert_eq!(callers(&program.traces()), stripped);
    fs::remove_file(&program.path).expect("remove");
    assert_eq!(callers(&program.traces()), stripped);
}

#[test]
fn one_of_every_n_calls_of_each_thread_has_its_stack() {
    let program = program(&[]);
    traced(&program, &["threads"], "stacks=10");
    let calls = callers(&program.traces());
    assert_eq!(calls.len(), 1600);
    let with: Vec<_> = calls.iter().filter(|(_, callers)| !callers.is_empty()).collect();
    assert_eq!(with.len(), 160);
    let expected = "inner (stacks) < outer (stacks) < thread (stacks)";
    assert!(with.iter().all(|(_, callers)| callers.starts_with(expected)), "{with:?}");
    // Without the option, there are no call stacks and no list of modules.
    fs::remove_dir_all(program.traces()).expect("remove");
    traced(&program, &["threads"], "");
    assert!(callers(&program.traces()).iter().all(|(_, callers)| callers.is_empty()));
    let directory = program.traced().directory;
    assert!(!directory.join("modules.json").exists());
}

#[test]
fn a_forked_child_has_its_own_stacks_and_modules() {
    let program = program(&[]);
    traced(&program, &["forks"], "stacks=1");
    assert_eq!(traces_in(&program.traces()).expect("traces").len(), 2);
    assert_eq!(callers(&program.traces()), vec![call("sscal", INNER); 3]);
}

#[test]
fn a_deep_stack_is_cut_and_says_so() {
    let program = program(&[]);
    traced(&program, &["deep"], "stacks=1");
    let trace = Trace::open(&program.traced().directory).expect("a trace");
    let mut threads = trace.threads().expect("threads").0;
    threads[0].close();
    let Some(Record::Stack(stack)) = threads[0].next().expect("records") else {
        panic!("a stack comes first")
    };
    assert_eq!((stack.frames.len(), stack.is_cut), (64, true));
    let expected = vec!["deep (stacks)"; 63].join(" < ");
    assert_eq!(callers(&program.traces())[0].1, format!("inner (stacks) < {expected}"));
}

#[test]
fn code_without_unwind_tables_ends_the_stack() {
    let program = program(&[]);
    traced(&program, &["generated"], "stacks=1");
    let (_, callers) = &callers(&program.traces())[0];
    let (inner, generated) = callers.split_once(" < ").expect("two frames");
    assert_eq!(inner, "inner (stacks)");
    assert!(generated.starts_with("0x") && !generated.contains('<'), "{callers}");
}

#[test]
fn a_library_that_is_loaded_later_is_named() {
    let program = program(&[]);
    let source = workspace().join("tests/clients/tracing/stacks_library.c");
    let path = library(&source, &program.tree.root().join("libcaller.so"), "libcaller.so", &[]);
    traced(&program, &["loaded", path.to_str().expect("UTF-8")], "stacks=1");
    let expected = "inner (stacks) < library_calls (libcaller.so) < main (stacks)";
    assert_eq!(callers(&program.traces()), [call("sscal", INNER), call("sscal", expected)]);
}

#[test]
fn exceptions_pass_calls_whose_stacks_are_recorded() {
    if cxx().is_none() {
        return skip("exceptions", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    tree.add_backend("only", &cxx_backend(&tree));
    let path = linked_client(&tree, "throws.cpp", &[]);
    let program = Program { tree, path };
    let mut plain = program.command();
    plain.env("ROCBLAS_SHIM_TRACE", "off");
    let expected = run(&mut plain).success().stdout;
    let mut command = program.command();
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "stacks=1");
    assert_eq!(run(&mut command).success().stdout, expected);
    let left = program.traced();
    assert!(left.calls().iter().all(|call| call.was_left), "{left:?}");
    assert_eq!(callers(&program.traces()), vec![call("destroy_handle", "main (throws)"); 3]);
}

#[test]
fn a_record_that_is_taken_back_takes_its_stack_with_it() {
    let program = program(&[]);
    traced(&program, &["named"], "stacks=1,min=10s");
    let directory = traces_in(&program.traces()).expect("traces").remove(0);
    let trace = Trace::open(&directory).expect("a trace");
    let mut threads = trace.threads().expect("threads").0;
    threads[0].close();
    while let Some(record) = threads[0].next().expect("records") {
        assert!(matches!(record, Record::Handle(_) | Record::Device(_)), "{record:?}");
    }
    assert_eq!((threads[0].written().filtered, threads[0].problems()), (4, &[][..]));
}

#[test]
fn gpu_times_are_those_of_their_calls_beside_stacks() {
    let program = errors::program();
    errors::traced(&program, &["times", "24"], "gpu-time=1,stacks=1");
    let summary = errors::output_of(&program, &["summary", "--json"]);
    let document: Value = serde_json::from_str(&summary).expect("JSON");
    let stacks = document["callers"]["stacks"].as_array().expect("stacks");
    let scaled: Vec<&Value> =
        stacks.iter().filter(|stack| stack["function"] == "rocblas_sscal").collect();
    let calls: u64 = scaled.iter().filter_map(|stack| stack["calls"].as_u64()).sum();
    let gpu: f64 = scaled.iter().filter_map(|stack| stack["gpu"].as_f64()).sum();
    assert_eq!((calls, gpu), (24, 300e3), "{stacks:?}");
}

/// What `trace WHAT` prints.
fn said(program: &Program, what: &[&str]) -> String {
    let mut command = installer();
    command.args(["trace", what[0]]).arg(program.traces()).args(&what[1..]);
    run(&mut command).silent_success().stdout
}

#[test]
fn every_reader_says_who_calls() {
    let program = program(&[]);
    traced(&program, &["named"], "stacks=1");
    let summary = said(&program, &["summary"]);
    assert!(summary.contains("\nCallers, by the stack of each call (4 in all)\n"), "{summary}");
    let row =
        |line: &&str| line.starts_with("     3 ") && line.contains(&format!("sscal     {INNER}"));
    assert!(summary.lines().any(|line| row(&line)), "{summary}");

    let shown = said(&program, &["show", "--functions", "dscal"]);
    let line = shown.lines().nth(1).expect("a second line").trim();
    assert!(line.starts_with("called by other (stacks) < main (stacks)"), "{shown}");
    for command in [&["show", "--json"][..], &["export", "--format", "jsonl"]] {
        let lines = said(&program, command);
        let first: Value =
            serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
        assert_eq!(first["callers"][0], "inner (stacks)", "{command:?}");
        assert_eq!(first["callers"][2], "main (stacks)", "{command:?}");
    }
    let rows = said(&program, &["export", "--format", "csv"]);
    assert!(rows.contains(&format!(",{INNER} < ")), "{rows}");

    let folded = said(&program, &["export", "--format", "folded"]);
    let lines: Vec<&str> = folded.lines().collect();
    assert_eq!(lines.len(), 2, "{folded}");
    assert!(lines[0].ends_with(";main;other;rocblas_dscal 1"), "{folded}");
    assert!(lines[1].ends_with(";main;outer;inner;rocblas_sscal 3"), "{folded}");
    let by_time = said(&program, &["export", "--format", "folded-time"]);
    let time = by_time.lines().next().and_then(|line| line.rsplit_once(' ')).expect("a number").1;
    assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{by_time}");

    let page = program.traces().join("report.html");
    said(&program, &["report", "--output", page.to_str().expect("UTF-8")]);
    let page = fs::read_to_string(page).expect("a page");
    for part in [
        "<h3>By calls</h3>",
        "<h3>By time on the host</h3>",
        "<title>outer (stacks): 3 calls, 75.0%</title>",
        "<title>sscal: 3 calls, 75.0%</title>",
        &format!("<td class=\"code\">{}</td>", INNER.replace('<', "&lt;")),
    ] {
        assert!(page.contains(part), "{part}");
    }
}
