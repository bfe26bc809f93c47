//! One trace: its settings, its directory, and the state that its threads share.

use super::{
    Options, about,
    around::{
        self, last_error,
        ranges::{self, Ranges},
    },
    clock,
    directory::{self, Directory},
    recipe::{Recipe, functions, recipes},
};
use crate::{
    backend::{Backend, hip::Peek},
    backends::Slot,
    compat::handles,
    diagnostics::error,
    route,
    table::Table,
};
use core::{
    ffi::CStr,
    mem, ptr,
    sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering},
};
use rocblas_abi::prototype::rocblas_get_pointer_mode;
use rocblas_contract::sentences;
use rocblas_trace::{
    call::Functions,
    options::Place,
    process::{Clock, ENDED, Ended, PROCESS, backend_file},
};
use std::{
    collections::{BTreeSet, HashSet},
    ffi::{CString, OsStr},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

/// The destination of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// A new directory in this one, with a file for each thread.
    Directory(PathBuf),
    /// stderr, with a line for each call.
    Stderr,
}

impl Sink {
    /// Parses the user's setting: `stderr`, or a directory, relative to the current one. `None` for `off` and
    /// for an empty setting.
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

    /// Which kind of place it is.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Directory(_) => Place::Directory,
            Self::Stderr => Place::Stderr,
        }
    }
}

// SAFETY: `recipes` points to memory that is never freed and is only changed by atomic stores.
unsafe impl Send for Session {}
// SAFETY: as above; the rest is made for it.
unsafe impl Sync for Session {}

/// The function in a table; null if it has none.
fn get_pointer_mode(direct: &Table) -> *mut () {
    let function = handles::original(direct, c"rocblas_get_pointer_mode");
    function.map_or(ptr::null_mut(), <*const ()>::cast_mut)
}

/// A trace.
#[derive(Debug)]
pub(crate) struct Session {
    /// A recipe for each C function, by index; never freed.
    pub(super) recipes: *const Recipe,
    pub(super) functions: &'static Functions,
    /// `rocblas_get_pointer_mode` of the table that traced calls go to, for the assembly; null if there is
    /// none.
    pub(super) get_pointer_mode: AtomicPtr<()>,
    /// After a call whose GPU time is measured, none is measured for this long; in ticks.
    pub(super) gpu_time_pause: u64,
    /// Shorter calls are not recorded; in ticks.
    pub(super) min: u64,
    /// The number of calls that are still to be recorded, if it is limited.
    pub(super) remaining: Option<AtomicI64>,
    pub(super) to_stderr: bool,
    /// The function that reads HIP's last error around calls, for the assembly; `None` if it is not read.
    pub(super) peek: Option<Peek>,
    /// The rocTX functions for ranges around calls; `None` if there are no ranges.
    pub(super) ranges: Option<Ranges>,
    pub(super) clock: Clock,
    pub(super) options: Options,
    pub(super) backend: &'static Backend,
    sink: Sink,
    /// Created before the first record is written.
    directory: OnceLock<Result<Directory, String>>,
    text: OnceLock<CString>,
    threads: AtomicU32,
    /// The size of all files together, in bytes.
    bytes: AtomicU64,
    reported: AtomicBool,
    handles: Mutex<HashSet<usize>>,
    devices: Mutex<BTreeSet<i32>>,
    /// The slots of backends whose files have been written.
    backends: Mutex<BTreeSet<Slot>>,
    /// The state of checks and captures of operands.
    pub(super) watch: around::Shared,
    /// What of the program's modules the trace has, where it has call stacks.
    pub(super) modules: around::Modules,
}

impl Session {
    pub(super) fn new(backend: &'static Backend, sink: Sink, options: Options) -> Self {
        let clock = clock::calibrate();
        let direct = route::direct().unwrap_or(&backend.table);
        let reads_errors = last_error::of(&options, backend).is_some();
        let recipes = recipes(direct, &sink, &options, reads_errors).as_ptr();
        let ranges = ranges::of(&options);
        Self { ranges, ..Self::with(backend, sink, options, clock, recipes) }
    }

    fn with(
        backend: &'static Backend,
        sink: Sink,
        options: Options,
        clock: Clock,
        recipes: *const Recipe,
    ) -> Self {
        let ticks = |nanoseconds: u64| (nanoseconds as f64 * clock.hertz / 1e9) as u64;
        Self {
            recipes,
            functions: functions(),
            get_pointer_mode: AtomicPtr::new(get_pointer_mode(
                route::direct().unwrap_or(&backend.table),
            )),
            gpu_time_pause: ticks(options.gpu_time.map_or(0, |sampling| sampling.pause)),
            min: ticks(options.min),
            remaining: options
                .first
                .map(|first| AtomicI64::new(first.try_into().unwrap_or(i64::MAX))),
            to_stderr: sink == Sink::Stderr,
            peek: last_error::of(&options, backend),
            ranges: None,
            watch: around::Shared::new(&options),
            clock,
            options,
            backend,
            sink,
            directory: OnceLock::new(),
            text: OnceLock::new(),
            threads: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            reported: AtomicBool::new(false),
            handles: Mutex::default(),
            devices: Mutex::default(),
            backends: Mutex::default(),
            modules: around::Modules::default(),
        }
    }

