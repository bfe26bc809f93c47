//! What is extracted from an archive, and how it is stored.
//!
//! The archive is not trusted. No name from it becomes a name on the machine: each wanted file is written
//! under a number into the staging directory, and its name, as well as every symlink, is only a value until
//! the caller creates it. So a name cannot climb out and no symlink can be written through.
//! to write through.

use super::{
    Content, Error,
    error::{Layer, Place, printable, reading},
    part::{Gpus, is_library, lib_of},
    release,
    stream::Stream,
};
use crate::{
    directory::{Directory, Name},
    files,
    plan::Contents,
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::OsStr,
    fmt::Display,
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
};

/// Where an archive is unpacked to.
#[derive(Debug)]
pub struct Staging {
    directory: Directory,
    /// Whether the plan is only shown: then the library is unpacked for inspection, and of other files only
    /// the sizes are recorded.
    listing: bool,
}

impl Staging {
    /// An empty directory, whose files will be moved.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self { directory, listing: false }
    }

    /// An empty directory of the machine.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::new(Directory::of(File::open(path)?.into())))
    }

    /// An empty directory of the machine, for a plan that is only shown.
    pub fn listing(path: &Path) -> io::Result<Self> {
        Ok(Self { listing: true, ..Self::at(path)? })
    }

    /// Creates a new file in it, and returns how it will be placed.
    pub(crate) fn file(&self, name: &str) -> io::Result<(File, Contents)> {
        let own = Name::new(name).ok_or(io::ErrorKind::InvalidInput)?;
        let file = self.directory.create(own)?;
        Ok((file, Contents::Staged(self.directory.clone(), name.to_owned())))
    }

    /// The free space in bytes.
    fn free(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(self.directory.as_fd())?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// Limits of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that it may unpack to, extracted or not.
    pub unpacked: u64,
    /// Bytes that may be extracted.
    pub taken: u64,
    /// Files and links that may be extracted.
    pub members: usize,
}

impl Default for Limits {
    /// Several times what the largest real packages contain: ROCm as a whole unpacks to some 30 GB, of which
    /// rocBLAS for all GPUs is less than 5 GB in some thousand files.
    fn default() -> Self {
        Self { unpacked: 128 << 30, taken: 16 << 30, members: 100_000 }
    }
}

/// A member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in the archive.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// In bytes.
    pub(super) size: u64,
    pub(super) mode: u32,
    /// Its modification time, in seconds since 1970; None if it is not a valid number.
    pub(super) modified: Option<u32>,
    /// The offset of its header in the unpacked stream.
    pub(super) offset: u64,
}

/// The type of a member.
#[derive(Debug)]
pub(super) enum Kind {
    File,
    Directory,
    /// With the target as written.
    Link(Vec<u8>),
    /// With the name of the member to which it is a hard link.
    HardLink(Vec<u8>),
    /// Something that no library consists of.
    Other(&'static str),
}

/// Extracts the files of a rocBLAS.
#[derive(Debug)]
pub struct Intake<'a> {
    archive: String,
    staging: &'a Staging,
    gpus: Gpus,
    limits: Limits,
    taken: u64,
    files: u64,
    /// By path in the archive.
    entries: BTreeMap<PathBuf, Content>,
    release: Option<String>,
}

/// The longest name, in bytes; Linux's PATH_MAX.
pub(super) const LONGEST_NAME: u64 = 4096;

/// The longest text with a version in it.
const LONGEST_TEXT: u64 = 64 << 10;

impl<'a> Intake<'a> {
    /// For an archive of that name.
    #[must_use]
    pub fn new(
        archive: &str,
        staging: &'a Staging,
        gpus: Option<&[String]>,
        limits: Limits,
    ) -> Self {
        let (gpus, archive) = (Gpus::new(gpus), archive.to_owned());
        let (taken, files, entries, release) = (0, 0, BTreeMap::new(), None);
        Self { archive, staging, gpus, limits, taken, files, entries, release }
    }

