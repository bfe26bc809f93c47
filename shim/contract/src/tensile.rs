//! The location of rocBLAS's Tensile library: its kernels for matrix products, in separate files.

/// rocBLAS's own directory in a directory of libraries.
pub const ROCBLAS: &str = "rocblas";

/// The directory of Tensile files in it. Debian's is one level deeper, in a directory whose name is a
/// version: `rocblas/4.4.1/library`.
pub const LIBRARY: &str = "library";

/// The places of the files of a rocBLAS that was not moved, relative to its directory. The shim passes the one
/// that exists to a backend.
pub const PLACES: [&str; 2] = ["rocblas/library", "../rocblas/library"];

/// The places that rocBLAS itself searches, relative to its directory, in order. Source: `tensile_host.cpp`
/// of 4.3.
pub const PLACES_OF_ROCBLAS: [&str; 4] =
    ["../../Tensile/library", LIBRARY, "../rocblas/library", "rocblas/library"];

/// The entry file of a library that was built for one target.
pub const ENTRY: &str = "TensileLibrary.dat";

/// The entry file of a target whose kernels are loaded when they are first used.
#[must_use]
pub fn lazy_entry(target: &str) -> String {
    format!("TensileLibrary_lazy_{target}.dat")
}

/// The entry file of a target whose kernels are loaded at initialisation.
#[must_use]
pub fn eager_entry(target: &str) -> String {
    format!("TensileLibrary_{target}.dat")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_made_of_the_two_directories() {
        let library = format!("{ROCBLAS}/{LIBRARY}");
        assert_eq!(PLACES, [library.clone(), format!("../{library}")]);
        for place in PLACES {
            assert!(PLACES_OF_ROCBLAS.contains(&place), "{place}");
        }
    }

    #[test]
    fn entries_are_named_after_the_target() {
        assert_eq!(lazy_entry("gfx906"), "TensileLibrary_lazy_gfx906.dat");
        assert_eq!(eager_entry("gfx906"), "TensileLibrary_gfx906.dat");
    }
}
