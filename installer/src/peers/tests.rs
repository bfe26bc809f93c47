//! Where the HIP runtime of a tree is found, in trees of stand-ins.

use super::*;
use std::{fs, os::unix::fs::symlink, process::Command};

/// A root with library files made by C's compiler.
struct Image {
    _directory: tempfile::TempDir,
    root: Root,
}

impl Image {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::new(directory.path()).expect("a root");
        Self { _directory: directory, root }
    }

    fn place(&self, inside: &str) -> PathBuf {
        let path = self.root.directory().join(inside.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        path
    }

    /// A library with its file name as SONAME.
    fn library(&self, inside: &str, arguments: &[&str]) {
        let output = self.place(inside);
        let name = output.file_name().expect("a name").to_str().expect("UTF-8");
        let mut command = Command::new("cc");
        command.args([
            "-shared",
            "-nostdlib",
            "-Wl,--no-as-needed",
            "-x",
            "c",
            "/dev/null",
            "-x",
            "none",
        ]);
        command.arg(format!("-Wl,-soname,{name}")).args(arguments).arg("-o").arg(&output);
        assert!(command.status().expect("a C compiler").success());
    }

    fn hip(&self, lib: &str) -> Option<(String, String)> {
        let lib = self.root.resolve(Path::new(lib)).expect("a directory");
        let Peer { path, target } = Peers::of(&self.root, &lib).hip()?;
        Some((path.display().to_string(), target.display().to_string()))
    }
}

const SITE: &str = "/venv/lib/python3.12/site-packages";
const HIP: &str = "/venv/lib/python3.12/site-packages/_rocm_sdk_core/lib/libamdhip64.so.7";
const TO_CORE: &str = "-Wl,-rpath,$ORIGIN/../../_rocm_sdk_core/lib";
const DT_RUNPATH: &str = "-Wl,--enable-new-dtags";
const DT_RPATH: &str = "-Wl,--disable-new-dtags";

/// AMD's wheel, with what this file of it says of search paths.
fn wheel(tags: &str, rocblas: &str) -> (Image, String) {
    let image = Image::new();
    image.library(HIP, &[]);
    let lib = format!("{SITE}/_rocm_sdk_libraries/lib");
    image.library(&format!("{lib}/{rocblas}"), &[TO_CORE, tags]);
    (image, lib)
}

#[test]
fn either_search_path_of_rocblas_leads_to_the_runtime() {
    for tags in [DT_RUNPATH, DT_RPATH] {
        let (image, lib) = wheel(tags, "librocblas.so.5");
        let target = "../../_rocm_sdk_core/lib/libamdhip64.so.7";
        assert_eq!(image.hip(&lib), Some((HIP.to_owned(), target.to_owned())), "{tags}");
    }
}

#[test]
fn the_origin_is_where_a_symlinked_directory_really_is() {
    let (image, lib) = wheel(DT_RUNPATH, "librocblas.so.5");
    symlink(lib, image.place("/opt/rocm/lib")).expect("link");
    assert_eq!(image.hip("/opt/rocm/lib").expect("found").0, HIP);
}

#[test]
fn with_the_shim_in_front_the_stored_library_says_where_and_without_it_hipblas() {
    let (image, lib) = wheel(DT_RUNPATH, "rocblas-shim/backends/7.2.0/lib/librocblas.so.5");
    image.library(&format!("{lib}/librocblas.so.5"), &[]);
    assert_eq!(image.hip(&lib), None, "another rocBLAS, which says nothing");
    fs::remove_file(image.place(&format!("{lib}/librocblas.so.5"))).expect("remove");
    assert_eq!(image.hip(&lib).expect("found").0, HIP);
    let (image, lib) = wheel(DT_RUNPATH, "libhipblas.so.3");
    assert_eq!(image.hip(&lib).expect("found").0, HIP);
}

#[test]
fn a_runtime_next_to_rocblas_is_found_without_a_search_path() {
    for name in ["libamdhip64.so.7", "libamdhip64.so", "libamdhip64.so.6"] {
        let image = Image::new();
        image.library("/bundle/librocblas.so.5", &[]);
        assert_eq!(image.hip("/bundle"), None);
        image.library(&format!("/bundle/{name}"), &[]);
        let found = image.hip("/bundle").expect("found");
        assert_eq!(found, (format!("/bundle/{name}"), name.to_owned()));
    }
}

#[test]
fn the_name_that_rocblas_needs_comes_first() {
    let image = Image::new();
    image.library("/bundle/libamdhip64.so.7", &[]);
    image.library("/bundle/libamdhip64.so", &[]);
    let plain = image.place("/bundle/libamdhip64.so");
    image.library("/bundle/librocblas.so.5", &[plain.to_str().expect("UTF-8")]);
    assert_eq!(image.hip("/bundle").expect("found").0, "/bundle/libamdhip64.so");
}
