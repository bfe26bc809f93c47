//! What upgrades, ldconfig and users do to a tree after `apply`.

use crate::machine::{Machine, package, packaged};
use std::{fs, os::unix::fs::symlink, path::Path};

#[test]
fn ldconfig_leaves_the_shim_in_place() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    machine.tree.ldconfig();
    machine.assert_applied();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
}

#[test]
fn a_backup_that_was_left_there_does_not_win() {
    let machine = Machine::new();
    let stock = machine.lib("librocblas.so.5.0.70002");
    fs::copy(&stock, machine.lib("librocblas.so.5.0.70002.stock")).expect("copy");
    let applied = machine.apply(&[]).success();
    assert!(applied.stdout.contains("librocblas.so.5.0.70002.stock is a copy"), "{applied:?}");
    machine.tree.ldconfig();
    machine.assert_applied();
}

#[test]
fn stock_restored_by_hand_is_noticed_and_repaired() {
    let machine = Machine::new();
    let before = machine.snapshot();
    let stock = fs::read(machine.lib("librocblas.so.5.0.70002")).expect("stock");
    machine.apply(&[]).success();
    fs::write(machine.lib("librocblas.so.5.0.70002"), &stock).expect("write");
    machine.tree.ldconfig();
    // ldconfig prefers the shim's name, so programs use it already; status reports the new library anyway.
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    let (code, line) = machine.status();
    assert_eq!(code, 4, "{line}");
    assert!(line.contains("librocblas.so.5.0.70002"), "{line}");
    machine.tree.installer(&["apply"]).success();
    machine.assert_applied();
    assert!(!machine.lib("librocblas.so.5.0.70002").exists());
    machine.revert().success();
    let differences = before.differences(&machine.snapshot());
    assert!(
        differences.iter().all(|line| line.contains("librocblas.so.5.0.70002")),
        "{differences:?}"
    );
    assert_eq!(fs::read(machine.lib("librocblas.so.5.0.70002")).expect("stock"), stock);
}

#[test]
fn a_link_that_was_turned_back_is_repaired() {
    let machine = Machine::new();
    let before = machine.snapshot();
    machine.apply(&[]).success();
    let link = machine.lib("librocblas.so.5");
    fs::remove_file(&link).expect("remove");
    symlink("librocblas.so.5.0.70002", &link).expect("link");
    let (code, line) = machine.status();
    assert_eq!(code, 4, "{line}");
    machine.tree.installer(&["apply"]).success();
    machine.assert_applied();
    machine.revert().success();
    before.assert_same(&machine.snapshot());
}

#[test]
fn what_nobody_knows_is_not_overwritten() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let link = machine.lib("librocblas.so.5");
    fs::remove_file(&link).expect("remove");
    fs::write(&link, "my own work").expect("write");
    let refused = machine.tree.installer(&["apply"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("was changed by someone else"), "{refused:?}");
    assert_eq!(fs::read_to_string(&link).expect("there"), "my own work");
    let refused = machine.revert();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is left in place"), "{refused:?}");
    assert_eq!(fs::read_to_string(&link).expect("there"), "my own work");
}

#[test]
fn edited_settings_are_no_disturbance_and_survive_an_apply() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let settings = machine.lib("rocblas-shim/shim.toml");
    let mut text = fs::read_to_string(&settings).expect("settings");
    text.push_str("log = \"warn\"\n");
    fs::write(&settings, &text).expect("write");
    machine.assert_applied();
    machine.tree.installer(&["verify"]).success();
    machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    let changed = fs::read_to_string(&settings).expect("settings");
    assert_eq!(changed, text.replace("6.3.0", "7.0.2"));
    let quietly = machine.tree.duplicate();
    let reverted = machine.revert().success();
    assert!(reverted.stdout.contains("log = \"warn\""), "what was edited is shown: {reverted:?}");
    assert!(!settings.exists());
    let reverted = quietly.installer(&["--quiet", "revert"]).success();
    assert!(reverted.stdout.is_empty(), "{reverted:?}");
    assert!(reverted.stderr.contains("log = \"warn\""), "it is shown: {reverted:?}");
}

#[test]
fn the_shim_presents_the_version_of_the_tree_after_an_upgrade_too() {
    let machine = Machine::new();
    let settings = machine.lib("rocblas-shim/shim.toml");
    let presented = || {
        machine.apply(&[]).success();
        machine.assert_applied();
        let text = fs::read_to_string(&settings).expect("settings");
        let line = text.lines().find_map(|line| line.strip_prefix("presents = "));
        line.expect("a version").to_owned()
    };
    assert_eq!(presented(), "\"5.0.2\"");
    let info = machine.lib("../.info");
    fs::create_dir_all(&info).expect("make .info");
    fs::write(info.join("version"), "7.2.4-93\n").expect("write a version");
    assert_eq!(presented(), "\"5.2.0\"");
    let text = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, text.replace("5.2.0", "5.0.9")).expect("write");
    assert_eq!(presented(), "\"5.0.9\"", "what a person chose stays");
}

