//! Traces of very many calls: neither the traced program nor a summary needs more memory for them, and a
//! summary shows its progress.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::Stdio,
};
use tests::{artefacts, long_trace::LongTrace};

const PEAK_MEMORY: &str = env!("CARGO_BIN_EXE_peak_memory");

#[test]
fn more_calls_take_no_more_memory() {
    let memory = |calls| {
        let trace = LongTrace::of(calls, PEAK_MEMORY);
        [trace.recorded, trace.summarised(artefacts::installer())].map(|taken| taken.memory)
    };
    // The records have 18 and 70 megabytes. Depending on the load of the machine, one segment more or less of each
    // thread is in memory at the same time.
    for (few, many) in memory(100_000).into_iter().zip(memory(400_000)) {
        assert!(many < few + 10_000, "{few} kB for few, {many} kB for four times as many");
        assert!(many < 30_000, "{many} kB");
    }
}

/// Both ends of a new terminal.
fn terminal() -> (File, OwnedFd) {
    let outside = File::options().read(true).write(true).open("/dev/ptmx").expect("a terminal");
    let unlocked = 0;
    // SAFETY: an open terminal, and an integer.
    let failed = unsafe { libc::ioctl(outside.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    assert_eq!(failed, 0);
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: as above; it returns a new descriptor.
    let inside = unsafe { libc::ioctl(outside.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    assert!(inside >= 0);
    // SAFETY: the new descriptor, which is not owned elsewhere.
    (outside, unsafe { OwnedFd::from_raw_fd(inside) })
}

#[test]
fn a_summary_shows_its_progress_on_a_terminal() {
    let trace = LongTrace::of(75_000, PEAK_MEMORY);
    let (mut outside, inside) = terminal();
    let mut command = crate::installer();
    command.env("TERM", "xterm").args(["trace", "summary"]).arg(trace.directory());
    let mut child = command.stdout(Stdio::null()).stderr(inside).spawn().expect("start");
    // Otherwise reading would not end.
    drop(command);
    let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
    // Linux returns EIO once the inner end is not open any more.
    while let Ok(read @ 1..) = outside.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..read]);
    }
    assert!(child.wait().expect("wait").success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("Reading the trace") && shown.contains(" MiB"), "{shown:?}");
}
