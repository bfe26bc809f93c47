//! A thread's file, read segment by segment: only one segment and the list of segments are in memory.

use super::{
    open,
    problem::{Problem, Unreadable},
    table::Table,
    walk::{self, Record, Step},
};
use crate::layout::{
    ClockPoint, FileHeader, HEADER_SIZE, MAGIC, SEGMENT_MAGIC, SEGMENT_SIZE, SegmentHeader, State,
    VERSION,
};
use std::{
    collections::VecDeque,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

const HEADER_WORDS: usize = size_of::<SegmentHeader>() / 8;

/// How often a segment that seems damaged is read again: its program may be writing it at this moment.
const ATTEMPTS: u32 = 3;

/// The maximum number of problems of a file that are kept individually.
const MOST_PROBLEMS: usize = 1000;

/// The header of a thread's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The number of the thread in its trace.
    pub ordinal: u32,
    /// The kernel's thread ID.
    pub tid: u32,
    /// The thread's name.
    pub name: String,
    /// Why there are no more records.
    pub state: State,
    /// The system's error if the file could not grow.
    pub errno: u32,
    /// The number of calls that were too short for the filter.
    pub filtered: u64,
    /// The number of calls that are not in the file because it had ended, or because they were nested too deeply.
    pub untraced: u64,
    /// When the thread was first traced.
    pub start: ClockPoint,
    /// How many records it had written when it ended; 0 if it has not ended.
    pub records: u64,
}

/// A segment to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    offset: u64,
    /// The number of its first record; if the header is damaged, that of the first record found.
    sequence: u64,
    clock: ClockPoint,
    sound: bool,
}

/// A reader of a thread's records, in the order in which they were written.
#[derive(Debug)]
pub struct ThreadReader {
    file: File,
    path: PathBuf,
    table: Arc<Table>,
    written: Written,
    segments: VecDeque<Segment>,
    /// The segment that is being read, if any.
    current: Option<Segment>,
    words: Vec<u64>,
    at: usize,
    /// The number of the next record, if none is missing.
    expected: u64,
    overwritten: u64,
    /// Whether a ring wrapped around while it was read: then the missing records were overwritten.
    lapped: bool,
    problems: Vec<Problem>,
    last_clock: ClockPoint,
    ending: Ending,
}

/// The meaning of the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// There will be no more records.
    Final,
    /// The program may write more.
    Open,
}

impl ThreadReader {
    /// Opens a thread's file. `live`: its program may still write.
    ///
    /// # Errors
    /// A file that cannot be read, or that does not have a header of a known version.
    pub fn open(path: &Path, table: Arc<Table>, live: bool) -> Result<Self, Unreadable> {
        let file = open::regular(path).map_err(|e| Unreadable::io(path, e))?;
        let written = written(&file, path)?;
        let mut reader = Self {
            file,
            path: path.to_owned(),
            table,
            last_clock: written.start,
            written,
            segments: VecDeque::new(),
            current: None,
            words: Vec::new(),
            at: 0,
            expected: 0,
            overwritten: 0,
            lapped: false,
            problems: Vec::new(),
            ending: if live { Ending::Open } else { Ending::Final },
        };
        let mut segments = reader.list(0).map_err(|e| Unreadable::io(path, e))?;
        segments.sort_by_key(|segment| segment.sequence);
        if let Some(first) = segments.first() {
            reader.overwritten = first.sequence;
            reader.expected = first.sequence;
        }
        reader.segments = segments.into();
        Ok(reader)
    }

    /// The file's header, as of when it was opened or last refreshed.
    #[must_use]
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many records were overwritten by later ones, in a ring.
    #[must_use]
    pub fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// The parts that could not be read so far.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The latest reading of the clock in the file.
    #[must_use]
    pub fn last_clock(&self) -> ClockPoint {
        self.last_clock
    }

