//! The same calls directly on 6.4 and through the shim: the same statuses, and the same launches
//! with the same grids in the same order.

use std::path::{Path, PathBuf};
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{
        Rocm,
        compared::{Seen, assert_same, both, device_properties},
        promised::{PROMISED, not_in_6_4},
        root,
    },
};

/// Both ways of running a program; rocSOLVER, which hipBLAS needs, does not load with 6.4 alone.
struct Ways {
    direct: Rocm,
    shim: Rocm,
    preloaded: String,
}

impl Ways {
    fn new(root: &'static tests::real::Root) -> Self {
        let (direct, shim) = both(root);
        let preloaded = device_properties(&direct).to_str().expect("UTF-8").to_owned();
        Self { direct, shim, preloaded }
    }

    /// On 6.4 as it is.
    fn directly(&self, program: &Path, arguments: &[&str]) -> Seen {
        Seen::of(&self.direct, program, arguments, &[("LD_PRELOAD", &self.preloaded)])
    }

    /// On 6.4 with the default atomics mode of 7: it excludes products that are split over several work groups and
    /// summed by atomics, so other kernels are chosen for few columns.
    fn directly_without_atomics(&self, program: &Path, arguments: &[&str]) -> Seen {
        let environment =
            [("LD_PRELOAD", self.preloaded.as_str()), ("ROCBLAS_DEFAULT_ATOMICS_MODE", "0")];
        Seen::of(&self.direct, program, arguments, &environment)
    }

    fn through_the_shim(&self, program: &Path, arguments: &[&str], promises: &str) -> Seen {
        Seen::of(&self.shim, program, arguments, &[("ROCBLAS_SHIM_COMPAT", promises)])
    }
}

/// The calls of llama.cpp for which 6.4 chooses other kernels without atomics.
const BY_ATOMICS: [&str; 6] =
    ["Sgemm n=1", "GemmEx f32 n=1", "Sgemm n=8", "GemmEx f32 n=8", "Sgemm n=32", "GemmEx f32 n=32"];

fn blas_calls(rocm: &Rocm) -> PathBuf {
    let source = workspace().join("tests/clients/real/blas_calls.c");
    // hipBLAS comes first; the program itself is linked with rocBLAS.
    let arguments = rocm.link_with(&["libhipblas.so.3", "librocblas.so.5", "libamdhip64.so.7"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    compile(&source, &rocm.tree().root().join("blas_calls"), &arguments)
}

#[test]
fn llama_cpps_calls_through_hipblas() {
    let Some(root) = root() else { return };
    let ways = Ways::new(root);
    let program = blas_calls(&ways.shim);
    let directly = ways.directly(&program, &[]);
    for promises in ["-all", "-atomics"] {
        let seen = ways.through_the_shim(&program, &[], promises);
        assert_same(&directly, &seen, &format!("ROCBLAS_SHIM_COMPAT={promises}"));
    }
    // With the promises, only those calls differ that also differ in 6.4 itself due to the atomics mode.
    let promised = ways.through_the_shim(&program, &[], "");
    assert_same(&ways.directly_without_atomics(&program, &[]), &promised, "promises");
    let differs = |name: &str| directly.hip_of(name) != promised.hip_of(name);
    let names = directly.printed.iter().filter_map(|line| line.split(": ").next());
    let different: Vec<&str> = names.filter(|name| differs(name)).collect();
    let named = different.iter().all(|name| BY_ATOMICS.contains(name));
    assert!(named && !different.is_empty(), "{different:?}");
    // Both succeed and launch a kernel for each call.
    for line in &directly.printed {
        let (name, status) = line.split_once(": ").expect("name: status");
        let wrong = name == "GemmEx with a type that there is not";
        assert_eq!(status != "0", wrong, "{line}");
        let computes =
            !wrong && !matches!(name, "Create" | "hipStreamCreate" | "SetStream" | "Destroy");
        let launches = directly.hip_of(name).iter().filter(|l| l.starts_with("launch ")).count();
        assert_eq!(launches > 0, computes, "{name}: {launches} launches");
    }
    assert!(directly.hip.iter().any(|line| line.contains("stream=1")), "SetStream had no effect");
}

#[test]
fn levels_1_to_3_through_hipblas() {
    let Some(root) = root() else { return };
    let ways = Ways::new(root);
    let program = Path::new(env!("CARGO_BIN_EXE_every_function"));
    for variant in ["valid", "transposed"] {
        let arguments = ["libhipblas.so.3", variant];
        let directly = ways.directly(program, &arguments);
        for promises in ["-all", ""] {
            let seen = ways.through_the_shim(program, &arguments, promises);
            let what = format!("{variant}, ROCBLAS_SHIM_COMPAT={promises}");
            assert_same(&directly, &seen, &what);
        }
        let succeeded = directly.printed.iter().filter(|line| line.ends_with(": 0")).count();
        assert!(succeeded > 900 && directly.launches() > 1_500, "{variant}: {directly:?}");
    }
}

#[test]
fn every_function_of_rocblas() {
    let Some(root) = root() else { return };
    let ways = Ways::new(root);
    let program = Path::new(env!("CARGO_BIN_EXE_every_function"));
    for variant in ["valid", "transposed"] {
        let arguments = ["librocblas.so.5", variant];
        let directly = ways.directly(program, &arguments).without(&not_in_6_4());
        let seen = ways.through_the_shim(program, &arguments, "-all").without(&not_in_6_4());
        assert_same(&directly, &seen, &format!("{variant}, no promises"));
        let [directly, seen] = [directly, ways.through_the_shim(program, &arguments, "")]
            .map(|seen| seen.without(&not_in_6_4()).without(&PROMISED));
        assert_same(&directly, &seen, &format!("{variant}, promises"));
        let succeeded = directly.printed.iter().filter(|line| line.ends_with("success")).count();
        assert!(succeeded > 1_100 && directly.launches() > 1_900, "{variant}: {directly:?}");
    }
}
