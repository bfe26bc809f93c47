//! Ownership of trees: when the installer runs as root, it does not use a tree, store or journal that another
//! user could have arranged, unless the tree is named. Otherwise a user of the machine would decide what root
//! changes.

use super::{
    attempt::Verb,
    scene::{Scene, Start, Template},
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    run::{Ended, run},
    skip::skip,
    small_tree::{self, LIB},
    snapshot::Snapshot,
};

/// Another user of the machine.
const USER: u32 = 12_345;

/// Whether this process can create files of other users.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("trees of other users", "making them needs root's rights");
    }
    is_root
}

/// Gives a directory and everything in it to a user.
fn give(path: &Path, user: u32) {
    let mut command = Command::new("chown");
    command.args(["--recursive", "--no-dereference", &format!("{user}:{user}")]);
    run(command.arg(path)).success();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set the mode");
}

fn command(scene: &Scene, verb: Verb, more: &[&str]) -> Ended {
    run(verb.command(scene).args(more))
}

/// Where a user can put a tree that is found without being named, and whether it has libraries or only a
/// store.
const PLACES: [(&str, bool); 5] = [
    ("/home/user/.local/lib/ollama/rocm", false),
    ("/home/user/.local/lib/ollama/rocm", true),
    ("/home/user/venv/lib/python3.12/site-packages/torch/lib", false),
    ("/home/user/venv/lib/python3.12/site-packages/torch/lib", true),
    ("/home/user/.lmstudio/extensions/backends/vendor/rocm", true),
];

/// Makes a user's tree.
fn arrange(scene: &Scene, place: &str, with_libraries: bool) -> PathBuf {
    let lib = scene.at(place);
    fs::create_dir_all(lib.parent().expect("in a directory")).expect("make a directory");
    if with_libraries {
        small_tree::duplicate(&scene.at(LIB), &lib);
    }
    fs::create_dir_all(lib.join("rocblas-shim")).expect("make a directory");
    if place.contains("venv") {
        fs::write(scene.at("/home/user/venv/pyvenv.cfg"), "").expect("write");
    }
    give(&scene.at("/home/user"), USER);
    lib
}

