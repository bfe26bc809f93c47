//! Writes the reduced form of an open file into another.

use crate::{files, inspect::library, version};
use anyhow::{Context, Result};
use offload::{
    Target,
    slim::{self, Error, Form, Note, Size, Slimmed},
};
use std::{
    fs::File,
    io::{BufWriter, Write},
};

/// Writes a file of `size` bytes into an empty one, without the code objects that none of the GPUs can run.
/// The output is invalid unless the result reports a change.
pub(super) fn write(
    (whole, size): (&File, u64),
    gpus: &[String],
    digest: &str,
    form: Form,
    output: &File,
) -> Result<Slimmed, Error> {
    let note = Note {
        version: version::OWN.to_owned(),
        source: format!("blake3:{digest}"),
        gpus: gpus.to_vec(),
    };
    let mut writer = BufWriter::with_capacity(1 << 20, output);
    let slimmed = slim::slim(whole, size, &note, form, &mut writer)?;
    writer.flush().map_err(Error::Write)?;
    Ok(slimmed)
}

/// The result for a file that may be reduced.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The reduced file was written.
    Reduced {
        /// The GPUs whose kernels were kept.
        gpus: Vec<String>,
        size: Size,
        /// The BLAKE3 digest of the whole file.
        digest: String,
    },
    /// It contains nothing that could be removed.
    Whole,
    /// It contains kernels, but must stay whole, for the given reason.
    Refused(String),
}

/// Writes the reduced form of any file into an empty one. GPUs for which the file has no kernels are ignored.
/// The output is invalid unless the file was reduced.
///
/// # Errors
/// If reading or writing fails.
pub(crate) fn reduce(whole: &File, gpus: &[String], output: &File) -> Result<Outcome> {
    let Ok(targets) = library::targets_of(whole) else {
        // A file that is not ELF, or is damaged, is copied unchanged.
        return Ok(Outcome::Whole);
    };
    if targets.is_empty() {
        return Ok(Outcome::Whole);
    }
    let is_served = |gpu: &&String| {
        let device = Target::device(gpu);
        device.is_some_and(|device| targets.keys().any(|code| library::runs(&device, code)))
    };
    let served: Vec<String> = gpus.iter().filter(is_served).cloned().collect();
    if served.is_empty() {
        let available: Vec<&str> = targets.keys().map(String::as_str).collect();
        let why =
            format!("it has no kernels for {}, only for {}", gpus.join(", "), available.join(", "));
        return Ok(Outcome::Refused(why));
    }
    let digest = files::digest(whole.try_clone()?, "a library").context("cannot read it")?;
    let size = whole.metadata().context("cannot read it")?.len();
    match write((whole, size), &served, &digest, Form::AsBefore, output) {
        Ok(Slimmed { changed: true, size, .. }) => {
            Ok(Outcome::Reduced { gpus: served, size, digest })
        }
        Ok(_) => Ok(Outcome::Whole),
        Err(Error::Write(error)) => Err(error).context("cannot write the reduced file"),
        Err(Error::AlreadySlim { kept }) if served.iter().all(|gpu| kept.contains(gpu)) => {
            Ok(Outcome::Whole)
        }
        Err(error) => Ok(Outcome::Refused(error.to_string())),
    }
}
