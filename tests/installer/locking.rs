//! Waiting for another installer, or for any other process that holds the lock: other users may open the
//! library directory, so any of them may lock it. `--lock-timeout` ends the wait and names the process.

use crate::machine::Machine;
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tests::{
    run::{exists, run_within},
    skip::skip,
    snapshot::Snapshot,
};

/// A process that holds a lock until this is dropped.
struct Holder(Child);

impl Holder {
    fn new(directory: &Path, kind: &str) -> Option<Self> {
        if !exists("flock") {
            skip("locks of other processes", "this machine has no flock");
            return None;
        }
        let mut command = Command::new("flock");
        // With `--no-fork`, the process that holds the lock is the one that was started.
        command.args([kind, "--no-fork"]).arg(directory).args(["sleep", "120"]);
        let child = command.stdin(Stdio::null()).spawn().expect("start flock");
        let held = || {
            let mut ask = Command::new("flock");
            ask.args(["--nonblock", "--exclusive"]).arg(directory).arg("true");
            !ask.status().expect("start flock").success()
        };
        let end = Instant::now() + Duration::from_secs(20);
        while !held() {
            assert!(Instant::now() < end, "nobody holds the lock");
            thread::sleep(Duration::from_millis(5));
        }
        Some(Self(child))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Longer than any timeout that is requested, and shorter than the time for which the lock is held.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_wait_ends_and_names_who_holds_the_lock() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let backend = machine.backend.to_str().expect("UTF-8").to_owned();
    let before = Snapshot::with_times(machine.tree.root());
    for kind in ["--exclusive", "--shared"] {
        let Some(holder) = Holder::new(&machine.tree.lib(), kind) else { return };
        let pid = holder.0.id().to_string();
        for (seconds, command) in [
            (0, &["apply", "--backend", &backend][..]),
            (0, &["revert"]),
            (0, &["backends", "use", "7.0.2"]),
            (1, &["apply"]),
        ] {
            let text = seconds.to_string();
            let start = Instant::now();
            let words = [command, &["--lock-timeout", &text]].concat();
            let refused = run_within(&mut machine.tree.installer_command(&words), LIMIT);
            let took = start.elapsed();
            assert_eq!(refused.status.code(), Some(1), "{words:?}: {refused:?}");
            let names_it = |name: &str| {
                let mut words = refused.stderr.split(|c: char| !c.is_ascii_alphanumeric());
                words.any(|word| word == name)
            };
            assert!(names_it(&pid) && names_it("sleep"), "{kind} {pid} {words:?}: {refused:?}");
            let range = Duration::from_secs(seconds)..Duration::from_secs(seconds + 10);
            assert!(range.contains(&took), "{words:?} took {took:?}");
        }
        before.assert_same(&Snapshot::with_times(machine.tree.root()));
    }
    machine.revert().success();
}

#[test]
fn a_lock_that_is_given_back_in_time_is_taken() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(holder) = Holder::new(&machine.tree.lib(), "--exclusive") else { return };
    let releasing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        drop(holder);
    });
    let words = ["revert", "--lock-timeout", "25"];
    run_within(&mut machine.tree.installer_command(&words), LIMIT).success();
    releasing.join().expect("no panic");
}

#[test]
fn commands_that_change_nothing_do_not_wait() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(_holder) = Holder::new(&machine.tree.lib(), "--exclusive") else { return };
    for command in [
        &["status"][..],
        &["verify"],
        &["inspect"],
        &["doctor"],
        &["backends", "list"],
        &["revert", "--dry-run"],
        &["apply", "--dry-run"],
    ] {
        let ended = run_within(&mut machine.tree.installer_command(command), LIMIT);
        assert!(ended.status.code().is_some_and(|code| code < 5), "{command:?}: {ended:?}");
    }
}

#[test]
fn status_says_that_an_installer_is_at_work_and_who_it_is() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(holder) = Holder::new(&machine.tree.lib(), "--exclusive") else { return };
    let (code, line) = machine.status();
    assert_eq!(code, 4, "{line}");
    let who = format!("busy: locked by process {} (sleep", holder.0.id());
    assert!(line.contains(&who), "{line}");
    let refused = machine.tree.installer(&["--json", "--lock-timeout", "0", "revert"]);
    let document: serde_json::Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!(document["error"]["code"], "busy", "{refused:?}");
    drop(holder);
    machine.assert_applied();
}
