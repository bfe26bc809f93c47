//! rocTX ranges around calls: a profiler shows them above the kernels that the calls launch.

use super::{Options, Recipe, Session, Slot, Thread};
use crate::{backend::open, diagnostics::error};
use core::{ffi::c_char, mem::transmute};
use rocblas_abi::c_name;
use rocblas_contract::sentences;
use std::ffi::CStr;

/// The libraries with the functions: `rocprofv3` intercepts the first one, older profilers the second.
const LIBRARIES: [&CStr; 2] = [c"librocprofiler-sdk-roctx.so.1", c"libroctx64.so.4"];

type Push = unsafe extern "C" fn(*const c_char) -> i32;
type Pop = unsafe extern "C" fn() -> i32;

/// The functions.
#[derive(Clone, Copy, Debug)]
pub(in crate::trace) struct Ranges {
    push: Push,
    pop: Pop,
}

/// The functions of a library that is loaded already, as a profiler's is, or that can be loaded. `None` for a trace
/// without ranges. If there is no such library, reports that and returns `None`.
pub(in crate::trace) fn of(options: &Options) -> Option<Ranges> {
    if !options.roctx {
        return None;
    }
    let loaded = LIBRARIES.into_iter().find_map(open::already_open);
    let library = loaded.or_else(|| LIBRARIES.into_iter().find_map(|name| open::open(name).ok()));
    let found = library.and_then(|library| {
        let (push, pop) =
            (library.symbol(c"roctxRangePushA")?.0, library.symbol(c"roctxRangePop")?.0);
        // SAFETY: rocTX's prototypes of these functions.
        Some(unsafe {
            Ranges {
                push: transmute::<*const (), Push>(push),
                pop: transmute::<*const (), Pop>(pop),
            }
        })
    });
    open::clear_error();
    if found.is_none() {
        let [first, second] = LIBRARIES.map(CStr::to_string_lossy);
        let why = format!("roctx=on: neither {first} nor {second} is found");
        error!("{}", sentences::setting_ignored(why));
    }
    found
}

/// Per-thread state.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The open range, and the number of its record.
    open: Option<(Ranges, u64)>,
}

impl State {
    fn close(&mut self) {
        if let Some((ranges, _)) = self.open.take() {
            // SAFETY: the function has no parameters.
            unsafe { (ranges.pop)() };
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs before the call.
pub(super) fn before(state: &mut State, session: &Session, thread: &Thread, recipe: &Recipe) {
    let Some(ranges) = session.ranges.filter(|_| thread.depth() == 0) else { return };
    // The range of a call that was abandoned by an exception or jump, or that was not recorded after all.
    state.close();
    // SAFETY: a C string that is never freed.
    unsafe { (ranges.push)(c_name(recipe.function()).as_ptr()) };
    state.open = Some((ranges, thread.sequence));
}

/// Runs after the call.
pub(super) fn after(state: &mut State, slot: &Slot) {
    if state.open.is_some_and(|(_, sequence)| sequence == slot.sequence) {
        state.close();
    }
}
