//! One trace: its settings, its directory, and what its threads share.

use super::{Options, clock, file};
use crate::{
    backend::Backend,
    table::{COLD, Target, index, name},
};
use core::{
    ffi::{CStr, c_void},
    mem::transmute,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
};
use once_cell::race::OnceBox;
use rocblas_abi::{C_EXPORTS, Direction};
use rocblas_trace::{
    call::Functions,
    layout::{ARGUMENTS, Head, MOST_SCALARS, SEGMENT_SIZE, Scalar, Shape, VERSION, table_identity},
    process::{self, Clock, ENDED, Ended, PROCESS, Process, Settings},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    env,
    ffi::{CString, OsStr},
    fs, io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};
use tracing::error;

/// Where a trace goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// Into a directory in this one, with a file for each thread.
    Directory(PathBuf),
    /// To stderr, a line for each call.
    Stderr,
}

impl Sink {
    /// By a person's word: `stderr`, or a directory, relative to where the program is now. `None` for
    /// `off` and for nothing.
    pub(crate) fn of(word: &OsStr) -> Option<Self> {
        if word.is_empty() || word == "off" {
            return None;
        }
        if word == "stderr" {
            return Some(Self::Stderr);
        }
        let path = Path::new(word);
        Some(Self::Directory(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())))
    }
}

pub(super) type Get = unsafe extern "C" fn(*mut c_void, *mut i32) -> i32;
pub(super) type GetStream = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> i32;

/// What is asked of a handle: the backend's own functions, where it has them.
#[derive(Debug)]
pub(super) struct Questions {
    pub(super) pointer_mode: Option<Get>,
    pub(super) atomics_mode: Option<Get>,
    pub(super) stream: Option<GetStream>,
}

