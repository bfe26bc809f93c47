//! A library that is loaded into this process: only in a child process, since loading may crash it.

use std::{
    ffi::{CStr, CString, c_char, c_void},
    mem::transmute_copy,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr::NonNull,
};

/// A library that stays open until the process ends.
#[derive(Debug)]
pub(crate) struct SharedObject(NonNull<c_void>);

impl SharedObject {
    /// Loads a file as the loader loads a linked library: into the global scope, with lazy binding. The error
    /// is the loader's own message.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| format!("{}: a path cannot contain a NUL byte", path.display()))?;
        // SAFETY: a valid C string. Constructors run, which is what the process is for.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_GLOBAL) };
        NonNull::new(handle).map(Self).ok_or_else(loader_error)
    }

    /// A function of the library or of its dependencies.
    ///
    /// # Safety
    /// `F` is a function pointer type, and the type of the function of this name.
    pub(crate) unsafe fn function<F: Copy>(&self, name: &CStr) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: an open library and a valid C string.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        // SAFETY: not null, as large as `F`, and by contract a function of that type.
        (!address.is_null()).then(|| unsafe { transmute_copy(&address) })
    }
}

/// The text of a C string; empty for a null pointer.
///
/// # Safety
/// Null, or a C string that is valid during the call.
pub(crate) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

fn loader_error() -> String {
    // SAFETY: null, or a C string that is valid until the next call in this thread.
    let error = unsafe { text(libc::dlerror()) };
    if error.is_empty() { "the loader gives no reason".to_owned() } else { error }
}
