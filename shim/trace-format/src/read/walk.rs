//! Steps through the records of a segment, and skips damage.
//!
//! A record is valid if its head, its number and its clock match the checksum in the head, its function is
//! in the table and its length is that of the function. After damage the reader tries every word until one
//! starts a valid record.

use super::table::Table;
use crate::{
    call::Call,
    layout::{BEGIN, Due, END, EVENT, HEAD, Head, SEGMENT_SIZE, SEQUENCE, Skipped, Stack, event},
};
use std::{fmt, ops::Range};

/// The minimum length of a record in words.
const FEWEST_WORDS: usize = 6;

/// The maximum number of records in a segment.
pub(super) const MOST_RECORDS: u64 = (SEGMENT_SIZE / 8 / FEWEST_WORDS) as u64;

/// A record.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A call of a function that this program knows.
    Call(Call<'a>),
    /// A call of a function that this program does not know: its name, and the clock at entry and exit.
    Foreign {
        /// The function.
        name: &'a str,
        /// Its number in its thread.
        sequence: u64,
        /// In ticks.
        begin: u64,
        /// In ticks; `None` in flight.
        end: Option<u64>,
    },
    /// A handle is seen for the first time.
    Handle(HandleSeen),
    /// A device is seen for the first time.
    Device(DeviceSeen<'a>),
    /// The GPU time of a call of the same thread.
    GpuTime(GpuTime),
    /// A check found something.
    Finding(Finding),
    /// A digest of an operand.
    Digest(Digest),
    /// Calls that were skipped.
    Skipped(SkippedCalls),
    /// A call's operands were saved.
    Saved(Saved),
    /// Calls were checked.
    Checked(CheckedCalls),
    /// The call stack of the thread's next call.
    Stack(StackSeen<'a>),
}

/// The number of a call as shown to users: that of its thread in the trace, and that of its record in the
/// thread. Not all records are calls: for example, the first sight of a handle takes a number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// From 1.
    pub thread: u32,
    /// From 0.
    pub sequence: u64,
}

impl fmt::Display for CallId {
    /// `2:7041`, as [`crate::options::call_number`] parses it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.thread, self.sequence))
    }
}

/// The GPU time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuTime {
    /// When it was read, in ticks.
    pub begin: u64,
    /// The number of the call, in this thread.
    pub sequence: u64,
    /// In nanoseconds.
    pub nanoseconds: u64,
}

/// NaN or infinite elements of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When they were found, in ticks.
    pub begin: u64,
    /// The call.
    pub call: CallId,
    /// The position of the operand's parameter.
    pub parameter: u8,
    /// How many elements are NaN.
    pub nan: u64,
    /// How many are infinite.
    pub inf: u64,
    /// The first of them, in the order of batch, column and row.
    pub first: u64,
}

/// A digest of an operand, for comparison with another run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Digest {
    /// When it was computed, in ticks.
    pub begin: u64,
    /// The call.
    pub call: CallId,
    /// The position of the operand's parameter.
    pub parameter: u8,
    /// Whether it is a digest of an input before the call; otherwise it is one of an output.
    pub is_before: bool,
    /// A hash of the elements' bits.
    pub hash: u64,
    /// How many elements are not finite.
    pub not_finite: u64,
    /// The sum of the finite elements.
    pub sum: f64,
    /// The sum of their absolute values.
    pub absolute: f64,
    /// Their sum with pseudo-random signs.
    pub projection: f64,
    /// The largest absolute value.
    pub largest: f64,
}

/// Calls that were due but skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedCalls {
    /// In ticks.
    pub begin: u64,
    /// What the calls were due for.
    pub due: Due,
    /// Why they were skipped.
    pub reason: Skipped,
    /// How many, since the last such event of the thread.
    pub count: u64,
}

/// A call whose operands are in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// In ticks.
    pub begin: u64,
    /// The call.
    pub call: CallId,
}

/// Calls whose outputs were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedCalls {
    /// In ticks.
    pub begin: u64,
    /// How many, since the last such event.
    pub calls: u64,
    /// How many outputs they have.
    pub outputs: u64,
}

/// The stack of the next call of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackSeen<'a> {
    /// In ticks.
    pub begin: u64,
    /// The number of the call, in this thread.
    pub sequence: u64,
    /// Whether there are more frames than these.
    pub is_cut: bool,
    /// Return addresses, the innermost first.
    pub frames: &'a [u64],
}

/// A handle as it was when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleSeen {
    /// In ticks.
    pub begin: u64,
    /// The handle.
    pub handle: u64,
    /// HIP's number of its device.
    pub device: Option<i64>,
    /// `hipStream_t`
    pub stream: u64,
    /// `rocblas_pointer_mode`
    pub pointer_mode: Option<i64>,
    /// `rocblas_atomics_mode`
    pub atomics_mode: Option<i64>,
    /// The number of its backend: 0 for the first, as for all handles of a trace of version 1.
    pub backend: u8,
}

/// A device that handles are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSeen<'a> {
    /// In ticks.
    pub begin: u64,
    /// HIP's number.
    pub number: u64,
    words: &'a [u64],
}

impl DeviceSeen<'_> {
    /// Its name, such as `AMD Instinct MI50`.
    #[must_use]
    pub fn name(&self) -> String {
        text(&self.words[..event::TEXT / 8])
    }

    /// Its target with features, such as `gfx906:sramecc+:xnack-`.
    #[must_use]
    pub fn target(&self) -> String {
        text(&self.words[event::TEXT / 8..])
    }
}

