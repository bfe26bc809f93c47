//! What a program printed, from a file or a pipe. It is read in blocks, so a log may be as long as a disk.
//!
//! | file | what it does |
//! |---|---|
//! | `scan.rs` | finds the lines that may matter |
//! | `encoding.rs` | UTF-16 as UTF-8 |
//! | `prefix.rs` | the message of a line, without containers' names, dates and colours |
//! | `line.rs` | the facts in a line |

mod encoding;
pub mod line;
mod prefix;
pub(super) mod scan;

pub(super) use prefix::has_test_tag;

use super::known::reading::Reading;
use crate::{output::shown, root::open_regular, source::decompress};
use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
};

/// More than a program prints before someone asks what is wrong, in bytes; it takes a minute to read.
const MOST: u64 = 16 << 30;

/// Reads a log of the machine; `-` is standard input. What is not UTF-8 in it is replaced.
pub fn read(path: &Path) -> Result<Reading> {
    let cannot = || format!("--log {}: cannot be read", shown(path));
    if path == Path::new("-") {
        return plain(io::stdin().lock()).and_then(Reading::of).with_context(cannot);
    }
    let file = open(path).with_context(cannot)?;
    if file.metadata().with_context(cannot)?.len() > MOST {
        bail!(
            "--log {}: it is larger than {} GiB; give the part with the error",
            shown(path),
            MOST >> 30
        );
    }
    plain(file).and_then(Reading::of).with_context(cannot)
}

/// The text of a log. logrotate compresses old logs, and trackers take archives.
fn plain<'a>(mut input: impl Read + 'a) -> io::Result<impl Read + 'a> {
    /// What archives with several files begin with.
    const ARCHIVES: [&[u8]; 3] = [b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!"];
    let mut head = Vec::new();
    input.by_ref().take(4).read_to_end(&mut head)?;
    if ARCHIVES.iter().any(|magic| head == *magic) {
        let what = "an archive of files; unpack it, and give the log in it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    // The limit is one of the text: a small archive may unpack to no end.
    Ok(decompress(Cursor::new(head).chain(input))?.take(MOST))
}

/// Opens a regular file. Opening some devices has effects, so that they are not opened at all.
fn open(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() {
        return open_regular(path);
    }
    let what = "not a regular file (--log - reads a pipe from standard input)";
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    const LINE: &str = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";

    fn gzipped(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("write");
        encoder.finish().expect("a member")
    }

    /// How many errors are found in a file with these bytes.
    fn found(bytes: &[u8]) -> Result<usize> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        Ok(read(file.path())?.found.len())
    }

    #[test]
    fn a_compressed_log_is_read_as_its_text() {
        assert_eq!(found(LINE.as_bytes()).expect("plain"), 1);
        assert_eq!(found(&gzipped(LINE)).expect("gzip"), 1);
        let members = [gzipped("a line\n"), gzipped(LINE)].concat();
        assert_eq!(found(&members).expect("two members, as `cat a.gz b.gz` makes them"), 1);
        let zstd = zstd::encode_all(LINE.as_bytes(), 0).expect("zstd");
        assert_eq!(found(&zstd).expect("zstd"), 1);
        // Near: short logs, and a text that begins like none.
        for near in [&b""[..], b"B", b"BZ", b"PK is a name"] {
            assert_eq!(found(near).expect("a text"), 0, "{near:?}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_unpacked_is_refused_with_the_reason() {
        let cut = gzipped(&LINE.repeat(100));
        assert!(found(&cut[..cut.len() - 9]).is_err());
        let zip = format!("{:#}", found(b"PK\x03\x04\x14\0\0\0").expect_err("a zip"));
        assert!(zip.contains("unpack it"), "{zip}");
    }
}
