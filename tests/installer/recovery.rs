//! A way back from anywhere: whatever users, upgrades and accidents do to a tree before or after `apply`,
//! afterwards it is either exactly as it was, including owners, times and extended attributes, or the command
//! refuses before it changes anything.

use crate::machine::{Machine, is_ldconfigs, package, packaged};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    artefacts,
    run::{Ended, exists, run, run_within},
    skip::skip,
    snapshot::Snapshot,
};

const STOCK: &str = "librocblas.so.5.0.70002";
const SHIM: &str = "librocblas.so.5.99.0";
const BACKEND: &str = "rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300";

fn shell(script: &str, machine: &Machine) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(machine.tree.lib());
    command.env("STOCK", STOCK).env("SHIM", SHIM).env("BACKEND", BACKEND);
    run(&mut command)
}

/// A machine whose stock library and links have what a copy would lose: another owner, times in nanoseconds,
/// extended attributes, a second name.
fn adorned() -> Machine {
    let machine = Machine::new();
    let script = "
        ln $STOCK ../second-name
        touch --date='2024-12-03 04:05:06.123456789' $STOCK
        touch --no-dereference --date='1969-07-20 20:17:40.5' librocblas.so.5 librocblas.so
        if [ $(id -u) = 0 ]; then chown -h 1234:5678 $STOCK librocblas.so.5 librocblas.so; fi
        chmod 0754 $STOCK
    ";
    shell(script, &machine).success();
    // Not every file system supports extended attributes.
    let stock = machine.lib(STOCK);
    let _ = rustix::fs::setxattr(
        &stock,
        "user.origin",
        b"the user's own",
        rustix::fs::XattrFlags::empty(),
    );
    machine
}

/// The complete state of a machine, except for ldconfig's own records.
fn exactly(machine: &Machine) -> Snapshot {
    Snapshot::exact(machine.tree.root()).without(is_ldconfigs)
}

/// Checks that everything is as before, except for the times of directories, which change with any name in
/// them, and of the loader's cache, which is recreated.
#[track_caller]
fn assert_exactly(before: &Snapshot, machine: &Machine) {
    let is_of_a_directory = |line: &str| {
        let path = line.split(": ").next().unwrap_or_default();
        let is_cache = path == "etc/ld.so.cache";
        line.contains(": time ") && (is_cache || machine.tree.root().join(path).is_dir())
    };
    let mut differences = before.differences(&exactly(machine));
    differences.retain(|line| !is_of_a_directory(line));
    assert!(differences.is_empty(), "changed:\n{}", differences.join("\n"));
}

#[track_caller]
fn repaired(machine: &Machine) -> Ended {
    let ended = machine.tree.installer(&["repair"]).success();
    machine.assert_applied();
    machine.tree.installer(&["verify"]).success();
    ended
}

#[test]
fn revert_restores_owners_times_attributes_and_hard_links() {
    let machine = adorned();
    let before = exactly(&machine);
    for options in [&[][..], &["--compat", "stubs"], &["--gpu", "gfx906"], &["--no-build-link"]] {
        machine.apply(options).success();
        machine.assert_applied();
        machine.revert().success();
        assert_exactly(&before, &machine);
    }
}

#[test]
fn revert_restores_a_regular_file_named_like_the_soname() {
    for (what, script) in [
        ("the same library", "cp --remove-destination $STOCK librocblas.so.5"),
        (
            "all names as files, as COPY in a Dockerfile makes them",
            "cp --remove-destination $STOCK librocblas.so.5
             cp --remove-destination $STOCK librocblas.so",
        ),
        (
            "another library",
            "cp --remove-destination $STOCK librocblas.so.5; echo other >> librocblas.so.5",
        ),
        ("only that name", "rm librocblas.so.5; mv $STOCK librocblas.so.5"),
    ] {
        let machine = adorned();
        shell(script, &machine).success();
        machine.tree.ldconfig();
        let before = exactly(&machine);
        machine.apply(&[]).success();
        machine.assert_applied();
        let again = machine.apply(&[]).success();
        assert!(again.stdout.contains("Nothing to do"), "{what}: {again:?}");
        machine.revert().success();
        println!("{what}");
        assert_exactly(&before, &machine);
    }
}

/// rocBLAS's CMake package, as AMD ships it.
fn add_cmake(machine: &Machine) {
    let package = machine.lib("cmake/rocblas");
    fs::create_dir_all(&package).expect("make a package");
    let text = format!("set(IMPORTED_LOCATION \"${{_IMPORT_PREFIX}}/lib/{STOCK}\")\n");
    fs::write(package.join("rocblas-targets-release.cmake"), text).expect("write");
}

