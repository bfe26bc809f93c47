//! The table of everything that `librocblas` exports.
//!
//! Stubs, name tables, argument counts, stand-in libraries, C declarations and the contract tests
//! are generated from it or loop over it. The data is in `data/*.abi`; `build/` turns it into the
//! statics below and into [`for_each_export!`] and [`for_each_removed!`].
//!
//! An index identifies an exported function: C functions sorted by name, then C++ functions sorted by
//! mangled name. The C functions that rocBLAS 5.0 removed follow, from [`EXPORTS`] on.

// Included first, because its macros are used below.
include!(concat!(env!("OUT_DIR"), "/symbols.rs"));
include!(concat!(env!("OUT_DIR"), "/parameters.rs"));

mod declare;
mod names;
pub mod operands;
mod signature;
mod types;

pub use declare::{c_header, rust_declaration};
pub use names::{c_index, c_name, find, index, name};
pub use signature::{params, scalar_size};
pub use types::{
    Base, Direction, Enum, EnumValue, Function, Kind, Param, Release, Returns, Type, Versions,
    Whose,
};

include!(concat!(env!("OUT_DIR"), "/releases.rs"));
include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The C functions as function pointer types with the functions' names. Enums and `rocblas_int` are `i32`,
/// 16-bit floats are their bits, complex numbers are pairs.
#[allow(non_camel_case_types, reason = "named as the functions")]
#[allow(non_snake_case, reason = "parameters are named as in the vendor's headers")]
pub mod prototype {
    use core::ffi::{c_char, c_void};
    include!(concat!(env!("OUT_DIR"), "/prototypes.rs"));
}

/// The values of the enums, one module for each enum: `rocblas_fill_upper` is `value::fill::UPPER`.
pub mod value {
    include!(concat!(env!("OUT_DIR"), "/values.rs"));
}

/// The release with that ROCm version.
#[must_use]
pub fn release(rocm: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.rocm == rocm)
}

/// The version that the shim presents in a tree of that release of ROCm (`7.2.4`): `None` if it does not depend
/// on the tree, or if the release is not known.
#[must_use]
pub fn presented_in(rocm: &str) -> Option<&'static str> {
    let is_it = |known: &&Release| {
        let rest = rocm.strip_prefix(known.rocm);
        known.soname == SONAME && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    RELEASES.iter().filter(|_| FOLLOWS_TREE).find(is_it).map(|release| release.rocblas)
}

/// Exported functions, C then C++: `exports()[i].index == i`.
#[must_use]
pub fn exports() -> &'static [Function] {
    &FUNCTIONS[..EXPORTS]
}

/// Exported C functions.
#[must_use]
pub fn c_exports() -> &'static [Function] {
    &FUNCTIONS[..C_EXPORTS]
}

/// Exported C++ functions.
#[must_use]
pub fn cxx_exports() -> &'static [Function] {
    &FUNCTIONS[C_EXPORTS..EXPORTS]
}

/// C functions of rocBLAS 4.x that are not exported.
#[must_use]
pub fn removed() -> &'static [Function] {
    &FUNCTIONS[EXPORTS..]
}

/// The function with that exact (mangled) name, exported or removed.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Function> {
    [c_exports(), cxx_exports(), removed()]
        .into_iter()
        .find_map(|slice| slice.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &slice[i]))
}

/// The function with that index.
#[must_use]
pub fn by_index(index: usize) -> Option<&'static Function> {
    FUNCTIONS.get(index)
}

/// The enum with that identity.
#[must_use]
pub fn enumeration(id: EnumId) -> &'static Enum {
    &ENUMS[id as usize]
}

/// The enum with that C name (`rocblas_fill`).
#[must_use]
pub fn enum_by_name(name: &str) -> Option<&'static Enum> {
    ENUMS.iter().find(|e| e.name == name)
}

#[cfg(test)]
mod tests;
