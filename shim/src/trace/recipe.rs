//! How calls of each function are recorded: computed once for all traces of a kind, read at every call.

use super::{Options, Sink, about, around, clock};
use crate::{
    backends, route,
    table::{COLD, Table, Target},
};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, Ordering};
use once_cell::race::OnceBox;
use rocblas_abi::{C_EXPORTS, Direction, c_index};
use rocblas_trace::{
    call::Functions,
    layout::{ARGUMENTS, Head, MOST_SCALARS, SEGMENT_SIZE, Scalar, Shape},
};
use std::sync::{Mutex, PoisonError};

/// How calls of a function are recorded; it fits in a cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Recipe {
    /// The function to call; [`redirect`] changes it.
    pub(super) target: AtomicPtr<()>,
    /// The record's first word, except depth and checksum.
    pub(super) head: u64,
    /// The length of the record in bytes; [`TOO_LONG`] if the thunk must not write it.
    pub(super) advance: AtomicU16,
    /// The length of the record in words.
    pub(super) words: u8,
    /// Bits of [`flags`].
    pub(super) flags: AtomicU8,
    /// The number of arguments.
    parameters: u8,
    counts: [u8; 2],
    /// If one or two scalars of at most a word each are captured at entry: a bit for each of them. They are the
    /// first two of `at_entry`, or the same one twice. Otherwise 0.
    pub(super) plain: u8,
    /// Scalars to capture at entry.
    pub(super) at_entry: [Captured; MOST_SCALARS],
    /// Scalars to capture at exit.
    at_exit: [Captured; MOST_SCALARS],
}

/// Larger than a segment.
const TOO_LONG: u16 = u16::MAX;

const _: () = assert!(TOO_LONG as usize > SEGMENT_SIZE);

/// A scalar to capture.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Captured {
    /// Its number among the function's scalars.
    pub(super) number: u8,
    /// The position of its parameter.
    pub(super) parameter: u8,
    /// Its place in the record, in words.
    pub(super) word: u8,
    /// Its length in bytes.
    pub(super) size: u8,
}

impl Captured {
    /// The scalars of a function that do not have a direction, and their number.
    fn except(direction: Direction, shape: &Shape) -> ([Self; MOST_SCALARS], u8) {
        let mut all = [Self::default(); MOST_SCALARS];
        let scalars = shape.scalars().iter().zip(0..).filter(|(s, _)| s.direction != direction);
        let mut count = 0;
        for ((scalar, number), place) in scalars.zip(&mut all) {
            let Scalar { parameter, word, size, .. } = *scalar;
            *place = Self { number, parameter, word, size };
            count += 1;
        }
        (all, count)
    }
}

/// Properties of a function.
pub(crate) mod flags {
    /// Its calls need special handling at entry: scalars, no handle, or special handling at exit.
    pub(crate) const ASIDE: u8 = 1;
    /// Its calls need special handling at exit.
    pub(crate) const ENDS_SPECIALLY: u8 = 2;
    /// The first argument is a handle.
    pub(crate) const HANDLE: u8 = 4;
    /// It has scalars, and a handle whose pointer mode they follow.
    pub(crate) const SCALARS: u8 = 8;
    /// The backend lacks the function: `target` must not be called.
    pub(crate) const MISSING: u8 = 16;
    /// `rocblas_create_handle`
    pub(crate) const MAKES_HANDLE: u8 = 32;
    /// `rocblas_destroy_handle`
    pub(crate) const ENDS_HANDLE: u8 = 64;
    /// HIP's last error is read before and after the call.
    pub(crate) const ERRORS: u8 = 128;
}

impl Recipe {
    /// The function to call.
    pub(super) fn target(&self) -> *const () {
        self.target.load(Ordering::Acquire).cast_const()
    }

    /// Whether it has one of these flags.
    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags.load(Ordering::Relaxed) & flags != 0
    }

    /// The free bytes that a record requires: all six registers are written, even if a function has fewer
    /// arguments.
    pub(super) fn room(&self) -> usize {
        usize::from(self.words).max(ARGUMENTS + 6) * 8
    }

    /// The number of arguments on the stack.
    pub(super) fn stack_arguments(&self) -> usize {
        usize::from(self.parameters).saturating_sub(6)
    }

    /// The scalars to capture at entry.
    pub(super) fn at_entry(&self) -> &[Captured] {
        &self.at_entry[..usize::from(self.counts[0]).min(MOST_SCALARS)]
    }

    /// The scalars to capture at exit.
    pub(super) fn at_exit(&self) -> &[Captured] {
        &self.at_exit[..usize::from(self.counts[1]).min(MOST_SCALARS)]
    }

    /// The index of the function.
    pub(super) fn function(&self) -> usize {
        usize::from(Head(self.head).function())
    }
}

