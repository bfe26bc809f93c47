//! The cold entries: each loads its index and jumps to [`super::entry`].
//!
//! Like the stubs, they are one region with one entry in the unwind tables. All have the same size, so
//! that an entry's address follows from its index.

use crate::table::{Table, Target};
use rocblas_abi::EXPORTS;

/// Bytes of an entry: two instructions, of 6 and 5 bytes.
const SIZE: usize = 11;

macro_rules! cold {
    ($(($index:literal $name:ident))*) => {
        /// The entries, one after the other.
        ///
        /// # Safety
        /// Each is jumped to by the stub of its export, with the arguments in place.
        #[unsafe(naked)]
        unsafe extern "C" fn cold() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                $(concat!(
                    "mov r11d, ", stringify!($index), "\n",
                    // Always the encoding of 5 bytes, even where 2 would be enough.
                    "{{disp32}} jmp {entry}"
                ),)*
                ".cfi_endproc",
                entry = sym super::entry::enter,
            )
        }
    };
}

rocblas_abi::for_each_export!(cold);

/// One entry for each export, in the order of exports.
pub(crate) const fn cold_entries() -> Table {
    let first = cold as *const ();
    let mut entries = [Target(first); EXPORTS];
    let mut index = 0;
    while index < EXPORTS {
        entries[index] = Target(first.wrapping_byte_add(index * SIZE));
        index += 1;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_loads_its_own_index() {
        for (index, Target(entry)) in cold_entries().into_iter().enumerate() {
            // SAFETY: the code of this very program.
            let code = unsafe { core::slice::from_raw_parts(entry.cast::<u8>(), SIZE) };
            // mov r11d, imm32; jmp rel32
            assert_eq!((&code[..2], code[6]), (&[0x41, 0xbb][..], 0xe9), "{index}");
            assert_eq!(code[2..6], (index as u32).to_le_bytes(), "{index}");
        }
    }
}
