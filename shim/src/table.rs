//! The table that every stub jumps through, and the one it starts with.
//!
//! `CURRENT` points to a complete table from the first instruction on: [`COLD`], whose entries load
//! their index and go to [`crate::entry`]. Opening a backend makes another table and publishes it
//! with one release store, which switches every function at once.

use core::{cmp::Ordering, ffi::CStr, sync::atomic::AtomicPtr};
use rocblas_abi::{C_EXPORTS, EXPORTS};

/// The size of a table entry in bytes, as the stubs' addressing has it.
pub(crate) const ENTRY_SIZE: usize = 8;

/// An address to jump to. Not a Rust function pointer: its real signature is the export's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Target(pub(crate) *const ());

// SAFETY: an address of code that stays mapped; it carries no access to data.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// One target for each export, by index.
pub(crate) type Table = [Target; EXPORTS];

const _: () = assert!(size_of::<Target>() == ENTRY_SIZE);

macro_rules! cold {
    ($(($index:literal $name:ident))*) => {
        /// Before a backend is open, and where it lacks a function: entry `i` passes `i` on.
        pub(crate) static COLD: Table = [$({
            /// # Safety
            /// Jumped to by a stub, with the arguments of the export in place.
            #[unsafe(naked)]
            unsafe extern "C" fn cold() {
                core::arch::naked_asm!(
                    "mov r11d, {index}",
                    "jmp {entry}",
                    index = const $index,
                    entry = sym crate::entry::enter,
                )
            }
            Target(cold as *const ())
        }),*];
    };
}

rocblas_abi::for_each_export!(cold);

/// What the stubs jump through. Stored with release, never to anything that is freed.
pub(crate) static CURRENT: AtomicPtr<Table> = AtomicPtr::new((&raw const COLD).cast_mut());

macro_rules! names {
    ($(($index:literal $name:ident))*) => {
        /// Every export's name by index, each ended by a NUL: one blob and [`STARTS`] instead of as
        /// many pointers for the loader to relocate.
        static NAMES: &str = concat!($(stringify!($name), "\0"),*);

        const LENGTHS: [usize; EXPORTS] = [$(stringify!($name).len() + 1),*];
    };
}

rocblas_abi::for_each_export!(names);

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
pub(crate) fn name(index: usize) -> &'static CStr {
    let bytes = &NAMES.as_bytes()[STARTS[index] as usize..STARTS[index + 1] as usize];
    // SAFETY: `names` ends each name with a NUL, and an identifier has none in it.
    unsafe { CStr::from_bytes_with_nul_unchecked(bytes) }
}

/// The index of the export of that name. C functions come first, then C++ functions, each in order.
pub(crate) fn index(wanted: &CStr) -> Option<usize> {
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
        for function in rocblas_abi::exports() {
            let at = usize::from(function.index);
            assert_eq!(name(at).to_str(), Ok(function.name));
            assert_eq!(index(name(at)), Some(at));
        }
        assert_eq!(index(c""), None);
        assert_eq!(index(c"rocblas_sgem"), None);
        assert_eq!(index(c"zzz"), None);
    }
}
