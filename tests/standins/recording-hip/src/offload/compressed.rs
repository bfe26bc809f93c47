//! The compressed bundle (`CCOB`): a header of one of three versions, then the plain bundle through
//! zlib or zstd. Only its first bytes are decompressed, since the table is all that is wanted of
//! bundles of up to hundreds of megabytes.
//!
//! Headers, little-endian, from Clang's document on offload bundles: magic, 16-bit version, 16-bit
//! method (0 zlib, 1 zstd), then
//! - version 1: 32-bit uncompressed size, 64-bit hash: 20 bytes;
//! - version 2: 32-bit whole size, 32-bit uncompressed size, hash: 24 bytes;
//! - version 3: 64-bit whole size, 64-bit uncompressed size, hash: 32 bytes.

use super::{Malformed, number};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::Read;

/// How a compressed bundle begins.
pub(crate) const MAGIC: &[u8] = b"CCOB";

/// As many bytes as a table may take: a hundred targets need ten thousand.
const BEGINNING: usize = 64 << 10;

/// The first bytes of the bundle that is compressed here, and how long it is.
pub(crate) fn beginning(image: &[u8]) -> Result<(Vec<u8>, u64), Malformed> {
    let cut = Malformed("a compressed bundle's header is cut off");
    let (Some(version), Some(method)) = (number::<2>(image, 4), number::<2>(image, 6)) else {
        return Err(cut);
    };
    let (header, sizes) = match version {
        1 => (20, number::<4>(image, 8).map(|size| (None, size))),
        2 => (24, number::<4>(image, 8).map(Some).zip(number::<4>(image, 12))),
        3 => (32, number::<8>(image, 8).map(Some).zip(number::<8>(image, 16))),
        _ => return Err(Malformed("a compressed bundle of an unknown version")),
    };
    let Some((whole, uncompressed)) = sizes else { return Err(cut) };
    let data = match whole {
        None => image.get(header..),
        Some(whole) => usize::try_from(whole).ok().and_then(|end| image.get(header..end)),
    };
    let Some(data) = data else {
        return Err(Malformed("a compressed bundle is shorter than it says"));
    };
    let mut bytes = match method {
        0 => inflate(data)?,
        1 => zstd(data)?,
        _ => return Err(Malformed("a compressed bundle of an unknown method")),
    };
    bytes.truncate(usize::try_from(uncompressed).unwrap_or(usize::MAX));
    Ok((bytes, uncompressed))
}

fn inflate(data: &[u8]) -> Result<Vec<u8>, Malformed> {
    use miniz_oxide::inflate::TINFLStatus;
    match decompress_to_vec_zlib_with_limit(data, BEGINNING) {
        Ok(all) => Ok(all),
        Err(stop) if stop.status == TINFLStatus::HasMoreOutput => Ok(stop.output),
        Err(_) => Err(Malformed("a compressed bundle's zlib stream is broken")),
    }
}

