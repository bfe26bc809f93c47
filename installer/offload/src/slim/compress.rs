//! Writes a compressed bundle: a header and a stream, in the format that [`compressed`] reads.

use super::error::{Error, layout};
use crate::compressed::{self, Format};
use flate2::{Compression, write::ZlibEncoder};
use md5::{Digest, Md5};
use std::io::{self, Write};

/// The highest of zstd's 22 levels that is still faster than reading from a disk.
const LEVEL: i32 = 9;

/// Compresses a plain bundle as it is written.
pub(super) struct Compressor {
    format: Format,
    stream: Stream,
    hash: Md5,
    uncompressed: u64,
}

enum Stream {
    Zlib(ZlibEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    pub(super) fn new(format: Format) -> Result<Self, Error> {
        let stream = if format.zstd {
            Stream::Zstd(zstd::Encoder::new(Vec::new(), LEVEL).map_err(Error::Write)?)
        } else {
            Stream::Zlib(ZlibEncoder::new(Vec::new(), Compression::best()))
        };
        Ok(Self { format, stream, hash: Md5::new(), uncompressed: 0 })
    }

    /// Returns the whole bundle. `offset` is the original's offset, for errors.
    pub(super) fn finish(self, offset: u64) -> Result<Vec<u8>, Error> {
        let stream = match self.stream {
            Stream::Zlib(encoder) => encoder.finish(),
            Stream::Zstd(encoder) => encoder.finish(),
        };
        let stream = stream.map_err(Error::Write)?;
        let Format { version, zstd } = self.format;
        let short = |number: u64| {
            let number = u32::try_from(number);
            number.map_err(|_| layout(offset, "a compressed bundle is too long for its version"))
        };
        let mut bytes = compressed::MAGIC.to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend(u16::from(zstd).to_le_bytes());
        let size = self.format.header_size() + stream.len() as u64;
        match version {
            1 => bytes.extend(short(self.uncompressed)?.to_le_bytes()),
            2 => {
                bytes.extend(short(size)?.to_le_bytes());
                bytes.extend(short(self.uncompressed)?.to_le_bytes());
            }
            _ => {
                bytes.extend(size.to_le_bytes());
                bytes.extend(self.uncompressed.to_le_bytes());
            }
        }
        // The first half of the plain bundle's MD5, as clang writes it. Runtimes use it as the bundle's name
        // in their caches.
        bytes.extend(&self.hash.finalize()[..8]);
        bytes.extend(stream);
        Ok(bytes)
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.stream {
            Stream::Zlib(encoder) => encoder.write(bytes),
            Stream::Zstd(encoder) => encoder.write(bytes),
        }?;
        self.hash.update(&bytes[..written]);
        self.uncompressed += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
