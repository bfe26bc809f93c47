//! Prints a trace to stderr, one line for each call when it ends.

use super::{about, recipe::Recipe, record::Slot, session::Session};
use crate::{diagnostics::print_traced, route};
use rocblas_trace::text::{Detail, Line};

/// Prints a call that has ended or was abandoned.
#[cold]
pub(super) fn print(session: &Session, recipe: &Recipe, slot: &Slot) {
    let call = session.functions.call(recipe.function(), slot.words(recipe));
    let backend = call.handle().filter(|_| route::is_on()).and_then(|handle| {
        let further = route::backend_of(handle as usize)?;
        (further.slot != 0).then_some(further)
    });
    let by_shim = backend.map_or(call.by_shim(), |backend| {
        about::answers(recipe.function(), &backend.table[recipe.function()])
    });
    let ticks_per_nanosecond = session.clock.hertz / 1e9;
    let line = Line { call, detail: Detail::Short, by_shim, ticks_per_nanosecond };
    match backend {
        None => print_traced(format_args!("{line}")),
        Some(backend) => print_traced(format_args!("{line}  [{}]", backend.name)),
    }
}
