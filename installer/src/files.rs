//! The file-system operations that steps are made of: each one takes effect in one atomic call, and
//! what it needs before that happens in the `incoming` directory of the store.

use crate::{
    journal::STORE,
    progress::Bar,
    root::{Root, open_regular},
    state::{FileState, State},
};
use anyhow::{Context, Result};
use std::{
    fs::{self, File, FileTimes, Permissions},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Where new files are prepared: in the store, so on the same file system. Whatever is in it is
/// unfinished and belongs to nobody, so it is emptied by whoever comes next.
#[derive(Debug)]
pub struct Incoming {
    directory: PathBuf,
    count: u32,
}

impl Incoming {
    /// Makes the store and an empty directory in it.
    pub fn open(root: &Root, lib: &Path) -> Result<Self> {
        let store = root.on_machine(&lib.join(STORE));
        let directory = store.join("incoming");
        let open = || -> io::Result<()> {
            make_directory(&store)?;
            remove_tree(&directory)?;
            make_directory(&directory)
        };
        open().with_context(|| format!("cannot prepare {}", directory.display()))?;
        Ok(Self { directory, count: 0 })
    }

    /// The directory, on the machine.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// An empty sub-directory.
    pub fn sub_directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.directory.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A name in it that is not taken.
    fn name(&mut self) -> PathBuf {
        self.count += 1;
        self.directory.join(self.count.to_string())
    }

    /// Removes the directory.
    pub fn close(self) -> io::Result<()> {
        remove_tree(&self.directory)
    }

    /// Puts a copy of a file at a path in place of what is there. Time and permissions are the
    /// source's. Answers the copy's state with its digest.
    pub fn place_copy(&mut self, from: &Path, to: &Path) -> io::Result<FileState> {
        let new = self.name();
        let state = copy(from, &new)?;
        fs::rename(&new, to)?;
        Ok(state)
    }

    /// Puts a file with these bytes at a path in place of what is there.
    pub fn place_bytes(
        &mut self,
        bytes: &[u8],
        modified: i64,
        mode: u32,
        to: &Path,
    ) -> io::Result<()> {
        let new = self.name();
        fs::write(&new, bytes)?;
        let file = File::options().write(true).open(&new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        set_modified(&file, modified)?;
        fs::rename(&new, to)
    }

    /// Puts a link at a path in place of what is there.
    pub fn place_link(&mut self, target: &Path, to: &Path) -> io::Result<()> {
        let new = self.name();
        symlink(target, &new)?;
        fs::rename(&new, to)
    }

    /// Gives a file a second name, so that its first can go: nothing is copied and nothing is
    /// missing in between. Where the file system has no hard links it is copied, owner and all.
    pub fn keep(&mut self, from: &Path, at: &Path) -> io::Result<()> {
        match fs::hard_link(from, at) {
            Err(e) if no_hard_links(&e) => {
                let new = self.name();
                copy(from, &new)?;
                let metadata = from.symlink_metadata()?;
                std::os::unix::fs::lchown(&new, Some(metadata.uid()), Some(metadata.gid()))?;
                fs::rename(&new, at)
            }
            other => other,
        }
    }
}

fn no_hard_links(error: &io::Error) -> bool {
    let codes = [libc::EPERM, libc::EXDEV, libc::EMLINK, libc::EOPNOTSUPP, libc::ENOSYS];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Makes a directory that may be there already.
pub fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && is_directory(path) => Ok(()),
        other => other,
    }
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Removes a file or link that may be gone already.
pub fn remove(path: &Path) -> io::Result<()> {
    gone_is_fine(fs::remove_file(path))
}

/// Removes a directory if it is empty. Answers whether it is gone.
pub fn remove_directory(path: &Path) -> io::Result<bool> {
    match gone_is_fine(fs::remove_dir(path)) {
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        other => other.map(|()| true),
    }
}

/// Removes a directory with all that is in it.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    gone_is_fine(fs::remove_dir_all(path))
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Everything written so far to the file system of a directory is on disk when this answers. Once
/// before the switch, instead of once per file: a Tensile library has hundreds.
pub fn sync(directory: &Path) -> io::Result<()> {
    let directory = File::open(directory)?;
    match rustix::fs::syncfs(directory.as_fd()) {
        // A file system without it writes through or has nothing to write.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => Ok(()),
        other => Ok(other?),
    }
}

/// Copies a file. Answers the copy's state with its digest.
fn copy(from: &Path, to: &Path) -> io::Result<FileState> {
    let source = open_regular(from)?;
    let mut state = FileState::of(&source.metadata()?);
    state.mode = plain_mode(state.mode);
    duplicate(source, &state, to)?;
    state.digest = Some(digest(to)?);
    Ok(state)
}

/// Makes a new file with another's bytes, of a state's size, permissions and time: shared blocks where
/// the file system has them (reflink), else in the kernel (copy_file_range), else by hand;
/// `std::io::copy` does the latter two.
pub(crate) fn duplicate(mut source: File, state: &FileState, to: &Path) -> io::Result<()> {
    let mut new = File::options().write(true).read(true).create_new(true).open(to)?;
    if rustix::fs::ioctl_ficlone(&new, &source).is_err() {
        let copied = io::copy(&mut source, &mut new)?;
        if copied != state.size {
            return Err(io::Error::other(format!(
                "the source of {} changed while it was copied: {copied} of {} bytes",
                to.display(),
                state.size
            )));
        }
    }
    new.set_permissions(Permissions::from_mode(state.mode))?;
    set_modified(&new, state.modified)
}

/// A library's permissions without set-user-ID bits and the like, readable by all.
#[must_use]
pub fn plain_mode(mode: u32) -> u32 {
    (mode & 0o755) | 0o644
}

/// Sets the time of the last change, in seconds since 1970.
fn set_modified(file: &File, modified: i64) -> io::Result<()> {
    let seconds = u64::try_from(modified).unwrap_or(0);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(time))
}

/// The BLAKE3 digest of a file of the machine, in hexadecimal.
pub fn digest(path: &Path) -> io::Result<String> {
    let mut file = open_regular(path)?;
    let size = file.metadata()?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bar = Bar::bytes(&format!("Reading {name}"), size);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..n]);
        bar.advance(n as u64);
    }
}

/// The digest of what a state says is at a path, if it is a file.
pub fn state_with_digest(root: &Root, inside: &Path) -> io::Result<State> {
    let mut state = State::of(root, inside)?;
    if let State::File(file) = &mut state {
        file.digest = Some(digest(&root.find_entry(inside)?)?);
    }
    Ok(state)
}
