//! The format of a thread's file. All numbers are little-endian, all offsets in bytes.
//!
//! A file is a [`FileHeader`] of a page, followed by segments of [`SEGMENT_SIZE`]. A segment is a
//! [`SegmentHeader`], followed by records, then zeros. A record is a sequence of 64-bit words and never crosses
//! the end of its segment.
//!
//! | word | of a call | of an event |
//! |---|---|---|
//! | [`HEAD`] | a [`Head`]: function, length, depth, [`Answerer`], checksum | function [`EVENT`], depth 0, the event's kind instead of the [`Answerer`] |
//! | [`SEQUENCE`] | number of the record in its thread, from 0 | the same |
//! | [`BEGIN`] | clock at entry | clock |
//! | [`END`] | clock at exit; 0: in flight | payload, see [`event`] |
//! | [`RESULT`] | rax at exit; undefined before | |
//! | [`NOTE`] | a [`Note`]: which scalars were captured, the pointer mode | |
//! | [`ARGUMENTS`].. | the arguments as passed, one word each | |
//! | after them | the captured scalars, each rounded up to words | |
//!
//! A reader can interpret a file while the program is writing it, or after the program was killed: in the first half
//! of a record the head is stored last, after a zero at the place of the next head; in the second half the clock at
//! exit is stored last. So a record exists as a whole or not at all, and one without a clock at exit was in flight. In
//! a ring the first segment is reused after the last one: a newer segment is recognised by its number, and its first
//! head is zeroed before its header is written.

use rocblas_abi::{Direction, params, scalar_size};

/// The first word of a thread's file.
pub const MAGIC: u64 = u64::from_le_bytes(*b"RBTRACE\n");
/// The first word of a segment.
pub const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"RBSEGMT\n");
/// The version of this format; readers refuse a higher one. In version 1, a handle's event lacks its backend.
/// Versions 1 and 2 have only the events of handles and devices, and no HIP errors in a note. Versions before
/// 4 have no call stacks.
pub const VERSION: u32 = 4;
/// The offset of the first segment.
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

/// The maximum number of parameters of a function in the table.
pub const MOST_PARAMETERS: usize = 30;
/// The maximum number of scalars that follow the pointer mode.
pub const MOST_SCALARS: usize = 5;
/// The longest record, in words: all parameters and five words for each scalar.
pub const MOST_WORDS: usize = ARGUMENTS + MOST_PARAMETERS + MOST_SCALARS * 5;

/// In place of a function's index: the record is an event.
pub const EVENT: u16 = u16::MAX;

/// A simultaneous reading of the records' clock and of the system's.
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
    /// The number of the thread in its trace, from 1; 0 is the shim's own thread, which makes no calls.
    pub ordinal: u32,
    /// The kernel's ID of the thread.
    pub tid: u32,
    /// The PID of the process.
    pub pid: u32,
    /// The thread's name, padded with NUL.
    pub name: [u8; 16],
    /// When the file was created.
    pub start: ClockPoint,
    /// [`table_identity`] of the table that records' function indices refer to.
    pub table: u64,
    /// A [`State`].
    pub state: u32,
    /// The system's error that ended the file, if one did.
    pub errno: u32,
    /// The number of calls that were too short for the filter and are not in the file.
    pub filtered: u64,
    /// The number of calls that are not in the file because it had ended, or because they were nested too deeply.
    pub untraced: u64,
    /// When the thread ended; zero before.
    pub end: ClockPoint,
    /// The number of records that it had written by then, including events and overwritten records; zero before.
    pub records: u64,
}

/// Why a file has no more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// There is no reason: the thread is running, or its process ended.
    Running = 0,
    /// The thread ended.
    Ended = 1,
    /// The file could not grow: `errno` says why.
    Failed = 2,
    /// The trace's limit was reached.
    Limit = 3,
}

impl State {
    /// The state with that number.
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
    /// When it was started.
    pub clock: ClockPoint,
    /// The checksum of [`Self::checked`].
    pub check: u64,
}

