use super::*;
use std::{fs, os::unix::fs::symlink};

fn opened(path: &Path) -> Directory {
    Directory::of(File::open(path).expect("a directory").into())
}

fn name(name: &str) -> Name<'_> {
    Name::new(name).expect("a name")
}

#[test]
fn a_name_is_one_plain_component() {
    for bad in ["", ".", "..", "/", "a/b", "/a", "a/", "a\0b"] {
        assert!(Name::new(bad).is_none(), "{bad:?}");
    }
    for good in ["a", "...", ".a", "a b", "\u{1b}"] {
        assert!(Name::new(good).is_some(), "{good:?}");
    }
}

#[test]
fn below_takes_neither_links_nor_dots_with_and_without_openat2() {
    let outer = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(outer.path().join("top/a/b")).expect("directories");
    fs::create_dir(outer.path().join("victim")).expect("a directory");
    symlink("../victim", outer.path().join("top/climbs")).expect("a link");
    symlink("a", outer.path().join("top/inside")).expect("a link");
    symlink(outer.path(), outer.path().join("top/a/absolute")).expect("a link");
    let top = opened(&outer.path().join("top"));
    let lookups: [fn(&Directory, &Path) -> io::Result<Directory>; 2] =
        [Directory::below, Directory::below_by_steps];
    for below in lookups {
        let found = below(&top, Path::new("a/b")).expect("there");
        found.symlink(Path::new("x"), name("made")).expect("made");
        assert!(outer.path().join("top/a/b/made").is_symlink());
        found.remove(name("made")).expect("removed");
        for bad in ["climbs", "inside", "inside/b", "a/absolute", "..", "a/../..", "/", "/tmp"] {
            assert!(below(&top, Path::new(bad)).is_err(), "{bad}");
        }
        // A mount point, even where nothing climbs.
        assert!(below(&opened(Path::new("/")), Path::new("proc/self")).is_err());
    }
}

#[test]
fn a_made_directory_has_the_permissions_asked_for_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let top = tempfile::tempdir().expect("a directory");
    let directory = opened(top.path());
    let (made, new) = directory.make(name("made"), 0o755).expect("made");
    assert!(new);
    assert_eq!(made.metadata().expect("there").permissions().mode() & 0o7777, 0o755);
    assert!(!directory.make(name("made"), 0o700).expect("there").1);
    assert_eq!(made.metadata().expect("there").permissions().mode() & 0o7777, 0o755);
}

#[test]
fn an_exchange_swaps_two_names_and_free_means_free() {
    let top = tempfile::tempdir().expect("a directory");
    let directory = opened(top.path());
    fs::write(top.path().join("a"), "a").expect("write");
    symlink("nowhere", top.path().join("b")).expect("a link");
    let rename = |from, to, target| directory.rename(name(from), &directory, name(to), target);
    assert!(rename("a", "b", Target::Free).is_err());
    rename("a", "b", Target::Exchanged).expect("exchanged");
    assert_eq!(fs::read_to_string(top.path().join("b")).expect("there"), "a");
    assert_eq!(directory.read_link(name("a")).expect("a link"), Path::new("nowhere"));
    rename("b", "c", Target::Free).expect("renamed");
    rename("c", "a", Target::Replaced).expect("renamed");
    assert_eq!(directory.names().expect("read"), ["a"]);
}

#[test]
fn a_tree_is_removed_and_links_in_it_are_not_followed() {
    let outer = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(outer.path().join("top/a/b")).expect("directories");
    fs::write(outer.path().join("kept"), "kept").expect("write");
    symlink(outer.path(), outer.path().join("top/a/b/out")).expect("a link");
    let directory = opened(outer.path());
    directory.remove_tree(name("top")).expect("removed");
    directory.remove_tree(name("top")).expect("gone already");
    assert_eq!(directory.names().expect("read"), ["kept"]);
    assert!(!directory.is_empty().expect("read"));
    directory.remove_contents().expect("removed");
    assert!(directory.is_empty().expect("read"));
}

#[test]
fn only_regular_files_are_opened() {
    let top = tempfile::tempdir().expect("a directory");
    fs::write(top.path().join("file"), "text").expect("write");
    symlink("file", top.path().join("link")).expect("a link");
    fs::create_dir(top.path().join("directory")).expect("a directory");
    let fifo = top.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .expect("a pipe");
    let directory = opened(top.path());
    assert!(directory.open(name("file")).is_ok());
    for other in ["link", "directory", "fifo", "absent"] {
        assert!(directory.open(name(other)).is_err(), "{other}");
    }
}