    /// The size of segments that are still to be read, in bytes.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.segments.len() as u64 * SEGMENT_SIZE as u64
    }

    /// Checks for new records. Returns whether there may be more.
    ///
    /// # Errors
    /// Errors of reading.
    pub fn refresh(&mut self) -> io::Result<bool> {
        if let Ok(written) = written(&self.file, &self.path) {
            self.written = written;
        }
        let mut new = self.list(self.expected)?;
        let known = |segment: &Segment| {
            self.current.is_some_and(|current| current.sequence == segment.sequence)
                || self.segments.iter().any(|other| other.sequence == segment.sequence)
        };
        new.retain(|segment| !known(segment));
        new.sort_by_key(|segment| segment.sequence);
        self.segments.extend(new);
        if let Some(current) = self.current {
            if self.is_as_listed(current)? {
                self.load(current)?;
            } else {
                self.current = None;
                self.lapped = true;
            }
        }
        Ok(self.current.is_some() || !self.segments.is_empty())
    }

    /// Skips all known segments except the last one, to read only new records.
    pub fn skip(&mut self) {
        if let Some(last) = self.segments.pop_back() {
            self.segments.clear();
            self.segments.push_back(last);
            self.current = None;
            self.expected = last.sequence;
        }
    }

    /// Declares that nothing more will be written.
    pub fn close(&mut self) {
        self.ending = Ending::Final;
    }

    /// The next record. `None` at the end of the known records; [`Self::refresh`] may find more.
    ///
    /// # Errors
    /// Errors of reading.
    #[allow(clippy::should_implement_trait, reason = "it lends, which an Iterator cannot")]
    pub fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        let Some((start, end)) = self.advance()? else { return Ok(None) };
        Ok(Some(walk::decode(&self.words[start..end], &self.table)))
    }

    /// Like [`Self::next`], but in two parts: returns the position of the next record, which [`Self::record`]
    /// decodes until this is called again.
    pub(super) fn advance(&mut self) -> io::Result<Option<(usize, usize)>> {
        let mut attempts = 0;
        loop {
            if self.current.is_none() {
                let Some(segment) = self.segments.pop_front() else {
                    self.note_end()?;
                    return Ok(None);
                };
                if self.is_as_listed(segment)? {
                    self.begin(segment)?;
                } else {
                    self.lapped = true;
                    continue;
                }
                attempts = 0;
            }
            match walk::step(&self.words, self.at, &self.numbers(), &self.table) {
                Step::Record { start, end, sequence } => {
                    if sequence > self.expected {
                        let offset = self.offset_of(start);
                        self.miss(offset, 0, Some(sequence - self.expected));
                    }
                    self.at = end;
                    self.expected = sequence + 1;
                    return Ok(Some((start, end)));
                }
                Step::Damage { .. } if self.may_be_written() && attempts < ATTEMPTS => {
                    attempts += 1;
                    self.reload()?;
                }
                Step::Damage { start, end } => {
                    let records = match walk::step(&self.words, end, &self.numbers(), &self.table) {
                        Step::Record { sequence, .. } => Some(sequence - self.expected),
                        _ => None,
                    };
                    let offset = self.offset_of(start);
                    self.miss(offset, (end - start) as u64 * 8, records);
                    self.expected += records.unwrap_or(0);
                    self.at = end;
                }
                Step::End => {
                    if self.may_be_written() {
                        return Ok(None);
                    }
                    self.note_rest();
                    self.current = None;
                }
            }
        }
    }

    /// Whether a segment is still the listed one: in a ring it may have been reused.
    fn is_as_listed(&self, segment: Segment) -> io::Result<bool> {
        let now = self.header(segment.offset)?;
        Ok(now.is_none() != segment.sound && now.is_none_or(|h| h.sequence == segment.sequence))
    }

    /// Whether the next step stays in the current segment, so that records read before remain valid.
    pub(super) fn has_next_in_segment(&self) -> bool {
        self.current.is_some()
            && matches!(
                walk::step(&self.words, self.at, &self.numbers(), &self.table),
                Step::Record { .. }
            )
    }

    /// Decodes the record in these words of the current segment.
    pub(super) fn record(&self, (start, end): (usize, usize)) -> Record<'_> {
        walk::decode(&self.words[start..end], &self.table)
    }

    /// Whether the call in these words is in flight and may still end.
    pub(super) fn is_under_way(&self, record: (usize, usize)) -> bool {
        self.ending == Ending::Open
            && match self.record(record) {
                Record::Call(call) => call.end().is_none() && !call.was_left(),
                Record::Foreign { end, .. } => end.is_none(),
                _ => false,
            }
    }

    /// Goes back to a record of the current segment.
    pub(super) fn put_back(&mut self, (start, _): (usize, usize)) {
        self.at = start;
        self.expected = self.words[start + crate::layout::SEQUENCE];
    }

    /// Whether the current segment is the last one, to which its program may add records.
    fn may_be_written(&self) -> bool {
        self.ending == Ending::Open && self.segments.is_empty()
    }

    fn begin(&mut self, segment: Segment) -> io::Result<()> {
        if segment.sequence > self.expected {
            let missing = segment.sequence - self.expected;
            if self.lapped {
                self.overwritten += missing;
            } else {
                self.miss(segment.offset, 0, Some(missing));
            }
            self.expected = segment.sequence;
        }
        self.lapped = false;
        self.load(segment)?;
        self.at = HEADER_WORDS;
        self.current = Some(segment);
        if segment.clock.ticks > self.last_clock.ticks {
            self.last_clock = segment.clock;
        }
        Ok(())
    }

    fn reload(&mut self) -> io::Result<()> {
        match self.current {
            Some(segment) => self.load(segment),
            None => Ok(()),
        }
    }

    /// Reads a segment, up to the end of the file.
    fn load(&mut self, segment: Segment) -> io::Result<()> {
        let mut bytes = vec![0; SEGMENT_SIZE];
        let read = read_at(&self.file, &mut bytes, segment.offset)?;
        let words = bytes[..read].chunks_exact(8);
        self.words.clear();
        self.words
            .extend(words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default())));
        Ok(())
    }

    /// Checks the rest of a segment: after the last record there should be zeros, or older records in a ring.
    fn note_rest(&mut self) {
        let cut = SEGMENT_SIZE / 8 - self.words.len();
        let rest = &self.words[self.at.min(self.words.len())..];
        // A head that is not zero is an invalid record.
        let begins = rest.first().is_some_and(|word| *word != 0);
        let offset = self.offset_of(self.at);
        if begins {
            let bytes = rest.len() as u64 * 8;
            self.miss(offset, bytes, None);
        } else if cut > 0 && self.written.records == 0 {
            // Segments are allocated as a whole. If the number of records is known, it is compared at the end.
            self.miss(offset, 0, None);
        }
    }

    /// If a thread has ended, compares the number of records in its header: missing ones at the end were cut
    /// off.
    fn note_end(&mut self) -> io::Result<()> {
        if self.written.records > self.expected {
            let length = self.file.metadata()?.len();
            self.miss(length, 0, Some(self.written.records - self.expected));
            self.expected = self.written.records;
        }
        Ok(())
    }

    /// The numbers that the remaining records of the current segment may have.
    fn numbers(&self) -> Range<u64> {
        let first = self.current.map_or(0, |segment| segment.sequence);
        self.expected..first.saturating_add(walk::MOST_RECORDS)
    }

    fn offset_of(&self, word: usize) -> u64 {
        self.current.map_or(0, |segment| segment.offset) + word as u64 * 8
    }

    fn miss(&mut self, offset: u64, bytes: u64, records: Option<u64>) {
        if self.problems.len() >= MOST_PROBLEMS
            && let Some(last) = self.problems.last_mut()
        {
            last.further += 1;
            return;
        }
        let file = self.path.clone();
        self.problems.push(Problem { file, offset, bytes, records, further: 0 });
    }

    /// The segments whose first record has at least that number.
    fn list(&mut self, from: u64) -> io::Result<Vec<Segment>> {
        let length = self.file.metadata()?.len();
        let mut segments = Vec::new();
        let mut offset = HEADER_SIZE as u64;
        while offset < length {
            let Some(data) = open::next_data(&self.file, offset) else { break };
            offset += (data - offset) / SEGMENT_SIZE as u64 * SEGMENT_SIZE as u64;
            match self.header(offset)? {
                Some(header) if header.sequence >= from => segments.push(Segment {
                    offset,
                    sequence: header.sequence,
                    clock: header.clock,
                    sound: true,
                }),
                Some(_) => {}
                None => segments.extend(self.unsound(offset, from)?),
            }
            offset += SEGMENT_SIZE as u64;
        }
        Ok(segments)
    }

    /// A segment with an invalid header, if it contains a record.
    fn unsound(&mut self, offset: u64, from: u64) -> io::Result<Option<Segment>> {
        let mut segment =
            Segment { offset, sequence: 0, clock: ClockPoint::default(), sound: false };
        self.load(segment)?;
        let mut at = HEADER_WORDS.min(self.words.len());
        let numbers = from..u64::MAX;
        if let Step::Damage { end, .. } = walk::step(&self.words, at, &numbers, &self.table) {
            at = end;
        }
        let step = walk::step(&self.words, at, &numbers, &self.table);
        Ok(if let Step::Record { sequence, .. } = step {
            segment.sequence = sequence;
            Some(segment)
        } else {
            if self.words.iter().any(|word| *word != 0) && from == 0 {
                self.miss(offset, self.words.len() as u64 * 8, None);
            }
            None
        })
    }

    fn header(&self, offset: u64) -> io::Result<Option<SegmentHeader>> {
        let mut bytes = [0; size_of::<SegmentHeader>()];
        if read_at(&self.file, &mut bytes, offset)? < bytes.len() {
            return Ok(None);
        }
        let word =
            |i: usize| u64::from_le_bytes(bytes[i * 8..i * 8 + 8].try_into().unwrap_or_default());
        let header = SegmentHeader {
            magic: word(0),
            number: word(1),
            sequence: word(2),
            clock: ClockPoint { ticks: word(3), monotonic: word(4) },
            check: word(5),
        };
        Ok((header.magic == SEGMENT_MAGIC && header.checked() == header).then_some(header))
    }
}