#[test]
fn the_stock_library_is_diverted_and_revert_ends_the_diversion() {
    let Some((machine, dpkg)) = packaged() else { return };
    let is_dpkgs = |path: &Path| path.starts_with("var/lib/dpkg");
    let before = machine.snapshot().without(is_dpkgs);
    let none = dpkg.diversions();
    let applied = machine.apply(&[]).success();
    assert!(applied.stdout.contains("divert"), "{applied:?}");
    let diversions = dpkg.diversions();
    assert!(diversions.contains("/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002"), "{diversions}");
    let before_again = machine.snapshot();
    machine.apply(&[]).success();
    before_again.assert_same(&machine.snapshot());
    machine.revert().success();
    before.assert_same(&machine.snapshot().without(is_dpkgs));
    assert_eq!(dpkg.diversions(), none);
}

#[test]
fn an_upgrade_to_a_file_of_the_same_name_does_not_reach_the_shim() {
    let Some((machine, dpkg)) = packaged() else { return };
    machine.apply(&[]).success();
    let deb = package(&machine, "5.0.2.70002-57", "librocblas.so.5.0.70002");
    dpkg.install(&deb).success();
    machine.tree.ldconfig();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    assert!(!machine.lib("librocblas.so.5.0.70002").exists());
    machine.tree.installer(&["apply"]).success();
    machine.assert_applied();
    machine.revert().success();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.0.70002"));
    assert!(machine.lib("librocblas.so.5.0.70002").exists());
    machine.tree.ldconfig();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.0.70002"));
}

#[test]
fn an_upgrade_to_another_version_is_said_and_taken_in() {
    let Some((machine, dpkg)) = packaged() else { return };
    machine.apply(&[]).success();
    let deb = package(&machine, "5.0.3.70003-1", "librocblas.so.5.0.70003");
    dpkg.install(&deb).success();
    machine.tree.ldconfig();
    // Programs use the shim the whole time.
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    let (code, line) = machine.status();
    assert_eq!(code, 4, "{line}");
    assert!(line.contains("librocblas.so.5.0.70003"), "{line}");
    machine.tree.installer(&["apply"]).success();
    machine.assert_applied();
    assert!(!machine.lib("librocblas.so.5.0.70003").exists());
    let reverted = machine.revert().success();
    assert!(machine.lib("librocblas.so.5.0.70003").exists());
    assert!(!reverted.stdout.contains("first apply"), "that had another version: {reverted:?}");
}

/// A newer stock library in a tree with the shim, as rpm and pacman place it, which know no diversions.
fn upgrade_without_dpkg(machine: &Machine) {
    let kept = machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002");
    fs::copy(kept, machine.lib("librocblas.so.5.0.70003")).expect("upgrade");
    fs::remove_file(machine.lib("librocblas.so.5")).expect("upgrade");
    symlink("librocblas.so.5.0.70003", machine.lib("librocblas.so.5")).expect("upgrade");
}

#[track_caller]
fn assert_newer_comes_back(machine: &Machine) {
    machine.tree.installer(&["repair"]).success();
    machine.assert_applied();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    machine.tree.installer(&["verify"]).success();
    machine.revert().success();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.0.70003"));
    assert!(machine.lib("librocblas.so.5.0.70003").exists());
    assert!(!machine.lib("rocblas-shim").exists());
}

#[test]
fn after_an_upgrade_without_dpkg_revert_restores_the_newer_library_and_leaves_nothing() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    upgrade_without_dpkg(&machine);
    assert_newer_comes_back(&machine);
}

#[test]
fn revert_restores_the_newer_library_also_where_ldconfig_has_turned_its_link_back() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    upgrade_without_dpkg(&machine);
    machine.tree.ldconfig();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    assert_newer_comes_back(&machine);
}

#[test]
fn a_deleted_original_comes_back_by_reinstalling() {
    let Some((machine, dpkg)) = packaged() else { return };
    let is_dpkgs = |path: &Path| path.starts_with("var/lib/dpkg");
    let before = machine.snapshot().without(is_dpkgs);
    machine.apply(&["--original", "delete"]).success();
    assert!(!machine.revert().status.success());
    let deb = machine.outside().join("5.0.2.70002-56/rocblas_5.0.2.70002-56.deb");
    dpkg.install(&deb).success();
    machine.revert().success();
    before.assert_same(&machine.snapshot().without(is_dpkgs));
}
