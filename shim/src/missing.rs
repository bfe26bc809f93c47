//! What a caller gets where there is no function to call: an answer of the right type that no
//! caller takes for success, and one message.

use crate::table::{self, Target};
use core::{
    ffi::c_char,
    ptr::null,
    sync::atomic::{AtomicU64, Ordering},
};
use once_cell::race::OnceBox;
use rocblas_abi::{EXPORTS, EnumId, RETURNS, Returns, enumeration};
use std::ffi::CString;

/// `rocblas_status_not_implemented`: the backend lacks the function.
const NOT_IMPLEMENTED: i32 = 2;
/// `rocblas_status_internal_error`: there is no backend.
const INTERNAL_ERROR: i32 = 6;

/// Why there is no function to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The backend lacks it.
    Function,
    /// There is no backend.
    Backend,
}

/// The function that answers in place of the export with that index. Callable with any arguments.
pub(crate) fn answer(index: usize, why: Why) -> Target {
    if answered_here(index) {
        return Target(status_to_string as *const ());
    }
    Target(match (RETURNS[index], why) {
        (Returns::Status, Why::Function) => not_implemented as *const (),
        (Returns::Status, Why::Backend) => internal_error as *const (),
        (Returns::CString, _) => empty_c_string as *const (),
        (Returns::Reference, _) => zeros as *const (),
        (Returns::FirstArgument, _) => first_argument as *const (),
        (Returns::StdString, _) => empty_std_string as *const (),
        (Returns::SharedPtr, _) => empty_shared_ptr as *const (),
        // false, host, no bytes, null, nothing
        (Returns::Bool | Returns::PointerMode | Returns::Size | Returns::Pointer, _)
        | (Returns::Void, _) => zero as *const (),
    })
}

/// What callers print; the table knows the names.
fn answered_here(index: usize) -> bool {
    table::name(index) == c"rocblas_status_to_string"
}

/// What [`answer`] answers where the backend lacks the function, for messages.
pub(crate) fn describe(index: usize) -> &'static str {
    match RETURNS[index] {
        _ if answered_here(index) => "as the vendor's",
        Returns::Status => "rocblas_status_not_implemented",
        Returns::Bool => "false",
        Returns::PointerMode => "rocblas_pointer_mode_host",
        Returns::Size => "0",
        Returns::Pointer => "a null pointer",
        Returns::CString | Returns::StdString => "an empty string",
        Returns::Reference => "zeros",
        Returns::FirstArgument => "its argument",
        Returns::SharedPtr => "an empty shared_ptr",
        Returns::Void => "nothing",
    }
}

/// Whether this is the first time that the export with that index is reported.
pub(crate) fn first_report(index: usize) -> bool {
    static REPORTED: [AtomicU64; EXPORTS.div_ceil(64)] =
        [const { AtomicU64::new(0) }; EXPORTS.div_ceil(64)];
    let bit = 1 << (index % 64);
    REPORTED[index / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
}

extern "C" fn not_implemented() -> i32 {
    NOT_IMPLEMENTED
}

extern "C" fn internal_error() -> i32 {
    INTERNAL_ERROR
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

/// More than the size of anything that a C++ export hands out a reference to.
static ZEROS: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];

/// A caller dereferences what it gets, and may write: memory that is there for that alone.
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

/// As the vendor's: the name in the enum.
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
