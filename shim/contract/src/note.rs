//! The ELF note by which a file is known to be a shim before it is loaded: a shim must not be opened
//! as a backend, and the installer must tell its own library from the vendor's.

/// The note's name, without the NUL that follows it in the file.
pub const NAME: &str = "rocblas-shim";

/// The note's type. Its description is the shim's version, padded with NUL.
pub const TYPE: u32 = 1;

/// What the note begins with in a library whose kernels were reduced to those of some GPUs. Then come the
/// lines `version=`, `source=` with the digest of the whole library, and `gpus=`.
///
/// It is all name and no description, as `NT_VERSION` is defined: readers of ELF files complain about types
/// that they do not know the owner of (elfutils does), and of this one the owner is the text.
pub const SLIM_NAME: &str = "rocblas-slim";

/// That note's type, `NT_VERSION`.
pub const SLIM_TYPE: u32 = 1;

/// The section that has it.
pub const SLIM_SECTION: &str = ".note.rocblas-slim";

/// The sizes of the name and of the description in the file, in bytes, each a multiple of four.
const PADDED_NAME: usize = 16;
const DESCRIPTION: usize = 16;

/// An ELF note: sizes of name and description, the type, and the two padded to four bytes.
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Note {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; PADDED_NAME],
    description: [u8; DESCRIPTION],
}

impl Note {
    /// The note of a shim of this version, of which the first 15 bytes are kept.
    #[must_use]
    pub const fn new(version: &str) -> Self {
        Self {
            name_size: NAME.len() as u32 + 1,
            description_size: DESCRIPTION as u32,
            kind: TYPE,
            name: padded(NAME),
            description: padded(version),
        }
    }
}

/// Puts the note into the library that this is used in.
#[macro_export]
macro_rules! embed_note {
    ($version:expr) => {
        #[used]
        #[unsafe(link_section = ".note.rocblas-shim")]
        static NOTE: $crate::note::Note = $crate::note::Note::new($version);
    };
}

/// The bytes that each shim's note begins with, whatever its version.
pub const HEAD: [u8; 12 + PADDED_NAME] = {
    let mut head = [0; 12 + PADDED_NAME];
    let Note { name_size, description_size, kind, name, .. } = Note::new("");
    let words = [name_size.to_le_bytes(), description_size.to_le_bytes(), kind.to_le_bytes()];
    let mut i = 0;
    while i < head.len() {
        head[i] = if i < 12 { words[i / 4][i % 4] } else { name[i - 12] };
        i += 1;
    }
    head
};

const fn padded<const SIZE: usize>(text: &str) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let mut i = 0;
    while i < text.len() && i < SIZE - 1 {
        bytes[i] = text.as_bytes()[i];
        i += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_laid_out_as_elf_demands() {
        assert_eq!(&HEAD, b"\x0d\0\0\0\x10\0\0\0\x01\0\0\0rocblas-shim\0\0\0\0");
        assert_eq!(size_of::<Note>(), HEAD.len() + DESCRIPTION);
        assert_eq!(&Note::new("1.2.3").description, b"1.2.3\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&Note::new("0123456789abcdefgh").description, b"0123456789abcde\0");
    }
}
