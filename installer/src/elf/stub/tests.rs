//! The real loader, linker and ldconfig accept a stub as what it declares.

use super::*;
use crate::elf::{
    Kind,
    summary::summary_of,
    testing::{cc, library, run, versioned},
};
use goblin::elf::{
    Elf,
    program_header::{PF_X, PT_GNU_STACK, PT_LOAD},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn hip(versions: &[&str]) -> Stub {
    Stub {
        soname: "libfoo.so.6".to_owned(),
        needed: vec!["libfoo.so.7".to_owned()],
        runpath: Some("$ORIGIN".to_owned()),
        versions: versions.iter().map(|version| (*version).to_owned()).collect(),
    }
}

fn write_stub(directory: &Path, versions: &[&str]) {
    let bytes = stub(&hip(versions)).expect("a stub");
    fs::write(directory.join("libfoo.so.6"), bytes).expect("written");
}

/// `libfoo.so.7`, and clients linked when the library was `libfoo.so.6`: a program, and a library for a
/// program that calls dlopen.
fn client(directory: &Path) -> PathBuf {
    let (source, nodes) = ("int answer(void) { return 42; }", "foo_4.2 { global: answer; };");
    versioned(directory, "libfoo.so.6", source, nodes);
    let program = "int answer(void); int main(void) { return answer() != 42; }";
    cc(directory, "program", program, &["libfoo.so.6", "-Wl,-rpath,$ORIGIN"]);
    let plugin = "int answer(void); int ask(void) { return answer(); }";
    library(directory, "plugin.so", plugin, &["libfoo.so.6", "-Wl,-rpath,$ORIGIN"]);
    let host = "#include <dlfcn.h>\n\
        int main(int n, char **v) { void *h = dlopen(v[1], RTLD_NOW); if (!h) return 2;\
        int (*ask)(void) = (int (*)(void))dlsym(h, \"ask\"); return ask() != 42; }";
    cc(directory, "host", host, &["-ldl"]);
    versioned(directory, "libfoo.so.7", source, nodes);
    fs::remove_file(directory.join("libfoo.so.6")).expect("removed");
    directory.join("program")
}

#[test]
fn what_is_written_is_read() {
    let bytes = stub(&hip(&["foo_4.2", "foo_6.0"])).expect("a stub");
    assert_eq!(bytes, stub(&hip(&["foo_4.2", "foo_6.0"])).expect("a stub"), "the same each time");
    let summary = summary_of(&bytes).expect("an ELF file");
    assert_eq!(summary.kind, Kind::Shared);
    assert!(summary.machine_is_x86_64 && !summary.has_code);
    assert_eq!(summary.soname.as_deref(), Some("libfoo.so.6"));
    assert_eq!(summary.needed, ["libfoo.so.7"]);
    assert_eq!(summary.runpath, ["$ORIGIN"]);
    assert_eq!(summary.versions_defined, ["foo_4.2", "foo_6.0"]);
}

#[test]
fn nothing_of_it_is_executable_and_neither_is_the_stack() {
    let bytes = stub(&hip(&["foo_4.2"])).expect("a stub");
    let elf = Elf::parse(&bytes).expect("an ELF file");
    assert!(elf.program_headers.iter().all(|segment| segment.p_flags & PF_X == 0));
    assert!(elf.program_headers.iter().any(|segment| segment.p_type == PT_GNU_STACK));
    let mapped = elf.program_headers.iter().filter(|segment| segment.p_type == PT_LOAD);
    assert!(mapped.into_iter().all(|segment| segment.p_align == PAGE));
}

#[test]
fn the_loader_binds_through_it_and_has_no_complaint() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = client(directory.path());
    write_stub(directory.path(), &["foo_4.2"]);
    let output = run(&mut Command::new(&program));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let mut host = Command::new(directory.path().join("host"));
    let output = run(host.arg(directory.path().join("plugin.so")));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_node_that_is_left_out_is_missed() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = client(directory.path());
    write_stub(directory.path(), &["foo_6.0"]);
    let output = Command::new(&program).env_remove("LD_LIBRARY_PATH").output().expect("started");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("version `foo_4.2' not found"), "{complaint}");
    write_stub(directory.path(), &[]);
    let output = run(&mut Command::new(&program));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("no version information available"), "{complaint}");
}

#[test]
fn the_cache_knows_it() {
    let root = tempfile::tempdir().expect("a directory");
    let lib = root.path().join("opt/lib");
    fs::create_dir_all(&lib).expect("a directory");
    fs::create_dir_all(root.path().join("etc")).expect("a directory");
    fs::write(root.path().join("etc/ld.so.conf"), "/opt/lib\n").expect("written");
    let bytes = stub(&hip(&["foo_4.2"])).expect("a stub");
    fs::write(lib.join("libfoo.so.6.99"), bytes).expect("written");
    let ldconfig = || {
        let found =
            ["/sbin/ldconfig", "/usr/sbin/ldconfig"].into_iter().find(|p| Path::new(p).exists());
        let mut command = Command::new(found.expect("ldconfig, which comes with glibc"));
        command.arg("-r").arg(root.path());
        command
    };
    run(&mut ldconfig());
    let link = fs::read_link(lib.join("libfoo.so.6")).expect("made by ldconfig");
    assert_eq!(link, Path::new("libfoo.so.6.99"));
    let listed = String::from_utf8_lossy(&run(ldconfig().arg("-p")).stdout).into_owned();
    assert!(listed.contains("libfoo.so.6 (libc6,x86-64) => /opt/lib/libfoo.so.6"), "{listed}");
}

#[test]
fn a_program_can_be_linked_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    client(directory.path());
    write_stub(directory.path(), &["foo_4.2"]);
    let program = "int answer(void); int main(void) { return answer() != 42; }";
    let arguments = ["libfoo.so.6", "libfoo.so.7", "-Wl,-rpath,$ORIGIN"];
    cc(directory.path(), "linked", program, &arguments);
    run(&mut Command::new(directory.path().join("linked")));
}

#[test]
fn impossible_ones_are_refused() {
    let many = vec!["v".to_owned(); MOST_VERSIONS + 1];
    assert!(stub(&Stub { versions: many, ..hip(&[]) }).is_err());
    assert!(stub(&Stub { soname: "a\0b".to_owned(), ..hip(&[]) }).is_err());
}
