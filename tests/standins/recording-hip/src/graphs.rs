//! Stream capture and graphs. Work submitted to a capturing stream becomes a node of a graph: it is logged
//! with the prefix `node`, and as usual each time the graph is launched.
//!
//! A capture is invalidated as in HIP 7 (public source of the runtime): by waiting for the stream; by work in
//! the default stream, unless the capturing stream is non-blocking; and by calls that could wait for the
//! device, depending on the thread's capture mode.

use crate::{
    answer::{hip_functions, put},
    errors::{Answer, HipError},
    handles::Table,
    log, streams,
};
use std::{
    cell::Cell,
    ffi::{c_char, c_void},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
};

/// `hipStreamCaptureModeGlobal`, the initial mode of each thread.
const GLOBAL: i32 = 0;
/// `hipStreamCaptureModeRelaxed`
const RELAXED: i32 = 2;

thread_local! {
    static MODE: Cell<i32> = const { Cell::new(GLOBAL) };
}

/// The nodes of a graph, in the order in which they were submitted.
type Nodes = Vec<Arc<dyn Fn() -> Answer + Send + Sync>>;

/// A stream that is being captured.
struct Capture {
    stream: usize,
    mode: i32,
    thread: ThreadId,
    nodes: Nodes,
    is_invalid: bool,
    /// Whether the default stream waits for it.
    is_blocking: bool,
}

fn captures() -> MutexGuard<'static, Vec<Capture>> {
    static CAPTURES: Mutex<Vec<Capture>> = Mutex::new(Vec::new());
    CAPTURES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Graphs, and instantiated graphs, which are copies.
fn graphs() -> MutexGuard<'static, Table<Nodes>> {
    static GRAPHS: LazyLock<Mutex<Table<Nodes>>> =
        LazyLock::new(|| Mutex::new(Table::new(0x20_0000)));
    GRAPHS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does work that is submitted to a stream: immediately, or if the stream is being captured, whenever the
/// graph is launched.
pub(crate) fn submit(
    stream: *mut c_void,
    line: &str,
    work: impl Fn() -> Answer + Send + Sync + 'static,
) -> Answer {
    {
        let mut captures = captures();
        let mut ended = captures.iter_mut().filter(|capture| capture.is_blocking).peekable();
        if streams::is_default(stream) && ended.peek().is_some() {
            ended.for_each(|capture| capture.is_invalid = true);
            return Err(HipError::STREAM_CAPTURE_IMPLICIT);
        }
        let capturing = captures.iter_mut().find(|capture| capture.stream == stream.addr());
        if let Some(capture) = capturing {
            if capture.is_invalid {
                return Err(HipError::STREAM_CAPTURE_INVALIDATED);
            }
            log::write(&format!("node {line}"));
            capture.nodes.push(Arc::new(work));
            return Ok(());
        }
    }
    work()
}

/// Fails if the stream is being captured and invalidates the capture: the caller wants to wait for the
/// stream.
pub(crate) fn refuse_while_capturing(stream: *mut c_void) -> Answer {
    refuse(|capture| capture.stream == stream.addr())
}

/// Fails if there are captures that the calling thread may invalidate, and invalidates them: the caller's
/// request could wait for the device.
pub(crate) fn refuse_unsafe() -> Answer {
    let (mode, thread) = (MODE.get(), thread::current().id());
    refuse(|capture| {
        mode != RELAXED
            && capture.mode != RELAXED
            && (capture.thread == thread || mode == GLOBAL && capture.mode == GLOBAL)
    })
}

fn refuse(is_ended: impl Fn(&Capture) -> bool) -> Answer {
    let mut captures = captures();
    let mut ended = captures.iter_mut().filter(|capture| is_ended(capture)).peekable();
    if ended.peek().is_none() {
        return Ok(());
    }
    ended.for_each(|capture| capture.is_invalid = true);
    Err(HipError::STREAM_CAPTURE_UNSUPPORTED)
}