/// Fills the buffer, up to the end of the file.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn written(file: &File, path: &Path) -> Result<Written, Unreadable> {
    use std::mem::offset_of;
    let mut bytes = [0; size_of::<FileHeader>()];
    let read = read_at(file, &mut bytes, 0).map_err(|e| Unreadable::io(path, e))?;
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
    if read < bytes.len() {
        return Err(Unreadable::other(path, "it is shorter than a header"));
    }
    if long(offset_of!(FileHeader, magic)) != MAGIC {
        return Err(Unreadable::other(path, "it does not begin as a thread's file"));
    }
    let version = short(offset_of!(FileHeader, version));
    if version > VERSION {
        return Err(Unreadable::Newer { path: path.to_owned(), version });
    }
    let sizes = (
        short(offset_of!(FileHeader, header_size)) as usize,
        short(offset_of!(FileHeader, segment_size)) as usize,
    );
    if sizes != (HEADER_SIZE, SEGMENT_SIZE) {
        return Err(Unreadable::other(path, format!("its parts have other sizes: {sizes:?}")));
    }
    let point = |at: usize| ClockPoint { ticks: long(at), monotonic: long(at + 8) };
    let name = offset_of!(FileHeader, name);
    let name: String = String::from_utf8_lossy(&bytes[name..name + 16])
        .chars()
        .take_while(|c| *c != '\0')
        .filter(|c| !c.is_control())
        .collect();
    Ok(Written {
        ordinal: short(offset_of!(FileHeader, ordinal)),
        tid: short(offset_of!(FileHeader, tid)),
        name,
        state: State::of(short(offset_of!(FileHeader, state))).unwrap_or(State::Running),
        errno: short(offset_of!(FileHeader, errno)),
        filtered: long(offset_of!(FileHeader, filtered)),
        untraced: long(offset_of!(FileHeader, untraced)),
        start: point(offset_of!(FileHeader, start)),
        records: long(offset_of!(FileHeader, records)),
    })
}
