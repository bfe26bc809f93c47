//! Offsets in HIP's structures, the same in HIP 6 and 7.

use core::ops::Range;

/// The size of `hipDeviceProp_tR0600`, in bytes.
pub const DEVICE_PROPERTIES: usize = 1_472;

/// `char name[256]` in it, such as `AMD Instinct MI50`.
pub const DEVICE_NAME: Range<usize> = 0..256;

/// `char gcnArchName[256]` in it, such as `gfx906:sramecc+:xnack-`.
pub const ARCHITECTURE: Range<usize> = 1_160..1_416;

const _: () = assert!(ARCHITECTURE.end <= DEVICE_PROPERTIES);

/// The function that fills the structure.
pub const GET_DEVICE_PROPERTIES: &core::ffi::CStr = c"hipGetDevicePropertiesR0600";

/// The text in a `char` array, up to the first NUL or the end of the array.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_nul_or_with_the_array() {
        assert_eq!(text(b"gfx906\0rest"), "gfx906");
        assert_eq!(text(b"gfx906"), "gfx906");
        assert_eq!(text(b""), "");
    }
}
