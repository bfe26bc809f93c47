//! A ROCm library found in a process, identified by its ELF headers, or by its name if the file can no longer
//! be read.

use crate::{choice, elf, present::SHIM_NAME, source::release};
use rocblas_contract::libraries::{HIP, HIPBLAS, version_of};
use serde::Serialize;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// Which of ROCm's libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// rocBLAS, or the shim.
    Rocblas,
    /// The HIP runtime.
    Hip,
    /// hipBLAS.
    Hipblas,
}

/// A library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// The file behind all symlinks.
    #[serde(serialize_with = "super::lossy")]
    pub path: PathBuf,
    /// The path by which the loader found it, if known and different.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::optional_lossy")]
    pub found: Option<PathBuf>,
    /// Its SONAME.
    pub soname: Option<String>,
    /// The ROCm release, if the file's name contains it.
    pub release: Option<String>,
    /// The shim's version, if it is one.
    pub shim: Option<String>,
    /// Whether the file was removed or replaced since the process loaded it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
}

/// Identifies a file; `None` for any other library, and for a stub, which only redirects to a HIP runtime.
pub(super) fn read(path: &Path, file: &File) -> Option<(Kind, Library)> {
    let summary = elf::summary(file).ok()?;
    let name = file_name(path);
    let kind = match &summary.soname {
        _ if summary.shim.is_some() => Kind::Rocblas,
        // A wheel's library may have no SONAME, or one with a digest in it.
        soname => kind(soname.as_deref().unwrap_or_default()).or_else(|| kind(&name))?,
    };
    if kind == Kind::Hip && !summary.has_code {
        return None;
    }
    let elf::Summary { soname, shim, .. } = summary;
    Some((kind, Library { soname, shim, ..unread(path, &name) }))
}

/// Identifies a file by its name, if it cannot be opened.
pub(super) fn by_name(path: &Path) -> Option<(Kind, Library)> {
    let name = file_name(path);
    let shim = (name == SHIM_NAME).then(|| "of unknown version".to_owned());
    Some((kind(&name)?, Library { shim, ..unread(path, &name) }))
}

fn unread(path: &Path, name: &str) -> Library {
    Library {
        path: path.to_owned(),
        found: None,
        soname: None,
        release: release::of_library(name),
        shim: None,
        replaced: false,
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn kind(name: &str) -> Option<Kind> {
    let is = |library: &str| version_of(name, library).is_some();
    match name {
        _ if choice::is_rocblas(name) => Some(Kind::Rocblas),
        _ if is(HIP) => Some(Kind::Hip),
        _ if is(HIPBLAS) => Some(Kind::Hipblas),
        _ => None,
    }
}
