//! Faults that tests plant in this library to see whether they are detected: wrong numbers with the status of
//! success.
//!
//! `REFERENCE_BACKEND_FAULT` names a fault, for some faults with a number. Without the variable, every result
//! is right.
//!
//! - `nan@7041`: in the 7,041st call of a numerical routine, or in the first later call that writes a number,
//!   one element of an output is NaN.
//! - `nan@37x41x29`: the same in every call whose sizes begin with these, in the order of the routine's
//!   parameters, including leading dimensions and increments. A single replayed call shows this fault too.
//! - `triangle`, `triangle@5`: in every call, or from the fifth call on, triangular solves and products,
//!   symm, hemm, symv and hemv read the triangle that they must not read, and syrk and herk write it.
//! - `stale-beta`: a gemm uses the beta of the previous gemm; the first one uses 0.
//! - `large-n@64`: gemm and trsm leave the columns from the 65th on unchanged, an error that shows only if n
//!   exceeds 64.
//! - `race@200`, `race@200:7`: in one of 200 processes, and there for one in 64 combinations of sizes, one
//!   element of an output is twice what it should be. The number after the colon is a seed that determines
//!   whether this process is affected and for which sizes. Without it, the process id and the time determine
//!   that.
//!
//! `REFERENCE_BACKEND_SUM=reversed` adds products in the opposite order, so that results are rounded
//! differently, as they are between two releases. `REFERENCE_BACKEND_ONLY=bad` restricts both variables to a
//! library with a directory `bad` in its path, that is, to one of several backends.
//!
//! NaN and race faults do not affect the results of nrm2, asum, iamax and iamin.

mod environment;

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::Personality;
use crate::checks::Fill;
use crate::scalar::Number;

/// In an affected process, one in this many combinations of sizes shows the race.
const RACING_SIZES: u64 = 64;

/// The kind of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    NanInCall(u64),
    NanForSizes(Vec<i64>),
    Triangle { from: u64 },
    StaleBeta,
    LargeN(i64),
    Race { one_in: u64, seed: u64 },
}

/// What the environment requests, and the state of the fault so far.
#[derive(Debug, Default)]
struct Planted {
    fault: Option<Fault>,
    is_reversed: bool,
    /// The number of calls of numerical routines so far.
    calls: AtomicU64,
    /// Whether the only faulty call has already happened.
    is_over: AtomicBool,
    /// Both parts of the previous gemm's beta.
    beta: Mutex<[f64; 2]>,
}

/// The call that a thread is executing.
#[derive(Default)]
struct Call {
    number: u64,
    sizes: Vec<i64>,
    /// How many elements were written that could have been spoiled.
    written: u64,
    /// Spoils one of the written elements.
    spoil: Option<Box<dyn FnOnce()>>,
}

thread_local! {
    static CALL: RefCell<Call> = RefCell::default();
}

#[cfg(test)]
thread_local! {
    static OF_TEST: core::cell::Cell<Option<&'static Planted>> = const { core::cell::Cell::new(None) };
}

fn planted() -> &'static Planted {
    static PLANTED: OnceLock<Planted> = OnceLock::new();
    #[cfg(test)]
    if let Some(planted) = OF_TEST.get() {
        return planted;
    }
    // Only libraries that imitate a rocBLAS have faults: programs that compute with this crate directly must
    // get right results.
    PLANTED.get_or_init(|| {
        if Personality::is_adopted() { environment::planted() } else { Planted::default() }
    })
}

impl Fault {
    /// Whether this call is to spoil an element that it writes.
    fn spoils(&self, call: &Call, is_over: bool) -> bool {
        match self {
            Self::NanInCall(number) => call.number >= *number && !is_over,
            Self::NanForSizes(sizes) => call.sizes.starts_with(sizes),
            Self::Race { one_in, seed } => {
                let sizes = call.sizes.iter().fold(*seed, |hash, size| mixed(hash ^ *size as u64));
                mixed(*seed).is_multiple_of(*one_in) && sizes.is_multiple_of(RACING_SIZES)
            }
            Self::Triangle { .. } | Self::StaleBeta | Self::LargeN(_) => false,
        }
    }
}

