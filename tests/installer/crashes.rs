//! SIGKILL before every file-system call, and a disk that is full from any call on: afterwards both `apply`
//! and `revert` complete, and none of the user's files is lost.

use crate::{
    applying,
    machine::{Machine, is_ldconfigs, packaged},
};
use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    time::SystemTime,
};
use tests::{
    amd_tree::AmdTree,
    artefacts,
    dpkg::Dpkg,
    interrupt::{self, Call, Interruption},
    skip::skip,
    snapshot::Snapshot,
};

/// The two end states of a tree, and the command that is interrupted between them.
struct Way<'a> {
    machine: &'a Machine,
    /// The initial state for each attempt.
    start: &'a AmdTree,
    command: Vec<String>,
    /// The `apply` that produces the new tree.
    apply: Vec<String>,
    /// The result of the command.
    end: End,
    applied: End,
    reverted: End,
}

/// The state of a tree that a command must reach.
#[derive(Clone)]
struct End {
    snapshot: Snapshot,
    diversions: String,
}

impl End {
    fn of(tree: &AmdTree) -> Self {
        Self { snapshot: snapshot(tree), diversions: diversions(tree) }
    }

    #[track_caller]
    fn assert_reached(&self, tree: &AmdTree, how: &str) {
        let differences = self.snapshot.differences(&snapshot(tree));
        assert!(differences.is_empty(), "{how}: {differences:#?}");
        assert_eq!(diversions(tree), self.diversions, "{how}");
    }
}

/// The tree without the files that ldconfig and dpkg keep for themselves; [`diversions`] reads dpkg's
/// diversions.
fn snapshot(tree: &AmdTree) -> Snapshot {
    Snapshot::of(tree.root()).without(is_ldconfigs).without(is_dpkgs)
}

fn is_dpkgs(path: &Path) -> bool {
    path.starts_with("var/lib/dpkg")
}

/// dpkg's list of diversions; empty without dpkg.
fn diversions(tree: &AmdTree) -> String {
    let has_dpkg = tree.root().join("var/lib/dpkg/info").exists();
    if has_dpkg { Dpkg::of(tree.root()).diversions() } else { String::new() }
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
    /// Interrupts the command at each of its calls in turn, as far as `where_to` selects them.
    fn interrupt_everywhere(
        &self,
        how: impl Fn(usize) -> Interruption,
        where_to: impl Fn(&Call) -> bool,
        what: &str,
    ) {
        let tree = self.start.duplicate();
        let whole =
            interrupt::run(&mut command(&tree, &self.command), tree.root(), Interruption::None)
                .expect("traced");
        assert!(whole.ended.status.success(), "{:?}", whole.ended);
        self.end.assert_reached(&tree, what);
        assert!(whole.calls.len() > 20, "{:?}", whole.calls);
        // A full disk only affects calls that take space, so it starts at each of these.
        let full = matches!(how(0), Interruption::FailFrom { .. });
        let counts = |call: &Call| where_to(call) && (!full || call.takes_space);
        let places: Vec<usize> =
            (0..whole.calls.len()).filter(|n| counts(&whole.calls[*n])).collect();
        assert!(!places.is_empty(), "{:?}", whole.calls);
        // Many calls leave the same state, above all on a full disk, where the command restores what it found. Each
        // state is completed from once. The trees of `start` are older than this; the installer compares times.
        let begin = SystemTime::now();
        let mut left = HashSet::new();
        for &n in &places {
            let tree = self.start.duplicate();
            let outcome = interrupt::run(&mut command(&tree, &self.command), tree.root(), how(n));
            let outcome = outcome.expect("traced");
            let at = format!("{what} at call {n} of {}: {}", whole.calls.len(), whole.calls[n]);
            assert!(outcome.interrupted, "{at}");
            let state = Snapshot::exact(tree.root()).without(is_ldconfigs);
            if left.insert(state.without_times_since(begin)) {
                self.completes(&tree, &at);
            }
        }
        println!(
            "{what}: {} of {} calls, which leave {} states",
            places.len(),
            whole.calls.len(),
            left.len()
        );
    }

    /// From any intermediate state, the same `apply` produces the new tree and `revert` the old one.
    fn completes(&self, left: &AmdTree, at: &str) {
        let forward = left.duplicate();
        for (tree, words, end) in [
            (&forward, self.apply.clone(), &self.applied),
            (left, words(self.machine, &["revert"]), &self.reverted),
        ] {
            let ended = tests::run::run(&mut command(tree, &words));
            assert!(ended.status.success(), "{at}, then {}: {ended:?}", words[0]);
            end.assert_reached(tree, &format!("{at}, then {}", words[0]));
        }
    }
}

