//! Launches, which are checked as in the real runtime and logged, but not executed.

use crate::{
    answer::{hip_functions, put},
    devices,
    errors::{Answer, HipError},
    events, graphs,
    layouts::Dim3,
    log::{self, Entry},
    modules, registration,
    settings::settings,
    streams,
};
use std::{cell::RefCell, ffi::c_void};

/// How a kernel is launched.
#[derive(Clone, Copy)]
struct Shape {
    grid: Dim3,
    block: Dim3,
    shared: usize,
    stream: *mut c_void,
}

thread_local! {
    /// The configuration that `<<<...>>>` has set for the stub that is called next.
    static CONFIGURATIONS: RefCell<Vec<Shape>> = const { RefCell::new(Vec::new()) };
}

impl Shape {
    /// Refuses shapes that the runtime refuses for every kernel. `bad` is the error for invalid dimensions, which
    /// differs between HIP's functions.
    fn check(&self, bad: HipError) -> Answer<streams::Stream> {
        let stream = streams::check(self.stream)?;
        if stream.device != devices::current() {
            return Err(HipError::INVALID_HANDLE);
        }
        let sides = [self.grid.sides(), self.block.sides()].concat();
        let threads = self
            .grid
            .sides()
            .into_iter()
            .zip(self.block.sides())
            .map(|(blocks, threads)| u64::from(blocks) * u64::from(threads));
        if sides.contains(&0)
            || self.block.volume() > devices::max_threads_per_block()
            || threads.into_iter().any(|along| along > u32::MAX.into())
        {
            return Err(bad);
        }
        if self.shared as u64 > devices::shared_memory() {
            return Err(HipError::INVALID_VALUE);
        }
        Ok(stream)
    }

    fn record(&self, kernel: &str, stream: &streams::Stream) -> Answer {
        let entry = Entry::Launch {
            kernel,
            grid: self.grid,
            block: self.block,
            shared: self.shared as u64,
            stream: stream.name,
            device: stream.device,
        };
        let line = entry.to_string();
        graphs::submit(self.stream, &line.clone(), move || {
            events::pass();
            log::write(&line);
            Ok(())
        })
    }
}

/// Launches a registered kernel.
fn launch_registered(stub: *const c_void, shape: &Shape) -> Answer {
    let stream = shape.check(HipError::INVALID_CONFIGURATION)?;
    let kernel = registration::kernel(stub).ok_or(HipError::INVALID_DEVICE_FUNCTION)?;
    if !kernel.has_code() {
        let target = settings().target().processor();
        log::write(&Entry::Missing { kernel: &kernel.name, target });
        return Err(HipError::INVALID_DEVICE_FUNCTION);
    }
    shape.record(&kernel.name, &stream)
}

/// Launches a function of a module.
fn launch_function(function: *mut c_void, shape: &Shape, bad: HipError) -> Answer {
    let stream = shape.check(bad)?;
    let name = modules::function_name(function).ok_or(HipError::INVALID_HANDLE)?;
    shape.record(&name, &stream)
}

