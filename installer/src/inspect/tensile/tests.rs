//! Directories of Tensile files as in the distributions.

use super::*;
use crate::inspect::testing::Image;

const LIB: &str = "/opt/rocm/lib";

#[track_caller]
fn look(image: &Image, version: Option<&str>) -> Tensile {
    of(&image.root, Path::new(LIB), version).expect("a directory")
}

#[test]
fn files_are_counted_by_target_and_the_entry_is_known() {
    let image = Image::new();
    for (name, text) in [
        ("TensileLibrary_lazy_gfx906.dat", "12345"),
        ("TensileLibrary_Type_HH_Contraction_l_Ailk_Bjlk_Cijk_Dijk_gfx906.co", "123"),
        ("Kernels.so-000-gfx90a-xnack+.hsaco", "1"),
        ("Kernels.so-000-gfx90a-xnack-.hsaco", "1"),
        ("TensileLibrary_gfx1100.dat", "1"),
        ("TensileManifest.txt", "1"),
    ] {
        image.file(&format!("{LIB}/rocblas/library/{name}"), text);
    }
    let tensile = look(&image, Some("5.0.70002"));
    assert_eq!(tensile.directory, Path::new("/opt/rocm/lib/rocblas/library"));
    let counts: Vec<_> =
        tensile.targets.iter().map(|(t, f)| (t.as_str(), f.files, f.bytes)).collect();
    assert_eq!(counts, [("gfx1100", 1, 1), ("gfx906", 2, 8), ("gfx90a", 2, 2)]);
    let entry = |target| tensile.entry(target).map(|path| path.display().to_string());
    assert!(entry("gfx906").is_some_and(|name| name.ends_with("TensileLibrary_lazy_gfx906.dat")));
    assert!(entry("gfx1100").is_some_and(|name| name.ends_with("TensileLibrary_gfx1100.dat")));
    assert_eq!(entry("gfx90a"), None, "kernels without an entry file");
    assert_eq!(entry("gfx803"), None);
}

#[test]
fn a_common_entry_serves_targets_that_have_kernels() {
    let image = Image::new();
    for name in ["TensileLibrary.dat", "Kernels.so-000-gfx906.hsaco"] {
        image.file(&format!("{LIB}/rocblas/library/{name}"), "");
    }
    let tensile = look(&image, None);
    assert!(tensile.common_entry);
    assert!(tensile.entry("gfx906").is_some());
    assert_eq!(tensile.entry("gfx1100"), None);
}

#[test]
fn a_targets_own_directory_is_the_only_one_looked_into() {
    let image = Image::new();
    let library = format!("{LIB}/rocblas/library");
    image.file(&format!("{library}/TensileLibrary_lazy_gfx906.dat"), "");
    image.file(&format!("{library}/gfx906/Kernels.so-000-gfx906.hsaco"), "1234");
    image.file(&format!("{library}/gfx942/TensileLibrary_lazy_gfx942.dat"), "");
    let tensile = look(&image, None);
    let own = &tensile.targets["gfx906"];
    assert_eq!((own.files, own.bytes, own.entry.clone()), (1, 4, None));
    assert!(tensile.entry("gfx942").is_some());
}

#[test]
fn debians_directory_is_the_one_that_agrees_with_the_librarys_version() {
    let image = Image::new();
    for version in ["4.4.1", "4.9.12", "5"] {
        image.directory(&format!("{LIB}/rocblas/{version}/library"));
    }
    let directory = |version| look(&image, version).directory.display().to_string();
    assert!(directory(Some("4.4")).ends_with("rocblas/4.4.1/library"));
    assert!(directory(Some("5.2")).ends_with("rocblas/5/library"));
    assert!(of(&image.root, Path::new(LIB), Some("6.0")).is_none());
    assert!(of(&image.root, Path::new(LIB), None).is_none(), "there are several");
}

#[test]
fn the_first_directory_that_exists_is_taken() {
    let image = Image::new();
    assert!(of(&image.root, Path::new(LIB), None).is_none());
    // From the last place to the first.
    for directory in [
        "/opt/rocm/lib/rocblas/library",
        "/opt/rocm/rocblas/library",
        "/opt/rocm/lib/library",
        "/opt/Tensile/library",
    ] {
        image.directory(directory);
        assert_eq!(look(&image, None).directory, Path::new(directory));
    }
}

#[test]
fn links_out_devices_and_loops_are_no_files() {
    let image = Image::new();
    let library = format!("{LIB}/rocblas/library");
    std::fs::write(image.outside().join("TensileLibrary_lazy_gfx906.dat"), "secret")
        .expect("a file");
    for (name, target) in [
        ("TensileLibrary_lazy_gfx906.dat", "../../../../../../TensileLibrary_lazy_gfx906.dat"),
        ("TensileLibrary_lazy_gfx900.dat", "TensileLibrary_lazy_gfx900.dat"),
        ("gfx942", "."),
    ] {
        image.link(&format!("{library}/{name}"), target);
    }
    let pipe = image.place(&format!("{library}/TensileLibrary_lazy_gfx908.dat"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    let tensile = look(&image, None);
    assert_eq!(tensile.targets.get("gfx942"), Some(&Files::default()), "itself, and no file of it");
    assert_eq!(tensile.targets.len(), 1, "{tensile:?}");
}
