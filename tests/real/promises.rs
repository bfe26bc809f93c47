//! Each promise on real libraries: its effect on a program, compared with its absence.

use std::{fs, path::PathBuf};
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{Rocm, Root, compared::Seen, root},
};

/// Every promise that 6.4 needs. `solver-data` is not among them, because 6.4 keeps it itself.
const NEEDED: &str = "atomics,transfers,version,device-properties,hipblaslt,tensile,solutions,syrk-ex,herk-ex,\
     grouped-gemm,batch-strides";

struct Scenario {
    rocm: Rocm,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Scenario {
    /// The shim in front of that library.
    fn new(root: &'static Root, soname: &str) -> Self {
        let rocm = Rocm::shim_before(root, soname);
        let source = workspace().join("tests/clients/real/promises.c");
        let mut arguments = rocm.link_with(&["librocblas.so.5", "libamdhip64.so.7"]);
        arguments.push("-ldl".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let program = compile(&source, &rocm.tree().root().join("promises"), &arguments);
        Self { rocm, program, environment: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    fn run(&self, promises: &str) -> Seen {
        let mut environment = vec![("ROCBLAS_SHIM_COMPAT", promises)];
        environment.extend(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        Seen::of(&self.rocm, &self.program, &[], &environment)
    }

    /// Compares the program's output and HIP calls with all promises and without this one: only the lines with these
    /// names differ.
    #[track_caller]
    fn with_and_without(&self, promise: &str, names: &[&str]) -> [Seen; 2] {
        let [kept, broken] = [self.run(""), self.run(&format!("-{promise}"))];
        let rest: Vec<&str> = NEEDED.split(',').filter(|name| *name != promise).collect();
        assert_eq!(kept.line("active"), NEEDED);
        assert_eq!(broken.line("active"), rest.join(","));
        for (line, other) in kept.printed.iter().zip(&broken.printed) {
            let name = line.split(": ").next().expect("a name");
            let may_differ = name == "active" || names.contains(&name);
            assert!(may_differ || line == other, "{promise}: {line}, without: {other}");
        }
        [kept, broken]
    }
}

/// The shim in front of 6.4.
fn before_6_4(root: &'static Root) -> Scenario {
    Scenario::new(root, "librocblas.so.4")
}

#[test]
fn a_library_of_rocm_7_needs_only_functions_that_came_after_it() {
    let Some(root) = root() else { return };
    let seen = Scenario::new(root, "librocblas.so.5").run("");
    assert_eq!(seen.line("active"), "herk-ex,grouped-gemm,batch-strides");
    // The baseline for the promises.
    assert_eq!(
        (seen.line("atomics"), seen.line("solutions"), seen.line("syrk-ex")),
        ("0", "0", "1")
    );
    assert_eq!(seen.line("device-properties"), before_6_4(root).run("").line("device-properties"));
}

#[test]
fn atomics_are_not_allowed_at_first() {
    let Some(root) = root() else { return };
    let [kept, broken] = before_6_4(root).with_and_without("atomics", &["atomics"]);
    assert_eq!((kept.line("atomics"), broken.line("atomics")), ("0", "1"));
    // The user's setting takes precedence.
    let allowed = before_6_4(root).with("ROCBLAS_DEFAULT_ATOMICS_MODE", "1").run("");
    assert_eq!(allowed.line("atomics"), "1");
}

#[test]
fn a_copy_that_fails_is_no_success() {
    let Some(root) = root() else { return };
    let names = ["transfers", "transfers of rows", "transfers back"];
    // Out of memory, invalid device pointer, and any other error, with the statuses of 7 itself.
    for failures in ["hipMemcpy=2,hipMemcpy2D=17", "hipMemcpy=17,hipMemcpy2D=1"] {
        let scenario = before_6_4(root).with("RECORDING_HIP_FAIL", failures);
        let [kept, broken] = scenario.with_and_without("transfers", &names);
        let of_7 = Scenario::new(root, "librocblas.so.5").with("RECORDING_HIP_FAIL", failures);
        let of_7 = of_7.run("");
        for name in names {
            assert_eq!(kept.line(name), of_7.line(name), "{failures}: {name}");
            assert_ne!(kept.line(name), "0", "{failures}: {name}");
            assert_eq!(broken.line(name), "0", "{failures}: {name}");
        }
    }
}

#[test]
fn copies_reach_the_device_as_before() {
    let Some(root) = root() else { return };
    let [kept, broken] = before_6_4(root).with_and_without("transfers", &[]);
    for name in ["transfers", "transfers of rows", "transfers back"] {
        assert_eq!(kept.hip_of(name), broken.hip_of(name), "{name}");
        assert!(kept.hip_of(name).iter().any(|line| line.starts_with("memcpy")), "{name}");
    }
}

#[test]
fn the_version_is_that_of_rocm_7() {
    let Some(root) = root() else { return };
    let [kept, broken] = before_6_4(root).with_and_without("version", &["version"]);
    assert!(kept.line("version").starts_with("5.0.2."), "{kept:?}");
    assert!(broken.line("version").starts_with("4."), "{broken:?}");
    assert!(kept.line("version").contains(broken.line("version")), "{kept:?}");
}

#[test]
fn rocsolver_gets_device_properties() {
    let Some(root) = root() else { return };
    let name = "device-properties";
    let [kept, broken] = before_6_4(root).with_and_without(name, &[name]);
    assert!(kept.line(name).ends_with("warp size 64"), "{kept:?}");
    assert_eq!(broken.line(name), "none, warp size 0");
}

#[test]
fn kernels_are_the_backends_own_wherever_the_environment_points() {
    let Some(root) = root() else { return };
    // The path of ROCm 7's kernels, set for ROCm 7's library.
    let others = fs::read_dir(root.lib().join("rocblas")).expect("kernels");
    let others = others.map(|entry| entry.expect("an entry").path());
    let others: Vec<PathBuf> = others
        .map(|path| path.join("library"))
        .filter(|path| !path.to_string_lossy().contains("/4."))
        .collect();
    let [others] = others.as_slice() else { panic!("kernels of 7: {others:?}") };
    let set = before_6_4(root).with("ROCBLAS_TENSILE_LIBPATH", others.to_str().expect("UTF-8"));
    let [kept, broken] = set.with_and_without("tensile", &[]);
    let unset = before_6_4(root).run("");
    assert_eq!(kept.hip_of("tensile"), unset.hip_of("tensile"));
    assert_ne!(broken.hip_of("tensile"), unset.hip_of("tensile"), "7's file has the same kernel");
}

#[test]
fn solutions_are_told_without_matrices() {
    let Some(root) = root() else { return };
    let names = ["solutions", "solutions found"];
    let [kept, broken] = before_6_4(root).with_and_without("solutions", &names);
    assert_eq!((kept.line("solutions"), kept.line("solutions found")), ("0", "1"));
    assert_eq!((broken.line("solutions"), broken.line("solutions found")), ("3", "0"));
}

#[test]
fn syrk_ex_checks_its_arguments() {
    let Some(root) = root() else { return };
    let [kept, broken] = before_6_4(root).with_and_without("syrk-ex", &["syrk-ex"]);
    assert_eq!((kept.line("syrk-ex"), broken.line("syrk-ex")), ("1", "2"));
}
