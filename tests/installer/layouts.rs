//! Where users have ROCm 7: packages, wheels and application bundles, with their real layouts. Each is found,
//! patched, used by a program and reverted, through every way of naming it.

use crate::machine::{Machine, is_ldconfigs};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tests::{
    amd_tree::{Bundle, Names},
    compile, kept, program,
    run::{Ended, run},
    skip::skip,
    snapshot::Snapshot,
};

/// A layout.
struct Layout {
    name: &'static str,
    bundle: Bundle,
    /// Adds the other files of the layout.
    more: fn(&Machine),
    /// What `inspect` calls it.
    words: &'static str,
    /// Values for `--rocm`, besides the library directory and rocBLAS itself.
    given: &'static [&'static str],
}

fn link(machine: &Machine, target: &str, inside: &str) {
    symlink(target, at(machine, inside)).expect("link");
}

/// Splits the GPU code from a library, like releases from 7.13 on: a section names the archive.
fn split(machine: &Machine, inside: &str) {
    let strings = ["kernel_name", "stage/lib/librocblas.so.5.4", "kpack_search_paths"];
    let text = |text: &str| [&[0xd9, text.len() as u8], text.as_bytes()].concat();
    // MessagePack: a map with two entries, and an array with one string.
    let mut marker = vec![0x82];
    strings.iter().for_each(|string| marker.extend(text(string)));
    marker.push(0x91);
    marker.extend(text("../.kpack/blas_lib_@GFXARCH@.kpack"));
    let section = machine.outside().join("marker");
    fs::write(&section, marker).expect("write");
    let library = at(machine, inside);
    let added = format!(".rocm_kpack_ref={}", section.display());
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["--remove-section", ".hip_fatbin", "--add-section", &added]).arg(&library);
    run(&mut objcopy).success();
    let archive = library.with_file_name("../.kpack/blas_lib_gfx1100.kpack");
    fs::create_dir_all(archive.parent().expect("a parent")).expect("directories");
    fs::write(archive, "{}").expect("write");
}

