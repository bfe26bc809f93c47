//! The compressed bundle (`CCOB`): a header in one of three versions, then a plain bundle compressed with
//! zlib or zstd.
//!
//! The headers are little-endian and described in Clang's document on offload bundles: magic, 16-bit version,
//! 16-bit method (0 zlib, 1 zstd), then
//! - version 1: 32-bit uncompressed size, 64-bit hash: 20 bytes;
//! - version 2: 32-bit whole size, 32-bit uncompressed size, hash: 24 bytes;
//! - version 3: 64-bit whole size, 64-bit uncompressed size, hash: 32 bytes.

use crate::{
    Malformed, ReadAt, number,
    read_at::{Window, fill},
};
use std::{
    io::{BufReader, Read},
    ops::Range,
};

/// The magic number of a compressed bundle.
pub(crate) const MAGIC: &[u8; 4] = b"CCOB";

/// How much is read at a time: a table is usually in the first few kilobytes.
const BUFFER: usize = 32 << 10;

/// The maximum expansion ratio of a stream: ten times that of real libraries (12.8 in rocSOLVER 7.2.4). zstd
/// can expand a byte to tens of thousands, so without a limit a file of a few kilobytes could use a gigabyte
/// of memory.
const MOST_EXPANSION: u64 = 128;

/// Short streams may expand to this many bytes, whatever their length.
const SHORT: u64 = 1 << 20;

/// A header, and the position of the stream that follows it.
#[derive(Debug)]
pub(crate) struct Header {
    /// The size of header and stream; version 1 does not record it.
    pub(crate) size: Option<u64>,
    /// The decompressed size in bytes, according to the header.
    pub(crate) uncompressed: u64,
    pub(crate) format: Format,
    stream: Range<u64>,
}

/// The compression of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The header's version, 1 to 3.
    pub(crate) version: u16,
    /// Whether the method is zstd rather than zlib.
    pub(crate) zstd: bool,
}

/// The format for a bundle that was plain: the oldest version that records the bundle's size, without which
/// the HIP runtime cannot find the end of a bundle in memory.
pub(crate) const NEW: Format = Format { version: 2, zstd: true };

impl Format {
    /// The length of a header, in bytes.
    pub(crate) fn header_size(self) -> u64 {
        match self.version {
            1 => 20,
            2 => 24,
            _ => 32,
        }
    }
}

/// Reads the header at the start of a range, which may extend beyond the bundle.
pub(crate) fn header<R: ReadAt + ?Sized>(
    reader: &R,
    range: Range<u64>,
) -> Result<Header, Malformed> {
    let Range { start, end } = range;
    let malformed = |what: &'static str| Malformed::new(start, what);
    let mut bytes = [0; 32];
    let read = fill(&mut Window::new(reader, range), &mut bytes)
        .map_err(|e| Malformed::reading(start, "the header of a compressed bundle", &e))?;
    let bytes = &bytes[..read];
    let cut = || malformed("the header of a compressed bundle is cut off");
    let (version, method) = number::<2>(bytes, 4).zip(number::<2>(bytes, 6)).ok_or_else(cut)?;
    let (version, size, uncompressed) = match version {
        1 => (1, None, number::<4>(bytes, 8)),
        2 => (2, number::<4>(bytes, 8), number::<4>(bytes, 12)),
        3 => (3, number::<8>(bytes, 8), number::<8>(bytes, 16)),
        _ => return Err(malformed("a compressed bundle has an unknown version")),
    };
    let zstd = match method {
        0 => false,
        1 => true,
        _ => return Err(malformed("a compressed bundle has an unknown method of compression")),
    };
    let format = Format { version, zstd };
    let length = format.header_size();
    let uncompressed = uncompressed.filter(|_| read as u64 >= length).ok_or_else(cut)?;
    let stream = match size {
        None => start + length..end,
        Some(size) if size > length && size <= end - start => start + length..start + size,
        Some(_) => return Err(malformed("a compressed bundle has not the size that it says")),
    };
    let most = MOST_EXPANSION.saturating_mul(stream.end - stream.start).max(SHORT);
    if uncompressed > most {
        let what = format!(
            "a compressed bundle claims to be {uncompressed} bytes, more than {MOST_EXPANSION} times \
             what is there"
        );
        return Err(Malformed::new(start, what));
    }
    Ok(Header { size, uncompressed, format, stream })
}

impl Header {
    /// Decompresses the bundle while it is read, up to the size in the header. Memory use is the
    /// decompressor's window: at most 128 MiB, the limit of libzstd and clang, allocated as needed.
    pub(crate) fn decompress<'a, R: ReadAt + ?Sized>(
        &self,
        reader: &'a R,
    ) -> Result<Box<dyn Read + 'a>, Malformed> {
        let source = Window::new(reader, self.stream.clone());
        let source = BufReader::with_capacity(BUFFER, source);
        if !self.format.zstd {
            let stream = flate2::bufread::ZlibDecoder::new(source);
            return Ok(Box::new(stream.take(self.uncompressed)));
        }
        let stream = zstd::Decoder::with_buffer(source)
            .map_err(|e| Malformed::reading(self.stream.start, "a zstd stream", &e))?;
        Ok(Box::new(stream.single_frame().take(self.uncompressed)))
    }
}
