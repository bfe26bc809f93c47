//! Programs and libraries that do not belong to ROCm: the GPU code in them, and the ROCm libraries that they
//! would load, with search paths like those of PyPI's plug-ins.

use crate::machine::Machine;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{
    amd_tree::{GFX906, GFX908, with_gpu_code},
    compile,
};

const SOURCE: &str = "
int rocblas_create_handle(void **), hipblasCreate(void **), hipGetDevice(int *);
int use(void) {
    int device;
    return rocblas_create_handle(0) + hipblasCreate(0) + hipGetDevice(&device);
}
";
const MAIN: &str = "int main(void) { return use(); }\n";

/// Links a file in the tree against the tree's libraries.
fn linked(machine: &Machine, inside: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let path = machine.tree.root().join(&inside[1..]);
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    let text = machine.outside().join("object.c");
    fs::write(&text, source).expect("write");
    let lib = format!("-L{}", machine.tree.lib().display());
    let libraries = ["-lrocblas", "-lhipblas", "-lamdhip64", "-Wl,--allow-shlib-undefined"];
    compile::compile(&text, &path, &[&[lib.as_str()], &libraries[..], arguments].concat())
}

fn plugin(machine: &Machine, inside: &str, path: &str) -> PathBuf {
    linked(machine, inside, SOURCE, &["-shared", "-fPIC", path])
}

/// The document of `inspect` about a file.
fn inspected(machine: &Machine, inside: &str) -> Value {
    let ended = machine.tree.installer(&["--json", "inspect", inside]).success();
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(document["trees"], Value::Array(vec![]), "{document:#}");
    document["objects"][0].clone()
}

fn path<'a>(object: &'a Value, kind: &str) -> &'a Path {
    Path::new(object[kind][0]["path"].as_str().unwrap_or_else(|| panic!("{kind}: {object:#}")))
}

/// A tree that is neither in the cache nor in a default directory.
fn apart() -> Machine {
    let machine = Machine::new();
    fs::remove_file(machine.tree.root().join("etc/ld.so.conf.d/rocm.conf")).expect("remove");
    machine.tree.ldconfig();
    machine
}

#[test]
fn what_plugins_of_pypi_would_load_before_and_after_apply() {
    let machine = apart();
    // JAX's plug-in searches some sixty directories, of packages that are mostly absent.
    let places = (0..60).map(|n| format!("$ORIGIN/../package_{n}/lib"));
    let places: Vec<String> =
        places.chain(["/opt/rocm/lib".into(), "$ORIGIN/../../lib".into()]).collect();
    let site = "/opt/venv/lib/python3.12/site-packages";
    let jax = format!("{site}/jax_rocm7_plugin/xla_rocm_plugin.so");
    let long = format!("-Wl,--disable-new-dtags,-rpath,{}", places.join(":"));
    plugin(&machine, &jax, &long);
    // ONNX Runtime's provider searches two directories.
    let onnx = format!("{site}/onnxruntime/capi/libonnxruntime_providers_rocm.so");
    plugin(&machine, &onnx, "-Wl,--enable-new-dtags,-rpath,$ORIGIN:/opt/rocm-7.0.2/lib");
    let lib = Path::new("/opt/rocm-7.0.2/lib");
    let hip = lib.join("libamdhip64.so.7.0.70002");
    let hipblas = lib.join("libhipblas.so.3.0.70002");
    for file in [&jax, &onnx] {
        let object = inspected(&machine, file);
        assert_eq!(object["program"], false, "{object:#}");
        assert_eq!(path(&object, "rocblas"), lib.join("librocblas.so.5.0.70002"));
        assert_eq!((path(&object, "hip"), path(&object, "hipblas")), (&*hip, &*hipblas));
        let check = machine.tree.installer(&["check", file]);
        assert!(check.stdout.contains("librocblas.so.5.0.70002"), "{check:?}");
    }
    machine.apply(&[]).success();
    for file in [&jax, &onnx] {
        let object = inspected(&machine, file);
        assert_eq!(path(&object, "rocblas"), lib.join("librocblas.so.5.99.0"));
        assert_eq!((path(&object, "hip"), path(&object, "hipblas")), (&*hip, &*hipblas));
        assert_eq!(object["backend"]["name"], "6.3.0", "{object:#}");
        let text = machine.tree.installer(&["inspect", file]).success().stdout;
        assert!(text.contains(&format!("{file}: a library")), "{text}");
        assert!(text.contains("  backend  6.3.0: /opt/rocm-7.0.2/lib/rocblas-shim"), "{text}");
    }
}

#[test]
fn a_file_that_finds_no_rocblas_is_said() {
    let machine = apart();
    plugin(&machine, "/srv/plugin.so", "-Wl,-rpath,$ORIGIN/../nothing");
    let text = machine.tree.installer(&["inspect", "/srv/plugin.so"]).success().stdout;
    assert!(text.contains("would not load"), "{text}");
    assert!(text.contains("librocblas.so.5"), "{text}");
}

#[test]
fn programs_are_inspected_at_a_fixed_address_or_not() {
    let machine = Machine::new();
    for (name, kind) in [("/usr/bin/fixed", "-no-pie"), ("/usr/bin/pie", "-pie")] {
        let plain = linked(&machine, name, &format!("{SOURCE}{MAIN}"), &["-fPIC", kind]);
        let object = inspected(&machine, name);
        assert_eq!(object["program"], true, "{name}: {object:#}");
        let stock = "/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002";
        assert_eq!(path(&object, "rocblas"), Path::new(stock), "{name}");
        with_gpu_code(&plain, &[GFX908], &plain);
        let inspect = |gpu: &str| {
            let ended = machine.tree.installer(&["inspect", "--gpu", gpu, name]).success();
            ended.stdout
        };
        assert!(inspect("gfx908").contains("gfx908 is covered"), "{name}");
        let lacking = inspect("gfx906");
        assert!(lacking.contains("gfx906 is not covered"), "{name}: {lacking}");
        assert!(!lacking.contains("Tensile"), "{name}: {lacking}");
    }
    let refused = machine.tree.installer(&["inspect", "/etc/ld.so.conf"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("/etc/ld.so.conf is not a library or program (at "),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("this is not an ELF file"), "{refused:?}");
}

#[test]
fn a_program_whose_own_kernels_are_for_other_gpus_is_said_by_apply() {
    let machine = Machine::new();
    let source = format!("{SOURCE}{MAIN}");
    // As a build for several configurations creates it.
    let program = linked(&machine, "/build/bin/Release/llama-cli", &source, &[]);
    fs::write(machine.tree.root().join("build/.ninja_lock"), "").expect("write");
    fs::write(machine.tree.root().join("build/bin/.lock"), "").expect("write");
    let planned = |gpu: &str| {
        // The stock library serves gfx908.
        let asked = ["--built", "/build", "--gpu", gpu, "--not-needed-ok", "--dry-run"];
        machine.apply(&asked).success().stdout
    };
    assert!(!planned("gfx906").contains("GPU code"), "code is in a library that it loads");
    let plain = machine.outside().join("plain");
    fs::copy(&program, &plain).expect("copy");
    with_gpu_code(&plain, &[GFX908], &program);
    let said = "/build/bin/Release/llama-cli has GPU code for gfx908 but none for gfx906";
    assert!(planned("gfx906").contains(said), "{}", planned("gfx906"));
    assert!(!planned("gfx908").contains("GPU code"));
    with_gpu_code(&plain, &[GFX906, GFX908], &program);
    machine.apply(&["--built", "/build", "--gpu", "gfx906"]).success();
}