/// Runs a test on `apply` and on `revert`; `machine` returns `None` if the machine is not available.
fn with_ways(machine: impl FnOnce() -> Option<Machine>, options: &[&str], test: impl Fn(&Way<'_>)) {
    if let Err(why) = interrupt::permitted() {
        skip("interrupting the installer", why);
        return;
    }
    let Some(machine) = machine() else { return };
    let old = End::of(&machine.tree);
    let applied = machine.tree.duplicate();
    let apply = words(&machine, &[&["apply"], options].concat());
    assert!(tests::run::run(&mut command(&applied, &apply)).status.success());
    let new = End::of(&applied);
    let there = Way {
        machine: &machine,
        start: &machine.tree,
        command: apply.clone(),
        apply: apply.clone(),
        end: new.clone(),
        applied: new.clone(),
        reverted: old.clone(),
    };
    test(&there);
    let back = Way {
        machine: &machine,
        start: &applied,
        command: words(&machine, &["revert"]),
        apply,
        end: old.clone(),
        applied: new,
        reverted: old,
    };
    test(&back);
}

/// At every call.
fn anywhere(_: &Call) -> bool {
    true
}

#[test]
fn killed_before_any_call_either_command_completes() {
    with_ways(
        || Some(Machine::new()),
        &[],
        |way| {
            let what = format!("{} killed", way.command[0]);
            way.interrupt_everywhere(Interruption::KillBefore, anywhere, &what);
        },
    );
}

#[test]
fn a_disk_that_is_full_from_any_write_on_loses_nothing() {
    with_ways(
        || Some(Machine::new()),
        &[],
        |way| {
            let full = |call| Interruption::FailFrom { call, errno: libc::ENOSPC };
            let what = format!("{} on a full disk", way.command[0]);
            way.interrupt_everywhere(full, anywhere, &what);
        },
    );
}

/// Calls that change dpkg's database or the diverted names.
fn around_diversions(call: &Call) -> bool {
    call.paths.iter().any(|path| is_dpkgs(path) || path.to_string_lossy().contains("librocblas"))
}

#[test]
fn killed_while_dpkg_diverts_either_command_completes() {
    with_ways(
        || packaged().map(|(machine, _)| machine),
        &[],
        |way| {
            assert_ne!(way.applied.diversions, way.reverted.diversions);
            let what = format!("{} killed with dpkg", way.command[0]);
            way.interrupt_everywhere(Interruption::KillBefore, around_diversions, &what);
        },
    );
}

#[test]
fn a_disk_that_is_full_while_dpkg_diverts_loses_nothing() {
    with_ways(
        || packaged().map(|(machine, _)| machine),
        &[],
        |way| {
            let full = |call| Interruption::FailFrom { call, errno: libc::ENOSPC };
            let what = format!("{} with dpkg on a full disk", way.command[0]);
            way.interrupt_everywhere(full, around_diversions, &what);
        },
    );
}

#[test]
fn killed_while_a_package_is_applied_and_reduced_the_same_command_completes() {
    with_ways(
        || {
            let mut machine = Machine::new();
            machine.backend = applying::packed(&machine);
            Some(machine)
        },
        &["--gpu", "gfx906", "--slim"],
        |way| {
            if way.command[0] == "apply" {
                let what = "apply --slim of a package killed";
                way.interrupt_everywhere(Interruption::KillBefore, anywhere, what);
            }
        },
    );
}

#[test]
fn killed_while_it_repairs_either_command_completes() {
    if let Err(why) = interrupt::permitted() {
        skip("interrupting the installer", why);
        return;
    }
    let machine = Machine::new();
    let reverted = End::of(&machine.tree);
    let start = machine.tree.duplicate();
    assert!(tests::run::run(&mut command(&start, &words(&machine, &["apply"]))).status.success());
    let applied = End::of(&start);
    // A truncated library, a symlink changed back, an inaccessible directory; the settings and the shim
    // removed.
    let lib = start.lib();
    let backend = lib.join("rocblas-shim/backends/6.3.0/lib");
    fs::write(backend.join("librocblas.so.4.3.60300"), "cut").expect("damage");
    fs::remove_file(lib.join("librocblas.so.5")).expect("remove");
    symlink("librocblas.so.5.0.70002", lib.join("librocblas.so.5")).expect("link");
    fs::set_permissions(&backend, fs::Permissions::from_mode(0o700)).expect("close");
    fs::remove_file(lib.join("rocblas-shim/shim.toml")).expect("remove");
    fs::remove_file(lib.join("librocblas.so.5.99.0")).expect("remove");
    let way = Way {
        machine: &machine,
        start: &start,
        command: words(&machine, &["repair"]),
        apply: words(&machine, &["apply"]),
        end: applied.clone(),
        applied,
        reverted,
    };
    way.interrupt_everywhere(Interruption::KillBefore, anywhere, "repair killed");
}

#[test]
fn commands_that_look_change_nothing() {
    if let Err(why) = interrupt::permitted() {
        skip("watching the installer", why);
        return;
    }
    let machine = Machine::new();
    let program = crate::using::build(&machine);
    machine.apply(&[]).success();
    let (root, program) = (machine.tree.root(), program.to_str().expect("UTF-8"));
    let inside = program.strip_prefix(root.to_str().expect("UTF-8")).expect("in the root");
    let backend = machine.backend.to_str().expect("UTF-8");
    let shim = artefacts::shim().to_str().expect("UTF-8");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["doctor"],
        &["which", inside],
        &["check", inside],
        &["backends", "list"],
        &["backends", "prune", "--dry-run"],
        &["inspect", "/opt/rocm-7.0.2/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4"],
        &["repair", "--dry-run"],
        &["revert", "--dry-run"],
        &["apply", "--dry-run", "--shim", shim, "--backend", backend],
    ] {
        let mut command = machine.tree.installer_command(arguments);
        let outcome = interrupt::run(&mut command, root, Interruption::None).expect("traced");
        assert!(!outcome.ended.stdout.is_empty(), "{arguments:?}: {:?}", outcome.ended);
        let changes: Vec<String> = outcome.calls.iter().map(Call::to_string).collect();
        assert!(changes.is_empty(), "{arguments:?}: {changes:#?}");
    }
}
