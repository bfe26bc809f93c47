//! `installer trace capture`, and checks that are requested from a running program.

use crate::{
    Program, installer,
    serving::{Serving, refused, trace},
};
use rocblas_trace::capture::{Reader, Values};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tests::{
    artefacts,
    run::{run, with_default_signals},
    skip::skip,
    traces::read_only,
};

/// Starts `installer trace capture` for a process with these words.
fn capturing(pid: u32, program: &Program, words: &[&str]) -> Child {
    let mut command = installer();
    command.args(["--json", "trace", "capture"]).arg(pid.to_string()).args(words);
    command.arg("--output").arg(program.traces());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    with_default_signals(&mut command).spawn().expect("start")
}

/// The final document, and the messages before it.
fn ended(child: Child) -> (serde_json::Value, String) {
    let ended = child.wait_with_output().expect("wait");
    let messages = String::from_utf8(ended.stderr).expect("UTF-8");
    assert!(ended.status.success(), "{messages}");
    (serde_json::from_slice(&ended.stdout).expect("JSON"), messages)
}

fn files(document: &serde_json::Value) -> Vec<PathBuf> {
    let files = document["files"].as_array().expect("files").iter();
    files.map(|file| PathBuf::from(file.as_str().expect("a path"))).collect()
}

#[test]
fn the_first_bad_call_of_a_running_process_is_saved() {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let mut serving = Serving::untraced(&program, &[]);
    let capture = capturing(serving.pid, &program, &["--first-bad"]);
    while has_no_trace(&program) {
        Serving::go_on();
    }
    serving.tell("nan");
    let (document, _) = ended(capture);
    assert_eq!(document["complete"], true);
    let [file] = &files(&document)[..] else { panic!("{document}") };
    let reader = Reader::open(file).expect("a capture");
    assert_eq!(reader.meta().function, "rocblas_sscal");
    let status = trace(&["status", &serving.pid.to_string()]).silent_success();
    assert!(status.stdout.contains("is not being traced"), "{status:?}");
    let (_, complaints) = serving.finish();
    assert!(complaints.contains("x of rocblas_sscal has 1 NaN"), "{complaints}");

    let traces = program.traces();
    let traces = traces.to_str().expect("UTF-8");
    let shown = trace(&["show", traces]).silent_success().stdout;
    let found = "x has 1 NaN and 0 infinite elements, the first is element 2";
    let first = shown.lines().position(|line| line.contains(found)).expect("found");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[first - 1].contains("rocblas_sscal("), "{}", lines[first - 1]);
    assert!(lines[first + 1].contains("its operands are in call-1-"), "{}", lines[first + 1]);
    let documents = trace(&["show", traces, "--json"]).silent_success().stdout;
    let of = "\"findings\":[{\"first\":2,\"inf\":0,\"nan\":1,\"parameter\":\"x\"}]";
    assert!(documents.contains(of), "{documents}");
    let summary = trace(&["summary", traces]).silent_success().stdout;
    assert!(summary.contains("NaN or infinite elements\n"), "{summary}");
    assert!(
        summary.contains(found) && summary.contains("its operands are in call-1-"),
        "{summary}"
    );
    assert!(summary.contains(" in 1 thread over"), "that of the shim makes no calls: {summary}");
    assert!(summary.contains(" were checked\n"), "{summary}");
    let page = program.tree.root().join("report.html");
    trace(&["report", traces, "--output", page.to_str().expect("UTF-8")]).silent_success();
    assert!(fs::read_to_string(page).expect("a page").contains(found));
}

#[test]
fn calls_of_a_function_are_saved_as_often_as_is_asked() {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let words = ["--match", "scopy", "--count", "3", "--redact-values"];
    let (document, messages) = ended(capturing(serving.pid, &program, &words));
    let files = files(&document);
    assert_eq!(files.len(), 3, "{document}");
    assert_eq!(messages.matches("saved ").count(), 3, "{messages}");
    for file in files {
        let reader = Reader::open(&file).expect("a capture");
        assert_eq!(reader.meta().function, "rocblas_scopy");
        assert_eq!(reader.meta().values, Values::Redacted);
    }
    serving.finish();
}

#[test]
fn a_signal_ends_the_wait_and_the_trace() {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let mut capture = capturing(serving.pid, &program, &["--match", "*gemm*"]);
    while has_no_trace(&program) {
        Serving::go_on();
    }
    let pid = i32::try_from(capture.id()).expect("a number");
    // SAFETY: a child that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGINT) };
    let status = capture.wait().expect("wait");
    let mut messages = String::new();
    capture.stderr.take().expect("piped").read_to_string(&mut messages).expect("read");
    assert_eq!(status.code(), Some(1), "{messages}");
    let mut lines = BufReader::new(capture.stdout.take().expect("piped")).lines();
    let document = lines.next().map(|line| line.expect("text")).unwrap_or_default() + &messages;
    assert!(document.contains("no such call was saved: stopped by a signal"), "{document}");
    let status = trace(&["status", &serving.pid.to_string()]).silent_success();
    assert!(status.stdout.contains("is not being traced"), "{status:?}");
    serving.finish();
}

