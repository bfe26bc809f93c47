//! The exported functions: one stub for every C and C++ function of the table.
//!
//! A stub is two instructions, `mov r11, [rip+TABLE]; jmp [r11+8*index]`. It reads one pointer,
//! touches no register but r11 (which the System V ABI leaves to linkage code), no stack, and is
//! gone from the backtrace once it has jumped: arguments of any kind, variadics, structs by value
//! and C++ exceptions pass. The load of `TABLE` needs no fence: x86-64 loads acquire.

use crate::table::{CURRENT, ENTRY_SIZE};
use core::sync::atomic::AtomicUsize;

macro_rules! stubs {
    ($(($index:literal $name:ident))*) => {
        // The symbols are C's and C++'s, and safety is the business of whoever calls them with
        // the vendor's header: nothing in Rust calls them.
        $(
            #[allow(non_snake_case, reason = "a mangled C++ name")]
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name() {
                core::arch::naked_asm!(
                    "mov r11, qword ptr [rip + {table}]",
                    "jmp qword ptr [r11 + {offset}]",
                    table = sym CURRENT,
                    offset = const $index * ENTRY_SIZE,
                )
            }
        )*
    };
}

rocblas_abi::for_each_export!(stubs);

/// The storage of an exported data symbol: words, which clients read and the shim stores before the
/// backend is published; see `init::publish`.
#[repr(C, align(32))]
pub(crate) struct Data<const WORDS: usize>([AtomicUsize; WORDS]);

/// The vtable of `rocblas_internal_ostream`, which AMD's test program imports by `GLOB_DAT`: zero
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
