//! The error type of this crate: a fault in the bytes, and its position.

use std::{borrow::Cow, io};

/// Bytes that are not an offload bundle or code object, or that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (offset {offset:#x})")]
pub struct Malformed {
    /// In bytes from the reader's start. For a fault inside a compressed bundle, the position of
    /// the bundle.
    pub offset: u64,
    /// A clause without a full stop.
    pub what: Cow<'static, str>,
}

impl Malformed {
    pub(crate) fn new(offset: u64, what: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, what: what.into() }
    }

    /// An error from reading or decompressing something.
    pub(crate) fn reading(offset: u64, what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::new(offset, format!("{what} is cut off")),
            _ => Self::new(offset, format!("{what} cannot be read: {error}")),
        }
    }
}
