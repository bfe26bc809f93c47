//! Walks the program's stack from a traced call, without the shim's own frames in between.
//!
//! libgcc starts at the caller of `_Unwind_Backtrace` and continues with that frame's unwind tables. The tables of [`walk`]
//! describe the thunk's frame, which has the return address and the registers of the program's call. So no frame of Rust
//! code is walked: that would take longer than the program's own frames, and before 1.92 the compiler emits no unwind
//! tables for Rust functions if panics abort.
//!
//! r12 to r15 have the values that Rust code left in them, not the caller's. That does no harm: compilers describe frames
//! by rsp and rbp, which are right, as is rbx.

use core::ffi::c_void;

/// `_Unwind_Backtrace` of the Itanium C++ ABI.
pub(crate) type Backtrace = unsafe extern "C" fn(Visit, *mut c_void) -> i32;
/// The function that it calls for each frame.
pub(crate) type Visit = unsafe extern "C" fn(*mut c_void, *mut c_void) -> i32;

/// Calls `backtrace(visit, data)`: the first frame is one of ours, the second that of the caller of the traced function.
///
/// # Safety
/// `stack` is the caller's stack pointer at a call that a thunk has begun and that is about to be made, in this thread;
/// `visit` takes `data`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn walk(
    visit: Visit,
    data: *mut c_void,
    stack: usize,
    backtrace: Backtrace,
) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        // The thunk's own rbp: its frame has the return address, rbp and rbx below the caller's stack pointer.
        "lea rbp, [rdx - 16]",
        ".cfi_remember_state",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_offset rbx, -24",
        "call rcx",
        // The unwinder looks up the byte before the return address, which is part of the call.
        ".cfi_restore_state",
        "pop rbp",
        ".cfi_restore rbp",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
    )
}
