//! The rocBLAS that a tree has now: every file and symlink named `librocblas.so*` in its library directory,
//! classified by content and not by name.

use crate::{elf, root::Root, state::State};
use anyhow::{Context, Result};
use rocblas_contract::libraries::ROCBLAS;
use serde::Serialize;
use std::path::{Path, PathBuf};

pub use rocblas_contract::{libraries::SONAME, store::SHIM_FILE as SHIM_NAME};

/// A file or symlink named `librocblas.so*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub what: What,
}

/// What is at a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A symlink to another name.
    Link(#[serde(serialize_with = "crate::output::json::path")] PathBuf),
    /// The shim, in this version.
    Shim(String),
    /// A rocBLAS with this SONAME.
    Rocblas(String),
    /// Something else, and the reason.
    Other(String),
}

/// All of them, by name.
pub fn libraries(root: &Root, lib: &Path) -> Result<Vec<Library>> {
    let names = root.names(lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    names
        .filter(|name| name.starts_with(ROCBLAS))
        .map(|name| Ok(Library { what: what(root, &lib.join(&name))?, name }))
        .collect()
}

/// What is at a path.
pub fn what(root: &Root, path: &Path) -> Result<What> {
    let state = root.state(path);
    Ok(match state.with_context(|| format!("cannot stat {}", path.display()))? {
        State::Link { target } => What::Link(target),
        State::File(_) => {
            let file =
                root.open(path).with_context(|| format!("cannot read {}", path.display()))?;
            match elf::summary(&file) {
                Err(e) => What::Other(e.to_string()),
                Ok(summary) => match (summary.shim, summary.soname) {
                    (Some(version), _) => What::Shim(version),
                    (None, Some(soname)) if soname.starts_with(ROCBLAS) => What::Rocblas(soname),
                    (None, Some(soname)) => What::Other(format!("its SONAME is {soname}")),
                    (None, None) => What::Other("it has no SONAME".to_owned()),
                },
            }
        }
        other => What::Other(other.to_string()),
    })
}

/// Whether a name is a version of the stock library and not somebody's backup copy:
/// `librocblas.so.5.0.70002`, not `librocblas.so.5.0.70002.stock`.
#[must_use]
pub fn is_versioned_name(name: &str) -> bool {
    name.strip_prefix(SONAME).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| {
        !rest.is_empty()
            && rest.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The name that programs of a tree load: `librocblas.so.5` except in PyTorch's wheels; it may be a broken
/// symlink.
#[must_use]
pub fn front(root: &Root, lib: &Path) -> Option<PathBuf> {
    let names = [SONAME, ROCBLAS].map(|name| lib.join(name));
    names.into_iter().find(|path| root.metadata_of_entry(path).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_stock_library_are_told_from_backups() {
        assert!(is_versioned_name("librocblas.so.5.0.70002"));
        assert!(is_versioned_name("librocblas.so.5.5"));
        for other in ["librocblas.so.5", "librocblas.so.5.", "librocblas.so.5.0.70002.stock"] {
            assert!(!is_versioned_name(other), "{other}");
        }
        assert!(!is_versioned_name("librocblas.so.50.1"));
    }
}
