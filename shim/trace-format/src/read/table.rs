//! Maps the functions of a trace's table to those of this program: a trace may be from another version with
//! different numbers.

use crate::{
    call::Functions,
    layout::{self, Shape},
};
use rocblas_abi::C_EXPORTS;
use std::ffi::CString;

/// The meaning of the indices in a trace's records.
#[derive(Debug)]
pub struct Table {
    own: Functions,
    /// By the trace's index: this program's index, or `None` if it does not know the function.
    indices: Vec<Option<u16>>,
    /// The functions' names, by the trace's index.
    names: Vec<String>,
}

impl Default for Table {
    /// The table of this program.
    fn default() -> Self {
        let all = 0..C_EXPORTS as u16;
        Self { own: Functions::default(), indices: all.map(Some).collect(), names: Vec::new() }
    }
}

impl Table {
    /// The table with these names, in the order of the trace's indices.
    #[must_use]
    pub fn of(names: &[String], identity: u64) -> Self {
        if names.is_empty() || identity == layout::table_identity() {
            return Self::default();
        }
        let index = |name: &String| {
            let name = CString::new(name.as_str()).ok()?;
            rocblas_abi::c_index(&name)
        };
        let indices = names.iter().map(|name| index(name).map(|index| index as u16)).collect();
        Self { own: Functions::default(), indices, names: names.to_vec() }
    }

    /// This program's index of a function.
    #[must_use]
    pub fn own_index(&self, function: u16) -> Option<usize> {
        self.indices.get(usize::from(function)).copied().flatten().map(usize::from)
    }

    /// The name of a function that this program does not know.
    #[must_use]
    pub fn foreign_name(&self, function: u16) -> &str {
        self.names.get(usize::from(function)).map_or("", String::as_str)
    }

    pub(super) fn has(&self, function: u16) -> bool {
        usize::from(function) < self.indices.len()
    }

    pub(super) fn shape(&self, function: u16) -> Option<&Shape> {
        self.own_index(function).map(|index| self.own.shape(index))
    }

    pub(super) fn functions(&self) -> &Functions {
        &self.own
    }
}
