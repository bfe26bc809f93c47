//! The bytes that describe a function's operands. The build script writes them and includes this file;
//! [`super::decode`] reads them.
//!
//! ```text
//! function  number of operands, batch count, operand..., flops, flops of complex elements
//! operand   parameter, flags, shape, alpha or beta, type, stride, uplo, diag, distance, formula...
//! ```
//!
//! Each field is a byte. Batch count, scalar and the fields after it are positions of parameters or [`NONE`].
//! `distance` is the increment of a vector. Formulas are in postfix notation and end with [`END`]: as
//! many as the shape has sizes, with the leading dimension last.

/// No such parameter.
pub(crate) const NONE: u8 = 0xff;
/// In place of a stride: the parameter is an array of pointers.
pub(crate) const POINTERS: u8 = 0xfe;

/// Flags of an operand: it is read, is written, is in host memory, follows the pointer mode, is empty unless
/// its increment is positive.
pub(crate) const READ: u8 = 1;
pub(crate) const WRITTEN: u8 = 2;
pub(crate) const HOST: u8 = 4;
pub(crate) const SCALAR: u8 = 8;
pub(crate) const FORWARD: u8 = 16;

/// Shapes, and the number of formulas of each.
pub(crate) const VECTOR: u8 = 0;
pub(crate) const MATRIX: u8 = 1;
pub(crate) const PACKED: u8 = 2;
pub(crate) const BAND: u8 = 3;
pub(crate) const FORMULAS: [usize; 4] = [1, 3, 1, 5];

/// A byte below this pushes the value of the parameter at that position.
pub(crate) const PARAMETERS: u8 = 32;
/// Plus the position of an enum parameter, followed by a value: replaces two numbers by the first if the
/// parameter has this value, and by the second otherwise.
pub(crate) const CHOOSE: u8 = PARAMETERS;
/// Followed by the number.
pub(crate) const NUMBER: u8 = 64;
/// Followed by the number of an operand: pushes its number of elements.
pub(crate) const ELEMENTS: u8 = 65;
pub(crate) const ADD: u8 = 66;
pub(crate) const SUBTRACT: u8 = 67;
pub(crate) const MULTIPLY: u8 = 68;
pub(crate) const DIVIDE: u8 = 69;
pub(crate) const MIN: u8 = 70;
pub(crate) const END: u8 = 71;

/// The maximum stack depth of a formula.
pub(crate) const DEPTH: usize = 8;
/// The maximum number of operands of a function.
pub(crate) const OPERANDS: usize = 6;
