//! Every promise of rocBLAS 5.x, kept and switched off, so that each test is shown to fail without the promise.
//! These tests use stand-ins; `real/` tests the same on AMD's own libraries, `solver_data.rs` tests rocSOLVER's
//! data on a handle, and `later_functions.rs` the results of functions that a backend lacks.

use std::{fs, os::unix::fs::symlink, path::Path};
use tests::{
    artefacts,
    compile::library,
    real::recording,
    run::{Ended, client, run},
    scenario::{c_backend, c_backend_with_soname, linked_client},
    tree::Tree,
};

struct Scenario {
    tree: Tree,
    program: std::path::PathBuf,
}

impl Scenario {
    fn with(backend: &Path) -> Self {
        let tree = Tree::with_backend(backend);
        let program = linked_client(&tree, "promises.c", &[]);
        Self { tree, program }
    }

    /// A C backend on the recording HIP runtime.
    fn with_hip() -> Self {
        let tree = Tree::with_shim();
        let hip = tree.lib().join("libamdhip64.so.7");
        symlink(recording::runtime(), &hip).expect("link to the runtime");
        let hip = hip.to_str().expect("UTF-8");
        let backend = c_backend(&tree, "hip-backend.so", &["-DUSES_HIP", hip]);
        tree.add_backend("only", &backend);
        let program = linked_client(&tree, "promises.c", &[]);
        Self { tree, program }
    }

    fn run(&self, environment: &[(&str, &str)]) -> Ended {
        run(client(&self.tree, &self.program).envs(environment.iter().copied())).success()
    }

    /// The client's output for `name`, with every promise kept and with one switched off.
    fn on_and_off(&self, promise: &str, key: &str) -> [String; 2] {
        let off = format!("-{promise}");
        let [on, off] = [self.run(&[]), self.run(&[("ROCBLAS_SHIM_COMPAT", off.as_str())])];
        assert!(line(&on, "compat").split(',').any(|name| name == promise), "{on:?}");
        assert!(!line(&off, "compat").split(',').any(|name| name == promise), "{off:?}");
        [on, off].map(|ended| line(&ended, key).to_owned())
    }
}

#[track_caller]
fn line<'a>(ended: &'a Ended, key: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    ended.stdout.lines().find_map(value).unwrap_or_else(|| panic!("no {key} in {ended:?}"))
}

/// The promises that are kept for a backend, and the messages up to a level.
fn compat_of(backend: &Path, log: &str) -> Ended {
    let tree = Tree::with_backend(backend);
    let program = linked_client(&tree, "compat.c", &[]);
    run(client(&tree, &program).env("ROCBLAS_SHIM_LOG", log)).success()
}

/// The promises that depend on how old a backend is, and on nothing else.
const BY_GENERATION: [&str; 5] = ["atomics", "version", "hipblaslt", "tensile", "solutions"];

#[test]
fn promises_depend_on_the_number_of_the_version_whatever_the_library_is_called() {
    for (soname, version, is_older) in [
        ("librocblas.so", "4.3.0.3216-cbcdc2d", true),
        ("librocblas.so", "5.0.2.70002-56", false),
        ("librocblas.so.0", "4.4.1", true),
        ("librocblas.so.3", "3.1.0.pliable", true),
        ("librocblas.so.3", "", true),
        ("librocblas.so.4", "", true),
        ("librocblas.so.5", "", false),
        ("librocblas.so.5.7", "", false),
        ("librocblas.so.40", "", false),
        ("librocblas.so.4", "10.1.0", false),
    ] {
        let tree = Tree::new();
        let version_trait = format!("-DVERSION=\"{version}\"");
        let backend = c_backend_with_soname(&tree, "backend.so", soname, &[&version_trait]);
        let ended = compat_of(&backend, "warn");
        let kept: Vec<&str> = line(&ended, "compat").split(',').collect();
        for promise in BY_GENERATION {
            assert_eq!(kept.contains(&promise), is_older, "{soname} {version}: {promise}");
        }
        assert!(!ended.stderr.contains("which version"), "{soname} {version}: {ended:?}");
    }
}

#[test]
fn a_backend_of_unknown_version_is_said_and_gets_every_promise() {
    let tree = Tree::new();
    let traits = ["-DVERSION=\"develop\""];
    let backend = c_backend_with_soname(&tree, "backend.so", "librocblas.so", &traits);
    let ended = compat_of(&backend, "warn");
    let kept: Vec<&str> = line(&ended, "compat").split(',').collect();
    assert!(BY_GENERATION.iter().all(|promise| kept.contains(promise)), "{ended:?}");
    assert!(
        ended.stderr.contains("cannot tell which version of rocBLAS the backend is"),
        "{ended:?}"
    );
    assert_eq!(compat_of(&backend, "error").stderr, "", "not printed unless it is asked for");
}

