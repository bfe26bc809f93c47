//! The ELF note that identifies a file as a shim without loading it: a shim must not be opened as a
//! backend, and the installer must distinguish its own library from the vendor's.

/// The note's name, without the NUL that follows it in the file.
pub const NAME: &str = "rocblas-shim";

/// The note's type. Its description is the shim's version, padded with NUL.
pub const TYPE: u32 = 1;

/// The first line of the note in a library whose kernels were reduced to those of some GPUs. The lines
/// `version=`, `source=` with the digest of the original library, and `gpus=` follow.
///
/// The whole text is the note's name, and there is no description: this is how `NT_VERSION` is defined. For
/// other types, readers of ELF files such as elfutils complain if they do not know the owner.
pub const SLIM_NAME: &str = "rocblas-slim";

/// That note's type, `NT_VERSION`.
pub const SLIM_TYPE: u32 = 1;

/// The section of that note.
pub const SLIM_SECTION: &str = ".note.rocblas-slim";

/// The size of the name, and of the description, in the file, in bytes; a multiple of four.
const PADDED_NAME: usize = 16;
const DESCRIPTION: usize = 16;

/// An ELF note: the sizes of name and description, the type, then name and description padded to four bytes.
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
    /// The note of a shim of this version, which is truncated to 15 bytes.
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

/// Puts the note into the library that uses this macro.
#[macro_export]
macro_rules! embed_note {
    ($version:expr) => {
        #[used]
        #[unsafe(link_section = ".note.rocblas-shim")]
        static NOTE: $crate::note::Note = $crate::note::Note::new($version);
    };
}

/// The bytes at the start of every shim's note, whatever its version.
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
