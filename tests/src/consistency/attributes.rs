//! The attributes of an inode: mode, owner, time of the last change, extended attributes.

use rustix::{
    fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, XattrFlags},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, Metadata, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, lchown},
    },
    path::Path,
};

/// Attributes of a file, directory or link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Time of the last change, seconds and nanoseconds; zero for a directory, whose time changes
    /// with its names.
    pub modified: (i64, i64),
    /// Extended attributes, sorted by name.
    pub extended: Vec<(OsString, Vec<u8>)>,
}

impl Attributes {
    /// Reads the attributes of the file at a path, which is followed if it is a link in `/proc/PID/fd`.
    pub(super) fn read(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        let extended = if metadata.is_symlink() { Vec::new() } else { extended(path)? };
        Ok(Self {
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            modified: if metadata.is_dir() { (0, 0) } else { modified },
            extended,
        })
    }

    /// Sets them on a new file, directory or link.
    pub(super) fn write(&self, path: &Path, is_link: bool) -> io::Result<()> {
        let metadata = path.symlink_metadata()?;
        if (metadata.uid(), metadata.gid()) != self.owner {
            lchown(path, Some(self.owner.0), Some(self.owner.1))?;
        }
        if !is_link {
            for (name, value) in &self.extended {
                rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?;
            }
            // After the owner, because changing the owner clears mode bits.
            fs::set_permissions(path, Permissions::from_mode(self.mode))?;
        }
        if !metadata.is_dir() {
            let (seconds, nanoseconds) = self.modified;
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
            };
            rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }
}

/// Empty if the file system has no extended attributes.
fn extended(path: &Path) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let mut names = vec![0; 1 << 12];
    let length = match rustix::fs::listxattr(path, &mut names[..]) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        other => other?,
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut extended = Vec::new();
    for name in names.map(OsStr::from_bytes) {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::getxattr(path, name, &mut value[..])?;
        value.truncate(length);
        extended.push((name.to_owned(), value));
    }
    extended.sort();
    Ok(extended)
}
