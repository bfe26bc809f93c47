//! Names of the exported functions by index and back, without a relocation: what the shim needs of
//! [`FUNCTIONS`](crate::FUNCTIONS) each time that a program starts.

use crate::{C_EXPORTS, EXPORTS};
use core::{cmp::Ordering, ffi::CStr};

macro_rules! names {
    ($(($index:literal $name:ident))*) => {
        /// Every export's name by index, each ended by a NUL: one blob and [`STARTS`] instead of as
        /// many pointers for the loader to relocate.
        static NAMES: &str = concat!($(stringify!($name), "\0"),*);

        const LENGTHS: [usize; EXPORTS] = [$(stringify!($name).len() + 1),*];
    };
}

for_each_export!(names);

/// Where each name begins, and where the last one ends.
static STARTS: [u32; EXPORTS + 1] = {
    let mut starts = [0; EXPORTS + 1];
    let mut i = 0;
    while i < EXPORTS {
        starts[i + 1] = starts[i] + LENGTHS[i] as u32;
        i += 1;
    }
    starts
};

/// The name of the export with that index.
#[must_use]
pub fn name(index: usize) -> &'static CStr {
    let bytes = &NAMES.as_bytes()[STARTS[index] as usize..STARTS[index + 1] as usize];
    // SAFETY: `names` ends each name with a NUL, and an identifier has none in it.
    unsafe { CStr::from_bytes_with_nul_unchecked(bytes) }
}

/// The index of the export of that name. C functions come first, then C++ functions, each in order.
#[must_use]
pub fn index(wanted: &CStr) -> Option<usize> {
    let search = |mut low: usize, mut high: usize| {
        while low < high {
            let middle = low.midpoint(high);
            match name(middle).cmp(wanted) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    };
    search(0, C_EXPORTS).or_else(|| search(C_EXPORTS, EXPORTS))
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
        }
        assert_eq!(index(c""), None);
        assert_eq!(index(c"rocblas_sgem"), None);
        assert_eq!(index(c"zzz"), None);
    }
}
