//! Writes thread files in the shim's format, for tests of readers.

use super::{Table, ThreadReader};
use crate::layout::{
    ARGUMENTS, BEGIN, ClockPoint, END, EVENT, FileHeader, HEAD, HEADER_SIZE, Head, MAGIC, Mode,
    NOTE, Note, RESULT, SEGMENT_MAGIC, SEGMENT_SIZE, SEQUENCE, SegmentHeader, Shape, State,
    VERSION, event,
};
use std::{fs, path::Path, sync::Arc};

/// A file under construction.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    /// The words of the segment that is being written.
    words: Vec<u64>,
    pub(super) sequence: u64,
    clock: u64,
    number: u64,
    ring: Option<usize>,
}

pub(super) fn index_of(name: &str) -> u16 {
    rocblas_abi::by_name(name).expect("a function").index
}

impl Writer {
    pub(super) fn new() -> Self {
        Self::with_ring(None)
    }

    /// Writes a ring of that many segments.
    pub(super) fn with_ring(ring: Option<usize>) -> Self {
        let mut bytes = vec![0; HEADER_SIZE];
        let put = |bytes: &mut [u8], at: usize, word: u32| {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        };
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        put(&mut bytes, std::mem::offset_of!(FileHeader, version), VERSION);
        put(&mut bytes, std::mem::offset_of!(FileHeader, header_size), HEADER_SIZE as u32);
        put(&mut bytes, std::mem::offset_of!(FileHeader, segment_size), SEGMENT_SIZE as u32);
        put(&mut bytes, std::mem::offset_of!(FileHeader, ordinal), 1);
        put(&mut bytes, std::mem::offset_of!(FileHeader, tid), 77);
        let name = std::mem::offset_of!(FileHeader, name);
        bytes[name..name + 4].copy_from_slice(b"main");
        let mut writer =
            Self { bytes, words: Vec::new(), sequence: 0, clock: 1000, number: 0, ring };
        writer.begin_segment();
        writer
    }

    fn begin_segment(&mut self) {
        self.number += 1;
        let clock = ClockPoint { ticks: self.clock, monotonic: self.clock };
        let header = SegmentHeader {
            magic: SEGMENT_MAGIC,
            number: self.number,
            sequence: self.sequence,
            clock,
            check: 0,
        }
        .checked();
        self.words = vec![
            header.magic,
            header.number,
            header.sequence,
            header.clock.ticks,
            header.clock.monotonic,
            header.check,
        ];
    }

    fn place(&self) -> usize {
        let index = self.number as usize - 1;
        HEADER_SIZE + self.ring.map_or(index, |ring| index % ring) * SEGMENT_SIZE
    }

    /// Writes the segment's words to the file; older contents remain after them, following a zero.
    fn flush(&mut self) {
        let place = self.place();
        if self.bytes.len() < place + SEGMENT_SIZE {
            self.bytes.resize(place + SEGMENT_SIZE, 0);
        }
        for (i, word) in self.words.iter().chain([&0]).enumerate() {
            let at = place + i * 8;
            if at + 8 <= place + SEGMENT_SIZE {
                self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    /// Adds a record with these words, and sets its number and checksum.
    pub(super) fn push(&mut self, record: &[u64]) {
        if self.words.len() + record.len() + 1 > SEGMENT_SIZE / 8 {
            self.flush();
            self.begin_segment();
        }
        let mut record = record.to_vec();
        record[SEQUENCE] = self.sequence;
        record[HEAD] = Head(record[HEAD]).checked(self.sequence, record[BEGIN]).0;
        self.sequence += 1;
        self.words.extend(record);
        self.flush();
    }

    /// Adds a call with these first arguments, which takes 5 ticks.
    pub(super) fn call(&mut self, name: &str, arguments: &[u64]) -> &mut Self {
        self.clock += 10;
        let clock = self.clock;
        self.call_at(name, arguments, clock, clock + 5)
    }

    /// Adds a call at the given times; an end of 0 leaves it in flight.
    pub(super) fn call_at(
        &mut self,
        name: &str,
        arguments: &[u64],
        begin: u64,
        end: u64,
    ) -> &mut Self {
        self.clock = begin;
        let function = index_of(name);
        let shape = Shape::of(usize::from(function));
        let mut words = vec![0; usize::from(shape.words)];
        words[HEAD] = Head::new(function, shape.words, 0, 0).0;
        words[BEGIN] = begin;
        words[END] = end;
        words[RESULT] = 0;
        words[NOTE] = if shape.count > 0 { (Mode::Host as u64) << Note::MODE } else { 0 };
        words[ARGUMENTS..ARGUMENTS + arguments.len()].copy_from_slice(arguments);
        self.push(&words);
        self
    }

    /// Adds the event of a handle, at the time of the latest call.
    pub(super) fn handle(&mut self, handle: u64, device: u64, stream: u64) -> &mut Self {
        self.event(event::HANDLE, &[handle, device, stream, 0, 0, 0])
    }

    /// Adds the event of a handle of that backend, at the time of the latest call.
    pub(super) fn handle_of(&mut self, handle: u64, backend: u64) -> &mut Self {
        self.event(event::HANDLE, &[handle, 0, 0, 0, 0, backend])
    }

    /// Adds the event of a handle in version 1 of the format.
    pub(super) fn handle_of_version_1(&mut self, handle: u64) -> &mut Self {
        self.event(event::HANDLE, &[handle, 0, 0, 0, 0])
    }

    /// Adds the stack of the next call.
    pub(super) fn stack(&mut self, frames: &[u64]) -> &mut Self {
        self.clock += 1;
        let next = self.sequence + 1;
        self.event(event::STACK, &[&[next, 0], frames].concat())
    }

    fn event(&mut self, kind: u8, payload: &[u64]) -> &mut Self {
        let mut words = vec![0; 3];
        words.extend(payload);
        words[HEAD] = Head::new(EVENT, words.len() as u8, 0, kind).0;
        words[BEGIN] = self.clock;
        self.push(&words);
        self
    }

    /// Ends the thread.
    pub(super) fn end(&mut self) -> &mut Self {
        let records = std::mem::offset_of!(FileHeader, records);
        self.bytes[records..records + 8].copy_from_slice(&self.sequence.to_le_bytes());
        let state = std::mem::offset_of!(FileHeader, state);
        self.bytes[state] = State::Ended as u8;
        self
    }

    pub(super) fn write(&self, directory: &Path, ordinal: u32) {
        let path = directory.join(crate::process::thread_file(ordinal));
        fs::write(path, &self.bytes).expect("write a file");
    }
}

/// A reader of these bytes, whose program has ended.
pub(super) fn reader(bytes: &[u8]) -> ThreadReader {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("thread-0001.trace");
    fs::write(&path, bytes).expect("write a file");
    ThreadReader::open(&path, Arc::new(Table::default()), false).expect("a thread's file")
}

/// The numbers of all records, and the problems.
pub(super) fn numbers(bytes: &[u8]) -> (Vec<u64>, Vec<super::Problem>) {
    let mut reader = reader(bytes);
    let mut numbers = Vec::new();
    while let Some(record) = reader.next().expect("it can be read") {
        match record {
            super::Record::Call(call) => numbers.push(call.sequence()),
            other => panic!("{other:?}"),
        }
    }
    (numbers, reader.problems().to_vec())
}
