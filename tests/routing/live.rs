//! `installer backends use NAME --pid PID`: another backend for a running program.

use crate::machine::{Machine, file, line, name};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};
use tests::{
    artefacts,
    run::{Ended, client, run},
};

/// A client that waits for a line at each `pause`.
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(machine: &Machine, words: &str) -> Self {
        let mut command = client(&machine.tree, &machine.program);
        command.env("ROCBLAS_SHIM_BACKEND", name(1)).args(words.split(' '));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the client");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut running = Self { child, input, output };
        running.wait_until_it_pauses();
        running
    }

    fn wait_until_it_pauses(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        assert_eq!(line, "paused\n");
    }

    fn go_on(&mut self) {
        self.input.write_all(b"\n").expect("the client reads");
    }

    fn switch_to(&self, backend: &str) -> Ended {
        let mut installer = Command::new(artefacts::installer());
        let pid = self.child.id().to_string();
        run(installer.args(["backends", "use", backend, "--pid", &pid]))
    }

    /// Its output since then, on stdout and stderr.
    fn end(mut self) -> (String, String) {
        self.go_on();
        let (mut printed, mut complaints) = (String::new(), String::new());
        self.output.read_to_string(&mut printed).expect("text");
        let mut stderr = self.child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut complaints).expect("text");
        assert!(self.child.wait().expect("it ends").success());
        (printed, complaints)
    }
}

#[test]
fn a_running_program_gives_its_next_handles_to_the_other_backend() {
    let machine = Machine::with(2);
    let mut running = Running::start(&machine, "create pause create pause create call");
    let answer = running.switch_to("two").silent_success().stdout;
    assert!(answer.contains("creates from now on belong to backend two"), "{answer}");
    running.go_on();
    running.wait_until_it_pauses();
    let answer = running.switch_to("-").silent_success().stdout;
    assert!(answer.contains("belong to the backend that its settings name"), "{answer}");
    let (printed, complaints) = running.end();
    assert_eq!(printed, [line(1), line(2), line(1)].concat());
    assert_eq!(complaints, "");
}

#[test]
fn what_cannot_be_opened_is_said_to_the_person_and_changes_nothing() {
    let machine = Machine::with(1);
    let running = Running::start(&machine, "create pause create call");
    let ended = running.switch_to("two");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let message =
        "cannot open a backend: installer backends use=two: is not the name of a backend in ";
    assert!(ended.stderr.contains(message), "{ended:?}");
    let ended = running.switch_to("./absent/librocblas.so.4");
    assert!(ended.stderr.contains("absent/librocblas.so.4: does not exist"), "{ended:?}");
    let (printed, complaints) = running.end();
    assert_eq!((printed, complaints.as_str()), (line(1).repeat(2), ""));
}

#[test]
fn a_file_that_was_replaced_is_not_taken_for_the_one_that_is_open() {
    let machine = Machine::with(2);
    let mut running = Running::start(&machine, "create pause create pause create call");
    running.switch_to("two").silent_success();
    running.go_on();
    running.wait_until_it_pauses();
    // Replaces the file as a package manager does.
    let two = file(&machine.tree, 2);
    fs::copy(file(&machine.tree, 1), two.with_extension("new")).expect("copy");
    fs::rename(two.with_extension("new"), &two).expect("rename");
    let ended = running.switch_to("two");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let message = "was replaced after backend two was opened from it";
    assert!(ended.stderr.contains(message), "{ended:?}");
    let (printed, complaints) = running.end();
    assert_eq!((printed, complaints.as_str()), ([line(1), line(2), line(2)].concat(), ""));
}

#[test]
fn a_program_without_a_handle_uses_it_from_its_first_one() {
    let machine = Machine::with(2);
    let running = Running::start(&machine, "pause create call");
    let answer = running.switch_to("two").silent_success().stdout;
    assert!(answer.contains("has created no rocBLAS handle yet"), "{answer}");
    let (printed, complaints) = running.end();
    assert_eq!((printed, complaints.as_str()), (line(2), ""));
}
