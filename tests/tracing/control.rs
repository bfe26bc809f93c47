//! `installer trace start`, `stop` and `status` on running programs.

use crate::{
    Program,
    serving::{Serving, refused, trace},
    set_user_id,
};
use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{SocketAddr, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tests::{
    artefacts, program,
    run::{Ended, run},
    skip::skip,
    traces::{read_all, read_only},
    tree::Tree,
};

const NOBODY: u32 = 65_534;

#[track_caller]
fn json(ended: Ended) -> serde_json::Value {
    serde_json::from_str(&ended.silent_success().stdout).expect("JSON")
}

#[test]
fn a_running_process_is_traced_for_a_while() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let (pid, traces) = (serving.pid.to_string(), program.traces());
    let place = traces.to_str().expect("UTF-8");
    Serving::go_on();
    let none = trace(&["status", &pid]).silent_success();
    assert_eq!(none.stdout, format!("process {pid} is not being traced to a directory\n"));
    refused(&trace(&["stop", &pid]), "this process is not being traced");

    let started = trace(&["start", &pid, "--output", place]).silent_success();
    let directory = traces.join(format!("serves-{pid}"));
    let directory = directory.to_str().expect("UTF-8");
    assert!(started.stdout.starts_with(&format!("Recording to {directory}\n")), "{started:?}");
    Serving::go_on();
    let status = json(trace(&["status", &pid, "--json"]));
    assert_eq!(status, serde_json::json!({"schema": 1, "directory": directory, "threads": 1}));
    refused(
        &trace(&["start", &pid, "--output", place]),
        &format!("this process is being traced already, to {directory}; stop that first"),
    );
    let stopped = trace(&["stop", &pid]).silent_success();
    assert!(stopped.stdout.starts_with(&format!("Stopped: 1 thread in {directory}\n")));
    refused(&trace(&["stop", &pid]), "this process is not being traced");

    // Once more, in another directory.
    Serving::go_on();
    trace(&["start", &pid, "--output", place, "--first", "5"]).silent_success();
    Serving::go_on();
    let none = json(trace(&["status", &pid, "--json"]));
    assert_eq!(none["directory"], serde_json::Value::Null, "it stopped after five calls");

    let (calls, complaints) = serving.end();
    assert_eq!(complaints, "");
    let traces = read_all(&traces);
    let [first, second] = traces.as_slice() else { panic!("{traces:?}") };
    let dimensions = |of: &tests::traces::Traced| -> Vec<u64> {
        of.calls().iter().map(|call| call.words[1]).collect()
    };
    let (while_traced, five) = (dimensions(first), dimensions(second));
    assert!(while_traced.len() > 5, "{while_traced:?}");
    for numbers in [&while_traced, &five] {
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    }
    assert!(while_traced[0] > 0 && while_traced[while_traced.len() - 1] < five[0]);
    assert!(five.len() == 5 && five[4] < calls[0]);
    assert_eq!(first.ended.as_deref(), Some("installer trace stop"));
    // The handle is older than the trace.
    assert!(first.calls().iter().all(|call| call.stream == Some(0)));
}

#[test]
fn lines_come_to_the_stderr_of_the_process() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let pid = serving.pid.to_string();
    refused(
        &trace(&["start", &pid, "--output", "stderr", "--check", "nan", "--on-bad", "capture"]),
        "on-bad=capture has no effect on lines to stderr: trace into a directory instead",
    );
    let started = trace(&["start", &pid, "--output", "stderr", "--first", "3"]).silent_success();
    assert!(started.stdout.starts_with("Printing calls to the process's stderr"), "{started:?}");
    Serving::go_on();
    let (_, complaints) = serving.end();
    assert_eq!(complaints.matches("rocblas_sscal(n=").count(), 3, "{complaints}");
}

