//! HIP events, which measure time on a stream.

use super::{SUCCESS, Stream};
use crate::backend::open::Handle;
use core::{ffi::c_void, mem::transmute, ptr::null_mut};

/// `hipEvent_t`
pub(crate) type Event = *mut c_void;

type Create = unsafe extern "C" fn(*mut Event) -> i32;
type Destroy = unsafe extern "C" fn(Event) -> i32;
type Record = unsafe extern "C" fn(Event, Stream) -> i32;
type Elapsed = unsafe extern "C" fn(*mut f32, Event, Event) -> i32;
type ExchangeMode = unsafe extern "C" fn(*mut i32) -> i32;

/// The functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    create: Create,
    destroy: Destroy,
    record: Record,
    elapsed: Elapsed,
    exchange_mode: Option<ExchangeMode>,
}

/// The time between two events, if both have completed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Between {
    /// Both have completed, that many milliseconds apart.
    Milliseconds(f32),
    /// At least one has not completed yet.
    NotReady,
    /// HIP failed.
    Failed,
}

impl Events {
    /// The functions of the runtime in a backend's scope.
    pub(super) fn of(backend: Handle) -> Option<Self> {
        let symbol = |name| backend.symbol(name).map(|target| target.0);
        let (create, destroy) = (symbol(c"hipEventCreate")?, symbol(c"hipEventDestroy")?);
        let (record, elapsed) = (symbol(c"hipEventRecord")?, symbol(c"hipEventElapsedTime")?);
        let exchange_mode = symbol(c"hipThreadExchangeStreamCaptureMode");
        // SAFETY: HIP's prototypes of these functions.
        Some(unsafe {
            Self {
                create: transmute::<*const (), Create>(create),
                destroy: transmute::<*const (), Destroy>(destroy),
                record: transmute::<*const (), Record>(record),
                elapsed: transmute::<*const (), Elapsed>(elapsed),
                exchange_mode: exchange_mode.map(|f| transmute::<*const (), ExchangeMode>(f)),
            }
        })
    }

    /// Creates an event on the calling thread's device.
    pub(crate) fn create(&self) -> Option<Event> {
        let mut event = null_mut();
        // SAFETY: memory for the result.
        (unsafe { (self.create)(&raw mut event) } == SUCCESS).then_some(event)
    }

    /// # Safety
    /// `event` comes from [`Self::create`] and is not used again.
    pub(crate) unsafe fn destroy(&self, event: Event) {
        // SAFETY: by contract.
        unsafe { (self.destroy)(event) };
    }

    /// Records an event on a stream, which must not be capturing. Returns whether HIP succeeded.
    ///
    /// # Safety
    /// `event` comes from [`Self::create`], and the stream exists.
    pub(crate) unsafe fn record(&self, event: Event, stream: Stream) -> bool {
        // SAFETY: by contract.
        unsafe { (self.record)(event, stream) == SUCCESS }
    }

    /// The time between two events that were recorded.
    ///
    /// # Safety
    /// Both events come from [`Self::create`].
    pub(crate) unsafe fn elapsed(&self, start: Event, end: Event) -> Between {
        /// `hipErrorNotReady`
        const NOT_READY: i32 = 600;
        let mut milliseconds = 0.0;
        // SAFETY: memory for the result, and events by contract.
        match unsafe { (self.elapsed)(&raw mut milliseconds, start, end) } {
            SUCCESS => Between::Milliseconds(milliseconds),
            NOT_READY => Between::NotReady,
            _ => Between::Failed,
        }
    }

    /// Runs `work` with the calling thread in relaxed capture mode: in other modes, querying events would
    /// invalidate the captures of other threads.
    pub(crate) fn relaxed<T>(&self, work: impl FnOnce() -> T) -> T {
        /// `hipStreamCaptureModeRelaxed`
        const RELAXED: i32 = 2;
        let mut mode = RELAXED;
        let mut exchange = || {
            // SAFETY: HIP sets the thread's mode to this one and stores the previous one in it.
            self.exchange_mode.map(|exchange| unsafe { exchange(&raw mut mode) })
        };
        let exchanged = exchange() == Some(SUCCESS);
        let result = work();
        if exchanged {
            exchange();
        }
        result
    }
}
