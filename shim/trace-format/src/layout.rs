//! The bytes of a thread's file. All numbers are little-endian, all offsets in bytes.
//!
//! A file is a [`FileHeader`] of a page, then segments of [`SEGMENT_SIZE`]. A segment is a
//! [`SegmentHeader`], then records, then zeros. A record is a row of 64-bit words and never crosses the
//! end of its segment.
//!
//! | word | of a call | of an event |
//! |---|---|---|
//! | [`HEAD`] | a [`Head`]: function, length, depth, who answers, check | function [`EVENT`], depth 0, the event's kind in place of who answers |
//! | [`SEQUENCE`] | number of the record in its thread, from 0 | the same |
//! | [`BEGIN`] | clock at entry | clock |
//! | [`END`] | clock at exit; 0: in flight | payload, see [`event`] |
//! | [`RESULT`] | rax at exit; before, whatever was there | |
//! | [`NOTE`] | a [`Note`]: which scalars were captured, the pointer mode | |
//! | [`ARGUMENTS`].. | the arguments as passed, a word each | |
//! | behind them | the captured scalars, each rounded up to words | |
//!
//! What is told apart while a program dies or writes on: the head is stored last of a record's entry
//! half, after a zero at the place of the next head; the clock at exit is stored last of the exit half.
//! So a record is there as a whole or not at all, and one without an exit was in flight. In a ring the
//! first segment is used again after the last one: by its number a segment is known to be newer, and
//! its first head is zeroed before its header is written.

use rocblas_abi::{Direction, params, scalar_size};

/// How a thread's file begins.
pub const MAGIC: u64 = u64::from_le_bytes(*b"RBTRACE\n");
/// How a segment begins.
pub const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"RBSEGMT\n");
/// The version of all of this; a reader refuses a higher one. Of version 1, a handle's event does not tell its
/// backend.
pub const VERSION: u32 = 2;
/// Where the first segment is.
pub const HEADER_SIZE: usize = 4096;
/// The length of a segment.
pub const SEGMENT_SIZE: usize = 32 << 10;

/// Positions of a record's words.
pub const HEAD: usize = 0;
/// See the table above.
pub const SEQUENCE: usize = 1;
/// See the table above.
pub const BEGIN: usize = 2;
/// See the table above.
pub const END: usize = 3;
/// See the table above.
pub const RESULT: usize = 4;
/// See the table above.
pub const NOTE: usize = 5;
/// See the table above.
pub const ARGUMENTS: usize = 6;

/// The most parameters that a function of the table has.
pub const MOST_PARAMETERS: usize = 30;
/// The most scalars that follow the pointer mode.
pub const MOST_SCALARS: usize = 5;
/// The longest record, in words: all parameters and five words for each scalar.
pub const MOST_WORDS: usize = ARGUMENTS + MOST_PARAMETERS + MOST_SCALARS * 5;

/// In place of a function's index: the record is an event.
pub const EVENT: u16 = u16::MAX;

/// A reading of the clock that records are in, and of the two that the system has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ClockPoint {
    /// In the trace's own ticks.
    pub ticks: u64,
    /// `CLOCK_MONOTONIC`, in nanoseconds, at the same time.
    pub monotonic: u64,
}

/// The first page of a file. The part up to `start` is written once, the rest while the thread runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FileHeader {
    /// [`MAGIC`]; written last.
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// [`HEADER_SIZE`].
    pub header_size: u32,
    /// [`SEGMENT_SIZE`].
    pub segment_size: u32,
    /// The number of the thread in its trace, from 1.
    pub ordinal: u32,
    /// The kernel's number of the thread.
    pub tid: u32,
    /// The kernel's number of the process.
    pub pid: u32,
    /// The thread's name, filled up with NUL.
    pub name: [u8; 16],
    /// When the file was made.
    pub start: ClockPoint,
    /// [`table_identity`] of the table by which records have their functions.
    pub table: u64,
    /// A [`State`].
    pub state: u32,
    /// The system's error that ended the file, if one did.
    pub errno: u32,
    /// Calls that were too short for the filter, and are not in the file.
    pub filtered: u64,
    /// Calls that are not in the file because it had ended, or because they were nested too deep.
    pub untraced: u64,
    /// When the thread ended; zero before.
    pub end: ClockPoint,
    /// How many records it had written by then, events and overwritten ones included; zero before.
    pub records: u64,
}

/// Why a file has no more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// None: the thread runs, or its process ended.
    Running = 0,
    /// The thread ended.
    Ended = 1,
    /// The file could not grow: `errno` says why.
    Failed = 2,
    /// The trace's limit was reached.
    Limit = 3,
}

impl State {
    /// The state of that number.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        [Self::Running, Self::Ended, Self::Failed, Self::Limit].into_iter().nth(number as usize)
    }
}

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SegmentHeader {
    /// [`SEGMENT_MAGIC`].
    pub magic: u64,
    /// Counts the segments in the order of writing, from 1.
    pub number: u64,
    /// The sequence number of its first record.
    pub sequence: u64,
    /// When it was begun.
    pub clock: ClockPoint,
    /// [`Self::checked`]'s.
    pub check: u64,
}

