//! Carries out `installer compare`, and prints.

use super::{Request, compare, text};
use crate::{cli::Compare, launch::Failure, output, root::Root};
use std::path::Path;

/// Everything but times is the same.
const SAME: u8 = 0;
/// Something ends otherwise.
const DIFFERENT: u8 = 1;

/// Carries the command out. Returns the exit code.
///
/// # Errors
/// Why nothing could be compared, with the exit code for it.
pub fn run(
    root: &Root,
    rocm: Option<&Path>,
    options: Compare,
    as_json: bool,
) -> Result<u8, Failure> {
    let Compare { backend, runs, keep, rows, command } = options;
    let request = Request { backends: backend, runs, keep, command, own_stdout: as_json };
    let comparison = compare(root, rocm, request)?;
    output::result(as_json, &comparison, text::text(&comparison, rows));
    Ok(if comparison.same { SAME } else { DIFFERENT })
}