#[test]
fn stock_copied_over_the_cmake_link_goes_into_the_shim_and_comes_out_again() {
    for then in [&[][..], &["apply"], &["repair"], &["apply", "apply"]] {
        let machine = adorned();
        add_cmake(&machine);
        fs::copy(machine.lib(STOCK), machine.outside().join(STOCK)).expect("copy");
        let before = exactly(&machine);
        machine.apply(&[]).success();
        let mut cp = Command::new("cp");
        run(cp.arg(machine.outside().join(STOCK)).arg(machine.tree.lib())).success();
        assert!(machine.lib(STOCK).symlink_metadata().expect("there").is_symlink());
        assert_eq!(machine.status().0, 4);
        for command in then {
            let shim = artefacts::shim().to_str().expect("UTF-8");
            if *command == "apply" {
                machine.tree.installer(&["apply", "--shim", shim]).success();
            } else {
                machine.tree.installer(&[command]).success();
            }
            machine.assert_applied();
        }
        machine.revert().success();
        assert_exactly(&before, &machine);
    }
}

#[test]
fn another_library_that_was_written_over_the_shim_is_kept_and_said() {
    let machine = Machine::new();
    let before = exactly(&machine);
    machine.apply(&[]).success();
    let mut other =
        fs::read(machine.lib("rocblas-shim/backends/7.0.2/lib").join(STOCK)).expect("stock");
    other.extend(b"another build");
    fs::write(machine.lib("librocblas.so.5"), &other).expect("write through the link");
    let applied = machine.apply(&[]).success();
    assert!(applied.stdout.contains("which is kept as"), "{applied:?}");
    machine.assert_applied();
    let reverted = machine.revert();
    assert_eq!(reverted.status.code(), Some(5), "{reverted:?}");
    let kept = machine.lib("rocblas-shim/kept").join(SHIM);
    assert!(reverted.stdout.contains(kept.file_name().unwrap().to_str().unwrap()), "{reverted:?}");
    assert_eq!(fs::read(&kept).expect("kept"), other);
    fs::remove_dir_all(machine.lib("rocblas-shim")).expect("taken by the user");
    assert_exactly(&before, &machine);
}

#[test]
fn a_shim_that_was_touched_or_restored_is_still_the_installers() {
    for script in [
        "touch $SHIM",
        "chmod 0700 $SHIM",
        "cp --archive $SHIM ../backup; rm $SHIM; cp ../backup $SHIM; rm ../backup",
        "cp --archive rocblas-shim ../backup; rm -r rocblas-shim; cp -r ../backup rocblas-shim; rm -r ../backup",
        "rm librocblas.so.5; ln -s $SHIM librocblas.so.5",
        "touch --no-dereference libamdhip64.so.6",
        "find rocblas-shim/backends/6.3.0 -type f -exec touch {} +",
    ] {
        for first in [None, Some("repair")] {
            let machine = adorned();
            let before = exactly(&machine);
            machine.apply(&[]).success();
            shell(script, &machine).success();
            if first.is_some() {
                repaired(&machine);
            }
            let reverted = machine.revert();
            println!("{script} {first:?}");
            // Links and files that were copied are not identical to those that were kept.
            if script.contains("rocblas-shim ../backup") {
                assert!(reverted.status.success(), "{reverted:?}");
                continue;
            }
            reverted.success();
            assert_exactly(&before, &machine);
        }
    }
}