impl SegmentHeader {
    /// With the check that belongs to the other fields.
    #[must_use]
    pub fn checked(mut self) -> Self {
        let fields =
            [self.magic, self.number, self.sequence, self.clock.ticks, self.clock.monotonic];
        self.check = fields.into_iter().fold(0, |sum: u64, field| mixed(sum ^ field));
        self
    }
}

/// An odd constant without structure, 2^64 divided by the golden ratio, for checks.
pub const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// How far the sequence number is rotated for the check of a head.
pub const ROTATION: u32 = 20;

const fn mixed(word: u64) -> u64 {
    let product = word.wrapping_mul(MIXER);
    product ^ (product >> 32)
}

/// The first word of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(pub u64);

impl Head {
    const CHECK_SHIFT: u32 = 48;

    /// A head without its check. `words` is the length of the record, `depth` how many traced calls
    /// of the thread were under way, `answerer` an [`Answerer`] or an event's kind.
    #[must_use]
    pub const fn new(function: u16, words: u8, depth: u8, answerer: u8) -> Self {
        Self(
            function as u64 | (words as u64) << 16 | (depth as u64) << 24 | (answerer as u64) << 32,
        )
    }

    /// With a check of 16 bits over itself, the sequence number and the clock at entry: what other
    /// bytes do not have by chance.
    #[must_use]
    pub const fn checked(self, sequence: u64, begin: u64) -> Self {
        let own = self.0 & ((1 << Self::CHECK_SHIFT) - 1);
        let sum = (own ^ sequence.rotate_left(ROTATION) ^ begin).wrapping_mul(MIXER);
        Self(own | (sum >> Self::CHECK_SHIFT) << Self::CHECK_SHIFT)
    }

    /// Index of the function in the table, or [`EVENT`].
    #[must_use]
    pub const fn function(self) -> u16 {
        self.0 as u16
    }

    /// Length of the record in words.
    #[must_use]
    pub const fn words(self) -> usize {
        (self.0 >> 16) as u8 as usize
    }

    /// How many traced calls of the thread were under way; 0 for an event.
    #[must_use]
    pub const fn depth(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Who answers, or an event's kind.
    #[must_use]
    pub const fn answerer(self) -> u8 {
        (self.0 >> 32) as u8
    }
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Answerer {
    /// The backend that the process header names.
    Backend = 0,
    /// The shim: it keeps a promise for that backend, which may lack the function. For handles of another
    /// backend, see that backend's file.
    Shim = 1,
}

/// What is known of a call beside its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note(pub u64);

impl Note {
    /// Scalar `i`'s bytes are in the record, as they were at entry.
    pub const ENTRY: u32 = 0;
    /// The same at exit.
    pub const EXIT: u32 = 8;
    /// Shift of a [`Mode`].
    pub const MODE: u32 = 16;
    /// The call was left by an exception or a jump: there is no exit.
    pub const LEFT: u64 = 1 << 24;
    /// Shift of a [`Capture`].
    pub const CAPTURE: u32 = 25;

    /// Whether scalar `i` was captured at entry.
    #[must_use]
    pub const fn at_entry(self, i: usize) -> bool {
        self.0 >> Self::ENTRY >> i & 1 != 0
    }

    /// Whether scalar `i` was captured at exit.
    #[must_use]
    pub const fn at_exit(self, i: usize) -> bool {
        self.0 >> Self::EXIT >> i & 1 != 0
    }

    /// The handle's pointer mode at entry.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match (self.0 >> Self::MODE) as u8 {
            1 => Mode::Host,
            2 => Mode::Device,
            _ => Mode::Unknown,
        }
    }

    /// Whether the handle's stream captured a graph at entry.
    #[must_use]
    pub const fn capture(self) -> Capture {
        match self.0 >> Self::CAPTURE & 3 {
            1 => Capture::No,
            2 => Capture::Yes,
            3 => Capture::Untold,
            _ => Capture::Unasked,
        }
    }
}

/// Whether the stream of a call captured a graph: a call that it captured runs again whenever the graph is
/// launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capture {
    /// It was not asked, or the function has no handle.
    Unasked = 0,
    /// It did not.
    No = 1,
    /// It did.
    Yes = 2,
    /// HIP did not tell.
    Untold = 3,
}

/// Where a handle's scalars are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// The function has no scalars, or no handle could be asked.
    Unknown = 0,
    /// In host memory.
    Host = 1,
    /// In device memory.
    Device = 2,
}

/// The events: what the words from [`END`] on are.
pub mod event {
    /// A handle that is seen for the first time: the handle, its device (-1: not known), its stream,
    /// its pointer mode and its atomics mode as rocBLAS numbers them (-1: not known), and the number of its
    /// backend: 0 is the one in the process header, others are in files of their own
    /// ([`crate::process::backend_file`]).
    pub const HANDLE: u8 = 1;
    /// Length of [`HANDLE`] in words.
    pub const HANDLE_WORDS: usize = 9;
    /// The same in version 1.
    pub const HANDLE_WORDS_1: usize = 8;
    /// A device that a handle is on: its number, then its name and its target, each filled up with
    /// NUL to [`TEXT`] bytes.
    pub const DEVICE: u8 = 2;
    /// Length of [`DEVICE`] in words.
    pub const DEVICE_WORDS: usize = 4 + 2 * TEXT / 8;
    /// Length of a text in bytes.
    pub const TEXT: usize = 64;
}