/// How calls of a function are recorded: a cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Recipe {
    /// What is called.
    pub(super) target: *const (),
    /// The record's first word, but for depth and check.
    pub(super) head: u64,
    /// The length of the record in bytes; [`TOO_LONG`] where the thunk is not to write it.
    pub(super) advance: u16,
    /// The length of the record in words.
    pub(super) words: u8,
    /// Of [`flags`].
    pub(super) flags: u8,
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
    fn all_but(direction: Direction, shape: &Shape) -> ([Self; MOST_SCALARS], u8) {
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
pub(super) mod flags {
    /// There is something to do that not all calls have: scalars, no handle, a special end.
    pub(in super::super) const ASIDE: u8 = 1;
    /// The same at exit.
    pub(in super::super) const ENDS_SPECIALLY: u8 = 2;
    /// The first argument is a handle.
    pub(in super::super) const HANDLE: u8 = 4;
    /// There are scalars, and a handle whose pointer mode they follow.
    pub(in super::super) const SCALARS: u8 = 8;
    /// The backend lacks the function: `target` is not to be called.
    pub(in super::super) const MISSING: u8 = 16;
    /// `rocblas_create_handle`
    pub(in super::super) const MAKES_HANDLE: u8 = 32;
    /// `rocblas_destroy_handle`
    pub(in super::super) const ENDS_HANDLE: u8 = 64;
}

// SAFETY: `target` is the address of code that stays mapped.
unsafe impl Send for Recipe {}
// SAFETY: as above.
unsafe impl Sync for Recipe {}

impl Recipe {
    /// Whether it has one of these flags.
    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
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

// SAFETY: `recipes` leads to what is shared and never changes.
unsafe impl Send for Session {}
// SAFETY: as above; the rest is made for it.
unsafe impl Sync for Session {}

/// A trace.
#[derive(Debug)]
pub(crate) struct Session {
    /// One for each C function, by index; never freed.
    pub(super) recipes: *const Recipe,
    pub(super) functions: &'static Functions,
    pub(super) questions: Questions,
    /// Shorter calls are left out; in ticks.
    pub(super) min: u64,
    /// Calls that are still to be recorded, where they are counted.
    pub(super) left: Option<AtomicI64>,
    pub(super) to_stderr: bool,
    pub(super) clock: Clock,
    pub(super) options: Options,
    pub(super) backend: &'static Backend,
    sink: Sink,
    /// Made when the first record is to be written.
    directory: OnceLock<Result<PathBuf, String>>,
    text: OnceLock<CString>,
    threads: AtomicU32,
    /// Bytes that all files together have.
    bytes: AtomicU64,
    complained: AtomicBool,
    handles: Mutex<HashSet<usize>>,
    devices: Mutex<BTreeSet<i32>>,
}

/// The shapes of records, made once.
fn functions() -> &'static Functions {
    static FUNCTIONS: OnceBox<Functions> = OnceBox::new();
    FUNCTIONS.get_or_init(Box::default)
}

impl Session {
    pub(super) fn new(backend: &'static Backend, sink: Sink, options: Options) -> Self {
        let clock = clock::calibrate();
        let recipes = recipes(backend, &sink, &options).as_ptr();
        Self::with(backend, sink, options, clock, recipes)
    }

    fn with(
        backend: &'static Backend,
        sink: Sink,
        options: Options,
        clock: Clock,
        recipes: *const Recipe,
    ) -> Self {
        let table = &*backend.table;
        let function = |name: &CStr| crate::compat::handles::original(table, name);
        // SAFETY: the vendor's prototypes of these functions, the same since rocBLAS 2.
        let questions = unsafe {
            Questions {
                pointer_mode: function(c"rocblas_get_pointer_mode")
                    .map(|f| transmute::<*const (), Get>(f)),
                atomics_mode: function(c"rocblas_get_atomics_mode")
                    .map(|f| transmute::<*const (), Get>(f)),
                stream: function(c"rocblas_get_stream")
                    .map(|f| transmute::<*const (), GetStream>(f)),
            }
        };
        Self {
            recipes,
            functions: functions(),
            questions,
            min: (options.min as f64 * clock.hertz / 1e9) as u64,
            left: options.first.map(|first| AtomicI64::new(first.try_into().unwrap_or(i64::MAX))),
            to_stderr: sink == Sink::Stderr,
            clock,
            options,
            backend,
            sink,
            directory: OnceLock::new(),
            text: OnceLock::new(),
            threads: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            complained: AtomicBool::new(false),
            handles: Mutex::default(),
            devices: Mutex::default(),
        }
    }

    /// How calls of a function are recorded.
    ///
    /// # Safety
    /// `index` is that of a C function.
    pub(super) unsafe fn recipe(&self, index: usize) -> *const Recipe {
        // SAFETY: there is one for each C function.
        unsafe { self.recipes.add(index) }
    }

    /// The same trace for a forked child, which has its own directory and knows no handle.
    pub(super) fn for_child(&self) -> Self {
        let clock = Clock { start: clock::point(), ..self.clock.clone() };
        let (sink, options) = (self.sink.clone(), self.options.clone());
        let mut child = Self::with(self.backend, sink, options, clock, self.recipes);
        if let (Some(left), Some(of_parent)) = (&mut child.left, &self.left) {
            *left = AtomicI64::new(of_parent.load(Ordering::Relaxed));
        }
        child
    }

    /// The directory, made if that has not been done; none for lines to stderr. The error is a
    /// sentence, the same each time.
    pub(super) fn directory(&self) -> Result<Option<&Path>, String> {
        let Sink::Directory(parent) = &self.sink else { return Ok(None) };
        let made = self.directory.get_or_init(|| {
            let made = make_directory(parent).and_then(|directory| {
                let text = serde_json::to_vec_pretty(&self.process())?;
                file::write_whole(&directory.join(PROCESS), &text)?;
                Ok(directory)
            });
            made.map_err(|e| format!("cannot make a trace in {}: {e}", parent.display()))
        });
        made.as_deref().map(Some).map_err(Clone::clone)
    }

    /// The directory, if it has been made.
    pub(super) fn made(&self) -> Option<&Path> {
        self.directory.get()?.as_deref().ok()
    }

    /// The same for C.
    pub(super) fn made_as_text(&self) -> Option<&CStr> {
        let made = self.made()?.as_os_str().as_bytes();
        Some(self.text.get_or_init(|| CString::new(made).unwrap_or_default()))
    }

    /// A number for one more thread.
    pub(super) fn next_thread(&self) -> u32 {
        self.threads.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many threads there were.
    pub(super) fn threads(&self) -> u32 {
        self.threads.load(Ordering::Relaxed)
    }

    /// Counts that many bytes more for files, and answers whether they may have them.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A ring keeps to its own size.
        self.options.ring.is_some() || before + bytes <= self.options.limit
    }

    /// They do not get them.
    pub(super) fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Says what went wrong, once for all threads.
    pub(super) fn complain(&self, what: &str) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            error!("{what}");
        }
    }

    /// Whether a handle is seen for the first time.
    pub(super) fn is_new_handle(&self, handle: usize) -> bool {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).insert(handle)
    }

    /// A handle is gone; another one may get its address.
    pub(super) fn forget_handle(&self, handle: usize) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    /// Whether a device is seen for the first time.
    pub(super) fn is_new_device(&self, device: i32) -> bool {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).insert(device)
    }

    /// Says on disk that the trace was stopped.
    pub(super) fn end(&self, why: &str) {
        if let Some(directory) = self.made() {
            let ended = Ended { why: why.to_owned(), at: clock::point() };
            let written = serde_json::to_vec_pretty(&ended)
                .map_err(io::Error::from)
                .and_then(|text| file::write_whole(&directory.join(ENDED), &text));
            if let Err(e) = written {
                self.complain(&format!("cannot write {}: {e}", directory.join(ENDED).display()));
            }
        }
    }

    fn process(&self) -> Process {
        let Options { ring, limit, functions, min, first } = self.options.clone();
        let backend = self.backend;
        Process {
            format: VERSION,
            program: fs::read_link("/proc/self/exe").unwrap_or_default().display().to_string(),
            arguments: arguments(),
            pid: std::process::id(),
            started: started(),
            boot: line_of("/proc/sys/kernel/random/boot_id"),
            host: line_of("/proc/sys/kernel/hostname"),
            shim: env!("CARGO_PKG_VERSION").to_owned(),
            backend: process::Backend {
                name: backend.name.clone(),
                path: backend.path.display().to_string(),
                version: backend.compat.version.backend().to_string_lossy().into_owned(),
            },
            promises: backend.compat.active.names().into_iter().map(str::to_owned).collect(),
            clock: self.clock.clone(),
            settings: Settings { ring, limit, functions, min, first },
            environment: environment(),
            table: table_identity(),
            functions: (0..C_EXPORTS).map(|i| name(i).to_string_lossy().into_owned()).collect(),
        }
    }
}

