//! Hand-made traces in the format that the shim writes, with a nanosecond clock.

use crate::trace::summary::Row;
use rocblas_trace::{
    layout::{
        ARGUMENTS, BEGIN, ClockPoint, END, EVENT, FileHeader, HEAD, HEADER_SIZE, Head, MAGIC, NOTE,
        Note, RESULT, SEGMENT_MAGIC, SEGMENT_SIZE, SEQUENCE, SegmentHeader, Shape, State, VERSION,
        event, table_identity,
    },
    process::{Backend, Clock, PROCESS, Point, Process, Settings, thread_file},
};
use std::{fs, mem::offset_of, path::Path};

/// The header of a process, for tests to modify.
pub(super) fn process(program: &str, pid: u32) -> Process {
    Process {
        format: VERSION,
        program: program.to_owned(),
        arguments: vec![program.to_owned(), "-m".to_owned(), "model.gguf".to_owned()],
        pid,
        started: 1,
        boot: "another".to_owned(),
        host: "workstation".to_owned(),
        shim: "0.1.0".to_owned(),
        backend: Backend {
            name: "6.3.0".to_owned(),
            path: "/opt/backends/6.3.0/librocblas.so.4".to_owned(),
            version: "4.3.0.".to_owned(),
        },
        promises: vec!["version".to_owned()],
        clock: Clock {
            kind: "tsc".to_owned(),
            hertz: 1e9,
            start: Point { ticks: 0, monotonic: 0, realtime: 1_700_000_000_000_000_000 },
        },
        settings: Settings {
            ring: None,
            limit: 1 << 32,
            functions: Vec::new(),
            min: 0,
            first: None,
            capture: false,
            options: String::new(),
        },
        environment: Default::default(),
        table: table_identity(),
        functions: Vec::new(),
    }
}

/// Writes a trace's directory.
pub(super) fn write(directory: &Path, process: &Process, threads: &[ThreadFile]) {
    fs::create_dir_all(directory).expect("make a directory");
    let text = serde_json::to_vec(process).expect("JSON");
    fs::write(directory.join(PROCESS), text).expect("write the header");
    for thread in threads {
        fs::write(directory.join(thread_file(thread.ordinal)), thread.bytes()).expect("write");
    }
}

/// Builds a thread's file.
pub(super) struct ThreadFile {
    ordinal: u32,
    /// At most sixteen bytes.
    pub(super) name: String,
    pub(super) state: State,
    pub(super) errno: u32,
    /// All segments except the last one.
    segments: Vec<u8>,
    words: Vec<u64>,
    sequence: u64,
    number: u64,
}

impl ThreadFile {
    pub(super) fn new(ordinal: u32, name: &str) -> Self {
        let mut file = Self {
            ordinal,
            name: name.to_owned(),
            state: State::Ended,
            errno: 0,
            segments: Vec::new(),
            words: Vec::new(),
            sequence: 0,
            number: 0,
        };
        file.begin(0);
        file
    }

    fn begin(&mut self, clock: u64) {
        self.number += 1;
        let header = SegmentHeader {
            magic: SEGMENT_MAGIC,
            number: self.number,
            sequence: self.sequence,
            clock: ClockPoint { ticks: clock, monotonic: clock },
            check: 0,
        }
        .checked();
        let clock = header.clock;
        self.words = vec![
            header.magic,
            header.number,
            header.sequence,
            clock.ticks,
            clock.monotonic,
            header.check,
        ];
    }

    fn push(&mut self, mut record: Vec<u64>) {
        if self.words.len() + record.len() + 1 > SEGMENT_SIZE / 8 {
            let full = std::mem::take(&mut self.words);
            self.segments.extend(padded(&full));
            self.begin(record[BEGIN]);
        }
        record[SEQUENCE] = self.sequence;
        record[HEAD] = Head(record[HEAD]).checked(self.sequence, record[BEGIN]).0;
        self.sequence += 1;
        self.words.extend(record);
    }

