//! SIGKILL before every file-system call, and a disk that is full from any of them on: afterwards
//! either command completes, and nothing that was the user's is lost.

use crate::machine::{Machine, is_ldconfigs};
use std::process::Command;
use tests::{
    amd_tree::AmdTree,
    artefacts,
    interrupt::{self, Interruption},
    skip::skip,
    snapshot::Snapshot,
};

/// The two ends between which a tree may be, and the command that is interrupted on the way.
struct Way<'a> {
    machine: &'a Machine,
    /// Where each attempt starts.
    start: &'a AmdTree,
    command: Vec<String>,
    old: Snapshot,
    new: Snapshot,
}

fn snapshot(tree: &AmdTree) -> Snapshot {
    Snapshot::of(tree.root()).without(is_ldconfigs)
}

fn words(machine: &Machine, words: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    if words[0] == "apply" {
        let shim = artefacts::shim().to_str().expect("UTF-8");
        let backend = machine.backend.to_str().expect("UTF-8");
        words.extend(["--shim", shim, "--backend", backend].map(str::to_owned));
    }
    words
}

fn command(tree: &AmdTree, words: &[String]) -> Command {
    tree.installer_command(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

impl Way<'_> {
    /// Interrupts the command at each of its calls in turn.
    fn interrupt_everywhere(&self, how: impl Fn(usize) -> Interruption, what: &str) {
        let tree = self.start.duplicate();
        let whole =
            interrupt::run(&mut command(&tree, &self.command), tree.root(), Interruption::None)
                .expect("traced");
        assert!(whole.ended.status.success(), "{:?}", whole.ended);
        self.new.assert_same(&snapshot(&tree));
        assert!(whole.calls.len() > 20, "{:?}", whole.calls);
        // A full disk shows at the calls that take space, and from each of them on.
        let full = matches!(how(0), Interruption::FailFrom { .. });
        for n in (0..whole.calls.len()).filter(|n| !full || whole.calls[*n].takes_space) {
            let tree = self.start.duplicate();
            let outcome = interrupt::run(&mut command(&tree, &self.command), tree.root(), how(n));
            let outcome = outcome.expect("traced");
            let at = format!("{what} at call {n} of {}: {}", whole.calls.len(), whole.calls[n]);
            assert!(outcome.interrupted, "{at}");
            self.completes(&tree, &at);
        }
        println!("{what}: {} calls", whole.calls.len());
    }

    /// From whatever was left behind, `apply` leads to the new tree and `revert` to the old one.
    fn completes(&self, left: &AmdTree, at: &str) {
        let forward = left.duplicate();
        for (tree, words, end) in [
            (&forward, words(self.machine, &["apply"]), self.applied()),
            (left, words(self.machine, &["revert"]), self.reverted()),
        ] {
            let ended = tests::run::run(&mut command(tree, &words));
            assert!(ended.status.success(), "{at}, then {}: {ended:?}", words[0]);
            let differences = end.differences(&snapshot(tree));
            assert!(differences.is_empty(), "{at}, then {}: {differences:#?}", words[0]);
        }
    }

    fn applied(&self) -> &Snapshot {
        if self.command[0] == "apply" { &self.new } else { &self.old }
    }

    fn reverted(&self) -> &Snapshot {
        if self.command[0] == "apply" { &self.old } else { &self.new }
    }
}

fn with_ways(test: impl Fn(&Way<'_>)) {
    if let Err(why) = interrupt::permitted() {
        skip("interrupting the installer", why);
        return;
    }
    let machine = Machine::new();
    let old = snapshot(&machine.tree);
    let applied = machine.tree.duplicate();
    let words_of = |first: &str| words(&machine, &[first]);
    assert!(tests::run::run(&mut command(&applied, &words_of("apply"))).status.success());
    let new = snapshot(&applied);
    let apply = Way {
        machine: &machine,
        start: &machine.tree,
        command: words_of("apply"),
        old: old.clone(),
        new: new.clone(),
    };
    test(&apply);
    let revert =
        Way { machine: &machine, start: &applied, command: words_of("revert"), old: new, new: old };
    test(&revert);
}

#[test]
fn killed_before_any_call_either_command_completes() {
    with_ways(|way| {
        way.interrupt_everywhere(Interruption::KillBefore, &format!("{} killed", way.command[0]));
    });
}

#[test]
fn a_disk_that_is_full_from_any_write_on_loses_nothing() {
    with_ways(|way| {
        let full = |call| Interruption::FailFrom { call, errno: libc::ENOSPC };
        way.interrupt_everywhere(full, &format!("{} on a full disk", way.command[0]));
    });
}
