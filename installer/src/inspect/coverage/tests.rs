//! Whole inspections of small trees: is a GPU covered, and by which file?

use super::*;
use crate::inspect::{
    Inspection, inspect_for,
    machine::{Gpu, Machine},
    testing::{self, Image, bundle},
};

const LIB: &str = "/opt/rocm-7.0.2/lib";
const STORE: &str = "/opt/rocm-7.0.2/lib/rocblas-shim/backends/6.3.0/lib";

fn rocblas(image: &Image, path: &str, soname: &str, codes: &[(&str, &[&str])]) {
    // The second translation unit belongs to another target.
    let bundles = vec![bundle(codes), bundle(&[("gfx1030", &["gemv"])])];
    image.library(path, &testing::Library { soname, bundles, shim: None });
}

fn tensile(image: &Image, lib: &str, target: &str) {
    image.file(&format!("{lib}/rocblas/library/TensileLibrary_lazy_{target}.dat"), "");
}

fn look(image: &Image, functions: &[&str], targets: &[&str]) -> Inspection {
    let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (functions, targets) = (strings(functions), strings(targets));
    inspect_for(&image.root, &[], &functions, &targets, Machine::default()).expect("an inspection")
}

/// Coverage of one target in the only tree.
fn of_one(image: &Image, target: &str) -> Coverage {
    let mut inspection = look(image, &[], &[target]);
    inspection.trees.remove(0).coverage.remove(0)
}

#[test]
fn a_target_with_code_kernels_and_tensile_files_is_covered() {
    let image = Image::new();
    let codes: &[(&str, &[&str])] = &[("gfx906:xnack-", &["Cijk_TRSM_a", "trsm_b", "gemv"])];
    rocblas(&image, &format!("{LIB}/librocblas.so.5"), "librocblas.so.5", codes);
    tensile(&image, LIB, "gfx906");
    let found = of_one(&image, "gfx906");
    assert!(found.covered, "{found:?}");
    assert_eq!(found.kernels["trsm"], 2);
    assert_eq!(
        found.sentence,
        "gfx906 is covered: /opt/rocm-7.0.2/lib/librocblas.so.5 has code for it, 2 kernels of trsm \
         and Tensile files (TensileLibrary_lazy_gfx906.dat)."
    );
    assert!(!of_one(&image, "gfx906:xnack+").covered, "code for another mode");
}

#[test]
fn copied_tensile_files_cover_nothing() {
    let image = Image::new();
    rocblas(&image, &format!("{LIB}/librocblas.so.5"), "librocblas.so.5", &[("gfx908", &["trsm"])]);
    tensile(&image, LIB, "gfx906");
    let found = of_one(&image, "gfx906");
    assert!(!found.covered && !found.code && found.tensile.is_some(), "{found:?}");
    assert!(found.sentence.contains("has no code for it"), "{}", found.sentence);
    assert!(found.kernels.is_empty(), "nothing is counted without code");
}

#[test]
fn code_without_the_kernels_or_without_tensile_files_does_not_cover() {
    let image = Image::new();
    let codes: &[(&str, &[&str])] = &[("gfx906", &["gemv"]), ("gfx1030", &["gemv", "gemv_t"])];
    rocblas(&image, &format!("{LIB}/librocblas.so.5"), "librocblas.so.5", codes);
    let found = of_one(&image, "gfx906");
    assert!(found.sentence.contains("no kernels of trsm"), "{}", found.sentence);
    assert!(found.sentence.contains("no directory of Tensile files"), "{}", found.sentence);
    image.file(&format!("{LIB}/rocblas/library/Kernels.so-000-gfx906.hsaco"), "");
    let sentence = of_one(&image, "gfx906:xnack-").sentence;
    assert!(sentence.contains("without the entry file"), "{sentence}");
    tensile(&image, LIB, "gfx906");
    assert!(!of_one(&image, "gfx906").covered);
    let all = look(&image, &["GEMV"], &["gfx906", "gfx1030"]);
    let [second, first] = all.trees[0].coverage.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.target.as_str(), first.kernels["GEMV"], first.covered), ("gfx906", 1, true));
    // Two in one translation unit, and one in the other.
    assert_eq!((second.kernels["GEMV"], second.covered), (3, false), "no Tensile files for it");
}

