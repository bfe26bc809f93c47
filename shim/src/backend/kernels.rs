//! Checks whether the backend has Tensile kernels for a GPU, before a handle is created for it, because
//! the backend itself calls `abort()` if it finds none. Only the device of the handle is checked: a
//! machine may have another one, such as an integrated GPU, that the program does not use.

use super::{Backend, hip::DeviceProperties};
use crate::{compat::Promise, diagnostics::error, facts};
use rocblas_contract::{sentences, tensile};
use std::{fs, path::Path};

/// Whether the backend has kernels for the calling thread's current device; if not, reports once for each
/// device what is missing. True if this cannot be determined: there is no HIP, HIP fails, or the backend
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
/// or `TensileLibrary_<target>.dat`, in it or in a subdirectory named after the target, or the
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
