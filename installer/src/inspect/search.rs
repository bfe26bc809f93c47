//! The bounded search for Python environments and applications with ROCm's libraries, which people put
//! anywhere below a few directories.
//!
//! The search is breadth first, so that a deep place does not hide a shallow one. It has limits for the depth
//! and the number of directories, and reports when it stops early. It does not enter the homes of other
//! users, network mounts and the kernel's file systems, and follows a symlink only to check for a Python
//! environment directly behind it.

use super::layout::{self, Layout};
use crate::{output, root::Root};
use rocblas_contract::{libraries::ROCBLAS, store::STORE};
use rustix::fs::FileType;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where environments are created, besides the user's own home.
const PREFIXES: [&str; 10] = [
    "/opt",
    "/usr/local",
    "/srv",
    "/app",
    "/workspace",
    "/media",
    "/mnt",
    "/data",
    "/venv",
    "/root",
];

/// Levels below a prefix. `/media/USER/DISK/programs/AI/ComfyUI/venv` is six below.
const MOST_LEVELS: usize = 8;

/// The maximum number of directories to read. On a warm ext4 that takes under a second.
const MOST_DIRECTORIES: usize = 20_000;

/// When the user is told about a slow search.
const LONG: Duration = Duration::from_secs(2);

/// Directories that contain no installed libraries: caches, histories, sources, and the shim's own store.
const SKIPPED: [&str; 12] = [
    STORE,
    ".cache",
    ".cargo",
    ".config",
    ".git",
    ".npm",
    ".rustup",
    "__pycache__",
    "lost+found",
    "node_modules",
    // conda's unpacked packages, which environments hard-link.
    "pkgs",
    "site-packages",
];

/// The first and last user IDs of people; `nobody` follows.
const PEOPLE: std::ops::Range<u32> = 1000..65_534;

/// The result, inside the root.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Directories that have `lib/python3*`.
    pub(super) pythons: Vec<PathBuf>,
    /// Library directories of other known layouts.
    pub(super) libs: Vec<PathBuf>,
}

/// Searches a root, and reports when it takes long and when it had to stop.
pub(super) fn search(root: &Root) -> Found {
    Search::new(root).run(MOST_DIRECTORIES)
}

struct Search<'a> {
    root: &'a Root,
    found: Found,
    /// Directories to read, with their level.
    queue: VecDeque<(PathBuf, usize)>,
    /// Device and inode of directories that have been read: bind mounts may form loops.
    seen: BTreeSet<(u64, u64)>,
    homes_of_others: BTreeSet<PathBuf>,
    /// Types of the mounted file systems by device.
    mounts: BTreeMap<u64, String>,
}

impl<'a> Search<'a> {
    fn new(root: &'a Root) -> Self {
        let people = people(root);
        let own = own_homes(root, &people);
        let others = people.into_iter().map(|(_, home)| home).filter(|home| !own.contains(home));
        let homes_of_others: BTreeSet<PathBuf> = others.collect();
        let prefixes = PREFIXES.iter().map(PathBuf::from).chain(own);
        let queue = prefixes
            .filter_map(|prefix| Some((root.resolve(&prefix).ok()?, 0)))
            .filter(|(prefix, _)| prefix != Path::new("/"))
            .collect();
        let mounts = mounts();
        Self {
            root,
            found: Found::default(),
            queue,
            seen: BTreeSet::new(),
            homes_of_others,
            mounts,
        }
    }

    fn run(mut self, most: usize) -> Found {
        let begun = Instant::now();
        let mut is_said = false;
        while let Some((directory, level)) = self.queue.pop_front() {
            if self.seen.len() >= most {
                output::notice(&format!(
                    "stopped searching for ROCm's libraries after {most} directories, before {}: name \
                     a missing tree with --rocm DIR",
                    output::shown(&directory)
                ));
                break;
            }
            if !is_said && begun.elapsed() > LONG {
                is_said = true;
                output::notice(&format!(
                    "searching for ROCm's libraries below {}; --rocm DIR avoids the search",
                    PREFIXES.join(", ")
                ));
            }
            self.read(&directory, level);
        }
        self.found
    }

