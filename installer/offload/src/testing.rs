//! Bundles and code objects for tests, laid out as clang and lld do.

use crate::{ReadAt, bundle, code_object, compressed};
use flate2::{Compression, write::ZlibEncoder};
use std::{
    cell::Cell,
    io::{self, Write},
};

pub(crate) const HOST: &str = "host-x86_64-unknown-linux-gnu-";
pub(crate) const GFX906: &str = "hipv4-amdgcn-amd-amdhsa--gfx906";
pub(crate) const GFX90A: &str = "hipv4-amdgcn-amd-amdhsa--gfx90a:xnack-";
pub(crate) const SPIRV: &str = "hip-spirv64-amd-amdhsa--amdgcnspirv";

/// Code objects begin at a multiple of this. Clang aligns to 4096, which would slow down byte-by-byte tests.
const CODE_ALIGNMENT: usize = 64;

/// A plain bundle.
pub(crate) fn plain(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let table: usize = entries.iter().map(|(identifier, _)| 24 + identifier.len()).sum();
    let mut offset = (bundle::MAGIC.len() + 8 + table).next_multiple_of(CODE_ALIGNMENT);
    let mut bytes = bundle::MAGIC.to_vec();
    let mut code = Vec::new();
    bytes.extend((entries.len() as u64).to_le_bytes());
    let first = offset;
    for (identifier, image) in entries {
        for number in [offset, image.len(), identifier.len()] {
            bytes.extend((number as u64).to_le_bytes());
        }
        bytes.extend(identifier.as_bytes());
        code.resize(offset - first, 0);
        code.extend(*image);
        offset = (offset + image.len()).next_multiple_of(CODE_ALIGNMENT);
    }
    // A bundle without code ends with its table.
    if !code.is_empty() {
        bytes.resize(first, 0);
        bytes.extend(code);
    }
    bytes
}

/// A plain bundle with eight bytes of code for each identifier except the host's.
pub(crate) fn labelled(identifiers: &[&str]) -> Vec<u8> {
    let code = |identifier| if identifier == HOST { &[][..] } else { &[0xcc; 8] };
    plain(&identifiers.iter().map(|&name| (name, code(name))).collect::<Vec<_>>())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Zlib,
    Zstd,
}

/// The forms that a compressed bundle may have.
pub(crate) fn forms() -> impl Iterator<Item = (u16, Method)> {
    (1..=3).flat_map(|version| [(version, Method::Zlib), (version, Method::Zstd)])
}

/// A bundle, compressed.
pub(crate) fn compress((version, method): (u16, Method), plain: &[u8]) -> Vec<u8> {
    let stream = match method {
        Method::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(plain).and_then(|()| encoder.finish()).expect("compress")
        }
        Method::Zstd => zstd::bulk::compress(plain, 3).expect("compress"),
    };
    wrap(version, method, &stream, plain.len())
}

/// A header followed by a stream.
pub(crate) fn wrap(version: u16, method: Method, stream: &[u8], uncompressed: usize) -> Vec<u8> {
    let mut bytes = compressed::MAGIC.to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend((method as u16).to_le_bytes());
    match version {
        1 => bytes.extend((uncompressed as u32).to_le_bytes()),
        2 => {
            bytes.extend((24 + stream.len() as u32).to_le_bytes());
            bytes.extend((uncompressed as u32).to_le_bytes());
        }
        _ => {
            bytes.extend((32 + stream.len() as u64).to_le_bytes());
            bytes.extend((uncompressed as u64).to_le_bytes());
        }
    }
    // The hash, which is never checked.
    bytes.extend([0; 8]);
    bytes.extend(stream);
    bytes
}

/// A section of bundles, each at the start of a page.
pub(crate) fn section(bundles: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for bundle in bundles {
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        bytes.extend(bundle);
    }
    bytes
}

/// A code object with those flags and dynamic symbols. All of the symbols are defined.
pub(crate) fn code_object(flags: u32, symbols: &[&str]) -> Vec<u8> {
    let mut names = vec![0];
    let mut table = vec![0; 24];
    for symbol in symbols {
        table.extend((names.len() as u32).to_le_bytes());
        table.extend([0x11, 0, 6, 0]);
        table.extend([0; 16]);
        names.extend(symbol.as_bytes());
        names.push(0);
    }
    let mut image = vec![0; 64];
    image[..4].copy_from_slice(code_object::MAGIC);
    image[4..7].copy_from_slice(&[2, 1, 1]);
    image[18..20].copy_from_slice(&224_u16.to_le_bytes());
    image[40..48].copy_from_slice(&((64 + table.len() + names.len()) as u64).to_le_bytes());
    image[48..52].copy_from_slice(&flags.to_le_bytes());
    image[58..60].copy_from_slice(&64_u16.to_le_bytes());
    image[60..62].copy_from_slice(&3_u16.to_le_bytes());
    let sections = [(0, 0, 0, 0), (11, 64, table.len(), 2), (3, 64 + table.len(), names.len(), 0)];
    image.extend(table);
    image.extend(names);
    for (kind, offset, size, link) in sections {
        let mut header = [0; 64];
        header[4..8].copy_from_slice(&u32::to_le_bytes(kind));
        header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
        header[40..44].copy_from_slice(&u32::to_le_bytes(link));
        image.extend(header);
    }
    image
}

/// Counts how many of its bytes are read. The bytes are followed by virtual zeros, which take no memory, up
/// to a given length.
pub(crate) struct Counted<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) length: u64,
    pub(crate) read: Cell<u64>,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(bytes: &'a [u8], length: u64) -> Self {
        Self { bytes, length, read: Cell::new(0) }
    }
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.length.saturating_sub(offset);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let stored = self.bytes.read_at(&mut buffer[..length], offset)?;
        buffer[stored..length].fill(0);
        self.read.set(self.read.get() + length as u64);
        Ok(length)
    }
}
