//! Packages as packagers make them.

use super::*;
use std::{os::unix::fs::PermissionsExt, process::Command};

const EXPECTED: [&str; 5] = [
    "librocblas.so.4.3.60300",
    "librocblas.so.4 -> librocblas.so.4.3.60300",
    "rocblas/library/TensileLibrary_lazy_gfx1030.dat",
    "rocblas/library/TensileLibrary_lazy_gfx906.dat",
    "rocblas/library/TensileManifest.txt",
];

#[test]
fn every_format_in_every_compression_gives_the_same_backend() {
    let members = amd_package();
    for compression in Compression::ALL {
        let tar = compression.pack(&tar(&members));
        for (format, bytes) in
            [("deb", deb(&members, compression)), ("rpm", rpm(&members, compression)), ("tar", tar)]
        {
            // A name says nothing about what is in a file.
            let scene = Scene::new("backend.bin", &bytes);
            let source = scene.open(None).expect(format);
            assert_eq!(listing(&source), EXPECTED, "{format} {compression:?}");
            assert_eq!(source.soname, "librocblas.so.4");
            assert_eq!(source.library, Path::new("librocblas.so.4.3.60300"));
            assert_eq!(source.version.as_deref(), Some("6.3.0"));
            assert_eq!(&*source.origin, "backend.bin");
            scene.assert_contained();
        }
    }
}

#[test]
fn contents_and_permissions_are_right() {
    let scene = Scene::new("a.deb", &deb(&amd_package(), Compression::Xz));
    let source = scene.open(None).expect("a backend");
    for file in &source.files {
        let Content::File { from, mode, .. } = &file.content else { continue };
        let bytes = read(from);
        if file.to == source.library {
            assert_eq!(bytes, elf(X86_64, Some("librocblas.so.4"), true));
            assert_eq!(*mode, 0o755);
        } else {
            assert_eq!(bytes, format!("this is ./{AMD}/{}", file.to.display()).as_bytes());
            assert_eq!(*mode, 0o644);
        }
        let on_disk = metadata(from).permissions().mode();
        assert_eq!(on_disk & 0o7777, *mode, "{on_disk:o}");
    }
}

#[test]
fn kernels_of_other_gpus_are_not_unpacked() {
    for bytes in [deb(&amd_package(), Compression::None), rpm(&amd_package(), Compression::Gzip)] {
        let scene = Scene::new("a", &bytes);
        let source = scene.open(Some(&["gfx906"])).expect("a backend");
        let expected = EXPECTED.iter().filter(|name| !name.contains("gfx1030"));
        assert_eq!(listing(&source), expected.copied().collect::<Vec<_>>());
        assert_eq!(fs::read_dir(&scene.staging).expect("there").count(), 3);
    }
}

#[test]
fn the_release_is_the_packages_where_no_name_tells_it() {
    let library = elf(X86_64, Some("librocblas.so.4"), true);
    let members = [member("usr/lib64/librocblas.so.4.3", Data::File(library))];
    let release = |bytes: &[u8]| Scene::new("a", bytes).open(None).expect("a backend").version;
    assert_eq!(release(&deb(&members, Compression::Zstd)).as_deref(), Some("6.3.0"));
    assert_eq!(release(&rpm(&members, Compression::Zstd)).as_deref(), Some("6.3.1"));
    assert_eq!(release(&tar(&members)), None);
    let with = |name, text: &str| {
        let text = member(name, Data::File(text.as_bytes().to_vec()));
        release(&tar(&[&[text], &members[..]].concat()))
    };
    assert_eq!(with("opt/rocm/.info/version", "6.3.3-74\n").as_deref(), Some("6.3.3"));
    assert_eq!(with(".PKGINFO", "pkgname = rocblas\npkgver = 6.3.2-1\n").as_deref(), Some("6.3.2"));
}

#[test]
fn links_are_kept_and_hard_links_become_files() {
    let kernels = "opt/rocm-6.3.0/lib/rocblas/library";
    let extra = [
        member(&format!("{kernels}/a.dat"), Data::Link("TensileManifest.txt".into())),
        member(&format!("{kernels}/b.dat"), Data::Link("../library/./a.dat".into())),
    ];
    let scene = Scene::new("a.tar", &tar(&[&amd_package()[..], &extra].concat()));
    let source = scene.open(Some(&["gfx906"])).expect("a backend");
    let listing = listing(&source);
    assert!(listing.contains(&"rocblas/library/a.dat -> TensileManifest.txt".to_owned()));
    assert!(listing.contains(&"rocblas/library/b.dat -> ../library/./a.dat".to_owned()));

    // In tar a hard link comes after its file, in cpio before it.
    let link = member(&format!("{kernels}/hard.dat"), Data::HardLink(format!("{kernels}/f.dat")));
    let file = text(&format!("{kernels}/f.dat"));
    let [mut in_tar, mut in_cpio] = [amd_package(), amd_package()];
    in_tar.extend([file.clone(), link.clone()]);
    in_cpio.extend([link, file]);
    for bytes in [tar(&in_tar), rpm(&in_cpio, Compression::None)] {
        let scene = Scene::new("a", &bytes);
        let source = scene.open(None).expect("a backend");
        let from = |name: &str| {
            let file = source.files.iter().find(|file| file.to.ends_with(name)).expect(name);
            let Content::File { from, .. } = &file.content else { panic!("{name} is a link") };
            from.clone()
        };
        let (file, link) = (from("f.dat"), from("hard.dat"));
        let names = [&file, &link].map(|contents| match contents {
            Contents::Staged(_, name) => name.clone(),
            other => panic!("{other:?} was not unpacked"),
        });
        assert_ne!(names[0], names[1], "each can be moved");
        assert_eq!(read(&file), read(&link));
    }
}

