//! The reasons why a file cannot be reduced.

use crate::Malformed;
use std::io;

/// Why a file is not reduced. Each message is a clause about the file, which the caller names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is of another kind.
    #[error("it is not an ELF file for x86-64 with section headers")]
    NotElf,
    /// The file has no GPU code.
    #[error("it has no GPU code: no section .hip_fatbin with bundles")]
    NoKernels,
    /// The file was split when it was built.
    #[error("its kernels are not in the file but in .kpack archives, one for each GPU")]
    Split,
    /// The reduced file would have no kernels for a wanted GPU.
    #[error("it has no kernels for {gpu}; it has kernels for {}", list(.available))]
    NotServed {
        /// The GPU, as the caller named it.
        gpu: String,
        /// The targets that the file has kernels for.
        available: Vec<String>,
    },
    /// The file has already been reduced, for other GPUs.
    #[error("it was reduced before, to {}; start from the whole file", list(.kept))]
    AlreadySlim {
        /// The GPUs that it was reduced to.
        kept: Vec<String>,
    },
    /// The file has already been reduced for the same GPUs, but without being compressed.
    #[error("it was reduced before without being compressed; start from the whole file")]
    NotCompressed,
    /// The layout is not one that any known compiler or linker produces.
    #[error("its layout is not supported: {0}")]
    Layout(Malformed),
    /// The GPU code, or one of the file's tables, cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The new file cannot be written.
    #[error("cannot write the new file")]
    Write(#[source] io::Error),
}

/// An unsupported layout: `what` describes the problem at an offset in the file.
pub(super) fn layout(offset: u64, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Layout(Malformed::new(offset, what))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no GPU".to_owned() } else { names.join(", ") }
}
