//! Initialisation while the shim is loaded, if possible.
//!
//! Its purpose is the order of destructors, not speed. A backend that is opened while the shim is loaded
//! registers its destructors before those of the program and libraries that use rocBLAS, so they run
//! afterwards, as if the program were linked to the backend. If it were opened at the first call in
//! `main`, its destructors would run first, and a handle destroyed by a static object would use a
//! backend that has been torn down.
//!
//! Nothing depends on its success. A failure prints nothing and is not final: the first call tries again
//! and reports the reason.

use crate::{init, own, trace::listener};

#[ctor::ctor(unsafe)]
fn on_load() {
    // Resolved now, because the path of the shim may be relative to the current directory.
    own::directories();
    init::early();
    listener::bind_early();
}
