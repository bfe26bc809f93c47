//! `collect`: copies the program and what it loads out of the machine that built it. At its destination, the
//! program runs, and the installer finds everything in place.

use crate::{
    machine::{Machine, packaged},
    using,
};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    artefacts,
    run::{Ended, run},
    skip::skip,
    snapshot::Snapshot,
};

/// A machine with a built program and the shim.
fn applied(more: &[&str]) -> (Machine, String) {
    let machine = Machine::new();
    let program = using::build(&machine);
    machine.apply(more).success();
    let inside = Path::new("/").join(program.strip_prefix(machine.tree.root()).expect("in it"));
    (machine, inside.to_str().expect("UTF-8").to_owned())
}

/// Collects into `image`, a directory outside the machine.
fn collect(machine: &Machine, arguments: &[&str]) -> (PathBuf, Ended) {
    let into = machine.outside().join("image");
    let fixed = ["collect", "--into", into.to_str().expect("UTF-8")];
    let ended = machine.tree.installer(&[&fixed, arguments].concat());
    (into, ended)
}

/// The paths of all files and symlinks.
fn paths(directory: &Path) -> Vec<String> {
    let snapshot = Snapshot::of(directory);
    let of_files = snapshot.paths().filter(|path| {
        let kind = fs::symlink_metadata(directory.join(path)).expect("there").file_type();
        !kind.is_dir()
    });
    of_files.map(|path| path.to_str().expect("UTF-8").to_owned()).collect()
}

fn ldconfig(root: &Path) {
    run(Command::new("/sbin/ldconfig").arg("-r").arg(root)).success();
}

fn installer(root: &Path, command: &str) -> Ended {
    run(Command::new(artefacts::installer()).arg("--root").arg(root).arg(command))
}

/// Runs the program with an image as its root; prints a message and returns `false` if that is not permitted.
fn runs(image: &Path, program: &str) -> bool {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        skip("programs in another root", "changing the root needs root's rights");
        return false;
    }
    let mut command = Command::new("chroot");
    command.arg(image).arg(program).env_clear();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ended = run(command.env("PATH", path)).silent_success();
    assert_eq!(ended.stdout, "backend 6.3.0 scal 77\n");
    true
}

#[test]
fn a_collected_program_runs_and_nothing_else_is_there() {
    let (machine, program) = applied(&["--gpu", "gfx906", "--original", "delete"]);
    let (image, ended) = collect(&machine, &[&program]);
    let ended = ended.success();
    assert!(ended.stdout.contains("files,"), "{ended:?}");
    ldconfig(&image);
    let status = installer(&image, "status").success();
    assert!(status.stdout.contains("/opt/rocm-7.0.2/lib: applied"), "{status:?}");
    installer(&image, "verify").success();

    let paths = paths(&image);
    let has = |end: &str| paths.iter().any(|path| path.ends_with(end));
    // Libraries that HIP opens by name, and symlinks with the SONAME of a library.
    for end in ["libamd_comgr.so.3", "libamdhip64.so.6", "opt/rocm", "ld.so.conf.d/rocm.conf"] {
        assert!(has(end), "{end}: {paths:#?}");
    }
    assert!(has("backends/6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx906.dat"));
    // The stock library, its Tensile files, those of other GPUs, and symlinks for building.
    for absent in ["librocblas.so.5.0.70002", "/libhipblas.so", "/libamdhip64.so"] {
        assert!(!has(absent), "{absent}: {paths:#?}");
    }
    for absent in ["gfx908", "gfx942"] {
        assert!(!paths.iter().any(|path| path.contains(absent)), "{absent}: {paths:#?}");
    }
    runs(&image, &program);
}

#[test]
fn what_the_base_has_is_left_to_it() {
    let (machine, program) = applied(&["--original", "delete"]);
    // The C library and the files that belong to it.
    let base = machine.outside().join("base");
    for name in ["lib", "lib64", "usr/lib", "usr/lib64", "etc"] {
        let Some(parent) = base.join(name).parent().map(Path::to_owned) else { continue };
        fs::create_dir_all(&parent).expect("make a directory");
        let mut copy = Command::new("cp");
        run(copy.arg("--archive").arg(machine.tree.root().join(name)).arg(parent)).success();
    }
    let (image, ended) = collect(&machine, &["--base", base.to_str().expect("UTF-8"), &program]);
    ended.success();
    let copied = paths(&image);
    let is_base = |path: &&String| base.join(path).symlink_metadata().is_ok();
    assert_eq!(copied.iter().find(is_base), None, "it is in the base");
    assert!(copied.iter().any(|path| path.ends_with("librocblas.so.5.99.0")), "{copied:#?}");

    // As a COPY instruction does.
    run(Command::new("cp").arg("--archive").arg(image.join(".")).arg(&base)).success();
    ldconfig(&base);
    installer(&base, "status").success();
    runs(&base, &program);
}

