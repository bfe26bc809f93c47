//! Reads small files up to a limit: a file in an image may have any size, and a sparse one costs nothing.

use crate::root::{Root, open_regular};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// A file's bytes, if there are at most that many.
pub(super) fn bytes_up_to(root: &Root, inside: &Path, most: u64) -> io::Result<Vec<u8>> {
    whole(root.open(inside)?, most)
}

/// The text of a file of at most that many bytes. Invalid UTF-8 is replaced.
pub(super) fn text_up_to(root: &Root, inside: &Path, most: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&bytes_up_to(root, inside, most)?).into_owned())
}

/// The same for a file of the machine.
pub(super) fn machine_text_up_to(path: &Path, most: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&whole(open_regular(path)?, most)?).into_owned())
}

fn whole(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("it is larger than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::testing::Image;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let image = Image::new();
        image.file("/text", "1234");
        let read = |most| text_up_to(&image.root, Path::new("/text"), most);
        assert_eq!(read(5).expect("it fits"), "1234");
        assert_eq!(read(4).expect("it just fits"), "1234");
        assert_eq!(read(3).expect_err("it is longer").kind(), io::ErrorKind::FileTooLarge);
        image.link("/device", "/dev/zero");
        assert!(text_up_to(&image.root, Path::new("/device"), 4).is_err());
        assert!(machine_text_up_to(Path::new("/dev/zero"), 4).is_err());
    }
}
