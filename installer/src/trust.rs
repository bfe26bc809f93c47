//! Trust in a tree's owners. A tree, store or journal that another user could have created or changed is not
//! used with root's rights unless it is named: otherwise any user's empty
//! `~/.local/lib/ollama/rocm/rocblas-shim` would decide where `sudo installer apply` writes.

use crate::root::Root;
use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// Groups below this number are system groups, whose members the administrator chooses; from it on they are
/// users' own groups, which a umask of 002 makes writable.
const FIRST_OF_USERS: u32 = 1000;

/// Why a directory is not trusted: another user may change a part of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// That part, inside.
    pub path: PathBuf,
    /// Who may change it.
    pub who: String,
}

/// Checks that only trusted users can have created or changed what is at a path: the superuser, the user who
/// runs this, and the owner of the root's own directory. `None` if so.
///
/// # Errors
/// Any error from examining the path's parts.
pub fn doubt(root: &Root, inside: &Path) -> io::Result<Option<Doubt>> {
    let trusted = [0, rustix::process::geteuid().as_raw(), root.metadata(Path::new("/"))?.uid()];
    let mut path = PathBuf::from("/");
    for component in inside.components() {
        let Component::Normal(name) = component else { continue };
        path.push(name);
        if let Some(who) = other_hand(&root.metadata_of_entry(&path)?, &trusted) {
            return Ok(Some(Doubt { path, who }));
        }
    }
    Ok(None)
}

/// Another user who may change an entry or replace its contents.
fn other_hand(metadata: &Metadata, trusted: &[u32]) -> Option<String> {
    if !trusted.contains(&metadata.uid()) {
        return Some(format!("it belongs to user {}", metadata.uid()));
    }
    let mode = metadata.mode();
    if metadata.is_symlink() {
        return None;
    }
    if mode & 0o002 != 0 {
        return Some("it is writable by everybody".to_owned());
    }
    (mode & 0o020 != 0 && metadata.gid() >= FIRST_OF_USERS)
        .then(|| format!("it is writable by group {}", metadata.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_everybody_may_write_to_is_not_trusted() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(top.path().join("opt/rocm/lib")).expect("directories");
        let root = Root::new(top.path()).expect("a root");
        let doubt = || doubt(&root, Path::new("/opt/rocm/lib")).expect("there");
        assert_eq!(doubt(), None);
        let opened = top.path().join("opt/rocm");
        fs::set_permissions(&opened, Permissions::from_mode(0o777)).expect("permissions");
        assert_eq!(doubt().expect("not trusted").path, Path::new("/opt/rocm"));
    }

    #[test]
    fn another_users_directory_is_not_trusted() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().expect("a directory");
        let home = top.path().join("home/other");
        fs::create_dir_all(home.join("lib")).expect("directories");
        std::os::unix::fs::chown(&home, Some(12345), None).expect("another owner");
        let root = Root::new(top.path()).expect("a root");
        let found = doubt(&root, Path::new("/home/other/lib")).expect("there");
        let found = found.expect("not trusted");
        assert_eq!(found.path, Path::new("/home/other"));
        assert!(found.who.contains("12345"), "{}", found.who);
        // Unless the whole root belongs to that user.
        std::os::unix::fs::chown(top.path(), Some(12345), None).expect("another owner");
        let root = Root::new(top.path()).expect("a root");
        assert_eq!(doubt(&root, Path::new("/home/other/lib")).expect("there"), None);
    }
}
