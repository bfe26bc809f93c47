//! Package databases as the three package managers write them.

use super::*;
use crate::inspect::testing::Image;
use std::{fs, os::unix::fs::PermissionsExt};

const STATUS: &str = "Package: other\nVersion: 1\n\nPackage: rocblas\nStatus: install ok installed\n\
                      Architecture: amd64\nDescription: x\n Version: 9\nVersion: 5.0.2.70002-56\n\n\
                      Package: multi\nArchitecture: i386\nVersion: 1-i386\n\n\
                      Package: multi\nArchitecture: amd64\nVersion: 1-amd64\n";

fn debian() -> Image {
    let image = Image::new();
    image.file("/var/lib/dpkg/status", STATUS);
    image
}

fn list(image: &Image, package: &str, paths: &[&str]) {
    let text = format!("/.\n/opt\n{}\n", paths.join("\n"));
    image.file(&format!("/var/lib/dpkg/info/{package}.list"), &text);
}

/// The owners of paths, as text; a file is created for each.
fn owners_of(image: &Image, paths: &[&str]) -> Vec<Option<String>> {
    let asked: BTreeSet<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let found = owners(&image.root, &asked, Path::new("/nonexistent/rpm"));
    let text = |path: &&str| found.get(Path::new(path)).map(ToString::to_string);
    paths.iter().map(text).collect()
}

fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn dpkg_knows_files_and_links_with_the_version_of_their_package() {
    let image = debian();
    let (file, link) =
        ("/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002", "/opt/rocm-7.0.2/lib/librocblas.so.5");
    image.file(file, "");
    image.link(link, "librocblas.so.5.0.70002");
    image.file("/opt/rocm-7.0.2/lib/mine", "");
    list(&image, "rocblas", &[file, link, "/usr/share/mine"]);
    let rocblas = owned("rocblas 5.0.2.70002-56");
    assert_eq!(
        owners_of(&image, &[file, link, "/opt/rocm-7.0.2/lib/mine"]),
        [rocblas.clone(), rocblas, None]
    );
}

#[test]
fn the_version_is_that_of_the_packages_architecture() {
    let image = debian();
    image.file("/opt/a", "");
    list(&image, "multi:amd64", &["/opt/a"]);
    assert_eq!(owners_of(&image, &["/opt/a"]), [owned("multi 1-amd64")]);
}

#[test]
fn a_merged_usr_and_other_links_are_seen_through() {
    let image = debian();
    let file = "/usr/lib/x86_64-linux-gnu/librocblas.so.5.2";
    image.file(file, "");
    image.link("/lib", "usr/lib");
    list(&image, "rocblas", &["/lib/x86_64-linux-gnu/librocblas.so.5.2"]);
    assert_eq!(owners_of(&image, &[file]), [owned("rocblas 5.0.2.70002-56")]);
    list(&image, "rocblas", &["/lib/i386-linux-gnu/librocblas.so.5.2"]);
    assert_eq!(owners_of(&image, &[file]), [None]);
}

#[test]
fn a_diverted_file_is_found_where_it_is() {
    let image = debian();
    let (listed, kept) = ("/opt/lib/librocblas.so.5.0.70002", "/opt/store/kept");
    image.file(listed, "the shim's");
    image.file(kept, "stock");
    list(&image, "rocblas", &[listed]);
    image.file("/var/lib/dpkg/diversions", &format!("{listed}\n{kept}\n:\n"));
    let rocblas = owned("rocblas 5.0.2.70002-56");
    assert_eq!(owners_of(&image, &[listed, kept]), [None, rocblas.clone()]);
    // The package that diverts keeps the original path.
    image.file("/var/lib/dpkg/diversions", &format!("{listed}\n{kept}\nother\n"));
    list(&image, "other", &[listed]);
    assert_eq!(owners_of(&image, &[listed, kept]), [owned("other 1"), rocblas]);
}

#[test]
fn pacman_knows_paths_without_the_first_slash() {
    let image = Image::new();
    let package = "/var/lib/pacman/local/rocblas-7.2.1-1";
    image.file("/opt/rocm/lib/librocblas.so.5.2", "");
    image.file(&format!("{package}/files"), "%FILES%\nopt/\nopt/rocm/lib/librocblas.so.5.2\n");
    image.file(&format!("{package}/desc"), "%NAME%\nrocblas\n\n%VERSION%\n7.2.1-1\n");
    let owners = owners_of(&image, &["/opt/rocm/lib/librocblas.so.5.2", "/opt/rocm/lib"]);
    assert_eq!(owners, [owned("rocblas 7.2.1-1"), None]);
}

#[test]
fn rpm_is_asked_where_there_is_a_database_of_it() {
    let image = Image::new();
    image.file("/usr/lib64/librocblas.so.5", "");
    let rpm = image.outside().join("rpm");
    // Prints its arguments, so that the test sees them.
    fs::write(&rpm, "#!/bin/sh\n[ \"$1\" = --root ] || exit 1\necho \"rocblas $3$6\"\n")
        .expect("a file");
    fs::set_permissions(&rpm, fs::Permissions::from_mode(0o755)).expect("permissions");
    let asked = BTreeSet::from([PathBuf::from("/usr/lib64/librocblas.so.5")]);
    assert!(owners(&image.root, &asked, &rpm).is_empty(), "no database");
    image.directory("/usr/lib/sysimage/rpm");
    let found = owners(&image.root, &asked, &rpm);
    let expected = Owner {
        manager: Manager::Rpm,
        package: "rocblas".to_owned(),
        version: owned("-qf/usr/lib64/librocblas.so.5"),
    };
    assert_eq!(found.into_values().collect::<Vec<_>>(), [expected]);
    assert!(owners(&image.root, &asked, Path::new("/nonexistent/rpm")).is_empty());
}

#[test]
fn hostile_databases_have_no_owners() {
    let image = debian();
    image.file("/opt/a", "");
    // A name on no line, a path that climbs out, one that never ends, bytes that are no text.
    list(&image, "climbs", &["/../../opt/a/../../a", "../a", "//", ""]);
    fs::write(image.place("/var/lib/dpkg/info/bytes.list"), b"/opt/\xff\xfe\n\0\n")
        .expect("a file");
    let huge = fs::File::create(image.place("/var/lib/dpkg/info/huge.list")).expect("a file");
    huge.set_len(1 << 40).expect("a sparse file");
    image.link("/var/lib/dpkg/info/loop.list", "loop.list");
    image.link("/var/lib/dpkg/diversions", "/dev/zero");
    image.directory("/var/lib/pacman/local/x/files");
    assert_eq!(owners_of(&image, &["/opt/a"]), [None]);
}
