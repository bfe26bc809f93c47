//! A tree under attack: a root directory with the canary around it, created from a template for every
//! attempt.

use super::canary::{Canary, Model};
use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use tests::{
    artefacts,
    run::run,
    small_tree::{self, BACKEND, LIB, STOCK},
};

/// The state of a root before it is made hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// ROCm 7.0.2 as installed.
    Stock,
    /// The same after `apply`.
    Applied,
    /// The same after `apply`, without dpkg's database.
    AppliedWithoutDpkg,
    /// Without dpkg's database.
    StockWithoutDpkg,
}

/// Roots to start from, a backend, and a package of the backend.
#[derive(Debug)]
pub(crate) struct Template {
    directory: TempDir,
    model: Model,
}

/// A file system that is not on a disk, so that `apply` does not spend time on syncs.
const MEMORY: &str = "/dev/shm";

/// A temporary directory, in memory if possible.
pub(crate) fn directory() -> TempDir {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("hostile-");
        builder
    };
    builder().tempdir_in(MEMORY).or_else(|_| builder().tempdir()).expect("make a directory")
}

impl Template {
    pub(crate) fn new() -> Self {
        let directory = directory();
        let at = |name: &str| directory.path().join(name);
        small_tree::lay_out(&at("stock"));
        small_tree::lay_out_backend(&at("backend"));
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(at("backend")).arg("-cf").arg(at("package.tar"));
        run(tar.arg("lib")).success();
        let database = |name: &str| fs::remove_dir_all(at(name).join("var/lib/dpkg"));
        small_tree::duplicate(&at("stock"), &at("bare"));
        database("bare").expect("remove");
        for (from, to) in [("stock", "applied"), ("bare", "applied-bare")] {
            small_tree::duplicate(&at(from), &at(to));
            let mut apply = small_tree::installer(&at(to));
            apply.args(["apply", "--name", "6.3.0", "--backend"]).arg(at("backend"));
            apply.arg("--shim").arg(artefacts::shim());
            run(&mut apply).success();
        }
        let lib = |root: &str| small_tree::at(&at(root), LIB);
        let journal = fs::read_to_string(lib("applied-bare").join("rocblas-shim/journal.json"));
        let model = Model {
            stock: lib("stock").join(STOCK),
            backend: at("backend/lib").join(BACKEND),
            journal: journal.expect("a journal"),
        };
        Self { directory, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self, start: Start) -> PathBuf {
        self.path(match start {
            Start::Stock => "stock",
            Start::Applied => "applied",
            Start::AppliedWithoutDpkg => "applied-bare",
            Start::StockWithoutDpkg => "bare",
        })
    }
}

/// A root and its canary.
#[derive(Debug)]
pub(crate) struct Scene {
    top: TempDir,
    pub(crate) canary: Canary,
}

impl Scene {
    pub(crate) fn new(template: &Template, start: Start) -> Self {
        Self::in_directory(template, start, directory())
    }

    /// On a disk, because a file system in memory may be mounted such that devices on it do not work.
    pub(crate) fn on_disk(template: &Template, start: Start) -> Self {
        let builder = tempfile::Builder::new().prefix("hostile-").tempdir();
        Self::in_directory(template, start, builder.expect("make a directory"))
    }

    fn in_directory(template: &Template, start: Start, top: TempDir) -> Self {
        let at = |name: &str| top.path().join(name);
        small_tree::duplicate(&template.start(start), &at("root"));
        small_tree::duplicate(&template.path("backend"), &at("backend"));
        fs::copy(template.path("package.tar"), at("package.tar")).expect("copy");
        for name in ["temporary", "spare"] {
            fs::create_dir(at(name)).expect("make a directory");
        }
        let canary = Canary::new(&at("machine"), &template.model);
        Self { top, canary }
    }

    /// Recreates the canary after it was changed.
    pub(crate) fn new_canary(&mut self, template: &Template) {
        let machine = self.canary.path().to_owned();
        fs::remove_dir_all(&machine).expect("remove");
        self.canary = Canary::new(&machine, &template.model);
    }

    /// Recreates the root and keeps the canary.
    pub(crate) fn new_root(&self, template: &Template, start: Start) {
        for name in ["root", "spare", "temporary"] {
            remove(&self.top.path().join(name));
        }
        small_tree::duplicate(&template.start(start), &self.root());
        for name in ["temporary", "spare"] {
            fs::create_dir(self.top.path().join(name)).expect("make a directory");
        }
    }

