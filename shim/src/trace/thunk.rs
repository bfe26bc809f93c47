//! What the assembly of traced calls (`arch/x86_64/thunk.rs`) has of the rest: offsets, functions, and
//! what happens when a call is left by an exception.

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

/// How many handles a thread remembers, and the bits of an address before those that choose the place.
pub(crate) const RECENT_COUNT: usize = RECENT;
pub(crate) const RECENT_SHIFT: u32 = super::handles::SHIFT;

/// Of [`Session`].
pub(crate) mod session {
    use super::*;

    pub(crate) const RECIPES: usize = offset_of!(Session, recipes);
    pub(crate) const GET_POINTER_MODE: usize = offset_of!(Session, get_pointer_mode);
}

/// Of [`Thread`].
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

/// Of [`Recipe`].
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

/// Of [`Captured`].
pub(crate) mod captured {
    use super::*;

    pub(crate) const SIZE: usize = size_of::<Captured>();
    pub(crate) const PARAMETER: usize = offset_of!(Captured, parameter);
    pub(crate) const WORD: usize = offset_of!(Captured, word);
    pub(crate) const LENGTH: usize = offset_of!(Captured, size);
}

/// The address of the frame that the unwinder is at, if it asks for it to be cleaned up: as the caller's
/// stack pointer. An exception, or forced unwinding at the end of a thread, passes through; there is
/// nothing to catch and no code to run in the frame itself.
///
/// # Safety
/// Called with what the unwinder has passed to a personality routine, in a part of the code in which rbp
/// is the frame's own.
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
        /// Called by the unwinder, as the C++ ABI for exceptions has it, for a frame of the assembly.
        pub(crate) unsafe extern "C" fn $name(
            _version: c_int,
            actions: c_int,
            _class: u64,
            _exception: *mut c_void,
            context: *mut c_void,
        ) -> c_int {
            // SAFETY: by contract.
            if let Some($stack) = unsafe { cleaned_up(actions, context) }
                // SAFETY: null, or this thread's own; what was interrupted does not go on.
                && let Some($thread) = unsafe { current().as_mut() }
            {
                $action;
            }
            CONTINUE_UNWIND
        }
    )*};
}

personalities! {
    /// While the thunk writes a record: the call has not been made, and leaves none.
    withdraw = |thread, _stack| thread.withdraw();
    /// While a call is under way, or the slow paths are: it is marked as left.
    leave = |thread, stack| thread.leave_frames(stack);
    /// After a call, before its record is complete.
    leave_latest = |thread, _stack| thread.leave_latest();
}
