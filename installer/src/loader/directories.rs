//! The directories that a loader searches by default: each distribution compiles its own list into `ld.so`,
//! so it is read from there.

use crate::root::Root;
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The dynamic loader of x86-64 by its ABI name, and by the paths that distributions use.
const LOADERS: [&str; 5] = [
    INTERPRETER,
    "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/usr/lib64/ld-linux-x86-64.so.2",
    "/usr/lib/ld-linux-x86-64.so.2",
];

/// The name by which programs ask for it.
pub(super) const INTERPRETER: &str = "/lib64/ld-linux-x86-64.so.2";

/// If there is no loader, or its list cannot be determined: Debian's and Ubuntu's, then glibc's own.
const USUAL: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// More than any loader has, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// The default directories of a root's loader, in order.
pub(super) fn defaults(root: &Root) -> Vec<PathBuf> {
    LOADERS
        .iter()
        .find_map(|path| {
            let mut bytes = Vec::new();
            root.open(Path::new(path)).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
            built_in(&bytes)
        })
        .unwrap_or_else(|| USUAL.iter().map(PathBuf::from).collect())
}

/// The value of `$LIB`, which is compiled in too but cannot be told from other strings: the first default
/// directory, relative to `/` or `/usr`.
pub(super) fn lib(defaults: &[PathBuf]) -> &Path {
    let first = defaults.first().map_or(Path::new("lib64"), PathBuf::as_path);
    let below = first.strip_prefix("/usr").or_else(|_| first.strip_prefix("/"));
    below.unwrap_or(first)
}

/// `system_dirs` of glibc's `elf/dl-load.c`: the directories, each ending in a slash and a NUL, one after the
/// other. It is the longest such sequence of strings in a loader.
fn built_in(bytes: &[u8]) -> Option<Vec<PathBuf>> {
    let strings: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let longest = strings
        .chunk_by(|a, b| is_directory(a) && is_directory(b))
        .filter(|row| is_directory(row[0]))
        // The first of equal length.
        .rev()
        .max_by_key(|row| row.len())?;
    let text = longest.iter().filter_map(|string| std::str::from_utf8(string).ok());
    Some(text.map(|directory| PathBuf::from(directory.trim_end_matches('/'))).collect())
}

fn is_directory(string: &[u8]) -> bool {
    string.len() > 2
        && string.starts_with(b"/")
        && string.ends_with(b"/")
        && string.iter().all(u8::is_ascii_graphic)
        && string.windows(3).any(|part| part == b"lib")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_from_the_loader() {
        let bytes = b"\x7fELF\0/lib/\0/usr/share/\0x\0/lib64/\0/usr/lib64/\0\0/proc/self/\0/lib/\0";
        let read = built_in(bytes).expect("a list");
        assert_eq!(read, [Path::new("/lib64"), Path::new("/usr/lib64")]);
        assert_eq!(lib(&read), Path::new("lib64"));
        assert_eq!(built_in(b"no list"), None);
    }

    #[test]
    fn this_machines_list_is_what_its_loader_says() {
        let help = std::process::Command::new(INTERPRETER).arg("--help").output().expect("started");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let said: Vec<&str> = help
            .lines()
            .filter_map(|line| line.trim().strip_suffix(" (system search path)"))
            .collect();
        assert!(!said.is_empty(), "{help}");
        let root = Root::new(Path::new("/")).expect("a root");
        assert_eq!(defaults(&root), said.iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_root_has_the_usual_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::new(directory.path()).expect("a root");
        let found = defaults(&root);
        assert_eq!(found.len(), USUAL.len());
        assert_eq!(lib(&found), Path::new("lib/x86_64-linux-gnu"));
    }
}
