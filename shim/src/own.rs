//! Where the shim itself is: its file, for finding what lies beside it, and its mapped range, so
//! that no backend's function is mistaken for one that is in here.

use core::{ffi::CStr, mem::MaybeUninit};
use once_cell::race::OnceBox;
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The file of the loaded object that an address lies in, as the loader knows it.
pub(crate) fn file_of(address: *const ()) -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr writes the struct when it answers non-zero, and takes any address.
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

/// The directories to look into for what lies beside the shim: that of the name it was loaded by,
/// and that of the file behind it when the name is a link.
///
/// Found out once, when the shim is loaded: a name that is relative to the directory the program
/// started in means something else after it has moved.
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
    /// The shim's ELF header and the end of its memory: the linker's own symbols, local to each
    /// library.
    static __ehdr_start: u8;
    static _end: u8;
}

/// The addresses that the shim is mapped at.
pub(crate) fn range() -> core::ops::Range<usize> {
    (&raw const __ehdr_start) as usize..(&raw const _end) as usize
}
