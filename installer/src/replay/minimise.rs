//! Finds a smaller call with the same fault. m, n, k and the batch count are halved, one after the other, as
//! long as the backend still fails in the same way. The leading part of each operand is kept, with the same
//! strides.
//!
//! A call that takes too long may do so in each smaller form as well, so there is also a limit for all of
//! them together.

use super::{Backend, Minimised, Outcome, Request, call::Call, right, row, temporary};
use crate::trace::show_capture::signature;
use anyhow::{Context, Result};
use rocblas_abi::{Base, operands, params};
use rocblas_trace::capture::{Capture, Meta, Operand, Reader, Tensor, Time};
use std::{path::Path, time::Instant};

/// The parameters that are halved.
const SIZES: [&str; 4] = ["batch_count", "k", "n", "m"];

/// The time limit for all smaller calls together, as a multiple of the limit for one call.
pub(super) const LIMITS: u32 = 10;

/// Searches for a smaller call and writes its capture to the directory of the original file.
///
/// # Errors
/// If files cannot be read or written, and any error from replaying a smaller call.
pub(super) fn minimise(
    request: &Request,
    backend: &Backend,
    outcome: Outcome,
    notice: &dyn Fn(&str),
) -> Result<Minimised> {
    let temporary = temporary(request).context("cannot make a directory for smaller calls")?;
    let mut smallest: Option<Capture<'static>> = None;
    let original = Capture::read(&request.file)?;
    let mut tried = 0;
    let start = Instant::now();
    let most = request.limit.saturating_mul(LIMITS);
    let mut is_cut_short = false;
    let mut is_smaller = true;
    while is_smaller && !is_cut_short {
        is_smaller = false;
        for size in SIZES {
            loop {
                let from = smallest.as_ref().unwrap_or(&original);
                let Some(smaller) = halved(from, size) else { break };
                is_cut_short = start.elapsed() >= most;
                if is_cut_short {
                    break;
                }
                let path = smaller.write(temporary.path(), &format!("try-{tried}"))?;
                tried += 1;
                if !fails(request, backend, outcome, &path)? {
                    break;
                }
                notice(&format!("still {}: {}", outcome.word(), signature(&smaller.meta)));
                smallest = Some(smaller);
                is_smaller = true;
            }
        }
    }
    let Some(mut smallest) = smallest else {
        let call = signature(&original.meta);
        return Ok(Minimised {
            backend: backend.name.clone(),
            file: None,
            call,
            tried,
            is_cut_short,
            error: None,
        });
    };
    let name = request.file.file_stem().unwrap_or_default().to_string_lossy();
    smallest.meta.origin.why = format!("minimised from {name}: {}", smallest.meta.origin.why);
    let directory = request.file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let file = smallest
        .write(directory, &format!("{name}-minimal"))
        .with_context(|| format!("cannot write a capture into {}", directory.display()));
    let (file, error) = match file {
        Ok(file) => (Some(file), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let call = signature(&smallest.meta);
    Ok(Minimised { backend: backend.name.clone(), file, call, tried, is_cut_short, error })
}

/// Whether the backend fails in the same way.
fn fails(request: &Request, backend: &Backend, outcome: Outcome, file: &Path) -> Result<bool> {
    let reader = Reader::open(file)?;
    let call = Call::of(reader.meta())?;
    let right = right(&reader, &call, request.limit).ok();
    let (row, _) = row(request, file, backend, &call, right.as_ref())?;
    Ok(row.outcome == outcome)
}

/// The call with half of a size; `None` if it has no such size or the size is less than two.
fn halved(capture: &Capture<'static>, size: &str) -> Option<Capture<'static>> {
    let function = rocblas_abi::by_name(&capture.meta.function)?;
    let index = usize::from(function.index);
    let (position, param) = params(index).enumerate().find(|(_, param)| param.name == size)?;
    let argument = capture.meta.arguments.get(position)?;
    let value = match param.ty.base {
        Base::I64 => argument.word as i64,
        _ => i64::from(argument.word as i32),
    };
    if value < 2 {
        return None;
    }
    let mut meta = capture.meta.clone();
    meta.arguments[position].word = (value / 2 + value % 2) as u64;
    meta.status = None;
    meta.hip_error = None;
    let tensors = cut(index, capture, &mut meta)?;
    Some(Capture { meta, tensors })
}

/// Sets the operands to those of the new arguments and returns their values before the call. Values after the
/// call are dropped, as they belong to the original call.
fn cut(
    function: usize,
    capture: &Capture<'static>,
    meta: &mut Meta,
) -> Option<Vec<Tensor<'static>>> {
    let words: Vec<u64> = meta.arguments.iter().map(|argument| argument.word).collect();
    let described = operands::operands(function, &|position| words[position])?;
    let mut tensors = Vec::new();
    let mut all = Vec::new();
    for (number, old) in capture.meta.operands.iter().enumerate() {
        let described = described.iter().find(|operand| {
            let param = params(function).nth(usize::from(operand.parameter));
            param.is_some_and(|param| param.name == old.parameter)
        })?;
        let new = Operand::of(function, described, old.read)?;
        let tensor = capture
            .tensors
            .iter()
            .find(|tensor| (tensor.operand, tensor.time) == (number, Time::Before));
        if let Some(tensor) = tensor {
            let size = old.element.size();
            let skipped = usize::try_from(new.first.checked_sub(old.first)?).ok()? * size;
            let [from, to] = [old.len, new.len].map(|len| len as usize * size);
            let spans = new.bytes()? / to.max(1);
            let parts = tensor.data.chunks_exact(from).take(spans);
            let mut data = Vec::new();
            for part in parts {
                data.extend_from_slice(part.get(skipped..skipped + to)?);
            }
            tensors.push(Tensor { operand: all.len(), time: Time::Before, data: data.into() });
        }
        all.push(new);
    }
    meta.operands = all;
    Some(tensors)
}
