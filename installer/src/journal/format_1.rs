//! Journals in the format of installer 0.1.0: absolute paths, entries in a list, symlinks recreated instead
//! of kept. A tree with such a journal can still be reverted, even after it was moved.

use super::{Before, Diversion, Entry, FORMAT, Journal, Options, Origin, Phase};
use crate::{
    place::{Place, STORE},
    state::State,
};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
struct Old {
    installer: String,
    shim: String,
    phase: Phase,
    options: Options,
    entries: Vec<OldEntry>,
    #[serde(default)]
    diversions: Vec<OldDiversion>,
    #[serde(default)]
    packages: Vec<OldPackage>,
}

#[derive(Deserialize)]
struct OldEntry {
    path: PathBuf,
    before: State,
    after: State,
    #[serde(default)]
    kept: Option<PathBuf>,
}

#[derive(Deserialize)]
struct OldDiversion {
    path: PathBuf,
    to: PathBuf,
}

#[derive(Deserialize)]
struct OldPackage {
    backend: String,
    file: PathBuf,
    state: State,
    gpus: Vec<String>,
}

/// Parses one.
pub(super) fn read(text: &str) -> Result<Journal> {
    let old: Old = serde_json::from_str(text)?;
    let lib = lib_of(&old).context("it names no path in a store")?;
    let place = |path: &Path| -> Result<Place> {
        let relative = path.strip_prefix(&lib).with_context(|| {
            format!(
                "it names {}, which is not in {}, so it is not followed",
                path.display(),
                lib.display()
            )
        })?;
        Ok(Place::new(relative)?)
    };
    let mut entries = BTreeMap::new();
    for OldEntry { path, before, after, kept } in old.entries {
        // Directories of the store no longer have entries: they are removed when empty.
        if after == State::Directory {
            continue;
        }
        let before = match (before, kept) {
            (State::Absent, _) => Before::Nothing,
            (state, Some(kept)) => Before::Kept { at: place(&kept)?, state },
            (state @ State::Link { .. }, None) => {
                // It was not kept, so it is missing from the store and will be recreated.
                let name = path.file_name().unwrap_or_default();
                Before::Kept { at: Place::in_store(Path::new("kept").join(name))?, state }
            }
            (state, None) => Before::Deleted { state, package: None },
        };
        entries.insert(place(&path)?, Entry { before, after });
    }
    let diversions = old.diversions.iter().map(|diversion| {
        Ok(Diversion { path: place(&diversion.path)?, to: place(&diversion.to)? })
    });
    let origins = old.packages.into_iter().map(|package| {
        let OldPackage { backend, file: path, state, gpus } = package;
        (backend, Origin { path, in_root: false, state, gpus, slim: None })
    });
    Ok(Journal {
        format: FORMAT,
        installer: old.installer,
        shim: old.shim,
        phase: old.phase,
        options: old.options,
        diversions: diversions.collect::<Result<_>>()?,
        origins: origins.collect(),
        superseded: BTreeSet::new(),
        bare: false,
        served: BTreeSet::new(),
        entries,
    })
}

/// The library directory at the time of writing: the part before the store in its paths.
fn lib_of(old: &Old) -> Option<PathBuf> {
    old.entries.iter().find_map(|entry| {
        let mut above = PathBuf::new();
        for component in entry.path.components() {
            if component.as_os_str() == STORE {
                return Some(above);
            }
            above.push(component);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{
        "format": 1, "installer": "0.1.0", "shim": "0.1.0", "phase": "applied",
        "options": {"gpus": ["gfx906"], "compat": "links", "original": "keep", "build_link": true},
        "entries": [
            {"path": "/opt/rocm-7.0.2/lib/rocblas-shim/backends", "before": {"kind": "absent"},
             "after": {"kind": "directory"}},
            {"path": "/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002",
             "before": {"kind": "file", "size": 3, "mode": 420, "modified": 1},
             "after": {"kind": "absent"},
             "kept": "/opt/rocm-7.0.2/lib/rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002"},
            {"path": "/opt/rocm-7.0.2/lib/librocblas.so.5",
             "before": {"kind": "link", "target": "librocblas.so.5.0.70002"},
             "after": {"kind": "link", "target": "librocblas.so.5.99.0"}}
        ],
        "packages": [{"backend": "6.3.0", "file": "/tmp/x.deb", "gpus": [],
                      "state": {"kind": "file", "size": 1, "mode": 420, "modified": 1}}]
    }"#;

    #[test]
    fn an_old_journal_is_read_wherever_the_tree_is_now() {
        let journal = read(OLD).expect("an old journal");
        let names: Vec<&str> = journal.entries.keys().map(Place::as_str).collect();
        assert_eq!(names, ["librocblas.so.5", "librocblas.so.5.0.70002"]);
        let kept = |name: &str| {
            let entry = journal.entry(&Place::new(Path::new(name)).expect("plain"));
            entry.expect("an entry").before.kept().expect("kept").as_str()
        };
        assert_eq!(
            kept("librocblas.so.5.0.70002"),
            "rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002"
        );
        assert_eq!(kept("librocblas.so.5"), "rocblas-shim/kept/librocblas.so.5");
        assert_eq!(journal.origins["6.3.0"].path, Path::new("/tmp/x.deb"));
    }

    #[test]
    fn paths_elsewhere_are_refused() {
        for evil in ["/etc/passwd", "/opt/rocm-7.0.2/lib/../../../etc/passwd", "relative"] {
            let text = OLD.replace("/opt/rocm-7.0.2/lib/librocblas.so.5\"", &format!("{evil}\""));
            assert!(read(&text).is_err(), "{evil}");
        }
    }
}
