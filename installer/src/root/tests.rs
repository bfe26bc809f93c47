use super::*;
use std::{fs, os::unix::fs::symlink};

fn image() -> (tempfile::TempDir, Root) {
    let outer = tempfile::tempdir().expect("a directory");
    let inner = outer.path().join("image");
    fs::create_dir_all(inner.join("opt/rocm-7.0.2/lib")).expect("directories");
    fs::write(inner.join("opt/rocm-7.0.2/lib/file"), "inside").expect("a file");
    fs::write(outer.path().join("secret"), "outside").expect("a file");
    let link = |target: &str, name: &str| symlink(target, inner.join(name)).expect("a link");
    link("/opt/rocm-7.0.2", "opt/rocm");
    link("../../../../../secret", "climbs");
    link("loop", "loop");
    link("/absent/file", "dangling");
    link("/proc/self/root", "magic");
    let root = Root::new(&inner).expect("a root");
    (outer, root)
}

#[test]
fn links_are_followed_as_seen_from_inside() {
    let (_kept, root) = image();
    let file = Path::new("/opt/rocm/lib/file");
    assert_eq!(root.resolve(file).expect("there"), Path::new("/opt/rocm-7.0.2/lib/file"));
    assert_eq!(root.read_to_string(file).expect("there"), "inside");
    let entry = root.resolve_entry(Path::new("opt/rocm")).expect("there");
    assert_eq!(entry, Path::new("/opt/rocm"));
    let target = root.read_link(Path::new("/opt/rocm")).expect("a link");
    assert_eq!(target, Path::new("/opt/rocm-7.0.2"));
}

#[test]
fn nothing_leads_out() {
    let (_kept, root) = image();
    for path in ["/climbs", "/../secret", "/opt/../../secret", "/opt/rocm/../../../../secret"] {
        let read = root.read_to_string(Path::new(path));
        assert!(read.is_err(), "{path}: {read:?}");
    }
    assert_eq!(root.resolve(Path::new("/../..")).expect("the root"), Path::new("/"));
}

#[test]
fn magic_links_of_proc_are_not_followed() {
    let machine = Root::machine().expect("a root");
    assert!(machine.names(Path::new("/proc/self/root")).is_err());
    assert!(machine.open(Path::new("/proc/self/exe")).is_err());
}

#[test]
fn loops_and_absent_things_are_errors_but_for_a_new_name() {
    let (_kept, root) = image();
    let resolve = |path: &str| root.resolve(Path::new(path));
    assert_eq!(resolve("/loop").expect_err("a loop").raw_os_error(), Some(libc::ELOOP));
    assert!(resolve("/dangling").is_err());
    assert!(resolve("/absent/file").is_err());
    assert!(resolve("/opt/rocm/lib/file/below").is_err());
    assert_eq!(resolve("/opt/rocm/new").expect("may be made"), Path::new("/opt/rocm-7.0.2/new"));
}

/// The kernel's lookup and the one by steps are the same, for every kind of path and flags.
#[test]
fn steps_find_what_the_kernel_finds() {
    use std::os::unix::fs::MetadataExt;
    let (_kept, root) = image();
    let paths = [
        "/",
        "",
        "opt",
        "/opt/rocm",
        "/opt/rocm/lib",
        "/opt/rocm/lib/file",
        "/opt/rocm/lib/..",
        "/opt/rocm/../rocm/lib/file",
        "/../../opt",
        "/climbs",
        "/loop",
        "/dangling",
        "/absent",
        "/absent/..",
        "/opt/rocm/lib/file/x",
        "/opt/rocm/lib/file/..",
        "/opt/rocm/lib/./file",
    ];
    let path = OFlags::PATH | OFlags::CLOEXEC;
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let read = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for flags in [path, path | OFlags::NOFOLLOW, directory, read] {
        for path in paths.map(Path::new) {
            let found = |fd: OwnedFd| File::from(fd).metadata().expect("there").ino();
            let by_kernel = root.look_up(path, flags).map(found);
            let by_steps = steps::look_up(root.as_fd(), path, flags).map(found);
            match (by_kernel, by_steps) {
                (Ok(a), Ok(b)) => assert_eq!(a, b, "{path:?} {flags:?}"),
                (Err(a), Err(b)) => assert_eq!(a.kind(), b.kind(), "{path:?} {flags:?}"),
                (a, b) => panic!("{path:?} {flags:?}: {a:?} and {b:?}"),
            }
        }
    }
}

#[test]
fn a_text_has_a_limit() {
    let top = tempfile::tempdir().expect("a directory");
    let file = File::create_new(top.path().join("sparse")).expect("a file");
    file.set_len(MOST_TEXT + 1).expect("sparse");
    let root = Root::new(top.path()).expect("a root");
    let refused = root.read_to_string(Path::new("/sparse")).expect_err("too large");
    assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
}