/// A scalar in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Position of its parameter.
    pub parameter: u8,
    /// Where in the record it is, in words.
    pub word: u8,
    /// Its length in bytes.
    pub size: u8,
    /// When it is there to be read: at entry, at exit or both.
    pub direction: Direction,
}

/// What a function's record has.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Length in words.
    pub words: u8,
    /// Number of arguments.
    pub parameters: u8,
    /// Position of the handle.
    pub handle: Option<u8>,
    /// How many of `scalars` there are.
    pub count: u8,
    /// In the order of the parameters.
    pub scalars: [Scalar; MOST_SCALARS],
}

impl Shape {
    /// The shape of records of an exported C function.
    #[must_use]
    pub fn of(function: usize) -> Self {
        let nothing = Scalar { parameter: 0, word: 0, size: 0, direction: Direction::In };
        let mut shape = Self {
            words: 0,
            parameters: params(function).len() as u8,
            handle: None,
            count: 0,
            scalars: [nothing; MOST_SCALARS],
        };
        let mut word = ARGUMENTS + usize::from(shape.parameters);
        for (param, position) in params(function).zip(0..) {
            if param.ty.base == rocblas_abi::Base::Handle && param.ty.pointers == 0 {
                shape.handle = Some(position);
            }
            if let (Some(size), Some(direction)) = (scalar_size(&param), param.scalar) {
                shape.scalars[usize::from(shape.count)] =
                    Scalar { parameter: position, word: word as u8, size: size as u8, direction };
                shape.count += 1;
                word += size.div_ceil(8);
            }
        }
        shape.words = word as u8;
        shape
    }

    /// The scalars.
    #[must_use]
    pub fn scalars(&self) -> &[Scalar] {
        &self.scalars[..usize::from(self.count)]
    }
}

/// A number by which tables with other functions, or others in their order, are told apart.
#[must_use]
pub fn table_identity() -> u64 {
    let names = (0..rocblas_abi::C_EXPORTS).map(rocblas_abi::name);
    let bytes = names.flat_map(std::ffi::CStr::to_bytes_with_nul);
    // FNV-1a.
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_abi::{C_EXPORTS, Kind, c_exports};

    #[test]
    fn every_function_fits_into_a_record() {
        let mut longest = 0;
        for function in c_exports().iter().filter(|f| f.kind == Kind::C) {
            let shape = Shape::of(usize::from(function.index));
            longest = longest.max(usize::from(shape.words));
            assert_eq!(usize::from(shape.parameters), function.params.len());
            assert!(function.params.len() <= MOST_PARAMETERS, "{}", function.name);
            // Two-level scalars are arrays in device memory.
            let scalars = function.scalars().filter(|(_, param, _)| param.ty.pointers == 1);
            assert_eq!(shape.scalars().len(), scalars.count(), "{}", function.name);
        }
        assert!(longest <= MOST_WORDS && longest <= usize::from(u8::MAX));
        const { assert!(event::DEVICE_WORDS <= MOST_WORDS) };
        assert!(C_EXPORTS < usize::from(EVENT));
    }

    #[test]
    fn a_gemms_record_is_as_documented() {
        let sgemm = rocblas_abi::by_name("rocblas_sgemm").expect("there");
        let shape = Shape::of(usize::from(sgemm.index));
        assert_eq!((shape.parameters, shape.handle, shape.words), (14, Some(0), 6 + 14 + 2));
        let [alpha, beta] = shape.scalars() else { panic!("{shape:?}") };
        assert_eq!((alpha.parameter, alpha.word, alpha.size), (6, 20, 4));
        assert_eq!((beta.parameter, beta.word, beta.size), (11, 21, 4));
    }

    #[test]
    fn heads_keep_their_fields_and_checks_notice_changes() {
        let head = Head::new(1213, 47, 3, 1).checked(77, 123_456_789);
        assert_eq!((head.function(), head.words()), (1213, 47));
        assert_eq!((head.depth(), head.answerer()), (3, 1));
        assert_eq!(head, head.checked(77, 123_456_789));
        assert_ne!(head, head.checked(78, 123_456_789));
        assert_ne!(head, head.checked(77, 123_456_788));
        let mut header = SegmentHeader { magic: SEGMENT_MAGIC, number: 2, ..Default::default() };
        header = header.checked();
        assert_eq!(header, header.checked());
        header.sequence = 1;
        assert_ne!(header, header.checked());
    }

    #[test]
    fn headers_fit_their_places() {
        assert!(size_of::<FileHeader>() <= HEADER_SIZE);
        assert_eq!(size_of::<SegmentHeader>() % 8, 0);
        assert_eq!(SEGMENT_SIZE % 4096, 0);
    }
}
