//! A canary: a separate machine around the tree under attack, with everything that a tree might try to have
//! read, changed or removed.

use rustix::fs::{XattrFlags, lsetxattr};
use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tests::{
    small_tree::{self, BACKEND, LIB, STOCK},
    snapshot::{LINKS, SAME_FILE, Snapshot},
};

/// In every file of the canary, and nowhere else: if it appears elsewhere, a file of the canary was read.
pub(crate) const SECRET: &str = "canary-secret-5f1d";

const SECRET_DESCRIPTION: &str = "Description: canary-secret-5f1d";

/// Another user, who owns some of the canary's files.
const USER: u32 = 12_345;

/// Modes that nobody would give a library.
const FILES: [(&str, u32); 5] = [
    ("victims/plain", 0o644),
    ("victims/private", 0o600),
    ("victims/setuid", 0o4755),
    ("victims/others", 0o640),
    ("etc/shadow", 0o600),
];

/// Names that the installer gives to files in its store, here for text files.
const STORE: [&str; 9] = [
    "backends/6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx906.dat",
    "kept/shim.toml",
    "kept/librocblas.so.5",
    "incoming/1",
    "incoming/2",
    "incoming/journal",
    "incoming/unpacked/1",
    "incoming/unpacked/2",
    "compat/lib/libamdhip64.so.6",
];

/// The files on which a canary is modelled.
#[derive(Debug)]
pub(crate) struct Model {
    /// A stock library.
    pub(crate) stock: PathBuf,
    /// A backend's library.
    pub(crate) backend: PathBuf,
    /// A journal that the installer reads.
    pub(crate) journal: String,
}

/// The directory, and its original state.
#[derive(Debug)]
pub(crate) struct Canary {
    directory: PathBuf,
    before: Snapshot,
}

impl Canary {
    /// Creates a canary with copies of the model's libraries.
    pub(crate) fn new(directory: &Path, model: &Model) -> Self {
        lay_out(directory, model).expect("lay out the canary");
        Self { directory: directory.to_owned(), before: snapshot(directory) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// The changes, one a line. The number of names of a file does not count: giving a file another name is
    /// how a tree gains access to it.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.before.differences(&snapshot(&self.directory))
    }
}

fn snapshot(directory: &Path) -> Snapshot {
    Snapshot::exact(directory).ignoring(LINKS).ignoring(SAME_FILE)
}

/// A text that is different for each name.
fn text(name: &str) -> String {
    format!("# {SECRET} in {name}\n")
}

fn lay_out(machine: &Path, model: &Model) -> std::io::Result<()> {
    let lib = machine.join("lib");
    let write = |path: PathBuf, bytes: &[u8]| {
        fs::create_dir_all(path.parent().expect("in a directory"))?;
        fs::write(path, bytes)
    };
    // A library with trailing bytes is as valid as one without.
    let library = |from: &Path, to: PathBuf| {
        let bytes = fs::read(from)?;
        write(to, &[&bytes, text("a library").as_bytes()].concat())
    };
    for name in [STOCK, "rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002"] {
        library(&model.stock, lib.join(name))?;
    }
    let six = machine.join("opt/rocm-6.3.0/lib").join(BACKEND);
    for to in [lib.join(BACKEND), lib.join("rocblas-shim/backends/6.3.0/lib").join(BACKEND), six] {
        library(&model.backend, to)?;
    }
    for name in ["libamdhip64.so.7.0.70002", "libhipblaslt.so.1.0.70002"] {
        write(lib.join(name), text(name).as_bytes())?;
    }
    for name in ["librocblas.so.5.99.0", "rocblas/library/TensileLibrary_lazy_gfx906.dat"] {
        write(lib.join(name), text(name).as_bytes())?;
    }
    let cmake = format!("{}set(IMPORTED_LOCATION \"{STOCK}\")\n", text("cmake"));
    write(lib.join("cmake/rocblas/rocblas-targets-release.cmake"), cmake.as_bytes())?;
    for name in STORE {
        write(lib.join("rocblas-shim").join(name), text(name).as_bytes())?;
    }
    let journal = model.journal.replacen('{', &format!("{{\"note\": \"{SECRET}\","), 1);
    write(lib.join("rocblas-shim/journal.json"), journal.as_bytes())?;
    let settings = format!("{}backend = \"6.3.0\"\n", text("settings"));
    write(lib.join("rocblas-shim/shim.toml"), settings.as_bytes())?;
    for (link, target) in [
        ("librocblas.so.5", STOCK),
        ("librocblas.so", "librocblas.so.5"),
        ("librocblas.so.4", BACKEND),
        ("libamdhip64.so.7", "libamdhip64.so.7.0.70002"),
        ("libhipblaslt.so.1", "libhipblaslt.so.1.0.70002"),
    ] {
        symlink(target, lib.join(link))?;
    }
    // In the format that dpkg reads: it changes nothing if it cannot parse its database.
    for (name, text) in [
        ("info/rocblas.list", format!("/.\n/usr/share/{SECRET}\n{LIB}/{STOCK}\n")),
        ("diversions", format!("/usr/share/{SECRET}\n/usr/share/{SECRET}.old\n:\n")),
        ("status", small_tree::STATUS.replace("Description: x", SECRET_DESCRIPTION)),
        ("available", String::new()),
    ] {
        write(machine.join("var/lib/dpkg").join(name), text.as_bytes())?;
    }
    for name in ["etc/ld.so.conf", "etc/ld.so.conf.d/secret.conf", "etc/ld.so.cache"] {
        write(machine.join(name), text(name).as_bytes())?;
    }
    victims(machine)?;
    age(machine)
}

fn victims(machine: &Path) -> std::io::Result<()> {
    for (name, mode) in FILES {
        let path = machine.join(name);
        fs::create_dir_all(path.parent().expect("in a directory"))?;
        fs::write(&path, text(name))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        // Not every file system has extended attributes; without them, there is nothing to lose.
        let _ = lsetxattr(&path, c"user.canary", b"kept", XattrFlags::empty());
    }
    let victims = machine.join("victims");
    for (name, mode) in [("empty", 0o755), ("closed", 0o700), ("shared", 0o1777)] {
        fs::create_dir(victims.join(name))?;
        fs::set_permissions(victims.join(name), Permissions::from_mode(mode))?;
    }
    fs::write(victims.join("closed/inner"), text("inner"))?;
    symlink("plain", victims.join("link"))?;
    symlink("absent", victims.join("dangling"))?;
    fs::hard_link(victims.join("plain"), victims.join("second"))?;
    if rustix::process::geteuid().is_root() {
        // This clears set-user-ID bits, so it is not done to the file that has one.
        chown(victims.join("others"), Some(USER), Some(USER))?;
    }
    Ok(())
}

/// Sets all times to a time long ago, so that any change of a time is visible.
fn age(path: &Path) -> std::io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            age(&entry?.path())?;
        }
    }
    if metadata.is_dir() || metadata.is_file() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        File::open(path)?.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(())
}