#[test]
fn behind_a_shim_its_backend_answers() {
    let image = Image::new();
    let shim = testing::Library { soname: "librocblas.so.5", shim: Some("0.1.0"), bundles: vec![] };
    image.library(&format!("{LIB}/librocblas.so.5.99.0"), &shim);
    image.link(&format!("{LIB}/librocblas.so.5"), "librocblas.so.5.99.0");
    tensile(&image, LIB, "gfx906");
    let found = of_one(&image, "gfx906");
    assert!(found.sentence.contains("the shim has no backend"), "{}", found.sentence);
    let backend = format!("{STORE}/librocblas.so.4.3.60300");
    rocblas(&image, &backend, "librocblas.so.4", &[("gfx906", &["trsm"])]);
    assert!(!of_one(&image, "gfx906").covered, "the Tensile files are ROCm 7's");
    tensile(&image, STORE, "gfx906");
    let found = of_one(&image, "gfx906");
    assert!(found.covered, "{found:?}");
    assert_eq!(found.library.as_deref(), Some(Path::new(&backend)));
    image.file("/opt/rocm-7.0.2/lib/rocblas-shim/shim.toml", "backend = \"../librocblas.so.5\"");
    assert!(of_one(&image, "gfx906").sentence.contains("is itself a shim"));
}

/// Sentences about gfx906 for these paths.
fn of_given(image: &Image, given: &[&str]) -> Vec<String> {
    let given: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
    let targets = ["gfx906".to_owned()];
    let all = inspect_for(&image.root, &given, &[], &targets, Machine::default());
    let trees = all.expect("an inspection").trees;
    trees.into_iter().flat_map(|tree| tree.coverage).map(|coverage| coverage.sentence).collect()
}

#[test]
fn a_library_that_is_named_is_asked_about_itself() {
    let image = Image::new();
    let stock = format!("{LIB}/librocblas.so.5.0.70002");
    rocblas(&image, &stock, "librocblas.so.5", &[("gfx908", &["trsm"])]);
    image.link(&format!("{LIB}/librocblas.so.5"), "librocblas.so.5.0.70002");
    let older = format!("{LIB}/librocblas.so.4");
    rocblas(&image, &older, "librocblas.so.4", &[("gfx906", &["trsm"])]);
    tensile(&image, LIB, "gfx906");
    let sentences = of_given(&image, &[&older]);
    let [sentence] = sentences.as_slice() else { panic!("{sentences:?}") };
    assert!(sentence.starts_with(&format!("gfx906 is covered: {older} has code")), "{sentence}");
    let of_link = of_given(&image, &[&format!("{LIB}/librocblas.so.5")]);
    assert!(
        of_link[0].starts_with(&format!("gfx906 is not covered: {stock} has no")),
        "{of_link:?}"
    );
    // With the tree itself, the rocBLAS that programs use comes first.
    let both = of_given(&image, &[&older, LIB]);
    assert_eq!(both.len(), 2);
    assert!(both[0].contains(&stock) && both[1].contains(&older), "{both:?}");
}

#[test]
fn another_library_that_is_named_needs_no_tensile_files() {
    let image = Image::new();
    rocblas(&image, &format!("{LIB}/librocblas.so.5"), "librocblas.so.5", &[("gfx906", &["trsm"])]);
    let solver = format!("{LIB}/librocsolver.so.0");
    rocblas(&image, &solver, "librocsolver.so.0", &[("gfx906", &["trsm"])]);
    let expected = format!("gfx906 is covered: {solver} has code for it and 1 kernel of trsm.");
    assert_eq!(of_given(&image, &[&solver]), [expected]);
}

#[test]
fn a_named_shim_stands_for_its_backend() {
    let image = Image::new();
    let shim = testing::Library { soname: "librocblas.so.5", shim: Some("0.1.0"), bundles: vec![] };
    let path = format!("{LIB}/librocblas.so.5.99.0");
    image.library(&path, &shim);
    let backend = format!("{STORE}/librocblas.so.4.3.60300");
    rocblas(&image, &backend, "librocblas.so.4", &[("gfx906", &["trsm"])]);
    tensile(&image, STORE, "gfx906");
    assert!(of_given(&image, &[&path])[0].contains(&backend));
}

#[test]
fn a_damaged_bundle_leaves_the_counts_of_the_others_and_no_coverage() {
    let image = Image::new();
    let code = || bundle(&[("gfx906", &["trsm"])]);
    let mut damaged = code();
    damaged[0] ^= 0xff;
    let bundles = vec![code(), damaged, code()];
    let library = testing::Library { soname: "librocblas.so.5", bundles, shim: None };
    image.library(&format!("{LIB}/librocblas.so.5"), &library);
    tensile(&image, LIB, "gfx906");
    let found = of_one(&image, "gfx906");
    assert_eq!(found.kernels["trsm"], 2);
    assert!(!found.covered, "{found:?}");
    let problem = found.problem.expect("a problem");
    assert!(problem.contains("neither an offload bundle nor padding (offset 0x"), "{problem}");
}

