//! Tests the guarantees of readers: they return every intact record in order, and report damage.

use super::{
    testing::{Writer, index_of, numbers, reader},
    *,
};
use crate::layout::{BEGIN, EVENT, HEAD, HEADER_SIZE, Head, Mode, SEGMENT_SIZE, SEQUENCE};
use proptest::prelude::*;
use std::{fs, sync::Arc};

mod live;

/// Words of a record of `rocblas_sscal`.
const SSCAL_WORDS: usize = 6 + 5 + 1;
const PER_SEGMENT: usize = (SEGMENT_SIZE / 8 - 6 - 1) / SSCAL_WORDS;
/// The offset of the first record.
const FIRST: usize = HEADER_SIZE + 48;

fn many(count: usize, ring: Option<usize>) -> Writer {
    let mut writer = Writer::with_ring(ring);
    for n in 0..count {
        writer.call("rocblas_sscal", &[1, n as u64, 2, 3, 1]);
    }
    writer
}

#[test]
fn every_record_comes_back_in_order_over_segments() {
    let writer = many(3 * PER_SEGMENT + 5, None);
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found, (0..writer.sequence).collect::<Vec<_>>());
    assert_eq!(problems, []);
}

#[test]
fn a_ring_has_the_last_records_and_says_how_many_are_gone() {
    // The older segment is before or after the newer one in the file.
    for segments in [5, 4] {
        let writer = many(segments * PER_SEGMENT + 7, Some(2));
        let (found, problems) = numbers(&writer.bytes);
        let first = (segments - 1) as u64 * PER_SEGMENT as u64;
        assert_eq!(found, (first..writer.sequence).collect::<Vec<_>>());
        assert_eq!(problems, []);
        assert_eq!(reader(&writer.bytes).overwritten(), first);
    }
}

#[test]
fn a_call_in_flight_is_there_without_an_end() {
    let mut writer = many(2, None);
    writer.call_at("rocblas_sgemm", &[1, 111, 111, 64], 5_000, 0);
    let mut reader = reader(&writer.bytes);
    let mut last = None;
    while let Some(record) = reader.next().expect("readable") {
        let Record::Call(call) = record else { panic!("{record:?}") };
        last = Some((call.name(), call.end(), call.argument(3)));
    }
    assert_eq!(last, Some(("rocblas_sgemm", None, 64)));
}

#[test]
fn damage_in_a_head_costs_that_record() {
    let mut writer = many(10, None);
    let third = FIRST + 2 * SSCAL_WORDS * 8;
    writer.bytes[third] ^= 1;
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!((problem.offset, problem.bytes), (third as u64, SSCAL_WORDS as u64 * 8));
    assert_eq!(problem.records, Some(1));
    let text = problem.to_string();
    assert!(text.ends_with("are damaged: 1 records are missing"), "{text}");
}

#[test]
fn damage_that_a_check_does_not_see_costs_that_record() {
    let mut writer = many(PER_SEGMENT + 10, None);
    // The check is over the exclusive or of both words, rotated by some nibbles.
    let third = FIRST + 2 * SSCAL_WORDS * 8;
    for word in [SEQUENCE, BEGIN] {
        writer.bytes[third + word * 8..][..8].iter_mut().for_each(|byte| *byte ^= 0x77);
    }
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found.len() as u64, writer.sequence - 1);
    assert_eq!((problems.len(), problems[0].records), (1, Some(1)));
}

#[test]
fn a_zeroed_head_is_no_end() {
    let mut writer = many(10, None);
    let third = FIRST + 2 * SSCAL_WORDS * 8;
    writer.bytes[third..third + 8].fill(0);
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(problems.len(), 1);
}

#[test]
fn numbers_that_are_left_out_are_missing_records() {
    let mut writer = many(3, None);
    writer.sequence += 5;
    writer.call("rocblas_sscal", &[1]);
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found, [0, 1, 2, 8]);
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    let offset = (FIRST + 3 * SSCAL_WORDS * 8) as u64;
    assert_eq!((problem.offset, problem.bytes, problem.records), (offset, 0, Some(5)));
}

#[test]
fn a_record_of_another_length_than_its_functions_is_none() {
    let mut writer = many(1, None);
    let mut words = [0; SSCAL_WORDS];
    let sgemm = index_of("rocblas_sgemm");
    words[HEAD] = Head::new(sgemm, SSCAL_WORDS as u8, 0, 0).0;
    writer.push(&words);
    writer.call("rocblas_sscal", &[1]);
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found, [0, 2]);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn a_damaged_segment_header_costs_nothing() {
    let mut writer = many(3 * PER_SEGMENT, None);
    writer.bytes[HEADER_SIZE + SEGMENT_SIZE] ^= 1;
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found.len() as u64, writer.sequence);
    assert_eq!(problems, []);
}

