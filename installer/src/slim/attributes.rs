//! Owner, permissions and extended attributes of a replaced file.

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

/// Linux's limit for the length of a list and of a value, in bytes (xattr(7)).
const LONGEST: usize = 64 << 10;

/// Gives a new file another file's permissions, without the set-user-ID, set-group-ID and sticky bits.
pub(super) fn copy_mode(original: &Metadata, new: &File) -> Result<()> {
    remove_access_list(new)?;
    fchmod(new, Mode::from_raw_mode(original.mode() & 0o777)).context("cannot set permissions")
}

/// Removes an access control list inherited from the directory's default, which would grant others access
/// once the permissions are set.
fn remove_access_list(new: &File) -> Result<()> {
    match fremovexattr(new, c"system.posix_acl_access") {
        Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        Err(e) => Err(e).context("cannot remove the inherited access control list"),
    }
}

/// Copies everything except contents and times from one file to another. Fails if an attribute cannot be
/// kept.
pub(super) fn copy_all(file: &File, original: &Metadata, new: &File) -> Result<()> {
    let now = new.metadata()?;
    let (uid, gid) = (original.uid(), original.gid());
    if (now.uid(), now.gid()) != (uid, gid) {
        match fchown(new, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
            Err(Errno::PERM | Errno::INVAL) => bail!(
                "the new file cannot be given the old file's user {uid} and group {gid}; run \
                 the command as root, or use --output"
            ),
            other => other.context("cannot set the owner")?,
        }
    }
    // The old file's list is copied below, if it has one.
    remove_access_list(new)?;
    // This must follow the change of owner, which clears set-user-ID bits.
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
        // The system may already have set some.
        if fgetxattr(new, name, present.as_mut_slice()).is_ok_and(|n| present[..n] == *value) {
            continue;
        }
        fsetxattr(new, name, value, XattrFlags::empty())
            .with_context(|| format!("cannot keep the attribute {shown}; use --output"))?;
    }
    Ok(())
}
