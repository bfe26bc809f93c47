//! Digests and compression, with nothing in the output but what depends on the input.

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use liblzma::write::XzEncoder;
use md5::{Digest, Md5};
use std::io::Write;

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

/// The MD5 of bytes, which `md5sums` of a .deb has.
pub(crate) fn md5(bytes: &[u8]) -> String {
    hexadecimal(&Md5::digest(bytes))
}

/// gzip, without a name or a time in the header.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// xz in one block, so that the number of processors does not matter.
pub(crate) fn xz(bytes: &[u8]) -> Result<Vec<u8>> {
    // dpkg-deb's own level.
    let mut encoder = XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
