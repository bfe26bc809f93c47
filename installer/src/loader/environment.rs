//! The loader's inputs from a process's environment, and from `/etc/ld.so.preload`.

use crate::root::Root;
use std::{
    ffi::OsStr,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The list of libraries that every program loads first.
const PRELOAD: &str = "/etc/ld.so.preload";

/// Larger than any real list, in bytes.
const MOST_PRELOAD: u64 = 1 << 16;

/// Where the loader searches first, and what it loads first.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `LD_LIBRARY_PATH`.
    pub library_path: Vec<PathBuf>,
    /// `LD_PRELOAD`, then `/etc/ld.so.preload`: names, or paths if they contain a slash.
    pub preload: Vec<String>,
}

impl Environment {
    /// The environment of a process with these two variables, started in a directory.
    #[must_use]
    pub fn of(
        root: &Root,
        library_path: Option<&OsStr>,
        preload: Option<&OsStr>,
        working_directory: &Path,
    ) -> Self {
        // glibc treats an empty directory as the current one, but ignores an empty variable.
        let directories = library_path.filter(|list| !list.is_empty()).map(|list| {
            let directories = list.as_bytes().split(|byte| matches!(byte, b':' | b';'));
            directories.map(|d| working_directory.join(OsStr::from_bytes(d))).collect()
        });
        let mut preload: Vec<String> =
            preload.map(|list| names(&list.to_string_lossy())).unwrap_or_default();
        let mut text = String::new();
        if let Ok(file) = root.open(Path::new(PRELOAD))
            && file.take(MOST_PRELOAD).read_to_string(&mut text).is_ok()
        {
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
            preload.extend(lines.flat_map(names));
        }
        Self { library_path: directories.unwrap_or_default(), preload }
    }
}

/// The names in a list, separated by spaces or colons.
fn names(list: &str) -> Vec<String> {
    let names = list.split(|c: char| c == ':' || c.is_ascii_whitespace());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn both_variables_are_split_as_the_loader_does_it() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("etc")).expect("a directory");
        fs::write(directory.path().join("etc/ld.so.preload"), "/a.so # why\nb.so\n").expect("file");
        let root = Root::new(directory.path()).expect("a root");
        let of = |path: &str, preload: &str| {
            let variables = [path, preload].map(OsStr::new);
            Environment::of(&root, Some(variables[0]), Some(variables[1]), Path::new("/work"))
        };
        let environment = of("/x:y;:/z", "c.so:/d.so e.so");
        let directories = ["/x", "/work/y", "/work/", "/z"].map(PathBuf::from);
        assert_eq!(environment.library_path, directories);
        assert_eq!(environment.preload, ["c.so", "/d.so", "e.so", "/a.so", "b.so"]);
        assert!(of("", "").library_path.is_empty());
    }
}