hip_functions! {
    fn hipLaunchKernel(
        stub: *const c_void,
        grid: Dim3,
        block: Dim3,
        _arguments: *mut *mut c_void,
        shared: usize,
        stream: *mut c_void,
    ) {
        launch_registered(stub, &Shape { grid, block, shared, stream })
    }

    fn hipExtLaunchKernel(
        stub: *const c_void,
        grid: Dim3,
        block: Dim3,
        _arguments: *mut *mut c_void,
        shared: usize,
        stream: *mut c_void,
        start: *mut c_void,
        stop: *mut c_void,
        _flags: i32,
    ) {
        launch_registered(stub, &Shape { grid, block, shared, stream })?;
        for event in [start, stop] {
            if !event.is_null() {
                events::record(event)?;
            }
        }
        Ok(())
    }

    fn hipLaunchCooperativeKernel(
        stub: *const c_void,
        grid: Dim3,
        block: Dim3,
        _arguments: *mut *mut c_void,
        shared: u32,
        stream: *mut c_void,
    ) {
        launch_registered(stub, &Shape { grid, block, shared: shared as usize, stream })
    }

    fn hipModuleLaunchKernel(
        function: *mut c_void,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared: u32,
        stream: *mut c_void,
        arguments: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) {
        if !arguments.is_null() && !extra.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        let grid = Dim3 { x: grid_x, y: grid_y, z: grid_z };
        let block = Dim3 { x: block_x, y: block_y, z: block_z };
        let shape = Shape { grid, block, shared: shared as usize, stream };
        launch_function(function, &shape, HipError::INVALID_VALUE)
    }

    // Its grid sizes are the total numbers of threads, not of blocks.
    fn hipExtModuleLaunchKernel(
        function: *mut c_void,
        threads_x: u32,
        threads_y: u32,
        threads_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared: usize,
        stream: *mut c_void,
        arguments: *mut *mut c_void,
        extra: *mut *mut c_void,
        start: *mut c_void,
        stop: *mut c_void,
        _flags: u32,
    ) {
        if !arguments.is_null() && !extra.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        let block = Dim3 { x: block_x, y: block_y, z: block_z };
        let bad = HipError::INVALID_CONFIGURATION;
        if block.sides().contains(&0) {
            return Err(bad);
        }
        let grid = Dim3 {
            x: threads_x.div_ceil(block_x),
            y: threads_y.div_ceil(block_y),
            z: threads_z.div_ceil(block_z),
        };
        launch_function(function, &Shape { grid, block, shared, stream }, bad)?;
        for event in [start, stop] {
            if !event.is_null() {
                events::record(event)?;
            }
        }
        Ok(())
    }

    fn __hipPushCallConfiguration(grid: Dim3, block: Dim3, shared: usize, stream: *mut c_void) {
        CONFIGURATIONS.with_borrow_mut(|all| all.push(Shape { grid, block, shared, stream }));
        Ok(())
    }

    fn __hipPopCallConfiguration(
        grid: *mut Dim3,
        block: *mut Dim3,
        shared: *mut usize,
        stream: *mut *mut c_void,
    ) {
        let shape = CONFIGURATIONS
            .with_borrow_mut(Vec::pop)
            .ok_or(HipError::MISSING_CONFIGURATION)?;
        // SAFETY: the stub's out-parameters.
        unsafe {
            put(grid, shape.grid)?;
            put(block, shape.block)?;
            put(shared, shape.shared)?;
            put(stream, shape.stream)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    const ONE: Dim3 = Dim3 { x: 1, y: 1, z: 1 };

    #[test]
    fn configurations_are_a_stack() {
        let (mut grid, mut block, mut shared) = (ONE, ONE, 0);
        let mut stream = ptr::null_mut();
        let mut pop = || {
            // SAFETY: all four are what the function fills.
            let status = unsafe {
                __hipPopCallConfiguration(
                    &raw mut grid,
                    &raw mut block,
                    &raw mut shared,
                    &raw mut stream,
                )
            };
            (status, shared, grid.x)
        };
        for shared in [1, 2] {
            let grid = Dim3 { x: shared as u32 * 10, ..ONE };
            // SAFETY: numbers only.
            unsafe { __hipPushCallConfiguration(grid, ONE, shared, ptr::null_mut()) };
        }
        assert_eq!(pop(), (0, 2, 20));
        assert_eq!(pop(), (0, 1, 10));
        assert_eq!(pop().0, 52);
    }

    #[test]
    fn shapes_that_no_device_runs_are_refused() {
        let shape = Shape { grid: ONE, block: ONE, shared: 0, stream: ptr::null_mut() };
        let code = |shape: Shape| shape.check(HipError::INVALID_CONFIGURATION).map(|_| ());
        assert_eq!(code(shape), Ok(()));
        let bad = Err(HipError::INVALID_CONFIGURATION);
        assert_eq!(code(Shape { grid: Dim3 { y: 0, ..ONE }, ..shape }), bad);
        assert_eq!(code(Shape { block: Dim3 { z: 0, ..ONE }, ..shape }), bad);
        assert_eq!(code(Shape { block: Dim3 { x: 1025, ..ONE }, ..shape }), bad);
        let wide = Shape { grid: Dim3 { x: 1 << 31, ..ONE }, block: Dim3 { x: 2, ..ONE }, ..shape };
        assert_eq!(code(wide), bad);
        assert_eq!(code(Shape { shared: 65_537, ..shape }), Err(HipError::INVALID_VALUE));
        let gone = Shape { stream: ptr::without_provenance_mut(0x99), ..shape };
        assert_eq!(code(gone), Err(HipError::CONTEXT_IS_DESTROYED));
    }

    #[test]
    fn what_was_never_registered_is_an_invalid_function() {
        // SAFETY: the stub is only looked up, and its arguments are not accessed.
        let status =
            unsafe { hipLaunchKernel(ptr::null(), ONE, ONE, ptr::null_mut(), 0, ptr::null_mut()) };
        assert_eq!(status, 98);
    }
}
