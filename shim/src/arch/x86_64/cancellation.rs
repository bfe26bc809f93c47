//! Keeps a thread from being cancelled while Rust and libc run on its behalf.
//!
//! The shim opens and writes files, which are cancellation points, and holds locks, which forced
//! unwinding would not release. This is assembly because enabling cancellation again may unwind a thread
//! of asynchronous cancelability, and Rust frames must not be unwound.
//!
//! For a thread of asynchronous cancelability, disabling is not enough. glibc 2.36 still acts on a pending
//! `pthread_cancel` signal after cancellation has been disabled, and, if cancelability is deferred, at the
//! next cancellation point. So such a thread first passes through a cancellation point: it returns once no
//! signal is pending, or the thread is cancelled there. The type is restored last, because only then does
//! glibc report the thread as cancelled (`PTHREAD_CANCELED`).

/// The size of the two saved values, state and type.
pub(super) const SIZE: usize = 8;

/// From `pthread.h`.
const PTHREAD_CANCEL_DEFERRED: i32 = 0;
const PTHREAD_CANCEL_ASYNCHRONOUS: i32 = 1;
const PTHREAD_CANCEL_DISABLE: i32 = 1;

// Called through the GOT, because linkers other than GNU ld emit no unwind information for the PLT. Neither
// function is a cancellation point: <https://man7.org/linux/man-pages/man3/pthread_setcancelstate.3.html>.
unsafe extern "C" {
    fn pthread_setcancelstate(state: i32, old: *mut i32) -> i32;
    fn pthread_setcanceltype(kind: i32, old: *mut i32) -> i32;
}

/// Disables cancellation of this thread permanently.
pub(crate) fn forbid_cancellation() {
    let mut old = [0; 2];
    // SAFETY: memory for the two values.
    unsafe { disable(&raw mut old) };
}

/// Runs code of the shim that has cancellation points. The code must not unwind.
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

/// Restores the previous state and type.
///
/// # Safety
/// [`disable`] has filled `old` in this thread.
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
