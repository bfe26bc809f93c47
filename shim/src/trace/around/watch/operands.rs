//! Determines from a call's arguments which operands and scalars to copy.

use super::{Recipe, Session, job::Watched};
use crate::{
    backend::Backend,
    trace::scalars::{HOST, read_by_the_kernel},
};
use core::ptr::with_exposed_provenance_mut;
use rocblas_abi::{
    operands::{Batch, Operand},
    params,
};
use rocblas_trace::{
    call::scalar_kind,
    capture::Time,
    layout::{Mode, Skipped},
};

/// Adds copies of the operands that the call reads or writes.
pub(super) fn add_all(
    watched: &mut Watched,
    recipe: &Recipe,
    mode: Mode,
    argument: &dyn Fn(usize) -> u64,
) -> Result<(), Skipped> {
    let operands = watched.operands;
    for time in [Time::Before, Time::After] {
        for (number, operand) in operands.iter().enumerate() {
            let is_zero = |position| mode == Mode::Host && is_zero(recipe, position, argument);
            let is_wanted = match time {
                Time::Before => operand.is_read(is_zero),
                Time::After => operand.is_written(),
            };
            if time == Time::Before {
                watched.is_read[number] = is_wanted;
            }
            if is_wanted {
                let address = argument(usize::from(operand.parameter));
                let on_host = is_on_host(operand, mode)?;
                watched.pieces.add((number, operand), time, address, (true, on_host))?;
            }
        }
    }
    Ok(())
}

/// Adds copies of scalars that are in device memory and are not operands.
pub(super) fn add_scalars(watched: &mut Watched, recipe: &Recipe, argument: &dyn Fn(usize) -> u64) {
    for scalar in recipe.at_entry() {
        let is_operand = watched.operands.iter().any(|o| o.parameter == scalar.parameter);
        let param = params(recipe.function()).nth(usize::from(scalar.parameter));
        let kind = param.and_then(|param| scalar_kind(recipe.function(), &param, argument));
        if let Some(kind) = kind.filter(|_| !is_operand) {
            let address = argument(usize::from(scalar.parameter));
            watched.pieces.add_scalar(scalar.number.into(), address, kind.size());
        }
    }
}

/// The pointer mode of a handle.
pub(super) fn pointer_mode(session: &Session, handle: usize) -> Mode {
    let mut mode = -1;
    let status = session.get_pointer_mode().map(|get_mode| {
        // SAFETY: the function's prototype; the handle is what the caller is about to use.
        unsafe { get_mode(with_exposed_provenance_mut(handle), &raw mut mode) }
    });
    match (status, mode) {
        (Some(0), HOST) => Mode::Host,
        (Some(0), _) => Mode::Device,
        _ => Mode::Unknown,
    }
}

/// Whether an operand is a scalar in host memory.
pub(super) fn is_on_host(operand: &Operand, mode: Mode) -> Result<bool, Skipped> {
    match (operand.scalar, operand.batch, mode) {
        (false, ..) | (true, Batch::Pointers { .. }, _) | (true, _, Mode::Device) => Ok(false),
        (true, _, Mode::Host) => Ok(true),
        (true, _, Mode::Unknown) => Err(Skipped::Unable),
    }
}

/// Whether a scalar in host memory is zero.
pub(super) fn is_zero(recipe: &Recipe, position: usize, argument: &dyn Fn(usize) -> u64) -> bool {
    let param = params(recipe.function()).nth(position);
    let kind = param.and_then(|param| scalar_kind(recipe.function(), &param, argument));
    let Some(kind) = kind else { return false };
    let mut words = [0; 2];
    let from = argument(position) as usize;
    // SAFETY: room for the largest type.
    let is_read = unsafe { read_by_the_kernel(from, words.as_mut_ptr().cast(), kind.size()) };
    is_read && words == [0; 2]
}

/// The atomics mode and the math mode of a handle.
pub(super) fn modes(backend: &Backend, handle: usize) -> [Option<i32>; 2] {
    let functions = &backend.compat.functions;
    [functions.rocblas_get_atomics_mode, functions.rocblas_get_math_mode].map(|get_mode| {
        let mut mode = 0;
        // SAFETY: the functions' prototype; the handle is what the caller is about to use.
        let status = unsafe { get_mode?(with_exposed_provenance_mut(handle), &raw mut mode) };
        (status == 0).then_some(mode)
    })
}
