//! Random calls of any function, and checks of their results.

use super::{
    backends::{Backend, Latest, Library, answer, is_recorded},
    shared::{Mapping, Thread, digest},
};
use crate::{
    valid::{Arguments, Memory, Random},
    words::{WORDS, Words, call},
};
use core::{
    array,
    ffi::{CStr, c_void},
};
use rocblas_abi::{Base, Function, Kind, Whose, enumeration, exports, operands::is_described};
use std::{ffi::CString, sync::atomic::Ordering};

/// The functions to call. It excludes those that the shim forwards to all backends, because each such call is
/// several calls.
pub(super) fn functions() -> impl Iterator<Item = &'static Function> {
    let is_one_call =
        |function: &&Function| !matches!(function.whose, Whose::All | Whose::Max { .. });
    exports().iter().filter(|function| is_recorded(function)).filter(is_one_call)
}

/// The shim's interface for the callers.
#[derive(Clone, Copy)]
pub(super) struct Shim {
    library: Library,
    create: *const c_void,
    destroy: *const c_void,
    owner: extern "C" fn(*const c_void) -> *const libc::c_char,
    mode: extern "C" fn() -> *const libc::c_char,
}

// SAFETY: it contains only addresses of functions that may be called from any thread.
unsafe impl Send for Shim {}

impl Shim {
    pub(super) fn of(library: Library) -> Self {
        let (owner, mode) =
            (library.symbol(c"rocblas_shim_backend_of"), library.symbol(c"rocblas_shim_mode"));
        // SAFETY: the prototypes in `rocblas_shim.h`.
        let owner: extern "C" fn(*const c_void) -> *const libc::c_char =
            unsafe { core::mem::transmute(owner) };
        // SAFETY: as above.
        let mode: extern "C" fn() -> *const libc::c_char = unsafe { core::mem::transmute(mode) };
        let (create, destroy) =
            (library.symbol(c"rocblas_create_handle"), library.symbol(c"rocblas_destroy_handle"));
        Self { library, create, destroy, owner, mode }
    }

    pub(super) fn is_traced(&self) -> bool {
        // SAFETY: a C string that stays valid.
        unsafe { CStr::from_ptr((self.mode)()) == c"traced" }
    }

    fn entry(&self, function: &Function) -> *const c_void {
        self.library.symbol(&CString::new(function.name).expect("no NUL"))
    }
}

/// A handle.
pub(super) struct Handle(Box<u64>);

impl Handle {
    /// The number of its backend, which the backend stores at the start of the handle.
    fn owner(&self) -> i32 {
        // SAFETY: it is a handle of one of the backends and has not been destroyed.
        unsafe { *core::ptr::with_exposed_provenance::<i32>(*self.0 as usize) }
    }
}

/// A call without its handle, and the memory that its arguments point to.
struct Prepared {
    function: &'static Function,
    entry: *const c_void,
    words: Words,
    /// The first word of a `device_malloc` object.
    object: Box<u64>,
    _memory: Option<(Arguments, Memory, Vec<Vec<u64>>)>,
}

impl Prepared {
    fn new(function: &'static Function, shim: &Shim, random: &mut Random) -> Self {
        let mut words: Words = array::from_fn(|_| random.bits());
        let mut memory = None;
        if is_described(function.index.into()) {
            let arguments = Arguments::random(function, random);
            let found = arguments.operands();
            let mut operands = Memory::new(&found, random);
            let (own, tables) = arguments.words(0, &found, &mut operands);
            words[..own.len()].copy_from_slice(&own);
            memory = Some((arguments, operands, tables));
        } else {
            for (word, param) in words.iter_mut().zip(function.params) {
                if let (0, Base::Enum(id)) = (param.ty.pointers, param.ty.base) {
                    *word = random.one_of(enumeration(id).values).value as u64;
                }
            }
        }
        Self {
            function,
            entry: shim.entry(function),
            words,
            object: Box::default(),
            _memory: memory,
        }
    }
}

/// The number of prepared calls that a caller keeps.
const PREPARED: usize = 32;

/// The most handles that a caller has.
const HANDLES: usize = 24;

/// A source of random calls, with its own handles and memory.
pub(super) struct Caller {
    shim: Shim,
    backends: Vec<Backend>,
    shared: Mapping,
    random: Random,
    functions: Vec<&'static Function>,
    prepared: Vec<Prepared>,
    handles: Vec<Handle>,
}

// SAFETY: the memory that words point to belongs to the caller.
unsafe impl Send for Caller {}

