//! The system calls that change files, and which of their arguments name the files.

use super::{
    Call,
    observer::{Attempt, Spot},
    places::{Place, Places},
    tracee::Entry,
};
use libc::{O_CREAT, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, c_long};

/// How a call names the file that it changes; the numbers are positions of arguments.
#[derive(Clone, Copy)]
enum Argument {
    /// A path, relative to the current directory.
    Path(usize),
    /// A directory descriptor and a path relative to it. A null or empty path means the descriptor itself.
    At(usize, usize),
    /// A descriptor.
    Descriptor(usize),
}

use Argument::{At, Descriptor, Path};

/// The condition under which a call counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Always, and a full disk makes it fail.
    Takes,
    /// Always.
    Changes,
    /// If its flags, in that argument, are not read-only.
    Opens(usize),
    /// As `Opens`, with the flags in a `struct open_how`.
    OpensHow(usize),
    /// If it is a request to share blocks with another file.
    Clones,
}

use Kind::{Changes, Clones, Opens, OpensHow, Takes};

type Row = (c_long, &'static str, &'static [Argument], Kind);

/// From the manual's section 2, as of Linux 6.12. `link` changes its first path too: its count of
/// links.
const CALLS: &[Row] = &[
    (libc::SYS_open, "open", &[Path(0)], Opens(1)),
    (libc::SYS_openat, "openat", &[At(0, 1)], Opens(2)),
    (libc::SYS_openat2, "openat2", &[At(0, 1)], OpensHow(2)),
    (libc::SYS_creat, "creat", &[Path(0)], Takes),
    (libc::SYS_write, "write", &[Descriptor(0)], Takes),
    (libc::SYS_pwrite64, "pwrite", &[Descriptor(0)], Takes),
    (libc::SYS_writev, "writev", &[Descriptor(0)], Takes),
    (libc::SYS_pwritev, "pwritev", &[Descriptor(0)], Takes),
    (libc::SYS_pwritev2, "pwritev2", &[Descriptor(0)], Takes),
    (libc::SYS_sendfile, "sendfile", &[Descriptor(0)], Takes),
    (libc::SYS_splice, "splice", &[Descriptor(2)], Takes),
    (libc::SYS_copy_file_range, "copy_file_range", &[Descriptor(2)], Takes),
    (libc::SYS_ioctl, "ioctl", &[Descriptor(0)], Clones),
    (libc::SYS_fallocate, "fallocate", &[Descriptor(0)], Takes),
    (libc::SYS_truncate, "truncate", &[Path(0)], Changes),
    (libc::SYS_ftruncate, "ftruncate", &[Descriptor(0)], Changes),
    (libc::SYS_rename, "rename", &[Path(0), Path(1)], Takes),
    (libc::SYS_renameat, "renameat", &[At(0, 1), At(2, 3)], Takes),
    (libc::SYS_renameat2, "renameat2", &[At(0, 1), At(2, 3)], Takes),
    (libc::SYS_link, "link", &[Path(0), Path(1)], Takes),
    (libc::SYS_linkat, "linkat", &[At(0, 1), At(2, 3)], Takes),
    (libc::SYS_symlink, "symlink", &[Path(1)], Takes),
    (libc::SYS_symlinkat, "symlinkat", &[At(1, 2)], Takes),
    (libc::SYS_mkdir, "mkdir", &[Path(0)], Takes),
    (libc::SYS_mkdirat, "mkdirat", &[At(0, 1)], Takes),
    (libc::SYS_mknod, "mknod", &[Path(0)], Takes),
    (libc::SYS_mknodat, "mknodat", &[At(0, 1)], Takes),
    (libc::SYS_unlink, "unlink", &[Path(0)], Changes),
    (libc::SYS_unlinkat, "unlinkat", &[At(0, 1)], Changes),
    (libc::SYS_rmdir, "rmdir", &[Path(0)], Changes),
    (libc::SYS_chmod, "chmod", &[Path(0)], Changes),
    (libc::SYS_fchmod, "fchmod", &[Descriptor(0)], Changes),
    (libc::SYS_fchmodat, "fchmodat", &[At(0, 1)], Changes),
    (libc::SYS_fchmodat2, "fchmodat2", &[At(0, 1)], Changes),
    (libc::SYS_chown, "chown", &[Path(0)], Changes),
    (libc::SYS_lchown, "lchown", &[Path(0)], Changes),
    (libc::SYS_fchown, "fchown", &[Descriptor(0)], Changes),
    (libc::SYS_fchownat, "fchownat", &[At(0, 1)], Changes),
    (libc::SYS_utime, "utime", &[Path(0)], Changes),
    (libc::SYS_utimes, "utimes", &[Path(0)], Changes),
    (libc::SYS_futimesat, "futimesat", &[At(0, 1)], Changes),
    (libc::SYS_utimensat, "utimensat", &[At(0, 1)], Changes),
    (libc::SYS_setxattr, "setxattr", &[Path(0)], Takes),
    (libc::SYS_lsetxattr, "lsetxattr", &[Path(0)], Takes),
    (libc::SYS_fsetxattr, "fsetxattr", &[Descriptor(0)], Takes),
    (libc::SYS_removexattr, "removexattr", &[Path(0)], Changes),
    (libc::SYS_lremovexattr, "lremovexattr", &[Path(0)], Changes),
    (libc::SYS_fremovexattr, "fremovexattr", &[Descriptor(0)], Changes),
    // With delayed allocation, a full disk is reported here.
    (libc::SYS_fsync, "fsync", &[Descriptor(0)], Takes),
    (libc::SYS_fdatasync, "fdatasync", &[Descriptor(0)], Takes),
    (libc::SYS_syncfs, "syncfs", &[Descriptor(0)], Takes),
    // It names no file, so it is shown to observers only.
    (libc::SYS_sync, "sync", &[], Changes),
];

