//! Reading at an offset, so that reading a gigabyte-sized library touches only the pages that are needed.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt,
};

/// Bytes that can be read at any offset, without a current position.
pub trait ReadAt {
    /// Reads bytes at `offset` into `buffer` and returns how many. A short read is not an error; 0 means that
    /// `offset` is at or beyond the end.
    ///
    /// # Errors
    /// Any read error. After [`io::ErrorKind::Interrupted`] the caller tries again.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        rest.unwrap_or_default().read(buffer)
    }
}

/// A part of a reader, which is read from its start to its end.
#[derive(Debug)]
pub(crate) struct Window<'a, R: ?Sized> {
    reader: &'a R,
    left: Range<u64>,
}

impl<'a, R: ReadAt + ?Sized> Window<'a, R> {
    pub(crate) fn new(reader: &'a R, range: Range<u64>) -> Self {
        Self { reader, left: range }
    }
}

impl<R: ReadAt + ?Sized> Read for Window<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.end.saturating_sub(self.left.start);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.reader.read_at(&mut buffer[..length], self.left.start)?;
        self.left.start += read as u64;
        Ok(read)
    }
}

/// Fills a buffer as far as possible and returns the number of bytes read.
pub(crate) fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn files_and_slices_are_read_alike() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut file = unlinked_file();
        file.write_all(&bytes).expect("write");
        for offset in [0, 1, 99, 100, 101, 1 << 40] {
            let (mut of_file, mut of_slice) = ([0; 10], [0; 10]);
            let from_file = ReadAt::read_at(&file, &mut of_file, offset).expect("read");
            let from_slice = bytes.read_at(&mut of_slice, offset).expect("read");
            assert_eq!((from_file, of_file), (from_slice, of_slice), "{offset}");
        }
        assert_eq!(bytes.read_at(&mut [0; 10], u64::MAX).expect("read"), 0);
    }

    fn unlinked_file() -> File {
        let path = std::env::temp_dir().join(format!("offload-read-at-{}", std::process::id()));
        let open = File::options().read(true).write(true).create_new(true).open(&path);
        let file = open.expect("make a file");
        std::fs::remove_file(path).expect("unlink it");
        file
    }

    #[test]
    fn a_window_ends_where_it_says_or_where_the_bytes_do() {
        let bytes = *b"0123456789";
        for (range, expected) in
            [(2..5, &b"234"[..]), (8..20, b"89"), (20..30, b""), (u64::MAX - 1..u64::MAX, b"")]
        {
            let mut window = Window::new(&bytes[..], range.clone());
            let mut buffer = [0; 16];
            let filled = fill(&mut window, &mut buffer).expect("read");
            assert_eq!(&buffer[..filled], expected, "{range:?}");
        }
    }
}
