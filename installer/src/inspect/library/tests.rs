//! Library directories: names and symlinks, GPU code, and files that only look like a library.

use super::*;
use crate::inspect::testing::{self, Image, bundle};
use proptest::prelude::*;
use std::fs;

const LIB: &str = "/opt/rocm/lib";

fn look(image: &Image) -> Libraries {
    of(&image.root, Path::new(LIB)).expect("a directory")
}

fn path(name: &str) -> PathBuf {
    Path::new(LIB).join(name)
}

#[test]
fn files_have_their_links_and_say_what_they_are() {
    let image = Image::new();
    let bundles = vec![
        bundle(&[("gfx906", &["a"]), ("gfx90a:xnack-", &["a"])]),
        bundle(&[("gfx906", &["b"])]),
    ];
    let library = testing::Library { soname: "librocblas.so.5", bundles, shim: None };
    image.library(&format!("{LIB}/librocblas.so.5.0.70002"), &library);
    image.link(&format!("{LIB}/librocblas.so.5"), "librocblas.so.5.0.70002");
    image.link(&format!("{LIB}/librocblas.so"), "librocblas.so.5");
    image.file(&format!("{LIB}/librocblas-notes.so"), "");
    let libraries = look(&image);
    let [file] = libraries.files.as_slice() else { panic!("{libraries:?}") };
    assert_eq!((file.kind, &file.path), (Kind::Rocblas, &path("librocblas.so.5.0.70002")));
    assert_eq!(file.soname.as_deref(), Some("librocblas.so.5"));
    assert_eq!(file.version.as_deref(), Some("5.0.70002"));
    assert_eq!(file.shim, None);
    let targets: Vec<_> = file.targets.iter().map(|(t, n)| (t.as_str(), *n)).collect();
    assert_eq!(targets, [("gfx906", 2), ("gfx90a:xnack-", 1)]);
    assert_eq!(file.problem, None);
    let links: Vec<_> = file.links.iter().map(|link| (&link.path, &link.target)).collect();
    assert_eq!(
        links,
        [
            (&path("librocblas.so"), &PathBuf::from("librocblas.so.5")),
            (&path("librocblas.so.5"), &PathBuf::from("librocblas.so.5.0.70002")),
        ]
    );
    assert_eq!(libraries.behind(&path("librocblas.so")), Some(file));
    let opened = image.root.open(&file.path).expect("a file");
    assert_eq!(targets_of(&opened).expect("targets"), file.targets);
}

#[test]
fn a_shim_has_its_own_version() {
    let image = Image::new();
    let shim = testing::Library { soname: "librocblas.so.5", shim: Some("0.1.0"), bundles: vec![] };
    image.library(&format!("{LIB}/librocblas.so.5.99.0"), &shim);
    let file = &look(&image).files[0];
    assert_eq!((file.shim.as_deref(), file.version.as_deref()), (Some("0.1.0"), None));
}

#[test]
fn a_wheels_library_has_the_version_of_its_soname() {
    let image = Image::new();
    let wheel = testing::Library { soname: "librocblas.so.5", ..Default::default() };
    image.library(&format!("{LIB}/librocblas.so"), &wheel);
    assert_eq!(look(&image).files[0].version.as_deref(), Some("5"));
}

#[test]
fn names_belong_to_one_library_each() {
    for (name, kind) in [
        ("librocblas.so", Some(Kind::Rocblas)),
        ("librocblas.so.5.0.70002", Some(Kind::Rocblas)),
        ("libhipblas.so.3", Some(Kind::Hipblas)),
        ("libhipblaslt.so.1", Some(Kind::Hipblaslt)),
        ("librocsolver.so.0", Some(Kind::Rocsolver)),
        ("libamdhip64.so.7", Some(Kind::Hip)),
        ("librocblas.sock", None),
        ("librocblas.a", None),
        ("librocblas-clients.so", None),
        ("", None),
    ] {
        assert_eq!(Kind::of(name), kind, "{name}");
    }
    assert_eq!(version("librocblas.so.5.0.70002.stock"), None);
    assert_eq!(version("librocblas.so.5..1"), None);
    assert_eq!(version("librocblas.so"), None);
}