/// The machine's path for a path inside it, whose directory is created.
fn at(machine: &Machine, inside: &str) -> PathBuf {
    let path = machine.tree.root().join(inside.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    path
}

fn all() -> Vec<Layout> {
    vec![
        Layout::packages("5.0.70002", "packages of 7.0.2", "/opt/rocm-7.0.2/lib")
            .with(|m| link(m, "rocm-7.0.2", "/opt/rocm"))
            .given(&["/opt/rocm", "/opt/rocm-7.0.2"]),
        Layout::packages(
            "5.2.70200",
            "packages of 7.2 with links by hand to HIP",
            "/opt/rocm-7.2.0/lib",
        )
        .with(|m| {
            link(m, "rocm-7.2.0", "/opt/rocm");
            link(m, "libamdhip64.so.7", "/opt/rocm-7.2.0/lib/libamdhip64.so.6");
        })
        .given(&["/opt/rocm"]),
        Layout::packages("5.4", "packages of 7.14", "/opt/rocm/core-7.14/lib")
            .with(|m| {
                link(m, "core-7.14", "/opt/rocm/core");
                link(m, "core/lib", "/opt/rocm/lib");
                link(m, "rocm/core-7.14", "/opt/rocm-7.14.0");
            })
            .given(&["/opt/rocm", "/opt/rocm/core", "/opt/rocm-7.14.0", "/opt/rocm/lib"]),
        Layout::packages(
            "5.4",
            "packages of 7.14 whose GPU code is in archives",
            "/opt/rocm/core-7.14/lib",
        )
        .with(|m| split(m, "/opt/rocm/core-7.14/lib/librocblas.so.5.4"))
        .given(&["/opt/rocm"]),
        Layout::packages("5.6", "packages of 10.0", "/opt/rocm/core-10.0/lib")
            .with(|m| link(m, "core-10.0", "/opt/rocm/core"))
            .given(&["/opt/rocm", "/opt/rocm/core"]),
        Layout::packages("5.x", "a directory named after another release", "/opt/rocm-6.3.0/lib")
            .given(&["/opt/rocm-6.3.0"]),
        Layout::packages("5.0", "rocm_sdk_builder", "/opt/rocm_sdk_612/lib64")
            .called("rocm_sdk_builder")
            .given(&["/opt/rocm_sdk_612"]),
        Layout::packages("5.2.70200", "Debian's packages", "/usr/lib/x86_64-linux-gnu")
            .called("Debian's or Ubuntu's packages")
            .given(&["/usr"]),
        Layout::packages("5.2.70200", "Fedora's packages", "/usr/lib64")
            .called("Fedora's packages")
            .given(&["/usr"]),
        Layout::wheel(
            "AMD's wheel for all GPUs",
            "/opt/venv/lib/python3.12/site-packages/_rocm_sdk_libraries/lib",
        )
        .given(&["/opt/venv", "/opt/venv/lib/python3.12/site-packages"]),
        Layout::wheel(
            "AMD's wheel for a family of GPUs",
            "/opt/venv/lib/python3.12/site-packages/_rocm_sdk_libraries_gfx90X_dcgpu/lib",
        )
        .given(&["/opt/venv", "/opt/venv/lib/python3.12/site-packages"]),
        Layout::wheel(
            "AMD's wheel with the files for developers",
            "/opt/venv/lib/python3.12/site-packages/_rocm_sdk_libraries_gfx94X/lib",
        )
        .with(|m| {
            let site = "/opt/venv/lib/python3.12/site-packages";
            for (package, library) in [
                ("_rocm_sdk_libraries_gfx94X", "librocblas.so.5"),
                ("_rocm_sdk_libraries_gfx94X", "libhipblas.so.3"),
                ("_rocm_sdk_core", "libamdhip64.so.7"),
            ] {
                let target = format!("../../{package}/lib/{library}");
                link(m, &target, &format!("{site}/_rocm_sdk_devel/lib/{library}"));
            }
        })
        .given(&["/opt/venv"]),
        Layout::torch(
            "PyTorch in a virtual environment on another disk",
            "/media/HDD/programs/AI/ComfyUI/venv-linux/lib/python3.12/site-packages/torch/lib",
        )
        .given(&[
            "/media/HDD/programs/AI/ComfyUI/venv-linux",
            "/media/HDD/programs/AI/ComfyUI/venv-linux/lib/python3.12/site-packages",
            "/media/HDD/programs/AI/ComfyUI/venv-linux/lib/python3.12/site-packages/torch",
        ]),
        Layout::torch(
            "PyTorch in /opt/vllm-venv",
            "/opt/vllm-venv/lib/python3.12/site-packages/torch/lib",
        )
        .given(&["/opt/vllm-venv"]),
        Layout::torch(
            "PyTorch of a conda environment",
            "/opt/conda/envs/py_3.12/lib/python3.12/site-packages/torch/lib",
        )
        .given(&["/opt/conda/envs/py_3.12"]),
        Layout::torch(
            "PyTorch of a tool of uv",
            "/root/.local/share/uv/tools/vllm/lib/python3.12/site-packages/torch/lib",
        )
        .given(&["/root/.local/share/uv/tools/vllm"]),
        Layout::torch(
            "PyTorch of an application of pipx",
            "/root/.local/share/pipx/venvs/comfy/lib/python3.12/site-packages/torch/lib",
        )
        .given(&["/root/.local/share/pipx/venvs/comfy"]),
        Layout::packages(
            "5.2.70200",
            "Ollama with bundles of two releases",
            "/usr/lib/ollama/rocm_v7",
        )
        .called("Ollama")
        .with(|m| {
            let other = at(m, "/usr/lib/ollama/rocm_v6/librocblas.so.4.3.60303");
            fs::copy(m.backend.join("librocblas.so.4"), other).expect("copy");
            link(m, "librocblas.so.4.3.60303", "/usr/lib/ollama/rocm_v6/librocblas.so.4");
        }),
        Layout::packages(
            "5.2.70200",
            "LM Studio",
            "/root/.lmstudio/extensions/backends/vendor/linux-llama-rocm-vendor-v3",
        )
        .called("LM Studio"),
    ]
}

impl Layout {
    fn new(name: &'static str, bundle: Bundle, words: &'static str) -> Self {
        Self { name, bundle, more: |_| {}, words, given: &[] }
    }

    /// AMD's packages, with this version of rocBLAS.
    fn packages(version: &'static str, name: &'static str, lib: &'static str) -> Self {
        let names = Names::Versioned(version);
        Self::new(name, Bundle { lib, core: None, names }, "AMD's packages")
    }

    /// AMD's wheels, which have the HIP runtime in another package.
    fn wheel(name: &'static str, lib: &'static str) -> Self {
        let core = Some("../../_rocm_sdk_core/lib");
        Self::new(name, Bundle { lib, core, names: Names::Sonames }, "AMD's wheel")
    }

    fn torch(name: &'static str, lib: &'static str) -> Self {
        Self::new(name, Bundle { lib, core: None, names: Names::Plain }, "a PyTorch wheel")
    }

    fn with(self, more: fn(&Machine)) -> Self {
        Self { more, ..self }
    }

    fn called(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    fn given(self, given: &'static [&'static str]) -> Self {
        Self { given, ..self }
    }

    fn laid_out(&self) -> Machine {
        let machine = Machine::without_rocm();
        machine.tree.add(&self.bundle);
        (self.more)(&machine);
        machine.tree.ldconfig();
        program::copy(opens(), at(&machine, OPENS));
        machine
    }

    /// rocBLAS under the name that programs load.
    fn rocblas(&self) -> String {
        let name = match self.bundle.names {
            Names::Plain => "librocblas.so",
            Names::Versioned(_) | Names::Sonames => "librocblas.so.5",
        };
        format!("{}/{name}", self.bundle.lib)
    }

    fn hipblas(&self) -> String {
        let name = match self.bundle.names {
            Names::Plain => "libhipblas.so",
            Names::Versioned(_) | Names::Sonames => "libhipblas.so.3",
        };
        format!("{}/{name}", self.bundle.lib)
    }
}

/// Opens hipBLAS like Python and llama.cpp's plug-ins, and queries the rocBLAS that is loaded with it.
const PROGRAM: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **arguments) {
    if (!dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL)) {
        puts(dlerror());
        return 1;
    }
    int (*scal)(void *, int, const float *, float *, int) = dlsym(RTLD_DEFAULT, "rocblas_sscal");
    const char *(*name)(void) = dlsym(RTLD_DEFAULT, "rocblas_shim_backend_name");
    float one = 1;
    printf("scal %d by %s\n", scal(0, 1, &one, &one, 1), name ? name() : "stock");
    return 0;
}"#;

