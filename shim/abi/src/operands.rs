//! The operands of a call: which matrices and vectors it reads and writes, and where their elements are.
//!
//! `data/operands.abi` describes each routine once. [`operands`] applies the description to the arguments of
//! a call of any of its functions. The arguments may be any words: a negative or too large size yields an
//! operand without elements. Nothing is allocated, so the shim can call this while it records a call.

mod code;
mod decode;
mod element;
mod layout;

pub use element::Element;
pub use layout::{Layout, Part, Run, Runs, Span};

use crate::{C_EXPORTS, Direction};
use core::ops::Deref;

include!(concat!(env!("OUT_DIR"), "/operands.rs"));

/// A matrix, a vector or a result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The position of its parameter, a pointer. A null pointer means that there is no such operand, which
    /// is valid if it is not read.
    pub parameter: u8,
    /// Whether its elements are read, written, or both.
    pub direction: Direction,
    /// The type of its elements.
    pub element: Element,
    /// Where the elements of one problem are.
    pub layout: Layout,
    /// Where the problems of a batch are.
    pub batch: Batch,
    /// The position of the scalar, alpha or beta: if it is zero, the operand is not read. The scalar is in
    /// host or device memory.
    pub unread_if_zero: Option<u8>,
    /// Whether its memory follows the handle's pointer mode: a result, or a parameter of a rotation. With
    /// [`Batch::Pointers`] it is in device memory.
    pub scalar: bool,
    /// Whether it is in host memory: the host's side of `rocblas_set_vector` and the like.
    pub host: bool,
}

/// Where the problems of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// There is one problem, at the parameter's address. The results of a batched `dot` are one such vector.
    One,
    /// Each problem is `stride` elements after the previous one.
    Strided {
        /// How many problems; not negative.
        count: i64,
        /// In elements; may be zero or negative.
        stride: i64,
    },
    /// The parameter points to an array of the problems' addresses in device memory.
    Pointers {
        /// How many problems; not negative.
        count: i64,
    },
}

impl Batch {
    /// How many problems there are.
    #[must_use]
    pub fn count(self) -> i64 {
        match self {
            Self::One => 1,
            Self::Strided { count, .. } | Self::Pointers { count } => count,
        }
    }
}

impl Operand {
    /// Whether the call reads it. `is_zero` tells whether the scalar at a position is known to be zero.
    pub fn is_read(&self, is_zero: impl FnOnce(usize) -> bool) -> bool {
        self.direction != Direction::Out
            && !self.unread_if_zero.is_some_and(|scalar| is_zero(usize::from(scalar)))
    }

    /// Whether the call writes it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.direction != Direction::In
    }

    /// The range from the first to the last element relative to the parameter's address: of all problems, or of
    /// each one if the batch is an array of pointers. `None` if there are no elements or the address space is too
    /// small.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        let one = self.layout.span()?;
        match self.batch {
            Batch::One => Some(one),
            Batch::Pointers { count } => (count > 0).then_some(one),
            Batch::Strided { count, stride } => {
                let last = stride.checked_mul(count.checked_sub(1).filter(|last| *last >= 0)?)?;
                let first = one.first.checked_add(last.min(0))?;
                Span::new(first, one.first.checked_add(last.max(0))?.checked_add(one.len)?)
            }
        }
    }

    /// The number of elements of all problems together; a shared element is counted for each problem.
    #[must_use]
    pub fn elements(&self) -> f64 {
        self.layout.elements() * self.batch.count() as f64
    }
}

/// The operands of a call, in the order of their parameters.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    operands: [Operand; code::OPERANDS],
    count: usize,
}

impl Deref for Operands {
    type Target = [Operand];

    fn deref(&self) -> &[Operand] {
        &self.operands[..self.count]
    }
}

/// The amount of work of a call, by the definition of its function.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Real additions and multiplications.
    pub operations: f64,
    /// Bytes of operands that are read or written; bytes that are both count twice.
    pub bytes: f64,
}

/// The operands of a call of the function with that index. `argument` returns the machine word that was passed
/// at a position; the upper half of a 32-bit argument may be anything.
///
/// `None` if the function has no operands, if `data/operands.abi` lists it as not described, or if the call
/// names an element type that rocBLAS does not have.
#[must_use]
pub fn operands(index: usize, argument: &dyn Fn(usize) -> u64) -> Option<Operands> {
    Some(decode::Decoder::new(index, argument)?.operands()?.0)
}

/// Whether `data/operands.abi` describes the operands of the function with that index.
#[must_use]
pub fn is_described(index: usize) -> bool {
    start(index).is_some()
}

/// The amount of work of a call: see [`operands`]. `is_zero` tells whether the scalar at a position is known to
/// be zero.
#[must_use]
pub fn work(
    index: usize,
    argument: &dyn Fn(usize) -> u64,
    is_zero: &dyn Fn(usize) -> bool,
) -> Option<Work> {
    let (operands, decoder) = decode::Decoder::new(index, argument)?.operands()?;
    let mut bytes = 0.0;
    for operand in operands.iter() {
        let times = f64::from(u8::from(operand.is_read(is_zero)) + u8::from(operand.is_written()));
        bytes += times * operand.elements() * operand.element.size() as f64;
    }
    Some(Work { operations: decoder.operations(&operands), bytes })
}

/// The start of a function's code.
fn start(index: usize) -> Option<usize> {
    let start = *STARTS.get(index)?;
    (start != u16::MAX).then_some(usize::from(start))
}

const _: () = assert!(STARTS.len() == C_EXPORTS);

#[cfg(test)]
mod tests;
