//! Functions that are asked of every backend: the sizes of workspaces, of which the largest will do for any
//! of them, and what is set or ended for the whole process.
//!
//! They have integers and pointers for arguments, so the first twelve words are passed on as they came:
//! six registers and six words of the caller's stack, of which some may be no arguments.

use crate::{
    backends, init,
    table::{COLD, Target},
};
use rocblas_abi::{WHOSE, Whose};

/// As many as any of the functions has.
const MOST_ARGUMENTS: usize = 12;

/// Any of them.
type Function = unsafe extern "C" fn(
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
) -> usize;

macro_rules! functions {
    ($(($index:literal $name:ident))*) => {
        /// Index and function of ours for each of them.
        pub(super) fn functions() -> impl Iterator<Item = (usize, Target)> {
            [$(($index, {
                #[allow(clippy::too_many_arguments, reason = "the words of any call")]
                unsafe extern "C" fn ask(
                    a: usize,
                    b: usize,
                    c: usize,
                    d: usize,
                    e: usize,
                    f: usize,
                    g: usize,
                    h: usize,
                    i: usize,
                    j: usize,
                    k: usize,
                    l: usize,
                ) -> usize {
                    // SAFETY: the caller's arguments, under the contract of the function.
                    unsafe { ask_all($index, [a, b, c, d, e, f, g, h, i, j, k, l]) }
                }
                Target(ask as *const ())
            })),*]
            .into_iter()
        }
    };
}

rocblas_abi::for_each_export_of_all!(functions);

/// Asks every backend that has the function. The first answer that is no success counts, else the largest.
///
/// # Safety
/// The arguments are those of a call of the function with that index.
unsafe fn ask_all(index: usize, arguments: [usize; MOST_ARGUMENTS]) -> usize {
    let call = |target: Target| {
        // SAFETY: a function of the backend's, of integers and pointers; more words than it has are not
        // looked at.
        let function = unsafe { core::mem::transmute::<*const (), Function>(target.0) };
        let [a, b, c, d, e, f, g, h, i, j, k, l] = arguments;
        // SAFETY: passed on to the caller.
        unsafe { function(a, b, c, d, e, f, g, h, i, j, k, l) }
    };
    let places = match WHOSE[index] {
        Whose::Max { first, count } => usize::from(first)..usize::from(first + count),
        _ => 0..0,
    };
    let sizes: Vec<*mut usize> = arguments[places]
        .iter()
        .map(|place| core::ptr::with_exposed_provenance_mut::<usize>(*place))
        .filter(|place| !place.is_null())
        .collect();
    let mut largest = vec![0; sizes.len()];
    let mut answer: Option<usize> = None;
    let of_backends = backends::all().map(|backend| backend.table[index]);
    for target in of_backends.filter(|target| *target != COLD[index]) {
        let next = call(target);
        answer = Some(answer.map_or(next, |before| before.max(next)));
        for (size, largest) in sizes.iter().zip(&mut largest) {
            // SAFETY: a size that the function has just stored, or that the caller had there.
            *largest = unsafe { size.read() }.max(*largest);
        }
    }
    for (size, largest) in sizes.iter().zip(largest) {
        // SAFETY: as above.
        unsafe { size.write(largest) };
    }
    answer.unwrap_or_else(|| call(init::missing(index)))
}