#[test]
fn a_lost_segment_is_said() {
    let mut writer = many(3 * PER_SEGMENT, None);
    writer.bytes[HEADER_SIZE + SEGMENT_SIZE..HEADER_SIZE + 2 * SEGMENT_SIZE].fill(0x5a);
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found.len(), 2 * PER_SEGMENT);
    assert!(problems.iter().any(|p| p.bytes == SEGMENT_SIZE as u64), "{problems:?}");
    assert!(problems.iter().any(|p| p.records == Some(PER_SEGMENT as u64)), "{problems:?}");
}

#[test]
fn a_file_that_is_cut_off_has_what_is_before() {
    let writer = many(100, None);
    let cut = FIRST + 40 * SSCAL_WORDS * 8 + 20;
    let (found, problems) = numbers(&writer.bytes[..cut]);
    assert_eq!(found, (0..40).collect::<Vec<_>>());
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn what_an_ended_thread_wrote_is_missed_wherever_its_file_is_cut_off() {
    let total = 2 * PER_SEGMENT + 10;
    let mut writer = many(total, None);
    let whole = writer.end().bytes.clone();
    assert_eq!(numbers(&whole), ((0..total as u64).collect(), vec![]));
    let segment = |n: usize| HEADER_SIZE + n * SEGMENT_SIZE;
    for cut in [segment(0), segment(0) + 20, segment(1), segment(1) + 5000, segment(2)] {
        let (found, problems) = numbers(&whole[..cut]);
        let missing: u64 = problems.iter().filter_map(|p| p.records).sum();
        assert_eq!(found.len() as u64 + missing, total as u64, "{cut}: {problems:?}");
        assert!(missing > 0 && problems.last().is_some_and(|p| p.offset == cut as u64));
    }
    // Zeros after the last record may be missing.
    let last = segment(2) + 48 + 10 * SSCAL_WORDS * 8;
    assert_eq!(numbers(&whole[..last]).1, []);
}

#[test]
fn what_is_no_thread_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("thread-0001.trace");
    let table = Arc::new(Table::default());
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("write");
        ThreadReader::open(&path, Arc::clone(&table), false).map(drop).map_err(|e| e.to_string())
    };
    let good = many(1, None).bytes;
    assert_eq!(open(&good), Ok(()));
    assert!(open(b"").expect_err("empty").contains("shorter than a header"));
    assert!(open(&[0; 8192]).expect_err("zeros").contains("does not begin"));
    let mut newer = good.clone();
    newer[8] = 5;
    assert!(open(&newer).expect_err("newer").contains("version 5, and this program reads 4"));
    let mut other = good;
    other[16] = 1;
    assert!(open(&other).expect_err("sizes").contains("other sizes"));
}

#[test]
fn whose_a_handle_was_goes_by_time_whoever_saw_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut one = Writer::new();
    one.call_at("rocblas_sscal", &[0xa, 1], 100, 110).handle_of(0xa, 0);
    one.call_at("rocblas_sscal", &[0xa, 2], 500, 510);
    one.call_at("rocblas_sscal", &[0xc, 3], 600, 610);
    one.write(directory.path(), 1);
    let mut two = Writer::new();
    // As in version 1, whose events do not have a backend.
    two.call_at("rocblas_sscal", &[0xb, 4], 150, 160).handle_of_version_1(0xb);
    two.call_at("rocblas_sscal", &[0xa, 5], 300, 310);
    // Another handle at the address of the first one, and one that a second thread used a little earlier.
    two.call_at("rocblas_sscal", &[0xa, 6], 400, 410).handle_of(0xa, 2);
    two.call_at("rocblas_sscal", &[0xc, 7], 700, 710).handle_of(0xc, 1);
    two.call_at("rocblas_sscal", &[0xd, 8], 800, 810);
    two.write(directory.path(), 2);
    let trace = Trace::open(directory.path()).expect("a trace");
    let owners = Owners::read(trace.threads().expect("threads").0);
    let mut of = Vec::new();
    for mut thread in trace.threads().expect("threads").0 {
        thread.close();
        while let Some(record) = thread.next().expect("readable") {
            if let Record::Call(call) = record {
                of.push((call.argument(1), owners.of(&call)));
            }
        }
    }
    of.sort_unstable();
    let wanted = [0, 2, 1, 0, 0, 2, 1].map(Some);
    let wanted: Vec<_> = (1..).zip(wanted.into_iter().chain([None])).collect();
    assert_eq!(of, wanted);
}

