//! The exported data. The exported functions are assembly: see [`crate::arch`].

use core::sync::atomic::AtomicUsize;

/// The storage of an exported data symbol: words that clients read. The shim stores them before the
/// backend is published; see `init::publish`.
#[repr(C, align(32))]
pub(crate) struct Data<const WORDS: usize>([AtomicUsize; WORDS]);

/// The vtable of `rocblas_internal_ostream`, which AMD's test program imports through `GLOB_DAT`: zero
/// until a backend is open, then a copy of the backend's.
#[allow(non_upper_case_globals, reason = "a mangled C++ name")]
#[unsafe(no_mangle)]
static _ZTV24rocblas_internal_ostream: Data<4> = Data([const { AtomicUsize::new(0) }; 4]);

/// The exported data symbols with their storage.
pub(crate) fn data() -> [(&'static core::ffi::CStr, &'static [AtomicUsize]); 1] {
    [(c"_ZTV24rocblas_internal_ostream", &_ZTV24rocblas_internal_ostream.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_symbols_are_those_of_the_table() {
        let data = data().map(|(name, words)| (name.to_str().expect("ASCII"), size_of_val(words)));
        assert_eq!(data.as_slice(), rocblas_abi::DATA);
    }
}
