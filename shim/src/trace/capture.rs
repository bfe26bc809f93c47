//! Determines whether a call becomes part of a graph, because its handle's stream is being captured.
//!
//! A graph repeats the captured work whenever it is launched, without a call of rocBLAS, so a trace has such a call
//! only once. A capture may begin at any time without a call of rocBLAS, so HIP must be queried at each call, which
//! costs more than a record. So this is done only if the trace's options request it.

use super::{session::Session, thread::Thread};
use crate::route;
use core::{
    ffi::c_void,
    ptr::{null_mut, with_exposed_provenance_mut},
};
use rocblas_trace::layout::Capture;

/// Queries HIP about the stream of any handle.
#[cold]
pub(super) fn of(session: &Session, thread: &mut Thread, handle: u64) -> Capture {
    let handle: *mut c_void = with_exposed_provenance_mut(handle as usize);
    let compat = &route::backend_of(handle.addr()).unwrap_or(session.backend).compat;
    let (Some(hip), Some(get_stream)) = (&compat.hip, compat.functions.rocblas_get_stream) else {
        return Capture::Untold;
    };
    thread.without_tracing(|_| {
        let mut stream = null_mut();
        // SAFETY: the function's prototype; rocBLAS checks for null, and any other handle is the caller's.
        if unsafe { get_stream(handle, &raw mut stream) } != 0 {
            return Capture::Untold;
        }
        // The default stream cannot be captured, and querying it is an error while another stream is.
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
