//! Files of the wrong kind under the names that the installer reads, writes and replaces: pipes without
//! writers, endless devices, sockets, directories, links to themselves.

use super::{
    attempt::{Case, Verb, case, examine},
    scene::{Scene, Start, remove},
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::{fs, path::Path};

/// Names in the library directory, or paths in the root if they begin with a slash.
const PLACES: [&str; 19] = [
    "rocblas-shim",
    "rocblas-shim/journal.json",
    "rocblas-shim/shim.toml",
    "rocblas-shim/incoming",
    "rocblas-shim/kept",
    "rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300",
    "rocblas-shim/backends/6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx906.dat",
    "rocblas-shim/backends/other",
    "librocblas.so.5",
    "librocblas.so.5.0.70002",
    "librocblas.so.5.99.0",
    "libamdhip64.so.6",
    "cmake/rocblas/rocblas-targets-release.cmake",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/rocm.conf",
    "/var/lib/dpkg/info/rocblas.list",
    "/var/lib/dpkg/diversions",
    "/usr/bin/program",
];

/// What is put there.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pipe,
    Socket,
    /// `/dev/zero`.
    Device,
    Directory,
    Loop,
}

fn put(kind: Kind, at: &Path) {
    remove(at);
    fs::create_dir_all(at.parent().expect("in a directory")).expect("make a directory");
    let node = |kind, device| {
        mknodat(CWD, at, kind, Mode::from_raw_mode(0o666), device).expect("make a node");
    };
    match kind {
        Kind::Pipe => node(FileType::Fifo, 0),
        Kind::Socket => node(FileType::Socket, 0),
        Kind::Device => node(FileType::CharacterDevice, makedev(1, 5)),
        Kind::Directory => {
            fs::create_dir(at).expect("make a directory");
            fs::write(at.join("inner"), "inner").expect("write");
        }
        Kind::Loop => {
            let own = at.file_name().expect("a name");
            std::os::unix::fs::symlink(own, at).expect("link");
        }
    }
}

fn place(scene: &Scene, path: &str) -> std::path::PathBuf {
    if path.starts_with('/') { scene.at(path) } else { scene.lib(path) }
}

fn cases(kind: Kind) -> Vec<Case> {
    let one = |path: &'static str| {
        let case = case(format!("{path} is a {kind:?}"), Start::Applied, move |scene| {
            put(kind, &place(scene, path));
        });
        // Not all commands: those that wait take long, and all of them open the same files.
        case.only(
            &[Verb::Status, Verb::Verify, Verb::Doctor, Verb::Inspect, Verb::List],
            &[Verb::Apply, Verb::ApplyBackend, Verb::Collect, Verb::Repair, Verb::Revert],
        )
    };
    PLACES.map(one).into()
}

#[test]
fn pipes_are_not_waited_for() {
    examine("pipes", cases(Kind::Pipe));
}

#[test]
fn sockets_directories_and_loops_are_errors_at_most() {
    let kinds = [Kind::Socket, Kind::Directory, Kind::Loop];
    examine("sockets, directories and loops", kinds.into_iter().flat_map(cases).collect());
}

#[test]
fn devices_are_not_read() {
    examine("devices", cases(Kind::Device).into_iter().map(Case::has_devices).collect());
}