#[test]
fn threads_are_merged_by_time_with_events_before_their_calls() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut one = Writer::new();
    one.call_at("rocblas_sscal", &[0xa, 1], 100, 110).handle(0xa, 1, 0x77);
    one.call_at("rocblas_set_stream", &[0xa, 0x88], 300, 310);
    one.call_at("rocblas_sscal", &[0xa, 2], 500, 510);
    one.write(directory.path(), 1);
    let mut two = Writer::new();
    two.call_at("rocblas_sscal", &[0xb, 3], 200, 210).handle(0xb, 0, 0);
    two.call_at("rocblas_sscal", &[0xa, 4], 400, 410).handle(0xa, 1, 0x88);
    two.write(directory.path(), 2);
    let trace = Trace::open(directory.path()).expect("a trace");
    assert!(trace.complaint().is_some(), "there is no process.json");
    let (threads, unreadable) = trace.threads().expect("threads");
    assert!(unreadable.is_empty());
    let mut merged = Merged::new(threads);
    let mut tracked = Tracked::default();
    let mut lines = Vec::new();
    while let Next::Record(thread, record) = merged.next() {
        if let Record::Call(call) = record
            && call.name() == "rocblas_sscal"
        {
            let state = tracked.state(&call).cloned().expect("seen before");
            lines.push((thread, call.argument(1), state.number, state.device, state.stream));
        }
        tracked.take(&record);
    }
    assert_eq!(
        lines,
        [
            (0, 1, 1, Some(1), 1),
            (1, 3, 2, Some(0), 0),
            (1, 4, 1, Some(1), 2),
            (0, 2, 1, Some(1), 2)
        ]
    );
    assert_eq!(tracked.counts(), (2, 2));
}

#[test]
fn handles_forget_what_they_were_when_they_are_destroyed() {
    let mut writer = Writer::new();
    writer.call("rocblas_sscal", &[0xa]).handle(0xa, 0, 5);
    writer.call("rocblas_set_pointer_mode", &[0xa, 1]);
    writer.call("rocblas_destroy_handle", &[0xa]);
    writer.call("rocblas_sscal", &[0xa]).handle(0xa, 1, 0);
    let mut reader = reader(&writer.bytes);
    let mut tracked = Tracked::default();
    let mut states = Vec::new();
    while let Some(record) = reader.next().expect("readable") {
        tracked.take(&record);
        if let Record::Call(call) = record {
            states.push(tracked.state(&call).map(|s| (s.number, s.device, s.mode)));
        }
    }
    assert_eq!(states[1], Some((1, Some(0), Some(Mode::Device))));
    assert_eq!(states[2], None);
}

#[test]
fn a_file_that_grows_is_read_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("thread-0001.trace");
    let mut writer = Writer::new();
    let write = |writer: &Writer| fs::write(&path, &writer.bytes).expect("write");
    writer.call("rocblas_sscal", &[1]);
    write(&writer);
    let mut reader =
        ThreadReader::open(&path, Arc::new(Table::default()), true).expect("a thread's file");
    let mut read = 0;
    for _ in 0..2 * PER_SEGMENT {
        while reader.next().expect("readable").is_some() {
            read += 1;
        }
        assert_eq!(read, writer.sequence);
        for _ in 0..7 {
            writer.call("rocblas_sscal", &[1]);
        }
        write(&writer);
        assert!(reader.refresh().expect("readable"));
    }
    assert_eq!(reader.problems(), []);
}

#[test]
fn a_ring_that_laps_its_reader_is_no_damage() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("thread-0001.trace");
    let mut writer = many(PER_SEGMENT + 1, Some(2));
    fs::write(&path, &writer.bytes).expect("write");
    let mut reader =
        ThreadReader::open(&path, Arc::new(Table::default()), true).expect("a thread's file");
    assert!(reader.next().expect("readable").is_some());
    for _ in 0..4 * PER_SEGMENT {
        writer.call("rocblas_sscal", &[1]);
    }
    fs::write(&path, &writer.bytes).expect("write");
    reader.refresh().expect("readable");
    let mut last = 0;
    while let Some(record) = reader.next().expect("readable") {
        let Record::Call(call) = record else { panic!("{record:?}") };
        last = call.sequence();
    }
    assert_eq!(last, writer.sequence - 1);
    assert_eq!(reader.problems(), []);
    assert!(reader.overwritten() > 0);
}

