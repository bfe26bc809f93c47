//! Obstacles at the package's path, and the choice of the package.

use super::{
    FILE, Fetching, package, refused,
    server::{Act, Server},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::Command,
};
use tests::{amd_tree::AmdTree, run::run, skip::skip, snapshot::Snapshot};

fn fetching() -> (Server, Fetching) {
    let server = Server::new(&package(), &[Act::Serve]);
    let fetching = Fetching::new(&server);
    (server, fetching)
}

/// Puts an obstacle at a path of the download; the second path is that of a victim, which nothing may touch.
type Put = fn(&Path, &Path);

#[test]
fn what_is_in_the_way_is_neither_followed_nor_replaced() {
    let link: Put = |at, victim| symlink(victim, at).expect("link");
    let dangling: Put = |at, victim| symlink(victim.with_extension("new"), at).expect("link");
    let hard_link: Put = |at, victim| fs::hard_link(victim, at).expect("link");
    let directory: Put = |at, _| fs::create_dir(at).expect("make a directory");
    let file: Put = |at, _| fs::write(at, "another file").expect("write");
    let pipe: Put = |at, _| {
        run(Command::new("mkfifo").arg(at)).success();
    };
    let cases: &[(&str, Put, &[&str])] = &[
        ("", link, &["refusing to replace", "it is a symbolic link"]),
        ("", dangling, &["it is a symbolic link"]),
        ("", directory, &["refusing to replace", "it is a directory"]),
        ("", pipe, &["refusing to replace", "it is a pipe"]),
        ("", file, &["refusing to replace", "its SHA-256 is", "another --output"]),
        (".part", link, &["refusing to write to", "it is a symbolic link. Remove it"]),
        (".part", dangling, &["refusing to write to", "it is a symbolic link"]),
        (".part", hard_link, &["refusing to write to", "it is a file with 2 names (hard links)"]),
        (".part", directory, &["refusing to write to", "it is a directory"]),
        (".part", pipe, &["refusing to write to", "it is a pipe"]),
    ];
    for (suffix, put, sentences) in cases {
        let (server, fetching) = fetching();
        let victim = fetching.outside().join("victim");
        fs::write(&victim, "precious").expect("write");
        put(&fetching.file(suffix), &victim);
        let before = Snapshot::with_times(fetching.directory.path());
        // The directory and not the file: if the obstacle is a directory, `--output` would download into it.
        let output = fetching.downloads();
        let ended = fetching.fetch(&["--output", output.to_str().expect("UTF-8")]);
        refused(&ended, sentences);
        before.assert_same(&Snapshot::with_times(fetching.directory.path()));
        assert!(server.requests().is_empty(), "{suffix}: {server:?}");
    }
}

#[test]
fn a_note_that_is_a_link_is_replaced_and_its_target_is_not_read() {
    let (server, fetching) = fetching();
    let victim = fetching.outside().join("victim");
    let note = format!("{{\"url\":\"{}\",\"sha256\":\"{}\"}}", server.url(), fetching.digest);
    fs::write(&victim, &note).expect("write");
    symlink(&victim, fetching.file(".part.json")).expect("link");
    fs::write(fetching.file(".part"), &package()[..1000]).expect("write");
    let ended = fetching.fetch(&[]).success();
    assert!(ended.stderr.contains("belongs to another download; starting over"), "{ended:?}");
    fetching.assert_complete();
    assert_eq!(fs::read_to_string(&victim).expect("read"), note);
}

#[test]
fn a_part_of_another_user_is_not_resumed() {
    let (_server, fetching) = fetching();
    fs::write(fetching.file(".part"), &package()[..1000]).expect("write");
    if std::os::unix::fs::chown(fetching.file(".part"), Some(12345), None).is_err() {
        skip("a part of another user", "changing owners needs root's rights");
        return;
    }
    refused(&fetching.fetch(&[]), &["it is a file of another user (UID 12345)"]);
    assert_eq!(fetching.part(), 1000);
}