    /// Reads a directory. An unreadable one has nothing for this user.
    fn read(&mut self, directory: &Path, level: usize) {
        let Ok(opened) = self.root.open_directory(directory) else { return };
        let Ok(metadata) = opened.metadata() else { return };
        let is_new = self.seen.insert((metadata.dev(), metadata.ino()));
        if !is_new || self.homes_of_others.contains(directory) || self.is_remote(metadata.dev()) {
            return;
        }
        let Ok(entries) = opened.entries() else { return };
        let is_library = |name: &OsString| name.to_string_lossy().starts_with(ROCBLAS);
        let has_libraries = entries.iter().any(|(name, _)| is_library(name) || name == STORE);
        if has_libraries && layout::recognise(self.root, directory).0 != Layout::Other {
            self.found.libs.push(directory.to_owned());
        }
        if entries.iter().any(|(name, _)| is_lib(name)) && is_python(self.root, directory) {
            self.found.pythons.push(directory.to_owned());
        }
        if level >= MOST_LEVELS {
            return;
        }
        let in_lib = directory.file_name().is_some_and(is_lib);
        for (name, kind) in entries {
            let path = directory.join(&name);
            let text = name.to_string_lossy();
            if SKIPPED.contains(&text.as_ref()) || in_lib && text.starts_with("python3") {
                continue;
            }
            match kind {
                FileType::Directory => self.queue.push_back((path, level + 1)),
                FileType::Symlink if is_python(self.root, &path) => self.found.pythons.push(path),
                FileType::Unknown
                    if self.root.metadata_of_entry(&path).is_ok_and(|m| m.is_dir()) =>
                {
                    self.queue.push_back((path, level + 1));
                }
                _ => {}
            }
        }
    }

    /// Whether reading a file system may wait for another machine, or finds no user files.
    fn is_remote(&self, device: u64) -> bool {
        // A Btrfs subvolume has a device of its own that is not listed.
        self.mounts.get(&device).is_some_and(|kind| is_remote_type(kind))
    }
}

fn is_lib(name: &(impl AsRef<OsStr> + ?Sized)) -> bool {
    matches!(name.as_ref().to_str(), Some("lib" | "lib64"))
}

fn is_python(root: &Root, directory: &Path) -> bool {
    ["lib", "lib64"].iter().any(|lib| {
        let names = root.names(&directory.join(lib)).unwrap_or_default();
        names.iter().any(|name| name.to_string_lossy().starts_with("python3"))
    })
}

/// Of FUSE, only `fuseblk` is on a disk of this machine (NTFS); `fuse.sshfs` and others may block.
fn is_remote_type(kind: &str) -> bool {
    const BEGINNINGS: [&str; 14] = [
        "nfs", "cifs", "smb", "9p", "ceph", "afs", "lustre", "gluster", "gpfs", "beegfs", "fuse.",
        "autofs", "cgroup", "dev",
    ];
    const KERNELS: [&str; 7] =
        ["fuse", "proc", "sysfs", "debugfs", "tracefs", "securityfs", "configfs"];
    KERNELS.contains(&kind) || BEGINNINGS.iter().any(|beginning| kind.starts_with(beginning))
}

/// From the machine, whatever root is searched: devices are the kernel's.
fn mounts() -> BTreeMap<u64, String> {
    let text = super::reading::machine_text_up_to(Path::new("/proc/self/mountinfo"), 1 << 22);
    text.unwrap_or_default().lines().filter_map(mount).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: the device and the type.
fn mount(line: &str) -> Option<(u64, String)> {
    let (numbers, kind) = line.split_once(" - ")?;
    let (high, low) = numbers.split(' ').nth(2)?.split_once(':')?;
    let device = rustix::fs::makedev(high.parse().ok()?, low.parse().ok()?);
    Some((device, kind.split(' ').next()?.to_owned()))
}

/// The users of a root with their homes.
fn people(root: &Root) -> Vec<(u32, PathBuf)> {
    let text = root.read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let person = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let user: u32 = fields.next()?.parse().ok()?;
        let home = PathBuf::from(fields.nth(2)?);
        (PEOPLE.contains(&user) && home.is_absolute()).then_some((user, home))
    };
    text.lines().filter_map(person).collect()
}

/// The homes of the user who runs this, including through sudo. In another root only root's own counts.
fn own_homes(root: &Root, people: &[(u32, PathBuf)]) -> BTreeSet<PathBuf> {
    if !root.is_system() {
        return BTreeSet::new();
    }
    let by_sudo = std::env::var("SUDO_UID").ok().and_then(|user| user.parse().ok());
    let users = [Some(rustix::process::geteuid().as_raw()), by_sudo];
    let own = people.iter().filter(|(user, _)| users.contains(&Some(*user)));
    own.map(|(_, home)| home.clone()).collect()
}

#[cfg(test)]
mod tests;
