//! A backend's library with only the kernels of some GPUs, prepared before the library is placed.

use super::{Outcome, reduce};
use crate::{
    files,
    journal::Slim,
    serves::Serves,
    source::{Content, Source, SourceFile, Staging},
};
use anyhow::{Context, Result, bail};
use std::io;

/// The name of the reduced library among the unpacked files, whose names are numbers.
const NAME: &str = "slim";

/// Reduces a backend's library to the kernels of those of the `gpus` for which it has some. The kernels of a
/// split library are in archives, which are selected when the source is read.
///
/// # Errors
/// If it has kernels for none of them or cannot be reduced, or if the new file cannot be written into the
/// directory from `staging`.
pub(crate) fn backend(
    mut source: Source,
    gpus: &[String],
    staging: impl FnOnce() -> io::Result<Staging>,
) -> Result<(Source, Slim)> {
    let shown = format!("the library of {}", source.origin);
    let whole = source.open_library().with_context(|| format!("cannot read {shown}"))?;
    let digest = files::digest(whole.try_clone()?, &shown);
    let digest = digest.with_context(|| format!("cannot read {shown}"))?;
    let serves = Serves::of_source(&source)?;
    serves.whole().with_context(|| shown.clone())?;
    let (served, without): (Vec<String>, Vec<String>) =
        gpus.iter().cloned().partition(|gpu| serves.has_code(gpu));
    if served.is_empty() {
        bail!(
            "{shown} has no code for {}, only for {}. Pass another backend, or other GPUs with --gpu",
            gpus.join(", "),
            serves.code()
        );
    }
    let mut slim = Slim { gpus: served, without, whole: digest };
    if source.split()?.is_some() {
        slim.gpus = serves.processors();
        return Ok((source, slim));
    }
    let library = source.library.clone();
    let of_library = |file: &&mut SourceFile| file.to == library;
    let Some(SourceFile { content: Content::File { from, size, mode, modified }, .. }) =
        source.files.iter_mut().find(of_library)
    else {
        bail!("{shown} is not a separate file");
    };
    let staging = staging().context("cannot prepare the store")?;
    let (new, contents) = staging.file(NAME).context("cannot prepare the store")?;
    match reduce(&whole, &slim.gpus, &new).with_context(|| shown.clone())? {
        // Nothing was removed: the library has only kernels of these GPUs.
        Outcome::Whole => slim.gpus = serves.processors(),
        Outcome::Refused(why) => bail!("{shown} cannot be made slim: {why}"),
        Outcome::Reduced { size: sizes, .. } => {
            // Keep the original's time, as recorded in a package or directory.
            files::finish(&new, *mode, *modified).context("cannot write the reduced file")?;
            (*from, *size) = (contents, sizes.after);
        }
    }
    Ok((source, slim))
}
