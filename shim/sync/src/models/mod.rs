//! Models: loom runs each in every interleaving that the memory model allows, up to a number of
//! preemptions if one is given. `.ci/models` also runs them on copies of this crate with one broken line
//! each, and checks that they fail.

mod fork;
mod initialisation;
mod routing;
mod timed_lock;

use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The patience of a thread that waits until it gets the lock, and of one that does not wait.
const ENDLESS: Duration = Duration::MAX;
const NONE: Duration = Duration::ZERO;

/// Runs a model and prints the number of interleavings.
fn explore(name: &str, preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{name}: {} executions", runs.load(Ordering::Relaxed));
}

/// A value that lives as long as the process, like all published values.
fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}