/// The shapes of records, computed once.
pub(super) fn functions() -> &'static Functions {
    static FUNCTIONS: OnceBox<Functions> = OnceBox::new();
    FUNCTIONS.get_or_init(Box::default)
}

/// The recipes of all C functions, computed once for all traces of a kind: a process may be traced a
/// thousand times.
pub(super) fn recipes(
    direct: &Table,
    sink: &Sink,
    options: &Options,
    reads_errors: bool,
) -> &'static [Recipe] {
    // If the processor's counter cannot be used as a clock, every record takes the slow path, which checks that.
    let of_all =
        options.min > 0 || options.first.is_some() || options.capture || !clock::is_counter();
    let of_all = of_all || around::is_wanted(options);
    let kind = Kind { of_all, reads_errors, to_stderr: *sink == Sink::Stderr };
    // Only locked while the lock for starting a trace or for opening a backend is held, for which a fork waits.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = made.iter().find(|(known, _)| *known == kind) {
        return known;
    }
    let new = Box::leak(recipes_of(kind, direct));
    made.push((kind, new));
    new
}

/// The recipes that were computed. At any time, all traced calls go to the functions of one table.
static MADE: Mutex<Vec<(Kind, &[Recipe])>> = Mutex::new(Vec::new());

/// Redirects traced calls to the functions of another table, including those of a running trace.
pub(super) fn redirect(direct: &Table) {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    for (kind, recipes) in made.iter() {
        for (recipe, target) in recipes.iter().zip(direct) {
            // It is not known before the call which backend has the function; the cold entry determines it.
            recipe.target.store(target.0.cast_mut(), Ordering::Release);
            let shape = functions().shape(recipe.function());
            recipe.advance.store(advance(kind.of_all, shape), Ordering::Relaxed);
            recipe.flags.fetch_and(!flags::MISSING, Ordering::Relaxed);
        }
    }
}

fn advance(is_too_long: bool, shape: &Shape) -> u16 {
    if is_too_long { TOO_LONG } else { u16::from(shape.words) * 8 }
}

/// The parameters on which recipes depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// Whether every record is written by `record`.
    of_all: bool,
    reads_errors: bool,
    to_stderr: bool,
}

fn recipes_of(kind: Kind, direct: &Table) -> Box<[Recipe]> {
    let functions = functions();
    let position = |name| c_index(name).unwrap_or(C_EXPORTS);
    let (create, destroy) =
        (position(c"rocblas_create_handle"), position(c"rocblas_destroy_handle"));
    let recipe = |(index, target): (usize, &Target)| {
        let shape = functions.shape(index);
        let (mut at_entry, read) = Captured::except(Direction::Out, shape);
        if read == 1 {
            at_entry[1] = at_entry[0];
        }
        let is_plain = matches!(read, 1 | 2) && at_entry[..2].iter().all(|scalar| scalar.size <= 8);
        let (at_exit, written) = Captured::except(Direction::In, shape);
        let is_missing = *target == COLD[index] && !route::is_on();
        // A replacement may implement the function instead of the first backend, or only wrap it.
        let of_first = backends::first().map_or(*target, |first| first.table[index]);
        let answers = about::answers(index, &of_first);
        let has_handle = shape.handle == Some(0);
        let has_scalars = has_handle && shape.count > 0;
        let ends = kind.of_all || kind.to_stderr || written > 0;
        let ends = ends || index == create || index == destroy;
        let reads_errors = kind.reads_errors && has_handle;
        let flags = [
            (flags::ASIDE, ends || has_scalars || !has_handle || reads_errors),
            (flags::ENDS_SPECIALLY, ends),
            (flags::HANDLE, has_handle),
            (flags::SCALARS, has_scalars),
            (flags::MISSING, is_missing),
            (flags::MAKES_HANDLE, index == create),
            (flags::ENDS_HANDLE, index == destroy),
            (flags::ERRORS, reads_errors),
        ];
        Recipe {
            target: AtomicPtr::new(target.0.cast_mut()),
            head: Head::new(index as u16, shape.words, 0, u8::from(answers)).0,
            advance: AtomicU16::new(advance(kind.of_all || is_missing, shape)),
            words: shape.words,
            flags: AtomicU8::new(flags.iter().filter(|(_, has)| *has).map(|(flag, _)| flag).sum()),
            parameters: shape.parameters,
            counts: [read, written],
            plain: if is_plain { 1 << at_entry[0].number | 1 << at_entry[1].number } else { 0 },
            at_entry,
            at_exit,
        }
    };
    direct[..C_EXPORTS].iter().enumerate().map(recipe).collect()
}
