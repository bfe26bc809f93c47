//! A call of a function that returns immediately: direct, and through the shim's stub, with 2, 14 and 30 arguments.
//! Both calls are through a pointer, like those of a PLT.
//!
//! `cargo bench --package tests --bench forwarding`

use divan::{Bencher, black_box};
use std::{
    ffi::{CString, c_void},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::OnceLock,
};
use tests::{artefacts::standins, compile::library, tree::Tree};

/// All arguments of the measured functions are integers or pointers, so each is one word.
macro_rules! word_function {
    ($($word:ident)*) => { unsafe extern "C" fn($(word_function!(@type $word)),*) -> u32 };
    (@type $word:ident) => { u64 };
}
type Two = word_function!(a b);
type Fourteen = word_function!(a b c d e f g h i j k l m n);
type Thirty = word_function!(a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd);

/// The opened null backend, and the shim in front of it.
struct Libraries {
    direct: usize,
    shim: usize,
}

static LIBRARIES: OnceLock<Libraries> = OnceLock::new();

fn open(path: &Path) -> usize {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a valid path of the shim or of the null backend.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "cannot load {path:?}");
    handle as usize
}

fn open_both(tree: &Tree) -> Libraries {
    let null = tree.root().join("null.so");
    let null = library(&standins().join("null_backend.c"), &null, "librocblas.so.4", &[]);
    let backend = tree.add_backend("null", &null);
    let shim = open(&tree.lib().join("librocblas.so.5"));
    Libraries { direct: open(&backend), shim }
}

#[derive(Clone, Copy)]
enum Way {
    Direct,
    Forwarded,
}

fn function(way: Way, name: &str) -> *const c_void {
    let libraries = LIBRARIES.get().expect("set in main");
    let handle = match way {
        Way::Direct => libraries.direct,
        Way::Forwarded => libraries.shim,
    };
    let name = CString::new(name).expect("no NUL");
    // SAFETY: an open handle and a valid name.
    let address = unsafe { libc::dlsym(handle as *mut c_void, name.as_ptr()) };
    assert!(!address.is_null());
    address
}

macro_rules! calls {
    ($module:ident, $way:expr) => {
        mod $module {
            use super::*;

            #[divan::bench]
            fn arguments_02(bencher: Bencher) {
                // SAFETY: two parameters, each an integer or a pointer.
                let f: Two = unsafe { std::mem::transmute(function($way, "rocblas_set_stream")) };
                // SAFETY: the function does not read its arguments.
                bencher.bench_local(|| unsafe { black_box(f)(0, 1) });
            }

            #[divan::bench]
            fn arguments_14(bencher: Bencher) {
                // SAFETY: fourteen parameters, each an integer or a pointer.
                let f: Fourteen = unsafe { std::mem::transmute(function($way, "rocblas_sgemm")) };
                // SAFETY: the function does not read its arguments.
                bencher.bench_local(|| unsafe {
                    black_box(f)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
                });
            }

            #[divan::bench]
            fn arguments_30(bencher: Bencher) {
                let name = "rocblas_gemm_strided_batched_ex_get_solutions";
                // SAFETY: thirty parameters, each an integer or a pointer.
                let f: Thirty = unsafe { std::mem::transmute(function($way, name)) };
                // SAFETY: the function does not read its arguments.
                bencher.bench_local(|| unsafe {
                    black_box(f)(
                        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                        21, 22, 23, 24, 25, 26, 27, 28, 29,
                    )
                });
            }
        }
    };
}

calls!(direct, Way::Direct);
calls!(forwarded, Way::Forwarded);

fn main() {
    let tree = Tree::with_shim();
    // A promise would replace the function with 30 parameters.
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("ROCBLAS_SHIM_COMPAT", "-all") };
    LIBRARIES.get_or_init(|| open_both(&tree));
    divan::main();
}