#[test]
fn options_are_read_before_the_process_is_asked() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let pid = serving.pid.to_string();
    let place = program.traces();
    let start = ["start", &pid, "--output", place.to_str().expect("UTF-8")];
    for (option, value) in [("--ring", "1Q"), ("--min", "soon"), ("--limit", "")] {
        refused(&trace(&[&start[..], &[option, value]].concat()), option);
    }
    trace(&[&start[..], &["--functions", "*gemm*", "--ring", "1M"]].concat()).silent_success();
    Serving::go_on();
    serving.end();
    assert_eq!(read_only(&place).calls(), [] as [&tests::traces::Recorded; 0]);
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let file = program.tree.root().join("file");
    fs::write(&file, "").expect("write");
    let place = file.join("below");
    let ended =
        trace(&["start", &serving.pid.to_string(), "--output", place.to_str().expect("UTF-8")]);
    refused(&ended, "cannot make a trace in");
    assert!(ended.stderr.contains("Not a directory"), "{ended:?}");
}

#[test]
fn a_process_that_was_told_not_to_does_not_listen() {
    let program = Program::new("serves.c", artefacts::reference());
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").env("ROCBLAS_SHIM_LISTEN", "off");
    let serving = Serving::start(&mut command);
    let ended = trace(&["status", &serving.pid.to_string()]);
    refused(&ended, "does not listen. It has ");
    assert!(ended.stderr.contains("/librocblas.so.5.99.0 and "), "{ended:?}");
    let threads = fs::read_dir(format!("/proc/{}/task", serving.pid)).expect("its threads");
    assert_eq!(threads.count(), 1);
}

#[test]
fn a_process_of_more_rights_does_not_listen() {
    if !is_root("set-user-ID programs that would listen") {
        return;
    }
    let tree = Tree::with_backend(artefacts::reference());
    let serving = Serving::start(Command::new(set_user_id(&tree, "serves.c")).uid(NOBODY));
    let threads = fs::read_dir(format!("/proc/{}/task", serving.pid)).expect("its threads");
    assert_eq!(threads.count(), 1);
}

#[test]
fn a_trace_goes_on_when_the_program_closes_all_descriptors() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::start(program.command().arg("close"));
    Serving::go_on();
    let (calls, complaints) = serving.end();
    assert_eq!(complaints, "");
    let trace = program.traced();
    // This includes creating and destroying the handle.
    assert_eq!(trace.calls().len() as u64, calls[0] + 2);
}

#[test]
fn a_child_is_spoken_to_by_its_own_number() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &["fork"]);
    let (parent, child) = (serving.child.id(), serving.pid);
    assert_ne!(parent, child);
    let place = program.traces();
    for (pid, options) in [(child, "*scal"), (parent, "*")] {
        let place = place.to_str().expect("UTF-8");
        let pid = pid.to_string();
        trace(&["start", &pid, "--output", place, "--functions", options]).silent_success();
    }
    Serving::go_on();
    let sockets = |pid: u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
        let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
    };
    assert_eq!(sockets(child), sockets(parent), "it has closed its parent's");
    let (calls, complaints) = serving.end();
    assert_eq!((calls.len(), complaints.as_str()), (2, ""));
    let traces = read_all(&place);
    let mut pids: Vec<u32> = traces.iter().map(|trace| trace.process.pid).collect();
    pids.sort_unstable();
    let mut expected = [parent, child];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    for trace in traces {
        let destroys =
            trace.calls().iter().filter(|call| call.name == "rocblas_destroy_handle").count();
        assert_eq!(destroys, usize::from(trace.process.pid == parent));
    }
}

#[test]
fn signals_are_for_the_threads_of_the_program() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let tasks = fs::read_dir(format!("/proc/{}/task", serving.pid)).expect("its threads");
    for task in tasks.map(|task| task.expect("a thread").path()) {
        let status = fs::read_to_string(task.join("status")).expect("a status");
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t"));
        let blocked = u64::from_str_radix(blocked.expect("a set"), 16).expect("hexadecimal");
        if task.ends_with(serving.pid.to_string()) {
            assert_eq!(blocked, 0);
        } else {
            // The two signals that cannot be blocked are not in it; real-time signals begin after 31.
            let never = 1_u64 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
            assert_eq!(blocked & ((1 << 31) - 1), ((1 << 31) - 1) & !never);
        }
    }
}

