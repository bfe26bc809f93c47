//! The cost of recording a call with 2 and with 14 arguments: direct, through the shim with a ring on tmpfs, through the
//! shim after a trace has been stopped, and, for comparison, an event of the `tracing` crate with as many fields. The
//! functions return immediately.
//!
//! `cargo bench --package tests --bench tracing`

use divan::{Bencher, black_box};
use std::{
    ffi::{CStr, CString, c_char, c_void},
    mem::transmute,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::OnceLock,
};
use tests::{artefacts::standins, compile::library, tree::Tree};

type SetStream = unsafe extern "C" fn(usize, usize) -> u32;
type Sgemm = unsafe extern "C" fn(
    usize,
    i32,
    i32,
    i32,
    i32,
    i32,
    *const f32,
    usize,
    i32,
    usize,
    i32,
    *const f32,
    usize,
    i32,
) -> u32;
type Start = unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char;
type Stop = unsafe extern "C" fn() -> *const c_char;

/// The opened null backend, and the shim in front of it.
struct Libraries {
    direct: usize,
    shim: usize,
}

static LIBRARIES: OnceLock<Libraries> = OnceLock::new();

/// The mount point of a tmpfs.
const TMPFS: &CStr = c"/dev/shm/rocblas-shim-bench";

fn open(path: &Path) -> usize {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a valid path of the shim or of the null backend.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "cannot load {path:?}");
    handle as usize
}

fn function(library: usize, name: &CStr) -> *const c_void {
    // SAFETY: an open handle and a valid name.
    let address = unsafe { libc::dlsym(library as *mut c_void, name.as_ptr()) };
    assert!(!address.is_null(), "{name:?}");
    address
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    /// Through the shim, after a trace has been stopped.
    Stopped,
    /// Into a ring of a megabyte.
    Ring,
    /// Into a file that grows.
    Growing,
    /// Into a ring; the shim also queries HIP whether the stream is being captured. The stand-in returns
    /// immediately.
    Asking,
    /// Into a ring; the shim also reads HIP's last error before and after. The stand-in returns immediately.
    Errors,
    /// Into a ring, with the call stack of one of a hundred calls.
    StacksOf100,
    /// Into a ring, with the call stack of each call.
    Stacks,
}

const WAYS: [Way; 8] = [
    Way::Direct,
    Way::Stopped,
    Way::Ring,
    Way::Growing,
    Way::Asking,
    Way::Errors,
    Way::StacksOf100,
    Way::Stacks,
];

/// Starts a trace if this way has one, measures, and stops it.
fn with(way: Way, name: &CStr, measure: impl FnOnce(*const c_void)) {
    let libraries = LIBRARIES.get().expect("set in main");
    if way == Way::Direct {
        return measure(function(libraries.direct, name));
    }
    // SAFETY: the prototypes in rocblas_shim.h.
    let (start, stop) = unsafe {
        (
            transmute::<*const c_void, Start>(function(
                libraries.shim,
                c"rocblas_shim_trace_start",
            )),
            transmute::<*const c_void, Stop>(function(libraries.shim, c"rocblas_shim_trace_stop")),
        )
    };
    let options = match way {
        Way::Growing => c"limit=2G,errors=off",
        Way::Asking => c"ring=1M,capture=ask,errors=off",
        Way::Errors => c"ring=1M",
        Way::StacksOf100 => c"ring=1M,errors=off,stacks=100",
        Way::Stacks => c"ring=1M,errors=off,stacks=1",
        _ => c"ring=1M,errors=off",
    };
    // SAFETY: valid C strings.
    let why = unsafe { start(TMPFS.as_ptr(), options.as_ptr()) };
    // SAFETY: null, or a C string.
    assert!(why.is_null(), "{:?}", unsafe { CStr::from_ptr(why) });
    if way == Way::Stopped {
        // SAFETY: no arguments.
        unsafe { stop() };
    }
    measure(function(libraries.shim, name));
    if way != Way::Stopped {
        // SAFETY: no arguments.
        unsafe { stop() };
    }
    let _ = std::fs::remove_dir_all(TMPFS.to_str().expect("UTF-8"));
}

/// A value that looks like a handle.
const HANDLE: usize = 0x1000;

#[divan::bench(args = WAYS, sample_size = 10_000, sample_count = 200)]
fn arguments_02(bencher: Bencher<'_, '_>, way: &Way) {
    with(*way, c"rocblas_set_stream", |function| {
        // SAFETY: two parameters, each an integer or a pointer.
        let f: SetStream = unsafe { transmute(function) };
        // SAFETY: the function does not read its arguments.
        bencher.bench_local(|| unsafe { black_box(f)(HANDLE, 1) });
    });
}

#[divan::bench(args = WAYS, sample_size = 10_000, sample_count = 200)]
fn arguments_14(bencher: Bencher<'_, '_>, way: &Way) {
    with(*way, c"rocblas_sgemm", |function| {
        // SAFETY: fourteen parameters, each an integer or a pointer.
        let f: Sgemm = unsafe { transmute(function) };
        let (alpha, beta) = (1.0, 0.0);
        let (alpha, beta) = (&raw const alpha, &raw const beta);
        bencher.bench_local(|| {
            // SAFETY: the function does not read its arguments.
            unsafe { black_box(f)(HANDLE, 111, 111, 64, 64, 64, alpha, 7, 64, 9, 64, beta, 12, 64) }
        });
    });
}

/// An event with 16 fields, formatted by tracing's own subscriber; the output is discarded.
#[divan::bench(sample_size = 100, sample_count = 100)]
fn event_of_the_tracing_crate(bencher: Bencher<'_, '_>) {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| tracing_subscriber::fmt().with_writer(std::io::sink).init());
    bencher.bench_local(|| {
        tracing::info!(
            function = "rocblas_sgemm",
            handle = HANDLE,
            trans_a = 111,
            trans_b = 111,
            m = black_box(64),
            n = 64,
            k = 64,
            alpha = 1.0,
            a = 7,
            lda = 64,
            b = 9,
            ldb = 64,
            beta = 0.0,
            c = 12,
            ldc = 64,
            status = 0,
        );
    });
}

fn main() {
    let tree = Tree::with_shim();
    let null = tree.root().join("null.so");
    let null = library(
        &standins().join("null_backend.c"),
        &null,
        "librocblas.so.4",
        &["-O2", "-DHAS_HIP"],
    );
    let backend = tree.add_backend("null", &null);
    LIBRARIES.get_or_init(|| Libraries {
        shim: open(&tree.lib().join("librocblas.so.5")),
        direct: open(&backend),
    });
    divan::main();
}