    /// The function that returns a handle's pointer mode.
    pub(super) fn get_pointer_mode(&self) -> Option<rocblas_get_pointer_mode> {
        let function = self.get_pointer_mode.load(Ordering::Acquire);
        // SAFETY: null, or a function of that name.
        unsafe { mem::transmute::<*mut (), Option<rocblas_get_pointer_mode>>(function) }
    }

    /// Queries pointer modes through another table from now on.
    pub(super) fn redirect(&self, direct: &Table) {
        self.get_pointer_mode.store(get_pointer_mode(direct), Ordering::Release);
    }

    /// How calls of a function are recorded.
    ///
    /// # Safety
    /// `index` is the index of a C function.
    pub(super) unsafe fn recipe(&self, index: usize) -> *const Recipe {
        // SAFETY: there is one for each C function.
        unsafe { self.recipes.add(index) }
    }

    /// The same trace for a forked child, with its own directory and no known handles.
    pub(super) fn for_child(&self) -> Self {
        let clock = Clock { start: clock::point(), ..self.clock.clone() };
        let (sink, options) = (self.sink.clone(), self.options.clone());
        let mut child = Self::with(self.backend, sink, options, clock, self.recipes);
        child.ranges = self.ranges;
        if let (Some(remaining), Some(of_parent)) = (&mut child.remaining, &self.remaining) {
            *remaining = AtomicI64::new(of_parent.load(Ordering::Relaxed));
        }
        child
    }

    /// The directory, which is created if necessary; `None` for a trace to stderr. The error is a message,
    /// the same each time.
    pub(super) fn directory(&self) -> Result<Option<&Directory>, String> {
        let Sink::Directory(parent) = &self.sink else { return Ok(None) };
        let made = self.directory.get_or_init(|| {
            self.make_directory(parent).map_err(|e| sentences::trace_not_made(parent.display(), e))
        });
        made.as_ref().map(Some).map_err(Clone::clone)
    }

    fn make_directory(&self, parent: &Path) -> Result<Directory, directory::Error> {
        let directory = Directory::create(parent)?;
        let text = serde_json::to_vec_pretty(&about::process(self)).map_err(io::Error::from)?;
        directory.write_whole(PROCESS, &text)?;
        Ok(directory)
    }

    /// The directory, if it has been made.
    pub(super) fn created_directory(&self) -> Option<&Path> {
        Some(self.directory.get()?.as_ref().ok()?.path())
    }

    /// The same as a C string.
    pub(super) fn created_directory_c_str(&self) -> Option<&CStr> {
        let made = self.created_directory()?.as_os_str().as_bytes();
        Some(self.text.get_or_init(|| CString::new(made).unwrap_or_default()))
    }

    /// The number for another thread.
    pub(super) fn next_thread(&self) -> u32 {
        self.threads.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many threads there were.
    pub(super) fn threads(&self) -> u32 {
        self.threads.load(Ordering::Relaxed)
    }

    /// Reserves that many more bytes for files. Returns whether the limit allows them.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A ring has its own size limit.
        self.options.ring.is_some() || before + bytes <= self.options.limit
    }

    /// Releases reserved bytes that are not used.
    pub(super) fn unreserve(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Reports an error; only the first one of all threads.
    pub(super) fn report_once(&self, what: &str) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            error!("{what}");
        }
    }

    /// Whether a handle is seen for the first time.
    pub(super) fn is_new_handle(&self, handle: usize) -> bool {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).insert(handle)
    }

    /// Forgets a destroyed handle; another one may get its address.
    pub(super) fn forget_handle(&self, handle: usize) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    /// Whether a device is seen for the first time.
    pub(super) fn is_new_device(&self, device: i32) -> bool {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).insert(device)
    }

    /// Writes the file about a backend other than the first, unless another thread has. Once this returns, the file
    /// exists.
    pub(super) fn describe_backend(&self, backend: &Backend) {
        let Some(Ok(directory)) = self.directory.get() else { return };
        let mut told = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.insert(backend.slot) {
            return;
        }
        let file = backend_file(backend.slot);
        let written = serde_json::to_vec_pretty(&about::further(backend))
            .map_err(|e| io::Error::from(e).into())
            .and_then(|text| directory.write_whole(&file, &text));
        if let Err(e) = written {
            let path = directory.path().join(file);
            self.report_once(&sentences::trace_file_not_written(path.display(), e));
        }
    }

    /// Records on disk that the trace was stopped, and frees what is only needed while it is on. The rest stays, for
    /// calls in flight.
    pub(super) fn end(&self, why: &str) {
        *self.handles.lock().unwrap_or_else(PoisonError::into_inner) = HashSet::new();
        let Some(Ok(directory)) = self.directory.get() else { return };
        let ended = Ended { why: why.to_owned(), at: clock::point() };
        let written = serde_json::to_vec_pretty(&ended)
            .map_err(|e| io::Error::from(e).into())
            .and_then(|text| directory.write_whole(ENDED, &text));
        if let Err(e) = written {
            let path = directory.path().join(ENDED);
            self.report_once(&sentences::trace_file_not_written(path.display(), e));
        }
    }
}