#[test]
fn fewer_calls_than_were_asked_for_are_no_success() {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let words = ["--match", "scopy", "--count", "100000", "--redact-values"];
    let capture = capturing(serving.pid, &program, &words);
    while has_no_trace(&program) {
        Serving::go_on();
    }
    Serving::go_on();
    serving.finish();
    let ended = capture.wait_with_output().expect("wait");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let document: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!((&document["complete"], &document["wanted"]), (&false.into(), &100_000.into()));
    assert_eq!(document["why"], "the process ended");
    assert!(!files(&document).is_empty(), "{document}");
}

/// The outcome of `trace capture` if something is done to the directory of its trace, and whether the process is
/// still traced afterwards.
fn hindered(words: &[&str], hinder: impl Fn(&Path)) -> String {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let mut serving = Serving::untraced(&program, &[]);
    let capture = capturing(serving.pid, &program, words);
    while has_no_trace(&program) {
        Serving::go_on();
    }
    Serving::go_on();
    let found = fs::read_dir(program.traces()).expect("a directory").next();
    hinder(&found.expect("a trace").expect("an entry").path());
    serving.tell("nan");
    let ended = capture.wait_with_output().expect("wait");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let status = trace(&["status", &serving.pid.to_string()]).silent_success();
    assert!(status.stdout.contains("is not being traced"), "{status:?}");
    serving.finish();
    String::from_utf8(ended.stderr).expect("UTF-8")
}

#[test]
fn a_trace_whose_directory_is_gone_is_stopped() {
    let messages = hindered(&["--first-bad"], |directory| {
        fs::remove_dir_all(directory).expect("remove");
    });
    assert!(messages.contains("cannot read "), "{messages}");
}

/// A file system of a few hundred kilobytes, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one in a new directory. If that is not possible, prints a message and returns `None`.
    fn in_directory(place: PathBuf) -> Option<Self> {
        fs::create_dir_all(&place).expect("make a directory");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=400k", "none"]).arg(&place).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        skip("captures on a full disk", "mounting a file system needs root's rights");
        None
    }

    /// Fills it completely.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).expect("make a file");
        while file.write_all(&[0; 512]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a process that a failed test has left behind may have files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_capture_with_the_name_of_the_file_and_without_half_a_file() {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let Some(disk) = SmallDisk::in_directory(program.traces()) else { return };
    for words in [&["--first-bad"][..], &["--match", "sscal", "--count", "100000"]] {
        let mut serving = Serving::untraced(&program, &[]);
        let capture = capturing(serving.pid, &program, words);
        let directory = program.traces().join(format!("serves_numbers-{}", serving.pid));
        while !directory.join("thread-0001.trace").exists() {
            Serving::go_on();
        }
        disk.fill();
        serving.tell("nan");
        let ended = capture.wait_with_output().expect("wait");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said = String::from_utf8(ended.stderr).expect("UTF-8")
            + &String::from_utf8(ended.stdout).expect("UTF-8");
        // The file of the call, or that of the thread if there was no room to record the failure.
        assert!(said.contains(directory.to_str().expect("UTF-8")), "{said}");
        assert!(said.contains("No space left") || said.contains("no space left"), "{said}");
        let status = trace(&["status", &serving.pid.to_string()]).silent_success();
        assert!(status.stdout.contains("is not being traced"), "{status:?}");
        serving.finish();
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(!name.ends_with(".unfinished"), "{name}");
            if name.ends_with(".safetensors") {
                Reader::open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        fs::remove_file(disk.0.join("filler")).expect("remove");
    }
}

/// Whether there is no directory of a trace yet.
fn has_no_trace(program: &Program) -> bool {
    fs::read_dir(program.traces()).map_or(true, |mut found| found.next().is_none())
}

#[test]
fn checks_are_asked_of_a_process_that_runs() {
    let program = Program::new("serves_numbers.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let pid = serving.pid.to_string();
    let place = program.traces();
    let start = ["start", &pid, "--output", place.to_str().expect("UTF-8")];
    refused(&trace(&[&start[..], &["--check", "nan,zero"]].concat()), "--check: `zero`");
    let words = ["--check", "nan,inf", "--every", "10", "--on-bad", "report"];
    trace(&[&start[..], &words].concat()).silent_success();
    for _ in 0..4 {
        Serving::go_on();
    }
    trace(&["stop", &pid]).silent_success();
    serving.finish();
    let trace = read_only(&place);
    let calls = trace.calls().len() as u64;
    assert!(trace.checked > 0 && trace.checked.abs_diff(calls / 10) <= 1, "{}", trace.checked);
    assert_eq!(trace.findings, []);
}

#[test]
fn what_to_capture_has_to_be_said() {
    let ended = run(installer().args(["trace", "capture", "1"]));
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--first-bad"), "{ended:?}");
}
