//! Files in the tree that are hard links to files of the machine: a user who owns the tree can create hard
//! links to other users' files. Writing to such a file in place, or changing its mode or times, changes the
//! other user's file.

use super::{
    attempt::{Case, case, examine},
    scene::{Scene, Start},
};
use std::path::PathBuf;
use tests::small_tree::BACKEND;

/// A name in the library directory, or a path in the root if it begins with a slash, and the machine's file
/// that it is a hard link to.
const PLACES: [(&str, &str, Start); 26] = [
    ("librocblas.so.5.99.0", "victims/plain", Start::Stock),
    ("librocblas.so.5.99.0", "victims/setuid", Start::Applied),
    ("librocblas.so.5", "victims/private", Start::Stock),
    ("librocblas.so.5", "victims/setuid", Start::Applied),
    ("librocblas.so", "lib/librocblas.so.5.0.70002", Start::StockWithoutDpkg),
    ("librocblas.so.5.0.70002", "lib/librocblas.so.5.0.70002", Start::Stock),
    ("librocblas.so.5.0.70002", "lib/librocblas.so.5.0.70002", Start::Applied),
    ("librocblas.so.5.1.99999", "lib/librocblas.so.5.0.70002", Start::Applied),
    ("libamdhip64.so.6", "victims/plain", Start::Stock),
    ("rocblas-shim/shim.toml", "lib/rocblas-shim/shim.toml", Start::Stock),
    ("rocblas-shim/shim.toml", "lib/rocblas-shim/shim.toml", Start::Applied),
    ("rocblas-shim/shim.toml", "victims/private", Start::Applied),
    ("rocblas-shim/journal.json", "lib/rocblas-shim/journal.json", Start::StockWithoutDpkg),
    ("rocblas-shim/journal.json", "lib/rocblas-shim/journal.json", Start::AppliedWithoutDpkg),
    ("rocblas-shim/journal.json", "victims/private", Start::Applied),
    ("rocblas-shim/kept/shim.toml", "victims/private", Start::Stock),
    ("rocblas-shim/incoming/1", "victims/setuid", Start::Stock),
    ("rocblas-shim/incoming/journal", "victims/private", Start::Applied),
    ("rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300", "victims/plain", Start::Applied),
    ("rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300", "victims/others", Start::Stock),
    (
        "rocblas-shim/backends/6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx906.dat",
        "victims/private",
        Start::Applied,
    ),
    (
        "rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002",
        "lib/librocblas.so.5.0.70002",
        Start::Applied,
    ),
    ("/etc/ld.so.cache", "etc/ld.so.cache", Start::Applied),
    ("/var/lib/dpkg/diversions", "var/lib/dpkg/diversions", Start::Stock),
    ("/var/lib/dpkg/diversions", "var/lib/dpkg/diversions", Start::Applied),
    ("/usr/bin/program", "victims/setuid", Start::Applied),
];

fn place(scene: &Scene, path: &str) -> PathBuf {
    if path.starts_with('/') { scene.at(path) } else { scene.lib(path) }
}

#[test]
fn files_of_the_machine_under_other_names_stay_as_they_are() {
    let shared = |(path, file, start): (&'static str, &'static str, Start)| {
        let name = format!("{path} of a {start:?} tree is the machine's {file}");
        case(name, start, move |scene| scene.hard_link(&place(scene, path), file)).shares()
    };
    let mut cases: Vec<Case> = PLACES.map(shared).into();
    // A backend to be placed may itself be a file of the machine.
    for file in ["victims/private", "lib/librocblas.so.4.3.60300"] {
        let name = format!("the backend's library is the machine's {file}");
        cases.push(
            case(name, Start::Stock, move |scene| {
                scene.hard_link(&scene.backend().join("lib").join(BACKEND), file);
            })
            .shares(),
        );
    }
    examine("shared files", cases);
}
