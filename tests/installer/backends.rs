//! `backends list` and `backends prune`: the space that each backend takes, and what is removed once nothing
//! needs it.

use crate::machine::{Machine, is_ldconfigs};
use serde_json::Value;
use std::{fs, path::Path, process::Command};
use tests::{
    amd_tree::AmdTree,
    artefacts,
    interrupt::{self, Interruption},
    run::{Ended, exists, run},
    skip::skip,
    snapshot::Snapshot,
};

fn backends(machine: &Machine, arguments: &[&str]) -> Ended {
    machine.tree.installer(&[&["backends"], arguments].concat())
}

/// A machine with the shim, and copies of the backend under other names.
fn machine_with(names: &[&str]) -> Machine {
    let machine = Machine::new();
    machine.apply(&[]).success();
    for name in names {
        let backend = machine.backend.to_str().expect("UTF-8");
        backends(&machine, &["add", backend, "--name", name]).success();
    }
    machine
}

/// The total size of all files below a directory.
fn bytes(directory: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(directory).expect("read") {
        let entry = entry.expect("an entry");
        let metadata = entry.path().symlink_metadata().expect("there");
        if metadata.is_dir() {
            sum += bytes(&entry.path());
        } else if metadata.is_file() {
            sum += metadata.len();
        }
    }
    sum
}

#[track_caller]
fn json(ended: Ended) -> Value {
    serde_json::from_str(&ended.success().stdout).expect("JSON")
}

fn settings(machine: &Machine, more: &str) {
    let path = machine.lib("rocblas-shim/shim.toml");
    let text = fs::read_to_string(&path).expect("settings");
    fs::write(path, text + more).expect("write");
}

#[test]
fn each_backend_has_its_sizes_gpus_and_origin() {
    let machine = machine_with(&[]);
    let package = machine.outside().join("rocblas.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(machine.outside()).arg("-czf").arg(&package).arg("rocm-6.3.0");
    run(&mut tar).success();
    let package = package.to_str().expect("UTF-8");
    backends(&machine, &["add", package, "--name", "packed", "--gpu", "gfx906"]).success();
    fs::create_dir_all(machine.lib("rocblas-shim/backends/mine/lib")).expect("directories");
    let document = json(backends(&machine, &["list", "--json"]));
    let list = document["backends"].as_array().expect("a list");
    let by_name = |name: &str| list.iter().find(|b| b["name"] == name).expect("listed");

    let used = by_name("6.3.0");
    let prefix = machine.lib("rocblas-shim/backends/6.3.0");
    assert_eq!(used["in_use"], true);
    assert_eq!(used["release"], "6.3.0");
    assert_eq!(used["bytes"], bytes(&prefix));
    assert_eq!(used["tensile_bytes"], bytes(&prefix.join("lib/rocblas/library")));
    assert_eq!(
        used["library_bytes"],
        prefix.join("lib/librocblas.so.4").metadata().expect("there").len()
    );
    assert_eq!(used["gpus"], serde_json::json!(["gfx900", "gfx906", "gfx908"]));

    let stock = by_name("7.0.2");
    assert_eq!(stock["stock"], true);
    assert_eq!(stock["in_use"], false);
    // It shares the tree's Tensile files.
    assert_eq!(stock["tensile_is_shared"], true);
    assert_eq!(stock["tensile_bytes"], bytes(&machine.lib("rocblas/library")));
    let facts = machine.lib("rocblas-shim/backends/7.0.2/serves.toml").metadata().expect("there");
    let library = stock["library_bytes"].as_u64().expect("a number");
    assert_eq!(stock["bytes"], library + facts.len());

    let packed = by_name("packed");
    assert_eq!(packed["origin"], package);
    assert_eq!(packed["gpus"], serde_json::json!(["gfx906"]));
    assert_eq!(by_name("mine")["origin"], "placed by hand");
    assert_eq!(by_name("mine")["library"], Value::Null);

    let text = backends(&machine, &["list"]).success().stdout;
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).expect("a line");
    assert!(line("* 6.3.0").contains("gfx900,gfx906,gfx908"), "{text}");
    assert!(line("  7.0.2").ends_with("the stock library"), "{text}");
    assert!(line("  packed").ends_with("rocblas.tar.gz"), "{text}");
    assert!(line("  mine").contains("no library"), "{text}");
}

