//! Which processes may send requests: abstract sockets belong to a network namespace, which containers may share.

use crate::{
    Program,
    control::{address, is_root},
    installer,
    serving::{Serving, refused, trace},
};
use std::{
    fs,
    io::Read,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::MetadataExt,
            net::{SocketAddr, UnixListener},
        },
    },
    process::Command,
    thread,
    time::Duration,
};
use tests::{artefacts, run::run, skip::skip};

/// `serves.c` as the first process of a PID namespace of its own, in this network namespace.
struct Contained {
    serving: Serving,
    /// Its PID in this namespace.
    outer: u32,
    /// The number of its PID namespace.
    namespace: u64,
    program: Program,
}

impl Contained {
    /// `None` if namespaces cannot be created.
    fn start(listens: bool) -> Option<Self> {
        let what = "processes in another PID namespace";
        if !is_root(what) {
            return None;
        }
        let program = Program::new("serves.c", artefacts::reference());
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]);
        if !run(Command::new("unshare").args(["--pid", "--fork", "true"])).status.success() {
            skip(what, "unshare --pid fails");
            return None;
        }
        let client = program.command();
        for (name, value) in client.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env_remove("ROCBLAS_SHIM_TRACE");
        if !listens {
            command.env("ROCBLAS_SHIM_LISTEN", "off");
        }
        let serving = Serving::start(command.arg(&program.path));
        assert_eq!(serving.pid, 1, "its number in there");
        let parent = serving.child.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let outer: u32 = children.expect("its child").trim().parse().expect("a number");
        let namespace = fs::metadata(format!("/proc/{outer}/ns/pid")).expect("one").ino();
        Some(Self { serving, outer, namespace, program })
    }

    /// A command in its PID namespace, with this one's /proc.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--pid", "--target", &self.outer.to_string()]);
        command.arg(installer().get_program());
        command
    }
}

#[test]
fn a_client_whose_process_cannot_be_seen_is_refused() {
    let Some(contained) = Contained::start(true) else { return };
    let pid = contained.outer.to_string();
    let place = contained.program.traces();
    let start = ["start", &pid, "--output", place.to_str().expect("UTF-8")];
    refused(&trace(&start), "the client is in another PID namespace");
    assert!(!place.exists());
}

#[test]
fn a_client_in_the_pid_namespace_of_the_process_is_heard() {
    let Some(contained) = Contained::start(true) else { return };
    let pid = contained.outer.to_string();
    let place = contained.program.traces();
    let mut command = contained.inside();
    command.args(["trace", "start", &pid, "--output"]).arg(&place);
    run(&mut command).silent_success();
    let mut command = contained.inside();
    run(command.args(["trace", "stop", &pid])).silent_success();
    assert!(place.join("serves-1").is_dir());
    contained.serving.end();
}

/// Listens on a name, and returns what was sent to it within a second.
fn listens(name: SocketAddr) -> thread::JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind_addr(&name).expect("bind");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
        let mut message = Vec::new();
        let _ = stream.read_to_end(&mut message);
        message
    })
}

#[test]
fn nothing_is_said_to_a_process_that_listens_in_anothers_name() {
    let program = Program::new("serves.c", artefacts::reference());
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").env("ROCBLAS_SHIM_LISTEN", "off");
    let serving = Serving::start(&mut command);
    let impostor = listens(address(serving.pid));
    let own = std::process::id();
    let pid = serving.pid.to_string();
    let ended = trace(&["start", &pid, "--output", "/tmp/never-made"]);
    refused(&ended, &format!("process {own} listens in the place of process {pid}"));
    assert_eq!(impostor.join().expect("no panic"), b"");
}

#[test]
fn nothing_is_said_to_a_listener_whose_process_cannot_be_seen() {
    let Some(contained) = Contained::start(false) else { return };
    let name = format!("rocblas-shim/{}/1", contained.namespace);
    let impostor = listens(SocketAddr::from_abstract_name(name).expect("a name"));
    let mut command = contained.inside();
    let ended = run(command.args(["trace", "status", &contained.outer.to_string()]));
    refused(&ended, "a process of another PID namespace listens in the place of process");
    assert_eq!(impostor.join().expect("no panic"), b"");
}
