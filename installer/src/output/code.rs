//! Error codes: a short word for each kind of error, stable across versions, for programs that read `--json`.

use crate::plan::Disturbed;
use clap::ValueEnum;
use serde::Serialize;
use std::{error::Error as StdError, fmt, io};

/// A kind of error. `ValueEnum` lists the values for the test of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// The command line is not valid.
    Usage,
    /// There is no ROCm tree to work on, or several.
    NoTree,
    /// The user lacks permission.
    NoPermission,
    /// The disk is full, or would be.
    NoSpace,
    /// Another process is changing the tree.
    Busy,
    /// A change by somebody else would be lost.
    Disturbed,
    /// The user declined at the prompt.
    Declined,
    /// A file is not a trace or a capture, or cannot be read.
    Unreadable,
    /// Any other failure.
    Failed,
}

/// An error with its code. Its message is the error's own.
#[derive(Debug)]
pub struct Coded {
    /// The kind.
    pub code: Code,
    /// The error.
    pub error: anyhow::Error,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl StdError for Coded {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // This type displays the error itself, so its source is the error's source.
        self.error.source()
    }
}

/// Adds a code to the error of a result.
pub trait WithCode<T> {
    /// Returns the same result; an error gets this code unless it has one.
    ///
    /// # Errors
    /// The result's error.
    fn code(self, code: Code) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> WithCode<T> for Result<T, E> {
    fn code(self, code: Code) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            if coded(&error).is_some() { error } else { Coded { code, error }.into() }
        })
    }
}

fn coded(error: &anyhow::Error) -> Option<Code> {
    error.chain().find_map(|cause| cause.downcast_ref::<Coded>()).map(|coded| coded.code)
}

impl Code {
    /// The code of an error: its own, or one derived from its causes.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        coded(error).or_else(|| error.chain().find_map(of_cause)).unwrap_or(Self::Failed)
    }
}

fn of_cause(cause: &(dyn StdError + 'static)) -> Option<Code> {
    if cause.is::<rocblas_trace::read::Unreadable>()
        || cause.is::<rocblas_trace::capture::Unreadable>()
    {
        return Some(Code::Unreadable);
    }
    if cause.is::<Disturbed>() {
        return Some(Code::Disturbed);
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::PermissionDenied => Some(Code::NoPermission),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Code::NoSpace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_code_is_found_below_context_and_does_not_change_the_words() {
        let error = Err::<(), _>(anyhow!("inner").context("middle")).code(Code::NoTree);
        let error = error.code(Code::Busy).context("outer").expect_err("an error");
        assert_eq!(Code::of(&error), Code::NoTree, "the first code counts");
        let words: Vec<String> = error.chain().map(ToString::to_string).collect();
        assert_eq!(words, ["outer", "middle", "inner"]);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(Code::of(&anyhow::Error::new(denied).context("x")), Code::NoPermission);
        assert_eq!(Code::of(&anyhow!("x")), Code::Failed);
        assert_eq!(serde_json::to_value(Code::NoTree).expect("JSON"), "no-tree");
    }
}
