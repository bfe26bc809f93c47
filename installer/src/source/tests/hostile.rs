//! Archives that are made to do harm: an error that says where, and nothing outside the staging
//! directory.

use super::{
    super::{Intake, Layer, Limits, tarball},
    *,
};

const KERNEL: &str = "opt/rocm-6.3.0/lib/rocblas/library/x.dat";

/// Opens it as a tar archive and as an RPM package, and answers the errors.
fn refused(members: &[Member]) -> Vec<String> {
    let packages = [tar(members), rpm(members, Compression::None), deb(members, Compression::Xz)];
    let error = |bytes: Vec<u8>| {
        let scene = Scene::new("archive", &bytes);
        let error = scene.open(None).expect_err("refused");
        scene.assert_contained();
        let Error::Damaged { archive, place, .. } = &error else { panic!("{error}") };
        assert_eq!((&**archive, place.layer), ("archive", Layer::Unpacked));
        assert!(place.offset > 0 && place.member.is_some(), "{error}");
        error.to_string()
    };
    packages.into_iter().map(error).collect()
}

#[test]
fn names_and_links_that_lead_out_are_refused() {
    let outside = |name: &str, data: Data| {
        let mut members = amd_package();
        members.push(member(name, data));
        refused(&members)
    };
    let data = || Data::File(b"data".to_vec());
    for error in outside("../../../../tmp/x", data()) {
        assert!(error.contains("../../../../tmp/x, at byte"), "{error}");
        assert!(error.contains("with `..`"), "{error}");
    }
    for name in ["/etc/ld.so.preload", "/opt/rocm/lib/librocblas.so.4"] {
        assert!(outside(name, data()).iter().all(|error| error.contains("absolute")), "{name}");
    }
    let hidden = format!("{AMD}/rocblas/library/../../../../../x");
    assert!(outside(&hidden, data()).iter().all(|error| error.contains("with `..`")));
    for target in ["/etc/passwd", "../../../../../../etc/passwd", "../../../x", "../../.."] {
        for error in outside(KERNEL, Data::Link(target.to_owned())) {
            assert!(error.contains("points out of the backend"), "{target}: {error}");
        }
    }
    for kind in [Data::Device, Data::Pipe] {
        for error in outside(KERNEL, kind) {
            assert!(error.contains("which no rocBLAS contains"), "{error}");
        }
    }
    for error in outside(&format!("./{AMD}/rocblas/library/TensileManifest.txt"), data()) {
        assert!(error.contains("a second member has this name"), "{error}");
    }
}

