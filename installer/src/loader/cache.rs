//! `/etc/ld.so.cache`: which file the loader uses for a name, as recorded by ldconfig.
//!
//! The layout is that of glibc's `sysdeps/generic/dl-cache.h`, little-endian:
//!
//! ```text
//! optional, from before glibc 2.32: "ld.so-1.7.0", NUL, u32 count, count * 12 bytes, to 8 bytes
//! header, 48 bytes:  "glibc-ld.so.cache1.1", u32 count, u32 size of strings, u8 byte order,
//!                    3 bytes, u32 offset of extensions in the file, 12 bytes
//! entry, 24 bytes:   u32 flags, u32 name, u32 path, u32 unused, u64 for which processors
//! extensions:        u32 magic, u32 count, count * { u32 tag, u32 flags, u32 offset, u32 size }
//! ```
//!
//! Names and paths are offsets from the header, names of sub-directories from the file's beginning.
//! Nothing is copied: a hostile cache uses no more memory than its own size.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
};

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0\0";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// `_DL_CACHE_DEFAULT_ID` of x86-64: FLAG_ELF_LIBC6 and FLAG_X8664_LIB64.
const X86_64: u32 = 0x0303;

/// In an entry's last field, the lower half is the index of a sub-directory of `glibc-hwcaps`. Without it,
/// bits other than zero are conditions that glibc 2.37 dropped, together with their entries.
const SUBDIRECTORY: u64 = 1 << 62;

const EXTENSIONS_MAGIC: u32 = 0xeaa4_2174;
const SUBDIRECTORIES_TAG: u32 = 1;
/// glibc has defined two.
const MOST_EXTENSIONS: usize = 64;

/// Larger than any real cache, in bytes.
const MOST: u64 = 64 << 20;

/// PATH_MAX, in bytes.
const MOST_PATH: usize = 4096;

/// A cache that the loader could not use.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// Its contents are not a cache.
    #[error("at offset {offset:#x}: {what}; `ldconfig` rebuilds it")]
    Malformed {
        /// Bytes from the file's beginning.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// A cache's contents.
#[derive(Clone, Debug)]
pub struct Cache {
    bytes: Vec<u8>,
    /// The offset of the header, to which names and paths are relative.
    base: usize,
    count: usize,
    /// The offset and number of the sub-directories' names.
    subdirectories: (usize, usize),
}

impl Cache {
    /// Reads a cache file.
    pub fn read(file: &File) -> Result<Self, Broken> {
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST {
            return Err(malformed(0, "it is larger than any cache"));
        }
        Self::parse(bytes)
    }

    /// Parses the contents of a cache file.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Broken> {
        let base = if bytes.starts_with(OLD_MAGIC) {
            let count = word(&bytes, OLD_MAGIC.len()).ok_or_else(|| truncated(0))?;
            // 2^32 entries of 12 bytes do not overflow 64 bits.
            (OLD_HEADER + count as usize * OLD_ENTRY).next_multiple_of(8)
        } else {
            0
        };
        let header = bytes.get(base..).ok_or_else(|| truncated(0))?;
        if !header.starts_with(MAGIC) {
            return Err(malformed(base, "this is not a loader cache of a known format"));
        }
        let field = |at| word(header, at).ok_or_else(|| truncated(base));
        let count = field(20)? as usize;
        // 0: unspecified, as before glibc 2.33; 2: little-endian.
        if !matches!(header.get(28).map(|byte| byte & 3), Some(0 | 2)) {
            return Err(malformed(base + 28, "the byte order is not this machine's"));
        }
        let extensions = field(32)? as usize;
        if header.len() < HEADER || (header.len() - HEADER) / ENTRY < count {
            return Err(truncated(base));
        }
        let mut cache = Self { bytes, base, count, subdirectories: (0, 0) };
        if extensions != 0 {
            cache.subdirectories = cache.find_subdirectories(extensions)?;
        }
        Ok(cache)
    }

    /// The path for a name: from the first of these sub-directories of `glibc-hwcaps` that has one, such as
    /// `x86-64-v3`, else for any processor.
    #[must_use]
    pub fn find(&self, name: &str, subdirectories: &[&str]) -> Option<&Path> {
        let rank = |entry: &Entry| match entry.processors {
            0 => Some(subdirectories.len()),
            bits if bits & SUBDIRECTORY != 0 => {
                let name = self.subdirectory(bits as u32)?;
                subdirectories.iter().position(|wanted| self.is_in_file(wanted, name))
            }
            _ => None,
        };
        self.entries()
            .filter(|entry| entry.flags == X86_64)
            .filter(|entry| self.is_in_file(name, self.base + entry.name as usize))
            .filter_map(|entry| Some((rank(&entry)?, entry)))
            .min_by_key(|(rank, _)| *rank)
            .and_then(|(_, entry)| self.string(entry.path))
            .map(|path| Path::new(OsStr::from_bytes(path)))
    }

    /// The paths of all entries.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries()
            .filter_map(|entry| self.string(entry.path))
            .map(|path| Path::new(OsStr::from_bytes(path)))
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let table = &self.bytes[self.base + HEADER..][..self.count * ENTRY];
        table.chunks_exact(ENTRY).filter_map(|entry| {
            Some(Entry {
                flags: word(entry, 0)?,
                name: word(entry, 4)?,
                path: word(entry, 8)?,
                processors: u64::from_le_bytes(entry[16..24].try_into().ok()?),
            })
        })
    }

    /// Whether that string is at an offset in the file.
    fn is_in_file(&self, string: &str, offset: usize) -> bool {
        let rest = self.bytes.get(offset..);
        let rest = rest.and_then(|rest| rest.strip_prefix(string.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The string at an offset from the header.
    fn string(&self, offset: u32) -> Option<&[u8]> {
        let rest = self.bytes[self.base..].get(offset as usize..)?;
        let end = rest.iter().take(MOST_PATH).position(|byte| *byte == 0)?;
        Some(&rest[..end])
    }

    /// The offset of a sub-directory's name.
    fn subdirectory(&self, index: u32) -> Option<usize> {
        let (start, count) = self.subdirectories;
        let index = Some(index as usize).filter(|index| *index < count)?;
        word(&self.bytes, start + 4 * index).map(|offset| offset as usize)
    }

    fn find_subdirectories(&self, offset: usize) -> Result<(usize, usize), Broken> {
        let field = |at| word(&self.bytes, at).ok_or_else(|| truncated(offset));
        if field(offset)? != EXTENSIONS_MAGIC {
            return Err(malformed(offset, "the extensions have a wrong magic number"));
        }
        let count = field(offset + 4)? as usize;
        if count > MOST_EXTENSIONS {
            return Err(malformed(offset + 4, "there are too many extensions"));
        }
        for section in (offset + 8..).step_by(16).take(count) {
            if field(section)? != SUBDIRECTORIES_TAG {
                continue;
            }
            let (start, size) = (field(section + 8)? as usize, field(section + 12)? as usize);
            if start + size > self.bytes.len() {
                return Err(truncated(section));
            }
            return Ok((start, size / 4));
        }
        Ok((0, 0))
    }
}

struct Entry {
    flags: u32,
    name: u32,
    path: u32,
    processors: u64,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn malformed(offset: usize, what: &'static str) -> Broken {
    Broken::Malformed { offset, what }
}

fn truncated(offset: usize) -> Broken {
    malformed(offset, "the data at this offset extends beyond the file")
}

#[cfg(test)]
mod tests;