/// The backend's tree as a package.
fn packed(machine: &Machine) -> PathBuf {
    let package = machine.outside().join("rocblas.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(machine.outside()).arg("-czf").arg(&package).arg("rocm-6.3.0");
    run(&mut tar).success();
    package
}

#[test]
fn a_backend_that_was_placed_before_becomes_the_one_in_use_when_it_is_named() {
    let machine = Machine::new();
    let before = exactly(&machine);
    let package = packed(&machine);
    let package = package.to_str().expect("UTF-8");
    machine.apply(&[]).success();
    machine.tree.installer(&["backends", "add", package, "--name", "packed"]).success();
    machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    assert!(machine.status().1.contains("with backend 7.0.2"), "{:?}", machine.status());
    // While the stock library is in use, nothing is wrong.
    let again = machine.tree.installer(&["apply"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    machine.tree.installer(&["apply", "--backend", package, "--name", "packed"]).success();
    assert!(machine.status().1.contains("with backend packed"), "{:?}", machine.status());
    machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    machine.revert().success();
    assert_exactly(&before, &machine);
}

#[test]
fn rocm_7_as_a_backend_is_said_to_be_rocm_7() {
    let machine = Machine::new();
    let lib = machine.outside().join("rocm-7.0.2/lib");
    fs::create_dir_all(&lib).expect("make");
    fs::copy(machine.lib(STOCK), lib.join(STOCK)).expect("copy");
    let before = exactly(&machine);
    let refused = machine.apply(&["--backend", lib.to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is ROCm 7's rocBLAS"), "{refused:?}");
    assert!(refused.stderr.contains("6.3's is needed"), "{refused:?}");
    assert_exactly(&before, &machine);
    // It may be added next to another backend.
    machine.apply(&[]).success();
    let added = ["backends", "add", lib.to_str().expect("UTF-8"), "--name", "other-7"];
    machine.tree.installer(&added).success();
    let taken = ["backends", "add", lib.to_str().expect("UTF-8"), "--name", "7.0.2"];
    let refused = machine.tree.installer(&taken);
    assert!(refused.stderr.contains("is the name of the stock library"), "{refused:?}");
    machine.assert_applied();
    machine.revert().success();
    assert_exactly(&before, &machine);
}

#[test]
fn damaged_files_of_the_store_are_placed_again() {
    for (script, noticed_by_status) in [
        ("truncate --size=-1 $BACKEND", true),
        (
            "printf X | dd of=$BACKEND bs=1 seek=5000 conv=notrunc status=none; touch --reference=rocblas-shim/shim.toml $BACKEND",
            true,
        ),
        ("rm $BACKEND", true),
        ("rm -r rocblas-shim/backends/6.3.0", true),
        ("rm rocblas-shim/shim.toml", true),
        ("echo 'backend = \"absent\"' > rocblas-shim/shim.toml", true),
        ("chmod 0600 $BACKEND", true),
    ] {
        let machine = adorned();
        let before = exactly(&machine);
        machine.apply(&[]).success();
        let applied = machine.snapshot();
        shell(script, &machine).success();
        let (code, line) = machine.status();
        assert_eq!(code == 4, noticed_by_status, "{script}: {line}");
        let ended = machine.tree.installer(&["repair"]);
        if script.contains("absent") {
            // A user's choice is reported, not overruled.
            assert!(!ended.status.success(), "{ended:?}");
            assert!(ended.stderr.contains("absent"), "{ended:?}");
            machine.apply(&[]).success();
        } else {
            ended.success();
        }
        println!("{script}");
        if !script.contains("absent") {
            applied.assert_same(&machine.snapshot());
        }
        machine.tree.installer(&["verify"]).success();
        machine.revert().success();
        assert_exactly(&before, &machine);
    }
}

#[test]
fn a_flipped_bit_is_found_by_verify_and_repaired() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let applied = machine.snapshot();
    for name in [BACKEND, SHIM] {
        let file = machine.lib(name);
        let time = fs::metadata(&file).and_then(|m| m.modified()).expect("a time");
        let mut bytes = fs::read(&file).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("write");
        fs::File::options()
            .write(true)
            .open(&file)
            .and_then(|f| f.set_modified(time))
            .expect("set");
        let found = machine.tree.installer(&["verify"]);
        assert_eq!(found.status.code(), Some(4), "{found:?}");
        assert!(found.stdout.contains("`installer repair`"), "{found:?}");
        repaired(&machine);
        applied.assert_same(&machine.snapshot());
    }
}

#[test]
fn a_damaged_backend_whose_source_is_gone_is_a_refusal_that_names_it() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    shell("truncate --size=-1 $BACKEND", &machine).success();
    fs::rename(&machine.backend, machine.outside().join("elsewhere")).expect("move away");
    let before = exactly(&machine);
    for command in ["apply", "repair"] {
        let refused = machine.tree.installer(&[command]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let backend = machine.backend.to_str().expect("UTF-8");
        assert!(refused.stderr.contains(backend), "{refused:?}");
        assert!(refused.stderr.contains("--backend"), "{refused:?}");
    }
    assert_exactly(&before, &machine);
}

#[test]
fn a_tree_without_its_journal_still_has_a_way_back() {
    let journals = ["journal.json", "journal.copy.json"];
    for (removed, exact) in [(&journals[..1], true), (&journals[1..], true), (&journals[..], false)]
    {
        for first in [None, Some("repair")] {
            let machine = adorned();
            let before = exactly(&machine);
            machine.apply(&[]).success();
            for name in removed {
                fs::remove_file(machine.lib("rocblas-shim").join(name)).expect("remove");
            }
            if removed.contains(&"journal.json") {
                let (code, line) = machine.status();
                assert_eq!(code, 4, "{line}");
                assert!(line.contains("journal.json is missing"), "{line}");
            }
            if first.is_some() {
                repaired(&machine);
            }
            let reverted = machine.revert();
            if exact {
                reverted.success();
                assert_exactly(&before, &machine);
                continue;
            }
            // `revert` exits with 5 if it lists links that may be the user's.
            let code = if first.is_some() { 0 } else { 5 };
            assert_eq!(reverted.status.code(), Some(code), "{reverted:?}");
            // Compatibility links cannot be distinguished from a user's. This is reported unless a repair has
            // found that the backend needs them.
            let left = before.differences(&exactly(&machine));
            let is_known = |line: &String| {
                line.contains("libamdhip64.so.6")
                    || line.contains("libhipblaslt.so.0")
                    || line.contains("ld.so.cache")
                    || line.contains(": time ")
            };
            assert!(left.iter().all(is_known), "{left:#?}");
            assert!(
                first.is_some() || reverted.stdout.contains("libamdhip64.so.6"),
                "{reverted:?}"
            );
        }
    }
}

#[test]
fn a_store_that_was_deleted_is_said_and_nothing_is_made_worse() {
    let machine = Machine::new();
    fs::copy(machine.lib(STOCK), machine.outside().join(STOCK)).expect("copy");
    machine.apply(&[]).success();
    fs::remove_dir_all(machine.lib("rocblas-shim")).expect("remove");
    let (code, line) = machine.status();
    assert_eq!(code, 4, "{line}");
    assert!(line.contains("is the shim, but it has no journal"), "{line}");
    let before = exactly(&machine);
    let refused = machine.revert();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--reinstall"), "{refused:?}");
    assert_exactly(&before, &machine);
    // Either the shim is kept with a backend, or the stock library is reinstalled.
    machine.apply(&[]).success();
    machine.assert_applied();
    fs::remove_dir_all(machine.lib("rocblas-shim")).expect("remove");
    fs::copy(machine.outside().join(STOCK), machine.lib(STOCK)).expect("reinstalled");
    machine.revert();
    machine.tree.ldconfig();
    assert_eq!(machine.link("librocblas.so.5"), Path::new(STOCK));
    assert!(!machine.lib(SHIM).exists());
}

#[test]
fn a_tree_that_was_moved_is_still_applied_and_reverted() {
    let machine = adorned();
    let before = exactly(&machine);
    machine.apply(&[]).success();
    let (old, new) = ("opt/rocm-7.0.2", "opt/elsewhere");
    let at = |name: &str| machine.tree.root().join(name);
    fs::rename(at(old), at(new)).expect("move");
    let there = |command: &str| machine.tree.installer(&[command, "--rocm", "/opt/elsewhere"]);
    assert!(there("status").success().stdout.contains("applied: shim"));
    there("verify").success();
    there("revert").success();
    fs::rename(at(new), at(old)).expect("move back");
    machine.tree.ldconfig();
    assert_exactly(&before, &machine);
}

#[test]
fn a_strict_umask_does_not_close_the_store() {
    let machine = Machine::new();
    let shim = artefacts::shim().to_str().expect("UTF-8");
    let backend = machine.backend.to_str().expect("UTF-8");
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(artefacts::installer());
    command.arg("--root").arg(machine.tree.root());
    run(command.args(["apply", "--backend", backend, "--shim", shim])).success();
    let store = machine.lib("rocblas-shim");
    for entry in walkdir(&store) {
        let mode = fs::symlink_metadata(&entry).expect("there").permissions().mode();
        let wanted = if entry.is_dir() { 0o055 } else { 0o044 };
        assert_eq!(mode & wanted, wanted, "{} {mode:o}", entry.display());
    }
    // As an old installer created it.
    for directory in ["", "backends", "backends/6.3.0/lib"] {
        let closed = store.join(directory);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("close");
        let (code, line) = machine.status();
        assert_eq!(code, 4, "{line}");
        assert!(line.contains("other users' programs cannot load"), "{line}");
        assert_eq!(machine.tree.installer(&["verify"]).status.code(), Some(4));
        repaired(&machine);
    }
}

/// Everything below a directory.
fn walkdir(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).expect("read").map(|entry| entry.expect("an entry").path());
    let mut all = vec![directory.to_owned()];
    for entry in entries {
        if entry.is_dir() && !entry.is_symlink() {
            all.extend(walkdir(&entry));
        } else if !entry.is_symlink() {
            all.push(entry);
        }
    }
    all
}

#[test]
fn a_deleted_original_names_the_package_that_has_it() {
    let Some((machine, dpkg)) = packaged() else { return };
    let applied = machine.apply(&["--original", "delete"]).success();
    assert!(applied.stdout.contains("reinstall what was deleted: rocblas"), "{applied:?}");
    let before = exactly(&machine);
    let refused = machine.revert();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("as requested by --original delete"), "{refused:?}");
    assert!(refused.stderr.contains("the package rocblas"), "{refused:?}");
    assert_exactly(&before, &machine);
    let deb = package(&machine, "5.0.2.70002-57", STOCK);
    dpkg.install(&deb).success();
    machine.revert().success();
    assert_eq!(machine.link("librocblas.so.5"), Path::new(STOCK));
}

#[test]
fn an_original_that_somebody_removed_from_the_store_is_not_said_to_be_deleted_by_an_option() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    fs::remove_file(machine.lib("rocblas-shim/backends/7.0.2/lib").join(STOCK)).expect("remove");
    let (code, line) = machine.status();
    assert_eq!(code, 4, "{line}");
    assert!(line.contains("which revert needs, is missing"), "{line}");
    let before = exactly(&machine);
    let refused = machine.revert();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("which is missing"), "{refused:?}");
    assert!(!refused.stderr.contains("--original delete"), "{refused:?}");
    assert_exactly(&before, &machine);
}

