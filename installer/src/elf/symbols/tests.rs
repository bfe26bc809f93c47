//! The symbols and versions that compilers and linkers produce.

use super::*;
use crate::elf::testing::{library, versioned};
use std::{fs, path::Path};

fn of(path: &Path) -> Symbols {
    symbols_of(&fs::read(path).expect("readable")).expect("an ELF file")
}

#[test]
fn imports_know_how_they_are_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let nodes = "foo_1 { global: called; data; address; };";
    let source = "int called(void) { return 0; } int data; int address(void) { return 0; }";
    versioned(directory.path(), "libfoo.so.1", source, nodes);
    let client = "int called(void), address(void), plain(void); extern int data;\
        int maybe(void) __attribute__((weak)); int *p = &data; int (*f)(void) = address;\
        int ask(void) { return called() + address() + plain() + (maybe ? maybe() : 0); }";
    library(directory.path(), "client.so", client, &["libfoo.so.1", "-Wl,-z,lazy", "-fno-plt"]);
    let imports = of(&directory.path().join("client.so")).imports;
    assert!(imports.iter().all(|import| !import.only_called), "no call has a slot: {imports:?}");

    library(directory.path(), "client.so", client, &["libfoo.so.1", "-Wl,-z,lazy"]);
    let symbols = of(&directory.path().join("client.so"));
    let import = |name: &str| {
        let found = symbols.imports.iter().find(|import| import.name == name);
        found.cloned().unwrap_or_else(|| panic!("no {name}"))
    };
    let version = Some(Version { name: "foo_1".into(), file: "libfoo.so.1".into() });
    let called = import("called");
    assert_eq!((called.version, called.only_called, called.weak), (version.clone(), true, false));
    let data = import("data");
    assert_eq!((data.version, data.only_called), (version.clone(), false));
    assert_eq!((import("address").version, import("address").only_called), (version, false));
    assert_eq!((import("plain").version, import("plain").only_called), (None, true));
    assert!(import("maybe").weak && !import("maybe").only_called);
    assert!(symbols.provide("ask", None) && !symbols.provide("called", None));
    let [needed] = symbols.versions_needed.as_slice() else { panic!("one version") };
    assert_eq!((needed.name.as_str(), needed.file.as_str()), ("foo_1", "libfoo.so.1"));
}

#[test]
fn exports_are_provided_as_the_loader_would() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = r#"
        int old(void) { return 1; }
        int middle(void) { return 2; }
        int new(void) { return 3; }
        __asm__(".symver old, foo@V1");
        __asm__(".symver middle, foo@V2");
        __asm__(".symver new, foo@@V3");
        int gone(void) { return 4; }
        __asm__(".symver gone, bar@V2");
    "#;
    versioned(
        directory.path(),
        "libfoo.so.1",
        source,
        "V1 { global: foo; bar; local: *; }; V2 { } V1; V3 { } V2;",
    );
    let symbols = of(&directory.path().join("libfoo.so.1"));
    for version in ["V1", "V2", "V3"] {
        assert!(symbols.provide("foo", Some(version)), "{version}");
    }
    assert!(!symbols.provide("foo", Some("V4")));
    assert!(symbols.provide("foo", None), "its default");
    assert!(symbols.provide("bar", Some("V2")) && !symbols.provide("bar", None), "has none");
    assert!(!symbols.provide("gone", None) && !symbols.provide("old", None));
    let hidden: Vec<bool> = symbols.exports["foo"].iter().map(|foo| foo.hidden).collect();
    assert_eq!(hidden.iter().filter(|hidden| **hidden).count(), 2);
    // An unversioned name satisfies a request for any version.
    let source = "int foo(void) { return 1; } int bare(void) { return 2; }";
    versioned(directory.path(), "libsome.so.1", source, "V1 { global: foo; };");
    let some = of(&directory.path().join("libsome.so.1"));
    assert!(some.provide("bare", Some("V9")) && !some.provide("foo", Some("V9")));
    // So do all names of a library without versions.
    library(directory.path(), "libbare.so.1", "int foo(void) { return 1; }", &[]);
    assert!(of(&directory.path().join("libbare.so.1")).provide("foo", Some("V9")));
}

#[test]
fn both_kinds_of_hash_table_lead_to_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = "int a, b, c; int f(void) { return a + b + c; } int puts(const char *);\
        int g(void) { return puts(\"\"); }";
    let exports = |style: &str| {
        library(directory.path(), "libfoo.so.1", source, &[&format!("-Wl,--hash-style={style}")]);
        let symbols = of(&directory.path().join("libfoo.so.1"));
        let mut names: Vec<String> = symbols.exports.into_keys().collect();
        names.sort();
        names
    };
    let gnu = exports("gnu");
    assert!(["a", "b", "c", "f", "g"].iter().all(|name| gnu.iter().any(|n| n == name)), "{gnu:?}");
    assert_eq!(exports("sysv"), gnu);
}
