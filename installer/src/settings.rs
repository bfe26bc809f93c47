//! `shim.toml` in the store: which backend the shim uses. People edit this file, so a change keeps
//! what else is in it, comments and all.

use crate::{
    place::Place,
    root::{Root, read_text},
};
use anyhow::{Context, Result};
use rocblas_contract::store::{BACKEND_SETTING, BACKENDS, SETTINGS};
use std::{
    io,
    path::{Path, PathBuf},
};
use toml_edit::{DocumentMut, value};

/// Larger than any settings that a person writes, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// Where the settings of a tree are, beside its libraries.
#[must_use]
pub fn place() -> Place {
    Place::in_store(SETTINGS).expect("a plain name")
}

/// Where the settings of a tree are, inside the root.
#[must_use]
pub fn path(lib: &Path) -> PathBuf {
    lib.join(place().path())
}

/// The text of the settings, empty if there are none.
pub fn text(root: &Root, lib: &Path) -> Result<String> {
    let path = path(lib);
    match root.open(&path).and_then(|file| read_text(file, MOST_SETTINGS)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The backend that a text of settings names.
pub fn backend(text: &str) -> Result<Option<String>> {
    let document: DocumentMut = text.parse().context(format!("{SETTINGS} is not valid TOML"))?;
    Ok(document.get(BACKEND_SETTING).and_then(|item| item.as_str()).map(str::to_owned))
}

/// The same settings with another backend.
pub fn with_backend(text: &str, name: &str) -> Result<String> {
    let mut document: DocumentMut = text.parse().with_context(|| {
        format!(
            "{SETTINGS} is not valid TOML; repair it, or move it away and run this again to have a \
             new one"
        )
    })?;
    if document.is_empty() && document.trailing().as_str().unwrap_or("").is_empty() {
        return Ok(format!(
            "# Settings of the rocBLAS shim; the README says what else can be set.\n\n\
             # A directory in {BACKENDS}/, or a path.\n{BACKEND_SETTING} = {}\n",
            value(name).to_string().trim()
        ));
    }
    document[BACKEND_SETTING] = value(name);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_the_rest() {
        let edited = "# mine\nlog = \"warn\"\nbackend = \"a\" # why\n[compat]\natomics = false\n";
        let changed = with_backend(edited, "6.3.0").expect("TOML");
        assert_eq!(changed, edited.replace("\"a\" # why", "\"6.3.0\""));
        assert_eq!(backend(&changed).expect("TOML").as_deref(), Some("6.3.0"));
    }

    #[test]
    fn a_new_file_names_the_backend() {
        let text = with_backend("", "6\"3").expect("TOML");
        assert_eq!(backend(&text).expect("TOML").as_deref(), Some("6\"3"));
        assert!(text.starts_with("# Settings"), "{text}");
    }

    #[test]
    fn what_is_no_toml_is_not_overwritten() {
        assert!(with_backend("backend = [", "x").is_err());
    }
}