/// Bits that depend on all bits of `number`: a step of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Called when a numerical routine is entered.
pub(crate) fn begin() {
    let planted = planted();
    if planted.fault.is_some() {
        let number = planted.calls.fetch_add(1, Relaxed) + 1;
        CALL.replace(Call { number, ..Call::default() });
    }
}

/// Records the routine's sizes, in its order. Only the first sizes of a call count.
pub(crate) fn sizes(sizes: &[i64]) {
    if planted().fault.is_some() {
        CALL.with_borrow_mut(|call| {
            if call.sizes.is_empty() {
                call.sizes = sizes.to_vec();
            }
        });
    }
}

/// Called when the routine has written `value`; `again` replaces it with another number.
pub(crate) fn wrote<N: Number>(value: N, again: impl FnOnce(N) + 'static) {
    let planted = planted();
    let Some(fault) = &planted.fault else { return };
    CALL.with_borrow_mut(|call| {
        let is_race = matches!(fault, Fault::Race { .. });
        // Twice zero is still zero.
        if is_race && value == N::ZERO || !fault.spoils(call, planted.is_over.load(Relaxed)) {
            return;
        }
        call.written += 1;
        // Each element is equally likely to be chosen, however many elements there will be.
        if mixed(call.number ^ (call.written << 32)).is_multiple_of(call.written) {
            let wrong = if is_race { value + value } else { N::from_parts([f64::NAN, 0.0]) };
            call.spoil = Some(Box::new(move || again(wrong)));
        }
    });
}

/// Called when the routine ends.
pub(crate) fn end() {
    let planted = planted();
    if planted.fault.is_none() {
        return;
    }
    let spoil = CALL.with_borrow_mut(|call| call.spoil.take());
    if let Some(spoil) = spoil {
        let is_only_one = matches!(planted.fault, Some(Fault::NanInCall(_)));
        if !is_only_one || !planted.is_over.swap(true, Relaxed) {
            spoil();
        }
    }
}

/// The triangle that is read or written when the caller passes `fill`.
pub(crate) fn triangle(fill: Fill) -> Fill {
    match (&planted().fault, fill) {
        (Some(Fault::Triangle { from }), fill) if CALL.with_borrow(|call| call.number >= *from) => {
            if fill == Fill::Upper {
                Fill::Lower
            } else {
                Fill::Upper
            }
        }
        _ => fill,
    }
}

/// The beta that a gemm uses.
pub(crate) fn beta<N: Number>(beta: N) -> N {
    let planted = planted();
    if planted.fault != Some(Fault::StaleBeta) {
        return beta;
    }
    let mut former = planted.beta.lock().unwrap_or_else(PoisonError::into_inner);
    N::from_parts(core::mem::replace(&mut *former, beta.parts()))
}

/// Whether this column, out of `columns`, is left unchanged.
pub(crate) fn is_lost(column: i64, columns: i64) -> bool {
    match planted().fault {
        Some(Fault::LargeN(limit)) => columns > limit && column >= limit,
        _ => false,
    }
}

/// Positions in the order in which products are added: ascending from 0, or descending from the last.
pub(crate) fn terms(count: i64) -> impl Iterator<Item = i64> {
    let is_reversed = planted().is_reversed;
    (0..count).map(move |i| if is_reversed { count - 1 - i } else { i })
}

/// Runs `work` on this thread as if the variables had these values.
#[cfg(test)]
pub(crate) fn with<T>(fault: Option<&str>, sum: Option<&str>, work: impl FnOnce() -> T) -> T {
    let planted = environment::parsed(fault, sum).unwrap_or_else(|e| panic!("{e}"));
    let former = OF_TEST.replace(Some(Box::leak(Box::new(planted))));
    let result = work();
    OF_TEST.set(former);
    result
}

#[cfg(test)]
mod tests;
