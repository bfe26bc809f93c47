//! Finds a program's file by the name that a user gave, as a shell does.

use crate::root::Root;
use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// Where programs are in a root whose own `PATH` is unknown.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program was not found.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// A name without a slash.
    #[error("{}: not found in {searched}, and not in the current directory", .name.display())]
    Name {
        /// As given.
        name: PathBuf,
        /// The directories, separated by colons.
        searched: String,
    },
    /// A path.
    #[error("{}: {error}", .path.display())]
    Path {
        /// As given.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// The path, inside the root, of the program or directory that a name denotes. A name without a slash is
/// searched for in `PATH`, or in the usual directories of another root, and then in the current directory.
pub fn find(root: &Root, name: &Path) -> Result<PathBuf, NotFound> {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return by_path(root, name);
    }
    let path = if root.is_system() { env::var_os("PATH") } else { None };
    let path = path.unwrap_or_else(|| USUAL.into());
    if let Some(found) = in_path(root, name, &path) {
        return Ok(found);
    }
    by_path(root, name).map_err(|_| NotFound::Name {
        name: name.to_owned(),
        searched: if root.is_system() { "PATH".to_owned() } else { USUAL.to_owned() },
    })
}

/// Like [`find`], but only in `PATH`, as the system starts programs.
pub fn find_to_start(root: &Root, name: &Path) -> Result<PathBuf, NotFound> {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return by_path(root, name);
    }
    let path = env::var_os("PATH").unwrap_or_else(|| USUAL.into());
    in_path(root, name, &path)
        .ok_or_else(|| NotFound::Name { name: name.to_owned(), searched: "PATH".to_owned() })
}

fn in_path(root: &Root, name: &Path, path: &OsStr) -> Option<PathBuf> {
    let directories = env::split_paths(path).filter_map(|directory| absolute(root, &directory));
    directories.map(|directory| directory.join(name)).find(|path| is_program(root, path))
}

fn by_path(root: &Root, path: &Path) -> Result<PathBuf, NotFound> {
    let error = |error| NotFound::Path { path: path.to_owned(), error };
    let inside =
        absolute(root, path).ok_or_else(|| error(io::Error::from(io::ErrorKind::NotFound)))?;
    root.metadata(&inside).map_err(error)?;
    Ok(inside)
}

/// A path on the running system is relative to the current directory, one in another root to its `/`.
fn absolute(root: &Root, path: &Path) -> Option<PathBuf> {
    if root.is_system() {
        // An empty directory in PATH is the current one.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::path::absolute(path).ok()
    } else {
        Some(Path::new("/").join(path))
    }
}

fn is_program(root: &Root, path: &Path) -> bool {
    root.metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_name_is_a_program_in_the_usual_directories_and_a_path_is_taken_as_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, mode) in [("usr/bin/tool", 0o755), ("bin/data", 0o644), ("app/tool", 0o755)] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(&path, "").expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let root = Root::new(directory.path()).expect("a root");
        let find = |name: &str| find(&root, Path::new(name)).map_err(|e| e.to_string());
        assert_eq!(find("tool"), Ok("/usr/bin/tool".into()));
        assert_eq!(find("/app/tool"), Ok("/app/tool".into()));
        assert_eq!(find("app"), Ok("/app".into()), "an entry of the current directory");
        let absent = find("data").expect_err("it is not executable");
        assert!(absent.starts_with("data: not found in /usr/local/sbin:"), "{absent}");
        assert!(find("/app/other").is_err());
    }
}
