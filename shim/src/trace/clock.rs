//! The clock of the records: the processor's time stamp counter if it is invariant, otherwise the system's
//! monotonic clock.
//!
//! Reading the counter takes some 10 ns in a virtual machine and less on bare metal; reading the system's
//! clock takes twice that. CPUID (8000'0007h, EDX bit 8) reports whether the counter is invariant: its rate
//! does not depend on the power state and is the same on all cores.
//!
//! The processor may read the counter before earlier instructions have completed: on some processors, two
//! readings around a short call differ by a single tick. The thunk's straight line accepts that;
//! [`now_after_all`] waits for all earlier instructions.

use core::{
    arch::x86_64::{__cpuid, _mm_lfence, _rdtsc},
    sync::atomic::{AtomicU8, Ordering},
};
use rocblas_trace::process::{Clock, Point};
use std::time::{Duration, Instant};

const UNKNOWN: u8 = 0;
const COUNTER: u8 = 1;
const SYSTEM: u8 = 2;

/// The clock that [`now`] reads, once it has been determined.
static KIND: AtomicU8 = AtomicU8::new(UNKNOWN);

/// How long the counter is measured at the start. Longer traces provide a better measurement themselves.
const CALIBRATION: Duration = Duration::from_millis(1);

/// The time, in ticks.
#[inline]
pub(super) fn now() -> u64 {
    if KIND.load(Ordering::Relaxed) == COUNTER {
        // SAFETY: an instruction of every x86-64 processor.
        unsafe { _rdtsc() }
    } else {
        monotonic()
    }
}

/// The same after all earlier instructions have completed, so that the difference of two readings includes
/// everything in between.
pub(super) fn now_after_all() -> u64 {
    // SAFETY: an instruction of every x86-64 processor.
    unsafe { _mm_lfence() };
    now()
}

/// Whether the clock is the processor's counter.
pub(super) fn is_counter() -> bool {
    KIND.load(Ordering::Relaxed) == COUNTER
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub(super) fn monotonic() -> u64 {
    system(libc::CLOCK_MONOTONIC)
}

fn system(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: memory for the result, and a clock that Linux has.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// All clocks at one time.
pub(super) fn point() -> Point {
    let ticks = now();
    Point { ticks, monotonic: monotonic(), realtime: system(libc::CLOCK_REALTIME) }
}

/// Determines which clock to use and its rate; the first time this takes a millisecond.
pub(super) fn calibrate() -> Clock {
    if KIND.load(Ordering::Relaxed) == UNKNOWN {
        let kind = if counter_is_even() { COUNTER } else { SYSTEM };
        KIND.store(kind, Ordering::Relaxed);
    }
    if KIND.load(Ordering::Relaxed) == SYSTEM {
        return Clock { kind: "monotonic".to_owned(), hertz: 1e9, start: point() };
    }
    let start = point();
    let begun = Instant::now();
    while begun.elapsed() < CALIBRATION {
        core::hint::spin_loop();
    }
    let end = point();
    let ticks = end.ticks.saturating_sub(start.ticks) as f64;
    let nanoseconds = end.monotonic.saturating_sub(start.monotonic) as f64;
    Clock { kind: "tsc".to_owned(), hertz: ticks / nanoseconds * 1e9, start }
}

fn counter_is_even() -> bool {
    const POWER: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx >> 8 & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_nanoseconds_agree() {
        let clock = calibrate();
        let before = point();
        std::thread::sleep(Duration::from_millis(50));
        let after = point();
        let ticks = (after.ticks - before.ticks) as f64 / clock.hertz * 1e9;
        let nanoseconds = (after.monotonic - before.monotonic) as f64;
        assert!((ticks / nanoseconds - 1.0).abs() < 0.01, "{ticks} {nanoseconds} {clock:?}");
        assert!(before.realtime > 1_600_000_000_000_000_000);
    }
}
