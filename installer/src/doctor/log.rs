//! What a program printed, from a file or a pipe.

use crate::root::open_regular;
use anyhow::{Context, Result, bail};
use std::{
    io::{self, Read},
    path::Path,
};

/// More than a program prints before someone asks what is wrong, in bytes.
const MOST: u64 = 256 << 20;

/// The text of a log of the machine; `-` is standard input. What is not UTF-8 in it is replaced.
pub fn read(path: &Path) -> Result<String> {
    let read = if path == Path::new("-") {
        up_to(io::stdin().lock(), MOST)
    } else {
        open_regular(path).and_then(|file| up_to(file, MOST))
    };
    let bytes = read.with_context(|| format!("--log {}: cannot be read", path.display()))?;
    if bytes.len() as u64 > MOST {
        bail!(
            "--log {}: it has more than {} MiB; give the part with the error",
            path.display(),
            MOST >> 20
        );
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One byte more tells that there is more.
fn up_to(input: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
