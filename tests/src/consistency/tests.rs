//! Tests the model with short programs whose faults are known.

use super::{Crash, FileSystem, Log, Ordering, record};
use crate::{compile::compile, interrupt, skip::skip};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Records a script in a directory with a file `f` that contains `old`; `None` if processes cannot be traced.
fn script(text: &str) -> Option<Log> {
    if let Err(why) = interrupt::permitted() {
        skip("recorded operations", why);
        return None;
    }
    let directory = tempfile::tempdir().expect("make a directory");
    fs::write(directory.path().join("f"), "old").expect("write");
    let mut command = Command::new("sh");
    command.args(["-e", "-c", text]).current_dir(directory.path());
    let recording = record(&mut command, directory.path()).expect("record");
    assert!(recording.ended.status.success(), "{:?}", recording.ended);
    Some(recording.log)
}

fn crashes(log: &Log, ordering: Ordering) -> Vec<Crash> {
    log.crashes(ordering, 1)
}

/// The possible contents of a file after a power cut, `-` if it does not exist.
fn held(crashes: &[Crash], name: &str) -> BTreeSet<String> {
    let content = |crash: &Crash| match crash.files.content(Path::new(name)) {
        Some(content) => String::from_utf8_lossy(content.bytes()).into_owned(),
        None => "-".to_owned(),
    };
    crashes.iter().map(content).collect()
}

