//! The exported functions: a stub for every C and C++ function of the table.
//!
//! A stub is two instructions, `mov r11, [rip+ROUTING]; jmp [r11+8*index]`. It reads one pointer,
//! changes no register but r11 (which the System V ABI reserves for linkage code), does not use the
//! stack, and is not in the backtrace once it has jumped: arguments of any kind, variadics, structs by
//! value and C++ exceptions pass. The load needs no fence: x86-64 loads have acquire semantics.
//!
//! A signal may arrive between the two instructions, and its handler may throw or, as profilers do, take a
//! backtrace. So the stubs are a section of their own with one entry in the unwind tables. With one entry
//! for each stub, the tables would be twice as large as the code.

use crate::{
    table::{ENTRY_SIZE, ROUTING, Table},
    trace::Session,
};
use rocblas_abi::EXPORTS;
use rocblas_sync::routing::Routing;

/// Bytes of a stub with its padding.
const SIZE: usize = 16;

macro_rules! stubs {
    ($(($index:literal $name:ident))*) => {
        // Nothing in Rust calls these symbols. Their C and C++ callers use the vendor's header and
        // are responsible for the safety of their calls.
        $(
            #[allow(non_snake_case, reason = "a mangled C++ name")]
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".text.rocblas_shim_stubs")]
            unsafe extern "C" fn $name() {
                core::arch::naked_asm!(
                    "mov r11, qword ptr [rip + {routing} + {table}]",
                    "jmp qword ptr [r11 + {offset}]",
                    // Pads all stubs to one size.
                    ".balign {size}, 0xcc",
                    size = const SIZE,
                    routing = sym ROUTING,
                    table = const Routing::<Table, Session>::TABLE,
                    offset = const $index * ENTRY_SIZE,
                )
            }
        )*
    };
}

rocblas_abi::for_each_export!(stubs);

/// The index of the export whose stub this is, from the displacement of its `jmp`; `None` if it is other code, or one
/// of the first sixteen stubs, whose displacements are shorter.
///
/// # Safety
/// As many bytes as a stub has can be read there.
#[cfg_attr(test, allow(dead_code, reason = "a test program has no dynamic symbols of stubs"))]
pub(crate) unsafe fn index_of_stub(stub: *const u8) -> Option<usize> {
    // SAFETY: guaranteed by the caller.
    let code = unsafe { stub.cast::<[u8; SIZE]>().read_unaligned() };
    // mov r11, [rip + disp32]; jmp [r11 + disp32]
    let [0x4c, 0x8b, 0x1d, _, _, _, _, 0x41, 0xff, 0xa3, offset @ ..] = code else {
        return None;
    };
    let offset = u32::from_le_bytes([offset[0], offset[1], offset[2], offset[3]]) as usize;
    Some(offset / ENTRY_SIZE)
}

// A CIE and an FDE as `.cfi_startproc` would emit them, written by hand: the compiler chooses the order of
// the functions in a section, so no directive can be placed before the first one. Throughout the region the
// CFA is rsp + 8 and the return address is at rsp. Source: LSB Core, chapter 10.6.1.
core::arch::global_asm!(
    ".pushsection .eh_frame, \"a\", @unwind",
    ".balign 8",
    "20:",
    ".long 22f - 21f",
    "21:",
    ".long 0",
    ".byte 1",
    ".asciz \"zR\"",
    // Code alignment factor, data alignment factor (-8), and the column of the return address.
    ".byte 1, 0x78, 16",
    // The encoding of addresses: PC-relative, 4 bytes.
    ".byte 1, 0x1b",
    // DW_CFA_def_cfa: rsp (7) + 8. DW_CFA_offset: the return address is 8 bytes below the CFA.
    ".byte 0x0c, 7, 8",
    ".byte 0x90, 1",
    ".balign 8, 0",
    "22:",
    ".long 24f - 23f",
    "23:",
    ".long 23b - 20b",
    ".long .text.rocblas_shim_stubs - .",
    ".long {length}",
    ".byte 0",
    ".balign 8, 0",
    "24:",
    ".popsection",
    length = const EXPORTS * SIZE,
);
