//! Whether the backend has Tensile kernels for the machine's GPUs: asked before its first handle,
//! because the backend itself calls `abort()` where it finds none.

use crate::{
    compat::{Compat, Promise},
    init,
};
use once_cell::race::OnceBox;
use std::{collections::BTreeSet, fs, path::Path};
use tracing::error;

/// Whether every device of the process has kernels; says once which has not, and what is missing.
/// True where that cannot be told: no HIP, no device, or a backend that keeps its kernels elsewhere.
pub(crate) fn present(compat: &Compat) -> bool {
    static PRESENT: OnceBox<bool> = OnceBox::new();
    if !compat.active.contains(Promise::Tensile) {
        return true;
    }
    let Some(init::Outcome::Ready { backend, .. }) = init::settled() else {
        return true;
    };
    let Some(directory) = backend.environment.tensile() else {
        return true;
    };
    *PRESENT.get_or_init(|| {
        let missing = missing(&targets(compat), directory);
        for target in &missing {
            error!(
                "the backend has no Tensile kernels for {target}: there is no \
                 TensileLibrary_lazy_{target}.dat in {}. Add the {target} files of its own release, \
                 or hide that GPU with HIP_VISIBLE_DEVICES. No handle is made",
                directory.display()
            );
        }
        Box::new(missing.is_empty())
    })
}

fn targets(compat: &Compat) -> BTreeSet<String> {
    let Some(hip) = &compat.hip else {
        return BTreeSet::new();
    };
    (0..hip.device_count())
        .filter_map(|device| hip.properties(device))
        .map(|properties| properties.target())
        .filter(|target| !target.is_empty())
        .collect()
}

/// The targets that the directory has no library of kernels for: `TensileLibrary_lazy_<target>.dat`
/// or `TensileLibrary_<target>.dat`, there or in a directory of the target's name, or the
/// `TensileLibrary.dat` of a build for one target.
fn missing(targets: &BTreeSet<String>, directory: &Path) -> Vec<String> {
    let has = |target: &String| {
        [directory.to_owned(), directory.join(target)].iter().any(|directory| {
            [
                format!("TensileLibrary_lazy_{target}.dat"),
                format!("TensileLibrary_{target}.dat"),
                "TensileLibrary.dat".to_owned(),
            ]
            .iter()
            .any(|file| fs::exists(directory.join(file)).unwrap_or(false))
        })
    };
    targets.iter().filter(|target| !has(target)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_under_each_of_their_names() {
        let targets = BTreeSet::from(["gfx906".to_owned(), "gfx90a".to_owned()]);
        for (file, absent) in [
            ("TensileLibrary_lazy_gfx906.dat", vec!["gfx90a"]),
            ("TensileLibrary_gfx90a.dat", vec!["gfx906"]),
            ("TensileLibrary.dat", vec![]),
            ("gfx906/TensileLibrary_lazy_gfx906.dat", vec!["gfx90a"]),
            ("Kernels.so-000-gfx906.hsaco", vec!["gfx906", "gfx90a"]),
        ] {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
            fs::write(path, "").expect("write");
            assert_eq!(missing(&targets, directory.path()), absent, "{file}");
        }
    }
}