#[test]
fn a_package_that_is_there_is_not_downloaded_again() {
    let (server, fetching) = fetching();
    let ended = fetching.fetch(&[]).success();
    assert!(ended.stdout.contains(&format!("installer apply --backend {FILE}")), "{ended:?}");
    let before = fs::metadata(fetching.file("")).expect("a file");
    let ended = fetching.fetch(&[]).success();
    assert!(ended.stdout.contains("Nothing to do"), "{ended:?}");
    assert_eq!(fs::metadata(fetching.file("")).expect("a file").ino(), before.ino());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn output_is_a_directory_or_a_file() {
    let (_server, fetching) = fetching();
    let to = |name: &str| fetching.outside().join(name).to_str().expect("UTF-8").to_owned();
    fs::create_dir(to("directory")).expect("make a directory");
    symlink("directory", to("link")).expect("link");
    for (output, file) in [
        ("directory", format!("directory/{FILE}")),
        ("link/", format!("directory/{FILE}")),
        ("directory/other name.deb", "directory/other name.deb".to_owned()),
    ] {
        let ended = fetching.fetch(&["--output", &to(output)]).success();
        assert!(fs::read(to(&file)).expect("a file") == package(), "{output}: {ended:?}");
        let _ = fs::remove_file(to(&file));
    }
    for (output, sentence) in
        [("absent/", "there is no such directory"), ("absent/file", "cannot open the directory")]
    {
        refused(&fetching.fetch(&["--output", &to(output)]), &[sentence]);
    }
    assert!(fetching.names().is_empty());
}

#[test]
fn a_dry_run_prints_the_url_the_digest_and_the_file_and_asks_no_server() {
    let (server, fetching) = fetching();
    let ended = fetching.fetch(&["--dry-run"]).success();
    for part in [&server.url(), &fetching.digest, FILE, "written by the test", "6.3.0"] {
        assert!(ended.stdout.contains(part), "{part} is not in {ended:?}");
    }
    let ended = fetching.fetch(&["--dry-run", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(value["outcome"], "planned");
    assert_eq!(value["sha256"], fetching.digest);
    assert_eq!(value["url"], server.url());
    assert_eq!(value["path"], FILE);
    assert!(fetching.names().is_empty() && server.requests().is_empty());
}

#[test]
fn without_a_digest_nothing_is_downloaded() {
    let (server, fetching) = fetching();
    let zesty = &["--for", "zesty"];
    for more in [&zesty[..], &["--for", "zesty", "--dry-run"]] {
        let sentences = ["no SHA-256 is known for", "--sha256", "apt-cache show rocblas=9.9"];
        refused(&fetching.fetch(more), &sentences);
    }
    assert!(fetching.names().is_empty() && server.requests().is_empty());
    let digest = fetching.digest.to_uppercase();
    let given = [&zesty[..], &["--sha256", &digest]].concat();
    fetching.fetch(&given).success();
    fetching.assert_complete();
    let ended = fetching.fetch(&["--sha256", "4859"]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("64 hexadecimal digits"), "{ended:?}");
}

#[test]
fn another_digest_is_an_error_that_names_both_and_leaves_nothing() {
    let (_server, fetching) = fetching();
    let other = "0".repeat(64);
    let ended = fetching.fetch(&["--sha256", &other]);
    refused(&ended, &[&fetching.digest, &other, "given with --sha256"]);
    assert!(fetching.names().is_empty(), "{:?}", fetching.names());
}

#[test]
fn a_relative_of_ubuntu_gets_the_newest_package_that_its_glibc_loads() {
    let server = Server::new(&package(), &[Act::Serve]);
    let fetching = Fetching::new(&server);
    // A root with this machine's libc, whose version is between those of the catalogue.
    let tree = AmdTree::new();
    let os_release = "PRETTY_NAME=\"Debian 13\"\nID=debian\nVERSION_ID=13\n";
    fs::write(tree.root().join("etc/os-release"), os_release).expect("write");
    let catalogue = fetching.directory.path().join("catalogue.toml");
    let catalogue = catalogue.to_str().expect("UTF-8");
    let ended = tree.installer(&["fetch", "6.3", "--dry-run", "--catalogue", catalogue]).success();
    assert!(
        ended.stdout.contains("for ubuntu-24.04: the newest that loads with Debian 13's glibc 2.")
    );
    assert!(ended.stdout.contains("Ubuntu 24.04 has glibc 2.17"), "{ended:?}");
}

#[test]
fn an_unknown_release_or_distribution_is_refused_with_the_list() {
    let (_server, fetching) = fetching();
    let list = "ubuntu-24.04 (noble, glibc 2.17), ubuntu-99.04 (zesty, glibc 2.999)";
    refused(&fetching.fetch(&["--for", "arch"]), &["--for arch", list]);
    let fedora = "ID=fedora\nPRETTY_NAME=\"Fedora 42\"\n";
    fs::write(fetching.root().join("etc/os-release"), fedora).expect("write");
    refused(&fetching.fetch(&[]), &["no package for Fedora 42 is known", list]);
    fs::remove_file(fetching.root().join("etc/os-release")).expect("remove");
    refused(&fetching.fetch(&[]), &["cannot determine the distribution", list]);
    let ended = AmdTree::new().installer(&["fetch", "9.9"]);
    refused(&ended, &["no package of ROCm 9.9 is known, only of 6.3.0"]);
}
