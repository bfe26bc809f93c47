//! Where the shim itself is: its file, for finding what lies beside it, and its mapped range, so
//! that no backend's function is mistaken for one that is in here.

use core::{ffi::CStr, mem::MaybeUninit};
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The object of the process that an address lies in.
pub(crate) struct Object {
    pub(crate) file: PathBuf,
}

/// Which loaded object an address belongs to.
pub(crate) fn object_of(address: *const ()) -> Option<Object> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr writes the struct when it answers non-zero, and takes any address.
    let found = unsafe { libc::dladdr(address.cast(), info.as_mut_ptr()) };
    if found == 0 {
        return None;
    }
    // SAFETY: written, as dladdr succeeded.
    let info = unsafe { info.assume_init() };
    let file = if info.dli_fname.is_null() {
        PathBuf::new()
    } else {
        // SAFETY: a C string that the loader keeps as long as the object is loaded.
        let name = unsafe { CStr::from_ptr(info.dli_fname) };
        PathBuf::from(OsStr::from_bytes(name.to_bytes()))
    };
    Some(Object { file })
}

/// The address that stands for this library.
fn anchor() -> *const () {
    (&raw const crate::table::CURRENT).cast()
}

/// The shim as the loader knows it.
pub(crate) fn object() -> Option<Object> {
    object_of(anchor())
}

/// The directories to look into for what lies beside the shim: that of the name it was loaded by,
/// and that of the file behind it when the name is a link.
pub(crate) fn directories() -> Vec<PathBuf> {
    let Some(object) = object() else {
        return Vec::new();
    };
    let mut directories: Vec<PathBuf> = Vec::new();
    let resolved = object.file.canonicalize();
    for file in [std::path::absolute(&object.file).ok(), resolved.ok()].into_iter().flatten() {
        if let Some(directory) = file.parent().map(Path::to_path_buf)
            && !directories.contains(&directory)
        {
            directories.push(directory);
        }
    }
    directories
}

unsafe extern "C" {
    /// The shim's ELF header and the end of its memory: the linker's own symbols, local to each
    /// library.
    static __ehdr_start: u8;
    static _end: u8;
}

/// The addresses that the shim is mapped at.
pub(crate) fn range() -> core::ops::Range<usize> {
    (&raw const __ehdr_start) as usize..(&raw const _end) as usize
}
