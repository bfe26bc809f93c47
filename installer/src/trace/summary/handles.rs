//! Handles that were created and never destroyed, from the records of threads in any order.

use rocblas_trace::{call::Call, read::Record};
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

/// How often handles were created and destroyed.
#[derive(Debug, Default)]
pub(super) struct Handles {
    /// The number created minus the number destroyed, by address, which a later handle may reuse.
    alive: FxHashMap<u64, i64>,
    /// Whether the latest record is a call that created a handle, which the next record names.
    is_new: bool,
}

static CREATE: LazyLock<usize> = LazyLock::new(|| index("rocblas_create_handle"));
static DESTROY: LazyLock<usize> = LazyLock::new(|| index("rocblas_destroy_handle"));

fn index(name: &str) -> usize {
    rocblas_abi::by_name(name).map_or(usize::MAX, |function| usize::from(function.index))
}

impl Handles {
    /// Processes a record. The records of a thread must come one after the other.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        let was_new = core::mem::take(&mut self.is_new);
        match record {
            Record::Call(call) => self.call(call),
            Record::Handle(seen) if was_new => *self.alive.entry(seen.handle).or_default() += 1,
            _ => {}
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        if call.status() != Some(0) {
            return;
        }
        if call.function() == *CREATE {
            self.is_new = true;
        } else if call.function() == *DESTROY
            && let Some(handle) = call.handle()
        {
            *self.alive.entry(handle).or_default() -= 1;
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (handle, count) in other.alive {
            *self.alive.entry(handle).or_default() += count;
        }
    }

    /// How many were not destroyed.
    pub(super) fn kept(&self) -> u64 {
        // Handles that were only destroyed are older than the trace.
        self.alive.values().map(|count| count.max(&0).cast_unsigned()).sum()
    }
}
