//! Programs that run in the tree after `apply`, with that tree's loader: in a root of its own, with its cache
//! and an empty environment.

use crate::machine::Machine;
use std::{fs, path::PathBuf};
use tests::{
    amd_tree::{AmdTree, Backend, rocm_6_3},
    compile::library,
    run::{Ended, run},
    skip::skip,
};

/// Prints the backend in use, and calls one of its functions.
const PROGRAM: &str = r#"
#include <rocblas.h>
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    float one = 1;
    rocblas_handle handle = 0;
    int scal = rocblas_sscal(handle, 1, &one, &one, 1);
    const char *(*name)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "rocblas_shim_backend_name");
    printf("backend %s scal %d\n", name ? name() : "stock", scal);
    return 0;
}"#;

pub(crate) fn build(machine: &Machine) -> PathBuf {
    build_with(machine, &[])
}

fn build_with(machine: &Machine, more: &[&str]) -> PathBuf {
    let source = machine.outside().join("program.c");
    fs::write(&source, PROGRAM).expect("write");
    // A program that uses ROCm has already loaded the HIP runtime.
    let libraries = ["-lrocblas", "-Wl,--no-as-needed", "-lhipblas", "-lamdhip64"];
    machine.tree.build(&source, &[&libraries, more].concat())
}

/// `None` if changing the root is not permitted.
fn runs(tree: &AmdTree, program: &std::path::Path) -> Option<Ended> {
    let Some(mut command) = tree.inside(program) else {
        skip("programs in another root", "changing the root needs root's rights");
        return None;
    };
    Some(run(&mut command))
}

#[test]
fn the_backend_loads_from_the_store_in_every_way_of_compatibility() {
    // With an empty RUNPATH, with one to a missing directory, and with one that is DT_RPATH.
    for traits in [
        &[][..],
        &["-Wl,--enable-new-dtags,-rpath,/opt/rocm-6.3.0/lib"],
        &["-Wl,--disable-new-dtags,-rpath,$ORIGIN/../nothing"],
        &["-Wl,-z,now"],
    ] {
        let mut machine = Machine::new();
        machine.backend = rocm_6_3(&machine.outside().join("other"), Backend::Needing(traits));
        let program = build(&machine);
        for compat in ["links", "stubs"] {
            machine.apply(&["--compat", compat]).success();
            let Some(ended) = runs(&machine.tree, &program) else { return };
            let ended = ended.silent_success();
            assert_eq!(ended.stdout, "backend 6.3.0 scal 77\n", "{compat} {traits:?}");
            machine.revert().success();
            let stock = runs(&machine.tree, &program).expect("as before").success();
            assert!(stock.stdout.starts_with("backend stock"), "{stock:?}");
        }
    }
}

/// A library of ROCm 7 that only the backend needs, under the same name.
pub(crate) fn add_roctx(machine: &mut Machine) -> PathBuf {
    let source = machine.outside().join("roctx.c");
    fs::write(&source, "int roctxMarkA(const char *text) { return 0; }").expect("write");
    let roctx = library(&source, &machine.lib("libroctx64.so.4"), "libroctx64.so.4", &[]);
    let needs = ["-Wl,--no-as-needed", roctx.to_str().expect("UTF-8")];
    machine.backend = rocm_6_3(&machine.outside().join("other"), Backend::Needing(&needs));
    roctx
}

#[test]
fn a_bundle_that_no_cache_knows_has_what_its_backend_needs() {
    let mut machine = Machine::new();
    add_roctx(&mut machine);
    fs::remove_file(machine.tree.root().join("etc/ld.so.conf.d/rocm.conf")).expect("remove");
    machine.tree.ldconfig();
    // A RUNPATH only applies to the program's own dependencies.
    let path = "-Wl,--enable-new-dtags,-rpath,/opt/rocm-7.0.2/lib";
    let program = build_with(&machine, &["-lrocsolver", path]);
    machine.apply(&["--built", "/usr/bin/program"]).success();
    let Some(ended) = runs(&machine.tree, &program) else { return };
    assert_eq!(ended.silent_success().stdout, "backend 6.3.0 scal 77\n");
}

#[test]
fn stubs_are_in_the_loaders_cache() {
    let machine = Machine::new();
    machine.apply(&["--compat", "stubs"]).success();
    let cached = machine.tree.cached();
    for name in ["libamdhip64.so.6", "libhipblaslt.so.0"] {
        assert!(cached.iter().any(|(soname, _)| soname == name), "{name}: {cached:?}");
        assert!(!machine.lib(name).symlink_metadata().expect("there").is_symlink());
    }
    // Switching from one way to the other and back leaves nothing of the other.
    machine.apply(&["--compat", "links"]).success();
    assert!(machine.lib("libamdhip64.so.6").symlink_metadata().expect("there").is_symlink());
}

#[test]
fn the_real_runtime_of_the_old_name_does_not_come_into_the_process() {
    let machine = Machine::new();
    let source = machine.outside().join("hip.c");
    fs::write(&source, "int hip_6(void) { return 6; }\n").expect("write");
    let real = machine.lib("libamdhip64.so.6");
    library(&source, &real, "libamdhip64.so.6", &[]);
    machine.tree.ldconfig();
    let program = build(&machine);
    for compat in ["links", "stubs"] {
        machine.apply(&["--compat", compat]).success();
        let Some(ended) = runs(&machine.tree, &program) else { return };
        assert_eq!(ended.silent_success().stdout, "backend 6.3.0 scal 77\n", "{compat}");
    }
}

#[test]
fn programs_are_built_before_and_after() {
    let machine = Machine::new();
    let before = build(&machine);
    machine.apply(&["--built", "/usr/bin/program"]).success();
    let Some(ended) = runs(&machine.tree, &before) else { return };
    assert_eq!(ended.silent_success().stdout, "backend 6.3.0 scal 77\n");
    fs::remove_file(&before).expect("remove");
    let after = build(&machine);
    let ended = runs(&machine.tree, &after).expect("as before").silent_success();
    assert_eq!(ended.stdout, "backend 6.3.0 scal 77\n");
}

#[test]
fn the_name_that_cmake_refers_to_stays_as_a_link() {
    let machine = Machine::new();
    let package = machine.lib("cmake/rocblas");
    fs::create_dir_all(&package).expect("make a package");
    let text = "set(IMPORTED_LOCATION \"${_IMPORT_PREFIX}/lib/librocblas.so.5.0.70002\")\n";
    fs::write(package.join("rocblas-targets-release.cmake"), text).expect("write");
    let before = machine.snapshot();
    machine.apply(&[]).success();
    let link = machine.link("librocblas.so.5.0.70002");
    assert_eq!(link, std::path::Path::new("librocblas.so.5.99.0"));
    machine.tree.ldconfig();
    machine.assert_applied();
    let again = machine.apply(&[]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    machine.apply(&["--no-build-link"]).success();
    assert!(machine.lib("librocblas.so.5.0.70002").symlink_metadata().is_err());
    machine.revert().success();
    before.assert_same(&machine.snapshot());
}