/// The program, compiled once for all machines.
fn opens() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let directory = kept::directory();
        let source = directory.join("opens.c");
        fs::write(&source, PROGRAM).expect("write");
        compile::compile(&source, &directory.join("opens"), &["-ldl"])
    })
}

/// The path of the program in the machines.
const OPENS: &str = "/usr/bin/opens";

/// The program's output in a root; `None` if changing the root is not permitted.
fn used(machine: &Machine, hipblas: &str) -> Option<String> {
    let Some(mut command) = machine.tree.inside(&at(machine, OPENS)) else {
        skip("programs in another root", "changing the root needs root's rights");
        return None;
    };
    Some(run(command.arg(hipblas)).silent_success().stdout)
}

fn exactly(machine: &Machine) -> Snapshot {
    let is_left_out = |path: &Path| is_ldconfigs(path) || path == Path::new("etc/ld.so.cache");
    Snapshot::exact(machine.tree.root()).without(is_left_out)
}

/// Ignores the times of directories, which change with any name in them.
#[track_caller]
fn assert_exactly(before: &Snapshot, machine: &Machine, what: &str) {
    let mut differences = before.differences(&exactly(machine));
    differences.retain(|line| {
        let (path, _) = line.split_once(": ").expect("a path");
        !(line.contains(": time ") && machine.tree.root().join(path).is_dir())
    });
    assert!(differences.is_empty(), "{what}: changed:\n{}", differences.join("\n"));
}

fn apply(machine: &Machine, given: &str) -> Ended {
    machine.apply(&["--gpu", "gfx906", "--rocm", given])
}

#[test]
fn every_layout_is_patched_used_and_reverted() {
    for layout in all() {
        let name = layout.name;
        let machine = layout.laid_out();
        let lib = layout.bundle.lib;
        let stock = used(&machine, &layout.hipblas());
        assert!(stock.is_none_or(|said| said == "scal 1 by stock\n"), "{name}");
        let before = exactly(&machine);

        let inspected = machine.tree.installer(&["inspect"]).success().stdout;
        let heading = inspected.lines().find(|line| line.starts_with(&format!("{lib}: ")));
        let heading = heading.unwrap_or_else(|| panic!("{name}: {lib} is not in {inspected}"));
        assert!(heading.ends_with(layout.words), "{name}: {heading}");
        let runtime = inspected.contains("libamdhip64.so");
        assert!(runtime, "{name}: no HIP runtime in {inspected}");

        let rocblas = layout.rocblas();
        for given in layout.given.iter().chain([&rocblas.as_str()]) {
            let planned = machine.apply(&["--dry-run", "--rocm", given]);
            let is_it = planned.stdout.starts_with(&format!("# in {lib}/\n"));
            assert!(planned.status.success() && is_it, "{name}: --rocm {given}: {planned:?}");
        }
        let given = layout.given.first().unwrap_or(&lib);
        let applied = apply(&machine, given);
        assert!(applied.status.success(), "{name}: --rocm {given}: {applied:?}");
        assert_works(&machine, &layout, given);
        let reverted = machine.tree.installer(&["revert", "--rocm", given]);
        assert!(reverted.status.success(), "{name}: --rocm {given}: {reverted:?}");
        assert_exactly(&before, &machine, name);
        // Without a name, because it is the only tree.
        machine.apply(&[]).success();
        machine.assert_applied();
        machine.tree.installer(&["revert"]).success();
        assert_exactly(&before, &machine, name);
    }
}