#[test]
fn atomics_are_not_allowed_unless_the_user_says_so() {
    let scenario = Scenario::with(artefacts::reference());
    assert_eq!(scenario.on_and_off("atomics", "atomics"), ["0 0", "0 1"]);
    let set = scenario.run(&[("ROCBLAS_DEFAULT_ATOMICS_MODE", "1")]);
    assert_eq!(line(&set, "atomics"), "0 1", "what the user set is left alone");
}

#[test]
fn a_backend_that_asks_for_the_mode_of_atomics_is_told() {
    let tree = Tree::new();
    let scenario = Scenario::with(&c_backend(&tree, "few.so", &[]));
    let variable = "ROCBLAS_DEFAULT_ATOMICS_MODE";
    assert_eq!(scenario.on_and_off("atomics", variable), ["0", "(unset)"]);
    let set = scenario.run(&[(variable, "1")]);
    assert_eq!(line(&set, variable), "1", "what the user set is left alone");
}

#[test]
fn the_version_is_5_0_2_and_names_the_pair() {
    let scenario = Scenario::with(artefacts::reference());
    let [on, off] = scenario.on_and_off("version", "version");
    assert_eq!(on, format!("0 5.0.2.shim-{}-4.3.0.stand-in 1", env!("CARGO_PKG_VERSION")));
    assert_eq!(off, "0 4.3.0.stand-in 1");
    assert_eq!(scenario.on_and_off("version", "commit"), ["0 1", "2 0"]);
    assert_eq!(line(&scenario.run(&[]), "version null"), "3 small=4");
}

#[test]
fn a_program_is_told_the_version_that_the_settings_say() {
    let scenario = Scenario::with(artefacts::reference());
    let told = line(&scenario.run(&[("ROCBLAS_SHIM_PRESENTS", "5.2.0")]), "version").to_owned();
    assert!(told.starts_with("0 5.2.0.shim-"), "{told}");
    let wrong = scenario.run(&[("ROCBLAS_SHIM_PRESENTS", "seven")]);
    assert!(line(&wrong, "version").starts_with("0 5.0.2.shim-"), "{wrong:?}");
    assert!(
        wrong.stderr.contains("ROCBLAS_SHIM_PRESENTS: `seven` is not a version of rocBLAS"),
        "{wrong:?}"
    );
}

#[test]
fn syrk_ex_checks_its_arguments_before_it_declines() {
    let tree = Tree::new();
    let scenario = Scenario::with(&c_backend(&tree, "few.so", &[]));
    assert_eq!(scenario.on_and_off("syrk-ex", "syrk_ex"), ["4 2", "2 2"]);
}

#[test]
fn solutions_may_be_asked_for_without_matrices() {
    let tree = Tree::new();
    let scenario = Scenario::with(&c_backend(&tree, "few.so", &[]));
    assert_eq!(scenario.on_and_off("solutions", "solutions"), ["0 4321", "3 -1"]);
}

#[test]
fn a_failing_transfer_answers_the_status_of_its_error() {
    let scenario = Scenario::with_hip();
    let failing = |compat: &str, code: &str| {
        let fail = format!("hipMemcpy={code}");
        let ended =
            scenario.run(&[("RECORDING_HIP_FAIL", fail.as_str()), ("ROCBLAS_SHIM_COMPAT", compat)]);
        line(&ended, "transfer").to_owned()
    };
    assert_eq!(scenario.on_and_off("transfers", "transfer"), ["0", "0"]);
    // Out of memory, invalid device pointer, invalid device, invalid value.
    for (code, status) in [("2", "5"), ("17", "3"), ("101", "1"), ("1", "6")] {
        assert_eq!(failing("", code), status, "hipError_t {code}");
        assert_eq!(failing("-transfers", code), "0", "4.3.0 returns success");
    }
    assert_eq!(line(&scenario.run(&[]), "sizes"), "0 4 3");
}

#[test]
fn the_properties_of_a_handles_device_are_there() {
    let scenario = Scenario::with_hip();
    assert_eq!(scenario.on_and_off("device-properties", "warp"), ["64 1", "0 0"]);
}

#[test]
fn variables_for_another_rocblas_are_hidden_by_promise() {
    let tree = Tree::new();
    let scenario = Scenario::with(&c_backend(&tree, "few.so", &[]));
    for (promise, variable, instead) in [
        ("hipblaslt", "ROCBLAS_USE_HIPBLASLT", "0"),
        ("tensile", "ROCBLAS_TENSILE_LIBPATH", "(unset)"),
        ("tensile", "ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH", "(unset)"),
    ] {
        let off = format!("-{promise}");
        let seen = |compat: &str| {
            let ended = scenario.run(&[
                (variable, "meant for another"),
                ("ROCBLAS_SHIM_COMPAT", compat),
                ("ROCBLAS_SHIM_LOG", "warn"),
            ]);
            let warned = ended.stderr.contains(&format!("{variable} is hidden from the backend"));
            (line(&ended, variable).to_owned(), warned)
        };
        assert_eq!(seen(""), (instead.to_owned(), true), "{variable}");
        assert_eq!(seen(&off), ("meant for another".to_owned(), false), "{variable}");
    }
}

