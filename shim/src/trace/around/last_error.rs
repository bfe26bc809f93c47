//! HIP's last error before and after a call: rocBLAS may return success although a kernel was not launched.
//!
//! The thunk's assembly does the same for calls whose records it writes.

use super::super::{
    Options,
    recipe::{Recipe, flags},
    session::Session,
};
use crate::backend::{Backend, hip::Peek};
use rocblas_trace::layout::{NOTE, Note};

/// The function of a backend's HIP runtime with which a trace with these options reads the error; `None` if the trace
/// does not read it.
pub(in crate::trace) fn of(options: &Options, backend: &Backend) -> Option<Peek> {
    let hip = backend.compat.hip.as_ref().filter(|_| options.errors)?;
    Some(hip.last_error?.peek_function())
}

/// Runs before a call. Returns the error's bits for the call's note.
pub(in crate::trace) fn at_entry(session: &Session, recipe: &Recipe) -> u64 {
    match session.peek {
        Some(peek) if recipe.has(flags::HANDLE) => Note::ERRORS | read(peek) << Note::ERROR_BEFORE,
        _ => 0,
    }
}

/// Runs after the function has returned.
///
/// # Safety
/// `record` is its record, which still exists.
pub(in crate::trace) unsafe fn at_exit(session: &Session, record: *mut u64) {
    if let Some(peek) = session.peek {
        // SAFETY: by contract.
        unsafe {
            if *record.add(NOTE) & Note::ERRORS != 0 {
                *record.add(NOTE) |= read(peek) << Note::ERROR_AFTER;
            }
        }
    }
}

/// The error as a note stores it.
fn read(peek: Peek) -> u64 {
    // SAFETY: the function has no parameters.
    u64::from(unsafe { peek() } as u16)
}
