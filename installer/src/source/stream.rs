//! The bytes of an archive, read once from front to back, with the position for messages and a limit against
//! archives that unpack endlessly.

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use liblzma::{read::XzDecoder, stream::CONCATENATED};
use std::io::{self, Cursor, Read};

/// xz's memory limit for its dictionary, in bytes: `xz -9` uses 64 MiB. The stream's header claims a size and
/// liblzma allocates it.
const XZ_MEMORY: u64 = 256 << 20;

/// The magic number of each compression.
const XZ: &[u8] = b"\xfd7zXZ\0";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
const GZIP: &[u8] = b"\x1f\x8b";
const BZIP2: &[u8] = b"BZh";

/// Whether data begins like a compressed stream.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    [XZ, ZSTD, GZIP, BZIP2].iter().any(|magic| head.starts_with(magic))
}

/// Decompresses compressed data, detected by its first bytes; anything else is read unchanged.
pub(crate) fn decompress<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = [0; 6];
    let n = fill(&mut input, &mut head)?;
    let head = &head[..n];
    let input = Cursor::new(head.to_vec()).chain(input);
    Ok(if head.starts_with(XZ) {
        let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
        Box::new(XzDecoder::new_stream(input, stream))
    } else if head.starts_with(ZSTD) {
        // Its own limit for what a frame may claim is 128 MiB.
        Box::new(zstd::Decoder::new(input)?)
    } else if head.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(input))
    } else if head.starts_with(BZIP2) {
        Box::new(MultiBzDecoder::new(input))
    } else {
        Box::new(input)
    })
}

/// A reader that knows its position and has a limit.
#[derive(Debug)]
pub(super) struct Stream<R> {
    inner: R,
    position: u64,
    limit: u64,
}

impl<R: Read> Stream<R> {
    /// Reading more than `limit` bytes is an error.
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner, position: 0, limit }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Fills a buffer as far as possible; returns how far.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        fill(self, buffer)
    }

    /// Skips bytes, all of which must exist.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads a text whose size the archive claims. More than `most` bytes are an error.
    pub(super) fn text(&mut self, size: u64, most: u64) -> io::Result<Vec<u8>> {
        if size > most {
            let what = format!("it claims {size} bytes of text, more than the limit of {most}");
            return Err(io::Error::other(what));
        }
        let mut text = Vec::new();
        self.by_ref().take(size).read_to_end(&mut text)?;
        if text.len() as u64 == size { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads up to the end, so that checksums at the end of a compressed stream are verified.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.limit - self.position;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            // The limit is exceeded only by the next byte.
            return match fill(&mut self.inner, &mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other(format!(
                    "it unpacks to more than {}, larger than any rocBLAS",
                    indicatif::HumanBytes(self.limit)
                ))),
            };
        }
        let n = self.inner.read(&mut buffer[..most])?;
        self.position += n as u64;
        Ok(n)
    }
}

/// A part of a reader that must be complete.
#[derive(Debug)]
pub(super) struct Part<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Part<R> {
    /// The next `size` bytes.
    pub(super) fn new(inner: R, size: u64) -> Self {
        Self { inner, left: size }
    }
}

impl<R: Read> Read for Part<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.inner.read(&mut buffer[..most])?;
        self.left -= n as u64;
        if n == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(n) }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_by_one_byte_too_many_only() {
        let mut enough = Stream::new(&b"12345"[..], 5);
        assert_eq!(enough.text(5, 5).expect("five bytes"), b"12345");
        enough.drain().expect("nothing follows");
        let mut stream = Stream::new(&b"123456"[..], 5);
        let error = stream.drain().expect_err("six bytes");
        assert!(error.to_string().contains("more than 5 B"), "{error}");
    }

    #[test]
    fn a_part_is_complete_or_an_error() {
        let mut text = String::new();
        Part::new(&b"12345"[..], 3).read_to_string(&mut text).expect("three bytes");
        assert_eq!(text, "123");
        let error = Part::new(&b"12"[..], 3).read_to_string(&mut text).expect_err("only two");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn dictionaries_of_any_claimed_size_are_refused() {
        use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
        let mut options = LzmaOptions::new_preset(0).expect("a preset");
        let mut filters = Filters::new();
        filters.lzma2(options.dict_size(1 << 30));
        let stream = Stream::new_stream_encoder(&filters, Check::Crc32).expect("an encoder");
        let mut packed = Vec::new();
        let mut encoder = liblzma::read::XzEncoder::new_stream(&b"text"[..], stream);
        encoder.read_to_end(&mut packed).expect("packed");
        let error = decompress(&packed[..]).and_then(io::read_to_string).expect_err("too large");
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
