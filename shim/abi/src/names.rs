//! Converts between names and indices of the exported functions, without relocations: the part of
//! [`FUNCTIONS`](crate::FUNCTIONS) that the shim needs whenever a program starts.
//!
//! The names of C and of C++ functions are separate tables. The mangled names are three quarters of all the
//! text, and the shim, whose `.dynstr` contains them already, uses the C functions' table alone.

use crate::{C_EXPORTS, EXPORTS};
use core::ffi::CStr;

const fn starts<const STARTS: usize>(lengths: &[usize]) -> [u32; STARTS] {
    let mut starts = [0; STARTS];
    let mut i = 0;
    while i < lengths.len() {
        starts[i + 1] = starts[i] + lengths[i] as u32;
        i += 1;
    }
    starts
}

macro_rules! c_names {
    ($(($index:literal $name:ident))*) => {
        /// The names by index with a NUL behind each: one blob instead of thousands of pointers for the loader to
        /// relocate.
        static C_NAMES: &str = concat!($(stringify!($name), "\0"),*);

        /// The start of each name, and the end of the last one.
        static C_STARTS: [u32; C_EXPORTS + 1] = starts(&[$(stringify!($name).len() + 1),*]);
    };
}

macro_rules! cxx_names {
    ($(($index:literal $name:ident))*) => {
        static CXX_NAMES: &str = concat!($(stringify!($name), "\0"),*);

        static CXX_STARTS: [u32; EXPORTS - C_EXPORTS + 1] =
            starts(&[$(stringify!($name).len() + 1),*]);
    };
}

for_each_c_export!(c_names);
for_each_cxx_export!(cxx_names);

fn part(names: &'static str, starts: &[u32], at: usize) -> &'static CStr {
    let bytes = &names.as_bytes()[starts[at] as usize..starts[at + 1] as usize];
    // SAFETY: the macros put a NUL behind each name, and an identifier contains none.
    unsafe { CStr::from_bytes_with_nul_unchecked(bytes) }
}

/// The name of the C function with that index, which is below [`C_EXPORTS`].
#[must_use]
pub fn c_name(index: usize) -> &'static CStr {
    part(C_NAMES, &C_STARTS, index)
}

/// The index of the exported C function with that name.
#[must_use]
pub fn c_index(wanted: &CStr) -> Option<usize> {
    find(0..C_EXPORTS, c_name, wanted)
}

/// The name of the export with that index.
#[must_use]
pub fn name(index: usize) -> &'static CStr {
    match index.checked_sub(C_EXPORTS) {
        None => c_name(index),
        Some(at) => part(CXX_NAMES, &CXX_STARTS, at),
    }
}

/// The index of the export with that name.
#[must_use]
pub fn index(wanted: &CStr) -> Option<usize> {
    c_index(wanted).or_else(|| find(C_EXPORTS..EXPORTS, name, wanted))
}

/// The index in a range whose names are sorted.
#[must_use]
pub fn find<'a>(
    range: core::ops::Range<usize>,
    name: impl Fn(usize) -> &'a CStr,
    wanted: &CStr,
) -> Option<usize> {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        match name(middle).cmp(wanted) {
            core::cmp::Ordering::Less => low = middle + 1,
            core::cmp::Ordering::Equal => return Some(middle),
            core::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_are_the_tables() {
        for function in crate::exports() {
            let at = usize::from(function.index);
            assert_eq!(name(at).to_str(), Ok(function.name));
            assert_eq!(index(name(at)), Some(at));
            let is_c = at < C_EXPORTS;
            assert_eq!(c_index(name(at)), is_c.then_some(at));
            assert!(!is_c || c_name(at) == name(at));
        }
        for nothing in [c"", c"rocblas_sgem", c"zzz"] {
            assert_eq!((index(nothing), c_index(nothing)), (None, None));
        }
    }
}
