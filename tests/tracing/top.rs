//! `installer trace top`, which shows a program's current calls: at a terminal, in a pipe, and as JSON.

use crate::{
    Program, installer,
    serving::{self, Serving, refused},
};
use serde_json::Value as Json;
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};
use tests::{
    artefacts,
    run::run,
    terminal::{end_at_screen, run_at_screen},
};

/// `serves.c`, which calls sscal each millisecond, being traced.
fn traced() -> (Program, Serving) {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::start(&mut program.command());
    (program, serving)
}

#[test]
fn one_table_is_printed_for_a_process_and_for_its_trace() {
    let (program, serving) = traced();
    let pid = serving.pid.to_string();
    let traces = program.traces();
    for target in [pid.as_str(), traces.to_str().expect("UTF-8")] {
        let ended = serving::trace(&["top", "--once", target]).silent_success();
        let lines: Vec<&str> = ended.stdout.lines().collect();
        let head = format!("serves (process {pid})  ");
        assert!(
            lines[0].starts_with(&head) && lines[0].contains(" calls/s in 1 thread, "),
            "{ended:?}"
        );
        let [table @ .., last] = &lines[1..] else { panic!("{ended:?}") };
        assert!(table.len() == 1 && table[0].contains("calls/s"), "{ended:?}");
        let words: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(words.last(), Some(&"sscal"), "{ended:?}");
        // One each millisecond, on a machine that may be busy; earlier calls are not counted.
        let rate: u64 = words[0].replace(',', "").parse().expect("a number");
        assert!((20..1500).contains(&rate), "{ended:?}");
    }
    serving.end();
}

#[test]
fn programs_get_documents_until_the_trace_ends() {
    let program = Program::new("report.c", artefacts::reference());
    run(&mut program.command()).success();
    let traces = program.traces();
    let over = serving::trace(&["top", traces.to_str().expect("UTF-8")]);
    refused(&over, "is no longer traced: `installer trace summary ");

    let (program, serving) = traced();
    let mut top = installer();
    top.args(["--json", "trace", "top"]).arg(program.traces());
    let mut top = top.stdout(Stdio::piped()).spawn().expect("start it");
    let mut lines = BufReader::new(top.stdout.take().expect("piped")).lines();
    let mut document = || -> Option<Json> {
        let line = lines.next()?.expect("readable");
        Some(serde_json::from_str(&line).expect("JSON"))
    };
    let first = document().expect("a document");
    assert_eq!((&first["schema"], &first["is_over"]), (&1.into(), &false.into()));
    assert_eq!(first["functions"][0]["function"], "rocblas_sscal");
    assert!(first["functions"][0]["rate"].as_f64().is_some_and(|rate| rate > 20.0), "{first}");
    serving.end();
    let rest: Vec<Json> = std::iter::from_fn(document).collect();
    let last = rest.last().expect("a document of the end");
    assert_eq!(last["is_over"], true, "{last}");
    assert!(top.wait().expect("wait").success());
}

#[test]
fn at_a_terminal_the_screen_is_drawn_until_a_key_ends_it() {
    let (program, serving) = traced();
    for keys in ["Q", "\u{3}"] {
        let mut top = installer();
        top.env("TERM", "xterm").args(["trace", "top"]).arg(program.traces());
        let seen = run_at_screen(&mut top, "sscal", keys);
        assert!(seen.ended.status.success(), "{seen:?}");
        let screen = &seen.ended.stdout;
        // The alternate screen, without a cursor; then the normal one again.
        assert!(screen.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "{screen:?}");
        assert!(screen.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{screen:?}");
        assert!(screen.contains("calls/s") && screen.contains("sscal"), "{screen:?}");
        let is_shown = screen.contains('Q') || screen.contains("^C");
        assert!(!is_shown, "what is typed is not shown: {screen:?}");
        assert!(seen.is_as_before, "the terminal's settings");
    }
    serving.end();
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let (program, serving) = traced();
    let mut top = installer();
    top.env("TERM", "xterm").args(["trace", "top"]).arg(program.traces());
    let seen = end_at_screen(&mut top, "sscal");
    assert!(seen.ended.stdout.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{seen:?}");
    assert!(seen.is_as_before, "the terminal's settings");
    serving.end();
}

#[test]
fn a_process_that_is_not_traced_is_told_how_to_be() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let pid = serving.pid.to_string();
    let ended = serving::trace(&["top", &pid]);
    refused(&ended, &format!("process {pid} is not being traced to a directory"));
    refused(&ended, &format!("installer trace start {pid} --output DIR"));
    serving.end();
    refused(&serving::trace(&["top", "4294967295"]), "there is no process 4294967295");
    refused(&serving::trace(&["top", "no-such-directory"]), "no-such-directory");
}