impl SegmentHeader {
    /// Sets the checksum of the other fields.
    #[must_use]
    pub fn checked(mut self) -> Self {
        let fields =
            [self.magic, self.number, self.sequence, self.clock.ticks, self.clock.monotonic];
        self.check = fields.into_iter().fold(0, |sum: u64, field| mixed(sum ^ field));
        self
    }
}

/// The multiplier of checksums: 2^64 divided by the golden ratio, an odd number without structure.
pub const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The rotation of the sequence number in the checksum of a head.
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

    /// A head without its checksum. `words` is the length of the record, `depth` the number of traced calls
    /// of the thread in flight, `answerer` an [`Answerer`] or an event's kind.
    #[must_use]
    pub const fn new(function: u16, words: u8, depth: u8, answerer: u8) -> Self {
        Self(
            function as u64 | (words as u64) << 16 | (depth as u64) << 24 | (answerer as u64) << 32,
        )
    }

    /// Adds a 16-bit checksum over the head, the sequence number and the clock at entry, which other bytes
    /// are unlikely to have by chance.
    #[must_use]
    pub const fn checked(self, sequence: u64, begin: u64) -> Self {
        let own = self.0 & ((1 << Self::CHECK_SHIFT) - 1);
        let sum = (own ^ sequence.rotate_left(ROTATION) ^ begin).wrapping_mul(MIXER);
        Self(own | (sum >> Self::CHECK_SHIFT) << Self::CHECK_SHIFT)
    }

    /// The index of the function in the table, or [`EVENT`].
    #[must_use]
    pub const fn function(self) -> u16 {
        self.0 as u16
    }

    /// Length of the record in words.
    #[must_use]
    pub const fn words(self) -> usize {
        (self.0 >> 16) as u8 as usize
    }

    /// The number of traced calls of the thread in flight; 0 for an event.
    #[must_use]
    pub const fn depth(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// An [`Answerer`], or an event's kind.
    #[must_use]
    pub const fn answerer(self) -> u8 {
        (self.0 >> 32) as u8
    }
}

/// The implementation that handles a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Answerer {
    /// The backend that the process header names.
    Backend = 0,
    /// The shim: it keeps a promise for that backend, which may lack the function. For handles of another
    /// backend, see that backend's file.
    Shim = 1,
}

/// Facts about a call other than its arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note(pub u64);

impl Note {
    /// Shift of the bits for scalars at entry: scalar `i`'s bytes at entry are in the record.
    pub const ENTRY: u32 = 0;
    /// The same at exit.
    pub const EXIT: u32 = 8;
    /// Shift of a [`Mode`].
    pub const MODE: u32 = 16;
    /// The call was abandoned by an exception or a jump: there is no exit.
    pub const LEFT: u64 = 1 << 24;
    /// Shift of a [`Capture`].
    pub const CAPTURE: u32 = 25;
    /// HIP's last error was read before and after the call.
    pub const ERRORS: u64 = 1 << 27;
    /// The GPU time of the call is measured: a [`event::GPU_TIME`] follows, unless HIP failed or the trace ended.
    pub const TIMED: u64 = 1 << 28;
    /// Shift of HIP's last error before the call, 16 bits of a `hipError_t`.
    pub const ERROR_BEFORE: u32 = 32;
    /// Shift of HIP's last error after the call.
    pub const ERROR_AFTER: u32 = 48;

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

    /// HIP's last errors before and after the call, as `hipError_t`; `None` if they were not read, or if the call
    /// has not ended.
    #[must_use]
    pub const fn errors(self) -> Option<[u16; 2]> {
        if self.0 & Self::ERRORS == 0 {
            return None;
        }
        Some([(self.0 >> Self::ERROR_BEFORE) as u16, (self.0 >> Self::ERROR_AFTER) as u16])
    }

