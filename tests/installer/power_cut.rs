//! A power cut just after `apply` or `revert` has reported success, on a real ext4: at that moment, the
//! promised tree is on its disk. `consistency.rs` covers all other moments, on a model.

use crate::{
    consistency::{Expected, Front, installer},
    machine::Machine,
};
use std::{fs, process::Command};
use tests::{amd_tree::AmdTree, consistency::FileSystem, ext4::Ext4, run::run, skip::skip};

/// Lays out a machine on the disk, and syncs everything on it.
fn on_disk(disk: &Ext4, machine: &Machine) -> AmdTree {
    let tree = AmdTree::made_by(&disk.top(), |root| {
        let from = machine.tree.root().join(".");
        run(Command::new("cp").arg("--archive").arg(from).arg(root)).success();
    });
    disk.sync();
    tree
}

/// The same tree on the disk after the power cut.
fn after(cut: &Ext4, tree: &AmdTree) -> AmdTree {
    AmdTree::made_by(&cut.top(), |root| {
        let name = tree.root().file_name().expect("a name");
        fs::rename(cut.top().join(name), root).expect("rename");
    })
}

#[test]
fn what_apply_and_revert_promised_is_on_the_disk() {
    let disk = match Ext4::new() {
        Ok(disk) => disk,
        Err(why) => return skip("a power cut on ext4", &why),
    };
    let machine = Machine::new();
    let applied = machine.tree.duplicate();
    run(&mut installer(&applied, &machine, "apply")).success();
    let expected = Expected::new(&machine.tree, &applied);
    let tree = on_disk(&disk, &machine);

    run(&mut installer(&tree, &machine, "apply")).success();
    {
        let cut = disk.power_cut().expect("cut");
        let left = after(&cut, &tree);
        let files = FileSystem::read(left.root()).expect("read");
        assert_eq!(expected.front(&files), Ok(Front::Shim));
        assert_eq!(expected.lost(&files), Vec::<String>::new());
        assert_eq!(expected.cache(&files, Front::Shim), Ok(()));
        let status = left.installer(&["status"]).success();
        assert!(status.stdout.contains("applied: shim"), "{status:?}");
        left.installer(&["verify"]).success();
    }

    disk.sync();
    run(&mut installer(&tree, &machine, "revert")).success();
    let cut = disk.power_cut().expect("cut");
    let left = after(&cut, &tree);
    let files = FileSystem::read(left.root()).expect("read");
    assert_eq!(expected.front(&files), Ok(Front::Stock));
    assert_eq!(expected.lost(&files), Vec::<String>::new());
    assert_eq!(expected.cache(&files, Front::Stock), Ok(()));
    // Parts of the store may still exist; a second `revert` removes them.
    left.installer(&["revert"]).success();
    let files = FileSystem::read(left.root()).expect("read");
    assert_eq!(expected.differences(Front::Stock, &files), Vec::<String>::new());
    assert_eq!(left.installer(&["status"]).status.code(), Some(3));
}
