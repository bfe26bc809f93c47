//! Tests the tools that interrupt a program, with short programs.

use libc::{EIO, ENOSPC, SIGKILL};
use std::{fs, os::unix::fs::symlink, path::Path, process::Command, time::Duration};
use tests::{
    compile::compile,
    interrupt::{
        Interruption::{self, FailAt, FailFrom, KillBefore},
        Outcome, permitted, run, run_within,
    },
    run::Ended,
    skip::skip,
};

/// Whether processes can be traced; if not, the test is skipped.
fn may_trace() -> bool {
    permitted().map_err(|why| skip("interrupted programs", why)).is_ok()
}

/// Runs a shell script in a new directory. Returns what it did, and the contents of the directory.
fn script(text: &str, interruption: Interruption) -> (Outcome, Vec<String>) {
    let directory = tempfile::tempdir().expect("make a directory");
    let mut command = Command::new("sh");
    command.args(["-c", text]).current_dir(directory.path()).env("LC_ALL", "C");
    let outcome = run(&mut command, directory.path(), interruption).expect("run a script");
    (outcome, listing(directory.path(), directory.path()))
}

/// The entries below a directory, with their sizes and targets.
fn listing(directory: &Path, top: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in directory.read_dir().expect("read a directory") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("it is there");
        let name = path.strip_prefix(top).expect("below").display();
        lines.push(match fs::read_link(&path) {
            Ok(target) => format!("{name} -> {}", target.display()),
            Err(_) if metadata.is_dir() => format!("{name}/"),
            Err(_) => format!("{name}: {}", metadata.len()),
        });
        if metadata.is_dir() {
            lines.extend(listing(&path, top));
        }
    }
    lines.sort();
    lines
}

fn calls(outcome: &Outcome) -> Vec<String> {
    outcome.calls.iter().map(ToString::to_string).collect()
}

/// Neither its output nor what it writes elsewhere counts.
const SCRIPT: &str = "
    mkdir d; echo one > d/a; echo two >> d/a; ln -s a d/l; mv d/a d/b; rm d/l
    echo said; echo complained >&2; echo away > /dev/null";

/// The calls of a script, and the contents of the directory before each of them.
const STEPS: [(&str, &[&str]); 8] = [
    ("mkdir d", &[]),
    ("openat d/a", &["d/"]),
    ("write d/a", &["d/", "d/a: 0"]),
    ("openat d/a", &["d/", "d/a: 4"]),
    ("write d/a", &["d/", "d/a: 4"]),
    ("symlinkat d/l", &["d/", "d/a: 8"]),
    ("renameat2 d/a -> d/b", &["d/", "d/a: 8", "d/l -> a"]),
    ("unlinkat d/l", &["d/", "d/b: 8", "d/l -> a"]),
];

#[test]
fn the_calls_that_change_files_are_counted() {
    if !may_trace() {
        return;
    }
    for interruption in [Interruption::None, KillBefore(STEPS.len())] {
        let (outcome, left) = script(SCRIPT, interruption);
        assert_eq!(calls(&outcome), STEPS.map(|(call, _)| call));
        assert!(!outcome.interrupted);
        let Ended { status, stdout, stderr } = &outcome.ended;
        assert!(status.success(), "{outcome:?}");
        assert_eq!((stdout.as_str(), stderr.as_str()), ("said\n", "complained\n"));
        assert_eq!(left, ["d/", "d/b: 8"]);
    }
}

#[test]
fn a_killed_program_leaves_what_it_had_done() {
    if !may_trace() {
        return;
    }
    for (number, (call, there)) in STEPS.into_iter().enumerate() {
        let (outcome, left) = script(SCRIPT, KillBefore(number));
        assert_eq!(left, there, "{call}");
        assert_eq!(calls(&outcome), STEPS[..=number].iter().map(|step| step.0).collect::<Vec<_>>());
        assert!(outcome.interrupted);
        assert_eq!(outcome.ended.signal(), Some(SIGKILL), "{outcome:?}");
        assert_eq!(outcome.ended.stdout, "");
    }
}

#[test]
fn one_call_fails_and_the_next_ones_do_not() {
    if !may_trace() {
        return;
    }
    let (outcome, left) = script(SCRIPT, FailAt { call: 5, errno: EIO });
    assert!(outcome.ended.stderr.contains("'d/l': Input/output error"), "{outcome:?}");
    assert_eq!(left, ["d/", "d/b: 8"]);
    assert!(outcome.interrupted && outcome.ended.status.success());
}

#[test]
fn a_full_disk_stays_full_and_files_can_be_removed() {
    if !may_trace() {
        return;
    }
    let text = "echo one > a; echo two > b; ln -s a l; rm a; mkdir d";
    let (outcome, left) = script(text, FailFrom { call: 2, errno: ENOSPC });
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(outcome.ended.stderr.matches("No space left on device").count(), 3, "{outcome:?}");
    assert!(outcome.interrupted);
}

/// Compiles a program of one file and runs it in a new directory.
fn program(source: &str, interruption: Interruption) -> (Outcome, Vec<String>) {
    let built = tempfile::tempdir().expect("make a directory");
    let file = built.path().join("program.c");
    fs::write(&file, source).expect("write a program");
    let program = compile(&file, &built.path().join("program"), &[]);
    let directory = tempfile::tempdir().expect("make a directory");
    let mut command = Command::new(program);
    let outcome = run(command.current_dir(directory.path()), directory.path(), interruption);
    (outcome.expect("run a program"), listing(directory.path(), directory.path()))
}

