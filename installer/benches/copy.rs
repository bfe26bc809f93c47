//! What it costs to place a library of a quarter of a gigabyte in the store: shared blocks (reflink)
//! where the file system has them, else a copy in the kernel; reading it for its digest; a second name
//! for a file that stays on the file system. Files are in the page cache, below cargo's target
//! directory.

use installer::files::{Incoming, digest};
use installer::root::Root;
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

fn incoming() -> Incoming {
    let root = Root::new(FILE.0.path()).expect("a root");
    Incoming::open(&root, Path::new("/")).expect("a store")
}

/// As `apply` places a backend: copied and read for its digest.
#[divan::bench(sample_count = 5)]
fn placed_with_its_digest(bencher: divan::Bencher<'_, '_>) {
    let (source, to) = (&FILE.1, place("placed"));
    bencher.bench_local(|| incoming().place_copy(source, &to).expect("copy"));
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
    digest(&FILE.1).expect("read")
}

/// As `apply` keeps the stock library.
#[divan::bench]
fn kept_by_a_second_name(bencher: divan::Bencher<'_, '_>) {
    let to = place("kept");
    bencher.with_inputs(|| (fs::remove_file(&to), incoming()).1).bench_local_values(
        |mut incoming| {
            incoming.keep(&FILE.1, &to).expect("keep");
        },
    );
}

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
