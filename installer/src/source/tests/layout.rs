//! What a source has to keep, and layouts that no directory can have.

use super::*;
use std::time::{Duration, SystemTime};

const KERNELS: &str = "opt/rocm-6.3.0/lib/rocblas/library";

fn opened(extra: &[Member], gpus: Option<&[&str]>) -> Vec<Result<Vec<String>, String>> {
    let members = [&amd_package()[..], extra].concat();
    let packages =
        [tar(&members), deb(&members, Compression::Xz), rpm(&members, Compression::Zstd)];
    let open = |bytes: Vec<u8>| {
        let scene = Scene::new("archive", &bytes);
        let result = scene.open(gpus).map(|source| listing(&source)).map_err(|e| e.to_string());
        scene.assert_contained();
        result
    };
    packages.into_iter().map(open).collect()
}

#[test]
fn times_of_modification_are_kept() {
    // 2024-12-03, when 6.3.0 came out.
    const TIME: u32 = 1_733_184_000;
    let mut header = tar::Header::new_gnu();
    let library = elf(X86_64, Some("librocblas.so.4"), true);
    header.set_size(library.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(TIME.into());
    let mut in_tar = tar::Builder::new(Vec::new());
    let name = "lib/librocblas.so.4";
    in_tar.append_data(&mut header, name, &library[..]).expect("written");
    let mut in_cpio = Vec::new();
    let builder = cpio::newc::Builder::new(name).mode(0o100_644).mtime(TIME);
    let size = u32::try_from(library.len()).expect("small");
    let mut writer = builder.write(&mut in_cpio, size);
    writer.write_all(&library).expect("written");
    writer.finish().expect("written");
    cpio::newc::trailer(&mut in_cpio).expect("written");
    let empty = rpm(&[], Compression::None);
    let payload = empty.windows(6).position(|window| window == b"070701").expect("a payload");
    let in_rpm = [&empty[..payload], &in_cpio].concat();
    for bytes in [in_tar.into_inner().expect("written"), in_rpm] {
        let scene = Scene::new("archive", &bytes);
        let source = scene.open(None).expect("a backend");
        let Content::File { from, .. } = &source.files[0].content else { panic!("a link") };
        let modified = metadata(from).modified().expect("a time");
        assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(TIME.into()));
    }
}

#[test]
fn kernels_for_generic_targets_are_taken_and_named() {
    assert_eq!(super::super::gpu_of("Kernels.so-000-gfx9-4-generic.hsaco"), Some("gfx9-4-generic"));
    let generic = format!("{KERNELS}/Kernels.so-000-gfx9-4-generic.hsaco");
    for listing in opened(&[text(&generic)], Some(&["gfx906"])) {
        let listing = listing.expect("a backend");
        assert!(listing.iter().any(|name| name.contains("generic")), "{listing:?}");
    }
}

#[test]
fn a_name_below_a_file_is_refused() {
    let extra = [text(&format!("{KERNELS}/x")), text(&format!("{KERNELS}/x/y"))];
    for extra in [&extra[..], &[extra[1].clone(), extra[0].clone()]] {
        for result in opened(extra, None) {
            let error = result.expect_err("no directory can be so");
            assert!(error.contains("rocblas/library/x"), "{error}");
        }
    }
    let through = [
        text(&format!("{KERNELS}/f")),
        member(&format!("{KERNELS}/d"), Data::Link("f".into())),
        text(&format!("{KERNELS}/d/y")),
    ];
    for result in opened(&through, None) {
        result.expect_err("a link is no directory");
    }
}

#[test]
fn a_link_to_what_is_left_out_is_refused() {
    let library = elf(X86_64, Some("librocblas.so.4"), true);
    let members = [
        member("lib/librocblas.so.4", Data::File(library)),
        text("lib/rocblas/5/library/a.dat"),
        member("lib/rocblas/4.4.1/library/a.dat", Data::Link("../../5/library/a.dat".into())),
    ];
    let error = Scene::new("a", &tar(&members)).open(None).expect_err("left dangling").to_string();
    assert!(error.contains("4.4.1/library/a.dat"), "{error}");
}

#[test]
fn an_rpm_of_format_6_says_what_to_do() {
    let mut bytes = rpm(&amd_package(), Compression::None);
    let at = bytes.windows(6).position(|window| window == b"070701").expect("a payload");
    bytes[at..at + 6].copy_from_slice(b"07070X");
    let error = Scene::new("a", &bytes).open(None).expect_err("not read").to_string();
    assert!(error.contains("convert it with rpm2archive"), "{error}");
}

#[test]
fn trees_of_rocm_7_14_are_found() {
    for top in ["opt/rocm", ""] {
        let tree = tempfile::tempdir().expect("a directory");
        let lib = tree.path().join(top).join("core-7.14/lib");
        fs::create_dir_all(&lib).expect("directories");
        let library = elf(X86_64, Some("librocblas.so.5"), true);
        fs::write(lib.join("librocblas.so.5.5"), library).expect("a file");
        let source = open_at(tree.path(), Path::new("/nowhere"), None).expect("a backend");
        assert_eq!(source.library, Path::new("librocblas.so.5.5"));
    }
}
