//! The interface of the assembly of traced calls (`arch/x86_64/thunk.rs`): offsets, functions, and the handling
//! of calls that are abandoned by an exception.

use super::{
    recipe::{Captured, Recipe},
    scalars,
    session::Session,
    thread::{RECENT, Thread, current},
};
use core::{
    ffi::{c_int, c_void},
    mem::offset_of,
};

pub(crate) use super::recipe::flags;
pub(crate) use super::record::{begin, end, handle_of_latest, scalars_of_latest};

/// `rocblas_pointer_mode_host`
pub(crate) const HOST: i32 = scalars::HOST;

/// The number of handles that a thread remembers, and the number of low bits of an address that are ignored when
/// choosing the place.
pub(crate) const RECENT_COUNT: usize = RECENT;
pub(crate) const RECENT_SHIFT: u32 = super::handles::SHIFT;

/// Offsets in [`Session`].
pub(crate) mod session {
    use super::*;

    pub(crate) const RECIPES: usize = offset_of!(Session, recipes);
    pub(crate) const GET_POINTER_MODE: usize = offset_of!(Session, get_pointer_mode);
    pub(crate) const PEEK: usize = offset_of!(Session, peek);
}

/// Offsets in [`Thread`].
pub(crate) mod thread {
    use super::*;

    pub(crate) const SESSION: usize = offset_of!(Thread, session);
    pub(crate) const CURSOR: usize = offset_of!(Thread, cursor);
    pub(crate) const NEAR: usize = offset_of!(Thread, near);
    pub(crate) const SEQUENCE: usize = offset_of!(Thread, sequence);
    pub(crate) const SOLE: usize = offset_of!(Thread, sole);
    pub(crate) const RECORD: usize = offset_of!(Thread, record);
    pub(crate) const HANDLE: usize = offset_of!(Thread, handle);
    pub(crate) const RECENT_HANDLES: usize = offset_of!(Thread, recent);
    pub(crate) const LOWEST: usize = offset_of!(Thread, lowest);
    pub(crate) const HIGHEST: usize = offset_of!(Thread, highest);
}

/// Offsets in [`Recipe`].
pub(crate) mod recipe {
    use super::*;

    pub(crate) const SIZE: usize = size_of::<Recipe>();
    pub(crate) const TARGET: usize = offset_of!(Recipe, target);
    pub(crate) const HEAD: usize = offset_of!(Recipe, head);
    pub(crate) const ADVANCE: usize = offset_of!(Recipe, advance);
    pub(crate) const FLAGS: usize = offset_of!(Recipe, flags);
    pub(crate) const PLAIN: usize = offset_of!(Recipe, plain);
    pub(crate) const AT_ENTRY: usize = offset_of!(Recipe, at_entry);
}

/// Offsets in [`Captured`].
pub(crate) mod captured {
    use super::*;

    pub(crate) const SIZE: usize = size_of::<Captured>();
    pub(crate) const PARAMETER: usize = offset_of!(Captured, parameter);
    pub(crate) const WORD: usize = offset_of!(Captured, word);
    pub(crate) const LENGTH: usize = offset_of!(Captured, size);
}

/// The caller's stack pointer of the frame that the unwinder has reached, if this is the cleanup phase. An
/// exception, or forced unwinding at the end of a thread, passes through; there is nothing to catch and no
/// code to run in the frame itself.
///
/// # Safety
/// Called with the arguments of a personality routine, in a part of the code in which rbp is the frame
/// pointer.
unsafe fn cleaned_up(actions: c_int, context: *mut c_void) -> Option<usize> {
    unsafe extern "C" {
        fn _Unwind_GetGR(context: *mut c_void, register: c_int) -> usize;
    }
    const CLEANUP_PHASE: c_int = 2;
    // DWARF's number.
    const RBP: c_int = 6;
    // SAFETY: by contract.
    (actions & CLEANUP_PHASE != 0).then(|| unsafe { _Unwind_GetGR(context, RBP) } + 16)
}

const CONTINUE_UNWIND: c_int = 8;

macro_rules! personalities {
    ($($(#[$doc:meta])* $name:ident = |$thread:ident, $stack:ident| $action:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// Called by the unwinder for a frame of the assembly, as specified by the C++ ABI for exceptions.
        pub(crate) unsafe extern "C" fn $name(
            _version: c_int,
            actions: c_int,
            _class: u64,
            _exception: *mut c_void,
            context: *mut c_void,
        ) -> c_int {
            // SAFETY: by contract.
            if let Some($stack) = unsafe { cleaned_up(actions, context) }
                // SAFETY: null, or this thread's own; the interrupted code does not continue.
                && let Some($thread) = unsafe { current().as_mut() }
            {
                $action;
            }
            CONTINUE_UNWIND
        }
    )*};
}

personalities! {
    /// While the thunk writes a record: the call has not been made, so its record is removed.
    withdraw = |thread, _stack| thread.withdraw();
    /// While a call or a slow path is in progress: the call is marked as abandoned.
    leave = |thread, stack| thread.leave_frames(stack);
    /// After a call, before its record is complete.
    leave_latest = |thread, _stack| thread.leave_latest();
}