/// Checks what the commands print after `apply`, and what a program loads.
#[track_caller]
fn assert_works(machine: &Machine, layout: &Layout, given: &str) {
    let name = layout.name;
    let of = |command: &[&str]| {
        let ended = machine.tree.installer(&[command, &["--rocm", given]].concat());
        assert!(ended.status.success(), "{name}: {command:?} --rocm {given}: {ended:?}");
        ended.stdout
    };
    assert!(of(&["status"]).contains("applied: shim"), "{name}");
    of(&["verify"]);
    let doctor = of(&["doctor"]);
    assert!(!doctor.contains("dead end"), "{name}: {doctor}");
    let again = apply(machine, given).success().stdout;
    assert!(again.contains("Nothing to do"), "{name}: {again}");
    let inspected = machine.tree.installer(&["inspect", "--gpu", "gfx906", given]).success();
    assert!(inspected.stdout.contains("gfx906 is covered"), "{name}: {inspected:?}");
    let said = used(machine, &layout.hipblas());
    assert!(said.is_none_or(|said| said == "scal 77 by 6.3.0\n"), "{name}");
}

#[test]
fn a_layout_by_a_second_name_is_the_same_tree() {
    for layout in all() {
        let name = layout.name;
        let machine = layout.laid_out();
        let lib = machine.tree.root().join(&layout.bundle.lib[1..]);
        let top = layout.bundle.lib.rsplit_once('/').expect("a parent").0;
        link(&machine, top, "/srv/linked");
        let before = exactly(&machine);
        let leaf = layout.bundle.lib.rsplit_once('/').expect("a parent").1;
        let linked = format!("/srv/linked/{leaf}");
        apply(&machine, &linked).success();
        let status = machine.tree.installer(&["status", "--rocm", layout.bundle.lib]).success();
        assert!(status.stdout.contains("applied: shim"), "{name}: {status:?}");
        machine.tree.installer(&["revert", "--rocm", &linked]).success();
        assert_exactly(&before, &machine, name);

        // A bind mount of the library directory alone would separate a wheel from its runtime.
        let bound = at(&machine, "/srv/bound/x");
        let bound = bound.parent().expect("a directory");
        let top = machine.tree.root().join(&top[1..]);
        let packages = if layout.bundle.core.is_some() { top.parent() } else { Some(&*top) };
        let packages = packages.expect("a parent");
        let inside = Path::new("/srv/bound").join(lib.strip_prefix(packages).expect("below"));
        let inside = inside.to_str().expect("UTF-8");
        if !run(Command::new("mount").arg("--bind").arg(packages).arg(bound)).status.success() {
            skip("a layout behind a bind mount", "mounting needs root's rights");
            continue;
        }
        let applied = apply(&machine, inside);
        let reverted = machine.tree.installer(&["revert", "--rocm", layout.bundle.lib]);
        run(Command::new("umount").arg(bound)).success();
        fs::remove_dir(bound).expect("remove");
        assert!(applied.status.success(), "{name}: {applied:?}");
        assert!(reverted.status.success(), "{name}: {reverted:?}");
        assert_exactly(&before, &machine, name);
    }
}

/// The shim opens the backend's dependencies through its own search path, which does not include
/// `_rocm_sdk_core`.
#[test]
fn symlinks_into_another_package_are_relative_as_the_search_path_is() {
    let layout = all().into_iter().find(|layout| layout.name == "AMD's wheel for all GPUs");
    let layout = layout.expect("in the table");
    for (compat, is_link) in [("links", true), ("stubs", false)] {
        let machine = layout.laid_out();
        let lib = machine.tree.root().join(&layout.bundle.lib[1..]);
        machine.apply(&["--compat", compat]).success();
        let link = |name: &str| fs::read_link(lib.join(name)).ok();
        let hip = is_link.then(|| PathBuf::from("../../_rocm_sdk_core/lib/libamdhip64.so.7"));
        assert_eq!(link("libamdhip64.so.6"), hip);
        let roctx = PathBuf::from("../../_rocm_sdk_core/lib/libroctx64.so.4");
        assert_eq!(link("libroctx64.so.4"), Some(roctx));
        // A virtual environment may be moved.
        fs::rename(machine.tree.root().join("opt/venv"), at(&machine, "/srv/venv")).expect("move");
        let moved = layout.hipblas().replace("/opt/", "/srv/");
        let said = used(&machine, &moved);
        assert!(said.is_none_or(|said| said == "scal 77 by 6.3.0\n"), "{compat}");
    }
}

