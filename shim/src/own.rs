//! The location of the shim itself: its file, to find files next to it, and its mapped range, to detect
//! functions of a backend that resolve to the shim.

use core::{ffi::CStr, mem::MaybeUninit};
use once_cell::race::OnceBox;
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The file of the loaded object that contains an address, by the loader's name for it.
pub(crate) fn file_of(address: *const ()) -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr accepts any address, and fills the struct if it returns non-zero.
    let found = unsafe { libc::dladdr(address.cast(), info.as_mut_ptr()) };
    if found == 0 {
        return None;
    }
    // SAFETY: written, as dladdr succeeded.
    let name = unsafe { info.assume_init() }.dli_fname;
    if name.is_null() {
        return None;
    }
    // SAFETY: a C string that the loader keeps as long as the object is loaded.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

/// The shim's own file.
pub(crate) fn file() -> Option<PathBuf> {
    file_of((&raw const crate::table::ROUTING).cast())
}

/// The directories of the shim: that of the path by which it was loaded, and, if that is a symlink, that of
/// the file it points to.
///
/// They are determined once, when the shim is loaded: a relative path is no longer valid after the program
/// changes its directory.
pub(crate) fn directories() -> &'static [PathBuf] {
    static DIRECTORIES: OnceBox<Vec<PathBuf>> = OnceBox::new();
    DIRECTORIES.get_or_init(|| Box::new(find_directories()))
}

fn find_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    let Some(file) = file() else {
        return directories;
    };
    for file in [std::path::absolute(&file).ok(), file.canonicalize().ok()].into_iter().flatten() {
        if let Some(directory) = file.parent().map(Path::to_path_buf)
            && !directories.contains(&directory)
        {
            directories.push(directory);
        }
    }
    directories
}

unsafe extern "C" {
    /// The shim's ELF header and the end of its memory: symbols that the linker defines locally in each
    /// library.
    static __ehdr_start: u8;
    static _end: u8;
}

/// The start of the shim in memory, which addresses in its file are relative to.
pub(crate) fn base() -> *const u8 {
    &raw const __ehdr_start
}

/// The addresses that the shim is mapped at.
pub(crate) fn range() -> core::ops::Range<usize> {
    base() as usize..(&raw const _end) as usize
}
