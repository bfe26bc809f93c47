//! HIP's error codes: their numbers and names, and the words that `hipGetErrorString` gives.

use std::{
    borrow::Cow,
    ffi::{CStr, CString, c_char},
    sync::OnceLock,
};

/// What a HIP function answers when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HipError(i32);

/// What a HIP function answers: what was asked for, or a code.
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
    pub(crate) const NOT_FOUND: Self = Self(500);
    pub(crate) const NOT_READY: Self = Self(600);
    pub(crate) const CONTEXT_IS_DESTROYED: Self = Self(709);
    pub(crate) const NOT_SUPPORTED: Self = Self(801);

    /// The error of a number, which may be one that has no name.
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

/// Numbers and names, from the enumeration in HIP 7.2's headers.
const NAMES: &[(i32, &str)] = &[
    (0, "hipSuccess"),
    (1, "hipErrorInvalidValue"),
    (2, "hipErrorOutOfMemory"),
    (3, "hipErrorNotInitialized"),
    (4, "hipErrorDeinitialized"),
    (5, "hipErrorProfilerDisabled"),
    (6, "hipErrorProfilerNotInitialized"),
    (7, "hipErrorProfilerAlreadyStarted"),
    (8, "hipErrorProfilerAlreadyStopped"),
    (9, "hipErrorInvalidConfiguration"),
    (12, "hipErrorInvalidPitchValue"),
    (13, "hipErrorInvalidSymbol"),
    (17, "hipErrorInvalidDevicePointer"),
    (21, "hipErrorInvalidMemcpyDirection"),
    (35, "hipErrorInsufficientDriver"),
    (52, "hipErrorMissingConfiguration"),
    (53, "hipErrorPriorLaunchFailure"),
    (98, "hipErrorInvalidDeviceFunction"),
    (100, "hipErrorNoDevice"),
    (101, "hipErrorInvalidDevice"),
    (200, "hipErrorInvalidImage"),
    (201, "hipErrorInvalidContext"),
    (202, "hipErrorContextAlreadyCurrent"),
    (205, "hipErrorMapFailed"),
    (206, "hipErrorUnmapFailed"),
    (207, "hipErrorArrayIsMapped"),
    (208, "hipErrorAlreadyMapped"),
    (209, "hipErrorNoBinaryForGpu"),
    (210, "hipErrorAlreadyAcquired"),
    (211, "hipErrorNotMapped"),
    (212, "hipErrorNotMappedAsArray"),
    (213, "hipErrorNotMappedAsPointer"),
    (214, "hipErrorECCNotCorrectable"),
    (215, "hipErrorUnsupportedLimit"),
    (216, "hipErrorContextAlreadyInUse"),
    (217, "hipErrorPeerAccessUnsupported"),
    (218, "hipErrorInvalidKernelFile"),
    (219, "hipErrorInvalidGraphicsContext"),
    (300, "hipErrorInvalidSource"),
    (301, "hipErrorFileNotFound"),
    (302, "hipErrorSharedObjectSymbolNotFound"),
    (303, "hipErrorSharedObjectInitFailed"),
    (304, "hipErrorOperatingSystem"),
    (400, "hipErrorInvalidHandle"),
    (401, "hipErrorIllegalState"),
    (500, "hipErrorNotFound"),
    (600, "hipErrorNotReady"),
    (700, "hipErrorIllegalAddress"),
    (701, "hipErrorLaunchOutOfResources"),
    (702, "hipErrorLaunchTimeOut"),
    (704, "hipErrorPeerAccessAlreadyEnabled"),
    (705, "hipErrorPeerAccessNotEnabled"),
    (708, "hipErrorSetOnActiveProcess"),
    (709, "hipErrorContextIsDestroyed"),
    (710, "hipErrorAssert"),
    (712, "hipErrorHostMemoryAlreadyRegistered"),
    (713, "hipErrorHostMemoryNotRegistered"),
    (719, "hipErrorLaunchFailure"),
    (720, "hipErrorCooperativeLaunchTooLarge"),
    (801, "hipErrorNotSupported"),
    (900, "hipErrorStreamCaptureUnsupported"),
    (901, "hipErrorStreamCaptureInvalidated"),
    (902, "hipErrorStreamCaptureMerge"),
    (903, "hipErrorStreamCaptureUnmatched"),
    (904, "hipErrorStreamCaptureUnjoined"),
    (905, "hipErrorStreamCaptureIsolation"),
    (906, "hipErrorStreamCaptureImplicit"),
    (907, "hipErrorCapturedEvent"),
    (908, "hipErrorStreamCaptureWrongThread"),
    (910, "hipErrorGraphExecUpdateFailure"),
    (911, "hipErrorInvalidChannelDescriptor"),
    (912, "hipErrorInvalidTexture"),
    (999, "hipErrorUnknown"),
    (1052, "hipErrorRuntimeMemory"),
    (1053, "hipErrorRuntimeOther"),
    (1054, "hipErrorTbd"),
];

struct Text {
    code: i32,
    name: CString,
    description: CString,
}

fn texts() -> &'static [Text] {
    static TEXTS: OnceLock<Vec<Text>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        NAMES
            .iter()
            .map(|&(code, name)| Text {
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

    #[test]
    fn numbers_ascend_so_none_is_there_twice() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