/// The numbers of all these calls.
pub(super) fn numbers() -> Vec<u32> {
    CALLS.iter().map(|row| u32::try_from(row.0).expect("a system call's number")).collect()
}

/// The flags of a call that opens a file; 0 for other calls.
fn open_flags(kind: Kind, entry: &Entry) -> Option<u64> {
    match kind {
        Opens(flags) => Some(entry.arguments[flags]),
        // `flags` is the first field.
        OpensHow(how) => entry.tracee.word(entry.arguments[how]),
        Takes | Changes | Clones => Some(0),
    }
}

/// Whether a full disk makes the call fail; `None` if it does not change anything.
fn takes_space(kind: Kind, entry: &Entry) -> Option<bool> {
    match kind {
        Takes => Some(true),
        Changes => Some(false),
        Opens(_) | OpensHow(_) => opens(open_flags(kind, entry)?),
        Clones => {
            let request = entry.arguments[1];
            [libc::FICLONE, libc::FICLONERANGE].contains(&request).then_some(true)
        }
    }
}

/// The call that is about to be made, for an observer, if it is one of [`CALLS`].
pub(super) fn attempted(entry: &Entry) -> Option<Attempt> {
    let (_, name, arguments, kind) = CALLS.iter().find(|row| row.0 == entry.number)?;
    takes_space(*kind, entry)?;
    let flags = match *name {
        "creat" => (O_CREAT | O_WRONLY | O_TRUNC) as u64,
        "renameat2" => entry.arguments[4],
        _ => open_flags(*kind, entry)?,
    };
    let places = Places { tracee: &entry.tracee, below: std::path::Path::new("/") };
    let spots = arguments
        .iter()
        .filter_map(|argument| match *argument {
            Path(path) => places.spot(libc::AT_FDCWD, entry.arguments[path]),
            At(directory, path) => {
                places.spot(entry.arguments[directory] as i32, entry.arguments[path])
            }
            Descriptor(descriptor) => {
                Some(Spot::Opened(places.descriptor(entry.arguments[descriptor] as i32)))
            }
        })
        .collect();
    Some(Attempt { thread: entry.tracee.id, name, spots, flags })
}

/// The call that is about to be made, if it counts.
pub(super) fn counted(entry: &Entry, below: &std::path::Path) -> Option<Call> {
    let (_, name, arguments, kind) = CALLS.iter().find(|row| row.0 == entry.number)?;
    let takes_space = takes_space(*kind, entry)?;
    let places = Places { tracee: &entry.tracee, below };
    let places: Vec<Place> = arguments
        .iter()
        .filter_map(|argument| match *argument {
            Path(path) => places.named(libc::AT_FDCWD, entry.arguments[path]),
            At(directory, path) => {
                places.named(entry.arguments[directory] as i32, entry.arguments[path])
            }
            Descriptor(descriptor) => places.opened(entry.arguments[descriptor] as i32),
        })
        .collect();
    if !places.iter().any(|place| place.is_below) {
        return None;
    }
    let paths = places.into_iter().map(|place| place.path).collect();
    Some(Call { name, paths, takes_space })
}

/// Whether opening a file with these flags may create one; `None` if it is opened read-only.
fn opens(flags: u64) -> Option<bool> {
    let has = |flag: i32| flags & flag as u64 == flag as u64;
    let makes = has(O_CREAT) || has(O_TMPFILE);
    let writes = has(O_WRONLY) || has(O_RDWR) || has(O_TRUNC);
    (makes || writes).then_some(makes)
}
