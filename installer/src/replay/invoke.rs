//! Calls functions of rocBLAS by name, with machine words as arguments.

use super::{call::Call, memory::Prepared};
use anyhow::{Context, Result, anyhow, ensure};
use rocblas_abi::{Base, params, value::status::SUCCESS};
use rocblas_trace::capture::PointerMode;

/// No rocBLAS function has more parameters than this.
const MOST: usize = 32;

/// A rocBLAS in this process, with a handle.
pub(super) struct Rocblas<'a> {
    find: &'a dyn Fn(&str) -> Option<*const ()>,
    handle: u64,
}

impl<'a> Rocblas<'a> {
    /// Creates a handle. `find` returns functions of a rocBLAS by name.
    ///
    /// # Errors
    /// If the library cannot create handles, or returned an error.
    pub(super) fn new(find: &'a dyn Fn(&str) -> Option<*const ()>) -> Result<Self> {
        let mut handle = 0_u64;
        let place = (&raw mut handle).expose_provenance() as u64;
        let rocblas = Self { find, handle: 0 };
        rocblas.must("rocblas_create_handle", &[place])?;
        Ok(Self { find, handle })
    }

    /// Whether the library has the function.
    pub(super) fn has(&self, name: &str) -> bool {
        (self.find)(name).is_some()
    }

    /// Sets the handle's modes to those of a call.
    ///
    /// # Errors
    /// If the library returned an error.
    pub(super) fn set_modes(&self, call: &Call) -> Result<()> {
        let mode = u64::from(call.pointer_mode == PointerMode::Device);
        self.must("rocblas_set_pointer_mode", &[self.handle, mode])?;
        let modes = [
            ("rocblas_set_atomics_mode", call.atomics_mode),
            ("rocblas_set_math_mode", call.math_mode),
        ];
        for (name, mode) in modes {
            // Older releases do not have every mode.
            if let Some(mode) = mode.filter(|_| self.has(name)) {
                self.must(name, &[self.handle, mode as u64])?;
            }
        }
        Ok(())
    }

    /// Makes a call in memory that was prepared for it, and returns the status.
    ///
    /// # Errors
    /// If the library lacks the function.
    pub(super) fn call(&self, call: &Call, prepared: &Prepared) -> Result<i32> {
        let name = call.name();
        let mut words = prepared.words.clone();
        for (word, param) in words.iter_mut().zip(params(call.function)) {
            if param.ty.base == Base::Handle && param.ty.pointers == 0 {
                *word = self.handle;
            }
        }
        let function = (self.find)(name).with_context(|| format!("it has no {name}"))?;
        Ok(invoke(function, &words))
    }

    fn must(&self, name: &str, words: &[u64]) -> Result<()> {
        let function = (self.find)(name).with_context(|| format!("it has no {name}"))?;
        let status = invoke(function, words);
        ensure!(status == SUCCESS, "{name} returned {}", status_name(status));
        Ok(())
    }
}

impl Drop for Rocblas<'_> {
    fn drop(&mut self) {
        if self.handle != 0 {
            // A failure cannot be handled here.
            let _ = self.must("rocblas_destroy_handle", &[self.handle]);
        }
    }
}

/// The name of a status, without `rocblas_status_`.
pub(super) fn status_name(status: i32) -> String {
    let statuses = rocblas_abi::enumeration(rocblas_abi::EnumId::Status);
    statuses.short_name_of(status).map_or_else(|| format!("status {status}"), str::to_owned)
}

/// Makes a call on the CPU in newly allocated memory, and returns the outputs.
///
/// # Errors
/// If the CPU implementation lacks the function or returned an error.
pub(super) fn on_cpu(
    call: &Call,
    before: impl FnMut(usize) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let memory = super::memory::Host::default();
    let rocblas = Rocblas::new(&cpu_blas::entry_point)?;
    ensure!(rocblas.has(call.name()), "the CPU implementation has no {}", call.name());
    rocblas.set_modes(call)?;
    let prepared = Prepared::new(call, &memory, before)?;
    prepared.reset(&memory)?;
    let status = rocblas.call(call, &prepared)?;
    if status != SUCCESS {
        return Err(anyhow!("the CPU implementation returned {}", status_name(status)));
    }
    prepared.outputs(call, &memory)
}

/// Calls a C function whose parameters are numbers and pointers.
fn invoke(function: *const (), words: &[u64]) -> i32 {
    type W = u64;
    type Function = unsafe extern "C" fn(
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
        W,
    ) -> W;

    let mut w = [0; MOST];
    assert!(words.len() <= MOST, "no function of rocBLAS has so many parameters");
    w[..words.len()].copy_from_slice(words);
    // SAFETY: a function of rocBLAS's C interface. In the System V calling convention each of its parameters
    // is one word, in a register or on the stack, and words after the last parameter are ignored.
    let function = unsafe { core::mem::transmute::<*const (), Function>(function) };
    // SAFETY: `Call` has checked the arguments: pointers point to memory that is as long as the function's
    // description requires.
    let result = unsafe {
        function(
            w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13],
            w[14], w[15], w[16], w[17], w[18], w[19], w[20], w[21], w[22], w[23], w[24], w[25],
            w[26], w[27], w[28], w[29], w[30], w[31],
        )
    };
    result as i32
}
