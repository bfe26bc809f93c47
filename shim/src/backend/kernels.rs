//! Whether the backend has Tensile kernels for a GPU: asked before a handle is made for it, because
//! the backend itself calls `abort()` where it finds none. Only of the device that the handle is
//! for: a machine may have another one, such as a processor's own, that nobody computes on.

use super::{Backend, hip::DeviceProperties};
use crate::{compat::Promise, facts};
use rocblas_contract::{sentences, tensile};
use std::{fs, path::Path};
use tracing::error;

/// Whether the calling thread's current device has kernels; says once of a device that it has not,
/// and what is missing. True where that cannot be told: no HIP, no answer of HIP's, or a backend that
/// keeps its kernels elsewhere.
pub(crate) fn present(backend: &Backend) -> bool {
    let compat = &backend.compat;
    if !compat.active.contains(Promise::Tensile) {
        return true;
    }
    let Some((directory, hip)) = backend.environment.tensile().zip(compat.hip.as_ref()) else {
        return true;
    };
    let Some(device) = hip.current_device() else {
        return true;
    };
    if let Some(known) = facts::has_kernels(backend.slot, device) {
        return known;
    }
    let properties = facts::properties_of(device, || hip.properties(device));
    let target = properties.map(DeviceProperties::target).unwrap_or_default();
    if target.is_empty() {
        return true;
    }
    let present = has_kernels(&target, directory);
    if facts::set_has_kernels(backend.slot, device, present) && !present {
        let file = tensile::lazy_entry(&target);
        error!("{}", sentences::no_kernels(&target, device, file, directory.display()));
    }
    present
}

/// Whether the directory has a library of kernels for the target: `TensileLibrary_lazy_<target>.dat`
/// or `TensileLibrary_<target>.dat`, there or in a directory of the target's name, or the
/// `TensileLibrary.dat` of a build for one target.
fn has_kernels(target: &str, directory: &Path) -> bool {
    [directory.to_owned(), directory.join(target)].iter().any(|directory| {
        [tensile::lazy_entry(target), tensile::eager_entry(target), tensile::ENTRY.to_owned()]
            .iter()
            .any(|file| fs::exists(directory.join(file)).unwrap_or(false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_under_each_of_their_names() {
        for (file, found) in [
            ("TensileLibrary_lazy_gfx906.dat", [true, false]),
            ("TensileLibrary_gfx90a.dat", [false, true]),
            ("TensileLibrary.dat", [true, true]),
            ("gfx906/TensileLibrary_lazy_gfx906.dat", [true, false]),
            ("Kernels.so-000-gfx906.hsaco", [false, false]),
        ] {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
            fs::write(path, "").expect("write");
            let has = |target| has_kernels(target, directory.path());
            assert_eq!(["gfx906", "gfx90a"].map(has), found, "{file}");
        }
    }
}
