//! The source of a backend: a library or directory of a root, a .deb, an .rpm or a tar archive. Its type is
//! determined by its content, never by its name.
//!
//! The result, a [`Source`], lists the files of a prefix of their own. From a package, only the files of a
//! rocBLAS are unpacked.

mod archive;
mod candidate;
pub mod deb;
mod directory;
mod error;
pub mod gpu;
mod intake;
mod part;
pub mod release;
pub mod rpm;
mod stream;
pub mod tarball;
#[cfg(test)]
mod tests;

pub use error::{Error, Layer, Place};
pub use gpu::gpu_of;
pub use intake::{Intake, Limits, Staging};
pub(crate) use stream::decompress;

use crate::{elf, plan::Contents, progress::Bar, root::Root};
use offload::kpack::Reference;
use part::Gpus;
use rocblas_contract::{kpack, store::LIB};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

/// A backend's files, ready to be put into a prefix of their own.
#[derive(Clone, Debug)]
pub struct Source {
    /// `librocblas.so.4`.
    pub soname: String,
    /// The library, relative to the prefix's `lib/`: `librocblas.so.4.3.60300`.
    pub library: PathBuf,
    /// All files and links; the library is the first.
    pub files: Vec<SourceFile>,
    /// The archives of a split library's GPU code, `to` relative to the prefix.
    pub archives: Vec<SourceFile>,
    /// What was named, for messages: `rocblas_4.3.0.60300-39~22.04_amd64.deb`.
    pub origin: String,
    /// The ROCm release, if a name or a package's version contains it: `6.3.0`.
    pub version: Option<String>,
}

/// One file or link of a backend.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Relative to the prefix's `lib/` unless documented otherwise; contains no `..` and is not absolute.
    pub to: PathBuf,
    /// What it is.
    pub content: Content,
}

/// What will be at a place.
#[derive(Clone, Debug)]
pub enum Content {
    /// A regular file.
    File {
        /// Where it is read from: the user's own files stay in place, unpacked ones are moved.
        from: Contents,
        /// In bytes.
        size: u64,
        /// Its permissions.
        mode: u32,
        /// Its modification time, in seconds since 1970.
        modified: i64,
    },
    /// A symlink.
    Link {
        /// Relative, and inside the prefix.
        target: PathBuf,
    },
}

impl Source {
    /// Puts the library first, under its name if that is a library's, and adds the symlink by which the
    /// loader finds it.
    fn new(
        origin: &str,
        soname: String,
        name: &str,
        library: Content,
        kernels: Vec<SourceFile>,
        version: Option<String>,
    ) -> Self {
        let name = if part::is_library_name(name) { name } else { &soname };
        let path = PathBuf::from(name);
        let mut files = vec![SourceFile { to: path.clone(), content: library }];
        if name != soname {
            let content = Content::Link { target: path.clone() };
            files.push(SourceFile { to: PathBuf::from(&soname), content });
        }
        files.extend(kernels);
        let archives = Vec::new();
        Self { library: path, soname, files, archives, origin: origin.to_owned(), version }
    }

    /// Adds those of these archives, by their paths in the prefix, that the library's marker names.
    fn with_archives(self, archives: impl IntoIterator<Item = SourceFile>) -> Result<Self, Error> {
        let Some(split) = self.split()? else { return Ok(self) };
        let mut places = Vec::new();
        for path in &split.search_paths {
            places.push(in_prefix(path).ok_or_else(|| Error::NoBackend {
                origin: self.origin.clone(),
                reason: format!("its GPU code is outside of it, in {path}"),
            })?);
        }
        let is_named = |file: &SourceFile| {
            let path = file.to.to_str();
            path.is_some_and(|path| places.iter().any(|place| kpack::names(place, path)))
        };
        let archives = archives.into_iter().filter(is_named).collect();
        Ok(Self { archives, ..self })
    }

    /// The marker of a split library.
    pub fn split(&self) -> Result<Option<Reference>, Error> {
        let unreadable = |e| Error::unreadable(Path::new(&self.origin), e);
        let file = self.open_library().map_err(unreadable)?;
        // Other faults are found when its parts are examined.
        Ok(elf::summary(&file).ok().and_then(|summary| summary.split))
    }

