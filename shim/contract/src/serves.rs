//! The GPUs that a backend in the store serves: a small file in its prefix. The installer writes it after
//! inspecting the library and its kernel files; the shim reads it for routes with [`crate::route::AUTO`].
//!
//! It identifies the library by its size and its first bytes, which copies and image layers preserve, so that
//! a replaced library is detected. Hashing a gigabyte whenever a program starts would take too long.

use crate::{
    choice::{self, Files},
    store,
};
use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The file's name, in the backend's prefix.
pub const SERVES: &str = "serves.toml";

/// Longer than any list of GPUs, in bytes.
const MOST: u64 = 1 << 16;

/// The number of bytes at the start of a library that are hashed: its ELF header, program headers and notes.
const HEAD: u64 = 4096;

/// The identity of a library, to detect that it was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    size: u64,
    /// FNV-1a over the first bytes.
    head: u64,
}

impl Identity {
    /// The identity of an open file.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn of(file: &File) -> io::Result<Self> {
        let mut head = Vec::new();
        // The file may have been read already: the position belongs to this open file alone.
        let mut start = file;
        io::Seek::rewind(&mut start)?;
        start.take(HEAD).read_to_end(&mut head)?;
        let size = file.metadata()?.len();
        Ok(Self { size, head: fnv(&head) })
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv).
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The GPUs that a backend serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serves {
    /// The ROCm release, `6.3.0`; empty if it is not known, which counts as the oldest.
    pub release: String,
    /// The targets for which its library has code and for which there are Tensile files.
    pub gpus: Vec<String>,
    /// The library that these facts apply to.
    pub library: Identity,
}

impl Serves {
    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { release, gpus, library: Identity { size, head } } = self;
        let mut text = "# What this backend serves, for a route that says \"auto\"; written by the installer.\n"
            .to_owned();
        let gpus = gpus.join(" ");
        let lines = format_args!("release = \"{release}\"\ngpus = \"{gpus}\"\n").to_string();
        write!(
            text,
            "{lines}# Of the library with this size and these first bytes.\nsize = {size}\n"
        )
        .expect("write to a string");
        writeln!(text, "head = \"{head:016x}\"").expect("write to a string");
        text
    }

    /// Parses the text of the file; `None` if it is invalid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut values =
                text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            values.next()
        };
        let quoted = |key: &str| value(key)?.strip_prefix('"')?.strip_suffix('"');
        let library = Identity {
            size: value("size")?.parse().ok()?,
            head: u64::from_str_radix(quoted("head")?, 16).ok()?,
        };
        let gpus = quoted("gpus")?.split(' ').filter(|gpu| !gpu.is_empty()).map(str::to_owned);
        Some(Self { release: quoted("release")?.to_owned(), gpus: gpus.collect(), library })
    }
}

/// A backend, the GPUs that its file lists, and whether its library has been replaced since.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name in the store.
    pub name: String,
    /// The contents of its file.
    pub serves: Serves,
    /// Whether the library has been replaced.
    pub is_stale: bool,
}

/// The facts about the backends in the stores of these directories, by name; of two with the same name, the
/// first.
pub fn known(files: &impl Files, directories: &[PathBuf]) -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    for store in directories.iter().map(|directory| store::backends(directory)) {
        let mut names = files.names(&store).unwrap_or_default();
        names.sort();
        for prefix in names.into_iter().map(|name| store.join(name)) {
            if let Some(known) = known_of(files, &prefix)
                && all.iter().all(|other| other.name != known.name)
            {
                all.push(known);
            }
        }
    }
    all
}

/// The facts about the backend in a prefix; `None` if there is no file or no library.
pub fn known_of(files: &impl Files, prefix: &Path) -> Option<Known> {
    let serves = written(files, prefix)?;
    let library = choice::in_prefix(files, prefix).ok()?;
    let identity = Identity::of(&files.open(&library.path).ok()?).ok()?;
    Some(Known { name: library.name, is_stale: identity != serves.library, serves })
}

/// The contents of the file in a prefix, without checking the library.
pub fn written(files: &impl Files, prefix: &Path) -> Option<Serves> {
    let mut text = String::new();
    files.open(&prefix.join(SERVES)).ok()?.take(MOST).read_to_string(&mut text).ok()?;
    Serves::parse(&text)
}

/// The newest of these that serves a GPU. One whose library was replaced comes after all others: it probably
/// still serves the same GPUs.
#[must_use]
pub fn newest<'a>(known: &'a [Known], gpu: &str) -> Option<&'a Known> {
    let serving = known.iter().filter(|backend| backend.serves.gpus.iter().any(|of| of == gpu));
    serving
        .max_by_key(|backend| (!backend.is_stale, numbers(&backend.serves.release), &backend.name))
}

/// The numbers of a release's version, in order.
#[must_use]
pub fn numbers(release: &str) -> Vec<u32> {
    release.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn serves(release: &str, gpus: &[&str]) -> Serves {
        let gpus = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
        Serves { release: release.to_owned(), gpus, library: Identity { size: 7, head: 8 } }
    }

    #[test]
    fn what_is_written_is_read() {
        for known in [serves("6.3.0", &["gfx900", "gfx906"]), serves("", &[])] {
            assert_eq!(Serves::parse(&known.text()), Some(known));
        }
        for damaged in ["", "release = \"6.3.0\"\n", "size = 7", &serves("6", &[]).text()[..150]] {
            assert_eq!(Serves::parse(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn a_library_is_known_by_its_size_and_beginning() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("library");
        let identity = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("write");
            let file = File::open(&path).expect("open");
            let first = Identity::of(&file).expect("read");
            assert_eq!(Identity::of(&file).expect("read again"), first);
            first
        };
        let bytes = vec![1_u8; 5000];
        let (first, mut other) = (identity(&bytes), bytes.clone());
        other[4095] = 2;
        assert_ne!(identity(&other), first);
        assert_ne!(identity(&bytes[..4999]), first);
        assert_eq!(identity(&bytes), first);
        // The reference values of the hash.
        assert_eq!((fnv(b""), fnv(b"foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }

    #[test]
    fn the_newest_backend_for_a_gpu_is_chosen_and_stale_ones_last() {
        let known = |name: &str, release: &str, gpus: &[&str], is_stale| Known {
            name: name.to_owned(),
            serves: serves(release, gpus),
            is_stale,
        };
        let mut all = vec![
            known("a", "6.3.0", &["gfx906", "gfx1100"], false),
            known("b", "7.0.2", &["gfx1100"], false),
            known("c", "7.10", &["gfx1100", "gfx1201"], true),
            known("d", "", &["gfx906", "gfx803"], false),
        ];
        let newest = |all: &[Known], gpu| newest(all, gpu).map(|known| known.name.clone());
        assert_eq!(newest(&all, "gfx906").as_deref(), Some("a"));
        assert_eq!(newest(&all, "gfx1100").as_deref(), Some("b"));
        assert_eq!(newest(&all, "gfx1201").as_deref(), Some("c"));
        assert_eq!(newest(&all, "gfx803").as_deref(), Some("d"));
        assert_eq!(newest(&all, "gfx90a"), None);
        all[2].is_stale = false;
        assert_eq!(newest(&all, "gfx1100").as_deref(), Some("c"), "10 is more than 0");
    }
}
