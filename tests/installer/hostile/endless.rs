//! Files without an end in place of small ones: reading one completely would take all memory, or forever.
//! They are sparse, so they take no space.

use super::{
    attempt::{Verb, case, examine},
    scene::{Scene, Start},
};
use std::{
    fs::{self, File},
    path::PathBuf,
};

/// As much as fits into the address space of a command, and more than anybody would wait for.
const SIZES: [u64; 2] = [3 << 29, 1 << 40];

const PLACES: [&str; 11] = [
    "rocblas-shim/journal.json",
    "rocblas-shim/shim.toml",
    "cmake/rocblas/rocblas-targets-release.cmake",
    "../.info/version",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/rocm.conf",
    "/etc/os-release",
    "/var/lib/dpkg/info/rocblas.list",
    "/var/lib/dpkg/diversions",
    "/var/lib/dpkg/status",
];

fn place(scene: &Scene, path: &str) -> PathBuf {
    if path.starts_with('/') { scene.at(path) } else { scene.lib(path) }
}

#[test]
fn files_without_an_end_are_not_read_whole() {
    let mut cases = Vec::new();
    for path in PLACES {
        for size in SIZES {
            let name = format!("{path} has {} GiB", size >> 30);
            let endless = case(name, Start::Applied, move |scene| {
                let path = place(scene, path);
                fs::create_dir_all(path.parent().expect("in a directory")).expect("make");
                let file = File::options().create(true).append(true).open(path).expect("open");
                file.set_len(size).expect("make it long");
            });
            cases.push(endless.only(
                &[Verb::Status, Verb::Doctor, Verb::Inspect, Verb::List],
                &[Verb::Apply, Verb::Collect, Verb::Repair, Verb::Revert],
            ));
        }
    }
    examine("endless files", cases);
}