    /// Whether the handle's stream was being captured at entry.
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

/// Whether the stream of a call was being captured: the work of a captured call is repeated whenever the graph is
/// launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capture {
    /// This was not queried, or the function has no handle.
    Unasked = 0,
    /// It was not.
    No = 1,
    /// It was.
    Yes = 2,
    /// The query failed.
    Untold = 3,
}

/// The location of a handle's scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// The function has no scalars, or the mode could not be queried.
    Unknown = 0,
    /// In host memory.
    Host = 1,
    /// In device memory.
    Device = 2,
}

/// The events, with the contents of the words from [`END`] on.
pub mod event {
    /// A handle that is seen for the first time: the handle, its device (-1: not known), its stream,
    /// its pointer mode and its atomics mode with rocBLAS's numbers (-1: not known), and the number of its
    /// backend: 0 is the one in the process header, others are in separate files
    /// ([`crate::process::backend_file`]).
    pub const HANDLE: u8 = 1;
    /// Length of [`HANDLE`] in words.
    pub const HANDLE_WORDS: usize = 9;
    /// Length of a handle's event in version 1.
    pub const HANDLE_WORDS_1: usize = 8;
    /// The device of a handle: its number, then its name and its target, each padded with NUL to [`TEXT`]
    /// bytes.
    pub const DEVICE: u8 = 2;
    /// Length of [`DEVICE`] in words.
    pub const DEVICE_WORDS: usize = 4 + 2 * TEXT / 8;
    /// Length of a text in bytes.
    pub const TEXT: usize = 64;
    /// The time that the GPU took for a call of the same thread, between two events on its stream: the call's
    /// sequence number, then nanoseconds.
    pub const GPU_TIME: u8 = 3;
    /// Length of [`GPU_TIME`] in words.
    pub const GPU_TIME_WORDS: usize = 6;
    /// A check found something in an operand of a call: the call's thread (its number in the trace) and
    /// sequence number, the operand's parameter, how many elements are NaN, how many are infinite, and the
    /// number of the first of them in the order of batch, column and row.
    pub const FINDING: u8 = 4;
    /// Length of [`FINDING`] in words.
    pub const FINDING_WORDS: usize = 9;
    /// A digest of an operand after a call, or before it: thread and sequence number as in [`FINDING`], the
    /// operand's parameter, combined with [`BEFORE`] for the input values, a hash of the elements' bits, how
    /// many are not finite, and as bits of doubles their sum, the sum of their absolute values, their sum
    /// with pseudo-random signs, and the largest absolute value. The last three exclude elements that are not
    /// finite.
    pub const DIGEST: u8 = 5;
    /// A bit in the parameter's word of a [`DIGEST`]: the digest is of the operand before the call.
    pub const BEFORE: u64 = 1 << 32;
    /// Length of [`DIGEST`] in words.
    pub const DIGEST_WORDS: usize = 12;
    /// Calls that were due to be checked, timed or saved but were not: a [`Skipped`] and their number since the last
    /// event of that kind and reason. They are calls of the same thread, or of any thread in the file of the shim's own
    /// thread.
    ///
    /// [`Skipped`]: super::Skipped
    pub const SKIPPED: u8 = 6;
    /// Length of [`SKIPPED`] in words.
    pub const SKIPPED_WORDS: usize = 6;
    /// The operands of a call were saved: thread and sequence number as in [`FINDING`].
    /// [`crate::process::saved_file`] names the file.
    pub const SAVED: u8 = 7;
    /// Length of [`SAVED`] in words.
    pub const SAVED_WORDS: usize = 6;
    /// The number of calls that were checked since the last such event, and of their outputs.
    pub const CHECKED: u8 = 8;
    /// Length of [`CHECKED`] in words.
    pub const CHECKED_WORDS: usize = 6;

