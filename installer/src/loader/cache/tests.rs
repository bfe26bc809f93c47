//! Caches made here, ldconfig's own, and damaged ones.

use super::*;
use crate::elf::testing::{library, run};
use proptest::prelude::*;
use std::{fs, process::Command};

/// An entry to be: flags, processors, name, path.
type Wanted<'a> = (u32, u64, &'a str, &'a str);

/// A cache with one extension, the sub-directories.
fn cache(entries: &[Wanted<'_>], subdirectories: &[&str], old: bool) -> Vec<u8> {
    let base: usize = if old { (OLD_HEADER + OLD_ENTRY).next_multiple_of(8) } else { 0 };
    let mut strings = Vec::new();
    let start = HEADER + entries.len() * ENTRY;
    let mut add = |string: &str| {
        let offset = start + strings.len();
        strings.extend([string.as_bytes(), b"\0"].concat());
        offset as u32
    };
    let mut table = Vec::new();
    for (flags, processors, name, path) in entries {
        for word in [*flags, add(name), add(path), 0] {
            table.extend(word.to_le_bytes());
        }
        table.extend(processors.to_le_bytes());
    }
    let names: Vec<u32> = subdirectories.iter().map(|s| base as u32 + add(s)).collect();
    strings.resize(strings.len().next_multiple_of(8), 0);
    let extensions = (base + start + strings.len()) as u32;
    let words =
        [EXTENSIONS_MAGIC, 1, SUBDIRECTORIES_TAG, 0, extensions + 24, 4 * names.len() as u32];

    let mut bytes = Vec::new();
    if old {
        bytes.extend(OLD_MAGIC);
        bytes.extend(1_u32.to_le_bytes());
        bytes.resize(base, 0xff);
    }
    bytes.extend(MAGIC);
    for word in [entries.len() as u32, strings.len() as u32, 2, extensions, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(table);
    bytes.extend(strings);
    bytes.extend(words.into_iter().chain(names).flat_map(u32::to_le_bytes));
    bytes
}

const ENTRIES: [Wanted<'_>; 6] = [
    (X86_64, SUBDIRECTORY, "libfoo.so.1", "/lib/glibc-hwcaps/x86-64-v3/libfoo.so.1"),
    (X86_64, SUBDIRECTORY | 1, "libfoo.so.1", "/lib/glibc-hwcaps/x86-64-v2/libfoo.so.1"),
    (X86_64, 0, "libfoo.so.1", "/lib/libfoo.so.1"),
    // A condition from before 2.37, and a library for 32 bits.
    (X86_64, 1 << 52, "libbar.so.2", "/lib/haswell/libbar.so.2"),
    (3, 0, "libbar.so.2", "/lib32/libbar.so.2"),
    (X86_64, 0, "libbar.so.2", "/lib/libbar.so.2"),
];

#[test]
fn a_name_has_the_path_for_the_processor() {
    for old in [false, true] {
        let bytes = cache(&ENTRIES, &["x86-64-v3", "x86-64-v2"], old);
        let cache = Cache::parse(bytes).expect("a cache");
        let find =
            |name, levels: &[&str]| cache.find(name, levels).map(|p| p.to_str().expect("UTF-8"));
        assert_eq!(find("libfoo.so.1", &[]), Some("/lib/libfoo.so.1"));
        let v2 = Some("/lib/glibc-hwcaps/x86-64-v2/libfoo.so.1");
        assert_eq!(find("libfoo.so.1", &["x86-64-v2"]), v2);
        let v3 = Some("/lib/glibc-hwcaps/x86-64-v3/libfoo.so.1");
        assert_eq!(find("libfoo.so.1", &["x86-64-v4", "x86-64-v3", "x86-64-v2"]), v3);
        assert_eq!(find("libbar.so.2", &["haswell"]), Some("/lib/libbar.so.2"));
        assert_eq!(find("libfoo.so", &[]), None);
        assert_eq!(find("libfoo.so.11", &[]), None);
    }
}

#[test]
fn ldconfigs_cache_is_read_as_it_prints_it() {
    let root = tempfile::tempdir().expect("a directory");
    for directory in ["lib", "lib/glibc-hwcaps/x86-64-v2", "etc"] {
        fs::create_dir_all(root.path().join(directory)).expect("a directory");
    }
    for directory in ["lib", "lib/glibc-hwcaps/x86-64-v2"] {
        library(&root.path().join(directory), "libfoo.so.1", "int foo;", &[]);
    }
    fs::write(root.path().join("etc/ld.so.conf"), "/lib\n").expect("written");
    let ldconfig = || Command::new("/sbin/ldconfig");
    for format in ["new", "compat"] {
        run(ldconfig().args(["-c", format, "-r"]).arg(root.path()));
        let file = File::open(root.path().join("etc/ld.so.cache")).expect("made");
        let cache = Cache::read(&file).expect("a cache");
        assert_eq!(cache.base != 0, format == "compat");
        assert_eq!(cache.find("libfoo.so.1", &[]), Some(Path::new("/lib/libfoo.so.1")));
        // In the combined format glibc writes these offsets from the header and reads them from the
        // file's beginning, so that the loader, and `ldconfig -p`, see another name there.
        let directory = if format == "new" { "/lib/glibc-hwcaps/x86-64-v2" } else { "/lib" };
        let path = Path::new(directory).join("libfoo.so.1");
        assert_eq!(cache.find("libfoo.so.1", &["x86-64-v2"]), Some(path.as_path()), "{format}");
    }
}

#[test]
fn this_machines_cache_is_read_as_ldconfig_prints_it() {
    let cache = Cache::read(&File::open("/etc/ld.so.cache").expect("there")).expect("a cache");
    let printed = run(Command::new("/sbin/ldconfig").arg("-p"));
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let mut compared = 0;
    // The first line of a name is what the loader takes; those for some processors only say so.
    let mut seen = std::collections::HashSet::new();
    for line in printed.lines().filter(|line| line.contains("(libc6,x86-64)")) {
        let (name, path) =
            line.trim().split_once(" (libc6,x86-64) => ").expect("a name and a path");
        if seen.insert(name) {
            assert_eq!(cache.find(name, &[]), Some(Path::new(path)), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 10, "{printed}");
}

#[test]
fn what_is_no_cache_is_refused_with_its_place() {
    let good = cache(&ENTRIES, &["x86-64-v3", "x86-64-v2"], false);
    let refused = |bytes: &[u8]| Cache::parse(bytes.to_vec()).expect_err("no cache").to_string();
    assert!(refused(b"").contains("not a loader cache"), "{}", refused(b""));
    assert!(refused(&good[..HEADER + ENTRY]).contains("beyond the file"));
    let mut other = good.clone();
    other[28] = 3;
    assert!(refused(&other).contains("at offset 0x1c: the byte order"), "{}", refused(&other));
    let mut claims = good.clone();
    claims[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&claims).contains("beyond the file"));
    let mut old = cache(&ENTRIES, &[], true);
    old[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&old).contains("beyond the file"));
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(
        old: bool,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        length: proptest::sample::Index,
        shorten: bool,
    ) {
        let mut bytes = cache(&ENTRIES, &["x86-64-v3", "x86-64-v2"], old);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if shorten {
            bytes.truncate(length.index(bytes.len()));
        }
        let size = bytes.len();
        if let Ok(cache) = Cache::parse(bytes) {
            for name in ["libfoo.so.1", "libbar.so.2", ""] {
                let found = cache.find(name, &["x86-64-v3", "x86-64-v2"]);
                prop_assert!(found.is_none_or(|path| path.as_os_str().len() < size));
            }
        }
    }
}
