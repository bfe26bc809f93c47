//! Whether a call goes into a graph: the stream of its handle captures.
//!
//! A graph runs what it has captured whenever it is launched, without a call of rocBLAS, so a trace has such a
//! call once. Capturing begins at any time, and without a call of rocBLAS: HIP has to be asked at each call,
//! which costs more than a record. So that is done only where a trace is to have it.

use super::{session::Session, thread::Thread};
use crate::route;
use core::{
    ffi::c_void,
    ptr::{null_mut, with_exposed_provenance_mut},
};
use rocblas_trace::layout::Capture;

/// Asks HIP about the stream of a handle, whatever it is.
#[cold]
pub(super) fn of(session: &Session, thread: &mut Thread, handle: u64) -> Capture {
    let handle: *mut c_void = with_exposed_provenance_mut(handle as usize);
    let compat = &route::backend_of(handle.addr()).unwrap_or(session.backend).compat;
    let (Some(hip), Some(get_stream)) = (&compat.hip, compat.functions.rocblas_get_stream) else {
        return Capture::Untold;
    };
    thread.without_tracing(|_| {
        let mut stream = null_mut();
        // SAFETY: the function's prototype; rocBLAS checks for a null handle, and any other is the caller's.
        if unsafe { get_stream(handle, &raw mut stream) } != 0 {
            return Capture::Untold;
        }
        // The default stream never captures, and asking about it is an error while another one does.
        if stream.is_null() {
            return Capture::No;
        }
        match hip.is_capturing(stream) {
            Some(true) => Capture::Yes,
            Some(false) => Capture::No,
            None => Capture::Untold,
        }
    })
}
