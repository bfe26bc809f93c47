//! The text of an inspection.

use super::*;
use crate::inspect::{
    inspect_for,
    machine::{Gpu, Machine},
    testing::{self, Image, bundle},
};
use std::path::PathBuf;

/// A tree with the shim, a backend, packages and something broken, on a machine with a GPU.
fn inspection() -> Inspection {
    let image = Image::new();
    let lib = "/opt/rocm-7.0.2/lib";
    let backend = format!("{lib}/rocblas-shim/backends/6.3.0/lib");
    let shim = testing::Library { soname: "librocblas.so.5", shim: Some("0.1.0"), bundles: vec![] };
    image.library(&format!("{lib}/librocblas.so.5.99.0"), &shim);
    image.link(&format!("{lib}/librocblas.so.5"), "librocblas.so.5.99.0");
    image.link(&format!("{lib}/libamdhip64.so.7"), "absent\u{1b}[2J");
    let targets = (0..40).map(|n| format!("gfx11{n:02}")).collect::<Vec<_>>();
    let mut codes: Vec<(&str, &[&str])> = vec![("gfx906", &["trsm"])];
    codes.extend(targets.iter().map(|target| (target.as_str(), &["gemv"][..])));
    let old =
        testing::Library { soname: "librocblas.so.4", bundles: vec![bundle(&codes)], shim: None };
    image.library(&format!("{backend}/librocblas.so.4.3.60300"), &old);
    image.file(&format!("{backend}/rocblas/library/TensileLibrary_lazy_gfx906.dat"), "x");
    image.file("/var/lib/dpkg/status", "Package: shim\nVersion: 1-1\n");
    image.file("/var/lib/dpkg/info/shim.list", &format!("{lib}/librocblas.so.5.99.0\n"));
    let gpu = Gpu {
        pci: None,
        node: 1,
        target: "gfx906".to_owned(),
        name: "vega20".to_owned(),
        simd_count: 240,
        memory: 16 << 30,
    };
    let kfd =
        Device { path: PathBuf::from("/dev/kfd"), mode: 0o660, uid: 0, gid: 109, usable: false };
    let machine = Machine { gpus: vec![gpu], devices: vec![kfd], groups_to_add: vec![109] };
    inspect_for(&image.root, &[], &[], &["gfx906".into(), "gfx900".into()], machine)
        .expect("a tree")
}

#[test]
fn all_that_matters_is_said_without_colours_and_fits() {
    let inspection = inspection();
    for width in [80, 100] {
        let text = text(&inspection, width).plain();
        assert!(!text.contains('\u{1b}'), "{text}");
        for line in text.lines() {
            let length = line.chars().count();
            // A path is not wrapped.
            assert!(length <= usize::from(width) || !line.trim().contains(' '), "{length}: {line}");
            assert_eq!(line.trim_end(), line);
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [
            "gfx906 vega20, 16.00 GiB, node 1",
            "/dev/kfd mode 0660, user 0, group 109: this process may not use it",
            "--group-add 109",
            "/opt/rocm-7.0.2/lib: ROCm 7.0.2, AMD's packages",
            "the shim 0.1.0",
            "links librocblas.so.5",
            "package shim 1-1",
            "backend 6.3.0 in the shim's store",
            "SONAME librocblas.so.4, version 4.3.60300",
            "gfx1139",
            "1 file, 1 B",
            "gfx906 is covered: ",
            "gfx900 is not covered: ",
            "libamdhip64.so.7 -> absent\\u{1b}[2J",
        ] {
            assert!(words.contains(said), "{said:?} is not in\n{text}");
        }
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let inspection = inspection();
    let text = text(&inspection, 90);
    assert_ne!(text.plain(), text.styled());
    assert_eq!(anstream::adapter::strip_str(text.styled()).to_string(), text.plain());
}

#[test]
fn the_same_is_there_for_programs() {
    let json = serde_json::to_value(inspection()).expect("JSON");
    let tree = &json["trees"][0];
    assert_eq!(tree["layout"], "amd");
    assert_eq!(tree["release"], "7.0.2");
    assert_eq!(tree["libraries"]["files"][0]["kind"], "rocblas");
    assert_eq!(tree["libraries"]["files"][0]["owner"]["manager"], "dpkg");
    assert_eq!(tree["coverage"][1]["covered"], true);
    assert_eq!(json["machine"]["groups_to_add"][0], 109);
}

#[test]
fn nothing_found_is_said() {
    let image = Image::new();
    let empty = inspect_for(&image.root, &[], &[], &[], Machine::default()).expect("nothing");
    let text = text(&empty, 20).plain();
    assert!(text.contains("No ROCm tree") && text.contains("no GPU"), "{text}");
}
