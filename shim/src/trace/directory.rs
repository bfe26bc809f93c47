//! The directory of a trace.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A new directory for this process, `PROGRAM-PID`, with a number if there is one already.
pub(super) fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o777);
    builder.recursive(true).create(parent)?;
    builder.recursive(false);
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A program that was replaced while it ran.
    let program = program.trim_end_matches(" (deleted)");
    let stem = format!("{program}-{}", std::process::id());
    let path = |number: u64| {
        parent.join(if number == 1 { stem.clone() } else { format!("{stem}.{number}") })
    };
    let mut number = free_number(|number| path(number).symlink_metadata().is_ok());
    loop {
        let directory = path(number);
        match builder.create(&directory) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            other => return other.map(|()| directory),
        }
    }
}

/// The number behind those that are taken, from 1 on, in a few steps also where they are thousands. Where
/// there are gaps, one that is free.
fn free_number(is_taken: impl Fn(u64) -> bool) -> u64 {
    let mut free = 1;
    while is_taken(free) {
        free *= 2;
    }
    let mut taken = free / 2;
    while free - taken > 1 {
        let middle = u64::midpoint(taken, free);
        *(if is_taken(middle) { &mut taken } else { &mut free }) = middle;
    }
    free
}

/// Writes a whole file under its name at once, so that no reader sees half of it.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_number_is_found_in_a_few_steps() {
        for taken in 0..70 {
            assert_eq!(free_number(|number| number <= taken), taken + 1);
        }
        let asked = core::cell::Cell::new(0);
        let free = free_number(|number| {
            asked.set(asked.get() + 1);
            number <= 100_000
        });
        assert_eq!(free, 100_001);
        assert!(asked.get() < 40, "{asked:?}");
        assert_eq!(free_number(|number| number == 1 || number == 3), 2);
    }
}
