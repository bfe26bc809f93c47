//! Checks that the stand-ins match the real libraries in everything that the installer inspects.

use super::*;
use crate::{compile::cxx, elf::face, skip::skip, snapshot::Snapshot};
use goblin::elf::{Elf, SectionHeader, header::EM_X86_64};

/// A program that calls a ROCm library.
const PROGRAM: &str = r#"
#include <rocblas.h>
#include <stdio.h>
int main(void) {
    char version[64];
    rocblas_get_version_string(version, sizeof version);
    puts(version);
    return 0;
}"#;

fn build(tree: &AmdTree, libraries: &[&str]) -> PathBuf {
    let directory = tempfile::tempdir().expect("make a directory");
    let source = directory.path().join("program.c");
    fs::write(&source, PROGRAM).expect("write a program");
    tree.build(&source, libraries)
}

#[test]
fn programs_run_in_the_root() {
    let tree = AmdTree::new();
    // Linked with hipBLAS although it calls no function of it, so that everything is loaded.
    let mut libraries = vec!["-lrocblas", "-Wl,--no-as-needed", "-lhipblas", "-lm"];
    // A C compiler alone does not bring it.
    libraries.extend(cxx().map(|_| "-lstdc++"));
    let program = build(&tree, &libraries);
    let Some(mut command) = tree.inside(&program) else {
        skip("programs in another root", "changing the root needs root's rights");
        return;
    };
    let ended = run(command.env("LD_BIND_NOW", "1")).silent_success();
    assert_eq!(ended.stdout, "5.0.2.stand-in\n");
    // The program uses this root's library.
    fs::remove_file(tree.lib().join("librocblas.so.5")).expect("remove a link");
    let ended = run(&mut command);
    assert!(ended.stderr.contains("librocblas.so.5: cannot open shared object"), "{ended:?}");
}

#[test]
fn ldconfig_restores_the_stock_link() {
    let tree = AmdTree::new();
    let link = tree.lib().join("librocblas.so.5");
    fs::remove_file(&link).expect("remove a link");
    symlink("librocsolver.so.0", &link).expect("link");
    tree.ldconfig();
    assert_eq!(fs::read_link(&link).expect("a link"), Path::new("librocblas.so.5.0.70002"));
    let cached = tree.cached();
    let path = |name: &str| cached.iter().find(|(soname, _)| soname == name).map(|(_, path)| path);
    assert_eq!(path("librocblas.so.5").expect("cached"), "/opt/rocm/lib/librocblas.so.5");
    assert!(path("libc.so.6").is_some() && path("libstdc++.so.6").is_some(), "{cached:?}");
    assert!(path("libamdhip64.so.6").is_none(), "{cached:?}");
}

#[test]
fn libraries_need_what_the_real_ones_need() {
    let tree = AmdTree::new();
    let directory = tempfile::tempdir().expect("make a directory");
    let backends = rocm_6_3(directory.path(), Backend::Needing(&[]));
    let of = |file: PathBuf, soname: &str, expected: &[&str], hip: Option<&str>| {
        let face = face(&file);
        assert_eq!(face.soname, soname);
        let needed: Vec<_> = face.needed.iter().filter(|n| !n.starts_with("libc.")).collect();
        assert_eq!(needed, expected, "{soname}");
        let versions = face.needs.iter().filter(|(_, version)| version.starts_with("hip_"));
        let versions: Vec<_> = versions.map(|(l, v)| (l.as_str(), v.as_str())).collect();
        assert_eq!(
            versions,
            hip.map(|library| (library, "hip_4.2")).into_iter().collect::<Vec<_>>()
        );
    };
    let hip = "libamdhip64.so.7";
    let lib = tree.lib();
    of(lib.join(hip), hip, &[], None);
    of(lib.join("libhipblaslt.so.1"), "libhipblaslt.so.1", &[hip], Some(hip));
    let needed = ["librocblas.so.5", hip];
    of(lib.join("librocsolver.so.0"), "librocsolver.so.0", &needed, Some(hip));
    let needed = ["librocblas.so.5", "librocsolver.so.0", hip];
    of(lib.join("libhipblas.so.3"), "libhipblas.so.3", &needed, Some(hip));
    let needed = ["libamdhip64.so.6", "libhipblaslt.so.0"];
    of(backends.join("librocblas.so.4.3.60300"), "librocblas.so.4", &needed, Some(needed[0]));
    // Its dependencies must not be next to it.
    let names =
        backends.read_dir().expect("read").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["librocblas.so", "librocblas.so.4", "librocblas.so.4.3.60300", "rocblas"]);
}

/// The targets and the kernel descriptors of each bundle of a library.
fn gpu_code(library: &Path) -> Vec<(Vec<String>, String)> {
    let bytes = fs::read(library).expect("read a library");
    let elf = Elf::parse(&bytes).expect("a library");
    assert_eq!(elf.header.e_machine, EM_X86_64);
    let mut sections = elf.section_headers.iter();
    let section = sections.find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(".hip_fatbin"));
    let range = section.and_then(SectionHeader::file_range).expect("GPU code");
    assert_eq!(range.start % 4096, 0);
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8")) as usize;
    let mut bundles = Vec::new();
    for start in range.step_by(4096) {
        if !bytes[start..].starts_with(b"__CLANG_OFFLOAD_BUNDLE__") {
            continue;
        }
        let (mut targets, mut descriptor, mut at) = (vec![], String::new(), start + 32);
        for _ in 0..number(start + 24) {
            let (offset, size, length) = (start + number(at), number(at + 8), number(at + 16));
            let target = String::from_utf8_lossy(&bytes[at + 24..at + 24 + length]).into_owned();
            at += 24 + length;
            let Some(gpu) = target.strip_prefix("hipv4-amdgcn-amd-amdhsa--") else { continue };
            let code = Elf::parse(&bytes[offset..offset + size]).expect("a code object");
            assert_eq!(code.header.e_machine, 224, "{target}");
            let names = code.dynsyms.iter().filter_map(|s| code.dynstrtab.get_at(s.st_name));
            let mut descriptors = names.filter_map(|name| name.strip_suffix(".kd"));
            descriptor = descriptors.next().expect("a kernel").to_owned();
            targets.push(format!("{gpu} {:#x}", code.header.e_flags));
        }
        bundles.push((targets, descriptor));
    }
    bundles
}

#[test]
fn libraries_have_gpu_code_that_names_its_kernels() {
    let tree = AmdTree::new();
    let directory = tempfile::tempdir().expect("make a directory");
    let backend = rocm_6_3(directory.path(), Backend::Computing).join("librocblas.so.4");
    let expected = |targets: &[&str]| {
        let targets: Vec<_> = targets.iter().map(|target| (*target).to_owned()).collect();
        KERNELS.map(|kernel| (targets.clone(), kernel.to_owned())).to_vec()
    };
    let stock = gpu_code(&tree.lib().join("librocblas.so.5"));
    assert_eq!(stock, expected(&["gfx908 0x30", "gfx942 0x4c"]));
    let targets = ["gfx900 0x2c", "gfx906 0x2f", "gfx908 0x30"];
    assert_eq!(gpu_code(&backend), expected(&targets));
}

#[test]
fn a_duplicate_is_the_same() {
    let tree = AmdTree::new();
    let of = |tree: &AmdTree| Snapshot::with_times(tree.root());
    of(&tree).assert_same(&of(&tree.duplicate()));
}
