//! Any bytes as the remains of a trace of a process with one thread: whatever the damage, every command that
//! reads it terminates, and the commands agree on its contents.

#![no_main]

use installer::trace::{
    export::{self, Format},
    report,
    select::Select,
    show, summary,
};
use rocblas_trace::{
    layout::{
        BEGIN, ClockPoint, HEADER_SIZE, Head, SEGMENT_SIZE, SEQUENCE, SegmentHeader,
    },
    process,
};
use std::fs;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Two bytes for the length of the process document, with one bit of them as a flag for what follows.
    let Some((&[low, high], rest)) = bytes.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes([low, high & 0x7f])).min(rest.len());
    let (document, file) = rest.split_at(length);
    let mut file = file.to_vec();
    if high & 0x80 != 0 {
        correct_checksums(&mut file);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join(process::PROCESS), document).expect("write");
    fs::write(directory.path().join(process::thread_file(1)), &file).expect("write");

    let Ok(summary) = summary::summary(directory.path()) else { return };
    let _ = summary::text(&summary, 20);
    // Its size is bounded in any case.
    let (page, _) = report::report(directory.path()).expect("a page");
    assert!(page.len() < 8 << 20);
    let (mut shown, select) = (Vec::new(), Select::default());
    let options = show::Options { long: true, ..show::Options::default() };
    show::show(directory.path(), &options, &mut shown).expect("shown");
    for format in [
        Format::Chrome,
        Format::Jsonl,
        Format::Csv,
        Format::Bench,
        Format::Folded,
        Format::FoldedTime,
    ] {
        let mut out = Vec::new();
        export::export(directory.path(), format, &select, &mut out).expect("exported");
        if matches!(format, Format::Jsonl) {
            let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(lines(&out), lines(&shown));
            assert!(lines(&out) as u64 <= summary.calls);
        }
    }
});

/// Corrects the checksums of a plausible file, so that the data after them is read.
fn correct_checksums(file: &mut [u8]) {
    let Some(segments) = file.get_mut(HEADER_SIZE..) else { return };
    for segment in segments.chunks_mut(SEGMENT_SIZE) {
        let mut words: Vec<u64> = segment
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
            .collect();
        if let [magic, number, sequence, ticks, monotonic, check, ..] = words.as_mut_slice() {
            let clock = ClockPoint { ticks: *ticks, monotonic: *monotonic };
            let (number, sequence) = (*number, *sequence);
            let header = SegmentHeader { magic: *magic, number, sequence, clock, check: 0 };
            *check = header.checked().check;
        }
        let mut at = size_of::<SegmentHeader>() / 8;
        while at + BEGIN < words.len() && words[at] != 0 {
            let head = Head(words[at]).checked(words[at + SEQUENCE], words[at + BEGIN]);
            words[at] = head.0;
            at += head.words().max(1);
        }
        for (bytes, word) in segment.chunks_exact_mut(8).zip(&words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}