/// A process that has detached from its parent, its session and its output creates a file.
const DAEMON: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    creat("parent", 0600);
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            printf("%d\n", getpid());
            fflush(stdout);
            close(1);
            close(2);
            usleep(200000);
            creat("daemon", 0600);
        }
    }
    return 0;
}"#;

#[test]
fn what_a_program_leaves_running_is_waited_for_and_killed() {
    if !may_trace() {
        return;
    }
    let (outcome, left) = program(DAEMON, Interruption::None);
    assert_eq!(calls(&outcome), ["creat parent", "creat daemon"]);
    assert_eq!(left, ["daemon: 0", "parent: 0"]);

    let (outcome, left) = program(DAEMON, KillBefore(1));
    assert_eq!(left, ["parent: 0"]);
    // A zombie has no command line.
    let daemon = format!("/proc/{}/cmdline", outcome.ended.stdout.trim());
    let line = fs::read(daemon).unwrap_or_default();
    assert!(line.is_empty(), "it lives: {outcome:?}");
}

/// One thread creates a file, and another executes a program, which ends all other threads.
const THREADS: &str = r#"
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
static void *make(void *name) {
    creat(name, 0600);
    return 0;
}
static void *become(void *name) {
    execlp("touch", "touch", name, (char *)0);
    return 0;
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, make, "thread");
    pthread_join(thread, 0);
    pthread_create(&thread, 0, become, "program");
    for (;;) pause();
}"#;

#[test]
fn threads_are_followed() {
    if !may_trace() {
        return;
    }
    let (outcome, left) = program(THREADS, Interruption::None);
    assert_eq!(calls(&outcome)[..2], ["creat thread", "openat program"]);
    assert_eq!(left, ["program: 0", "thread: 0"]);
    let (outcome, left) = program(THREADS, FailAt { call: 0, errno: ENOSPC });
    assert!(outcome.ended.status.success(), "{outcome:?}");
    assert_eq!(left, ["program: 0"]);
}

#[test]
fn files_are_found_through_links_and_descriptors() {
    if !may_trace() {
        return;
    }
    let directory = tempfile::tempdir().expect("make a directory");
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("below/sub")).expect("make a directory");
    symlink("below/sub", at("link")).expect("link");
    let text = "
        echo > link/by-link; echo > below/../outside; echo > below/sub/../by-dots
        cd link; exec 3> by-descriptor; cd /; echo >&3";
    let mut command = Command::new("sh");
    command.args(["-c", text]).current_dir(directory.path());
    let outcome = run(&mut command, &at("link/.."), Interruption::None).expect("run a script");
    let expected = [
        "openat sub/by-link",
        "write sub/by-link",
        "openat by-dots",
        "write by-dots",
        "openat sub/by-descriptor",
        "write sub/by-descriptor",
    ];
    assert_eq!(calls(&outcome), expected);
}

/// Creates a file in the directory, after making that its root.
const CHROOT: &str = r#"
#include <fcntl.h>
#include <unistd.h>
int main(void) {
    if (chroot(".") != 0) return 1;
    creat("/made", 0600);
    return 0;
}"#;

#[test]
fn files_are_found_in_another_root() {
    if !may_trace() {
        return;
    }
    let (outcome, left) = program(CHROOT, Interruption::None);
    if !outcome.ended.status.success() {
        skip("calls in another root", "changing the root needs root's rights");
        return;
    }
    assert_eq!(calls(&outcome), ["creat made"]);
    assert_eq!(left, ["made: 0"]);
}

#[test]
fn signals_reach_the_program() {
    if !may_trace() {
        return;
    }
    let (outcome, _) = script("trap 'echo caught' USR1; kill -USR1 $$", Interruption::None);
    assert_eq!(outcome.ended.stdout, "caught\n");
    let (outcome, _) = script("kill -STOP $$; echo on", Interruption::None);
    assert_eq!(outcome.ended.stdout, "on\n");
    let (outcome, _) = script("kill -TERM $$", Interruption::None);
    assert_eq!(outcome.ended.signal(), Some(libc::SIGTERM));
}

#[test]
fn a_command_can_be_run_again() {
    if !may_trace() {
        return;
    }
    let directory = tempfile::tempdir().expect("make a directory");
    let mut command = Command::new("touch");
    let command = command.arg(directory.path().join("file"));
    for _ in 0..2 {
        let outcome = run(command, directory.path(), Interruption::None).expect("run");
        assert_eq!(calls(&outcome), ["openat file", "utimensat file"]);
    }
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    if !may_trace() {
        return;
    }
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000 & sleep 1000; exit 0"]);
    let limit = Duration::from_millis(300);
    let error = run_within(&mut command, Path::new("/"), Interruption::None, limit);
    assert_eq!(error.expect_err("it hangs").kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn a_command_that_is_not_there_is_an_error() {
    let error = run(&mut Command::new("/no/such"), Path::new("/"), Interruption::None);
    assert_eq!(error.expect_err("there is none").kind(), std::io::ErrorKind::NotFound);
}
