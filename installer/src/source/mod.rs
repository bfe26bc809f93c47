//! Where a backend comes from: a library or directory of a root, a .deb, an .rpm or a tar archive.
//! What it is is told by its content, never by its name.
//!
//! The result, a [`Source`], says which files go where in a prefix of their own. Of a package only
//! what belongs to a rocBLAS is unpacked.

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
    /// What was named, for people: `rocblas_4.3.0.60300-39~22.04_amd64.deb`.
    pub origin: String,
    /// The ROCm release, where a name or a package's version tells it: `6.3.0`.
    pub version: Option<String>,
}

/// One file or link of a backend.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Relative to the prefix's `lib/` unless said otherwise; has neither `..` nor a root.
    pub to: PathBuf,
    /// What it is.
    pub content: Content,
}

/// What is to be at a place.
#[derive(Clone, Debug)]
pub enum Content {
    /// A regular file.
    File {
        /// Where it is read: the user's own files stay where they are, unpacked ones are moved.
        from: Contents,
        /// In bytes.
        size: u64,
        /// Its permissions.
        mode: u32,
        /// When it was last modified, in seconds since 1970.
        modified: i64,
    },
    /// A symbolic link.
    Link {
        /// Relative, and inside the prefix.
        target: PathBuf,
    },
}

impl Source {
    /// Puts the library first, by the name that it has if that is a library's, and adds the link by
    /// which the loader finds it.
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

    /// With those of these archives, by their paths in the prefix, that the library's marker names.
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
        // What else is wrong with it is found where its parts are looked at.
        Ok(elf::summary(&file).ok().and_then(|summary| summary.split))
    }

    /// The library's file, opened for reading.
    pub fn open_library(&self) -> io::Result<File> {
        let library = self.files.iter().find(|file| file.to == self.library);
        match library.map(|file| &file.content) {
            Some(Content::File { from, .. }) => from.open(),
            _ => Err(io::Error::other("it lists no library of its own")),
        }
    }
}

/// A path relative to the prefix's `lib/` as one relative to the prefix; `None` if it leads out of that.
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

/// Finds the backend in a file or directory of a root. Packages are unpacked into what `staging`
/// makes, of which nothing is to be used after an error. Kernels for other GPUs than `gpus`
/// (`gfx906`; None: any) are left out.
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
                "{what}; give a librocblas.so.*, a directory with one, a .deb, an .rpm or a tar \
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

/// Whether a name of Tensile's, of a file or a directory, is for one of these GPUs, or for none in
/// particular.
#[must_use]
pub fn is_for(name: &str, gpus: &[String]) -> bool {
    Gpus::new(Some(gpus)).want(name)
}

/// Whether [`open`] would unpack a file. False for a directory, and for a file that is nothing that it
/// knows.
pub fn is_package(root: &Root, path: &Path) -> Result<bool, Error> {
    let unreadable = |e| Error::unreadable(path, e);
    if root.metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(false);
    }
    let format = root.open(path).and_then(|mut file| Format::of(&mut file));
    Ok(matches!(format.map_err(unreadable)?, Format::Deb | Format::Rpm | Format::Tar))
}

/// What a file is.
enum Format {
    Library,
    Deb,
    Rpm,
    Tar,
    Unknown(&'static str),
}

impl Format {
    /// Told by its first bytes; leaves the file at its beginning.
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
            Self::Unknown("it is empty, as after a download that failed")
        } else if head.starts_with(b"PK") {
            Self::Unknown("it is a zip archive, as Python's wheels are: unpack it first")
        } else if head.trim_ascii_start().starts_with(b"<") {
            Self::Unknown("it is a web page, as after a download that failed")
        } else {
            Self::Unknown("it is neither a library nor a package")
        })
    }
}

/// A file that shows how much of it has been read.
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
