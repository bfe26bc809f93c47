//! `apply`, a second `apply`, `--dry-run`, `verify` and `revert`, with every option that changes the plan.

use crate::{machine::Machine, using};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{elf::face, run::run, skip::skip, snapshot::Snapshot};

#[test]
fn the_shim_is_what_programs_find_and_revert_brings_everything_back() {
    let machine = Machine::new();
    let before = machine.snapshot();
    let applied = machine.apply(&[]).success();
    assert!(applied.stdout.contains("Applied;"), "{applied:?}");
    machine.assert_applied();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    assert!(!machine.lib("librocblas.so.5.0.70002").exists());
    assert_eq!(machine.link("libamdhip64.so.6"), Path::new("libamdhip64.so.7"));
    assert_eq!(machine.link("libhipblaslt.so.0"), Path::new("libhipblaslt.so.1"));
    let cached = machine.tree.cached();
    let stock = cached.iter().find(|(name, _)| name == "librocblas.so.5").expect("cached");
    assert_eq!(stock.1, "/opt/rocm/lib/librocblas.so.5");
    // Both are complete backends: a library under its SONAME, with Tensile files where the library looks for
    // them.
    let store = machine.lib("rocblas-shim/backends");
    for (name, soname) in [("6.3.0", "librocblas.so.4"), ("7.0.2", "librocblas.so.5")] {
        let lib = store.join(name).join("lib");
        assert_eq!(face(&lib.join(soname)).soname, soname);
        assert!(lib.join("rocblas/library").is_dir(), "{name}");
    }
    machine.revert().success();
    before.assert_same(&machine.snapshot());
    assert_eq!(machine.status().0, 3);
}

#[test]
fn a_second_apply_changes_nothing_and_says_so() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906"]).success();
    let before = Snapshot::with_times(machine.tree.root());
    for again in [machine.apply(&[]), machine.tree.installer(&["apply"])] {
        let again = again.success();
        assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    }
    before.assert_same(&Snapshot::with_times(machine.tree.root()));
}

#[test]
fn a_package_is_not_unpacked_again() {
    let machine = Machine::new();
    let package = packed(&machine);
    let package = package.to_str().expect("UTF-8");
    machine.apply(&["--backend", package]).success();
    let before = Snapshot::with_times(machine.tree.root());
    let again = machine.apply(&["--backend", package]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    before.assert_same(&Snapshot::with_times(machine.tree.root()));
    machine.assert_applied();
}

/// The backend's tree as a tar file.
pub(crate) fn packed(machine: &Machine) -> PathBuf {
    let package = machine.outside().join("rocblas.tar.gz");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-C").arg(machine.outside()).arg("-czf").arg(&package).arg("rocm-6.3.0");
    run(&mut tar).success();
    package
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let machine = Machine::new();
    let package = packed(&machine);
    let before = Snapshot::with_times(machine.tree.root());
    for more in [&["--dry-run"][..], &["--dry-run", "--backend", package.to_str().expect("UTF-8")]]
    {
        let shown = machine.apply(more).success();
        assert!(shown.stdout.contains("librocblas.so.5 -> librocblas.so.5.99.0"), "{shown:?}");
        assert!(shown.stdout.contains("Nothing was changed"), "{shown:?}");
    }
    before.assert_same(&Snapshot::with_times(machine.tree.root()));
    machine.apply(&[]).success();
    let before = Snapshot::with_times(machine.tree.root());
    let shown = machine.tree.installer(&["revert", "--dry-run"]).success();
    assert!(shown.stdout.contains("restore"), "{shown:?}");
    before.assert_same(&Snapshot::with_times(machine.tree.root()));
}

#[test]
fn the_plan_in_json_is_the_plan() {
    let machine = Machine::new();
    let shown = machine.apply(&["--dry-run", "--json"]).success();
    let document: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let steps = document["steps"].as_array().expect("steps");
    let links = steps.iter().filter(|step| step["action"] == "link");
    assert!(links.clone().any(|step| step["target"] == "librocblas.so.5.99.0"), "{shown:?}");
    assert_eq!(document["carried_out"], false);
}

#[test]
fn only_the_tensile_files_of_the_chosen_gpus_are_placed() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906"]).success();
    let library = machine.lib("rocblas-shim/backends/6.3.0/lib/rocblas/library");
    let names = |library: &Path| -> Vec<String> {
        let entries =
            fs::read_dir(library).expect("read").map(|e| e.expect("an entry").file_name());
        entries.map(|name| name.into_string().expect("UTF-8")).collect()
    };
    let placed = names(&library);
    assert!(placed.iter().any(|name| name == "TensileLibrary_lazy_gfx906.dat"), "{placed:?}");
    assert!(placed.iter().any(|name| name.ends_with("_fallback.dat")), "{placed:?}");
    assert!(!placed.iter().any(|name| name.contains("gfx1030")), "{placed:?}");
    machine.assert_applied();
}