/// A `hipStreamCaptureStatus`: none, active, invalidated.
pub(crate) fn status(stream: *mut c_void) -> Answer<i32> {
    let captures = captures();
    if streams::is_default(stream) && captures.iter().any(|capture| capture.is_blocking) {
        return Err(HipError::STREAM_CAPTURE_IMPLICIT);
    }
    let capture = captures.iter().find(|capture| capture.stream == stream.addr());
    Ok(capture.map_or(0, |capture| if capture.is_invalid { 2 } else { 1 }))
}

hip_functions! {
    fn hipStreamBeginCapture(stream: *mut c_void, mode: i32) {
        let is_blocking = streams::check(stream)?.is_blocking();
        if streams::is_default(stream) {
            return Err(HipError::STREAM_CAPTURE_UNSUPPORTED);
        }
        if !(GLOBAL..=RELAXED).contains(&mode) {
            return Err(HipError::INVALID_VALUE);
        }
        if status(stream)? != 0 {
            return Err(HipError::ILLEGAL_STATE);
        }
        captures().push(Capture {
            stream: stream.addr(),
            mode,
            thread: thread::current().id(),
            nodes: Vec::new(),
            is_invalid: false,
            is_blocking,
        });
        Ok(())
    }

    fn hipStreamEndCapture(stream: *mut c_void, graph: *mut *mut c_void) {
        streams::check(stream)?;
        let ended = {
            let mut captures = captures();
            let place = captures.iter().position(|capture| capture.stream == stream.addr());
            let place = place.ok_or(HipError::ILLEGAL_STATE)?;
            let Capture { mode, thread, .. } = captures[place];
            if mode != RELAXED && thread != thread::current().id() {
                return Err(HipError::STREAM_CAPTURE_WRONG_THREAD);
            }
            captures.remove(place)
        };
        if ended.is_invalid {
            return Err(HipError::STREAM_CAPTURE_INVALIDATED);
        }
        let made = graphs().add(|_| ended.nodes);
        // SAFETY: the caller's out-parameter.
        unsafe { put(graph, made) }
    }

    fn hipThreadExchangeStreamCaptureMode(mode: *mut i32) {
        if mode.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        // SAFETY: not null; the caller guarantees the rest.
        unsafe { put(mode, MODE.replace(*mode)) }
    }

    fn hipGraphInstantiate(
        executable: *mut *mut c_void,
        graph: *mut c_void,
        _error_node: *mut *mut c_void,
        _log: *mut c_char,
        _log_size: usize,
    ) {
        let mut graphs = graphs();
        let nodes = graphs.get(graph).cloned().ok_or(HipError::INVALID_VALUE)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(executable, graphs.add(|_| nodes)) }
    }

    fn hipGraphLaunch(executable: *mut c_void, stream: *mut c_void) {
        streams::check(stream)?;
        refuse_while_capturing(stream)?;
        let nodes = graphs().get(executable).cloned().ok_or(HipError::INVALID_VALUE)?;
        nodes.iter().try_for_each(|node| node())
    }

    fn hipGraphExecDestroy(executable: *mut c_void) {
        graphs().remove(executable).map(|_| ()).ok_or(HipError::INVALID_VALUE)
    }

    fn hipGraphDestroy(graph: *mut c_void) {
        graphs().remove(graph).map(|_| ()).ok_or(HipError::INVALID_VALUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memory::{hipFree, hipMalloc},
        streams::{hipStreamCreate, hipStreamDestroy, hipStreamSynchronize},
    };
    use std::{
        ptr::null_mut,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// Captures are process-wide, as in HIP, so these tests take turns.
    static TURN: Mutex<()> = Mutex::new(());

    /// Runs a test with a new stream.
    fn with_stream(test: impl FnOnce(*mut c_void)) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream = null_mut();
        // SAFETY: `stream` is what the function fills, and is destroyed once.
        unsafe {
            assert_eq!(hipStreamCreate(&raw mut stream), 0);
            test(stream);
            assert_eq!(hipStreamDestroy(stream), 0);
        }
    }

    /// Begins a capture in the relaxed mode, which calls of other tests do not invalidate.
    fn begin(stream: *mut c_void) {
        // SAFETY: a stream.
        assert_eq!(unsafe { hipStreamBeginCapture(stream, RELAXED) }, 0);
    }

    #[test]
    fn captured_work_is_done_whenever_its_graph_is_launched() {
        static DONE: AtomicU32 = AtomicU32::new(0);
        let work = || {
            DONE.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        with_stream(|stream| {
            assert_eq!(submit(stream, "work", work), Ok(()));
            begin(stream);
            assert_eq!((submit(stream, "work", work), status(stream)), (Ok(()), Ok(1)));
            assert_eq!(DONE.load(Ordering::Relaxed), 1);
            let (mut graph, mut executable) = (null_mut(), null_mut());
            // SAFETY: these are handles, and results may be written.
            unsafe {
                assert_eq!(hipStreamEndCapture(stream, &raw mut graph), 0);
                let none = null_mut();
                let error = hipGraphInstantiate(&raw mut executable, graph, none, null_mut(), 0);
                assert_eq!((error, hipGraphDestroy(graph)), (0, 0));
                assert_eq!(hipGraphLaunch(executable, stream), 0);
                assert_eq!(hipGraphLaunch(executable, stream), 0);
                assert_eq!(hipGraphExecDestroy(executable), 0);
                assert_eq!(hipGraphLaunch(executable, stream), 1);
            }
            assert_eq!((DONE.load(Ordering::Relaxed), status(stream)), (3, Ok(0)));
        });
    }

    #[test]
    fn waiting_for_a_stream_ends_its_capture() {
        with_stream(|stream| {
            begin(stream);
            let mut graph = null_mut();
            // SAFETY: it is a stream, and the graph may be written.
            unsafe {
                assert_eq!(hipStreamSynchronize(stream), 900);
                assert_eq!(
                    (status(stream), submit(stream, "work", || Ok(())).is_err()),
                    (Ok(2), true)
                );
                assert_eq!(hipStreamEndCapture(stream, &raw mut graph), 901);
                assert_eq!(hipStreamEndCapture(stream, &raw mut graph), 401);
            }
            assert!(graph.is_null());
        });
    }

    #[test]
    fn the_default_stream_cannot_capture_and_ends_captures() {
        with_stream(|stream| {
            // SAFETY: it is the default stream, and no graph is written.
            assert_eq!(unsafe { hipStreamBeginCapture(null_mut(), GLOBAL) }, 900);
            begin(stream);
            assert_eq!(status(null_mut()), Err(HipError::STREAM_CAPTURE_IMPLICIT));
            let refused = submit(null_mut(), "work", || Ok(()));
            assert_eq!(refused, Err(HipError::STREAM_CAPTURE_IMPLICIT));
            // SAFETY: it is a stream, and no graph is returned.
            assert_eq!(unsafe { hipStreamEndCapture(stream, null_mut()) }, 901);
        });
    }

    #[test]
    fn a_threads_mode_decides_whether_it_may_allocate() {
        with_stream(|stream| {
            // SAFETY: it is a stream, and results may be written.
            unsafe {
                assert_eq!(hipStreamBeginCapture(stream, 1), 0);
                let (mut memory, mut mode) = (null_mut(), RELAXED);
                assert_eq!(hipThreadExchangeStreamCaptureMode(&raw mut mode), 0);
                assert_eq!((mode, hipMalloc(&raw mut memory, 16)), (GLOBAL, 0));
                assert_eq!((hipFree(memory), status(stream)), (0, Ok(1)));
                assert_eq!(hipThreadExchangeStreamCaptureMode(&raw mut mode), 0);
                assert_eq!((mode, hipMalloc(&raw mut memory, 16)), (RELAXED, 900));
                assert_eq!(hipStreamEndCapture(stream, null_mut()), 901);
            }
        });
    }
}
