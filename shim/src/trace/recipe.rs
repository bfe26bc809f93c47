//! How calls of each function are recorded: made once for all traces of a kind, read at every call.

use super::{Options, Sink, about, clock};
use crate::{
    backends, route,
    table::{COLD, Table, Target, index},
};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, Ordering};
use once_cell::race::OnceBox;
use rocblas_abi::{C_EXPORTS, Direction};
use rocblas_trace::{
    call::Functions,
    layout::{ARGUMENTS, Head, MOST_SCALARS, SEGMENT_SIZE, Scalar, Shape},
};
use std::sync::{Mutex, PoisonError};

/// How calls of a function are recorded: a cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Recipe {
    /// What is called; [`redirect`] changes it.
    pub(super) target: AtomicPtr<()>,
    /// The record's first word, but for depth and check.
    pub(super) head: u64,
    /// The length of the record in bytes; [`TOO_LONG`] where the thunk is not to write it.
    pub(super) advance: AtomicU16,
    /// The length of the record in words.
    pub(super) words: u8,
    /// Of [`flags`].
    pub(super) flags: AtomicU8,
    /// The number of arguments.
    parameters: u8,
    counts: [u8; 2],
    /// Where one or two scalars are captured at entry, of at most a word each: a bit for each of them. The
    /// first two of `at_entry` are those, or the same twice. Else 0.
    pub(super) plain: u8,
    /// Scalars to capture at entry.
    pub(super) at_entry: [Captured; MOST_SCALARS],
    /// Scalars to capture at exit.
    at_exit: [Captured; MOST_SCALARS],
}

/// More bytes than a segment has.
const TOO_LONG: u16 = u16::MAX;

const _: () = assert!(TOO_LONG as usize > SEGMENT_SIZE);

/// A scalar to capture.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Captured {
    /// Which of the function's scalars it is.
    pub(super) number: u8,
    /// Position of its parameter.
    pub(super) parameter: u8,
    /// Where in the record it goes, in words.
    pub(super) word: u8,
    /// Its length in bytes.
    pub(super) size: u8,
}

impl Captured {
    /// Those of a function's scalars that are not of a direction, and how many they are.
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

/// What is to be known of a function.
pub(crate) mod flags {
    /// There is something to do that not all calls have: scalars, no handle, a special end.
    pub(crate) const ASIDE: u8 = 1;
    /// The same at exit.
    pub(crate) const ENDS_SPECIALLY: u8 = 2;
    /// The first argument is a handle.
    pub(crate) const HANDLE: u8 = 4;
    /// There are scalars, and a handle whose pointer mode they follow.
    pub(crate) const SCALARS: u8 = 8;
    /// The backend lacks the function: `target` is not to be called.
    pub(crate) const MISSING: u8 = 16;
    /// `rocblas_create_handle`
    pub(crate) const MAKES_HANDLE: u8 = 32;
    /// `rocblas_destroy_handle`
    pub(crate) const ENDS_HANDLE: u8 = 64;
}

impl Recipe {
    /// What is called.
    pub(super) fn target(&self) -> *const () {
        self.target.load(Ordering::Acquire).cast_const()
    }

    /// Whether it has one of these flags.
    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags.load(Ordering::Relaxed) & flags != 0
    }

    /// The bytes that have to be free for a record: the six registers are written also where a function
    /// has fewer arguments.
    pub(super) fn room(&self) -> usize {
        usize::from(self.words).max(ARGUMENTS + 6) * 8
    }

    /// How many arguments are on the stack.
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

/// The shapes of records, made once.
pub(super) fn functions() -> &'static Functions {
    static FUNCTIONS: OnceBox<Functions> = OnceBox::new();
    FUNCTIONS.get_or_init(Box::default)
}

/// The recipes of all C functions, made once for all traces of a kind: a process may be traced a
/// thousand times.
pub(super) fn recipes(direct: &Table, sink: &Sink, options: &Options) -> &'static [Recipe] {
    // Where the processor's counter is no clock, every record takes the long way, which asks.
    let of_all =
        options.min > 0 || options.first.is_some() || options.capture || !clock::is_counter();
    let kind = Kind { of_all, to_stderr: *sink == Sink::Stderr };
    // Only with the lock for starting a trace, or for opening a backend, for which a fork waits.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = made.iter().find(|(known, _)| *known == kind) {
        return known;
    }
    let new = Box::leak(recipes_of(kind, direct));
    made.push((kind, new));
    new
}

/// The recipes that were made. There is one table that traced calls go on to at a time.
static MADE: Mutex<Vec<(Kind, &[Recipe])>> = Mutex::new(Vec::new());

/// Lets traced calls go on to the functions of another table, also those of a trace that is on.
pub(super) fn redirect(direct: &Table) {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    for (kind, recipes) in made.iter() {
        for (recipe, target) in recipes.iter().zip(direct) {
            // Which backend has the function is not known before the call; a cold entry finds out.
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

/// What recipes depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// Every record is written by `record`.
    of_all: bool,
    to_stderr: bool,
}

fn recipes_of(kind: Kind, direct: &Table) -> Box<[Recipe]> {
    let functions = functions();
    let position = |name| index(name).unwrap_or(C_EXPORTS);
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
        // A promise of ours answers in the first backend's place, unless it only does something besides.
        let of_first = backends::first().map_or(*target, |first| first.table[index]);
        let answers = about::answers(index, &of_first);
        let has_handle = shape.handle == Some(0);
        let has_scalars = has_handle && shape.count > 0;
        let ends = kind.of_all || kind.to_stderr || written > 0;
        let ends = ends || index == create || index == destroy;
        let flags = [
            (flags::ASIDE, ends || has_scalars || !has_handle),
            (flags::ENDS_SPECIALLY, ends),
            (flags::HANDLE, has_handle),
            (flags::SCALARS, has_scalars),
            (flags::MISSING, is_missing),
            (flags::MAKES_HANDLE, index == create),
            (flags::ENDS_HANDLE, index == destroy),
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