#[test]
fn a_deleted_original_is_gone_and_revert_says_how_to_get_it_back() {
    let machine = Machine::new();
    let original = fs::read(machine.lib("librocblas.so.5.0.70002")).expect("stock");
    let before = machine.snapshot();
    machine.apply(&["--original", "delete"]).success();
    machine.assert_applied();
    assert!(!machine.lib("rocblas-shim/backends/7.0.2").exists());
    let applied = machine.snapshot();
    let refused = machine.revert();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("librocblas.so.5.0.70002 was deleted"), "{refused:?}");
    assert!(refused.stderr.contains("--reinstall"), "{refused:?}");
    applied.assert_same(&machine.snapshot());
    // As the package manager restores it; its modification time is the package's.
    let place = machine.lib("librocblas.so.5.0.70002");
    fs::write(&place, original).expect("write");
    machine.revert().success();
    let differences = before.differences(&machine.snapshot());
    assert!(
        differences.iter().all(|line| line.contains("librocblas.so.5.0.70002")),
        "{differences:?}"
    );
}

#[test]
fn an_original_that_was_kept_can_be_deleted_later() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    assert!(machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002").exists());
    machine.apply(&["--original", "delete"]).success();
    machine.assert_applied();
    assert!(!machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002").exists());
}

#[test]
fn verify_reads_what_status_does_not() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    machine.tree.installer(&["verify"]).success();
    let file = machine.lib("rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300");
    let time = fs::metadata(&file).expect("there").modified().expect("a time");
    let mut bytes = fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("write");
    fs::File::options().write(true).open(&file).expect("open").set_modified(time).expect("set");
    machine.assert_applied();
    let ended = machine.tree.installer(&["verify"]);
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    assert!(
        ended.stdout.contains("librocblas.so.4.3.60300: it has different contents"),
        "{ended:?}"
    );
}

const WHEEL: &str = "/usr/local/lib/python3.12/site-packages/torch/lib";

/// PyTorch's wheel, which contains its own ROCm.
fn wheel(machine: &Machine) -> PathBuf {
    let lib = machine.tree.root().join(&WHEEL[1..]);
    fs::create_dir_all(&lib).expect("make a wheel");
    for (from, to) in [
        ("librocblas.so.5.0.70002", "librocblas.so"),
        ("libamdhip64.so.7.0.70002", "libamdhip64.so.7"),
        ("libhipblaslt.so.1", "libhipblaslt.so.1"),
    ] {
        fs::copy(machine.lib(from), lib.join(to)).expect("copy");
    }
    lib
}

#[test]
fn a_tree_whose_library_has_a_plain_name_gets_the_shim_under_that_name() {
    let machine = Machine::new();
    let lib = wheel(&machine);
    let before = machine.snapshot();
    machine.apply(&["--rocm", WHEEL]).success();
    let shim = lib.join("librocblas.so");
    assert_eq!(fs::read(&shim).expect("there"), fs::read(tests::artefacts::shim()).expect("there"));
    let status = machine.tree.installer(&["status", "--rocm", WHEEL]).success();
    assert!(status.stdout.contains("applied"), "{status:?}");
    machine.tree.installer(&["revert", "--rocm", WHEEL]).success();
    before.assert_same(&machine.snapshot());
}

