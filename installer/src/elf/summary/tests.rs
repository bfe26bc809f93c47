//! Reads the output of compilers, and malformed files.

use super::*;
use crate::elf::testing::{cc, library, versioned};
use proptest::prelude::*;
use std::{fs, path::Path, sync::OnceLock};

const SOURCE: &str = r#"
    int hip(void);
    int rocblas(void) { return hip(); }
    __attribute__((section(".hip_fatbin"))) const char code[5000] = "__CLANG";
    __attribute__((section(".note.shim"), used, aligned(4)))
    const struct { int sizes[3]; char name[16], version[16]; } note =
        { { 13, 16, 1 }, "rocblas-shim", "1.2.3" };
"#;

/// A library with all features.
fn made() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let nodes = "hip_4.2 { global: hip; };";
        versioned(directory.path(), "libhip.so.6", "int hip(void) { return 0; }", nodes);
        fs::write(directory.path().join("script"), "a_1 { global: rocblas; }; a_2 { };")
            .expect("written");
        let arguments = [
            "libhip.so.6",
            "-Wl,--version-script=script,-z,now,--enable-new-dtags",
            "-Wl,-rpath,$ORIGIN/../lib:/opt/lib",
        ];
        library(directory.path(), "librocblas.so.4", SOURCE, &arguments);
        fs::read(directory.path().join("librocblas.so.4")).expect("readable")
    })
}

#[test]
fn a_library_is_read_as_it_was_made() {
    let bytes = made();
    let read = summary_of(bytes).expect("an ELF file");
    assert_eq!((read.kind, read.machine_is_x86_64), (Kind::Shared, true));
    assert_eq!(read.machine, "X86_64, 64-bit, little-endian");
    assert_eq!(read.soname.as_deref(), Some("librocblas.so.4"));
    assert_eq!(read.needed[0], "libhip.so.6");
    assert_eq!(read.runpath, ["$ORIGIN/../lib", "/opt/lib"]);
    assert!(read.rpath.is_empty() && read.bind_now && read.has_code);
    assert_eq!(read.shim.as_deref(), Some("1.2.3"));
    assert_eq!(read.versions_defined, ["a_1", "a_2"]);
    assert_eq!(read.versions_needed["libhip.so.6"], ["hip_4.2"]);
    assert_eq!(read.interpreter, None);
    let [code] = read.fatbin.as_slice() else { panic!("{:?}", read.fatbin) };
    assert!(code.end - code.start >= 5000);
    assert!(bytes[code.start as usize..].starts_with(b"__CLANG\0"));

    let file = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut &file, bytes).expect("written");
    assert_eq!(summary(&file).expect("an ELF file"), read);
}

#[test]
fn programs_and_objects_are_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = |arguments: &[&str]| {
        cc(directory.path(), "made", "int main(void) { return 0; }", arguments);
        summary_of(&fs::read(directory.path().join("made")).expect("readable")).expect("ELF")
    };
    let tags = "-Wl,--disable-new-dtags,-rpath,/a:/b";
    for pie in ["-pie", "-no-pie"] {
        let program = made(&[pie, "-fPIE", tags]);
        assert_eq!(program.kind, Kind::Executable, "{pie}");
        assert!(program.interpreter.is_some_and(|path| path.contains("/ld-")), "{pie}");
        assert_eq!((program.rpath, program.runpath), (vec!["/a".into(), "/b".into()], vec![]));
    }
    let alone = made(&["-static-pie", "-nostdlib", "-Wl,-e,main"]);
    assert_eq!((alone.kind, alone.interpreter), (Kind::Executable, None));
    let object = made(&["-c"]);
    assert_eq!((object.kind, object.has_code), (Kind::Relocatable, false));
    let libc = fs::canonicalize(Path::new("/lib/x86_64-linux-gnu/libc.so.6"))
        .and_then(File::open)
        .map(|file| summary(&file).expect("an ELF file"));
    // On systems other than Debian it is elsewhere.
    if let Ok(libc) = libc {
        assert_eq!(libc.kind, Kind::Shared, "though it names an interpreter");
    }
}

#[test]
fn files_for_other_machines_are_known_by_their_header() {
    let changed = |at: usize, byte: u8| {
        let mut bytes = made().to_vec();
        bytes[at] = byte;
        summary_of(&bytes).expect("an ELF file")
    };
    assert_eq!(changed(18, 183).machine, "AARCH64, 64-bit, little-endian");
    assert!(!changed(18, 183).machine_is_x86_64);
    assert_eq!(changed(EI_CLASS, 1).machine, "X86_64, 32-bit, little-endian");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let refusal = |bytes: &[u8]| summary_of(bytes).expect_err("malformed").to_string();
    let changed = |at: usize, new: &[u8]| {
        let mut bytes = made().to_vec();
        bytes[at..at + new.len()].copy_from_slice(new);
        refusal(&bytes)
    };
    assert_eq!(refusal(b""), "at offset 0x0: this is not an ELF file");
    assert_eq!(refusal(b"<html>"), "at offset 0x0: this is not an ELF file");
    assert_eq!(refusal(&made()[..40]), "at offset 0x0: the ELF header's bytes end beyond the file");
    assert_eq!(refusal(&made()[..100]), "at offset 0x40: the program headers end beyond the file");
    let cut = refusal(&made()[..made().len() - 1]);
    assert!(cut.ends_with("the section headers end beyond the file"), "{cut}");
    assert_eq!(changed(56, &[0xff, 0xff]), "at offset 0x40: it claims 65535 program headers");
    assert_eq!(changed(16, &[0x42, 0]), "at offset 0x10: type 66 is unknown");
    // The first segment's p_filesz, and its p_offset with a sum beyond 64 bits.
    for at in [64 + 32, 64 + 8] {
        let what = changed(at, &[0xff; 8]);
        assert!(what.ends_with("a segment's bytes end beyond the file"), "{what}");
    }
}

#[test]
fn a_name_that_is_shared_too_often_is_refused() {
    use super::super::dynamic::Strings;
    let strings = Strings::new(vec![b'x'; 1 << 20].into_iter().chain([0]).collect(), 0);
    let taken = (0..1000).take_while(|_| strings.get(0).is_ok()).count();
    assert!((2..100).contains(&taken), "{taken}");
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(
        changes in prop::collection::vec((0..4096_usize, any::<u8>()), 0..6),
        anywhere in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = made().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        for (at, byte) in anywhere {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let _ = summary_of(&bytes);
        let _ = crate::elf::symbols::symbols_of(&bytes);
    }
}