#[test]
fn a_store_in_a_home_directory_does_not_outrank_the_system() {
    if !is_root() {
        return;
    }
    let template = Template::new();
    let mut failures = Vec::new();
    for (place, with_libraries) in PLACES {
        let scene = Scene::new(&template, Start::StockWithoutDpkg);
        arrange(&scene, place, with_libraries);
        let before = Snapshot::exact(&scene.at("/home"));
        let mut expect = |condition: bool, what: &str, ended: &Ended| {
            if !condition {
                failures.push(format!("{place} ({with_libraries}), {what}: {ended:?}"));
            }
        };
        let status = command(&scene, Verb::Status, &[]);
        let of_system = status.stdout.starts_with(LIB) && status.status.code() == Some(3);
        expect(of_system, "status is not the system's", &status);
        let applied = command(&scene, Verb::ApplyBackend, &[]);
        expect(applied.status.success(), "apply", &applied);
        let is_placed = scene.lib("librocblas.so.5.99.0").exists();
        expect(is_placed, "the shim is not in the system's tree", &applied);
        let reverted = command(&scene, Verb::Revert, &[]);
        expect(reverted.status.success(), "revert", &reverted);
        let changes = before.differences(&Snapshot::exact(&scene.at("/home")));
        expect(changes.is_empty(), &changes.join("\n"), &reverted);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_tree_of_another_user_is_taken_when_it_is_named() {
    if !is_root() {
        return;
    }
    let template = Template::new();
    for (place, _) in PLACES.iter().filter(|(_, with_libraries)| *with_libraries) {
        let scene = Scene::new(&template, Start::StockWithoutDpkg);
        let lib = arrange(&scene, place, true);
        command(&scene, Verb::ApplyBackend, &["--rocm", place]).success();
        assert!(lib.join("librocblas.so.5.99.0").exists(), "{place}");
        command(&scene, Verb::Revert, &["--rocm", place]).success();
        assert!(!scene.lib("librocblas.so.5.99.0").exists(), "{place}");
    }
}

/// Ways in which another user can change a tree in a system directory, with the paths that are that user's.
#[test]
fn a_tree_that_others_could_have_arranged_is_refused_unless_it_is_named() {
    type Arrange = fn(&Scene);
    const WAYS: [(&str, Start, Arrange); 11] = [
        ("the tree is a user's", Start::StockWithoutDpkg, |s| give(&s.at("/opt/rocm-7.0.2"), USER)),
        ("the libraries are a user's", Start::StockWithoutDpkg, |scene| give(&scene.lib(""), USER)),
        ("the store is a user's", Start::AppliedWithoutDpkg, |s| give(&s.store(""), USER)),
        ("the journal is a user's", Start::AppliedWithoutDpkg, |scene| {
            chown(scene.store("journal.json"), Some(USER), None).expect("give");
        }),
        ("the settings are a user's", Start::AppliedWithoutDpkg, |scene| {
            chown(scene.store("shim.toml"), Some(USER), None).expect("give");
        }),
        ("/opt is everybody's", Start::StockWithoutDpkg, |scene| mode(&scene.at("/opt"), 0o777)),
        ("the tree is everybody's", Start::StockWithoutDpkg, |scene| {
            mode(&scene.at("/opt/rocm-7.0.2"), 0o777);
        }),
        ("the libraries are everybody's", Start::StockWithoutDpkg, |s| mode(&s.lib(""), 0o777)),
        ("the store is everybody's", Start::AppliedWithoutDpkg, |s| mode(&s.store(""), 0o777)),
        ("the journal is everybody's", Start::AppliedWithoutDpkg, |scene| {
            mode(&scene.store("journal.json"), 0o666);
        }),
        ("the libraries are a group's of users", Start::StockWithoutDpkg, |scene| {
            chown(scene.lib(""), None, Some(1000)).expect("give");
            mode(&scene.lib(""), 0o775);
        }),
    ];
    if !is_root() {
        return;
    }
    let template = Template::new();
    let mut failures = Vec::new();
    for (what, start, arrange) in WAYS {
        let scene = Scene::new(&template, start);
        arrange(&scene);
        let before = Snapshot::exact(&scene.root());
        let mut verbs = vec![Verb::ApplyBackend];
        if start == Start::AppliedWithoutDpkg {
            verbs.extend([Verb::Revert, Verb::Use, Verb::Add]);
        }
        for verb in verbs {
            let refused = command(&scene, verb, &[]);
            if refused.status.code() != Some(1) || !refused.stderr.contains("--rocm") {
                failures.push(format!("{what}, {verb:?} is not refused: {refused:?}"));
            }
            let changes = before.differences(&Snapshot::exact(&scene.root()));
            if !changes.is_empty() {
                failures.push(format!("{what}, {verb:?} changes {}", changes[0]));
                break;
            }
        }
        // Naming the tree is the user's own decision.
        let scene = Scene::new(&template, start);
        arrange(&scene);
        let named = command(&scene, Verb::Status, &["--rocm", "/opt/rocm-7.0.2"]);
        let applied = command(&scene, Verb::ApplyBackend, &["--rocm", "/opt/rocm-7.0.2"]);
        if !matches!(named.status.code(), Some(0 | 3)) || !applied.status.success() {
            failures.push(format!("{what}, named: {named:?} {applied:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Trees of the system, of the caller or of the root directory's owner are trusted.
#[test]
fn a_tree_of_the_roots_owner_or_of_a_group_of_the_system_is_taken() {
    type Arrange = fn(&Scene);
    const WAYS: [(&str, Arrange); 3] = [
        ("all is the root directory's owner's", |scene| give(&scene.root(), USER)),
        ("the tree is root's, the root directory a user's", |scene| {
            chown(scene.root(), Some(USER), Some(USER)).expect("give");
        }),
        ("the libraries are a group's of the system", |scene| {
            chown(scene.lib(""), None, Some(50)).expect("give");
            mode(&scene.lib(""), 0o2775);
        }),
    ];
    if !is_root() {
        return;
    }
    let template = Template::new();
    for (what, arrange) in WAYS {
        let scene = Scene::new(&template, Start::StockWithoutDpkg);
        arrange(&scene);
        let applied = command(&scene, Verb::ApplyBackend, &[]);
        assert!(applied.status.success(), "{what}: {applied:?}");
        let reverted = command(&scene, Verb::Revert, &[]);
        assert!(reverted.status.success(), "{what}: {reverted:?}");
    }
}
