//! Copies a part of a file.

use super::error::Error;
use crate::{
    Malformed, ReadAt,
    read_at::{Window, fill},
};
use std::{io::Write, ops::Range};

/// How much is read at a time, in bytes.
const BUFFER: usize = 1 << 20;

/// Copies all bytes of a range.
pub(super) fn copy<R: ReadAt + ?Sized>(
    reader: &R,
    range: Range<u64>,
    output: &mut impl Write,
) -> Result<(), Error> {
    let mut at = range.start;
    let mut window = Window::new(reader, range.clone());
    let mut buffer = vec![0; (range.end - at).min(BUFFER as u64) as usize];
    while at < range.end {
        let read =
            fill(&mut window, &mut buffer).map_err(|e| Malformed::reading(at, "the file", &e))?;
        if read == 0 {
            return Err(Malformed::new(at, "the file has become shorter").into());
        }
        output.write_all(&buffer[..read]).map_err(Error::Write)?;
        at += read as u64;
    }
    Ok(())
}
