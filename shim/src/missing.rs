//! Substitutes for functions that do not exist: each returns a value of the right type that no caller
//! mistakes for success, and is reported once.

use crate::{
    compat::status,
    table::{self, Target},
};
use core::{
    ffi::c_char,
    ptr::null,
    sync::atomic::{AtomicU64, Ordering},
};
use once_cell::race::OnceBox;
use rocblas_abi::{EXPORTS, EnumId, RETURNS, Returns, enumeration};
use std::ffi::CString;

/// Why there is no function to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The backend lacks it.
    Function,
    /// There is no backend.
    Backend,
}

/// The substitute for the export with that index, and its return value as text for messages. It can be
/// called with any arguments.
pub(crate) fn substitute(index: usize, why: Why) -> (Target, &'static str) {
    // Callers print the name of a status; the ABI table has the names.
    if table::name(index) == c"rocblas_status_to_string" {
        return (Target(status_to_string as *const ()), "as the vendor's");
    }
    let (function, returned) = match (RETURNS[index], why) {
        (Returns::Status, Why::Function) => {
            (not_implemented as *const (), "rocblas_status_not_implemented")
        }
        (Returns::Status, Why::Backend) => {
            (internal_error as *const (), "rocblas_status_internal_error")
        }
        (Returns::Bool, _) => (zero as *const (), "false"),
        (Returns::PointerMode, _) => (zero as *const (), "rocblas_pointer_mode_host"),
        (Returns::Size, _) => (zero as *const (), "0"),
        (Returns::Pointer, _) => (zero as *const (), "a null pointer"),
        (Returns::Void, _) => (zero as *const (), "nothing"),
        (Returns::CString, _) => (empty_c_string as *const (), "an empty string"),
        (Returns::StdString, _) => (empty_std_string as *const (), "an empty string"),
        (Returns::SharedPtr, _) => (empty_shared_ptr as *const (), "an empty shared_ptr"),
        (Returns::Reference, _) => (zeros as *const (), "zeros"),
        (Returns::FirstArgument, _) => (first_argument as *const (), "its argument"),
    };
    (Target(function), returned)
}

/// Whether this is the first time that the export with that index is reported.
pub(crate) fn first_report(index: usize) -> bool {
    static REPORTED: [AtomicU64; EXPORTS.div_ceil(64)] =
        [const { AtomicU64::new(0) }; EXPORTS.div_ceil(64)];
    let bit = 1 << (index % 64);
    REPORTED[index / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
}

extern "C" fn not_implemented() -> i32 {
    status::NOT_IMPLEMENTED
}

extern "C" fn internal_error() -> i32 {
    status::INTERNAL_ERROR
}

extern "C" fn zero() -> usize {
    0
}

extern "C" fn empty_c_string() -> *const c_char {
    c"".as_ptr()
}

extern "C" fn first_argument(argument: *const ()) -> *const () {
    argument
}

/// Larger than any object to which a C++ export returns a reference.
static ZEROS: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];

/// A caller dereferences the result and may write to it, so it points to memory reserved for this purpose.
extern "C" fn zeros() -> *const () {
    ZEROS.as_ptr().cast()
}

/// libstdc++'s `std::string`: pointer to the characters, length, and a local buffer for short ones.
#[repr(C)]
struct StdString {
    characters: *const u8,
    length: usize,
    local: [u8; 16],
}

/// # Safety
/// `place` is memory for a `std::string`, as a caller of a function that returns one passes.
unsafe extern "C" fn empty_std_string(place: *mut StdString) -> *mut StdString {
    // SAFETY: by contract; no reference is made to the memory, which is not initialised.
    let local = unsafe { &raw const (*place).local };
    // SAFETY: as above.
    unsafe { place.write(StdString { characters: local.cast(), length: 0, local: [0; 16] }) };
    place
}

/// # Safety
/// `place` is memory for a `std::shared_ptr`: two pointers.
unsafe extern "C" fn empty_shared_ptr(place: *mut [*const (); 2]) -> *mut [*const (); 2] {
    // SAFETY: by contract.
    unsafe { place.write([null(); 2]) };
    place
}

/// Like the vendor's function, returns the name in the enum.
extern "C" fn status_to_string(status: i32) -> *const c_char {
    static TEXTS: OnceBox<Vec<(i32, CString)>> = OnceBox::new();
    let texts = TEXTS.get_or_init(|| {
        let values = enumeration(EnumId::Status).values.iter();
        let text = |name: &str| CString::new(name).unwrap_or_default();
        Box::new(values.map(|v| (v.value, text(v.name))).collect())
    });
    let known = texts.iter().find(|(value, _)| *value == status);
    known.map_or(c"<undefined rocblas_status value>", |(_, text)| text).as_ptr()
}