#[test]
fn hipblaslt_is_off_and_not_left_to_the_gpu() {
    // If the variable is not set, the backend decides by the architecture, and calls hipBLASLt on gfx12.
    let tree = Tree::new();
    let scenario = Scenario::with(&c_backend(&tree, "few.so", &[]));
    let [on, off] = scenario.on_and_off("hipblaslt", "ROCBLAS_USE_HIPBLASLT");
    assert_eq!([on.as_str(), off.as_str()], ["0", "(unset)"]);
    let asked_for = scenario.run(&[("ROCBLAS_USE_HIPBLASLT", "0"), ("ROCBLAS_SHIM_LOG", "warn")]);
    assert!(!asked_for.stderr.contains("hidden"), "nothing is kept from the backend");
}

#[test]
fn a_library_of_rocm_7_needs_none_that_it_keeps_itself() {
    let scenario = Scenario::with(artefacts::stock());
    let ended = scenario.run(&[]);
    // Functions of later releases are not promises of this one.
    assert_eq!(line(&ended, "compat"), "syrk-ex,herk-ex,grouped-gemm,batch-strides");
    assert!(line(&ended, "version").starts_with("0 5.0.2.stand-in"), "{ended:?}");
}

#[test]
fn a_second_hip_runtime_in_the_process_is_refused() {
    let scenario = Scenario::with_hip();
    let other = scenario.tree.root().join("libamdhip64.so.6");
    let source = artefacts::standins().join("other_hip.c");
    library(&source, &other, "libamdhip64.so.6", &[]);
    let mut command = client(&scenario.tree, &scenario.program);
    let ended = run(command.env("LD_PRELOAD", &other)).success();
    assert_eq!(line(&ended, "create"), "6", "{ended:?}");
    assert!(ended.stderr.contains("would load a second HIP runtime into the process"), "{ended:?}");
    assert!(ended.stderr.contains(&other.display().to_string()), "{ended:?}");

    // A library without code under the old name is not a second runtime.
    fs::remove_file(&other).expect("remove");
    let source = scenario.tree.root().join("nothing.c");
    fs::write(&source, "").expect("write");
    let runtime = scenario.tree.lib().join("libamdhip64.so.7");
    let needs = ["-Wl,--no-as-needed", runtime.to_str().expect("UTF-8")];
    let stub = library(&source, &other, "libamdhip64.so.6", &needs);
    let mut command = client(&scenario.tree, &scenario.program);
    let ended = run(command.env("LD_PRELOAD", &stub)).success();
    assert_eq!(line(&ended, "create"), "0", "{ended:?}");
}

#[test]
fn a_gpu_without_tensile_kernels_is_named_instead_of_an_abort() {
    let scenario = Scenario::with_hip();
    let kernels = scenario.tree.lib().join("rocblas-shim/backends/only/lib/rocblas/library");
    fs::create_dir_all(&kernels).expect("make the Tensile directory");
    fs::write(kernels.join("TensileLibrary_lazy_gfx90a.dat"), "").expect("write");
    let ended = scenario.run(&[("RECORDING_HIP_TARGET", "gfx906:sramecc+:xnack-")]);
    assert_eq!(line(&ended, "create"), "6", "{ended:?}");
    let message = format!(
        "the backend has no Tensile kernels for gfx906 (device 0), so no handle is created for that \
         GPU: there is no TensileLibrary_lazy_gfx906.dat in {}",
        kernels.canonicalize().expect("made above").display()
    );
    assert!(ended.stderr.contains(&message), "{ended:?}");
    let other = scenario.run(&[("RECORDING_HIP_TARGET", "gfx90a")]);
    assert_eq!(line(&other, "create"), "0", "{other:?}");
}

#[test]
fn a_needed_library_that_is_not_there_is_named_with_its_cure() {
    let scenario = Scenario::with_hip();
    fs::remove_file(scenario.tree.lib().join("libamdhip64.so.7")).expect("remove the runtime");
    let ended = scenario.run(&[]);
    assert_eq!(line(&ended, "create"), "6", "{ended:?}");
    assert!(ended.stderr.contains("libamdhip64.so.7: cannot open shared object file"), "{ended:?}");
    assert!(ended.stderr.contains("It needs that library itself (DT_NEEDED)"), "{ended:?}");
}
