//! Real libraries reduced by `installer slim`: the same statuses and the same calls of the HIP runtime as
//! with the whole ones, with its check of targets on.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    artefacts::{self, workspace},
    compile::compile,
    real::{
        Rocm, Root,
        compared::{Seen, assert_same},
        development, every_solver, fatbin, root, say,
    },
    run::run_within,
};

/// Functions that crash or succeed at random, even with the complete 7.2.
const BY_CHANCE: [&str; 5] = [
    "rocblas_gemm_batched_ex_get_solutions",
    "rocblas_gemm_batched_ex_get_solutions_by_type",
    "rocblas_gemm_ex_get_solutions",
    "rocblas_gemm_ex_get_solutions_by_type",
    "rocblas_gemm_strided_batched_ex_get_solutions",
];

/// Longer than an unoptimized installer takes for a library with a gigabyte of kernels.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a command and prints its peak memory in KiB. For a direct child, the kernel's count would include the memory
/// of this process before the child's program was loaded.
const MEASURED: &str = "
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
";

/// The maximum memory for plain bundles, and for compressed ones, which are decompressed one after the other; in
/// bytes.
const MOST_MEMORY: [u64; 2] = [64 << 20, 256 << 20];

/// The maximum size of rocBLAS 6.4.4 with the kernels of gfx906, in bytes.
const MOST_OF_6_4: u64 = 125_000_000;

/// A reduced library.
struct Slim {
    directory: TempDir,
    name: String,
}

