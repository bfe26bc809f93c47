//! Calls of any function of rocBLAS's ABI whose arguments are integers and pointers.

use core::ffi::c_void;

/// The most parameters that a function has.
pub const WORDS: usize = 30;

/// The arguments; a function ignores those that it does not take.
pub type Words = [u64; WORDS];

/// Calls a function. Returns rax.
///
/// # Safety
/// As required by the function for these arguments.
pub unsafe fn call(function: *const c_void, words: &Words) -> u64 {
    macro_rules! call {
        ($($i:literal)*) => {{
            type F = unsafe extern "C" fn($(call!(@ $i)),*) -> u64;
            // SAFETY: in this calling convention every parameter is one integer word, in a register or on the
            // stack, and the caller removes the stack words itself.
            let function = unsafe { core::mem::transmute::<*const c_void, F>(function) };
            // SAFETY: guaranteed by the caller.
            unsafe { function($(words[$i]),*) }
        }};
        (@ $i:literal) => { u64 };
    }
    call!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29)
}