#[test]
fn names_longer_than_any_path_are_refused() {
    let members = [text("first"), text(&format!("lib/{}", "x".repeat(5000)))];
    for (bytes, what) in [
        (tar(&members), "it claims 5005 bytes of text"),
        (rpm(&members, Compression::None), "longer than any path"),
    ] {
        let error = Scene::new("archive", &bytes).open(None).expect_err("refused").to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn what_is_not_taken_may_be_anything() {
    let mut members = amd_package();
    members.push(member("dev/null", Data::Device));
    members.push(member("run/pipe", Data::Pipe));
    members.push(member("bin/sh", Data::Link("/usr/bin/dash".to_owned())));
    // The only link that the library has is made from its SONAME.
    members.push(member("usr/lib/librocblas.so.4", Data::Link("/etc/passwd".to_owned())));
    for bytes in [tar(&members), rpm(&members, Compression::None)] {
        Scene::new("archive", &bytes).open(None).expect("a backend");
    }
}

#[test]
fn a_name_is_not_written_through_a_link_of_the_archive() {
    let target = tempfile::tempdir().expect("a directory");
    let link = Data::Link(target.path().display().to_string());
    let members = [
        text("first"),
        member("opt/rocm-6.3.0/lib/rocblas/library", link),
        text("opt/rocm-6.3.0/lib/rocblas/library/x.dat"),
    ];
    refused(&members);
    assert_eq!(fs::read_dir(target.path()).expect("there").count(), 0);
}

#[test]
fn what_is_in_the_staging_directory_is_not_overwritten() {
    let scene = Scene::new("a.tar", &tar(&amd_package()));
    let victim = scene.top.path().join("victim");
    fs::write(&victim, "old").expect("a file");
    std::os::unix::fs::symlink(&victim, scene.staging.join("1")).expect("a link");
    let error = scene.open(None).expect_err("taken");
    assert!(matches!(error, Error::Unwritable { .. }), "{error}");
    assert_eq!(fs::read(&victim).expect("there"), b"old");
}

#[test]
fn hard_links_lead_to_files_that_were_taken() {
    for to in ["/etc/passwd", "../../etc/passwd", "etc/passwd", KERNEL, AMD] {
        let mut members = amd_package();
        members.push(member(KERNEL, Data::HardLink(to.to_owned())));
        let scene = Scene::new("a.tar", &tar(&members));
        let error = scene.open(None).expect_err(to).to_string();
        assert!(error.contains(&format!("as a hard link to {to}")), "{error}");
        scene.assert_contained();
    }
}

#[test]
fn links_to_nothing_and_loops_are_refused() {
    for target in ["gone", "x.dat", "../library/x.dat", "TensileLibrary_lazy_gfx1030.dat"] {
        let mut members = amd_package();
        members.push(member(KERNEL, Data::Link(target.to_owned())));
        let scene = Scene::new("a.tar", &tar(&members));
        let error = scene.open(Some(&["gfx906"])).expect_err(target).to_string();
        assert!(error.contains("symlink to none of the extracted files"), "{error}");
    }
}

#[test]
fn archives_without_a_backend_are_refused() {
    let error = |members: &[Member]| {
        let error = Scene::new("a.tar", &tar(members)).open(None).expect_err("refused");
        error.to_string()
    };
    assert!(error(&[text("lib/other")]).contains("there is no librocblas.so.* in it"));
    let stub = Data::File(elf(X86_64, Some("librocblas.so.4"), false));
    let error_of_stub = error(&[member("lib/librocblas.so.4", stub)]);
    assert!(error_of_stub.contains("lib/librocblas.so.4: it is a stub"), "{error_of_stub}");
    let library = || Data::File(elf(X86_64, Some("librocblas.so.4"), true));
    let two = [member("a/librocblas.so.4", library()), member("b/librocblas.so.4", library())];
    let error = error(&two);
    assert!(error.contains("several") && error.contains("b/librocblas.so.4"), "{error}");
}

#[test]
fn sizes_that_are_only_claimed_are_errors() {
    let at = |bytes: &[u8], name: &str| {
        let at = bytes.windows(name.len()).position(|window| window == name.as_bytes());
        at.expect("the name")
    };
    // A tar header with eight tebibytes, which takes the base-256 form, and its checksum.
    let mut bytes = tar(&amd_package());
    let start = at(&bytes, "./opt/rocm-6.3.0/lib/librocblas.so.4.3.60300");
    let mut header = tar::Header::from_byte_slice(&bytes[start..start + 512]).clone();
    for (size, what) in [(8 << 40, "over 16.00 GiB"), (1 << 30, "it ends before")] {
        header.set_size(size);
        header.set_cksum();
        bytes[start..start + 512].copy_from_slice(header.as_bytes());
        let scene = Scene::new("a.tar", &bytes);
        let error = scene.open(None).expect_err("a claim").to_string();
        assert!(error.contains(what) && error.contains("librocblas.so.4.3.60300, at"), "{error}");
    }
    // Sparse files of GNU tar's two kinds.
    header.set_size(10);
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_cksum();
    bytes[start..start + 512].copy_from_slice(header.as_bytes());
    let error = Scene::new("a.tar", &bytes).open(None).expect_err("sparse").to_string();
    assert!(error.contains("sparse"), "{error}");
    let mut builder = tar::Builder::new(Vec::new());
    let records = [("GNU.sparse.realsize", &b"1099511627776"[..]), ("path", KERNEL.as_bytes())];
    builder.append_pax_extensions(records).expect("written");
    let mut bytes = builder.into_inner().expect("written");
    bytes.truncate(bytes.len() - 1024);
    bytes.extend(tar(&[text("x")]));
    let error = Scene::new("a.tar", &bytes).open(None).expect_err("sparse").to_string();
    assert!(error.contains("sparse"), "{error}");
    // Lengths of a .deb's member, of a cpio name and of an RPM header.
    let mut bytes = deb(&amd_package(), Compression::Gzip);
    let start = at(&bytes, "data.tar");
    bytes[start + 48..start + 58].copy_from_slice(b"9999999999");
    Scene::new("a.deb", &bytes).open(None).expect_err("a claim");
    let mut bytes = rpm(&amd_package(), Compression::None);
    let start = at(&bytes, "070701");
    bytes[start + 94..start + 102].copy_from_slice(b"ffffffff");
    Scene::new("a.rpm", &bytes).open(None).expect_err("a claim");
    let mut bytes = rpm(&amd_package(), Compression::None);
    bytes[96 + 8..96 + 16].copy_from_slice(&[0xff; 8]);
    let error = Scene::new("a.rpm", &bytes).open(None).expect_err("a claim").to_string();
    assert!(error.contains("header is broken"), "{error}");
}

#[test]
fn limits_hold_for_all_that_is_unpacked_and_all_that_is_taken() {
    let members = amd_package();
    let unpack = |limits: Limits| {
        let staging = tempfile::tempdir().expect("a directory");
        let staging = Staging::at(staging.path()).expect("a directory");
        let mut intake = Intake::new("a", &staging, None, limits);
        tarball::unpack(&tar(&members)[..], &mut intake).map_err(|error| error.to_string())
    };
    let enough = Limits { unpacked: 16 << 10, taken: 2 << 10, members: 10 };
    unpack(enough).expect("enough");
    for (limits, what) in [
        (Limits { unpacked: 5 << 10, ..enough }, "more than 5.00 KiB"),
        (Limits { taken: 400, ..enough }, "over 400 B"),
        (Limits { members: 2, ..enough }, "more than 2 files"),
    ] {
        let error = unpack(limits).expect_err(what);
        assert!(error.contains(what), "{error}");
    }
    // A bomb: 64 MiB in a few KiB.
    let zeros = vec![member("zeros", Data::File(vec![0; 64 << 20]))];
    let bomb = Compression::Zstd.pack(&tar(&zeros));
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let staging = tempfile::tempdir().expect("a directory");
    let limits = Limits { unpacked: 1 << 20, ..enough };
    let place = Staging::at(staging.path()).expect("a directory");
    let mut intake = Intake::new("a", &place, None, limits);
    let error = tarball::unpack(&bomb[..], &mut intake).expect_err("a bomb").to_string();
    assert!(error.contains("more than 1.00 MiB"), "{error}");
}

#[test]
fn an_rpm_of_another_kind_and_an_ar_of_no_package_say_so() {
    let mut builder = ar::Builder::new(Vec::new());
    let header = ar::Header::new(b"data.tar".to_vec(), 0);
    builder.append(&header, &b""[..]).expect("written");
    let library = builder.into_inner().expect("written");
    let error = Scene::new("lib.a", &library).open(None).expect_err("an archive").to_string();
    assert!(error.contains("no Debian package"), "{error}");
    // What rpm writes for files above 4 GiB.
    let mut bytes = rpm(&amd_package(), Compression::None);
    let start = bytes.windows(6).position(|window| window == b"070701").expect("a magic");
    bytes[start..start + 6].copy_from_slice(b"07070X");
    Scene::new("a.rpm", &bytes).open(None).expect_err("another kind");
}