#[test]
fn data_shared_by_names_in_an_rpm_reaches_the_wanted_one() {
    // The data comes with the last name, which is not wanted.
    let mut members = amd_package();
    let kernels = format!("{AMD}/rocblas/library");
    members.push(member(&format!("{kernels}/x_gfx906.dat"), Data::HardLink(String::new())));
    members.push(text(&format!("{kernels}/x_gfx1030.dat")));
    let scene = Scene::new("a.rpm", &rpm(&members, Compression::Xz));
    let source = scene.open(Some(&["gfx906"])).expect("a backend");
    let file = source.files.iter().find(|file| file.to.ends_with("x_gfx906.dat")).expect("there");
    let Content::File { from, .. } = &file.content else { panic!("{file:?}") };
    assert_eq!(read(from), format!("this is {kernels}/x_gfx1030.dat").as_bytes());
    assert!(!listing(&source).iter().any(|name| name.contains("gfx1030")));
}

#[test]
fn names_longer_than_a_tar_header_are_read() {
    let long = format!("{AMD}/rocblas/library/{}_gfx906.dat", "x".repeat(150));
    let expected = Path::new(&long).strip_prefix(AMD).expect("below").display().to_string();
    let gnu = tar(&[amd_package(), vec![text(&long)]].concat());
    // As Python and bsdtar write them.
    let mut posix = tar::Builder::new(Vec::new());
    let records = [("path", long.as_bytes()), ("comment", b"two\nlines"), ("size", b"4")];
    posix.append_pax_extensions(records).expect("written");
    let mut header = tar::Header::new_ustar();
    header.set_path("short").expect("a name");
    header.set_mode(0o644);
    // The record counts: sizes from 8 GiB on do not fit into the field.
    header.set_size(0);
    header.set_cksum();
    posix.append(&header, &b"data"[..]).expect("written");
    let mut posix = posix.into_inner().expect("written");
    posix.truncate(posix.len() - 1024);
    posix.extend(tar(&amd_package()));
    for bytes in [gnu, posix] {
        let scene = Scene::new("a.tar", &bytes);
        let listing = listing(&scene.open(None).expect("a backend"));
        assert!(listing.contains(&expected), "{listing:?}");
    }
}

#[test]
fn the_distributions_layouts_keep_their_places() {
    let library = elf(X86_64, Some("librocblas.so.4"), true);
    let members = [
        member("./usr/lib/x86_64-linux-gnu/librocblas.so.4.4", Data::File(library)),
        text("./usr/lib/x86_64-linux-gnu/rocblas/4.4.1/library/Kernels.so-000-gfx906.hsaco"),
        text("./usr/lib/x86_64-linux-gnu/rocblas/5/library/Kernels.so-000-gfx906.hsaco"),
    ];
    let scene = Scene::new("librocblas4.deb", &deb(&members, Compression::Xz));
    assert_eq!(
        listing(&scene.open(Some(&["gfx906"])).expect("a backend")),
        [
            "librocblas.so.4.4",
            "librocblas.so.4 -> librocblas.so.4.4",
            "rocblas/4.4.1/library/Kernels.so-000-gfx906.hsaco",
        ]
    );
}

#[test]
#[expect(clippy::disallowed_macros, reason = "a test says what it skipped")]
fn what_dpkg_deb_builds_is_read() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        let why = "skipped: packages that dpkg-deb builds: it is not installed";
        assert!(std::env::var_os("NO_SKIPPED_TESTS").is_none(), "{why}");
        println!("{why}");
        return;
    }
    let tree = tempfile::tempdir().expect("a directory");
    for Member { name, data, .. } in amd_package() {
        let path = tree.path().join("tree").join(&name);
        match data {
            Data::File(bytes) => {
                fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
                fs::write(path, bytes).expect("a file");
            }
            Data::Link(to) => std::os::unix::fs::symlink(to, path).expect("a link"),
            _ => {}
        }
    }
    let control = "Package: rocblas\nVersion: 4.3.0.60300-39\nArchitecture: amd64\n\
                   Maintainer: Nobody <nobody@example.org>\nDescription: for a test\n";
    fs::create_dir(tree.path().join("tree/DEBIAN")).expect("a directory");
    fs::write(tree.path().join("tree/DEBIAN/control"), control).expect("a file");
    for compression in ["gzip", "xz", "zstd", "none"] {
        let package = tree.path().join(format!("{compression}.deb"));
        let mut command = Command::new("dpkg-deb");
        command.args(["--root-owner-group", "-Z", compression, "--build"]);
        let output = command.arg(tree.path().join("tree")).arg(&package).output().expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let staging = tempfile::tempdir().expect("a directory");
        let source = open_at(&package, staging.path(), None).expect(compression);
        assert_eq!(listing(&source), EXPECTED, "{compression}");
    }
}