#[test]
fn what_auto_would_choose_is_neither_pruned_nor_removed() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let backend = machine.backend.to_str().expect("UTF-8");
    backends(&machine, &["add", backend, "--name", "6.2.0"]).success();
    backends(&machine, &["use", "6.2.0"]).success();
    let settings = machine.lib("rocblas-shim/shim.toml");
    let text = fs::read_to_string(&settings).expect("read");
    // Both are of release 6.3.0, so the name decides.
    fs::write(&settings, format!("{text}\n[route]\ndefault = \"auto\"\n")).expect("write");
    let how =
        "[route] in shim.toml says \"auto\", and this is the newest backend that serves gfx900";
    let pruned = backends(&machine, &["prune", "--dry-run"]).success();
    assert!(pruned.stdout.contains(&format!("kept 6.3.0: {how}")), "{pruned:?}");
    let removed = backends(&machine, &["remove", "6.3.0"]);
    assert_eq!(removed.status.code(), Some(1), "{removed:?}");
    assert!(removed.stderr.contains("says \"auto\", and this is the newest"), "{removed:?}");
    // Without that rule, nothing uses it.
    fs::write(&settings, text).expect("write");
    backends(&machine, &["remove", "6.3.0"]).success();
}

#[test]
fn prune_removes_what_nothing_needs_and_revert_still_works() {
    let machine = Machine::new();
    let original = machine.snapshot();
    machine.apply(&[]).success();
    let applied = machine.snapshot();
    for name in ["one", "two"] {
        let backend = machine.backend.to_str().expect("UTF-8");
        backends(&machine, &["add", backend, "--name", name]).success();
    }
    let store = machine.lib("rocblas-shim/backends");
    let room = bytes(&store.join("one")) + bytes(&store.join("two"));
    let before = Snapshot::with_times(machine.tree.root());
    let dry = json(backends(&machine, &["prune", "--dry-run", "--json"]));
    before.assert_same(&Snapshot::with_times(machine.tree.root()));
    assert_eq!(dry["backends"], serde_json::json!(["one", "two"]));
    assert_eq!((&dry["bytes"], &dry["carried_out"]), (&room.into(), &false.into()));

    let ended = backends(&machine, &["prune", "--yes"]).success();
    assert!(ended.stdout.contains("Removed one, two: "), "{ended:?}");
    assert!(ended.stdout.contains("kept 6.3.0: it is in use"), "{ended:?}");
    assert!(ended.stdout.contains("kept 7.0.2: it is the stock library"), "{ended:?}");
    let differences = applied.differences(&machine.snapshot());
    let is_journal = |line: &String| line.contains("rocblas-shim/journal.json");
    assert!(differences.iter().all(is_journal), "{differences:?}");
    machine.assert_applied();
    machine.tree.installer(&["verify"]).success();
    let again = backends(&machine, &["prune"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    machine.revert().success();
    original.assert_same(&machine.snapshot());
}

#[test]
fn prune_keeps_what_a_setting_names_and_what_is_not_the_installers() {
    let machine = machine_with(&["routed", "listed", "by-path", "named", "spare"]);
    settings(
        &machine,
        "\n[route]\ngfx906 = \"routed\"\ngfx900 = [\"listed\"]\n\
         default = \"./backends/by-path/lib/librocblas.so.4\"\n",
    );
    let mine = machine.lib("rocblas-shim/backends/mine/lib");
    fs::create_dir_all(&mine).expect("directories");
    fs::write(mine.join("librocblas.so.4"), "mine").expect("write");
    let mut command = machine.tree.installer_command(&["backends", "prune", "--json"]);
    let pruned = json(run(command.env("ROCBLAS_SHIM_BACKEND", "named")));
    assert_eq!(pruned["backends"], serde_json::json!(["spare"]), "{pruned:#}");
    let kept = pruned["kept"].as_array().expect("a list");
    for (name, reason) in [
        ("routed", "[route] in shim.toml names it"),
        ("listed", "[route] in shim.toml names it"),
        ("by-path", "[route] in shim.toml names it"),
        ("named", "ROCBLAS_SHIM_BACKEND names it"),
        ("mine", "it was not placed by the installer"),
    ] {
        let found = kept.iter().find(|kept| kept["name"] == name).expect("kept");
        assert_eq!(found["reason"], reason, "{name}");
        assert!(machine.lib("rocblas-shim/backends").join(name).exists(), "{name}");
    }
    assert!(!machine.lib("rocblas-shim/backends/spare").exists());
    let refused = backends(&machine, &["remove", "routed"]);
    assert!(!refused.status.success() && refused.stderr.contains("[route]"), "{refused:?}");
}

#[test]
fn the_backend_in_use_is_the_one_that_the_shim_chooses() {
    let machine = machine_with(&["spare"]);
    // A path in the settings selects a backend too.
    let path = machine.lib("rocblas-shim/shim.toml");
    fs::write(&path, "backend = \"backends/spare/lib/librocblas.so.4\"\n").expect("write");
    let listed = backends(&machine, &["list"]).success().stdout;
    assert!(listed.contains("* spare") && listed.contains("  6.3.0"), "{listed}");
    let refused = backends(&machine, &["remove", "spare"]);
    assert!(refused.stderr.contains("spare is in use"), "{refused:?}");
    let pruned = json(backends(&machine, &["prune", "--dry-run", "--json"]));
    assert_eq!(pruned["backends"], serde_json::json!(["6.3.0"]));
}

#[test]
fn the_kept_stock_library_is_not_removed() {
    let machine = machine_with(&[]);
    let before = machine.snapshot();
    let refused = backends(&machine, &["remove", "7.0.2"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("`installer revert` needs it"), "{refused:?}");
    before.assert_same(&machine.snapshot());
    // Even while it is in use.
    backends(&machine, &["use", "7.0.2"]).success();
    let refused = backends(&machine, &["remove", "7.0.2"]);
    assert!(refused.stderr.contains("`installer revert` needs it"), "{refused:?}");
}

#[test]
fn a_tree_without_the_shim_has_nothing_to_prune() {
    let machine = Machine::new();
    let refused = backends(&machine, &["prune"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("has no shim yet"), "{refused:?}");
}

#[test]
fn a_command_that_was_killed_before_any_call_is_completed_by_another() {
    if let Err(why) = interrupt::permitted() {
        skip("interrupting the installer", why);
        return;
    }
    let machine = Machine::new();
    let original = machine.snapshot();
    machine.apply(&["--gpu", "gfx906"]).success();
    let without_spare = machine.tree.duplicate();
    let backend = machine.backend.to_str().expect("UTF-8");
    let add = ["add", backend, "--name", "spare", "--gpu", "gfx906"];
    backends(&machine, &add).success();
    for (start, words) in [
        (&without_spare, &add[..]),
        (&machine.tree, &["use", "spare"]),
        (&machine.tree, &["remove", "spare"]),
        (&machine.tree, &["prune"]),
    ] {
        let words = [&["backends"], words].concat();
        let snapshot = |tree: &AmdTree| Snapshot::of(tree.root()).without(is_ldconfigs);
        let whole = start.duplicate();
        let run = |tree: &AmdTree, how| {
            interrupt::run(&mut tree.installer_command(&words), tree.root(), how).expect("traced")
        };
        let calls = run(&whole, Interruption::None).calls;
        let end = snapshot(&whole);
        assert!(!snapshot(start).differences(&end).is_empty() && calls.len() > 10, "{calls:?}");
        for (n, call) in calls.iter().enumerate() {
            let at = format!("{words:?} killed at {n}: {call}");
            let killed = start.duplicate();
            assert!(run(&killed, Interruption::KillBefore(n)).interrupted, "{at}");
            // The second run completes the first; if the first was complete, it reports that.
            let again = killed.installer(&words);
            let done = words[1] == "remove" && again.stderr.contains("there is no backend spare");
            assert!(again.status.success() || done, "{at}, then again: {again:?}");
            // `apply` cleans up what the store does not need, as `status` reports.
            let shim = artefacts::shim().to_str().expect("UTF-8");
            for arguments in [&["apply", "--shim", shim][..], &["status"]] {
                let ended = killed.installer(arguments);
                assert!(ended.status.success(), "{at}, then {arguments:?}: {ended:?}");
            }
            let mut differences = end.differences(&snapshot(&killed));
            differences.retain(|line| !line.contains("rocblas-shim/journal"));
            assert!(differences.is_empty(), "{at}: {differences:#?}");
            killed.installer(&["revert"]).success();
            original.assert_same(&snapshot(&killed));
        }
        println!("{} killed before each of {} calls", words[1], calls.len());
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_before_anything_is_removed() {
    if !exists("script") {
        skip("a question at a terminal", "this machine has no script(1)");
        return;
    }
    let machine = machine_with(&["spare"]);
    let installer = artefacts::installer().to_str().expect("UTF-8");
    let root = machine.tree.root().to_str().expect("UTF-8");
    let at_terminal = |more: &str| {
        let line = format!("{installer} --root {root} backends prune {more}");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        run(command.env_remove("ROCBLAS_SHIM_BACKEND"))
    };
    // Its input ends without a reply.
    let refused = at_terminal("");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stdout.contains("Remove spare ("), "{refused:?}");
    assert!(refused.stdout.contains("nothing was changed"), "{refused:?}");
    assert!(machine.lib("rocblas-shim/backends/spare").exists());
    at_terminal("--yes").success();
    assert!(!machine.lib("rocblas-shim/backends/spare").exists());
}
