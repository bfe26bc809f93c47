//! A call with two arguments while one backend is open and while two are, with 1, 16 and 300 handles that alternate
//! between both, by 1 and 2 threads; and the same calls of the backends' own functions in the same loop, because a
//! processor may mispredict calls that alternate between two targets.
//!
//! `cargo bench --package tests --bench routing`

use std::{
    ffi::{CString, c_char, c_void},
    hint::black_box,
    os::unix::ffi::OsStrExt,
    path::Path,
    thread,
    time::Instant,
};
use tests::{artefacts::standins, compile::library, tree::Tree};

type Call = unsafe extern "C" fn(usize, usize) -> u32;
type Create = unsafe extern "C" fn(*mut usize) -> u32;
type Use = unsafe extern "C" fn(*const c_char) -> i32;

const CALLS: usize = 3_000_000;
const ROUNDS: usize = 15;

fn open(path: &Path) -> *mut c_void {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a valid path of the shim or of the null backend.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "cannot load {path:?}");
    handle
}

fn function(library: *mut c_void, name: &str) -> *const c_void {
    let name = CString::new(name).expect("no NUL");
    // SAFETY: an open handle and a valid name.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert!(!address.is_null(), "no {name:?}");
    address
}

/// The minimum time of a call over all rounds, in nanoseconds.
fn time(calls: &[(Call, usize)], threads: usize) -> f64 {
    let round = || {
        let start = Instant::now();
        for (call, handle) in calls.iter().cycle().take(CALLS) {
            // SAFETY: a handle of the backend, which the function does not dereference.
            unsafe { black_box(*call)(*handle, 0) };
        }
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    let least = || (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(least)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).fold(0.0, f64::max)
    })
}

fn main() {
    let tree = Tree::with_shim();
    for name in ["one", "two"] {
        let file = tree.root().join(name);
        let source = standins().join("null_backend.c");
        library(&source, &file, "librocblas.so.4", &["-DHAS_HANDLES", "-O2"]);
        tree.add_backend(name, &file);
    }
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("ROCBLAS_SHIM_BACKEND", "one") };
    let shim = open(&tree.lib().join("librocblas.so.5"));
    // SAFETY: the prototypes of these functions.
    let (call, create, switch) = unsafe {
        (
            std::mem::transmute::<*const c_void, Call>(function(shim, "rocblas_set_stream")),
            std::mem::transmute::<*const c_void, Create>(function(shim, "rocblas_create_handle")),
            std::mem::transmute::<*const c_void, Use>(function(shim, "rocblas_shim_backend_use")),
        )
    };
    let handle = || {
        let mut handle = 0;
        // SAFETY: memory for a handle.
        assert_eq!(unsafe { create(&raw mut handle) }, 0);
        handle
    };
    let first = handle();
    println!(
        "{:>8} {:>8} {:>16} {:>16} {:>16}",
        "handles", "threads", "direct", "one backend", "two"
    );
    let one_backend = [1, 2].map(|threads| time(&[(call, first)], threads));
    let mut handles = vec![first];
    for (at, name) in [c"two", c"one"].into_iter().cycle().take(299).enumerate() {
        // SAFETY: a C string.
        assert_eq!(unsafe { switch(name.as_ptr()) }, 0, "{at}");
        handles.push(handle());
    }
    // The same file, by its path; the loader has already loaded it.
    let own = ["one", "two"].map(|name| {
        let file = tree.lib().join("rocblas-shim/backends").join(name).join("lib/librocblas.so.4");
        // SAFETY: as above.
        unsafe {
            std::mem::transmute::<*const c_void, Call>(function(open(&file), "rocblas_set_stream"))
        }
    });
    let direct: Vec<(Call, usize)> =
        handles.iter().enumerate().map(|(at, handle)| (own[at % 2], *handle)).collect();
    let routed: Vec<(Call, usize)> = handles.iter().map(|handle| (call, *handle)).collect();
    for count in [1, 16, 300] {
        for threads in [1, 2] {
            let (direct, routed) =
                (time(&direct[..count], threads), time(&routed[..count], threads));
            let one = match count {
                1 => format!("{:.2} ns", one_backend[threads - 1]),
                _ => String::new(),
            };
            println!("{count:>8} {threads:>8} {direct:>13.2} ns {one:>16} {routed:>13.2} ns");
        }
    }
}
