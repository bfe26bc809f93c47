//! The cost of a one-gigabyte backend: `apply`, `status`, `verify`, `repair` and `revert`, each once, with
//! the bytes that the process read and wrote, and those that were transferred from and to the disk. TMPDIR
//! selects the file system.
//!
//! `cargo bench --package tests --bench gigabyte`

use rustix::process::{Pid, WaitIdOptions, WaitIdStatus, waitid};
use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};
use tests::{
    amd_tree::{AmdTree, Backend, rocm_6_3},
    artefacts,
};

const SIZE: u64 = 1 << 30;

fn main() {
    let tree = AmdTree::new();
    let outside = tempfile::tempdir().expect("make a directory");
    let backend = rocm_6_3(outside.path(), Backend::Needing(&[]));
    enlarge(&backend.join("librocblas.so.4.3.60300"));
    rustix::fs::sync();
    let shim = artefacts::shim().to_str().expect("UTF-8");
    let source = backend.to_str().expect("UTF-8");
    println!(
        "| command | time | read | written | of that to the disk |\n|---|---:|---:|---:|---:|"
    );
    for words in [
        &["apply", "--backend", source, "--shim", shim][..],
        &["status"],
        &["apply"],
        &["verify"],
        &["repair"],
        &["revert"],
    ] {
        let mut command = Command::new(artefacts::released_installer());
        command.arg("--root").arg(tree.root()).args(words);
        measure(words[0], &mut command);
    }
}

/// Appends incompressible bytes to a library, which does not use them.
fn enlarge(library: &Path) {
    let mut file = File::options().write(true).open(library).expect("open");
    let mut left = SIZE - file.seek(SeekFrom::End(0)).expect("seek");
    let mut state = 1_u64;
    while left > 0 {
        let block: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()
        })
        .take((1 << 20) / 8)
        .flatten()
        .take(usize::try_from(left).unwrap_or(usize::MAX))
        .collect();
        file.write_all(&block).expect("write");
        left -= block.len() as u64;
    }
}

fn measure(name: &str, command: &mut Command) {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().expect("start");
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    // The process has ended but has not been waited for, so its counters can be read.
    let ended: Option<WaitIdStatus> =
        waitid(rustix::process::WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .expect("wait");
    assert!(ended.is_some());
    let elapsed = begun.elapsed();
    let counts = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap_or_default();
    assert!(child.wait().expect("wait").success(), "{name} fails");
    let count = |field: &str| {
        let line = counts.lines().find_map(|line| line.strip_prefix(field));
        let bytes = line.and_then(|rest| rest.trim_start_matches(':').trim().parse::<u64>().ok());
        bytes.map_or("?".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000))
    };
    println!(
        "| `{name}` | {:.2} s | {} | {} | {} |",
        elapsed.as_secs_f64(),
        count("rchar"),
        count("wchar"),
        count("write_bytes")
    );
}
