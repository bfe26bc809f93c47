//! The state of checks and captures that the threads of a trace share.

use super::{checker, job::Wanted};
use crate::trace::{Options, about, session::Session};
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use rocblas_abi::C_EXPORTS;
use rocblas_trace::{
    layout::{Due, Skipped},
    options::wants,
};
use std::collections::BTreeMap;

/// The shared state of a trace.
#[derive(Debug)]
pub(in crate::trace) struct Shared {
    /// Whether there is anything to do.
    pub(super) is_on: bool,
    /// The environment variables for captures. A thread of the program reads them, because the program may change them
    /// at any time.
    pub(super) environment: BTreeMap<String, String>,
    /// The functions whose calls are saved, by index; empty if there are none.
    pub(super) saved: Box<[bool]>,
    /// How many of their calls are still to be saved.
    pub(super) to_save: AtomicI64,
    /// Digests whose call is saved, and whether it has been.
    digests: Box<[(u64, AtomicBool)]>,
    /// Whether the operands of the first bad call have been saved.
    pub(super) has_captured: AtomicBool,
    /// Whether a finding has been printed.
    pub(super) has_reported: AtomicBool,
    /// Whether the checker has closed its file of this trace. What it finds in a call that returns later has no place.
    is_closed: AtomicBool,
    /// The numbers of calls that were skipped, for checks and for saving, and are not in the trace yet.
    pub(super) skipped: [[AtomicU64; SKIPPED]; 2],
}

/// The number of reasons for skipping.
const SKIPPED: usize = 6;

impl Shared {
    pub(in crate::trace) fn new(options: &Options) -> Self {
        let name = |index| rocblas_abi::c_name(index).to_str().unwrap_or_default();
        let saved = match options.save.functions.as_slice() {
            [] => Box::default(),
            patterns => (0..C_EXPORTS).map(|index| wants(patterns, name(index))).collect(),
        };
        let digests = options.save.digests.iter().map(|hash| (*hash, AtomicBool::new(false)));
        let to_save = i64::try_from(options.save.count.unwrap_or(1)).unwrap_or(i64::MAX);
        let is_on = options.check.is_on() || options.save.is_on();
        Self {
            is_on,
            environment: if is_on { about::environment() } else { BTreeMap::new() },
            saved,
            to_save: AtomicI64::new(to_save),
            digests: digests.collect(),
            has_captured: AtomicBool::new(false),
            has_reported: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            skipped: Default::default(),
        }
    }

    /// Runs when the checker has closed its file.
    pub(in crate::trace) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Whether the checker has closed its file.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Counts a call that is not checked or not saved.
    pub(super) fn skip(&self, session: &Session, due: Due, reason: Skipped) {
        let of = usize::from(due == Due::Save);
        self.skipped[of][reason as usize].fetch_add(1, Ordering::Relaxed);
        checker::start(session);
    }

    pub(super) fn skip_all(&self, session: &Session, wanted: Wanted, reason: Skipped) {
        if wanted.check {
            self.skip(session, Due::Check, reason);
        }
        if wanted.save {
            self.skip(session, Due::Save, reason);
        }
        if wanted.is_counted {
            self.to_save.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a call of that function is to be saved. If so, decrements the number of remaining calls.
    pub(super) fn takes_one_to_save(&self, function: usize) -> bool {
        let is_of_them = self.saved.get(function).copied().unwrap_or(false);
        is_of_them
            && self
                .to_save
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n > 0).then_some(n - 1))
                .is_ok()
    }

    /// Whether a call with a digest is still looked for, so that inputs have to be kept.
    pub(super) fn looks_for_digests(&self) -> bool {
        self.digests.iter().any(|(_, is_found)| !is_found.load(Ordering::Relaxed))
    }

    /// Whether the call with an output of this digest is to be saved. If so, it is the only one.
    pub(super) fn takes_digest(&self, hash: u64) -> bool {
        self.digests
            .iter()
            .any(|(wanted, is_found)| *wanted == hash && !is_found.swap(true, Ordering::Relaxed))
    }

    /// The calls skipped since this was last called.
    pub(super) fn take_skipped(&self) -> impl Iterator<Item = (Due, u64, u64)> {
        [Due::Check, Due::Save].into_iter().zip(&self.skipped).flat_map(|(due, reasons)| {
            let taken = reasons.iter().map(|count| count.swap(0, Ordering::Relaxed));
            taken.zip(0..).filter(|(n, _)| *n > 0).map(move |(n, reason)| (due, reason, n))
        })
    }
}
