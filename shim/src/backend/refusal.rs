//! The reason why a file is refused as a backend: a phrase that follows its path.

use rocblas_contract::choice::{self, Why};
use std::{fmt, io};

/// A reason, and whether it may not apply at the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// The process was out of file descriptors or memory, so the file was not examined.
    pub(crate) transient: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, transient: false }
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let out_of = [libc::EMFILE, libc::ENFILE, libc::ENOMEM];
        let transient = error.raw_os_error().is_some_and(|code| out_of.contains(&code));
        Self { why: choice::unreadable(&error), transient }
    }
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        match why {
            Why::Io(error) => error.into(),
            Why::Sentence(sentence) => sentence.into(),
        }
    }
}
