//! Functions that a tree's own rocBLAS exports and the shim lacks, and the libraries of the tree that import
//! them: rocBLAS is newer than the shim.
//!
//! C functions and the C++ functions `rocblas_internal_*`, by which other ROCm libraries use rocBLAS, count.
//! Nobody imports a compiler's other exports, such as templates of the standard library.

use crate::{elf, present::SONAME, root::Root};
use anyhow::{Context, Result};
use rocblas_contract::libraries;
use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

/// The most names in one sentence.
const NAMES: usize = 5;

/// Exports that the shim lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The library that has them, inside the root.
    pub stock: PathBuf,
    /// Their names, mangled if they are C++.
    pub names: BTreeSet<String>,
    /// The libraries next to it that import some of them, and which.
    pub importers: Vec<(PathBuf, BTreeSet<String>)>,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} exports {} functions that the shim lacks: {}",
            self.stock.display(),
            self.names.len(),
            some(&self.names)
        )
    }
}

impl Lacking {
    /// One sentence for each library that would not load.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let sentence = |(path, names): &(PathBuf, BTreeSet<String>)| {
            format!("{} imports {}", path.display(), some(names))
        };
        self.importers.iter().map(sentence).collect()
    }
}

fn some(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Compares a stock library with a shim. `None` if the shim exports everything that the library does.
pub fn lacking(root: &Root, lib: &Path, stock: &Path, shim: &File) -> Result<Option<Lacking>> {
    let shown = || stock.display().to_string();
    let file = root.open(stock).with_context(shown)?;
    let has = elf::symbols(shim).context("cannot read the shim's symbols")?.exports;
    let exports = elf::symbols(&file).with_context(shown)?.exports;
    let names: BTreeSet<String> =
        exports.into_keys().filter(|name| is_rocblass(name) && !has.contains_key(name)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let mut importers = Vec::new();
    for name in root.names(lib).with_context(|| lib.display().to_string())? {
        let text = name.to_string_lossy();
        let path = lib.join(&name);
        let is_link = root.metadata_of_entry(&path).is_ok_and(|entry| entry.is_symlink());
        if !text.contains(".so") || text.starts_with(libraries::ROCBLAS) || is_link {
            continue;
        }
        // A file that is not a library imports nothing.
        let Ok(file) = root.open(&path) else { continue };
        let Ok(summary) = elf::summary(&file) else { continue };
        if !summary.needed.iter().any(|needed| needed == SONAME || needed == libraries::ROCBLAS) {
            continue;
        }
        let imports = elf::symbols(&file).with_context(|| path.display().to_string())?.imports;
        let imports = imports.into_iter().filter(|i| !i.weak && names.contains(&i.name));
        let imports: BTreeSet<String> = imports.map(|import| import.name).collect();
        if !imports.is_empty() {
            importers.push((path, imports));
        }
    }
    Ok(Some(Lacking { stock: stock.to_owned(), names, importers }))
}

/// Whether a symbol is a C function of rocBLAS, or one of its internal functions for other libraries:
/// `_Z29rocblas_internal_...`, `_ZN24rocblas_internal_...`.
fn is_rocblass(name: &str) -> bool {
    let Some(mangled) = name.strip_prefix("_Z") else {
        return name.starts_with("rocblas_");
    };
    let nested = mangled.strip_prefix('N').unwrap_or(mangled);
    let nested = nested.strip_prefix('K').unwrap_or(nested);
    let entity = nested.trim_start_matches(|c: char| c.is_ascii_digit());
    entity.len() < nested.len() && entity.starts_with("rocblas_internal_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_rocblas_are_told_from_what_compilers_export() {
        for name in [
            "rocblas_sgemm",
            "_Z32rocblas_internal_get_device_propP15_rocblas_handle",
            "_ZN24rocblas_internal_ostream5flushEv",
            "_ZNK24rocblas_internal_ostream3strEv",
        ] {
            assert!(is_rocblass(name), "{name}");
        }
        for name in [
            "_ZNSt15_Sp_counted_ptrIP24rocblas_internal_ostreamE",
            "_ZTS24rocblas_internal_ostream",
            "_init",
            "_Zrocblas_internal_",
            "hipblasSgemm",
        ] {
            assert!(!is_rocblass(name), "{name}");
        }
    }

    #[test]
    fn many_names_are_counted() {
        let names = |n: usize| (0..n).map(|i| format!("rocblas_{i}")).collect();
        assert_eq!(some(&names(2)), "rocblas_0, rocblas_1");
        assert!(some(&names(7)).ends_with("rocblas_4 and 2 more"));
    }
}
