//! Runs `installer compare` and prints the result.

use super::{Comparison, Request, compare, report, text};
use crate::{
    cli::Compare,
    launch::Failure,
    output::{self, shown},
    root::Root,
    trace::report::replace,
};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// The exit code if everything except times is the same.
const SAME: u8 = 0;
/// The exit code if something differs.
const DIFFERENT: u8 = 1;

/// Runs the command and returns the exit code.
///
/// # Errors
/// The reason why nothing could be compared, with its exit code.
pub fn run(
    root: &Root,
    rocm: Option<&Path>,
    options: Compare,
    as_json: bool,
) -> Result<u8, Failure> {
    let Compare { backend, runs, results, differences, keep, report, rows, command } = options;
    if let Some(file) = &report {
        check_place(file)?;
    }
    let differences = differences.unwrap_or(1) as usize;
    let request = Request {
        backends: backend,
        runs,
        results,
        differences,
        keep,
        command,
        own_stdout: as_json,
    };
    let mut comparison = compare(root, rocm, request)?;
    let written = report.map_or(Ok(()), |file| {
        write(&file, &comparison)?;
        comparison.report = Some(file);
        anyhow::Ok(())
    });
    output::result(as_json, &comparison, text::text(&comparison, rows));
    match written {
        Ok(()) => Ok(if comparison.same { SAME } else { DIFFERENT }),
        Err(error) => {
            // The document has already been printed, and must be the only one.
            output::error(&error, false);
            Ok(DIFFERENT)
        }
    }
}

/// Rejects a page that cannot be written before the program runs for hours.
fn check_place(file: &Path) -> Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) || file.is_dir() {
        bail!("--report {}: name a file in a directory that exists", shown(file));
    }
    Ok(())
}

fn write(file: &Path, comparison: &Comparison) -> Result<()> {
    let page = report::page(comparison)?;
    replace(file, page.as_bytes()).with_context(|| format!("cannot write {}", shown(file)))
}
