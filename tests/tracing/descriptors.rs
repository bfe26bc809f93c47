//! The program's descriptors are not used or closed, even if their numbers were the shim's before.

use crate::{
    Program,
    control::address,
    serving::{Serving, trace},
};
use std::{os::unix::net::UnixStream, thread, time::Duration};
use tests::artefacts;

/// `own_files.c`, in a directory of its own.
fn program() -> (Program, String) {
    let program = Program::new("own_files.c", artefacts::reference());
    let directory = program.tree.root().to_str().expect("UTF-8").to_owned();
    (program, directory)
}

/// Panics unless each of the processes has all of its files.
#[track_caller]
fn assert_files_are_intact(mut serving: Serving) {
    assert_eq!(serving.tell("check"), "all", "in the process itself");
    let (printed, complaints) = serving.finish();
    assert_eq!((printed.as_str(), complaints.as_str()), ("all\nall\n", ""), "in a forked child");
}

#[test]
fn requests_close_no_file_that_has_the_number_of_the_closed_socket() {
    let (program, directory) = program();
    let mut serving = Serving::untraced(&program, &[&directory]);
    assert_eq!(serving.tell("open"), "opened");
    let pid = serving.pid.to_string();
    // The first connection is still accepted on the closed socket, the others on a new one.
    for _ in 0..3 {
        trace(&["status", &pid]).silent_success();
    }
    assert_files_are_intact(serving);
}

#[test]
fn fork_closes_no_file_that_has_the_number_of_the_closed_socket() {
    let (program, directory) = program();
    let mut serving = Serving::untraced(&program, &[&directory]);
    assert_eq!(serving.tell("open"), "opened");
    assert_files_are_intact(serving);
}

#[test]
fn fork_closes_no_file_after_the_listening_thread_could_not_be_made() {
    let (program, directory) = program();
    let mut serving = Serving::untraced(&program, &[&directory, "without-threads"]);
    assert_eq!(serving.tell("open"), "opened");
    assert_files_are_intact(serving);
}

#[test]
fn a_connection_whose_descriptor_the_program_closed_takes_no_file_with_it() {
    let (program, directory) = program();
    let mut serving = Serving::untraced(&program, &[&directory]);
    let silent = UnixStream::connect_addr(&address(serving.pid)).expect("connect");
    // Until it is accepted.
    thread::sleep(Duration::from_millis(200));
    assert_eq!(serving.tell("open"), "opened");
    // Longer than the shim waits for a request.
    thread::sleep(Duration::from_secs(3));
    drop(silent);
    assert_files_are_intact(serving);
}