#[test]
fn a_kept_stock_library_is_collected_as_a_backend() {
    let (machine, program) = applied(&["--gpu", "gfx906"]);
    let (image, ended) = collect(&machine, &[&program]);
    ended.success();
    let paths = paths(&image);
    let stock = |path: &&String| path.ends_with("backends/7.0.2/lib/librocblas.so.5.0.70002");
    assert!(paths.iter().any(|path| stock(&path)), "{paths:#?}");
    // Its Tensile files for no particular GPU, but none for GPUs that were not selected.
    assert!(paths.iter().any(|path| path.starts_with("opt/rocm-7.0.2/lib/rocblas/library/")));
    assert!(!paths.iter().any(|path| path.contains("gfx942")), "{paths:#?}");
    installer(&image, "status").success();
}

#[test]
fn what_only_the_backend_needs_is_collected() {
    let mut machine = Machine::new();
    let roctx = using::add_roctx(&mut machine);
    machine.tree.ldconfig();
    let program = using::build(&machine);
    let inside = format!("/{}", program.strip_prefix(machine.tree.root()).expect("in").display());
    machine.apply(&["--original", "delete"]).success();
    let kept = machine.outside().join("kept");
    fs::rename(&roctx, &kept).expect("take the library away");
    let (image, refused) = collect(&machine, &[&inside]);
    assert!(refused.stderr.contains("libroctx64.so.4"), "{refused:?}");
    assert!(!image.exists());
    fs::rename(&kept, &roctx).expect("bring it back");
    let (image, ended) = collect(&machine, &[&inside]);
    ended.success();
    ldconfig(&image);
    runs(&image, &inside);
}

#[test]
fn diversions_do_not_matter_where_no_package_has_the_file() {
    let Some((machine, _dpkg)) = packaged() else { return };
    let program = using::build(&machine);
    machine.apply(&["--original", "delete"]).success();
    let inside = program.strip_prefix(machine.tree.root()).expect("in it");
    let (image, ended) = collect(&machine, &[&format!("/{}", inside.display())]);
    ended.success();
    // An empty database, as in a base image without ROCm.
    fs::create_dir_all(image.join("var/lib/dpkg/info")).expect("make dpkg's database");
    fs::write(image.join("var/lib/dpkg/status"), "").expect("write");
    let status = installer(&image, "status").success();
    assert!(status.stdout.contains("applied"), "{status:?}");
    // `apply` comes to the same conclusion.
    let again = installer(&image, "apply").success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
}

#[test]
fn what_would_not_run_is_refused_and_nothing_is_copied() {
    let machine = Machine::new();
    let program = using::build(&machine);
    let inside = format!("/{}", program.strip_prefix(machine.tree.root()).expect("in").display());
    let refused = |arguments: &[&str], because: &str| {
        let (image, ended) = collect(&machine, arguments);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(because), "{because}: {ended:?}");
        assert!(!image.exists(), "{because}");
    };
    refused(&[&inside], "not applied");
    machine.apply(&[]).success();
    refused(&["/absent"], "/absent");
    refused(&["/usr/lib64/ld-linux-x86-64.so.2"], "none of these uses rocBLAS");
    refused(&["--base", "/absent", &inside], "/absent");
    let hipblas = machine.lib("libhipblas.so.3.0.70002");
    let kept = machine.outside().join("kept");
    fs::rename(&hipblas, &kept).expect("take a library away");
    refused(&[&inside], "libhipblas.so.3");
    fs::rename(&kept, &hipblas).expect("bring it back");
    let shim = machine.lib("librocblas.so.5.99.0");
    fs::rename(&shim, &kept).expect("take the shim away");
    refused(&[&inside], "disturbed");
    fs::rename(&kept, &shim).expect("bring it back");

    let image = machine.outside().join("image");
    fs::create_dir(&image).expect("make a directory");
    fs::write(image.join("mine"), "precious").expect("write");
    let (_, ended) = collect(&machine, &[&inside]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("not empty"), "{ended:?}");
    let names = fs::read_dir(&image).expect("read").map(|e| e.expect("read").file_name());
    assert_eq!(names.collect::<Vec<_>>(), [OsStr::new("mine")]);
}
