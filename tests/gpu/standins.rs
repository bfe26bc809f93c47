//! The stand-ins over CUDA, and a tree with them.

use rocblas_contract::hip;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tests::{
    artefacts::workspace,
    compile::{compile, headers},
    kept,
    skip::skip,
    tree::Tree,
};

/// The targets of the two devices, and the version of the backend for each.
pub(crate) const DEVICES: [(&str, &str); 2] = [("gfx906", "4.3.0"), ("gfx1100", "5.2.0")];

/// A backend for the first of [`DEVICES`] that rounds differently and has the fault that `GPU_FAULT` names.
pub(crate) const BAD: &str = "bad";

const HIP: &str = "libamdhip64.so.7";

/// The environment in which programs see [`DEVICES`].
pub(crate) fn environment() -> (&'static str, String) {
    ("GPU_TARGETS", DEVICES.map(|(target, _)| target).join(","))
}

/// A tree with the shim, a HIP runtime, and a backend for each of [`DEVICES`], named by its target. If there
/// is no NVIDIA GPU or no compiler for it, prints that and returns `None`.
pub(crate) fn tree() -> Option<Tree> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = match BUILT.get_or_init(|| compiler().map(|compiler| build(&compiler))) {
        Ok(directory) => directory,
        Err(why) => {
            skip("a GPU", why);
            return None;
        }
    };
    let tree = Tree::with_shim();
    tree.place(&built.join(HIP), HIP);
    for name in DEVICES.map(|(target, _)| target).into_iter().chain([BAD]) {
        tree.add_backend(name, &built.join(name));
    }
    Some(tree)
}

/// Compiles a client of this directory against a tree.
pub(crate) fn client(tree: &Tree, source: &str) -> PathBuf {
    let lib = tree.lib();
    let lib = lib.to_str().expect("UTF-8");
    let output = tree.root().join(Path::new(source).file_stem().expect("a name"));
    let hip = format!("-l:{HIP}");
    // CUDA's libraries are found through the runtime's own search path.
    let linked = ["-L", lib, "-lrocblas", &hip, "-Wl,--allow-shlib-undefined"];
    compile(&file(source), &output, &linked)
}

fn file(name: &str) -> PathBuf {
    workspace().join("tests/gpu").join(name)
}

/// CUDA's compiler, if there is a GPU to run its output.
fn compiler() -> Result<PathBuf, String> {
    let gpus = Command::new("nvidia-smi").arg("-L").output();
    if !gpus.is_ok_and(|gpus| gpus.status.success() && gpus.stdout.starts_with(b"GPU ")) {
        return Err("nvidia-smi finds none of NVIDIA's, which stand in for AMD's here".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = PathBuf::from("/usr/local/cuda/bin");
    let found = std::env::split_paths(&path).chain([usual]).map(|directory| directory.join("nvcc"));
    let mut found = found.filter_map(|nvcc| nvcc.canonicalize().ok());
    found.next().ok_or_else(|| "there is no nvcc, CUDA's compiler, on the PATH".to_owned())
}

/// The runtime and the backends, in a directory.
fn build(compiler: &Path) -> PathBuf {
    let directory = kept::directory();
    let places = [
        format!("-DPROPERTIES={}", hip::DEVICE_PROPERTIES),
        format!("-DNAME_END={}", hip::DEVICE_NAME.end),
        format!("-DTARGET_AT={}", hip::ARCHITECTURE.start),
        format!("-DTARGET_END={}", hip::ARCHITECTURE.end),
    ];
    let library = |source: &str, name: &str, soname: &str, more: &[String]| {
        let cuda = compiler.parent().and_then(Path::parent).expect("in a bin directory");
        let output = Command::new(compiler)
            .args(["-shared", "-O2", "-cudart", "shared", "-Xcompiler", "-fPIC,-Wall", "-I"])
            .arg(headers())
            .args(["-Xlinker", &format!("-soname={soname}"), "-Xlinker"])
            .arg(format!("-rpath={}", cuda.join("lib64").display()))
            .args(&places)
            .arg("-o")
            .arg(directory.join(name))
            .arg(file(source))
            .args(more)
            .output()
            .unwrap_or_else(|e| panic!("{}: {e}", compiler.display()));
        assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
    };
    library("hip.cu", HIP, HIP, &[]);
    let hip = directory.join(HIP).display().to_string();
    let backend = |name: &str, (target, version): (&str, &str), more: &[String]| {
        let traits = [format!("-DTARGET=\"{target}\""), format!("-DVERSION=\"{version}\"")];
        // nvcc itself does not accept a file of that name.
        let linked = ["-Xlinker".to_owned(), hip.clone(), "-lcublas".to_owned()];
        library("rocblas.cu", name, "librocblas.so.4", &[&traits[..], more, &linked].concat());
    };
    for device in DEVICES {
        backend(device.0, device, &[]);
    }
    backend(BAD, DEVICES[0], &["-DBAD".to_owned()]);
    assert!(fs::exists(directory.join(HIP)).expect("look"), "nvcc made no {HIP}");
    directory
}
