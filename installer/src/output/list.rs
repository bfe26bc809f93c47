//! An error with a list: each item is printed on its own line, while an error's message is a single line.

use std::fmt;

/// Several faults.
#[derive(Debug)]
pub struct Listed {
    /// What they have in common.
    pub what: String,
    /// Each fault.
    pub items: Vec<String>,
}

impl Listed {
    /// An error with these items.
    #[must_use]
    pub fn new(what: impl Into<String>, items: Vec<String>) -> Self {
        Self { what: what.into(), items }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.items.join("; "))
    }
}

impl std::error::Error for Listed {}