#[test]
fn a_table_of_another_version_is_read_by_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::new();
    writer.call("rocblas_axpy_batched_ex", &[1]);
    writer.call("rocblas_abort", &[]);
    writer.write(directory.path(), 1);
    let own = |index: usize| rocblas_abi::name(index).to_str().expect("ASCII").to_owned();
    let mut names: Vec<String> = (0..rocblas_abi::C_EXPORTS).map(own).collect();
    // This program does not know its first function.
    names[0] = "rocblas_abolish".to_owned();
    let table = Arc::new(Table::of(&names, 1));
    let path = directory.path().join("thread-0001.trace");
    let mut reader = ThreadReader::open(&path, table, false).expect("a thread's file");
    let first = reader.next().expect("readable").expect("a record");
    assert!(matches!(first, Record::Call(call) if call.name() == "rocblas_axpy_batched_ex"));
    let second = reader.next().expect("readable").expect("a record");
    assert!(matches!(second, Record::Foreign { name: "rocblas_abolish", .. }), "{second:?}");
}

#[test]
fn an_unknown_event_is_damage() {
    let mut writer = Writer::new();
    writer.call("rocblas_sscal", &[1]).handle(1, 0, 0).call("rocblas_sscal", &[1]);
    let event = FIRST + SSCAL_WORDS * 8;
    assert_eq!(u16::from_le_bytes([writer.bytes[event], writer.bytes[event + 1]]), EVENT);
    writer.bytes[event + 4] = 99;
    let (found, problems) = numbers(&writer.bytes);
    assert_eq!(found, [0, 2]);
    assert_eq!(problems.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// With any damage there is no panic, no record is returned twice or out of order, and every record that is
    /// not damaged itself is returned.
    #[test]
    fn intact_records_survive_any_damage(
        ring in prop::sample::select(vec![None, Some(2), Some(3)]),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1..40_usize), 1..6),
    ) {
        let writer = many(4 * PER_SEGMENT + 30, ring);
        let (all, _) = numbers(&writer.bytes);
        let mut bytes = writer.bytes.clone();
        let mut touched = Vec::new();
        for (at, byte, length) in damage {
            let at = FIRST + at.index(bytes.len() - FIRST);
            let end = (at + length).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|b| *b ^= byte);
            touched.push(at..end);
        }
        let (found, _) = numbers(&bytes);
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        let segments = (writer.bytes.len() - HEADER_SIZE) / SEGMENT_SIZE;
        let is_touched = |sequence: u64| {
            let (segment, n) = (sequence as usize / PER_SEGMENT, sequence as usize % PER_SEGMENT);
            let place = HEADER_SIZE + segment % segments * SEGMENT_SIZE + 48 + n * SSCAL_WORDS * 8;
            let record = place..place + SSCAL_WORDS * 8;
            touched.iter().any(|t| t.start < record.end && record.start < t.end)
        };
        for sequence in all {
            prop_assert!(found.contains(&sequence) || is_touched(sequence), "{} is lost", sequence);
        }
    }

    #[test]
    fn any_bytes_are_answered(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        header in any::<bool>(),
    ) {
        let mut file = if header { many(2, None).bytes[..HEADER_SIZE].to_vec() } else { vec![] };
        file.extend(bytes);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("thread-0001.trace");
        fs::write(&path, file).expect("write");
        if let Ok(mut reader) = ThreadReader::open(&path, Arc::new(Table::default()), false) {
            while reader.next().expect("readable").is_some() {}
        }
    }

    #[test]
    fn a_file_cut_anywhere_has_what_is_before_the_cut(cut in 0..40_000_usize) {
        let writer = many(PER_SEGMENT + 30, None);
        let cut = cut.clamp(HEADER_SIZE, writer.bytes.len());
        let (found, _) = numbers(&writer.bytes[..cut]);
        let before = |n: &u64| {
            let (segment, n) = (*n as usize / PER_SEGMENT, *n as usize % PER_SEGMENT);
            HEADER_SIZE + segment * SEGMENT_SIZE + 48 + (n + 1) * SSCAL_WORDS * 8 <= cut
        };
        let expected: Vec<u64> = (0..writer.sequence).filter(before).collect();
        prop_assert_eq!(found, expected);
    }
}