#[test]
fn a_library_that_cannot_be_read_does_not_end_the_inspection() {
    let image = Image::new();
    image.file(&format!("{LIB}/librocblas.so.5"), "<html>404</html>");
    rocblas(&image, "/usr/lib64/librocblas.so.5", "librocblas.so.5", &[("gfx906", &["trsm"])]);
    tensile(&image, "/usr/lib64", "gfx906");
    let all = look(&image, &[], &["gfx906"]);
    let covered: Vec<bool> = all.trees.iter().map(|tree| tree.coverage[0].covered).collect();
    assert_eq!(covered, [false, true]);
    let sentence = &all.trees[0].coverage[0].sentence;
    assert!(sentence.contains("not an ELF file"), "{sentence}");
}

#[test]
fn kernels_that_cannot_be_read_are_told() {
    let image = Image::new();
    let path = format!("{LIB}/librocblas.so.5");
    let mut bytes = bundle(&[("gfx906", &["trsm"])]);
    // The code object's ELF magic, after the page of the table.
    bytes[4096] = 0;
    let bundles = vec![bytes];
    image.library(&path, &testing::Library { soname: "librocblas.so.5", bundles, shim: None });
    tensile(&image, LIB, "gfx906");
    let found = of_one(&image, "gfx906");
    assert!(found.code && !found.covered && found.problem.is_some(), "{found:?}");
    assert!(found.sentence.contains("0x"), "{}", found.sentence);
}

#[test]
fn targets_are_the_machines_unless_others_are_asked_for() {
    let image = Image::new();
    rocblas(&image, &format!("{LIB}/librocblas.so.5"), "librocblas.so.5", &[("gfx906", &["trsm"])]);
    assert!(look(&image, &[], &[]).trees[0].coverage.is_empty(), "no GPU, nothing asked");
    let gpu = |node| Gpu {
        pci: None,
        node,
        target: "gfx906".to_owned(),
        name: "vega20".to_owned(),
        simd_count: 240,
        memory: 16 << 30,
    };
    let machine = Machine { gpus: vec![gpu(1), gpu(2)], ..Machine::default() };
    let all = inspect_for(&image.root, &[], &[], &[], machine).expect("an inspection");
    let targets: Vec<&str> = all.trees[0].coverage.iter().map(|c| c.target.as_str()).collect();
    assert_eq!(targets, ["gfx906"]);
    let refused = inspect_for(&image.root, &[], &[], &["mi51".to_owned()], Machine::default());
    assert!(refused.expect_err("no target").to_string().contains("gfx906"));
}

#[test]
fn a_split_library_is_judged_by_its_archives() {
    use offload::kpack::testing::{Scheme, archive, reference};
    let image = Image::new();
    let marker = reference("stage/lib/librocblas.so.5", &["../.kpack/blas_lib_@GFXARCH@.kpack"]);
    image.split(&format!("{LIB}/librocblas.so.5"), &marker);
    tensile(&image, LIB, "gfx906");
    let missing = of_one(&image, "gfx906");
    assert!(!missing.covered && !missing.code);
    assert!(
        missing.sentence.contains(
            "code for gfx906 is in /opt/rocm-7.0.2/.kpack/blas_lib_gfx906.kpack, which does not exist"
        ),
        "{}",
        missing.sentence
    );

    let code = testing::code_object(&["Cijk_TRSM_a", "trsm_b", "gemv"]);
    let bytes = archive(Scheme::Zstd, &[("stage/lib/librocblas.so.5#0", "gfx906", &code)]);
    let place = image.place("/opt/rocm-7.0.2/.kpack/blas_lib_gfx906.kpack");
    std::fs::write(&place, &bytes).expect("an archive");
    let found = of_one(&image, "gfx906");
    assert!(found.covered, "{found:?}");
    assert_eq!(found.kernels["trsm"], 2);
    assert!(!of_one(&image, "gfx1030").code);

    std::fs::write(&place, &bytes[..100]).expect("a part of an archive");
    let cut = of_one(&image, "gfx906");
    assert!(cut.problem.is_some_and(|why| why.contains("blas_lib_gfx906.kpack")));
}
