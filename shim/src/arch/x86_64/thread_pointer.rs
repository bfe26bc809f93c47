//! The per-thread pointer to tracing state.
//!
//! `thread_local!` is not used: in a library it calls a function that may change any register, whereas the
//! function of a TLS descriptor changes only rax. With initial-exec TLS, a late dlopen of the shim would
//! fail if the loader has no static TLS space left.

use core::{
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

core::arch::global_asm!(
    ".pushsection .tbss.rocblas_shim_thread, \"awT\", @nobits",
    ".globl rocblas_shim_thread",
    ".hidden rocblas_shim_thread",
    ".type rocblas_shim_thread, @tls_object",
    ".size rocblas_shim_thread, 8",
    ".p2align 3",
    "rocblas_shim_thread:",
    ".zero 8",
    ".popsection",
);

/// The offset of the variable from each thread's base (fs), if it is the same in all threads; 0 if it is
/// not, or while this is not known.
pub(super) static OFFSET: AtomicUsize = AtomicUsize::new(0);

/// The variable's TLS descriptor: a function and its argument, both set by the loader. In a program, such
/// as the unit tests, the linker relaxes this to the offset itself, which is negative.
#[unsafe(naked)]
extern "C" fn descriptor() -> *const [usize; 2] {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "lea rax, [rip + rocblas_shim_thread@TLSDESC]",
        "ret",
        ".cfi_endproc",
    )
}

/// Finds [`OFFSET`], so that thunks need not call the descriptor's function: if that function only returns
/// a constant, the loader has placed the variable in static TLS and the offset is the same in each thread.
pub(crate) fn find_offset() {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    // mov rax, [rax + 8]; ret
    const RETURN_OFFSET: [u8; 5] = [0x48, 0x8b, 0x40, 0x08, 0xc3];
    let descriptor = descriptor();
    if descriptor.addr().cast_signed() < 0 {
        OFFSET.store(descriptor.addr(), Ordering::Relaxed);
        return;
    }
    // SAFETY: the descriptor has been used, so the loader no longer changes it; it points to the code of a
    // function, which is readable.
    unsafe {
        let [function, offset] = *descriptor;
        let code: *const u8 = ptr::with_exposed_provenance(function);
        let begins = code.cast::<[u8; 4]>().read() == ENDBR64;
        let code = if begins { code.add(ENDBR64.len()) } else { code };
        if code.cast::<[u8; 5]>().read() == RETURN_OFFSET {
            OFFSET.store(offset, Ordering::Relaxed);
        }
    }
}

/// The address of this thread's variable, which is null at first.
#[unsafe(naked)]
pub(crate) extern "C" fn thread_pointer() -> *mut *mut () {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "lea rax, [rip + rocblas_shim_thread@TLSDESC]",
        "call qword ptr [rax + rocblas_shim_thread@TLSCALL]",
        "add rax, qword ptr fs:[0]",
        "ret",
        ".cfi_endproc",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_that_of_each_threads_own_pointer() {
        find_offset();
        let offset = OFFSET.load(Ordering::Relaxed);
        let base = || {
            let base: usize;
            // SAFETY: the word at a thread's base is the base's address.
            unsafe { core::arch::asm!("mov {}, fs:[0]", out(reg) base) };
            base
        };
        let here = move || {
            assert_eq!(thread_pointer().addr(), base().wrapping_add(offset));
        };
        here();
        std::thread::spawn(here).join().expect("the same there");
    }
}