#[test]
fn the_stock_library_in_use_is_not_deleted() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    let before = exactly(&machine);
    let refused = machine.tree.installer(&["apply", "--original", "delete"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is the backend in use"), "{refused:?}");
    assert_exactly(&before, &machine);
}

#[test]
fn a_store_on_another_file_system_is_refused_before_anything_is_changed() {
    let machine = Machine::new();
    let store = machine.lib("rocblas-shim");
    fs::create_dir(&store).expect("make");
    let mut mount = Command::new("mount");
    let mounted = run(mount.args(["-t", "tmpfs", "-o", "mode=755", "tmpfs"]).arg(&store));
    if !mounted.status.success() {
        skip("a store on another file system", "mounting needs root's rights");
        return;
    }
    let before = exactly(&machine);
    let refused = machine.apply(&[]);
    let differences = before.differences(&exactly(&machine));
    run(Command::new("umount").arg(&store)).success();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is on a file system other than"), "{refused:?}");
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn the_name_that_cmake_needs_is_made_where_stock_was_removed_by_hand() {
    let machine = adorned();
    add_cmake(&machine);
    // A recipe in circulation: 6.3's library next to the stock one, links made by hand, the stock library
    // removed.
    for name in ["librocblas.so.4", "librocblas.so.4.3.60300"] {
        let from = machine.backend.join(name);
        match fs::read_link(&from) {
            Ok(target) => symlink(target, machine.lib(name)).expect("link"),
            Err(_) => drop(fs::copy(&from, machine.lib(name)).expect("copy")),
        }
    }
    let script = "
        rm $STOCK
        ln -sfn librocblas.so.4 librocblas.so.5
        ln -sfn librocblas.so.4 librocblas.so
    ";
    shell(script, &machine).success();
    let before = exactly(&machine);
    machine.apply(&[]).success();
    assert_eq!(machine.link(STOCK), Path::new(SHIM));
    assert_eq!(machine.link("librocblas.so"), Path::new("librocblas.so.5"));
    assert_eq!(machine.link("librocblas.so.5"), Path::new(SHIM));
    machine.assert_applied();
    let again = machine.apply(&[]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    machine.revert().success();
    let differences: Vec<String> = before.differences(&exactly(&machine));
    // The cache was out of date after the manual changes.
    let differences: Vec<&String> = differences
        .iter()
        .filter(|line| !line.contains("ld.so.cache") && !line.contains(": time "))
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_file_of_the_users_in_the_way_is_kept_by_repair() {
    let machine = Machine::new();
    let before = exactly(&machine);
    machine.apply(&[]).success();
    let link = machine.lib("librocblas.so.5");
    fs::remove_file(&link).expect("remove");
    fs::write(&link, "my own work").expect("write");
    let refused = machine.tree.installer(&["apply"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("`installer repair`, which moves it into the store"),
        "{refused:?}"
    );
    for command in [&["repair"][..], &["apply", "--force"]] {
        let _ = fs::remove_file(&link);
        fs::write(&link, "my own work").expect("write");
        machine.tree.installer(command).success();
        machine.assert_applied();
    }
    let reverted = machine.revert();
    // The file that was there last is restored; the others are in the store and are reported.
    assert_eq!(reverted.status.code(), Some(5), "{reverted:?}");
    assert_eq!(fs::read_to_string(&link).expect("there"), "my own work");
    let original = machine.lib("rocblas-shim/kept/librocblas.so.5");
    assert!(reverted.stdout.contains("rocblas-shim/kept/librocblas.so.5"), "{reverted:?}");
    fs::rename(original, &link).expect("put back by hand");
    fs::remove_dir_all(machine.lib("rocblas-shim")).expect("remove");
    machine.tree.ldconfig();
    assert_exactly(&before, &machine);
}

#[test]
fn a_source_that_is_older_than_1970_keeps_its_time() {
    let machine = Machine::new();
    let library = machine.backend.join("librocblas.so.4.3.60300");
    let mut touch = Command::new("touch");
    run(touch.args(["--date", "1965-03-01 00:00:00 UTC"]).arg(&library)).success();
    machine.apply(&[]).success();
    machine.assert_applied();
    let time = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).expect("there").mtime()
    };
    assert_eq!(time(&machine.lib(BACKEND)), time(&library));
    assert!(time(&library) < 0);
    let again = machine.apply(&[]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
}

#[test]
fn an_apply_needs_no_directory_for_temporary_files_and_a_dry_run_unpacks_only_the_library() {
    let machine = Machine::new();
    let package = packed(&machine);
    let package = package.to_str().expect("UTF-8");
    let shim = artefacts::shim().to_str().expect("UTF-8");
    let apply = ["apply", "--shim", shim, "--backend", package];
    let mut command = machine.tree.installer_command(&apply);
    run(command.env("TMPDIR", "/nowhere")).success();
    machine.assert_applied();
    machine.revert().success();
    // None of the several megabytes of Tensile files is written there.
    let room = machine.outside().join("tmp");
    fs::create_dir(&room).expect("make");
    let mut mount = Command::new("mount");
    let mounted = run(mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&room));
    if !mounted.status.success() {
        skip("a dry run with little room", "mounting needs root's rights");
        return;
    }
    let big = machine.backend.join("rocblas/library/Kernels.so-000-gfx906.hsaco");
    fs::write(big, vec![7; 8 << 20]).expect("write");
    let package = packed(&machine);
    let apply =
        ["apply", "--dry-run", "--shim", shim, "--backend", package.to_str().expect("UTF-8")];
    let ended = run(machine.tree.installer_command(&apply).env("TMPDIR", &room));
    run(Command::new("umount").arg(&room)).success();
    let ended = ended.success();
    assert!(ended.stdout.contains("Nothing was changed"), "{ended:?}");
}

/// The instructions that a plan takes for a Tensile library of so many more files, by valgrind.
fn instructions_of_a_plan(files: usize) -> u64 {
    let machine = Machine::new();
    let library = machine.backend.join("rocblas/library");
    for number in 0..files {
        fs::write(library.join(format!("TensileLibrary_{number}_gfx906.dat")), "x").expect("write");
    }
    let shim = artefacts::shim().to_str().expect("UTF-8");
    let backend = machine.backend.to_str().expect("UTF-8");
    let arguments = ["apply", "--dry-run", "--shim", shim, "--backend", backend];
    let installer = machine.tree.installer_command(&arguments);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(installer.get_program()).args(installer.get_args());
    for (name, value) in installer.get_envs() {
        match value {
            Some(value) => valgrind.env(name, value),
            None => valgrind.env_remove(name),
        };
    }
    let ended = run_within(&mut valgrind, Duration::from_secs(120)).success();
    assert!(ended.stdout.contains("Nothing was changed"), "{ended:?}");
    let collected = ended.stderr.lines().find_map(|line| line.split_once("Collected : "));
    collected.expect("valgrind counts").1.trim().parse().expect("a number")
}

#[test]
fn a_plan_takes_instructions_that_grow_with_the_number_of_files_alone() {
    if !exists("valgrind") {
        return skip("instructions of a plan", "there is no valgrind");
    }
    let [few, some, many] = [250, 1000, 4000].map(instructions_of_a_plan);
    println!("instructions with 250, 1,000 and 4,000 files: {few}, {some}, {many}");
    let (each, each_of_many) = ((some - few) as f64 / 750.0, (many - some) as f64 / 3000.0);
    // A sort's logarithm is allowed for. The quadratic plan, which took 14.6 s for 8,000 files, needed four times
    // as many for each.
    assert!(each_of_many < 1.2 * each, "{each:.0}, and then {each_of_many:.0} for each");
}

#[test]
fn a_library_that_came_after_the_original_was_deleted_is_kept() {
    let machine = Machine::new();
    let mut other = fs::read(machine.lib(STOCK)).expect("stock");
    other.extend(b"another build");
    machine.apply(&["--original", "delete"]).success();
    fs::write(machine.lib(STOCK), &other).expect("write");
    for command in ["repair", "apply"] {
        machine.tree.installer(&[command]).success();
        machine.assert_applied();
    }
    let kept = machine.lib("rocblas-shim/backends/7.0.2/lib").join(STOCK);
    assert_eq!(fs::read(&kept).expect("kept"), other);
    machine.revert().success();
    assert_eq!(fs::read(machine.lib(STOCK)).expect("back"), other);
}

#[test]
fn what_a_user_made_in_the_place_of_the_store_is_not_the_installers() {
    let machine = Machine::new();
    let script = "
        mkdir -p rocblas-shim/backends/6.3.0/lib rocblas-shim/backends/other
        echo mine > rocblas-shim/backends/6.3.0/lib/mine.txt
        echo other > rocblas-shim/backends/other/file
    ";
    shell(script, &machine).success();
    let before = exactly(&machine);
    assert_eq!(machine.status().0, 3, "{:?}", machine.status());
    let reverted = machine.revert();
    assert!(reverted.stdout.contains("there is no shim here"), "{reverted:?}");
    assert_exactly(&before, &machine);
    machine.apply(&[]).success();
    machine.assert_applied();
    let reverted = machine.revert();
    assert_eq!(reverted.status.code(), Some(5), "{reverted:?}");
    assert_exactly(&before, &machine);
}

#[test]
fn a_users_own_file_or_link_under_the_name_of_the_shim_comes_back() {
    for script in [
        "echo mine > $SHIM; ln -s $SHIM librocblas.so.5.99",
        "ln -s $STOCK $SHIM",
        "cp $STOCK $SHIM; echo more >> $SHIM",
    ] {
        let machine = Machine::new();
        shell(script, &machine).success();
        let before = exactly(&machine);
        assert_eq!(machine.status().0, 3, "{script}: {:?}", machine.status());
        machine.revert();
        assert_exactly(&before, &machine);
        machine.apply(&[]).success();
        machine.assert_applied();
        machine.revert().success();
        println!("{script}");
        let mut left = before.differences(&exactly(&machine));
        left.retain(|line| !line.contains("ld.so.cache") && !line.contains(": time "));
        assert!(left.is_empty(), "{left:#?}");
    }
}

#[test]
fn a_tree_that_had_no_rocblas_is_reverted_to_that() {
    let names = ["librocblas.so", "librocblas.so.5", "librocblas.so.5.0.70002"];
    // All names removed by hand; the file alone, so that symlinks point to nothing; a symlink to itself.
    for (removed, loops) in [(&names[..], false), (&names[2..], false), (&names[1..], true)] {
        let machine = Machine::new();
        removed.iter().for_each(|name| fs::remove_file(machine.lib(name)).expect("remove"));
        if loops {
            symlink(names[1], machine.lib(names[1])).expect("link");
        }
        machine.tree.ldconfig();
        let before = machine.snapshot();
        let applied = machine.apply(&["--gpu", "gfx906", "--rocm", "/opt/rocm-7.0.2"]).success();
        assert!(applied.stdout.contains("there was no rocBLAS of ROCm 7 in"), "{applied:?}");
        machine.assert_applied();
        machine.revert().success();
        before.assert_same(&machine.snapshot());
    }
}

#[test]
fn a_kept_library_that_is_gone_is_said_until_it_is_there_again() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906"]).success();
    let kept = machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002");
    let outside = machine.outside().join("kept");
    fs::rename(&kept, &outside).expect("move away");
    for command in ["status", "repair", "status", "doctor"] {
        let ended = machine.tree.installer(&[command]);
        let said = [&*ended.stdout, &ended.stderr].concat();
        let code = if command == "status" { 4 } else { 1 };
        assert_eq!(ended.status.code(), Some(code), "{command}: {ended:?}");
        let parts = [
            kept.file_name().expect("a name").to_str().expect("UTF-8"),
            "is missing",
            "apt-get install --reinstall rocblas",
            "rograms keep working",
        ];
        for part in parts {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
    let repaired = machine.tree.installer(&["--json", "repair"]);
    assert_eq!(repaired.status.code(), Some(1), "{repaired:?}");
    let document: Result<serde_json::Value, _> = serde_json::from_str(&repaired.stdout);
    assert!(document.is_ok(), "one document: {repaired:?}");
    // When it is reinstalled, it is where the package has it.
    let stock = machine.lib("librocblas.so.5.0.70002");
    let _ = fs::remove_file(&stock);
    fs::copy(&outside, &stock).expect("reinstall");
    machine.tree.installer(&["repair"]).success();
    machine.assert_applied();
    machine.revert().success();
}

#[test]
fn a_store_that_was_deleted_is_an_error_until_a_backend_is_placed() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906"]).success();
    fs::remove_dir_all(machine.lib("rocblas-shim")).expect("remove");
    for (command, code) in [("status", 4), ("doctor", 1)] {
        let ended = machine.tree.installer(&[command]);
        assert_eq!(ended.status.code(), Some(code), "{command}: {ended:?}");
        for part in ["has no backend", "installer apply --backend"] {
            assert!(ended.stdout.contains(part), "{command}: {part}: {ended:?}");
        }
        assert!(!ended.stdout.contains("installer repair"), "{command}: {ended:?}");
    }
    let applied = machine.apply(&["--gpu", "gfx906"]).success();
    assert!(applied.stdout.contains("6 files in rocblas-shim/backends/6.3.0"), "{applied:?}");
    for part in ["a revert will be refused", "apt-get install --reinstall rocblas"] {
        assert!(applied.stdout.contains(part), "{part}: {applied:?}");
    }
    machine.assert_applied();
    assert_eq!(machine.revert().status.code(), Some(1));
}

#[test]
fn a_users_directory_in_the_store_stays_even_if_it_is_empty() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let own = machine.lib("rocblas-shim/mine");
    fs::create_dir(&own).expect("a directory");
    let ended = machine.revert();
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    assert!(ended.stdout.contains("stays, since it contains files of others: mine"), "{ended:?}");
    let store = fs::read_dir(machine.lib("rocblas-shim")).expect("read");
    let names: Vec<_> = store.map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(names, ["mine"]);
    // Without this directory, `revert` removes the store.
    fs::remove_dir(&own).expect("remove");
    machine.revert().success();
    assert!(!machine.lib("rocblas-shim").exists());
}

#[test]
fn a_tree_with_a_name_that_is_no_text_is_refused_for_that_reason() {
    let machine = Machine::new();
    let name = OsStr::from_bytes(b"rocm-7.0.2-\xff");
    let opt = machine.tree.root().join("opt");
    fs::rename(opt.join("rocm-7.0.2"), opt.join(name)).expect("rename");
    symlink(name, opt.join("plain")).expect("link");
    let before = machine.snapshot();
    for more in [&["--gpu", "gfx906"][..], &["--rocm", "/opt/plain"]] {
        let refused = machine.apply(more);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains("not valid UTF-8"), "{refused:?}");
        assert!(refused.stderr.contains("Rename"), "{refused:?}");
    }
    before.assert_same(&machine.snapshot());
}

#[test]
fn revert_refuses_where_programs_would_find_no_rocblas_afterwards() {
    let kept = "rocblas-shim/backends/7.0.2/lib/$STOCK";
    for (options, script) in [
        (&["--original", "delete"][..], "rm rocblas-shim/journal*"),
        (&[], "rm -r rocblas-shim/journal* rocblas-shim/backends/7.0.2"),
        (&[], "rm -r rocblas-shim; again"),
        (&[], &format!(": > {kept}")),
        (&[], &format!("printf XXXX | dd of={kept} bs=1 conv=notrunc status=none")),
        (&[], "echo garbage > g; cp --remove-destination g $STOCK; rm g"),
        (&[], "rm librocblas.so.5; echo mine > librocblas.so.5"),
    ] {
        let machine = Machine::new();
        machine.apply(options).success();
        let (script, again) = match script.strip_suffix("; again") {
            Some(script) => (script, true),
            None => (script, false),
        };
        shell(script, &machine).success();
        if again {
            machine.apply(&[]).success();
        } else {
            assert_eq!(machine.status().0, 4, "{script}: {:?}", machine.status());
        }
        let before = exactly(&machine);
        let refused = machine.revert();
        assert_eq!(refused.status.code(), Some(1), "{script}: {refused:?}");
        assert!(refused.stderr.contains("install"), "{script}: {refused:?}");
        assert_exactly(&before, &machine);
    }
}

#[test]
fn what_is_left_of_the_shim_by_others_hands_is_said() {
    for (script, said) in [
        ("ln -sfn $SHIM librocblas.so", "librocblas.so is a symlink to the shim"),
        ("cp -a $SHIM librocblas.so.5.98.0", "librocblas.so.5.98.0 is a copy of the shim"),
    ] {
        let machine = Machine::new();
        machine.apply(&[]).success();
        shell(script, &machine).success();
        let reverted = machine.revert();
        assert_eq!(reverted.status.code(), Some(5), "{script}: {reverted:?}");
        assert!(reverted.stdout.contains(said), "{script}: {reverted:?}");
    }
}

#[test]
fn a_deleted_original_can_be_reinstalled_also_where_it_was_kept_before() {
    let Some((machine, dpkg)) = packaged() else { return };
    machine.apply(&[]).success();
    machine.apply(&["--original", "delete"]).success();
    machine.assert_applied();
    let again = machine.apply(&[]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    let deb = machine.outside().join("5.0.2.70002-56/rocblas_5.0.2.70002-56.deb");
    dpkg.install(&deb).success();
    machine.revert().success();
    assert_eq!(machine.link("librocblas.so.5"), Path::new(STOCK));
    assert!(machine.lib(STOCK).exists());
}

#[test]
fn a_backend_cannot_have_the_name_of_the_stock_library() {
    let machine = Machine::new();
    let before = exactly(&machine);
    let refused = machine.apply(&["--name", "7.0.2"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is the name under which the stock library"), "{refused:?}");
    assert_exactly(&before, &machine);
}

#[test]
fn a_directory_in_the_way_is_a_refusal_and_revert_goes_around_it() {
    let machine = Machine::new();
    let before = exactly(&machine);
    machine.apply(&[]).success();
    let link = "rocblas-shim/backends/7.0.2/lib/rocblas";
    shell(&format!("rm {link}; mkdir {link}"), &machine).success();
    let disturbed = exactly(&machine);
    let refused = machine.tree.installer(&["repair"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is a directory"), "{refused:?}");
    assert_exactly(&disturbed, &machine);
    let reverted = machine.revert();
    assert_eq!(reverted.status.code(), Some(5), "{reverted:?}");
    assert_exactly(&before, &machine);
}

#[test]
fn a_stub_that_was_changed_is_kept_and_placed_again_by_repair() {
    let machine = Machine::new();
    machine.apply(&["--compat", "stubs"]).success();
    shell("echo more >> libamdhip64.so.6", &machine).success();
    assert_eq!(machine.status().0, 4);
    repaired(&machine);
}

#[test]
fn settings_that_are_none_are_a_fault_for_verify_and_no_obstacle_for_revert() {
    for script in [
        "echo '[[[' > rocblas-shim/shim.toml",
        "rm rocblas-shim/shim.toml; mkfifo rocblas-shim/shim.toml",
    ] {
        let machine = Machine::new();
        let before = exactly(&machine);
        machine.apply(&[]).success();
        shell(script, &machine).success();
        let verified = machine.tree.installer(&["verify"]);
        assert!(!verified.status.success(), "{script}: {verified:?}");
        machine.revert();
        let _ = fs::remove_dir_all(machine.lib("rocblas-shim"));
        assert_exactly(&before, &machine);
    }
}

#[test]
fn a_backends_name_is_printed_on_one_line_and_given_from_usual_characters() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let directory = machine.lib("rocblas-shim/backends/x\nRemoved 7.0.2");
    fs::create_dir_all(directory).expect("make");
    let listed = machine.tree.installer(&["backends", "list"]).success();
    assert!(!listed.stdout.lines().any(|line| line.starts_with("Removed")), "{listed:?}");
    let pruned = machine.tree.installer(&["backends", "prune", "--dry-run"]).success();
    assert!(!pruned.stdout.lines().any(|line| line.starts_with("Removed")), "{pruned:?}");
    let refused = machine.apply(&["--name", "x y\"z"]);
    assert!(refused.stderr.contains("is not a valid backend name"), "{refused:?}");
}

#[test]
fn a_link_that_led_nowhere_before_comes_back_as_it_was() {
    let machine = Machine::new();
    fs::remove_file(machine.lib(STOCK)).expect("remove");
    machine.tree.ldconfig();
    // ldconfig may remove such a link.
    let _ = fs::remove_file(machine.lib("librocblas.so.5"));
    symlink(STOCK, machine.lib("librocblas.so.5")).expect("link");
    machine.apply(&[]).success();
    machine.assert_applied();
    machine.revert();
    assert_eq!(machine.link("librocblas.so.5"), Path::new(STOCK));
    assert!(!machine.lib("rocblas-shim").exists());
}