/// The stock library finds the runtime through a search path relative to its own location, which is different
/// in the store.
#[test]
fn the_stock_library_of_a_wheel_is_a_backend_that_loads() {
    let layout = all().into_iter().find(|layout| layout.name == "AMD's wheel for all GPUs");
    let layout = layout.expect("in the table");
    let machine = layout.laid_out();
    machine.apply(&[]).success();
    let listed = machine.tree.installer(&["backends", "list"]).success().stdout;
    let stock = listed.lines().find(|line| !line.contains("6.3.0") && line.contains("librocblas"));
    let name = stock.and_then(|line| line.split_whitespace().next()).unwrap_or("stock");
    machine.tree.installer(&["backends", "use", name]).success();
    let said = used(&machine, &layout.rocblas());
    assert!(said.is_none_or(|said| said == format!("scal 1 by {name}\n")), "{listed}");
}

#[test]
fn a_collected_wheel_has_the_runtime_that_its_symlinks_point_to() {
    let layout = all().into_iter().find(|layout| layout.name == "AMD's wheel for all GPUs");
    let layout = layout.expect("in the table");
    let machine = layout.laid_out();
    machine.apply(&["--gpu", "gfx906"]).success();
    let into = machine.outside().join("collected");
    let into = into.to_str().expect("UTF-8");
    machine.tree.installer(&["collect", "--into", into, OPENS, &layout.hipblas()]).success();
    let lib = Path::new(into).join(&layout.bundle.lib[1..]);
    for name in ["libamdhip64.so.6", "libroctx64.so.4", "librocblas.so.5"] {
        assert!(fs::metadata(lib.join(name)).is_ok(), "{name} leads nowhere");
    }
}

/// LM Studio goes by the bundle's manifest, whatever GPUs the libraries serve.
#[test]
fn a_gpu_that_lm_studio_does_not_offer_is_said() {
    let layout = all().into_iter().find(|layout| layout.name == "LM Studio");
    let layout = layout.expect("in the table");
    let machine = layout.laid_out();
    let backends = "/root/.lmstudio/extensions/backends";
    let engine = format!("{backends}/llama.cpp-linux-x86_64-amd-rocm-avx2-1.67.0");
    let manifest = |targets: &str| {
        let vendor = "linux-llama-rocm-vendor-v3";
        format!(
            r#"{{"gpu": {{"framework": "ROCm", "targets": [{targets}]}},
                "vendor_lib_package_names": ["{vendor}"]}}"#
        )
    };
    let write = |targets: &str| {
        let path = at(&machine, &format!("{engine}/backend-manifest.json"));
        fs::write(path, manifest(targets)).expect("write");
    };
    write(r#""gfx1030", "gfx1100""#);
    // In another vendor directory.
    let other =
        at(&machine, &format!("{backends}/llama.cpp-linux-x86_64-cuda/backend-manifest.json"));
    fs::write(other, r#"{"gpu": {"targets": ["x"]}, "vendor_lib_package_names": ["y"]}"#)
        .expect("write");
    let lib = layout.bundle.lib;
    let said = ["on gfx1030, gfx1100 only", "add \"gfx906\" to gpu.targets"];
    let applied = apply(&machine, lib).success().stdout;
    let applied = applied.split_whitespace().collect::<Vec<_>>().join(" ");
    let inspected = machine.tree.installer(&["inspect", "--gpu", "gfx906", lib]).success().stdout;
    let inspected = inspected.split_whitespace().collect::<Vec<_>>().join(" ");
    let doctor = machine.tree.installer(&["doctor", "--gpu", "gfx906", "--rocm", lib]);
    assert!(doctor.stdout.contains("LM Studio does not use gfx906"), "{doctor:?}");
    for text in [applied, inspected] {
        assert!(said.iter().all(|said| text.contains(said)), "{text}");
    }
    write(r#""gfx906", "gfx1100""#);
    let doctor = machine.tree.installer(&["doctor", "--gpu", "gfx906", "--rocm", lib]).success();
    assert!(!doctor.stdout.contains("LM Studio does not"), "{doctor:?}");
}
