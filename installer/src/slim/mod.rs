//! `slim`: reduces libraries and programs to the kernels that some GPUs need.
//!
//! | file | concern |
//! |---|---|
//! | `mod.rs` | writes a file next to its destination and renames it |
//! | `new.rs` | a temporary file next to its destination |
//! | `reduce.rs` | writes the reduced form of an open file into another |
//! | `backend.rs` | a backend's library, before it is placed |
//! | `permit.rs` | which existing files may be replaced |
//! | `attributes.rs` | owner, permissions and extended attributes |
//! | `runtime.rs` | whether a HIP runtime reads compressed bundles |
//! | `text.rs` | the printed table |
//!
//! The new file is complete before it is renamed: programs that have mapped the old one keep it, and opening
//! the name yields one or the other.

mod attributes;
mod backend;
mod new;
mod permit;
mod reduce;
mod runtime;
mod text;

pub(crate) use backend::backend;
pub use offload::slim::Form;
pub(crate) use reduce::{Outcome, reduce};
pub use runtime::check as check_runtime;
pub use text::text;

use crate::{
    directory::{Directory, Name},
    files,
    gpu::Gpu,
    inspect::layout::absolute,
    output::shown,
    root::Root,
    state::State,
};
use anyhow::{Context, Result, bail};
use new::New;
use offload::slim::{Size, Slimmed};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    io::{self, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where the new files are written.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    /// The only file is written to this path inside the root.
    File(&'a Path),
    /// Each new file replaces the file that it was made from.
    InPlace,
}

/// The result for one file.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file that was read, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub file: PathBuf,
    /// The file that was written; `None` if nothing had to be written.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub output: Option<PathBuf>,
    /// The requested GPUs.
    pub gpus: Vec<String>,
    /// Whether something was removed or compressed.
    pub changed: bool,
    /// The file's size.
    pub size: Size,
    /// The sizes of the code objects of each target, decompressed.
    pub targets: BTreeMap<String, Size>,
}

/// Reduces a file to the kernels of those GPUs.
///
/// # Errors
/// If the file has kernels for none of them or cannot be reduced, if the destination may not be replaced, or
/// if the new file cannot be written. The destination is then unchanged.
pub fn slim(
    root: &Root,
    given: &Path,
    gpus: &[Gpu],
    form: Form,
    destination: Destination<'_>,
) -> Result<Report> {
    let name = shown(given);
    let source = Source::open(root, given).with_context(|| format!("cannot open {name}"))?;
    // A symlink stays a symlink.
    let target = match destination {
        Destination::File(output) => place_of(root, output)?,
        Destination::InPlace => source.path.clone(),
    };
    let is_in_place = target == source.path;
    permit::check(root, &target)?;
    let gpus: Vec<String> = gpus.iter().map(|gpu| gpu.target().to_owned()).collect();
    let digest = files::digest(source.file.try_clone()?, &name.to_string())
        .with_context(|| format!("cannot read {name}"))?;
    let written = || format!("cannot write {}", shown(&target));
    let mut new = New::beside(root, &target).with_context(written)?;
    let slimmed =
        reduce::write((&source.file, source.metadata.len()), &gpus, &digest, form, &new.file)
            .with_context(|| format!("cannot reduce {name}"))?;
    let Slimmed { changed, size, targets } = slimmed;
    let path = source.path.clone();
    let mut report = Report { file: path, output: None, gpus, changed, size, targets };
    if !changed && is_in_place {
        return Ok(report);
    }
    let mut finish = || -> Result<()> {
        if !changed {
            source.copy(&mut new.file)?;
        }
        source.check_unchanged()?;
        if is_in_place {
            attributes::copy_all(&source.file, &source.metadata, &new.file)?;
            source.check_place(&new.directory)
        } else {
            attributes::copy_mode(&source.metadata, &new.file)
        }
    };
    finish().with_context(written)?;
    new.put(&target).with_context(written)?;
    report.output = Some(target);
    Ok(report)
}

/// The destination of a new file, inside the root, with symlinks to directories resolved.
fn place_of(root: &Root, output: &Path) -> Result<PathBuf> {
    let name = shown(output);
    let place = absolute(root, output).and_then(|path| root.resolve_entry(&path));
    let place = place.with_context(|| format!("cannot write {name}"))?;
    match root.state(&place).with_context(|| format!("cannot write {name}"))? {
        State::Absent | State::File(_) => Ok(place),
        other => bail!("{name} is {other}; pass a file name to --output"),
    }
}

/// The file that is reduced.
struct Source {
    /// The path inside the root, without symlinks.
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

impl Source {
    fn open(root: &Root, given: &Path) -> io::Result<Self> {
        let path = root.resolve(&absolute(root, given)?)?;
        let file = root.open(&path)?;
        let metadata = file.metadata()?;
        Ok(Self { path, file, metadata })
    }

    fn copy(&self, mut new: &mut File) -> io::Result<()> {
        new.set_len(0)?;
        new.rewind()?;
        let mut source = &self.file;
        source.rewind()?;
        io::copy(&mut source, &mut new)?;
        Ok(())
    }

    /// Checks that the file did not change while it was read.
    fn check_unchanged(&self) -> Result<()> {
        if stamp(&self.file.metadata()?) != stamp(&self.metadata) {
            bail!("{} changed while it was read; run the command again", shown(&self.path));
        }
        Ok(())
    }

    /// Checks that the name still refers to the file that was read.
    fn check_place(&self, directory: &Directory) -> Result<()> {
        let now = Name::last_of(&self.path).map(|name| directory.open(name)?.metadata());
        let now = now.transpose()?.map(|metadata| stamp(&metadata));
        if now != Some(stamp(&self.metadata)) {
            bail!("{} was replaced meanwhile; run the command again", shown(&self.path));
        }
        Ok(())
    }
}

/// Identifies a file and its contents.
fn stamp(metadata: &Metadata) -> [i128; 5] {
    let (dev, ino) = (i128::from(metadata.dev()), i128::from(metadata.ino()));
    let modified = i128::from(metadata.mtime()) << 32 | i128::from(metadata.mtime_nsec());
    let changed = i128::from(metadata.ctime()) << 32 | i128::from(metadata.ctime_nsec());
    [dev, ino, metadata.len().into(), modified, changed]
}
