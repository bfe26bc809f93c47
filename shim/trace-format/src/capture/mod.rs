//! The file of one captured call: its arguments, and the operands before and after, so that the call can be
//! replayed elsewhere.
//!
//! The file is in the safetensors format: eight bytes with the length of a header, the header in JSON, and the
//! tensors. Python reads it with `safetensors.numpy.load_file`, and the metadata with `safe_open(...).metadata()`,
//! a map of strings with [`Meta`]'s fields by name. All fields but `format`, `function` and `shim` are JSON.
//!
//! A tensor's name consists of its operand's parameter and its time: `A.before`, `C.after`. It has the operand's
//! whole span, including gaps between columns and elements, in one dimension:
//!
//! | batch | shape |
//! |---|---|
//! | one problem | `[len]` |
//! | constant stride | `[len]`, from the first element of any problem to the last of any |
//! | array of pointers | `[count, len]` |
//!
//! A complex tensor has a last dimension of 2. Elements are numbered from the operand's first one, which is
//! [`Operand::first`] elements after the address in the argument; with negative increments and strides it is before
//! that address. [`rocblas_abi::operands`] describes layouts and batches.
//!
//! The shim writes captures ([`Capture::write`]); tools read them with `Reader` (feature `read`), which does not trust
//! any length in a file.

mod abandoned;
pub mod element;
mod meta;
#[cfg(any(feature = "read", test))]
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use abandoned::remove_abandoned;
pub use meta::{Argument, Device, Meta, Operand, Origin, PointerMode, Scalar, Values};
#[cfg(any(feature = "read", test))]
pub use read::{Entry, Reader, Unreadable};

pub use rocblas_abi::{
    Direction,
    operands::{Batch, Element, Layout, Part},
};

use std::borrow::Cow;

/// The only [`Meta::format`].
pub const FORMAT: &str = "rocblas-call 1";

/// The extension of a capture's file name.
pub const EXTENSION: &str = "safetensors";

/// The maximum size of a header in bytes, including the metadata. A call of rocBLAS needs a few thousand.
pub const LARGEST_HEADER: usize = 1 << 20;

/// The maximum number of operands of a call: those of `rocblas_gemm_ex` and a few more.
pub const MOST_OPERANDS: usize = 16;

/// A captured call.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture<'a> {
    /// The description of the call.
    pub meta: Meta,
    /// The operands, in any order.
    pub tensors: Vec<Tensor<'a>>,
}

/// An operand's elements at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// The position of the operand in [`Meta::operands`].
    pub operand: usize,
    /// Whether they are from before or after the call.
    pub time: Time,
    /// The elements of the whole span as in memory, little-endian: [`Operand::bytes`] bytes.
    pub data: Cow<'a, [u8]>,
}

/// When an operand's elements were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Time {
    /// Before the call's own work on its stream.
    Before,
    /// After it.
    After,
}

impl Time {
    /// The suffix of a tensor's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// The name of an operand's tensor: `A.before`.
#[must_use]
pub fn tensor_name(operand: &Operand, time: Time) -> String {
    format!("{}.{}", operand.parameter, time.name())
}