/// The recipes of all C functions, made once for all traces of a kind: a process may be traced a
/// thousand times.
fn recipes(backend: &'static Backend, sink: &Sink, options: &Options) -> &'static [Recipe] {
    static MADE: Mutex<Vec<(Kind, &[Recipe])>> = Mutex::new(Vec::new());
    // Where the processor's counter is no clock, every record takes the long way, which asks.
    let of_all = options.min > 0 || options.first.is_some() || !clock::is_counter();
    let backend_at = core::ptr::from_ref(backend).addr();
    let kind = Kind { backend: backend_at, of_all, to_stderr: *sink == Sink::Stderr };
    // Only with the turn to start a trace, or to open a backend, for which a fork waits.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = made.iter().find(|(known, _)| *known == kind) {
        return known;
    }
    let new = Box::leak(recipes_of(kind, backend));
    made.push((kind, new));
    new
}

/// What recipes depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    /// The address of the backend.
    backend: usize,
    /// Every record is written by `record`.
    of_all: bool,
    to_stderr: bool,
}

fn recipes_of(kind: Kind, backend: &Backend) -> Box<[Recipe]> {
    let functions = functions();
    let own = crate::own::range();
    let position = |name| index(name).unwrap_or(C_EXPORTS);
    let (create, destroy) =
        (position(c"rocblas_create_handle"), position(c"rocblas_destroy_handle"));
    let recipe = |(index, target): (usize, &Target)| {
        let shape = functions.shape(index);
        let (mut at_entry, read) = Captured::all_but(Direction::Out, shape);
        if read == 1 {
            at_entry[1] = at_entry[0];
        }
        let is_plain = matches!(read, 1 | 2) && at_entry[..2].iter().all(|scalar| scalar.size <= 8);
        let (at_exit, written) = Captured::all_but(Direction::In, shape);
        let is_missing = *target == COLD[index];
        // A promise of ours answers in the backend's place, unless it only does something besides.
        let answers = own.contains(&target.0.addr()) && !crate::compat::passes_on(name(index));
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
            target: target.0,
            head: Head::new(index as u16, shape.words, 0, u8::from(answers)).0,
            advance: if kind.of_all || is_missing { TOO_LONG } else { u16::from(shape.words) * 8 },
            words: shape.words,
            flags: flags.iter().filter(|(_, has)| *has).map(|(flag, _)| flag).sum(),
            parameters: shape.parameters,
            counts: [read, written],
            plain: if is_plain { 1 << at_entry[0].number | 1 << at_entry[1].number } else { 0 },
            at_entry,
            at_exit,
        }
    };
    backend.table[..C_EXPORTS].iter().enumerate().map(recipe).collect()
}

