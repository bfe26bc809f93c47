//! What it costs to place a library of a quarter of a gigabyte in the store: shared blocks (reflink)
//! where the file system has them, else a copy in the kernel; reading it for its digest; an exchange of
//! names for a file that is kept. Files are in the page cache, below cargo's target
//! directory.

use installer::{
    files::{Incoming, digest},
    lib_dir::LibDir,
    place::Place,
    root::Root,
    state::FileState,
};
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

const SIZE: u64 = 256 << 20;

/// A file with bytes that no file system stores in less, and a place for its copies.
static FILE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("make a directory");
    let path = directory.path().join("library");
    let mut file = File::create(&path).expect("make a file");
    let mut state = 1_u64;
    for _ in 0..SIZE / (1 << 16) {
        let block: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()
        })
        .take((1 << 16) / 8)
        .flatten()
        .collect();
        file.write_all(&block).expect("write");
    }
    file.sync_all().expect("write to disk");
    (directory, path)
});

fn place(name: &str) -> PathBuf {
    FILE.0.path().join(name)
}

fn lib() -> LibDir {
    let root = Root::new(FILE.0.path()).expect("a root");
    LibDir::open(&root, Path::new("/")).expect("a directory")
}

/// As `apply` places a backend: copied and read for its digest.
#[divan::bench(sample_count = 5)]
fn placed_with_its_digest(bencher: divan::Bencher<'_, '_>) {
    let (lib, to) = (lib(), Place::new("placed".as_ref()).expect("plain"));
    bencher.bench_local(|| {
        let source = File::open(&FILE.1).expect("open");
        let state = FileState::of(&source.metadata().expect("there"));
        let mut incoming = Incoming::open(&lib).expect("a store");
        let (new, _) = incoming.copy(source, &state, "library").expect("copy");
        new.replace(lib.directory(), to.name()).expect("rename");
    });
}

/// As `std::fs::copy` has it, by `copy_file_range`.
#[divan::bench(sample_count = 5)]
fn copied_in_the_kernel(bencher: divan::Bencher<'_, '_>) {
    let to = place("copied");
    bencher.bench_local(|| fs::copy(&FILE.1, &to).expect("copy"));
}

/// Read and written through a buffer of 1 MiB.
#[divan::bench(sample_count = 5)]
fn copied_by_hand(bencher: divan::Bencher<'_, '_>) {
    let to = place("by-hand");
    bencher.bench_local(|| {
        let (mut source, mut copy) =
            (File::open(&FILE.1).expect("open"), File::create(&to).expect("make"));
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = source.read(&mut buffer).expect("read");
            if read == 0 {
                return;
            }
            copy.write_all(&buffer[..read]).expect("write");
        }
    });
}

/// BLAKE3.
#[divan::bench(sample_count = 5)]
fn digested() -> String {
    digest(File::open(&FILE.1).expect("open"), "library").expect("read")
}

/// As `apply` keeps a file of the user's and puts a link in its place: the two are exchanged.
#[divan::bench]
fn kept_by_an_exchange(bencher: divan::Bencher<'_, '_>) {
    let lib = lib();
    let place = |name: &str| Place::new(name.as_ref()).expect("plain");
    let (front, kept) = (place("front"), place("kept"));
    let mut incoming = Incoming::open(&lib).expect("a store");
    bencher
        .with_inputs(|| {
            drop((fs::remove_file(self::place("front")), fs::remove_file(self::place("kept"))));
            fs::hard_link(&FILE.1, self::place("front")).expect("a second name");
        })
        .bench_local_values(|()| {
            let new = incoming.link(Path::new("target")).expect("a link");
            let directory = lib.directory();
            new.exchange(directory, front.name(), directory, kept.name()).expect("exchanged");
        });
}

#[expect(clippy::disallowed_macros, reason = "benchmarks print their results")]
fn main() {
    let (source, copy) = (File::open(&FILE.1).expect("open"), File::create(place("shared")));
    let shares = rustix::fs::ioctl_ficlone(copy.expect("make"), source).is_ok();
    println!(
        "{} MiB; this file system {} share blocks",
        SIZE >> 20,
        if shares { "can" } else { "cannot" }
    );
    divan::main();
}
