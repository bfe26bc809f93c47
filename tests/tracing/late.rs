//! Traces of processes that have not created a handle: requested now, started with the first handle.

use crate::{
    Program,
    serving::{Serving, refused, trace},
};
use std::fs;
use tests::{artefacts, traces::read_only};

/// How many threads a process has, and how many sockets.
fn threads_and_sockets(pid: u32) -> (usize, usize) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
    (tasks.count(), sockets.count())
}

#[test]
fn a_process_without_a_handle_is_recorded_from_its_first_one_on() {
    let program = Program::new("late.c", artefacts::reference());
    let mut serving = Serving::untraced(&program, &[]);
    let (pid, traces) = (serving.pid.to_string(), program.traces());
    let place = traces.to_str().expect("UTF-8");
    assert_eq!(threads_and_sockets(serving.pid), (1, 1));
    let none = format!("process {pid} has created no rocBLAS handle yet, and so no call");
    let status = trace(&["status", &pid]).silent_success();
    assert!(status.stdout.starts_with(&none), "{status:?}");

    let started = trace(&["start", &pid, "--output", place]).silent_success();
    let expected = format!(
        "Process {pid} has created no rocBLAS handle yet: recording begins with its first one, in {place}."
    );
    assert!(started.stdout.starts_with(&expected), "{started:?}");
    let status = trace(&["status", &pid, "--json"]).silent_success();
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(
        status,
        serde_json::json!({
            "schema": 1, "directory": null, "threads": 0, "waits_for_handle": true
        })
    );
    assert!(!traces.exists(), "nothing is made before there is a call");

    assert_eq!(serving.tell("call"), "called");
    let status = trace(&["status", &pid]).silent_success();
    assert!(
        status.stdout.contains(&format!("is being traced to {place}/late-{pid}, 1 thread so far"))
    );
    assert_eq!(serving.finish().1, "");
    let recorded = read_only(&traces);
    let names: Vec<&str> = recorded.calls().iter().map(|call| call.name).collect();
    assert_eq!(
        names,
        ["rocblas_sscal"; 3].into_iter().chain(["rocblas_destroy_handle"]).collect::<Vec<_>>()
    );
    assert!(recorded.calls().iter().all(|call| call.stream == Some(0)));
}

#[test]
fn a_request_is_taken_back_before_the_first_handle() {
    let program = Program::new("late.c", artefacts::reference());
    let mut serving = Serving::untraced(&program, &[]);
    let (pid, traces) = (serving.pid.to_string(), program.traces());
    trace(&["start", &pid, "--output", traces.to_str().expect("UTF-8")]).silent_success();
    let stopped = trace(&["stop", &pid]).silent_success();
    assert!(
        stopped.stdout.starts_with(&format!("process {pid} has created no rocBLAS handle yet"))
    );
    assert_eq!(serving.tell("call"), "called");
    refused(&trace(&["stop", &pid]), "this process is not being traced");
    assert_eq!(serving.finish().1, "");
    assert_eq!(read_only(&traces).calls().len(), 0);
}

#[test]
fn a_process_that_makes_no_call_makes_no_trace() {
    let program = Program::new("late.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let place = program.traces();
    let start = ["start", &serving.pid.to_string(), "--output", place.to_str().expect("UTF-8")];
    trace(&start).silent_success();
    assert_eq!(serving.finish(), (String::new(), String::new()));
    assert!(!place.exists());
}

#[test]
fn a_child_does_not_listen_in_the_place_of_its_parent() {
    let program = Program::new("late.c", artefacts::reference());
    let mut serving = Serving::untraced(&program, &["fork"]);
    let (parent, child) = (serving.child.id(), serving.pid);
    assert_ne!(parent, child);
    assert_eq!(threads_and_sockets(parent).1, threads_and_sockets(child).1 + 1);
    refused(&trace(&["status", &child.to_string()]), "it listens from its first handle on");
    let place = program.traces();
    let start = ["start", &parent.to_string(), "--output", place.to_str().expect("UTF-8")];
    trace(&start).silent_success();
    assert_eq!(serving.tell("call"), "called");
    let status = trace(&["status", &child.to_string()]).silent_success();
    assert!(status.stdout.contains("is not being traced"), "{status:?}");
    assert_eq!(serving.finish().1, "");
    assert!(!place.exists(), "what the parent was asked for is not the child's");
}

#[test]
fn a_process_that_is_not_to_listen_has_no_socket() {
    let program = Program::new("late.c", artefacts::reference());
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").env("ROCBLAS_SHIM_LISTEN", "off");
    let serving = Serving::start(&mut command);
    assert_eq!(threads_and_sockets(serving.pid), (1, 0));
    refused(&trace(&["start", &serving.pid.to_string()]), "does not listen. It has ");
}