    /// The path for `--root`.
    pub(crate) fn root(&self) -> PathBuf {
        self.top.path().join("root")
    }

    /// A path in the root.
    pub(crate) fn at(&self, inside: &str) -> PathBuf {
        small_tree::at(&self.root(), inside)
    }

    /// A name in the library directory.
    pub(crate) fn lib(&self, name: &str) -> PathBuf {
        self.at(LIB).join(name)
    }

    /// A name in the store.
    pub(crate) fn store(&self, name: &str) -> PathBuf {
        self.lib("rocblas-shim").join(name)
    }

    /// A path of the canary.
    pub(crate) fn machine(&self, name: &str) -> PathBuf {
        self.canary.path().join(name)
    }

    /// The backend's tree, outside the root.
    pub(crate) fn backend(&self) -> PathBuf {
        self.top.path().join("backend")
    }

    /// The backend's package, outside the root.
    pub(crate) fn package(&self) -> PathBuf {
        self.top.path().join("package.tar")
    }

    /// A path in a directory that belongs neither to the root nor to the canary, on the same file system.
    pub(crate) fn spare(&self, name: &str) -> PathBuf {
        self.top.path().join("spare").join(name)
    }

    /// The directory to which `collect` copies, outside the root.
    pub(crate) fn image(&self) -> PathBuf {
        self.top.path().join("spare/into")
    }

    /// The directory that commands use as the machine's `/tmp`.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.top.path().join("temporary")
    }

    /// The target of a link that climbs from anywhere in the root to a path of the canary.
    pub(crate) fn climbing(&self, name: &str) -> PathBuf {
        let machine = self.machine(name);
        let absolute = machine.to_str().expect("UTF-8").trim_start_matches('/');
        PathBuf::from("../".repeat(40) + absolute)
    }

    /// Replaces what is at a path with a symlink.
    pub(crate) fn link(&self, at: &Path, target: impl AsRef<Path>) {
        remove(at);
        make_parent(at);
        symlink(target, at).expect("link");
    }

    /// Replaces what is at a path with a hard link to a file of the canary.
    pub(crate) fn hard_link(&self, at: &Path, name: &str) {
        remove(at);
        make_parent(at);
        fs::hard_link(self.machine(name), at).expect("link");
    }

    /// Replaces what is at a path with a file.
    pub(crate) fn write(&self, at: &Path, bytes: impl AsRef<[u8]>) {
        remove(at);
        make_parent(at);
        fs::write(at, bytes).expect("write");
    }

    /// Files of the attempt that contain the secret and are not the canary's own.
    pub(crate) fn leaks(&self, secret: &str) -> Vec<PathBuf> {
        let finder = memchr::memmem::Finder::new(secret);
        self.files(|path, metadata| {
            metadata.len() < MOST_SEARCHED
                && fs::read(path).is_ok_and(|bytes| finder.find(&bytes).is_some())
        })
    }

    /// Files of the attempt that run with the rights of their owner or group, and are not the
    /// canary's own.
    pub(crate) fn privileged(&self) -> Vec<PathBuf> {
        self.files(|_, metadata| metadata.mode() & 0o6000 != 0)
    }

    /// Files in the root, in `spare` and in the temporary directory that are not hard links to the canary's.
    fn files(&self, wanted: impl Fn(&Path, &fs::Metadata) -> bool) -> Vec<PathBuf> {
        let mut own = Vec::new();
        walk(self.canary.path(), &mut |_, metadata| own.push((metadata.dev(), metadata.ino())));
        let mut found = Vec::new();
        for directory in ["root", "temporary", "spare"] {
            walk(&self.top.path().join(directory), &mut |path, metadata| {
                let is_own = own.contains(&(metadata.dev(), metadata.ino()));
                if metadata.is_file() && !is_own && wanted(path, metadata) {
                    found.push(path.to_owned());
                }
            });
        }
        found
    }
}

/// Larger files were made by a case and have no contents.
const MOST_SEARCHED: u64 = 64 << 20;

fn walk(directory: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata)) {
    // Directories that a command removed or made unreadable meanwhile do not leak anything.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        visit(&path, &metadata);
        if metadata.is_dir() {
            walk(&path, visit);
        }
    }
}

fn make_parent(path: &Path) {
    fs::create_dir_all(path.parent().expect("in a directory")).expect("make a directory");
}

/// Removes whatever is at a path.
pub(crate) fn remove(path: &Path) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    let removed = if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
