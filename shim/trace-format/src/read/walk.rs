//! The records of a segment, one after the other, and over what is damaged.
//!
//! A record is believed when its head, its number and its clock agree with the check in the head, its
//! function is one of the table and its length is that of the function. Behind damage every word is
//! tried until one begins such a record again.

use super::table::Table;
use crate::{
    call::Call,
    layout::{BEGIN, END, EVENT, HEAD, Head, SEGMENT_SIZE, SEQUENCE, event},
};
use std::ops::Range;

/// The fewest words that a record has.
const FEWEST_WORDS: usize = 6;

/// The most records that a segment has.
pub(super) const MOST_RECORDS: u64 = (SEGMENT_SIZE / 8 / FEWEST_WORDS) as u64;

/// A record.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A call of a function that this program knows.
    Call(Call<'a>),
    /// A call of one that it does not know: its name, and the clock at entry and exit.
    Foreign {
        /// The function.
        name: &'a str,
        /// In ticks.
        begin: u64,
        /// In ticks; `None` in flight.
        end: Option<u64>,
    },
    /// A handle is seen for the first time.
    Handle(HandleSeen),
    /// A device is seen for the first time.
    Device(DeviceSeen<'a>),
}

/// A handle as it was when it was seen first.
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
        }
    }

    /// Whether it is a call.
    #[must_use]
    pub fn is_call(&self) -> bool {
        matches!(self, Self::Call(_) | Self::Foreign { .. })
    }
}

/// What the words of a record mean.
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
        (EVENT, _) => Record::Device(DeviceSeen { begin, number: words[3], words: &words[4..] }),
        (function, _) => match table.own_index(function) {
            Some(index) => Record::Call(table.functions().call(index, words)),
            None => Record::Foreign {
                name: table.foreign_name(function),
                begin,
                end: Some(words[END]).filter(|end| *end != 0),
            },
        },
    }
}

/// A step through a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record in these words.
    Record { start: usize, end: usize, sequence: u64 },
    /// Words that hold none, up to where the next step goes on; there is a record behind them.
    Damage { start: usize, end: usize },
    /// There are no more records.
    End,
}

/// The step from a word on. Records of other numbers than these are older ones of a ring, or damage that
/// their check does not see.
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
        // Zeros to the end are what a segment is filled up with.
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
        (EVENT, event::HANDLE) => length == event::HANDLE_WORDS || length == event::HANDLE_WORDS_1,
        (EVENT, event::DEVICE) => length == event::DEVICE_WORDS,
        (EVENT, _) => false,
        (function, _) => {
            table.has(function)
                && table.shape(function).is_none_or(|shape| length == usize::from(shape.words))
        }
    };
    fits.then_some((end, sequence))
}
