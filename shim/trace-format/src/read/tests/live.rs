//! Tests readers of a trace whose program is still running.

use super::{super::testing::Writer, PER_SEGMENT, many};
use crate::{
    layout::END,
    read::{Merged, Next, Record, Table, ThreadReader},
};
use std::{fs, path::PathBuf, sync::Arc};
use tempfile::TempDir;

/// A file that a program writes.
struct Live {
    directory: TempDir,
}

impl Live {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("thread-0001.trace")
    }

    fn write(&self, writer: &Writer) {
        fs::write(self.path(), &writer.bytes).expect("write");
    }

    fn reader(&self) -> ThreadReader {
        ThreadReader::open(&self.path(), Arc::new(Table::default()), true).expect("a thread's file")
    }
}

/// The names of the calls that come next.
fn names(merged: &mut Merged) -> Vec<&'static str> {
    let mut names = Vec::new();
    while let Next::Record(_, Record::Call(call)) = merged.next() {
        names.push(call.name());
    }
    names
}

/// The name of the call that the first thread is in.
fn under_way(merged: &mut Merged) -> Option<&'static str> {
    match merged.under_way(0).expect("readable") {
        Some(Record::Call(call)) => Some(call.name()),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

#[test]
fn a_call_is_under_way_until_it_ends_and_comes_then() {
    let live = Live::new();
    let mut writer = many(2, None);
    let mut ended = many(2, None);
    writer.call_at("rocblas_sgemm", &[1], 5_000, 0);
    ended.call_at("rocblas_sgemm", &[1], 5_000, 5_100);
    assert_ne!(writer.bytes, ended.bytes, "word {END} of the record");
    live.write(&writer);
    let mut merged = Merged::new(vec![live.reader()]);
    assert_eq!(under_way(&mut merged), None, "there are calls before it");
    assert_eq!(names(&mut merged), ["rocblas_sscal"; 2]);
    for _ in 0..3 {
        assert_eq!(under_way(&mut merged), Some("rocblas_sgemm"), "asking changes nothing");
        merged.refresh().expect("readable");
        assert!(names(&mut merged).is_empty());
    }
    live.write(&ended);
    merged.refresh().expect("readable");
    assert_eq!(names(&mut merged), ["rocblas_sgemm"]);
    assert_eq!(under_way(&mut merged), None);
    assert_eq!(merged.threads()[0].problems(), []);
}

#[test]
fn what_is_skipped_is_not_missing() {
    let live = Live::new();
    let mut writer = many(3 * PER_SEGMENT + 5, None);
    live.write(&writer);
    let mut reader = live.reader();
    reader.skip();
    let mut merged = Merged::new(vec![reader]);
    assert_eq!(names(&mut merged).len(), 5, "those of the last segment");
    for _ in 0..2 * PER_SEGMENT {
        writer.call("rocblas_sscal", &[1]);
    }
    live.write(&writer);
    merged.refresh().expect("readable");
    assert_eq!(names(&mut merged).len(), 2 * PER_SEGMENT);
    let thread = &merged.threads()[0];
    assert_eq!((thread.problems(), thread.overwritten()), (&[][..], 0));
}
