//! Keeps a thread from being cancelled while Rust and libc run on its behalf.
//!
//! Files are opened and written there, which are cancellation points, and locks are held, which forced
//! unwinding would not release. Assembly, because to enable cancellation again may be what unwinds a thread
//! of asynchronous cancelability, and Rust's frames must not be unwound.
//!
//! For a thread of asynchronous cancelability, disabling is not enough: glibc 2.36 handles a signal of
//! `pthread_cancel` that is on its way also where cancellation has been disabled since; and where it is
//! deferred, in a cancellation point all the same. So such a thread goes through one first, which returns
//! when no signal is on its way any more, or from which it is cancelled. The type is restored last: it is
//! only there that glibc says that the thread was cancelled (`PTHREAD_CANCELED`).

/// The two values that are restored: state and type.
pub(super) const SIZE: usize = 8;

/// Of `pthread.h`.
const PTHREAD_CANCEL_DEFERRED: i32 = 0;
const PTHREAD_CANCEL_ASYNCHRONOUS: i32 = 1;
const PTHREAD_CANCEL_DISABLE: i32 = 1;

// Called through the GOT: linkers other than GNU's describe no PLT to unwinders. Neither is a cancellation
// point: <https://man7.org/linux/man-pages/man3/pthread_setcancelstate.3.html>.
unsafe extern "C" {
    fn pthread_setcancelstate(state: i32, old: *mut i32) -> i32;
    fn pthread_setcanceltype(kind: i32, old: *mut i32) -> i32;
}

/// Disables cancellation of this thread for good.
pub(crate) fn forbid_cancellation() {
    let mut old = [0; 2];
    // SAFETY: memory for the two values.
    unsafe { disable(&raw mut old) };
}

/// Runs something of ours that has cancellation points. It does not unwind.
pub(crate) fn without_cancellation<T>(work: impl FnOnce() -> T) -> T {
    let mut old = [0; 2];
    // SAFETY: memory for the two values.
    unsafe { disable(&raw mut old) };
    let result = work();
    // SAFETY: filled above, in this thread.
    unsafe { restore(&raw const old) };
    result
}

/// Disables cancellation.
///
/// # Safety
/// `old` is memory for the two values.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn disable(old: *mut [i32; 2]) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbx, -16",
        "mov rbx, rdi",
        "mov edi, {deferred}",
        "lea rsi, [rbx + 4]",
        "call qword ptr [rip + {set_type}@GOTPCREL]",
        "mov edi, {disable}",
        "mov rsi, rbx",
        "call qword ptr [rip + {set_state}@GOTPCREL]",
        "cmp dword ptr [rbx + 4], {asynchronous}",
        "jne 20f",
        "xor edi, edi",
        "xor esi, esi",
        "xor edx, edx",
        "call qword ptr [rip + {poll}@GOTPCREL]",
        "20:",
        "pop rbx",
        ".cfi_def_cfa_offset 8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_endproc",
        deferred = const PTHREAD_CANCEL_DEFERRED,
        disable = const PTHREAD_CANCEL_DISABLE,
        asynchronous = const PTHREAD_CANCEL_ASYNCHRONOUS,
        poll = sym libc::poll,
        set_state = sym pthread_setcancelstate,
        set_type = sym pthread_setcanceltype,
    )
}

/// Restores what was before.
///
/// # Safety
/// `old` is what [`disable`] has filled, of this thread.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn restore(old: *const [i32; 2]) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbx, -16",
        "mov rbx, rdi",
        "mov edi, dword ptr [rbx]",
        "xor esi, esi",
        "call qword ptr [rip + {set_state}@GOTPCREL]",
        "mov edi, dword ptr [rbx + 4]",
        "xor esi, esi",
        "call qword ptr [rip + {set_type}@GOTPCREL]",
        "pop rbx",
        ".cfi_def_cfa_offset 8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_endproc",
        set_state = sym pthread_setcancelstate,
        set_type = sym pthread_setcanceltype,
    )
}
