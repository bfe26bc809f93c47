//! The shim's descriptors in the program's table.
//!
//! A program may close every descriptor that it did not open, as daemons do, and its next file may get the
//! number of a descriptor of the shim. So a [`Descriptor`] remembers which file it was opened for, and
//! compares before each use and before it is closed. A race remains: another thread may close the
//! descriptor in the few instructions between the comparison and the use.

use core::{
    mem::MaybeUninit,
    sync::atomic::{AtomicI32, AtomicU64, Ordering},
};
use std::{
    io,
    os::fd::{IntoRawFd, OwnedFd, RawFd},
};

/// The identity of a file: no two existing files have the same (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(number: RawFd) -> io::Result<Self> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: memory for the structure; for an invalid descriptor fstat returns an error.
        if unsafe { libc::fstat(number, stat.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: filled, as the call succeeded.
        let stat = unsafe { stat.assume_init() };
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// A descriptor that is used, and closed, only while it still refers to the file it was opened for.
#[derive(Debug)]
pub(super) struct Descriptor {
    number: RawFd,
    file: FileId,
}

impl Descriptor {
    /// # Errors
    /// `EBADF`: the program has closed it already.
    pub(super) fn new(opened: impl Into<OwnedFd>) -> io::Result<Self> {
        // Must not be closed if the identity below cannot be read.
        let number = opened.into().into_raw_fd();
        Ok(Self { number, file: FileId::of(number)? })
    }

    /// The file that it was opened for.
    pub(super) fn file(&self) -> FileId {
        self.file
    }

    /// The number, for immediate use; the caller must not close it.
    ///
    /// # Errors
    /// `EBADF`: the program has closed it, and the number may refer to another file.
    pub(super) fn number(&self) -> io::Result<RawFd> {
        if FileId::of(self.number)? == self.file {
            Ok(self.number)
        } else {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
    }

    /// Writes all bytes at an offset. Returns `EFBIG` where a limit on file sizes would raise SIGXFSZ.
    pub(super) fn write_all_at(&self, mut bytes: &[u8], mut offset: usize) -> io::Result<()> {
        if (offset + bytes.len()) as u64 > longest_file() {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        while !bytes.is_empty() {
            // SAFETY: memory of that length.
            let written = unsafe {
                libc::pwrite(
                    self.number()?,
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    offset as libc::off_t,
                )
            };
            match usize::try_from(written) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written;
                }
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Ok(number) = self.number() {
            // SAFETY: the shim's own descriptor, which is not used again.
            unsafe { libc::close(number) };
        }
    }
}

/// A descriptor that a forked child must close. It belongs to a thread that does not exist in the child.
pub(super) struct Inherited {
    /// -1 for none.
    number: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Inherited {
    pub(super) const fn none() -> Self {
        Self { number: AtomicI32::new(-1), device: AtomicU64::new(0), inode: AtomicU64::new(0) }
    }

    /// Sets the descriptor that children inherit. Only one thread at a time may call this.
    pub(super) fn set(&self, descriptor: &Descriptor) {
        self.device.store(descriptor.file.device, Ordering::Relaxed);
        self.inode.store(descriptor.file.inode, Ordering::Relaxed);
        self.number.store(descriptor.number, Ordering::Release);
    }

    /// Children no longer inherit one.
    pub(super) fn clear(&self) {
        self.number.store(-1, Ordering::Relaxed);
    }

    /// In a forked child: takes the child's copy.
    pub(super) fn take(&self) -> Option<Descriptor> {
        let number = self.number.swap(-1, Ordering::Acquire);
        let file = FileId {
            device: self.device.load(Ordering::Relaxed),
            inode: self.inode.load(Ordering::Relaxed),
        };
        (number >= 0).then_some(Descriptor { number, file })
    }
}

/// The longest file that this process may write, in bytes (`ulimit -f`).
pub(super) fn longest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: memory for the result.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsRawFd};

    /// A descriptor of the shim whose number the program has closed and reused for its own file.
    fn replaced() -> (Descriptor, File) {
        let mine = tempfile::tempfile().expect("a file");
        let other = tempfile::tempfile().expect("a file");
        let descriptor = Descriptor::new(mine).expect("open");
        // SAFETY: atomically makes the descriptor's number a duplicate of the second one, which is what is
        // tested; other tests open files meanwhile.
        assert!(unsafe { libc::dup2(other.as_raw_fd(), descriptor.number) } >= 0);
        (descriptor, other)
    }

    #[test]
    fn another_file_of_the_same_number_is_neither_used_nor_closed() {
        let (descriptor, other) = replaced();
        let number = descriptor.number;
        let error = descriptor.number().expect_err("another file");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(descriptor.write_all_at(b"x", 0).is_err());
        assert_eq!(other.metadata().expect("its length").len(), 0);
        let shared = Inherited::none();
        shared.set(&descriptor);
        drop(shared.take());
        drop(descriptor);
        let file = FileId::of(other.as_raw_fd()).expect("open");
        assert_eq!(FileId::of(number).expect("still open"), file);
        // SAFETY: this test's own duplicate.
        unsafe { libc::close(number) };
    }

    #[test]
    fn a_childs_copy_is_taken_once() {
        let shared = Inherited::none();
        assert!(shared.take().is_none());
        let descriptor = Descriptor::new(tempfile::tempfile().expect("a file")).expect("open");
        shared.set(&descriptor);
        let copy = shared.take().expect("set");
        assert_eq!((copy.number, copy.file), (descriptor.number, descriptor.file));
        core::mem::forget(copy);
        assert!(shared.take().is_none());
        shared.set(&descriptor);
        shared.clear();
        assert!(shared.take().is_none());
    }
}
