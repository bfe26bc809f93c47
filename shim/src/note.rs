//! The ELF note by which a file is known to be a shim, before anything of it is loaded: a shim must
//! not be opened as a backend, and an installer must know its own library from the vendor's.

/// An ELF note: sizes of name and description, a type, and the two padded to four bytes.
#[repr(C, align(4))]
struct Note {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; 16],
    description: [u8; 16],
}

const NAME: [u8; 16] = *b"rocblas-shim\0\0\0\0";
/// The name's length with its NUL, without the padding.
const NAME_SIZE: u32 = 13;
const KIND_VERSION: u32 = 1;

/// The version, filled up with NUL.
const fn version() -> [u8; 16] {
    let text = env!("CARGO_PKG_VERSION").as_bytes();
    let mut bytes = [0; 16];
    let mut i = 0;
    while i < text.len() && i < bytes.len() - 1 {
        bytes[i] = text[i];
        i += 1;
    }
    bytes
}

#[used]
#[unsafe(link_section = ".note.rocblas-shim")]
static NOTE: Note = Note {
    name_size: NAME_SIZE,
    description_size: 16,
    kind: KIND_VERSION,
    name: NAME,
    description: version(),
};

/// How the note begins, whatever the version: what to look for in a file's note segments.
pub(crate) const HEAD: &[u8] = b"\x0d\0\0\0\x10\0\0\0\x01\0\0\0rocblas-shim\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_that_of_the_note() {
        // SAFETY: a static without padding, read as the bytes it is.
        let bytes = unsafe {
            core::slice::from_raw_parts((&raw const NOTE).cast::<u8>(), size_of::<Note>())
        };
        assert!(bytes.starts_with(HEAD));
        assert!(bytes[28..].starts_with(env!("CARGO_PKG_VERSION").as_bytes()));
    }
}
