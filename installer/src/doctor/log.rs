//! A program's output, from a file or a pipe. It is read in blocks, so a log may be larger than memory.
//!
//! | file | concern |
//! |---|---|
//! | `scan.rs` | finds the lines that may matter |
//! | `encoding.rs` | converts UTF-16 to UTF-8 |
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

/// The maximum size of a log's text, in bytes; reading that much takes a minute.
const MOST: u64 = 16 << 30;

/// Reads a log of the machine; `-` is standard input. Invalid UTF-8 is replaced.
pub fn read(path: &Path) -> Result<Reading> {
    let cannot = || format!("--log {}: cannot be read", shown(path));
    if path == Path::new("-") {
        return plain(io::stdin().lock()).and_then(Reading::of).with_context(cannot);
    }
    let file = open(path).with_context(cannot)?;
    if file.metadata().with_context(cannot)?.len() > MOST {
        bail!(
            "--log {}: larger than {} GiB; pass only the part with the error",
            shown(path),
            MOST >> 30
        );
    }
    plain(file).and_then(Reading::of).with_context(cannot)
}

/// The text of a log. logrotate compresses old logs, and trackers take archives.
fn plain<'a>(mut input: impl Read + 'a) -> io::Result<impl Read + 'a> {
    /// How archives of several files begin.
    const ARCHIVES: [&[u8]; 3] = [b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!"];
    let mut head = Vec::new();
    input.by_ref().take(4).read_to_end(&mut head)?;
    if ARCHIVES.iter().any(|magic| head == *magic) {
        let what = "an archive of several files; unpack it and pass the log itself";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    // The limit applies to the text, since a small archive may unpack without end.
    Ok(decompress(Cursor::new(head).chain(input))?.take(MOST))
}

/// Opens a regular file. Other files are not opened, since opening some devices has side effects.
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
        // Short logs, and text that begins almost like an archive.
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
