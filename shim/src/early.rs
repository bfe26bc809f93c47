//! Initialisation when the shim is loaded, where that works out.
//!
//! Not for speed: for the order of destructors. A backend that is opened while the shim is loaded
//! registers its destructors before those of the libraries and the program that use rocBLAS, so
//! they run after theirs, as they would had the program been linked to the backend. Opened at a
//! first call in `main`, its destructors would run first, and a handle destroyed by a static
//! object would meet a backend that is gone.
//!
//! Nothing depends on it. When it fails it prints nothing and is not final: the first call tries again
//! and reports.

use crate::{init, own, trace::listener};

#[ctor::ctor(unsafe)]
fn on_load() {
    // The name that the shim was loaded by may be relative to where the program is now.
    own::directories();
    init::early();
    listener::bind_early();
}