    /// Adds a call at the given times, with these first arguments; an end of 0 leaves it in flight.
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: &[u64],
        (begin, end): (u64, u64),
        status: u64,
    ) -> &mut Self {
        self.call_at_depth(0, name, arguments, (begin, end), status)
    }

    /// Adds a nested call.
    pub(super) fn call_at_depth(
        &mut self,
        depth: u8,
        name: &str,
        arguments: &[u64],
        (begin, end): (u64, u64),
        status: u64,
    ) -> &mut Self {
        let function = rocblas_abi::by_name(name).expect("a function").index;
        let shape = Shape::of(usize::from(function));
        let mut words = vec![0; usize::from(shape.words)];
        words[HEAD] = Head::new(function, shape.words, depth, 0).0;
        (words[BEGIN], words[END], words[RESULT]) = (begin, end, status);
        words[ARGUMENTS..ARGUMENTS + arguments.len()].copy_from_slice(arguments);
        self.push(words);
        self
    }

    /// Adds a call of `rocblas_sgemm` with these dimensions.
    pub(super) fn sgemm(&mut self, m: u64, times: (u64, u64), status: u64) -> &mut Self {
        self.call("rocblas_sgemm", &[1, 111, 112, m, 5, 7], times, status)
    }

    /// Records that an exception left the latest call.
    pub(super) fn leave(&mut self, name: &str, begin: u64) -> &mut Self {
        let function = rocblas_abi::by_name(name).expect("a function").index;
        let shape = Shape::of(usize::from(function));
        let mut words = vec![0; usize::from(shape.words)];
        words[HEAD] = Head::new(function, shape.words, 0, 0).0;
        (words[BEGIN], words[NOTE]) = (begin, Note::LEFT);
        self.push(words);
        self
    }

    /// Adds a device.
    pub(super) fn device(&mut self, number: u64, name: &str, target: &str) -> &mut Self {
        let mut words = vec![0; event::DEVICE_WORDS];
        words[HEAD] = Head::new(EVENT, event::DEVICE_WORDS as u8, 0, event::DEVICE).0;
        words[3] = number;
        for (place, text) in [(4, name), (4 + event::TEXT / 8, target)] {
            for (i, byte) in text.bytes().enumerate() {
                words[place + i / 8] |= u64::from(byte) << (i % 8 * 8);
            }
        }
        self.push(words);
        self
    }

    /// Adds a call of `rocblas_sgemm` with these dimensions and this GPU time in nanoseconds.
    pub(super) fn timed_sgemm(&mut self, m: u64, times: (u64, u64), nanoseconds: u64) -> &mut Self {
        let (first, number) = (self.words.len(), self.number);
        self.sgemm(m, times, 0);
        assert_eq!(self.number, number, "it is in the same segment");
        self.words[first + NOTE] |= Note::TIMED;
        let mut words = vec![0; event::GPU_TIME_WORDS];
        words[HEAD] = Head::new(EVENT, event::GPU_TIME_WORDS as u8, 0, event::GPU_TIME).0;
        (words[3], words[4]) = (self.sequence - 1, nanoseconds);
        self.push(words);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut header = vec![0; HEADER_SIZE];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(offset_of!(FileHeader, magic), &MAGIC.to_le_bytes());
        for (at, value) in [
            (offset_of!(FileHeader, version), VERSION),
            (offset_of!(FileHeader, header_size), HEADER_SIZE as u32),
            (offset_of!(FileHeader, segment_size), SEGMENT_SIZE as u32),
            (offset_of!(FileHeader, ordinal), self.ordinal),
            (offset_of!(FileHeader, tid), 1000 + self.ordinal),
            (offset_of!(FileHeader, state), self.state as u32),
            (offset_of!(FileHeader, errno), self.errno),
        ] {
            put(at, &value.to_le_bytes());
        }
        put(offset_of!(FileHeader, name), self.name.as_bytes());
        [header, self.segments.clone(), padded(&self.words)].concat()
    }
}

/// A segment padded with zeros after its records.
fn padded(words: &[u64]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(SEGMENT_SIZE, 0);
    bytes
}

/// A row of a table, for tests to modify.
pub(super) fn row() -> Row {
    Row {
        function: "rocblas_sgemm".to_owned(),
        shape: String::new(),
        backend: String::new(),
        calls: 1,
        errors: 0,
        total: 1.0,
        first: 1.0,
        others: 0.0,
        mean: 1.0,
        p50: 1.0,
        p99: 1.0,
        max: 1.0,
        work: None,
        gpu: None,
        statuses: Default::default(),
    }
}
