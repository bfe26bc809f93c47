//! The exported functions: a stub for every C and C++ function of the table.
//!
//! A stub is two instructions, `mov r11, [rip+ROUTING]; jmp [r11+8*index]`. It reads one pointer,
//! touches no register but r11 (which the System V ABI leaves to linkage code), no stack, and is
//! gone from the backtrace once it has jumped: arguments of any kind, variadics, structs by value
//! and C++ exceptions pass. The load needs no fence: x86-64 loads acquire.
//!
//! A signal may arrive between the two, and its handler may throw, or take a backtrace as profilers do.
//! So the unwind tables have an entry for the stubs: one for all of them, which are a section of their
//! own. With an entry each, the tables would be twice as large as the code.

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
        // The symbols are C's and C++'s, and safety is the business of whoever calls them with
        // the vendor's header: nothing in Rust calls them.
        $(
            #[allow(non_snake_case, reason = "a mangled C++ name")]
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".text.rocblas_shim_stubs")]
            unsafe extern "C" fn $name() {
                core::arch::naked_asm!(
                    "mov r11, qword ptr [rip + {routing} + {table}]",
                    "jmp qword ptr [r11 + {offset}]",
                    // So that they have one size.
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

// By hand, because the compiler puts the functions of a section into an order of its own, so that no
// directive can stand before the first: a CIE and an FDE as `.cfi_startproc` would make them. In all of
// the region the CFA is rsp + 8 and the return address is at rsp. LSB Core, chapter 10.6.1.
core::arch::global_asm!(
    ".pushsection .eh_frame, \"a\", @unwind",
    ".balign 8",
    "20:",
    ".long 22f - 21f",
    "21:",
    ".long 0",
    ".byte 1",
    ".asciz \"zR\"",
    // Alignment of code, of data (-8), and the column of the return address.
    ".byte 1, 0x78, 16",
    // How addresses are encoded: relative to their place, in 4 bytes.
    ".byte 1, 0x1b",
    // DW_CFA_def_cfa: rsp (7) + 8. DW_CFA_offset: the return address, 8 before that.
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