    /// The extracted files, by path in the archive, and the archive's release.
    pub(super) fn finish(self) -> (BTreeMap<PathBuf, Content>, Option<String>) {
        (self.entries, self.release)
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The package's version, if its format records it.
    pub(super) fn package_version(&mut self, version: &str) {
        self.release = self.release.take().or_else(|| release::of_package(version));
    }

    /// An error at a position of the unpacked data.
    pub(super) fn damaged(&self, member: Option<&[u8]>, offset: u64, what: impl Display) -> Error {
        self.error(member, offset, Layer::Unpacked, what.to_string())
    }

    /// A read error at that position.
    pub(super) fn unread(&self, member: Option<&[u8]>, offset: u64, error: &io::Error) -> Error {
        self.error(member, offset, Layer::Unpacked, reading(error))
    }

    /// An error at a position of the archive itself.
    pub(super) fn damaged_file(
        &self,
        member: Option<&[u8]>,
        offset: u64,
        what: impl Display,
    ) -> Error {
        self.error(member, offset, Layer::File, what.to_string())
    }

    fn error(&self, member: Option<&[u8]>, offset: u64, layer: Layer, what: String) -> Error {
        let place = Place { member: member.map(printable), offset, layer };
        Error::Damaged { archive: self.archive.clone(), place, what }
    }

    /// Whether a member of that name would be extracted.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        plain(name).is_ok_and(|path| lib_of(&path, &self.gpus).is_some())
    }

    /// Extracts a member if it is wanted; its data must be next in the stream. Leaves the stream anywhere up
    /// to the end of the data.
    pub(super) fn offer(
        &mut self,
        member: &Member,
        stream: &mut Stream<impl Read>,
    ) -> Result<(), Error> {
        let bad = |this: &Self, what: &str| this.damaged(Some(&member.name), member.offset, what);
        let path = plain(&member.name).map_err(|what| bad(self, what))?;
        if is_version_text(&path)
            && matches!(member.kind, Kind::File)
            && member.size <= LONGEST_TEXT
        {
            return self.read_version(&path, member, stream);
        }
        let Some(lib) = lib_of(&path, &self.gpus) else { return Ok(()) };
        // The only other name that the library needs is generated from its SONAME.
        if matches!(member.kind, Kind::Link(_)) && is_library(&path) {
            return Ok(());
        }
        if self.entries.len() >= self.limits.members {
            let what = format!("it holds more than {} files of rocBLAS", self.limits.members);
            return Err(bad(self, &what));
        }
        let content = match &member.kind {
            Kind::Directory => return Ok(()),
            Kind::Other(what) => {
                return Err(bad(self, &format!("it is {what}, which no rocBLAS contains")));
            }
            Kind::File => self.file(member, stream)?,
            Kind::Link(target) => {
                let target = Path::new(OsStr::from_bytes(target));
                let stays = follow(&path, target).is_some_and(|to| to.starts_with(&lib));
                if !stays {
                    return Err(bad(self, &format!("{} points out of the backend", arrow(target))));
                }
                Content::Link { target: target.to_owned() }
            }
            Kind::HardLink(to) => self.hard_link(member, to)?,
        };
        match self.entries.entry(path) {
            Entry::Vacant(entry) => {
                entry.insert(content);
                Ok(())
            }
            Entry::Occupied(_) => Err(bad(self, "a second member has this name")),
        }
    }