    /// The library's file, opened for reading.
    pub fn open_library(&self) -> io::Result<File> {
        let library = self.files.iter().find(|file| file.to == self.library);
        match library.map(|file| &file.content) {
            Some(Content::File { from, .. }) => from.open(),
            _ => Err(io::Error::other("it contains no library")),
        }
    }
}

/// Converts a path relative to the prefix's `lib/` to one relative to the prefix; `None` if it is outside.
fn in_prefix(path: &str) -> Option<String> {
    let mut parts = vec![LIB];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Finds the backend in a file or directory of a root. Packages are unpacked into the directory from
/// `staging`, whose contents are unusable after an error. Kernels for GPUs other than `gpus` (`gfx906`; None
/// means any) are left out.
pub fn open(
    root: &Root,
    path: &Path,
    staging: impl FnOnce() -> io::Result<Staging>,
    gpus: Option<&[String]>,
) -> Result<Source, Error> {
    let unreadable = |e| Error::unreadable(path, e);
    if root.metadata(path).map_err(unreadable)?.is_dir() {
        return directory::open(root, path, &Gpus::new(gpus));
    }
    let mut file = root.open(path).map_err(unreadable)?;
    let format = Format::of(&mut file).map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unpack = match format {
        Format::Library => return directory::file(root, path, &Gpus::new(gpus)),
        Format::Unknown(what) => {
            let reason = format!(
                "{what}; pass a librocblas.so.*, a directory with one, a .deb, an .rpm or a tar \
                 archive"
            );
            return Err(Error::NoBackend { origin: path.display().to_string(), reason });
        }
        Format::Deb => deb::unpack,
        Format::Rpm => rpm::unpack,
        Format::Tar => tarball::unpack,
    };
    let staging =
        staging().map_err(|source| Error::Unwritable { path: "the store".into(), source })?;
    let mut intake = Intake::new(&name, &staging, gpus, Limits::default());
    unpack(Metered::new(file, &name).map_err(unreadable)?, &mut intake)?;
    archive::source(&name, intake)
}

/// Whether the name of one of Tensile's files or directories is for one of these GPUs, or for none in
/// particular.
#[must_use]
pub fn is_for(name: &str, gpus: &[String]) -> bool {
    Gpus::new(Some(gpus)).want(name)
}

/// Whether [`open`] would unpack a file. False for a directory, and for a file of unknown type.
pub fn is_package(root: &Root, path: &Path) -> Result<bool, Error> {
    let unreadable = |e| Error::unreadable(path, e);
    if root.metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(false);
    }
    let format = root.open(path).and_then(|mut file| Format::of(&mut file));
    Ok(matches!(format.map_err(unreadable)?, Format::Deb | Format::Rpm | Format::Tar))
}

/// The type of a file.
enum Format {
    Library,
    Deb,
    Rpm,
    Tar,
    Unknown(&'static str),
}

impl Format {
    /// Determines the type from the first bytes; leaves the file at its beginning.
    fn of(file: &mut File) -> io::Result<Self> {
        let mut block = [0; 512];
        let n = stream::Stream::new(&mut *file, u64::MAX).fill(&mut block)?;
        file.rewind()?;
        let head = &block[..n];
        Ok(if head.starts_with(b"\x7fELF") {
            Self::Library
        } else if head.starts_with(deb::MAGIC) {
            Self::Deb
        } else if head.starts_with(rpm::MAGIC) {
            Self::Rpm
        } else if stream::is_compressed(head) || (n == block.len() && tarball::is_header(&block)) {
            Self::Tar
        } else if head.is_empty() {
            Self::Unknown("it is empty, as after a failed download")
        } else if head.starts_with(b"PK") {
            Self::Unknown("it is a zip archive, like Python wheels: unpack it first")
        } else if head.trim_ascii_start().starts_with(b"<") {
            Self::Unknown("it is a web page, as after a failed download")
        } else {
            Self::Unknown("it is neither a library nor a package")
        })
    }
}

/// A file that reports how much of it has been read.
struct Metered {
    file: BufReader<File>,
    bar: Bar,
}

impl Metered {
    fn new(file: File, name: &str) -> io::Result<Self> {
        let bar = Bar::bytes(&format!("Unpacking {name}"), file.metadata()?.len());
        Ok(Self { file: BufReader::with_capacity(1 << 17, file), bar })
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.bar.advance(n as u64);
        Ok(n)
    }
}