    /// The call stack of the next call of the same thread: its sequence number, a [`Stack`] with flags, then
    /// 1 to [`MOST_FRAMES`] return addresses, the innermost first. For a frame interrupted by a signal, the
    /// address is incremented by one, so that the byte before each address always belongs to the instruction
    /// that was running. [`crate::process::MODULES`] lists the files that contain the addresses.
    ///
    /// [`Stack`]: super::Stack
    pub const STACK: u8 = 9;
    /// Words of a [`STACK`] before its addresses.
    pub const STACK_HEAD: usize = 5;
    /// The most addresses of a [`STACK`].
    pub const MOST_FRAMES: usize = 64;

    /// Whether a length in words is valid for events of a kind.
    #[must_use]
    pub const fn has_length(kind: u8, length: usize) -> bool {
        match (kind, words(kind)) {
            (HANDLE, _) => length == HANDLE_WORDS || length == HANDLE_WORDS_1,
            (STACK, Some(most)) => STACK_HEAD < length && length <= most,
            (_, Some(words)) => length == words,
            (_, None) => false,
        }
    }

    /// The maximum length of events of a kind, in words; `None` for an unknown kind.
    #[must_use]
    pub const fn words(kind: u8) -> Option<usize> {
        Some(match kind {
            HANDLE => HANDLE_WORDS,
            DEVICE => DEVICE_WORDS,
            GPU_TIME => GPU_TIME_WORDS,
            FINDING => FINDING_WORDS,
            DIGEST => DIGEST_WORDS,
            SKIPPED => SKIPPED_WORDS,
            SAVED => SAVED_WORDS,
            CHECKED => CHECKED_WORDS,
            STACK => STACK_HEAD + MOST_FRAMES,
            _ => return None,
        })
    }
}

/// Flags of a call stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack(pub u64);

impl Stack {
    /// There are more frames than those recorded.
    pub const CUT: u64 = 1;
}

/// Why a call that was due was not checked, timed or saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Skipped {
    /// Its stream was being captured.
    Capturing = 1,
    /// All buffers or events were in use, because the GPU lagged behind.
    Busy = 2,
    /// Its operands have more bytes than the limit.
    TooLarge = 3,
    /// The shim cannot handle it: its operands are not described, HIP or the backend lacks a function, or one of
    /// them failed.
    Unable = 4,
    /// The process ended, or the trace stopped, before the result was available.
    Ended = 5,
}

impl Skipped {
    /// The reason with that number.
    #[must_use]
    pub fn of(number: u64) -> Option<Self> {
        let all = [Self::Capturing, Self::Busy, Self::TooLarge, Self::Unable, Self::Ended];
        all.into_iter().find(|reason| *reason as u64 == number)
    }
}

/// What a skipped call was due for; stored in the upper half of the word with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Due {
    /// Its GPU time.
    GpuTime = 1,
    /// A check.
    Check = 2,
    /// Saving its operands.
    Save = 3,
}

impl Due {
    /// The value with that number.
    #[must_use]
    pub fn of(number: u64) -> Option<Self> {
        [Self::GpuTime, Self::Check, Self::Save].into_iter().find(|due| *due as u64 == number)
    }
}

/// A scalar in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Position of its parameter.
    pub parameter: u8,
    /// Its place in the record, in words.
    pub word: u8,
    /// Its length in bytes.
    pub size: u8,
    /// When it is valid: at entry, at exit or both.
    pub direction: Direction,
}

/// The shape of a function's records.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Length in words.
    pub words: u8,
    /// Number of arguments.
    pub parameters: u8,
    /// Position of the handle.
    pub handle: Option<u8>,
    /// The number of entries in `scalars`.
    pub count: u8,
    /// The scalars, in the order of the parameters.
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

/// A number that identifies a table by its functions and their order.
#[must_use]
pub fn table_identity() -> u64 {
    let names = (0..rocblas_abi::C_EXPORTS).map(rocblas_abi::c_name);
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
        for kind in 0..=u8::MAX {
            assert!(event::words(kind).is_none_or(|words| words <= usize::from(u8::MAX)), "{kind}");
        }
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
