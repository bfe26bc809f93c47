//! A trace as lines to stderr, one for each call when it ends.

use super::{recipe::Recipe, record::Slot, session::Session};
use rocblas_trace::text::{Detail, Line};
use tracing::info;

/// The target of the events: they are printed whatever the level of messages is.
pub(crate) const TARGET: &str = "rocblas_shim::trace";

/// Prints a call that has ended, or that was left.
#[cold]
pub(super) fn print(session: &Session, recipe: &Recipe, slot: &Slot) {
    let line = Line {
        call: session.functions.call(recipe.function(), slot.words(recipe)),
        detail: Detail::Short,
        ticks_per_nanosecond: session.clock.hertz / 1e9,
    };
    info!(target: TARGET, "{line}");
}