impl Slim {
    fn new(root: &Root, soname: &str, gpus: &str) -> Self {
        let whole = root.library(soname);
        let slim =
            Self { directory: tempfile::tempdir().expect("a directory"), name: soname.to_owned() };
        let start = Instant::now();
        let mut command = Command::new("python3");
        command.args(["-c", MEASURED]).arg(artefacts::installer());
        command.arg("slim").arg(&whole).args(["--gpu", gpus, "--output"]).arg(slim.path());
        let ended = run_within(&mut command, LIMIT).success();
        let peak = ended.stdout.lines().last().and_then(|line| line.parse::<u64>().ok());
        let peak = peak.unwrap_or_else(|| panic!("{ended:?}")) << 10;
        let (before, after) = (size(&whole), size(&slim.path()));
        let (took, memory) = (start.elapsed(), peak >> 20);
        say(&format!("{soname} for {gpus}: {before} -> {after} bytes in {took:.1?}, {memory} MiB"));
        assert!(after < before / 2, "{soname}: {after} of {before} bytes");
        let is_plain = soname == "librocblas.so.4";
        let most = MOST_MEMORY[usize::from(!is_plain)];
        assert!(peak <= most, "{soname}: {peak} bytes of memory");
        slim
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("there").len()
}

/// Runs a program on a target; launches of kernels without code for it fail.
fn on(target: &str, rocm: &Rocm, program: &Path, arguments: &[&str]) -> Seen {
    let environment = [("RECORDING_HIP_TARGET", target), ("RECORDING_HIP_CHECK_TARGETS", "1")];
    Seen::of(rocm, program, arguments, &environment)
}

fn client(rocm: &Rocm, source: &str, libraries: &[&str]) -> PathBuf {
    let arguments = rocm.link_with(libraries);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let path = workspace().join("tests/clients/real").join(source);
    compile(&path, &rocm.tree().root().join("client"), &arguments)
}

#[test]
fn a_slim_rocblas_behaves_as_the_whole_one() {
    let Some(root) = root() else { return };
    let every_function = Path::new(env!("CARGO_BIN_EXE_every_function"));
    for (soname, gpus) in [
        ("librocblas.so.5", "gfx906"),
        ("librocblas.so.5", "gfx906,gfx1030"),
        ("librocblas.so.4", "gfx906"),
        ("librocblas.so.4", "gfx906,gfx1030"),
    ] {
        let slim = Slim::new(root, soname, gpus);
        assert!(
            (soname, gpus) != ("librocblas.so.4", "gfx906") || size(&slim.path()) <= MOST_OF_6_4
        );
        let whole = Rocm::without_shim(root, &root.library(soname));
        let reduced = Rocm::without_shim(root, &slim.path());
        let compare = |program: &Path, arguments: &[&str]| {
            let [whole, seen] = [&whole, &reduced]
                .map(|rocm| on("gfx906", rocm, program, arguments).without(&BY_CHANCE));
            assert_same(&whole, &seen, &format!("{soname} for {gpus}: {arguments:?}"));
            seen
        };
        for variant in ["valid", "transposed"] {
            let seen = compare(every_function, &["librocblas.so.5", variant]);
            assert!(seen.launches() > 1_900, "{soname}, {variant}: {} launches", seen.launches());
        }
        // llama.cpp's SOLVE_TRI.
        let solve = client(&whole, "strsm.c", &["librocblas.so.5", "libamdhip64.so.7"]);
        assert!(compare(&solve, &[]).launches() > 0, "{soname} for {gpus}");
        // hipBLAS of 7 needs functions that 6.4 lacks.
        if soname == "librocblas.so.5" {
            let libraries = ["libhipblas.so.3", "librocblas.so.5", "libamdhip64.so.7"];
            let seen = compare(&client(&whole, "blas_calls.c", &libraries), &[]);
            assert!(seen.launches() > 0, "{seen:?}");
        }
    }
}

#[test]
fn a_target_that_was_not_kept_fails_as_in_a_library_without_kernels() {
    let Some(root) = root() else { return };
    let slim = Slim::new(root, "librocblas.so.5", "gfx906");
    let directory = tempfile::tempdir().expect("a directory");
    let without = directory.path().join("librocblas.so.5");
    fatbin::without_kernels(&root.library("librocblas.so.5"), &without);
    let slim = Rocm::without_shim(root, &slim.path());
    let without = Rocm::without_shim(root, &without);
    let program = client(&slim, "strsm.c", &["librocblas.so.5", "libamdhip64.so.7"]);
    let [slim, without] = [&slim, &without].map(|rocm| on("gfx90a", rocm, &program, &[]));
    assert_same(&without, &slim, "gfx90a");
    assert!(slim.hip.iter().any(|line| line.contains("hipErrorInvalidDeviceFunction")), "{slim:?}");
}

#[test]
fn a_slim_rocsolver_behaves_as_the_whole_one() {
    let Some(root) = root() else { return };
    let whole = Rocm::without_shim(root, &root.library("librocblas.so.5"));
    let libraries = ["librocsolver.so.0", "librocblas.so.5", "libamdhip64.so.7"];
    let program = client(&whole, "solver_calls.c", &libraries);
    for gpus in ["gfx906", "gfx906,gfx1030"] {
        let slim = Slim::new(root, "librocsolver.so.0", gpus);
        let reduced = Rocm::without_shim(root, &root.library("librocblas.so.5"));
        symlink(slim.path(), reduced.tree().lib().join("librocsolver.so.0")).expect("link");
        // The root has Tensile files of this library.
        let [whole, seen] = [&whole, &reduced].map(|rocm| on("gfx906", rocm, &program, &[]));
        assert_same(&whole, &seen, &format!("rocSOLVER for {gpus}"));
        assert!(seen.launches() > 0 && seen.line("rocsolver_dsyevd") == "0", "{seen:?}");
    }
}

#[test]
fn every_function_of_a_slim_rocsolver_does_what_it_does_in_the_whole_one() {
    let (Some(root), Some(development)) = (root(), development()) else { return };
    let include = development.join("usr/include");
    let header = fs::read_to_string(include.join("rocsolver/rocsolver-functions.h"));
    let (source, functions) = every_solver::client(&header.expect("rocSOLVER's header"));
    assert!(functions > 500, "{functions} prototypes");
    let whole = Rocm::without_shim(root, &root.library("librocblas.so.5"));
    let file = whole.tree().root().join("every_solver.c");
    fs::write(&file, source).expect("write");
    let libraries = ["librocsolver.so.0", "librocblas.so.5", "libamdhip64.so.7"];
    let include = format!("-I{}", include.display());
    let arguments = [vec![include], whole.link_with(&libraries)].concat();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = compile(&file, &whole.tree().root().join("every_solver"), &arguments);
    let slim = Slim::new(root, "librocsolver.so.0", "gfx906");
    let reduced = Rocm::without_shim(root, &root.library("librocblas.so.5"));
    symlink(slim.path(), reduced.tree().lib().join("librocsolver.so.0")).expect("link");
    let [whole, seen] = [&whole, &reduced].map(|rocm| on("gfx906", rocm, &program, &[]));
    assert_same(&whole, &seen, "rocSOLVER's functions");
    say(&format!("{functions} functions of rocSOLVER, {} launches", seen.launches()));
    assert!(seen.launches() > functions, "{} launches", seen.launches());
}

/// How often each library is loaded to compare times; the first time reads it from the disk.
const STARTS: usize = 6;

#[test]
fn a_slim_rocblas_is_loaded_no_slower_than_the_whole_one() {
    let Some(root) = root() else { return };
    let slim = Slim::new(root, "librocblas.so.4", "gfx906");
    let whole = Rocm::without_shim(root, &root.library("librocblas.so.4"));
    let reduced = Rocm::without_shim(root, &slim.path());
    let program = client(&whole, "strsm.c", &["librocblas.so.5", "libamdhip64.so.7"]);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (rocm, times) in [&whole, &reduced].into_iter().zip(&mut times) {
            let start = Instant::now();
            on("gfx906", rocm, &program, &[]);
            times.push(start.elapsed());
        }
    }
    let [whole, reduced] = times.map(|times| times.into_iter().skip(1).min().expect("several"));
    say(&format!(
        "a client of librocblas.so.4: {whole:.1?} with the whole library, {reduced:.1?} slim"
    ));
    // On a busy machine both vary.
    assert!(reduced < whole * 2, "{reduced:.1?} and {whole:.1?}");
}
