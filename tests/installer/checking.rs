//! `check`: programs, and whole directories of them, are checked before they are started.

use crate::{machine::Machine, using};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tests::{
    program,
    run::{Ended, run},
};

fn check(machine: &Machine, arguments: &[&str]) -> Ended {
    let mut command = machine.tree.installer_command(&[&["check"], arguments].concat());
    run(command.env_remove("LD_LIBRARY_PATH").env_remove("LD_PRELOAD"))
}

/// A build directory as CMake leaves it, with the program in `bin`.
fn build_directory(machine: &Machine) -> PathBuf {
    let program = using::build(machine);
    let build = machine.tree.root().join("build");
    fs::create_dir_all(build.join("bin")).expect("directories");
    fs::write(build.join("CMakeCache.txt"), "# a cache\n").expect("write");
    fs::write(build.join(".ninja_lock"), "").expect("write");
    program::copy(&program, build.join("bin/llama-cli"));
    program::copy(&program, build.join("bin/llama-bench"));
    fs::write(build.join("bin/convert.py"), "#!/usr/bin/env python3\n").expect("write");
    fs::write(build.join("bin/llama.lock"), "").expect("write");
    fs::write(build.join("bin/.lock"), "").expect("write");
    build
}

#[test]
fn programs_of_a_build_directory_would_load_before_and_after_apply() {
    let machine = Machine::new();
    build_directory(&machine);
    let ended = check(&machine, &["/build"]).success();
    for part in [
        "/build/bin/llama-bench, /build/bin/llama-cli\n",
        "  rocBLAS  /opt/rocm-7.0.2/lib/librocblas.so.5.0.70002 (ROCm 7.0.2)\n",
        "  HIP      /opt/rocm-7.0.2/lib/libamdhip64.so.7.0.70002 (ROCm 7.0.2)\n",
        "  hipBLAS  /opt/rocm-7.0.2/lib/libhipblas.so.3.0.70002 (ROCm 7.0.2)\n",
        "All 2 would load.",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    // `apply` uses the same criteria.
    let before = machine.snapshot();
    machine.apply(&["--built", "/build", "--dry-run"]).success();
    before.assert_same(&machine.snapshot());
    machine.apply(&["--built", "/build"]).success();
    let ended = check(&machine, &["/build", "--json"]).success();
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    for checked in document["checked"].as_array().expect("a list") {
        assert!(checked["rocblas"][0]["shim"].is_string(), "{checked:#}");
        assert_eq!(checked["backend"]["name"], "6.3.0", "{checked:#}");
        assert_eq!(checked["problems"], Value::Array(vec![]), "{checked:#}");
    }
    assert_eq!(document["checked"].as_array().map(Vec::len), Some(2), "{document:#}");
}

#[test]
fn everything_that_would_not_load_is_named_with_its_cure() {
    let machine = Machine::new();
    let build = build_directory(&machine);
    fs::write(build.join("bin/llama-server"), "").expect("write");
    fs::write(build.join("bin/tool"), "").expect("write");
    fs::set_permissions(build.join("bin/tool"), fs::Permissions::from_mode(0o755)).expect("a mode");
    // Two truncated copies, one of them cut within the header; and two files that look damaged but are not.
    let whole = fs::read(build.join("bin/llama-cli")).expect("read");
    fs::write(build.join("bin/llama-cut"), &whole[..whole.len() / 2]).expect("write");
    fs::write(build.join("bin/libcut.so"), &whole[..20]).expect("write");
    fs::write(build.join("bin/llama-cli.debug"), &whole[..whole.len() / 2]).expect("write");
    fs::write(build.join("bin/llama-notes"), "\x7fELVES\n").expect("write");
    fs::remove_file(machine.lib("libhipblas.so.3")).expect("remove");
    fs::remove_file(machine.lib("libamdhip64.so.7")).expect("remove");
    machine.tree.ldconfig();
    // ldconfig creates symlinks for the existing libraries.
    for name in ["libhipblas.so.3", "libamdhip64.so.7"] {
        let _ = fs::remove_file(machine.lib(name));
    }
    let ended = check(&machine, &["/build", "/absent", "/usr/bin/program"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for part in [
        "would not load: /build/bin/llama-cli needs libhipblas.so.3, which is not in",
        "would not load: /build/bin/llama-cli needs libamdhip64.so.7, which is not in",
        "would not load: /usr/bin/program needs libhipblas.so.3",
        "install it, or name its directory",
        "/build/bin/llama-server is empty",
        "/build/bin/tool is empty",
        "/build/bin/llama-cut is not a program that the loader can start",
        "/build/bin/libcut.so is not a program that the loader can start",
        "/absent: No such file",
        "3 of 3 would not load.",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    let ended = check(&machine, &["/build", "--json"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(document["faults"].as_array().map(Vec::len), Some(4), "{document:#}");
    for name in ["llama-server", "tool", "libcut.so"] {
        fs::remove_file(build.join("bin").join(name)).expect("remove");
    }
    let refused = machine.apply(&["--built", "/build"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("/build/bin/llama-cut is not a program"), "{refused:?}");
}

#[test]
fn a_shim_without_a_usable_backend_would_not_do() {
    let machine = Machine::new();
    build_directory(&machine);
    machine.apply(&[]).success();
    let library = machine.lib("rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300");
    let kept = machine.outside().join("kept");
    fs::rename(&library, &kept).expect("move away");
    let refused = |because: &str| {
        let ended = check(&machine, &["/build"]);
        assert_eq!(ended.status.code(), Some(1), "{because}: {ended:?}");
        assert!(ended.stdout.contains(because), "{because}: {ended:?}");
    };
    refused("the shim would find no backend: ");
    fs::rename(&kept, &library).expect("bring back");
    fs::remove_file(machine.lib("libhipblaslt.so.0")).expect("remove");
    refused("needs libhipblaslt.so.0");
}

#[test]
fn programs_without_rocblas_and_empty_directories_are_said() {
    let machine = Machine::new();
    let source = machine.outside().join("other.c");
    fs::write(&source, "int main(void) { return 0; }\n").expect("write");
    machine.tree.build(&source, &[]);
    let ended = check(&machine, &["other"]);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.stdout.contains("GGML_HIP=ON"), "{ended:?}");
    fs::create_dir(machine.tree.root().join("empty")).expect("a directory");
    fs::write(machine.tree.root().join("empty/.lock"), "").expect("write");
    for named in ["/empty", "/absent", "/etc/ld.so.conf"] {
        let ended = check(&machine, &[named]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stdout.contains(named), "{ended:?}");
    }
    let refused = machine.apply(&["--built", "/empty"]);
    assert!(refused.stderr.contains("contains no program"), "{refused:?}");
}

#[test]
fn a_relative_path_and_a_name_are_found_from_the_current_directory() {
    let machine = Machine::new();
    let build = build_directory(&machine);
    let program = Path::new(tests::artefacts::installer());
    fs::remove_dir_all(build.join("bin")).expect("remove");
    fs::create_dir(build.join("bin")).expect("a directory");
    program::copy(program, build.join("bin/tool"));
    // On the running system, where a copy of the installer itself loads.
    for named in [&["build"][..], &["./build/bin/tool"], &["build/bin"]] {
        let mut command = std::process::Command::new(program);
        command.current_dir(machine.tree.root()).arg("check").args(named);
        let ended = run(command.env_remove("LD_LIBRARY_PATH"));
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        assert!(ended.stdout.contains("/build/bin/tool"), "{ended:?}");
        assert!(ended.stdout.contains("It would load."), "{ended:?}");
    }
}