    fn file(&mut self, member: &Member, stream: &mut Stream<impl Read>) -> Result<Content, Error> {
        let name = Some(&member.name[..]);
        if member.size > self.limits.taken - self.taken {
            let most = indicatif::HumanBytes(self.limits.taken);
            let what = format!("with its {} bytes, rocBLAS would be over {most}", member.size);
            return Err(self.damaged(name, member.offset, what));
        }
        // Neither set-user-ID bits nor unreadable permissions are taken from an archive.
        let mode = if member.mode & 0o111 == 0 { 0o644 } else { 0o755 };
        let modified = member.modified.map_or(0, i64::from);
        let content = |from| Content::File { from, size: member.size, mode, modified };
        self.taken += member.size;
        let is_library = plain(&member.name).is_ok_and(|path| is_library(&path));
        if self.staging.listing && !is_library {
            return Ok(content(Contents::Listed));
        }
        let own = self.next_name();
        let shown = printable(&member.name);
        let unwritable = |source| Error::Unwritable { path: (&shown).into(), source };
        self.check_space(member.size).map_err(unwritable)?;
        // O_EXCL also fails for a symlink at that name instead of following it.
        let name_of_file = Name::new(&own).expect("a number");
        let mut new = self.staging.directory.create(name_of_file).map_err(unwritable)?;
        let mut buffer = vec![0; 1 << 17];
        let mut left = member.size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let position = stream.position();
            let n = match stream.fill(&mut buffer[..most]) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                other => other,
            };
            let n = n.map_err(|e| self.unread(name, position, &e))?;
            new.write_all(&buffer[..n]).map_err(unwritable)?;
            left -= n as u64;
        }
        files::finish(&new, mode, modified).map_err(unwritable)?;
        Ok(content(Contents::Staged(self.staging.directory.clone(), own)))
    }

    /// Reports a full disk before it is full.
    fn check_space(&self, needed: u64) -> io::Result<()> {
        let free = self.staging.free()?;
        if needed > free {
            let what = format!(
                "it needs {}, but only {} are free; free some space, or place fewer Tensile files with \
                 --gpu",
                indicatif::HumanBytes(needed),
                indicatif::HumanBytes(free)
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        Ok(())
    }

    fn hard_link(&mut self, member: &Member, to: &[u8]) -> Result<Content, Error> {
        let bad = |this: &Self, what: &str| {
            let what = format!("as a hard link to {}, {what}", printable(to));
            this.damaged(Some(&member.name), member.offset, what)
        };
        let target = plain(to).map_err(|what| bad(self, what))?;
        let Some(Content::File { from, size, mode, modified }) = self.entries.get(&target).cloned()
        else {
            return Err(bad(self, "which is not a preceding file of rocBLAS"));
        };
        // A separate file, since the caller may move each of them.
        let from = match from {
            Contents::Staged(directory, first) => {
                let own = self.next_name();
                let names = [&first, &own].map(|name| Name::new(name).expect("a number"));
                let linked = directory.link(names[0], &directory, names[1]);
                linked.map_err(|source| Error::Unwritable { path: target, source })?;
                Contents::Staged(directory, own)
            }
            other => other,
        };
        Ok(Content::File { from, size, mode, modified })
    }

    fn next_name(&mut self) -> String {
        self.files += 1;
        self.files.to_string()
    }

    fn read_version(
        &mut self,
        path: &Path,
        member: &Member,
        stream: &mut Stream<impl Read>,
    ) -> Result<(), Error> {
        let text = stream.text(member.size, LONGEST_TEXT);
        let text = text.map_err(|e| self.unread(Some(&member.name), stream.position(), &e))?;
        let text = String::from_utf8_lossy(&text);
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name));
        let version = match path.file_name().and_then(OsStr::to_str) {
            Some("control") => field("Version:"),
            Some(".PKGINFO") => field("pkgver ="),
            _ => Some(&*text),
        };
        self.package_version(version.unwrap_or_default());
        Ok(())
    }
}

/// Whether a member contains the version of the archive's contents: of a Debian package, of an Arch package,
/// of a ROCm tree.
fn is_version_text(path: &Path) -> bool {
    path == Path::new("control") || path == Path::new(".PKGINFO") || path.ends_with(".info/version")
}

/// A member's name as a path from the archive's top, without `.`; or why it is invalid.
fn plain(name: &[u8]) -> Result<PathBuf, &'static str> {
    if name.len() as u64 > LONGEST_NAME {
        return Err("its name is longer than any path");
    }
    if name.contains(&0) {
        return Err("its name has a zero byte");
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err("its name climbs out of the archive with `..`"),
            Component::RootDir | Component::Prefix(_) => return Err("its name is absolute"),
        }
    }
    Ok(path)
}

/// The target of a symlink as a path from the archive's top; None if that is outside or unknown.
pub(super) fn follow(link: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = link.parent()?.to_owned();
    for component in target.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn arrow(target: &Path) -> String {
    format!("a symlink to {}", printable(target.as_os_str().as_bytes()))
}