fn text(words: &[u64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).chars().filter(|c| !c.is_control()).collect()
}

impl Record<'_> {
    /// The clock at its entry, in ticks.
    #[must_use]
    pub fn begin(&self) -> u64 {
        match self {
            Self::Call(call) => call.begin(),
            Self::Foreign { begin, .. } => *begin,
            Self::Handle(seen) => seen.begin,
            Self::Device(seen) => seen.begin,
            Self::GpuTime(time) => time.begin,
            Self::Finding(finding) => finding.begin,
            Self::Digest(digest) => digest.begin,
            Self::Skipped(skipped) => skipped.begin,
            Self::Saved(saved) => saved.begin,
            Self::Checked(checked) => checked.begin,
            Self::Stack(stack) => stack.begin,
        }
    }

    /// Whether it is a call.
    #[must_use]
    pub fn is_call(&self) -> bool {
        matches!(self, Self::Call(_) | Self::Foreign { .. })
    }
}

/// Decodes the words of a record.
pub(super) fn decode<'a>(words: &'a [u64], table: &'a Table) -> Record<'a> {
    let head = Head(words[HEAD]);
    let begin = words[BEGIN];
    let known = |word: u64| Some(word.cast_signed()).filter(|value| *value >= 0);
    match (head.function(), head.answerer()) {
        (EVENT, event::HANDLE) => Record::Handle(HandleSeen {
            begin,
            handle: words[3],
            device: known(words[4]),
            stream: words[5],
            pointer_mode: known(words[6]),
            atomics_mode: known(words[7]),
            backend: words.get(8).and_then(|number| u8::try_from(*number).ok()).unwrap_or(0),
        }),
        (EVENT, event::GPU_TIME) => {
            Record::GpuTime(GpuTime { begin, sequence: words[3], nanoseconds: words[4] })
        }
        (EVENT, event::FINDING) => Record::Finding(Finding {
            begin,
            call: call_id(words),
            parameter: words[5] as u8,
            nan: words[6],
            inf: words[7],
            first: words[8],
        }),
        (EVENT, event::DIGEST) => Record::Digest(Digest {
            begin,
            call: call_id(words),
            parameter: words[5] as u8,
            is_before: words[5] & event::BEFORE != 0,
            hash: words[6],
            not_finite: words[7],
            sum: f64::from_bits(words[8]),
            absolute: f64::from_bits(words[9]),
            projection: f64::from_bits(words[10]),
            largest: f64::from_bits(words[11]),
        }),
        (EVENT, event::SKIPPED) => Record::Skipped(SkippedCalls {
            begin,
            // A later version may have other values.
            due: Due::of(words[3] >> 32).unwrap_or(Due::Check),
            reason: Skipped::of(words[3] & u64::from(u32::MAX)).unwrap_or(Skipped::Unable),
            count: words[4],
        }),
        (EVENT, event::SAVED) => Record::Saved(Saved { begin, call: call_id(words) }),
        (EVENT, event::CHECKED) => {
            Record::Checked(CheckedCalls { begin, calls: words[3], outputs: words[4] })
        }
        (EVENT, event::STACK) => Record::Stack(StackSeen {
            begin,
            sequence: words[3],
            is_cut: words[4] & Stack::CUT != 0,
            frames: &words[event::STACK_HEAD..],
        }),
        (EVENT, _) => Record::Device(DeviceSeen { begin, number: words[3], words: &words[4..] }),
        (function, _) => match table.own_index(function) {
            Some(index) => Record::Call(table.functions().call(index, words)),
            None => Record::Foreign {
                name: table.foreign_name(function),
                sequence: words[SEQUENCE],
                begin,
                end: Some(words[END]).filter(|end| *end != 0),
            },
        },
    }
}

/// The call that an event refers to.
fn call_id(words: &[u64]) -> CallId {
    CallId { thread: words[3] as u32, sequence: words[4] }
}

/// A step through a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record in these words.
    Record { start: usize, end: usize, sequence: u64 },
    /// Words without a record, up to the start of the next step; a record follows them.
    Damage { start: usize, end: usize },
    /// There are no more records.
    End,
}

/// The step from a word on. Records with numbers outside the range are older ones of a ring, or damage that the
/// checksum does not detect.
pub(super) fn step(words: &[u64], at: usize, numbers: &Range<u64>, table: &Table) -> Step {
    let mut place = at;
    loop {
        if let Some((end, sequence)) = record(words, place, table)
            && numbers.contains(&sequence)
        {
            return if place == at {
                Step::Record { start: place, end, sequence }
            } else {
                Step::Damage { start: at, end: place }
            };
        }
        // A segment is padded with zeros.
        let next = words[(place + 1).min(words.len())..].iter().position(|word| *word != 0);
        match next {
            Some(distance) => place += 1 + distance,
            None => return Step::End,
        }
    }
}

/// The end and the number of the record that begins at a word, if one does.
fn record(words: &[u64], at: usize, table: &Table) -> Option<(usize, u64)> {
    let head = Head(*words.get(at)?);
    let length = head.words();
    let end = at + length;
    if length < FEWEST_WORDS || end > words.len() {
        return None;
    }
    let (sequence, begin) = (words[at + SEQUENCE], words[at + BEGIN]);
    if head.checked(sequence, begin) != head {
        return None;
    }
    let fits = match (head.function(), head.answerer()) {
        (EVENT, kind) => event::has_length(kind, length),
        (function, _) => {
            table.has(function)
                && table.shape(function).is_none_or(|shape| length == usize::from(shape.words))
        }
    };
    fits.then_some((end, sequence))
}