/// A new directory for this process, `PROGRAM-PID`, with a number if there is one already.
fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o777);
    builder.recursive(true).create(parent)?;
    builder.recursive(false);
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A program that was replaced while it ran.
    let program = program.trim_end_matches(" (deleted)");
    let stem = format!("{program}-{}", std::process::id());
    let path = |number: u64| {
        parent.join(if number == 1 { stem.clone() } else { format!("{stem}.{number}") })
    };
    let mut number = free_number(|number| path(number).symlink_metadata().is_ok());
    loop {
        let directory = path(number);
        match builder.create(&directory) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            other => return other.map(|()| directory),
        }
    }
}

/// The number behind those that are taken, from 1 on, in a few steps also where they are thousands. Where
/// there are gaps, one that is free.
fn free_number(is_taken: impl Fn(u64) -> bool) -> u64 {
    let mut free = 1;
    while is_taken(free) {
        free *= 2;
    }
    let mut taken = free / 2;
    while free - taken > 1 {
        let middle = u64::midpoint(taken, free);
        *(if is_taken(middle) { &mut taken } else { &mut free }) = middle;
    }
    free
}

fn arguments() -> Vec<String> {
    let line = fs::read("/proc/self/cmdline").unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// When this process started, in the kernel's ticks since boot: field 22 of proc(5), the 20th behind
/// the name in parentheses.
fn started() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What of the environment decides what rocBLAS and HIP do.
fn environment() -> BTreeMap<String, String> {
    const PREFIXES: [&str; 8] =
        ["ROCBLAS_", "HIP", "HSA_", "ROCR_", "GPU_", "AMD_", "TENSILE_", "LD_LIBRARY_PATH"];
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_number_is_found_in_a_few_steps() {
        for taken in 0..70 {
            assert_eq!(free_number(|number| number <= taken), taken + 1);
        }
        let asked = core::cell::Cell::new(0);
        let free = free_number(|number| {
            asked.set(asked.get() + 1);
            number <= 100_000
        });
        assert_eq!(free, 100_001);
        assert!(asked.get() < 40, "{asked:?}");
        assert_eq!(free_number(|number| number == 1 || number == 3), 2);
    }
}
