//! Why a file is not reduced.

use crate::Malformed;
use std::io;

/// Why a file is not reduced. Each is a clause about the file, which its reader names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is another kind of file.
    #[error("it is not an ELF file for x86-64 with section headers")]
    NotElf,
    /// Nothing in it is for a GPU.
    #[error("it has no GPU code: no section .hip_fatbin with bundles")]
    NoKernels,
    /// It was split when it was built.
    #[error("its kernels are not in the file but in .kpack archives, one for each GPU")]
    Split,
    /// A wanted GPU would be left without kernels.
    #[error("it has no kernels for {gpu}; it has kernels for {}", list(.available))]
    NotServed {
        /// The GPU, as it was named.
        gpu: String,
        /// What it has kernels for.
        available: Vec<String>,
    },
    /// It has been reduced, for other GPUs.
    #[error("it was reduced before, to {}; start from the whole file", list(.kept))]
    AlreadySlim {
        /// The GPUs that were asked for then.
        kept: Vec<String>,
    },
    /// It has been reduced for the same GPUs, but its bundles are to be compressed now.
    #[error("it was reduced before without being compressed; start from the whole file")]
    NotCompressed,
    /// A form that no known compiler or linker makes.
    #[error("its layout is not supported: {0}")]
    Layout(Malformed),
    /// Its GPU code, or one of its tables, cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The new file cannot be written.
    #[error("cannot write the new file")]
    Write(#[source] io::Error),
}

/// What makes a layout unsupported, at an offset in the file.
pub(super) fn layout(offset: u64, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Layout(Malformed::new(offset, what))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no GPU".to_owned() } else { names.join(", ") }
}
