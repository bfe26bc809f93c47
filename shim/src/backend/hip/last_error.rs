//! HIP's last error of the calling thread, which a rocBLAS function leaves set when it prints an error but
//! returns success.

use super::SUCCESS;
use crate::backend::open::Handle;
use core::mem::transmute;

/// `hipPeekAtLastError`
pub(crate) type Peek = unsafe extern "C" fn() -> i32;

/// The two functions that read the last error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastError {
    peek: Peek,
    take: Peek,
}

impl LastError {
    /// The functions of the runtime in a backend's scope.
    pub(super) fn of(backend: Handle) -> Option<Self> {
        let peek = backend.symbol(c"hipPeekAtLastError")?.0;
        let take = backend.symbol(c"hipGetLastError")?.0;
        // SAFETY: HIP's prototypes of these functions.
        Some(unsafe {
            Self {
                peek: transmute::<*const (), Peek>(peek),
                take: transmute::<*const (), Peek>(take),
            }
        })
    }

    /// The function that returns the error without clearing it.
    pub(crate) fn peek_function(self) -> Peek {
        self.peek
    }

    /// The error, a `hipError_t`, without clearing it.
    fn peek(self) -> i32 {
        // SAFETY: the function has no parameters.
        unsafe { (self.peek)() }
    }

    /// Calls HIP functions and clears their errors, so that the client does not see them. If an error is already
    /// pending, returns `None` without calling anything, because a pending error that is overwritten cannot be
    /// restored.
    pub(crate) fn undisturbed<T>(self, work: impl FnOnce() -> T) -> Option<T> {
        if self.peek() != SUCCESS {
            return None;
        }
        let result = work();
        if self.peek() != SUCCESS {
            // SAFETY: as above.
            unsafe { (self.take)() };
        }
        Some(result)
    }
}