/// Decompresses the beginning of a frame.
///
/// The decoder gives out what lies further back than the window, and the bundles' frames have
/// windows as large as themselves. So it is given the frame's blocks under a header of its own, with
/// a window of two blocks: the first blocks cannot refer to what is further back.
fn zstd(data: &[u8]) -> Result<Vec<u8>, Malformed> {
    let broken = |_| Malformed("a compressed bundle's zstd frame is broken");
    let blocks = zstd_blocks(data).ok_or(Malformed("a compressed bundle has no zstd frame"))?;
    // Magic; no single segment, no content size, no checksum, no dictionary; 2^(10 + 8) bytes.
    let header: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0, 8 << 3];
    const WINDOW: usize = 1 << 18;
    let mut source = header.chain(blocks);
    let mut decoder = FrameDecoder::new();
    decoder.init(&mut source).map_err(broken)?;
    decoder
        .decode_blocks(&mut source, BlockDecodingStrategy::UptoBytes(WINDOW + BEGINNING))
        .map_err(broken)?;
    let mut bytes = vec![0; BEGINNING];
    let mut filled = 0;
    while filled < bytes.len() {
        match decoder.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(_) => return Err(Malformed("a compressed bundle's zstd frame is broken")),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What follows a frame's header (RFC 8878, section 3.1.1.1).
fn zstd_blocks(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let (&descriptor, rest) = rest.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    let dictionary = descriptor & 3;
    if dictionary != 0 || descriptor & 8 != 0 {
        return None;
    }
    let content_size = match descriptor >> 6 {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    rest.get(usize::from(!single_segment) + content_size..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        offload::{
            bundle::tests::{HOST, bundle},
            has_code_for,
        },
        targets::Target,
    };
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    const CODE: &str = "hipv4-amdgcn-amd-amdhsa--gfx906";

    fn device() -> Target {
        Target::parse("gfx906").expect("a target")
    }

    fn wrap(version: u16, method: u16, data: &[u8], uncompressed: usize) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend(method.to_le_bytes());
        match version {
            1 => bytes.extend((uncompressed as u32).to_le_bytes()),
            2 => {
                bytes.extend((24 + data.len() as u32).to_le_bytes());
                bytes.extend((uncompressed as u32).to_le_bytes());
            }
            _ => {
                bytes.extend((32 + data.len() as u64).to_le_bytes());
                bytes.extend((uncompressed as u64).to_le_bytes());
            }
        }
        bytes.extend([0; 8]);
        bytes.extend(data);
        bytes
    }

    fn compress(method: u16, plain: &[u8]) -> Vec<u8> {
        match method {
            0 => miniz_oxide::deflate::compress_to_vec_zlib(plain, 6),
            _ => compress_to_vec(plain, CompressionLevel::Fastest),
        }
    }

    /// A bundle and a megabyte after it, more than is decompressed.
    fn large() -> Vec<u8> {
        let mut plain = bundle(&[HOST, CODE]);
        plain.extend((0..1_u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()));
        plain
    }

    #[test]
    fn every_version_and_method_is_read() {
        for plain in [bundle(&[HOST, CODE]), large()] {
            for version in 1..=3 {
                for method in 0..=1 {
                    let image = wrap(version, method, &compress(method, &plain), plain.len());
                    let has_code = has_code_for(&image, &device());
                    assert_eq!(has_code, Ok(true), "version {version}, method {method}");
                    let other = Target::parse("gfx1030").expect("a target");
                    assert_eq!(has_code_for(&image, &other), Ok(false));
                }
            }
        }
    }

    #[test]
    fn bytes_after_the_bundle_do_not_matter() {
        let plain = bundle(&[CODE]);
        for version in 1..=3 {
            let mut image = wrap(version, 1, &compress(1, &plain), plain.len());
            image.extend([0xa5; 4096]);
            assert_eq!(has_code_for(&image, &device()), Ok(true), "version {version}");
        }
    }

    #[test]
    fn only_the_beginning_is_decompressed() {
        let plain = large();
        for method in 0..=1 {
            let image = wrap(3, method, &compress(method, &plain), plain.len());
            let (bytes, whole) = beginning(&image).expect("well-formed");
            assert!(bytes.len() <= BEGINNING && plain.starts_with(&bytes), "method {method}");
            assert_eq!(whole, plain.len() as u64);
        }
    }

    #[test]
    fn a_cut_bundle_is_malformed_wherever_it_is_cut() {
        let plain = bundle(&[CODE]);
        for version in 1..=3 {
            for method in 0..=1 {
                let image = wrap(version, method, &compress(method, &plain), plain.len());
                for length in 0..image.len() {
                    // Without a whole size, the checksum after a zlib stream may be missing.
                    if let Ok(found) = has_code_for(&image[..length], &device()) {
                        assert!(found && version == 1, "{version} {method} {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_headers_are_malformed() {
        let plain = bundle(&[CODE]);
        let data = compress(1, &plain);
        let good = wrap(3, 1, &data, plain.len());
        let bad = |at: usize, bytes: &[u8]| {
            let mut image = good.clone();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            has_code_for(&image, &device()).is_err()
        };
        assert!(bad(4, &0_u16.to_le_bytes()), "version 0");
        assert!(bad(4, &4_u16.to_le_bytes()), "version 4");
        assert!(bad(6, &7_u16.to_le_bytes()), "method 7");
        assert!(bad(6, &0_u16.to_le_bytes()), "zstd called zlib");
        assert!(bad(8, &u64::MAX.to_le_bytes()), "longer than all memory");
        assert!(bad(8, &(good.len() as u64 + 1).to_le_bytes()), "longer than the image");
        assert!(bad(8, &31_u64.to_le_bytes()), "shorter than its header");
        assert!(bad(16, &10_u64.to_le_bytes()), "uncompressed to less than a table");
        assert!(bad(32, &[0; 4]), "no frame");
    }
}
