//! The routed entries, which handle calls while several backends are open. Each finds the function table
//! of the backend that made the call's handle and jumps to its own function in it.
//!
//! An entry calls nothing and stores nothing. It changes r10 and r11, which the System V ABI reserves for
//! linkage code, and rax unless it is an argument (al counts the vector registers of variadics). So, as in
//! the stubs, the frame stays the caller's and arguments of any kind pass.
//!
//! An entry checks the first place of the handle's line (`route/owners.rs`). Shared code checks the rest
//! of the line. A handle that is not found there takes the path of a cold entry.

use crate::{
    route::{
        DeviceMalloc,
        owners::{LINE, MULTIPLIER, OWNERS, PLACE, SHIFT, TABLE},
    },
    table::{COLD, ENTRY_SIZE, Table, Target},
};
use core::{arch::naked_asm, mem::offset_of};

/// From the line before the first to the first.
const LINES: usize = LINE;

/// A module of entries and their shared code, for handles in that register; `$load` loads the handle into
/// it. `$size` is the size of an entry with its padding, in bytes.
macro_rules! entries {
    ($module:ident, $size:literal, $handle:literal, $load:literal, $($index:literal)*) => {
        mod $module {
            use super::*;

            const SIZE: usize = $size;

            /// The entries, one after the other.
            ///
            /// # Safety
            /// Only the stub or the thunk of its export jumps to an entry, with the arguments in place and
            /// while [`OWNERS`] is not null.
            #[unsafe(naked)]
            unsafe extern "C" fn region() {
                naked_asm!(
                    ".cfi_startproc",
                    // Keeps each entry within one cache line.
                    ".balign {size}, 0xcc",
                    $(concat!(
                        $load,
                        "mov r11, qword ptr [rip + {owners}]\n",
                        "imul r10, ", $handle, ", {multiplier}\n",
                        "shr r10, {shift}\n",
                        "and r10, qword ptr [r11]\n",
                        "cmp qword ptr [r11 + r10 + {lines}], ", $handle, "\n",
                        "jne 2f\n",
                        "mov r10, qword ptr [r11 + r10 + {lines} + {table}]\n",
                        "jmp qword ptr [r10 + ", stringify!($index), " * {entry_size}]\n",
                        "2:\n",
                        "add r10, r11\n",
                        "mov r11d, ", stringify!($index), "\n",
                        "jmp {others}\n",
                        // Pads all entries to one size.
                        ".balign {size}, 0xcc"
                    ),)*
                    ".cfi_endproc",
                    owners = sym OWNERS,
                    multiplier = const MULTIPLIER,
                    shift = const SHIFT,
                    lines = const LINES,
                    table = const TABLE,
                    entry_size = const ENTRY_SIZE,
                    size = const SIZE,
                    others = sym others,
                )
            }

            /// Index and address of each.
            pub(super) fn all() -> impl Iterator<Item = (usize, Target)> {
                let first = (region as *const ()).map_addr(|at| at.next_multiple_of(SIZE));
                let indices = [$($index),*].into_iter().enumerate();
                indices.map(move |(at, index)| (index, Target(first.wrapping_byte_add(at * SIZE))))
            }

            /// Checks the places of a line after the first. r10 points one line before it, r11d is the
            /// export's index.
            ///
            /// # Safety
            /// Only an entry jumps here.
            #[unsafe(naked)]
            unsafe extern "C" fn others() {
                naked_asm!(
                    ".cfi_startproc",
                    concat!("cmp qword ptr [r10 + {lines} + {place}], ", $handle),
                    "je 2f",
                    concat!("cmp qword ptr [r10 + {lines} + 2 * {place}], ", $handle),
                    "je 3f",
                    concat!("cmp qword ptr [r10 + {lines} + 3 * {place}], ", $handle),
                    "je 4f",
                    "jmp {slow}",
                    "2:",
                    "mov r10, qword ptr [r10 + {lines} + {place} + {table}]",
                    "jmp qword ptr [r10 + r11 * {entry_size}]",
                    "3:",
                    "mov r10, qword ptr [r10 + {lines} + 2 * {place} + {table}]",
                    "jmp qword ptr [r10 + r11 * {entry_size}]",
                    "4:",
                    "mov r10, qword ptr [r10 + {lines} + 3 * {place} + {table}]",
                    "jmp qword ptr [r10 + r11 * {entry_size}]",
                    ".cfi_endproc",
                    lines = const LINES,
                    place = const PLACE,
                    table = const TABLE,
                    entry_size = const ENTRY_SIZE,
                    slow = sym crate::arch::x86_64::entry::enter,
                )
            }
        }
    };
}

macro_rules! first {
    ($(($index:literal $name:ident))*) => { entries!(first, 64, "rdi", "", $($index)*); };
}

macro_rules! second {
    ($(($index:literal $name:ident))*) => { entries!(second, 64, "rsi", "", $($index)*); };
}

macro_rules! in_device_malloc {
    ($(($index:literal $name:ident))*) => {
        entries!(
            in_device_malloc,
            128,
            "rax",
            // A null object has no handle either.
            "mov rax, rdi\ntest rax, rax\njz 9f\nmov rax, qword ptr [rax]\n9:\n",
            $($index)*
        );
    };
}

rocblas_abi::for_each_export_with_a_handle_first!(first);
rocblas_abi::for_each_export_with_a_handle_second!(second);
rocblas_abi::for_each_export_with_a_device_malloc_first!(in_device_malloc);

const _: () = assert!(offset_of!(DeviceMalloc, handle) == 0, "as the assembly above has it");

const _: () = assert!(LINE == 4 * PLACE, "as the assembly above has it");

/// The routed entries, with the cold entry for each export that has none.
pub(crate) fn routed_entries() -> Box<Table> {
    let mut table = Box::new(COLD);
    for (index, target) in first::all().chain(second::all()).chain(in_device_malloc::all()) {
        table[index] = target;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_abi::{WHOSE, Whose};

    #[test]
    fn each_export_with_an_owner_has_its_own_entry_of_one_size() {
        let table = routed_entries();
        for (index, (Target(entry), whose)) in table.iter().zip(WHOSE).enumerate() {
            let is_owned = matches!(whose, Whose::Handle(_) | Whose::DeviceMalloc(_));
            assert_eq!(table[index] != COLD[index], is_owned, "{index}");
            if !is_owned {
                continue;
            }
            let size = if matches!(whose, Whose::DeviceMalloc(_)) { 128 } else { 64 };
            assert!(entry.addr().is_multiple_of(size), "{index}");
            // SAFETY: the code of this very program.
            let code = unsafe { core::slice::from_raw_parts(entry.cast::<u8>(), size) };
            // mov r11d, imm32; jmp rel32, and then padding
            let length = size - code.iter().rev().take_while(|byte| **byte == 0xcc).count();
            let slow = &code[length - 11..length];
            assert_eq!((&slow[..2], slow[6]), (&[0x41, 0xbb][..], 0xe9), "{index}");
            assert_eq!(slow[2..6], (index as u32).to_le_bytes(), "{index}");
        }
    }
}