impl Caller {
    pub(super) fn new(shim: Shim, backends: Vec<Backend>, shared: Mapping, seed: u64) -> Self {
        let functions: Vec<&Function> = functions().collect();
        shared.functions.store(functions.len() as u64, Ordering::Relaxed);
        let (prepared, handles) = (Vec::new(), Vec::new());
        Self { shim, backends, shared, random: Random::new(seed), functions, prepared, handles }
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Whether the program's calls are being recorded.
    pub(super) fn is_traced(&self) -> bool {
        self.shim.is_traced()
    }

    /// Creates or destroys a handle, or makes another call.
    pub(super) fn act(&mut self, log: &impl Log) {
        if self.handles.is_empty() || self.handles.len() < HANDLES && self.random.chance(60) {
            self.create(log);
        } else if self.random.chance(80) {
            let place = self.random.below(self.handles.len() as u64) as usize;
            self.destroy(place, log);
        } else {
            self.call(log);
        }
    }

    /// Destroys all handles.
    pub(super) fn end(&mut self, log: &impl Log) {
        while !self.handles.is_empty() {
            self.destroy(0, log);
        }
    }

    fn create(&mut self, log: &impl Log) {
        let handle = Handle(Box::default());
        let mut words: Words = [0; WORDS];
        words[0] = (&raw const *handle.0).expose_provenance() as u64;
        // SAFETY: the function's prototype, and memory for the handle.
        let status = log
            .around("rocblas_create_handle", &words, || unsafe { call(self.shim.create, &words) });
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        let address = core::ptr::with_exposed_provenance(*handle.0 as usize);
        // SAFETY: C strings that stay valid.
        let name = unsafe { CStr::from_ptr((self.shim.owner)(address)) }.to_string_lossy();
        let is_owners = status as i32 == 0
            && super::backends::NAMES
                .get(handle.owner() as usize - 1)
                .is_some_and(|own| *own == name);
        if !is_owners {
            self.wrong(&format!("a handle of {name}, status {status}"));
        }
        self.handles.push(handle);
    }

    fn destroy(&mut self, place: usize, log: &impl Log) {
        let handle = self.handles.swap_remove(place);
        let mut words: Words = [0; WORDS];
        words[0] = *handle.0;
        // SAFETY: the function's prototype, and a handle that is not in use.
        let status = log.around("rocblas_destroy_handle", &words, || unsafe {
            call(self.shim.destroy, &words)
        });
        if status as i32 != 0 {
            self.wrong(&format!("a handle cannot be destroyed: status {status}"));
        }
    }

    fn call(&mut self, log: &impl Log) {
        if self.prepared.len() < PREPARED || self.random.chance(32) {
            let function = self.random.one_of(&self.functions);
            let prepared = Prepared::new(function, &self.shim, &mut self.random);
            if self.prepared.len() < PREPARED {
                self.prepared.push(prepared);
            } else {
                let place = self.random.below(PREPARED as u64) as usize;
                self.prepared[place] = prepared;
            }
        }
        let place = self.random.below(self.prepared.len() as u64) as usize;
        let handle = self.random.below(self.handles.len() as u64) as usize;
        let (handle, owner) = (*self.handles[handle].0, self.handles[handle].owner());
        let prepared = &mut self.prepared[place];
        let function = prepared.function;
        let expected = match function.whose {
            Whose::Handle(at) => {
                prepared.words[usize::from(at)] = handle;
                Some(owner)
            }
            Whose::DeviceMalloc(at) => {
                *prepared.object = handle;
                prepared.words[usize::from(at)] =
                    (&raw const *prepared.object).expose_provenance() as u64;
                Some(owner)
            }
            Whose::Any => Some(1),
            // The backend of new handles, which changes at any time.
            Whose::Device | Whose::All | Whose::Max { .. } => None,
        };
        let (entry, words) = (prepared.entry, prepared.words);
        let before: Vec<u64> = self.backends.iter().map(|backend| backend.latest().calls).collect();
        // SAFETY: the function takes these words. The stand-ins do not dereference them, and what they point
        // to outlives the call.
        let called = || unsafe { call(entry, &words) };
        let is_traceable = function.kind == Kind::C;
        let returned =
            if is_traceable { log.around(function.name, &words, called) } else { called() };
        let reached: Vec<(i32, Latest)> = self
            .backends
            .iter()
            .zip(before)
            .map(|(backend, before)| (backend.number, before, backend.latest()))
            .filter(|(_, before, after)| after.calls != *before)
            .map(|(number, before, after)| {
                (number, Latest { calls: after.calls - before, ..after })
            })
            .collect();
        // A thunk passes only the function's parameters; other entries leave all registers and the stack as
        // they were.
        let passed = if is_traceable { function.params.len() } else { WORDS };
        let is_right = matches!(&reached[..], [(number, Latest { calls: 1, index, words: arrived })]
            if *index == u64::from(function.index)
                && expected.is_none_or(|expected| expected == *number)
                && arrived[..passed] == words[..passed]);
        if !is_right || returned != answer(function) {
            let reached: Vec<_> =
                reached.iter().map(|(n, latest)| (n, latest.calls, latest.index)).collect();
            let what =
                format!("{} of backend {expected:?}: {reached:?}, {returned:x}", function.name);
            self.wrong(&what);
        }
    }

    fn wrong(&self, what: &str) {
        if self.shared.wrong.fetch_add(1, Ordering::Relaxed) < 20 {
            eprintln!("wrong: {what}");
        }
    }
}

/// A log of the calls that traces record.
pub(super) trait Log {
    /// Logs a call and makes it.
    fn around(&self, name: &str, words: &Words, call: impl FnOnce() -> u64) -> u64;
}

impl Log for Thread {
    fn around(&self, name: &str, words: &Words, call: impl FnOnce() -> u64) -> u64 {
        self.begin(digest_of(name, words));
        let returned = call();
        self.end();
        returned
    }
}

/// The digest of a call of the named function.
pub(super) fn digest_of(name: &str, words: &Words) -> u64 {
    let function = rocblas_abi::by_name(name).expect("in the table");
    digest(function.index, &words[..function.params.len()])
}
