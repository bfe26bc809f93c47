//! Owner, permissions and extended attributes of a file that takes another's place.

use anyhow::{Context, Result, bail};
use rustix::{
    fs::{
        Gid, Mode, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr,
    },
    io::Errno,
};
use std::{
    ffi::CStr,
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

/// The longest list and value that Linux has, in bytes (xattr(7)).
const LONGEST: usize = 64 << 10;

/// Gives a new file the permissions of another, without set-user-ID bits and the like.
pub(super) fn copy_mode(original: &Metadata, new: &File) -> Result<()> {
    remove_access_list(new)?;
    fchmod(new, Mode::from_raw_mode(original.mode() & 0o777)).context("cannot set permissions")
}

/// A directory may give new files a list of who else has access, which permissions would open further.
fn remove_access_list(new: &File) -> Result<()> {
    match fremovexattr(new, c"system.posix_acl_access") {
        Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        Err(e) => Err(e).context("cannot remove the inherited access control list"),
    }
}

/// Gives a new file all that another has besides its contents and times. Fails where one of them cannot be
/// kept.
pub(super) fn copy_all(file: &File, original: &Metadata, new: &File) -> Result<()> {
    let now = new.metadata()?;
    let (uid, gid) = (original.uid(), original.gid());
    if (now.uid(), now.gid()) != (uid, gid) {
        match fchown(new, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
            Err(Errno::PERM | Errno::INVAL) => bail!(
                "the new file could not belong to user {uid} and group {gid} as the old one does; run \
                 the command as root, or use --output"
            ),
            other => other.context("cannot set the owner")?,
        }
    }
    // The old one's is copied below, if it has one.
    remove_access_list(new)?;
    // After the owner, whose change clears set-user-ID bits.
    let mode = Mode::from_raw_mode(original.mode() & 0o7777);
    fchmod(new, mode).context("cannot set permissions")?;
    copy_extended(file, new)
}

/// Copies extended attributes: labels, capabilities, access control lists.
fn copy_extended(file: &File, new: &File) -> Result<()> {
    let mut names = vec![0; LONGEST];
    let length = match flistxattr(file, names.as_mut_slice()) {
        Err(Errno::NOTSUP) => return Ok(()),
        other => other.context("cannot list extended attributes")?,
    };
    let mut value = vec![0; LONGEST];
    let mut present = vec![0; LONGEST];
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).context("a malformed extended attribute")?;
        let shown = name.to_string_lossy();
        let length = fgetxattr(file, name, value.as_mut_slice());
        let length = length.with_context(|| format!("cannot read the attribute {shown}"))?;
        let value = &value[..length];
        // The system has set some already.
        if fgetxattr(new, name, present.as_mut_slice()).is_ok_and(|n| present[..n] == *value) {
            continue;
        }
        fsetxattr(new, name, value, XattrFlags::empty())
            .with_context(|| format!("cannot keep the attribute {shown}; use --output"))?;
    }
    Ok(())
}
