//! What a program printed, from a file or a pipe.

use crate::{output::shown, root::open_regular};
use anyhow::{Context, Result, bail};
use std::{
    fs::File,
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
        open(path).and_then(|file| {
            // Nothing of a file that is too large anyway.
            let length = file.metadata()?.len();
            if length > MOST { Ok(None) } else { up_to(file, MOST) }
        })
    };
    let path = shown(path);
    let read = read.with_context(|| format!("--log {path}: cannot be read"))?;
    let Some(bytes) = read else {
        bail!("--log {path}: it is larger than {} MiB; give the part with the error", MOST >> 20);
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a regular file. Opening some devices has effects, so that they are not opened at all.
fn open(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() {
        return open_regular(path);
    }
    let what = "not a regular file (--log - reads a pipe from standard input)";
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// All of an input; `None`: it has more. One byte more tells that there is.
fn up_to(input: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    input.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}