#[test]
fn what_is_no_library_is_listed_with_the_reason() {
    let image = Image::new();
    let at = |name: &str| format!("{LIB}/{name}");
    fs::write(image.outside().join("secret"), "secret").expect("a file");
    image.link(&at("librocblas.so.1"), "../../../../secret");
    image.link(&at("librocblas.so.2"), "librocblas.so.2");
    image.link(&at("librocblas.so.3"), "absent");
    image.link(&at("librocblas.so.4"), "/dev/zero");
    image.directory(&at("librocblas.so.5"));
    image.file(&at("librocblas.so.6"), "<html>404</html>");
    image.file(&at("librocblas.so.7"), "");
    let libraries = look(&image);
    let broken: Vec<&PathBuf> = libraries.broken.iter().map(|broken| &broken.path).collect();
    let expected = ["1", "2", "3", "4", "5"].map(|n| path(&format!("librocblas.so.{n}")));
    assert_eq!(broken, expected.iter().collect::<Vec<_>>());
    assert!(libraries.broken.iter().all(|broken| !broken.problem.is_empty()));
    assert_eq!(libraries.broken[3].target.as_deref(), Some(Path::new("/dev/zero")));
    let [html, empty] = libraries.files.as_slice() else { panic!("{libraries:?}") };
    assert!(html.problem.as_deref().is_some_and(|p| p.contains("not an ELF file")), "{html:?}");
    assert!(empty.problem.is_some());
}

#[test]
fn a_bad_bundle_is_told_with_its_offset() {
    let image = Image::new();
    let mut bad = bundle(&[("gfx908", &["a"])]);
    // The number of code objects.
    bad[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    let bundles = vec![bundle(&[("gfx906", &["a"])]), bad];
    let library = testing::Library { soname: "librocblas.so.5", bundles, shim: None };
    image.library(&format!("{LIB}/librocblas.so.5"), &library);
    let file = &look(&image).files[0];
    assert_eq!(file.soname.as_deref(), Some("librocblas.so.5"), "the rest is known");
    assert!(file.problem.as_deref().is_some_and(|problem| problem.contains("0x")), "{file:?}");
    let opened = image.root.open(&file.path).expect("a file");
    assert!(targets_of(&opened).is_err());
}

#[test]
fn a_file_of_a_terabyte_costs_its_headers() {
    let image = Image::new();
    let library = testing::Library {
        soname: "librocblas.so.5",
        bundles: vec![bundle(&[("gfx906", &["a"])])],
        shim: None,
    };
    let name = format!("{LIB}/librocblas.so.5");
    image.library(&name, &library);
    let file = File::options().write(true).open(image.place(&name)).expect("a file");
    file.set_len(1 << 40).expect("a sparse file");
    assert_eq!(look(&image).files[0].size, 1 << 40);
    assert_eq!(look(&image).files[0].targets["gfx906"], 1);
}

#[test]
fn ranges_that_others_overlap_are_read_once() {
    assert_eq!(distinct(vec![5..9, 0..4, 0..4, 1..3, 9..10]), [0..4, 5..9, 9..10]);
    assert_eq!(distinct(vec![0..10, 3..20, 15..18, 20..21]), [0..10, 20..21]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic(
        position in 0_usize..9000,
        bytes in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let image = Image::new();
        let mut whole = sample();
        let position = position % whole.len();
        let end = (position + bytes.len()).min(whole.len());
        whole[position..end].copy_from_slice(&bytes[..end - position]);
        fs::write(image.place(&format!("{LIB}/librocblas.so.5")), whole).expect("a file");
        prop_assert_eq!(look(&image).files.len(), 1);
    }
}

/// A library's bytes; compiled once.
fn sample() -> Vec<u8> {
    static SAMPLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let make = || {
        let image = Image::new();
        let bundles = vec![bundle(&[("gfx906", &["a"])])];
        let library = testing::Library { soname: "librocblas.so.5", bundles, shim: None };
        image.library("/sample", &library);
        fs::read(image.place("/sample")).expect("a file")
    };
    SAMPLE.get_or_init(make).clone()
}
