//! The backends of a soak (`tests/standins/c/counted.c`), which record the latest call of each thread.

use crate::{artefacts::standins, compile::library, tree::Tree, words::WORDS};
use core::ffi::{CStr, c_void};
use rocblas_abi::{Function, Kind, Returns, exports};
use std::{ffi::CString, fmt::Write, fs, os::unix::ffi::OsStrExt, path::Path};

/// Their names in the store, ordered by their numbers, which start at 1.
pub(super) const NAMES: [&str; 3] = ["one", "two", "three"];

/// Functions with an effect that are not recorded: those that the shim itself calls, and those for handles.
const OWN: [&str; 8] = [
    "rocblas_create_handle",
    "rocblas_destroy_handle",
    "rocblas_get_atomics_mode",
    "rocblas_get_pointer_mode",
    "rocblas_get_stream",
    "rocblas_get_version_string",
    "rocblas_get_version_string_size",
    "rocblas_scopy_batched",
];

/// Whether the backends record calls of a function.
pub(super) fn is_recorded(function: &Function) -> bool {
    !OWN.contains(&function.name)
}

/// Compiles the backends into a tree's store. If faults are to be planted, the last one has them.
pub(super) fn place(tree: &Tree, is_planted: bool) {
    let mut list = String::new();
    for function in exports().iter().filter(|function| is_recorded(function)) {
        let is_status = u8::from(returns_status(function));
        let _ = writeln!(list, "FUNCTION({}, {is_status}, {})", function.index, function.name);
    }
    fs::write(tree.root().join("counted.h"), list).expect("write a header");
    let include = format!("-I{}", tree.root().display());
    for (number, name) in (1..).zip(NAMES) {
        let id = format!("-DID={number}");
        let output = tree.root().join(format!("{name}.so"));
        let planted = if is_planted && number == NAMES.len() { "-DPLANTED" } else { "-O2" };
        let options = ["-O2", &include, &id, planted];
        library(&standins().join("counted.c"), &output, "librocblas.so.4", &options);
        tree.add_backend(name, &output);
    }
}

/// A backend's record of a thread: `struct latest` in `counted.c`.
#[derive(Clone)]
#[repr(C)]
pub(super) struct Latest {
    /// The number of calls of the thread.
    pub(super) calls: u64,
    pub(super) index: u64,
    pub(super) words: [u64; WORDS],
}

/// An open backend.
#[derive(Clone, Copy)]
pub(super) struct Backend {
    /// Its number, from 1.
    pub(super) number: i32,
    latest: extern "C" fn() -> *const Latest,
}

impl Backend {
    /// The open backend of this name in the store of the tree with that library directory.
    pub(super) fn of(lib: &Path, name: &str) -> Self {
        let path = lib.join("rocblas-shim/backends").join(name).join("lib/librocblas.so.4");
        let library = Library::open(&path);
        let latest = library.symbol(c"counted_latest");
        let number = 1 + NAMES.iter().position(|of| *of == name).expect("one of them") as i32;
        // SAFETY: the function's prototype.
        let latest = unsafe {
            core::mem::transmute::<*const c_void, extern "C" fn() -> *const Latest>(latest)
        };
        Self { number, latest }
    }

    /// The calling thread's latest call.
    pub(super) fn latest(&self) -> Latest {
        // SAFETY: the record is this thread's own, and no call is writing it.
        unsafe { (*(self.latest)()).clone() }
    }
}

/// Whether a function returns a status. It is success then, so that a trace examines the outputs of the call.
fn returns_status(function: &Function) -> bool {
    function.kind == Kind::C && function.returns == Returns::Status
}

/// The value that a function returns in rax.
pub(super) fn answer(function: &Function) -> u64 {
    let answer = probe_record::answer(function.index.into());
    if returns_status(function) { answer >> 32 << 32 } else { answer }
}

/// A loaded library.
#[derive(Clone, Copy)]
pub(super) struct Library(*mut c_void);

impl Library {
    pub(super) fn open(path: &Path) -> Self {
        let name = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
        // SAFETY: the path is valid, and the libraries are the shim and stand-ins.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "cannot load {name:?}");
        Self(handle)
    }

    pub(super) fn symbol(self, name: &CStr) -> *const c_void {
        // SAFETY: the handle is open and the name is valid.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!address.is_null(), "no {name:?}");
        address
    }
}