#[test]
fn what_a_wheel_has_under_a_plain_name_is_linked_by_the_soname_that_the_backend_asks_for() {
    let mut machine = Machine::new();
    let roctx = using::add_roctx(&mut machine);
    let lib = wheel(&machine);
    fs::rename(roctx, lib.join("libroctx64.so")).expect("move into the wheel");
    let before = machine.snapshot();
    machine.apply(&["--rocm", WHEEL]).success();
    let link = fs::read_link(lib.join("libroctx64.so.4")).expect("a link");
    assert_eq!(link, Path::new("libroctx64.so"));
    let again = machine.apply(&["--rocm", WHEEL]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    machine.tree.installer(&["revert", "--rocm", WHEEL]).success();
    before.assert_same(&machine.snapshot());
    fs::remove_file(lib.join("libroctx64.so")).expect("remove");
    let refused = machine.apply(&["--rocm", WHEEL]);
    assert!(refused.stderr.contains("libroctx64.so.4"), "{refused:?}");
}

#[test]
fn two_trees_have_to_be_told_apart() {
    let machine = Machine::new();
    let other = machine.tree.root().join("opt/rocm-7.1.0/lib");
    fs::create_dir_all(&other).expect("make a tree");
    fs::copy(machine.lib("librocblas.so.5.0.70002"), other.join("librocblas.so.5")).expect("copy");
    let refused = machine.apply(&[]);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("--rocm /opt/rocm-7.0.2/lib"), "{refused:?}");
    assert!(refused.stderr.contains("--rocm /opt/rocm-7.1.0/lib"), "{refused:?}");
    machine.apply(&["--rocm", "/opt/rocm"]).success();
    // From now on, commands use the tree with the shim by default.
    machine.assert_applied();
}

#[test]
fn backends_are_added_used_and_removed() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let backend = machine.backend.to_str().expect("UTF-8");
    let backends =
        |arguments: &[&str]| machine.tree.installer(&[&["backends"], arguments].concat());
    backends(&["add", backend, "--name", "again"]).success();
    let listed = backends(&["list"]).success().stdout;
    assert!(listed.contains("* 6.3.0") && listed.contains("  again"), "{listed}");
    backends(&["use", "7.0.2"]).success();
    let line = machine.status().1;
    assert!(line.contains("with backend 7.0.2"), "{line}");
    backends(&["remove", "6.3.0"]).success();
    backends(&["use", "again"]).success();
    let refused = backends(&["remove", "again"]);
    assert!(!refused.status.success() && refused.stderr.contains("is in use"), "{refused:?}");
    backends(&["use", "7.0.2"]).success();
    backends(&["remove", "again"]).success();
    assert!(!machine.lib("rocblas-shim/backends/again").exists());
    let refused = backends(&["use", "../../x"]);
    assert!(refused.stderr.contains("is not a valid backend name"), "{refused:?}");
    machine.revert().success();
}

#[test]
fn two_installers_take_turns() {
    use rustix::fs::{FlockOperation, flock};
    let machine = Machine::new();
    let directory = fs::File::open(machine.tree.lib()).expect("open");
    flock(&directory, FlockOperation::LockExclusive).expect("lock");
    let shim = tests::artefacts::shim().to_str().expect("UTF-8");
    let backend = machine.backend.to_str().expect("UTF-8");
    let mut command =
        machine.tree.installer_command(&["apply", "--backend", backend, "--shim", shim]);
    let waiting = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut waiting = waiting.spawn().expect("start");
    let mut line = String::new();
    let stderr = waiting.stderr.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line).expect("read");
    let holder = format!("locked by process {}", std::process::id());
    assert!(line.contains(&holder), "{line}");
    assert!(waiting.try_wait().expect("a child").is_none(), "it waits");
    drop(directory);
    assert!(waiting.wait().expect("a child").success());
    machine.assert_applied();
}

#[test]
fn no_permission_and_read_only_trees_are_said_before_anything_is_done() {
    let machine = Machine::new();
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        skip("another user's tree", "becoming another user needs root's rights");
        return;
    }
    let before = machine.snapshot();
    for directory in [machine.tree.root(), machine.outside()] {
        let mut chmod = std::process::Command::new("chmod");
        run(chmod.arg("a+rX").arg("-R").arg(directory)).success();
    }
    let shim = machine.outside().join("shim.so");
    fs::copy(tests::artefacts::shim(), &shim).expect("copy");
    let copy = machine.outside().join("installer");
    tests::program::copy(tests::artefacts::installer(), &copy);
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups"]).arg(&copy).arg("--root");
    command.arg(machine.tree.root()).args(["apply", "--backend"]).arg(&machine.backend);
    let refused = run(command.arg("--shim").arg(&shim));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("no permission to change /opt/rocm-7.0.2/lib"), "{refused:?}");
    before.assert_same(&machine.snapshot());
}