/// The same, after the end of the command.
fn held_after(log: &Log, ordering: Ordering, name: &str) -> BTreeSet<String> {
    let after = crashes(log, ordering).into_iter().filter(|crash| crash.after_end);
    held(&after.collect::<Vec<_>>(), name)
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const BOTH: [Ordering; 2] = [Ordering::Directory, Ordering::Name];

#[test]
fn a_file_renamed_before_it_is_synced_may_be_empty() {
    let Some(log) = script("echo new > f.new; mv f.new f") else { return };
    for ordering in BOTH {
        let expected = set(&["old", "", "new\n", "ne", "\0\0\0\0"]);
        assert_eq!(held(&crashes(&log, ordering), "f"), expected);
    }
}

#[test]
fn a_file_synced_before_it_is_renamed_is_old_or_new() {
    let Some(log) = script("echo new > f.new; sync f.new; mv f.new f") else { return };
    for ordering in BOTH {
        assert_eq!(held(&crashes(&log, ordering), "f"), set(&["old", "new\n"]));
    }
}

#[test]
fn a_rename_is_durable_only_once_the_directory_is_synced() {
    let text = "echo new > f.new; sync f.new; mv f.new f";
    let Some(log) = script(text) else { return };
    for ordering in BOTH {
        assert_eq!(held_after(&log, ordering, "f"), set(&["old", "new\n"]));
        for sync in ["sync .", "sync -f .", "sync"] {
            let log = script(&format!("{text}; {sync}")).expect("as before");
            assert_eq!(held_after(&log, ordering, "f"), set(&["new\n"]), "{sync}");
        }
    }
}

#[test]
fn names_in_different_directories_change_in_any_order() {
    // A file is moved by a link and a removal; without a sync in between it is lost.
    let moved = |between: &str| script(&format!("mkdir d; sync -f .; ln f d/f; {between}; rm f"));
    let lost = |log: &Log, ordering| {
        crashes(log, ordering)
            .iter()
            .any(|crash| !crash.files.contents().iter().any(|content| content.bytes() == b"old"))
    };
    let Some(log) = moved(":") else { return };
    for ordering in BOTH {
        assert!(lost(&log, ordering));
        for sync in ["sync d", "sync -f ."] {
            let log = moved(sync).expect("as before");
            assert!(!lost(&log, ordering), "{sync}");
        }
        let log = script("mkdir d; mv f d/f; rmdir d 2>&- || mv d e").expect("as before");
        assert!(!lost(&log, ordering), "a rename is atomic, and comes after its directory");
    }
}

#[test]
fn names_in_one_directory_change_in_order_unless_names_are_independent() {
    let Some(log) = script("ln f g; rm f") else { return };
    let neither = |ordering| {
        crashes(&log, ordering).iter().any(|crash| {
            crash.files.resolve(Path::new("f")).is_none()
                && crash.files.resolve(Path::new("g")).is_none()
        })
    };
    assert!(!neither(Ordering::Directory));
    assert!(neither(Ordering::Name));
}

#[test]
fn a_file_that_is_overwritten_may_hold_parts_of_both() {
    let Some(log) = script("echo new > f; sync f; echo more >> f") else { return };
    let expected = set(&["old", "", "ne", "\0\0\0\0", "new\n", "new\nmore\n", "new\n"]);
    let held = held(&crashes(&log, Ordering::Directory), "f");
    assert!(held.is_superset(&expected), "{held:?}");
}

#[test]
fn a_mode_that_is_not_synced_may_be_missing() {
    let modes = |text: &str| {
        let crashes = crashes(&script(text)?, Ordering::Directory);
        let mode = |crash: &Crash| {
            let node = crash.files.resolve(Path::new("f")).expect("there");
            let is_new = crash.files.content(Path::new("f"))?.bytes() == b"new\n";
            is_new.then(|| crash.files.attributes(node).mode)
        };
        Some(crashes.iter().filter_map(mode).collect::<BTreeSet<u32>>())
    };
    let change = "umask 022; echo new > n; chmod 0751 n";
    let Some(unsynced) = modes(&format!("{change}; mv n f; sync .")) else { return };
    assert_eq!(unsynced, BTreeSet::from([0o644, 0o751]));
    let synced = modes(&format!("{change}; sync n; mv n f"));
    assert_eq!(synced.expect("as before"), BTreeSet::from([0o751]));
}

/// Every call with which a careful program changes a tree, through directory descriptors.
const CALLS: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#define CHECK(call) if ((call) < 0) { perror(#call); return 1; }
int main(int count, char **words) {
    int top = open(".", O_DIRECTORY), d, a, b, file;
    CHECK(mkdirat(top, "d", 0700));
    CHECK(symlinkat("/d", top, "link"));
    struct open_how how = { .flags = O_CREAT | O_EXCL | O_RDWR, .mode = 0600,
        .resolve = RESOLVE_IN_ROOT };
    /* The link is absolute, and inside. */
    CHECK(a = syscall(SYS_openat2, top, "link/a", &how, sizeof how));
    CHECK(write(a, "first ", 6));
    CHECK(pwrite(a, "second", 6, 6));
    CHECK(d = openat(top, "d", O_DIRECTORY));
    CHECK(b = openat(d, "b", O_CREAT | O_RDWR, 0644));
    CHECK(copy_file_range(a, &(off_t){0}, b, &(off_t){0}, 12, 0));
    CHECK(sendfile(b, a, &(off_t){0}, 5));
    CHECK(ftruncate(b, 9));
    CHECK(fallocate(b, 0, 0, 20));
    CHECK(fchmod(b, 04751));
    CHECK(futimens(b, (struct timespec[]){{1, 2}, {3, 4}}));
    fsetxattr(b, "user.note", "x", 1, 0);
    CHECK(utimensat(d, "a", (struct timespec[]){{5, 6}, {7, 8}}, AT_SYMLINK_NOFOLLOW));
    CHECK(fchmodat(d, "a", 0640, 0));
    CHECK(fsync(b));
    CHECK(renameat2(d, "a", d, "b", RENAME_EXCHANGE));
    CHECK(renameat2(d, "a", top, "c", RENAME_NOREPLACE));
    CHECK(linkat(d, "b", top, "b", 0));
    CHECK(file = openat(top, ".", O_TMPFILE | O_RDWR, 0600));
    CHECK(write(file, "nameless", 8));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    CHECK(linkat(AT_FDCWD, path, d, "named", AT_SYMLINK_FOLLOW));
    /* Seen when the file is looked at next. */
    char *mapped = mmap(0, 8, PROT_WRITE | PROT_READ, MAP_SHARED, file, 0);
    memcpy(mapped, "mapped", 6);
    CHECK(pwrite(file, "!", 1, 8));
    CHECK(unlinkat(top, "b", 0));
    CHECK(mkdirat(d, "empty", 0755));
    CHECK(renameat(d, "empty", d, "moved"));
    CHECK(unlinkat(d, "moved", AT_REMOVEDIR));
    CHECK(truncate("f", 1));
    if (getuid() == 0) CHECK(fchownat(top, "f", 12, 34, 0));
    CHECK(syncfs(d));
    CHECK(open("f", O_WRONLY | O_TRUNC));
    return 0;
}"#;

#[test]
fn every_call_on_files_is_understood() {
    if script(":").is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("make a directory");
    let source = directory.path().join("calls.c");
    fs::write(&source, CALLS).expect("write");
    let program = compile(&source, &directory.path().join("calls"), &[]);
    let below = directory.path().join("below");
    fs::create_dir(&below).expect("make a directory");
    fs::write(below.join("f"), "old").expect("write");
    // Recording fails if the operations do not explain the resulting files.
    let recording = record(Command::new(program).current_dir(&below), &below).expect("record");
    assert!(recording.ended.status.success(), "{:?}", recording.ended);
    let Log { operations, .. } = &recording.log;
    let texts: Vec<String> = operations.iter().map(ToString::to_string).collect();
    for expected in [
        "openat2 d/a",
        "renameat2 (exchange) d/a -> d/b",
        "renameat2 d/a -> c",
        "linkat d/named",
        "fsync d/b",
    ] {
        assert!(texts.iter().any(|text| text == expected), "{expected}: {texts:#?}");
    }
    let written = tempfile::tempdir().expect("make a directory");
    let end = recording.log.end();
    end.write(written.path()).expect("write");
    let read = FileSystem::read(written.path()).expect("read");
    assert_eq!(end.differences(&read), Vec::<String>::new());
    // Synced data is present in every state after the sync.
    let at = texts.iter().position(|text| text.starts_with("syncfs")).expect("it syncs");
    for ordering in BOTH {
        for crash in crashes(&recording.log, ordering) {
            if crash.prefix > at {
                let named = crash.files.content(Path::new("link/named")).expect("there");
                assert_eq!(named.bytes(), b"mappedss!");
            }
            // The exchange is atomic, and the data was synced before.
            let exchanged = crash.files.content(Path::new("c")).is_some();
            let b = crash.files.content(Path::new("d/b")).map(|content| content.bytes().len());
            assert!(!exchanged || b.is_some(), "{crash:?}");
        }
    }
}

#[test]
fn a_move_into_the_directory_is_refused() {
    if script(":").is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("make a directory");
    let below = directory.path().join("below");
    fs::create_dir(&below).expect("make a directory");
    fs::write(directory.path().join("away"), "").expect("write");
    let mut command = Command::new("mv");
    command.current_dir(directory.path()).args(["away", "below/here"]);
    let error = record(&mut command, &below).expect_err("it cannot be explained");
    assert!(error.to_string().contains("into the tree"), "{error}");
}
