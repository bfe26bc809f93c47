//! Looking a path up in a root step by step, for kernels without `openat2`: each component is opened
//! relative to the one before without following it, a link's target is walked in its place, and `..`
//! goes back to the descriptor that was opened before. No step can leave the root, whatever is
//! exchanged meanwhile.

use super::{MAX_LINKS, reversed, target};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

const STEP: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens what a path inside leads to, with the flags that a caller of `openat` would give.
pub(super) fn look_up(root: BorrowedFd<'_>, inside: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    // The directories on the way, the root not among them.
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut rest = reversed(inside);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            above.pop();
            continue;
        }
        let directory = above.last().map_or(root, AsFd::as_fd);
        let entry = openat(directory, &name, STEP, Mode::empty())?;
        let metadata = File::from(entry.try_clone()?).metadata()?;
        let last = rest.is_empty();
        if metadata.is_symlink() && !(last && flags.contains(OFlags::NOFOLLOW)) {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            let target = target(&entry)?;
            if target.is_absolute() {
                above.clear();
            }
            rest.extend(reversed(&target));
            continue;
        }
        if last && !metadata.is_dir() {
            if flags.contains(OFlags::DIRECTORY) {
                return Err(Errno::NOTDIR.into());
            }
            // Not a link a moment ago; if it is one now, that is an error and not followed.
            return Ok(openat(directory, &name, flags | OFlags::NOFOLLOW, Mode::empty())?);
        }
        if !metadata.is_dir() {
            return Err(Errno::NOTDIR.into());
        }
        above.push(entry);
    }
    let directory = above.last().map_or(root, AsFd::as_fd);
    Ok(openat(directory, c".", flags, Mode::empty())?)
}
