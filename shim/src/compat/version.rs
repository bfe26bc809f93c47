//! The version of rocBLAS that a program sees.
//!
//! Each rocBLAS reports its own version, and programs use the text as a key: PyTorch refuses a file of
//! tuned solutions if it is from another version. So the text names the rocBLAS that the shim presents
//! (that of the tree, see `releases.abi`), the shim and the backend: a file that was tuned with one of the
//! libraries alone is not accepted for this pair. The commit hash was introduced in 5.2. A caller that uses
//! its size without checking the status aborts if the call fails, so the shim always returns a hash.
//! Source: `rocblas_get_version_string` checks the buffer, then the size, which counts the NUL.

use super::{backend_functions::replacements, of_any, status};
use crate::{backend::open::Handle, table::Target};
use core::{
    ffi::{CStr, c_char},
    mem::transmute,
    ptr::copy_nonoverlapping,
};
use once_cell::race::OnceBox;
use rocblas_abi::prototype::rocblas_get_version_string;
use std::ffi::CString;

pub(super) static REPLACEMENTS: [(&CStr, Target); 4] = replacements![
    rocblas_get_version_string = version_string,
    rocblas_get_version_string_size = version_string_size,
    rocblas_get_commit_hash_string = commit_hash,
    rocblas_get_commit_hash_string_size = commit_hash_size,
];

/// The size of the buffers that callers have on the stack, including the NUL.
const LONGEST: usize = 64;

const SHIM_VERSION: &str = env!("CARGO_PKG_VERSION");
/// A placeholder, because the shim is not built from a commit of rocBLAS.
const COMMIT_HASH: &[u8] =
    concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), "\0").as_bytes();

/// The backend's own version string, read when it is first needed, and the one that programs see.
#[derive(Debug)]
pub(crate) struct Versions {
    asked: Handle,
    version: String,
    backend: OnceBox<CString>,
    presented: OnceBox<CString>,
}

impl Versions {
    pub(crate) fn of(backend: Handle, version: &str) -> Self {
        Self {
            asked: backend,
            version: version.to_owned(),
            backend: OnceBox::new(),
            presented: OnceBox::new(),
        }
    }

    /// The backend's own version string; empty if it has none.
    pub(crate) fn backend(&self) -> &CStr {
        self.backend.get_or_init(|| Box::new(ask(self.asked).unwrap_or_default()))
    }

    fn presented(&self) -> &CStr {
        self.presented.get_or_init(|| {
            let text = presented(&self.version, SHIM_VERSION, &self.backend().to_string_lossy());
            Box::new(CString::new(text).unwrap_or_default())
        })
    }
}

/// `5.0.2.shim-0.1.0-4.3.0.3216-cbcdc2d`: without blanks, truncated to the size of callers' buffers.
fn presented(version: &str, shim: &str, backend: &str) -> String {
    let mut text = format!("{version}.shim-{shim}-{backend}");
    text.retain(|c| c.is_ascii_graphic());
    text.truncate(LONGEST - 1);
    text
}

/// The backend's version string.
fn ask(backend: Handle) -> Option<CString> {
    let function = backend.symbol(c"rocblas_get_version_string")?;
    // SAFETY: the vendor's prototype, the same since rocBLAS 2.
    let function = unsafe { transmute::<*const (), rocblas_get_version_string>(function.0) };
    let mut text = [0_u8; 256];
    // SAFETY: a buffer of that size.
    if unsafe { function(text.as_mut_ptr().cast(), text.len()) } != status::SUCCESS {
        return None;
    }
    CStr::from_bytes_until_nul(&text).ok().map(CStr::to_owned)
}

/// # Safety
/// `buffer` is null or writable for `size` bytes.
unsafe fn write_text(text: Option<&[u8]>, buffer: *mut c_char, size: usize) -> i32 {
    let Some(bytes) = text else {
        return status::INTERNAL_ERROR;
    };
    if buffer.is_null() {
        return status::INVALID_POINTER;
    }
    if size < bytes.len() {
        return status::INVALID_SIZE;
    }
    // SAFETY: writable for at least that many bytes, by contract.
    unsafe { copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()) };
    status::SUCCESS
}

/// # Safety
/// `size` is null or writable.
unsafe fn write_size(text: Option<&[u8]>, size: *mut usize) -> i32 {
    let Some(text) = text else {
        return status::INTERNAL_ERROR;
    };
    if size.is_null() {
        return status::INVALID_POINTER;
    }
    // SAFETY: writable, by contract.
    unsafe { size.write(text.len()) };
    status::SUCCESS
}

fn presented_bytes() -> Option<&'static [u8]> {
    of_any().map(|compat| compat.version.presented().to_bytes_with_nul())
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe extern "C" fn version_string(buffer: *mut c_char, size: usize) -> i32 {
    // SAFETY: the caller's arguments, under the vendor's contract.
    unsafe { write_text(presented_bytes(), buffer, size) }
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe extern "C" fn version_string_size(size: *mut usize) -> i32 {
    // SAFETY: the caller's argument, under the vendor's contract.
    unsafe { write_size(presented_bytes(), size) }
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe extern "C" fn commit_hash(buffer: *mut c_char, size: usize) -> i32 {
    // SAFETY: the caller's arguments, under the vendor's contract.
    unsafe { write_text(Some(COMMIT_HASH), buffer, size) }
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe extern "C" fn commit_hash_size(size: *mut usize) -> i32 {
    // SAFETY: the caller's argument, under the vendor's contract.
    unsafe { write_size(Some(COMMIT_HASH), size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_fits_a_callers_buffer_and_has_no_blanks() {
        assert_eq!(
            presented("5.0.2", "0.1.0", "4.3.0.3216-cbcdc2d"),
            "5.0.2.shim-0.1.0-4.3.0.3216-cbcdc2d"
        );
        assert_eq!(presented("5.0.2", "0.1.0", "4.3 0\n"), "5.0.2.shim-0.1.0-4.30");
        assert_eq!(presented("5.0.2", "0.1.0", &"x".repeat(100)).len(), LONGEST - 1);
    }
}
