//! The file system that a command works on: the machine's own, or a tree that is to become one
//! (`--root`), seen as a process inside of it would see it.
//!
//! Paths handed around are paths *inside*: absolute, `/` being the root. A symbolic link inside that
//! is absolute or climbs with `..` stays inside, as under `chroot`: an image's `/opt/rocm ->
//! /etc/alternatives/rocm` means the image's own, and a hostile one leads nowhere else.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
};

/// As many links as the kernel follows before it says ELOOP (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A file system, by the directory that is its `/`.
#[derive(Clone, Debug)]
pub struct Root {
    directory: PathBuf,
}

impl Root {
    /// A root at a directory of the machine. The error is the one of finding that directory.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let directory = directory.canonicalize()?;
        if !directory.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        Ok(Self { directory })
    }

    /// Whether this is the running system's own root.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.directory == Path::new("/")
    }

    /// Its directory on the machine.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a path leads, inside, with every link followed. What does not exist is an error, but
    /// for the last component, which may be absent (not: a link to something absent).
    pub fn resolve(&self, inside: &Path) -> io::Result<PathBuf> {
        self.walk(inside, true)
    }

    /// As [`Self::resolve`], but a link in the last component is what is meant.
    pub fn resolve_entry(&self, inside: &Path) -> io::Result<PathBuf> {
        self.walk(inside, false)
    }

    /// The path on the machine of one inside that is resolved already.
    #[must_use]
    pub fn on_machine(&self, resolved: &Path) -> PathBuf {
        let mut path = self.directory.clone();
        path.extend(resolved.components().filter(|c| matches!(c, Component::Normal(_))));
        path
    }

    /// The path on the machine of what a path inside leads to.
    pub fn find(&self, inside: &Path) -> io::Result<PathBuf> {
        Ok(self.on_machine(&self.resolve(inside)?))
    }

    /// The path on the machine of the entry itself, be it a link.
    pub fn find_entry(&self, inside: &Path) -> io::Result<PathBuf> {
        Ok(self.on_machine(&self.resolve_entry(inside)?))
    }

    /// Opens a regular file for reading; a pipe or device is an error and is not waited for.
    pub fn open(&self, inside: &Path) -> io::Result<File> {
        open_regular(&self.find(inside)?)
    }

    /// The text of a file.
    pub fn read_to_string(&self, inside: &Path) -> io::Result<String> {
        io::read_to_string(self.open(inside)?)
    }

    /// The target of a link, as written.
    pub fn read_link(&self, inside: &Path) -> io::Result<PathBuf> {
        fs::read_link(self.find_entry(inside)?)
    }

    /// What is known of the entry itself.
    pub fn metadata_of_entry(&self, inside: &Path) -> io::Result<fs::Metadata> {
        self.find_entry(inside)?.symlink_metadata()
    }

    /// What is known of what a path leads to.
    pub fn metadata(&self, inside: &Path) -> io::Result<fs::Metadata> {
        self.find(inside)?.symlink_metadata()
    }

    /// The names in a directory, sorted.
    pub fn names(&self, inside: &Path) -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(self.find(inside)?)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn walk(&self, inside: &Path, follow_last: bool) -> io::Result<PathBuf> {
        let mut resolved = PathBuf::from("/");
        let mut links = 0;
        // Whether the path's own last component was a link, whose target has to be there.
        let mut beyond_last = false;
        // What is still to be walked, in reverse.
        let mut rest: Vec<OsString> = reversed(inside);
        while let Some(name) = rest.pop() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            let entry = resolved.join(&name);
            let metadata = match self.on_machine(&entry).symlink_metadata() {
                Err(e)
                    if e.kind() == io::ErrorKind::NotFound && rest.is_empty() && !beyond_last =>
                {
                    return Ok(entry);
                }
                other => other?,
            };
            let last = rest.is_empty();
            if !metadata.is_symlink() || (last && !follow_last) {
                if !last && !metadata.is_dir() && !metadata.is_symlink() {
                    return Err(io::Error::from(io::ErrorKind::NotADirectory));
                }
                resolved = entry;
                continue;
            }
            links += 1;
            beyond_last |= last;
            if links > MAX_LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            let target = fs::read_link(self.on_machine(&entry))?;
            if target.is_absolute() {
                resolved = PathBuf::from("/");
            }
            rest.extend(reversed(&target));
        }
        Ok(resolved)
    }
}

/// Opens a regular file of the machine for reading.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// The components of a path, the last one first, `..` among them.
pub(crate) fn reversed(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

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
        let root = Root::new(&inner).expect("a root");
        (outer, root)
    }

    #[test]
    fn links_are_followed_as_seen_from_inside() {
        let (_kept, root) = image();
        let file = Path::new("/opt/rocm/lib/file");
        assert_eq!(root.resolve(file).expect("there"), Path::new("/opt/rocm-7.0.2/lib/file"));
        assert_eq!(root.read_to_string(file).expect("there"), "inside");
        assert_eq!(
            root.resolve_entry(Path::new("opt/rocm")).expect("there"),
            Path::new("/opt/rocm")
        );
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
    fn loops_and_absent_things_are_errors_but_for_a_new_name() {
        let (_kept, root) = image();
        let resolve = |path: &str| root.resolve(Path::new(path));
        assert_eq!(resolve("/loop").expect_err("a loop").raw_os_error(), Some(libc::ELOOP));
        assert!(resolve("/dangling").is_err());
        assert!(resolve("/absent/file").is_err());
        assert!(resolve("/opt/rocm/lib/file/below").is_err());
        assert_eq!(
            resolve("/opt/rocm/new").expect("may be made"),
            Path::new("/opt/rocm-7.0.2/new")
        );
    }
}
