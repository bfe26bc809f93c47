//! HIP's error codes: their numbers, names and descriptions (`hipGetErrorString`).

use rocblas_contract::hip_errors::NAMES;
use std::{
    borrow::Cow,
    ffi::{CStr, CString, c_char},
    sync::OnceLock,
};

/// The error of a HIP function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HipError(i32);

/// The result of a HIP function: a value, or an error code.
pub(crate) type Answer<T = ()> = Result<T, HipError>;

/// `hipSuccess`.
pub(crate) const SUCCESS: i32 = 0;

impl HipError {
    pub(crate) const INVALID_VALUE: Self = Self(1);
    pub(crate) const OUT_OF_MEMORY: Self = Self(2);
    pub(crate) const INVALID_CONFIGURATION: Self = Self(9);
    pub(crate) const INVALID_PITCH_VALUE: Self = Self(12);
    pub(crate) const INVALID_MEMCPY_DIRECTION: Self = Self(21);
    pub(crate) const MISSING_CONFIGURATION: Self = Self(52);
    pub(crate) const INVALID_DEVICE_FUNCTION: Self = Self(98);
    pub(crate) const NO_DEVICE: Self = Self(100);
    pub(crate) const INVALID_DEVICE: Self = Self(101);
    pub(crate) const INVALID_IMAGE: Self = Self(200);
    pub(crate) const NO_BINARY_FOR_GPU: Self = Self(209);
    pub(crate) const FILE_NOT_FOUND: Self = Self(301);
    pub(crate) const INVALID_HANDLE: Self = Self(400);
    pub(crate) const ILLEGAL_STATE: Self = Self(401);
    pub(crate) const NOT_FOUND: Self = Self(500);
    pub(crate) const NOT_READY: Self = Self(600);
    pub(crate) const CONTEXT_IS_DESTROYED: Self = Self(709);
    pub(crate) const NOT_SUPPORTED: Self = Self(801);
    pub(crate) const STREAM_CAPTURE_UNSUPPORTED: Self = Self(900);
    pub(crate) const STREAM_CAPTURE_INVALIDATED: Self = Self(901);
    pub(crate) const STREAM_CAPTURE_IMPLICIT: Self = Self(906);
    pub(crate) const STREAM_CAPTURE_WRONG_THREAD: Self = Self(908);

    /// The error with that number, which may have no name.
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        (code != SUCCESS).then_some(Self(code))
    }

    pub(crate) fn code(self) -> i32 {
        self.0
    }

    pub(crate) fn name(self) -> Cow<'static, str> {
        text(self.0).name.to_string_lossy()
    }
}

struct Text {
    code: i32,
    name: CString,
    description: CString,
}

fn texts() -> &'static [Text] {
    static TEXTS: OnceLock<Vec<Text>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let success = (SUCCESS, "hipSuccess");
        let errors = NAMES.iter().map(|&(code, name)| (code.into(), name));
        [success]
            .into_iter()
            .chain(errors)
            .map(|(code, name)| Text {
                code,
                name: CString::new(name).expect("names have no NUL"),
                description: CString::new(describe(name)).expect("names have no NUL"),
            })
            .collect()
    })
}

/// `hipErrorInvalidDeviceFunction` -> `invalid device function`.
fn describe(name: &str) -> String {
    let mut words = String::new();
    let mut after_small = false;
    for letter in name.trim_start_matches("hipError").trim_start_matches("hip").chars() {
        if letter.is_ascii_uppercase() && after_small {
            words.push(' ');
        }
        after_small = letter.is_ascii_lowercase();
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn text(code: i32) -> &'static Text {
    let all = texts();
    let unknown = || all.iter().find(|t| t.code == 999).expect("the table has hipErrorUnknown");
    all.iter().find(|t| t.code == code).unwrap_or_else(unknown)
}

#[unsafe(no_mangle)]
extern "C" fn hipGetErrorName(code: i32) -> *const c_char {
    let name: &'static CStr = &text(code).name;
    name.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn hipGetErrorString(code: i32) -> *const c_char {
    let description: &'static CStr = &text(code).description;
    description.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        assert_eq!(HipError::INVALID_DEVICE_FUNCTION.code(), 98);
        assert_eq!(HipError::INVALID_DEVICE_FUNCTION.name(), "hipErrorInvalidDeviceFunction");
        assert_eq!(HipError::CONTEXT_IS_DESTROYED.name(), "hipErrorContextIsDestroyed");
        assert_eq!(HipError::from_code(31_415).expect("not success").name(), "hipErrorUnknown");
        assert_eq!(HipError::from_code(0), None);
    }

    #[test]
    fn descriptions_are_words() {
        assert_eq!(describe("hipErrorInvalidDeviceFunction"), "invalid device function");
        assert_eq!(describe("hipSuccess"), "success");
    }
}
