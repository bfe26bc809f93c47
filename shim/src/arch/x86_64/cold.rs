//! The cold entries: each loads its index and goes to [`super::entry`].
//!
//! One region with one entry of the unwind tables, as of the stubs, and entries of one size, so that an
//! address follows from its index.

use crate::table::{Table, Target};
use rocblas_abi::EXPORTS;

/// Bytes of an entry: two instructions, of 6 and of 5.
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
                    // Of 5 bytes also where 2 would do.
                    "{{disp32}} jmp {entry}"
                ),)*
                ".cfi_endproc",
                entry = sym super::entry::enter,
            )
        }
    };
}

rocblas_abi::for_each_export!(cold);

/// An entry for each export, in their order.
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
