//! Functions that are called on every backend: queries of workspace sizes, of which the largest fits every
//! backend, and functions that set or end something for the whole process.
//!
//! Their arguments are integers and pointers, so thirteen words are passed on unchanged: six registers and
//! seven words of the caller's stack, some of which may not be arguments.

use crate::{
    backends,
    compat::status,
    init,
    table::{COLD, Target},
};
use core::ptr::with_exposed_provenance_mut;
use rocblas_abi::{WHOSE, Whose};

/// The largest number of arguments that any of the functions has.
const MOST_ARGUMENTS: usize = 13;

/// The type by which all of the functions are called.
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
    usize,
) -> usize;

macro_rules! functions {
    ($(($index:literal $name:ident))*) => {
        /// The index of each function, and the shim's function that replaces it.
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
                    m: usize,
                ) -> usize {
                    // SAFETY: the caller's arguments, under the contract of the function.
                    unsafe { ask_all($index, [a, b, c, d, e, f, g, h, i, j, k, l, m]) }
                }
                Target(ask as *const ())
            })),*]
            .into_iter()
        }
    };
}

rocblas_abi::for_each_export_of_all!(functions);

/// Calls the function of every backend that has it.
///
/// # Safety
/// The arguments are those of a call of the function with that index.
unsafe fn ask_all(index: usize, arguments: [usize; MOST_ARGUMENTS]) -> usize {
    let call = |target: Target| {
        // SAFETY: a function of the backend with at most that many integers and pointers, as a test checks;
        // it ignores the other words.
        let function = unsafe { core::mem::transmute::<*const (), Function>(target.0) };
        let [a, b, c, d, e, f, g, h, i, j, k, l, m] = arguments;
        // SAFETY: passed on to the caller.
        unsafe { function(a, b, c, d, e, f, g, h, i, j, k, l, m) }
    };
    let targets: Vec<Target> = backends::all()
        .map(|backend| backend.table[index])
        .filter(|target| *target != COLD[index])
        .collect();
    if targets.is_empty() {
        return call(init::missing(index));
    }
    let Whose::Max { first, count: count @ 1.. } = WHOSE[index] else {
        return targets.into_iter().map(call).max().unwrap_or_default();
    };
    let places = &arguments[usize::from(first)..usize::from(first + count)];
    let sizes: Vec<*mut usize> =
        places.iter().map(|place| with_exposed_provenance_mut(*place)).collect();
    let mut largest = vec![0; sizes.len()];
    let mut result = None;
    let there = || sizes.iter().zip(0..).filter(|(size, _)| !size.is_null());
    for target in targets {
        for (size, _) in there() {
            // SAFETY: the caller's memory for a size, which the function is about to store.
            unsafe { size.write(0) };
        }
        // The upper half of the register is undefined.
        let status = call(target) as i32;
        for (size, at) in there() {
            // SAFETY: as above.
            largest[at] = unsafe { size.read() }.max(largest[at]);
        }
        result = Some(result.map_or(status, |before| worse(before, status)));
    }
    for (size, at) in there() {
        // SAFETY: as above.
        unsafe { size.write(largest[at]) };
    }
    result.unwrap_or(status::INTERNAL_ERROR) as usize
}

/// The more important of two statuses: an error, else that a size was returned, else any other, such as that no
/// memory is needed.
fn worse(before: i32, next: i32) -> i32 {
    let rank = |status| match status {
        status::SUCCESS => 1,
        status::CONTINUE | status::PERF_DEGRADED => 0,
        status::SIZE_INCREASED | status::SIZE_UNCHANGED => 0,
        _ => 2,
    };
    if rank(next) > rank(before) { next } else { before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_has_more_sizes_than_arguments_are_passed_on() {
        for (index, _) in functions() {
            if let Whose::Max { first, count } = WHOSE[index] {
                assert!(usize::from(first + count) <= MOST_ARGUMENTS, "{index}");
            }
        }
    }

    #[test]
    fn an_error_counts_before_success_and_that_before_no_need() {
        assert_eq!(worse(status::SUCCESS, status::CONTINUE), status::SUCCESS);
        assert_eq!(worse(status::CONTINUE, status::SUCCESS), status::SUCCESS);
        assert_eq!(worse(status::SUCCESS, status::MEMORY_ERROR), status::MEMORY_ERROR);
        assert_eq!(worse(status::MEMORY_ERROR, status::SUCCESS), status::MEMORY_ERROR);
        assert_eq!(worse(status::CONTINUE, status::CONTINUE), status::CONTINUE);
    }
}