#[test]
fn who_connects_and_says_nothing_keeps_nobody_waiting_for_long() {
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let silent = UnixStream::connect_addr(&address(serving.pid)).expect("connect");
    let start = Instant::now();
    trace(&["status", &serving.pid.to_string()]).silent_success();
    assert!(start.elapsed() < Duration::from_secs(14), "{:?}", start.elapsed());
    drop(silent);
    // A client with an invalid request does not block others either.
    let mut stranger = UnixStream::connect_addr(&address(serving.pid)).expect("connect");
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("write");
    stranger.shutdown(std::net::Shutdown::Write).expect("shut");
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("error\0") && answer.contains("does not know this request"));
    trace(&["status", &serving.pid.to_string()]).silent_success();
}

pub(crate) fn address(pid: u32) -> SocketAddr {
    let namespace = fs::metadata("/proc/self/ns/pid").expect("a name space").ino();
    SocketAddr::from_abstract_name(format!("rocblas-shim/{namespace}/{pid}")).expect("a name")
}

/// Whether this process can change its user, which tests with other users need.
pub(crate) fn is_root(what: &str) -> bool {
    // SAFETY: no arguments.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        skip(what, "taking on another user needs root's rights");
    }
    root
}

/// A copy of the installer that everybody may run: other users may not have access to a checkout's directories.
fn installer_for_all(directory: &Path) -> PathBuf {
    let copy = directory.join("installer");
    program::copy(artefacts::installer(), &copy);
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("open up");
    copy
}

#[test]
fn another_users_process_is_not_traced() {
    if !is_root("tracing another user's process") {
        return;
    }
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    fs::set_permissions(program.tree.root(), Permissions::from_mode(0o755)).expect("open up");
    let mut command = Command::new(installer_for_all(program.tree.root()));
    command.args(["trace", "stop"]).arg(serving.pid.to_string());
    refused(&run(command.uid(NOBODY)), "no permission to examine process");

    // Bypasses the installer's own check: the process itself queries the kernel for the client's credentials.
    let address = address(serving.pid);
    let answer = thread::spawn(move || {
        // SAFETY: changes the user of this thread only, unlike the C library's function.
        let failed = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
        assert_eq!(failed, 0);
        let mut stream = UnixStream::connect_addr(&address).expect("connect");
        let _ = stream.write_all(b"start\0/tmp/never-made\0\0");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    // The connection may be reset, because the process does not read requests of such a user.
    if let Ok(answer) = answer.join().expect("no panic") {
        let expected = "error\0only root and the user that the process runs as may trace it or change its \
                        backend";
        assert_eq!(answer, expected);
    }
    let none = trace(&["status", &serving.pid.to_string()]).silent_success();
    assert!(none.stdout.contains("is not being traced"), "{none:?}");
    assert!(!Path::new("/tmp/never-made").exists());
}

#[test]
fn a_user_traces_their_own_process_without_other_rights() {
    if !is_root("tracing as another user") {
        return;
    }
    let program = Program::new("serves.c", artefacts::reference());
    for directory in [program.tree.root(), &program.tree.lib()] {
        fs::set_permissions(directory, Permissions::from_mode(0o755)).expect("open up");
    }
    let traces = program.traces();
    fs::create_dir(&traces).expect("make a directory");
    std::os::unix::fs::chown(&traces, Some(NOBODY), None).expect("give away");
    let mut command = program.command();
    let serving = Serving::start(command.env_remove("ROCBLAS_SHIM_TRACE").uid(NOBODY));
    let pid = serving.pid.to_string();
    let installer = installer_for_all(program.tree.root());
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new(&installer);
        run(command.arg("trace").args(words).uid(NOBODY)).silent_success()
    };
    as_nobody(&["start", &pid, "--output", traces.to_str().expect("UTF-8")]);
    Serving::go_on();
    as_nobody(&["stop", &pid]);
    let (_, complaints) = serving.end();
    assert_eq!(complaints, "");
    assert!(read_only(&traces).calls().len() > 5);
}
