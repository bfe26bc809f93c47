//! Loads a backend and looks functions up in it.
//!
//! `RTLD_LAZY`: a backend built for another hipBLASLt refers to functions that are not defined here, which
//! is harmless as long as they are not called. `RTLD_LOCAL`: the process has one set of rocBLAS symbols,
//! the shim's. No `RTLD_DEEPBIND`: it breaks copy relocations and malloc interposers; [`super::adapt`]
//! replaces it. A backend is never closed.

use crate::{own, table::Target};
use core::ffi::{CStr, c_void};
use core::ptr::NonNull;
use std::ffi::CString;

/// A loaded object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle(NonNull<c_void>);

// SAFETY: the loader's functions take its handles from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// Loads the library at a path, or a name that the loader searches for. The error is the loader's message.
pub(crate) fn open(path: &CStr) -> Result<Handle, String> {
    // SAFETY: a valid C string. The library's constructors run; the user chose to load this library.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    NonNull::new(handle).map(Handle).ok_or_else(loader_error)
}

/// Makes libraries next to the shim known to the loader by the names that a backend needs.
///
/// A symlink `libamdhip64.so.6 -> libamdhip64.so.7` is in no loader cache, and a backend's own RUNPATH
/// need not include its directory. The shim's does: the loader finds the symlink there, recognises the
/// file as a loaded library, and from then on knows that library by this name too. It knows a stub library
/// by its SONAME. In a bundle whose libraries are in no cache, such as Ollama's and PyTorch's, other
/// libraries that a backend needs (`libroctx64.so.4`) are found in the same way. A library that is not
/// found here is searched for again when the backend is loaded, and only then is it an error.
pub(crate) fn preload(needed: &[String]) {
    for name in needed.iter().filter_map(|name| CString::new(name.as_str()).ok()) {
        let _ = open(&name);
    }
}

/// The library at that path if it is loaded, or is being loaded by this thread.
pub(crate) fn already_open(path: &CStr) -> Option<Handle> {
    // SAFETY: as above; nothing is loaded.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    NonNull::new(handle).map(Handle)
}

fn loader_error() -> String {
    // SAFETY: dlerror returns null or a C string that is valid until the next call in this thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the loader gives no reason".to_owned();
    }
    // SAFETY: not null, as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Clears this thread's `dlerror()`: after a rocBLAS call a program must not see errors from the shim's own
/// lookups.
pub(crate) fn clear_error() {
    // SAFETY: dlerror has no preconditions.
    unsafe { libc::dlerror() };
}

impl Handle {
    /// The address of a symbol of the library or of its dependencies; `None` if it is undefined, or
    /// defined as null.
    pub(crate) fn symbol(self, name: &CStr) -> Option<Target> {
        // SAFETY: an open handle and a valid C string.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        (!address.is_null()).then_some(Target(address.cast_const().cast()))
    }

    /// As [`Self::symbol`], but `None` for a symbol of the shim, which may be found through a dependency.
    pub(crate) fn own_symbol(self, name: &CStr) -> Option<Target> {
        self.symbol(name).filter(|target| !own::range().contains(&(target.0 as usize)))
    }

    /// The loader's record of the library: where it is mapped and its dynamic section.
    pub(crate) fn link_map(self) -> Option<LinkMap> {
        let mut map: *const LinkMap = core::ptr::null();
        // SAFETY: RTLD_DI_LINKMAP stores a pointer to the link_map of an open handle.
        let failed =
            unsafe { libc::dlinfo(self.0.as_ptr(), libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        // SAFETY: on success the loader's own record, which lives as long as the library.
        (failed == 0 && !map.is_null()).then(|| unsafe { map.read() })
    }
}

/// The public head of glibc's `struct link_map` (`<link.h>`).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct LinkMap {
    /// Difference between the addresses in the file and in memory.
    pub(crate) base: usize,
    name: *const libc::c_char,
    /// The dynamic section.
    pub(crate) dynamic: *const c_void,
}
