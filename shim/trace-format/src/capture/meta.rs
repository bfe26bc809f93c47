//! The metadata of a captured call.

use super::element;
use crate::process::Backend;
use rocblas_abi::{
    Base, Direction, Param,
    operands::{self, Batch, Element, Layout, Part},
    params,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The call, the program that made it, and the backend and GPU that it ran on. Each field is a string in the file's
/// metadata.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// [`super::FORMAT`].
    pub format: String,
    /// The C function's name.
    pub function: String,
    /// Its arguments in order.
    pub arguments: Vec<Argument>,
    /// Its matrices and vectors, in the order of parameters.
    pub operands: Vec<Operand>,
    /// Whether the operands' elements are in the file.
    pub values: Values,
    /// Where alpha, beta and results were.
    pub pointer_mode: PointerMode,
    /// `rocblas_atomics_mode` of the handle, if it was queried.
    #[serde(default)]
    pub atomics_mode: Option<i32>,
    /// `rocblas_math_mode` of the handle, if it was queried.
    #[serde(default)]
    pub math_mode: Option<i32>,
    /// The `rocblas_status` that was returned.
    #[serde(default)]
    pub status: Option<i32>,
    /// The name of HIP's last error after the call.
    #[serde(default)]
    pub hip_error: Option<String>,
    /// The shim's version.
    pub shim: String,
    /// The backend that handled the call.
    pub backend: Backend,
    /// Promises of rocBLAS 5.0.2 that the shim kept for it.
    #[serde(default)]
    pub promises: Vec<String>,
    /// The GPU.
    #[serde(default)]
    pub device: Option<Device>,
    /// The call's place in its program.
    #[serde(default)]
    pub origin: Origin,
    /// The environment variables that affect rocBLAS and HIP.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Meta {
    /// The metadata that follow from the arguments of a call of the function with that index: its name, its arguments
    /// with their scalars, and its operands, except those that are null or have no elements. `scalar` returns the value
    /// behind the pointer at a position, if that is a scalar. `None` if the function has no operands, or if they are
    /// not described.
    #[must_use]
    pub fn of_call(
        function: usize,
        words: &[u64],
        scalar: &dyn Fn(usize) -> Option<Scalar>,
    ) -> Option<Self> {
        let described = operands::operands(function, &|position| words[position])?;
        let arguments: Vec<Argument> = params(function)
            .zip(words)
            .enumerate()
            .map(|(position, (param, word))| Argument {
                name: param.name.to_owned(),
                word: if is_half_a_word(&param) { *word & u64::from(u32::MAX) } else { *word },
                scalar: scalar(position),
            })
            .collect();
        let is_zero = |position: usize| {
            let argument: Option<&Argument> = arguments.get(position);
            argument.and_then(|argument| argument.scalar.as_ref()).is_some_and(Scalar::is_zero)
        };
        let operands = described
            .iter()
            .filter(|operand| words[usize::from(operand.parameter)] != 0)
            .filter_map(|operand| Operand::of(function, operand, operand.is_read(is_zero)))
            .collect();
        Some(Self {
            format: super::FORMAT.to_owned(),
            function: rocblas_abi::c_name(function).to_str().ok()?.to_owned(),
            arguments,
            operands,
            ..Self::default()
        })
    }
}

/// Which values of the operands the file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Their elements.
    #[default]
    Complete,
    /// Shapes only, by request. The scalars that are read, alpha and beta, are included, because they determine what a
    /// function does.
    Redacted,
    /// Shapes only, because the elements would have exceeded the limit.
    TooLarge,
}

/// The location of a handle's scalars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointerMode {
    /// In host memory.
    #[default]
    Host,
    /// In device memory.
    Device,
}

/// Whether an argument has 32 bits: the upper half of its register or stack word is undefined.
fn is_half_a_word(param: &Param) -> bool {
    let is_value = param.ty.pointers == 0;
    is_value && matches!(param.ty.base, Base::Int | Base::I32 | Base::U32 | Base::Enum(_))
}

/// An argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The parameter's name in the vendor's header.
    pub name: String,
    /// The word that was passed, or the 32 bits of a shorter argument. Equal addresses mean that operands coincide.
    pub word: u64,
    /// The value behind the pointer, for a scalar that the call reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalar: Option<Scalar>,
}

/// A scalar that a call reads, from host or device memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scalar {
    /// Its type.
    #[serde(with = "element")]
    pub element: Element,
    /// Its bytes in memory, in hexadecimal digits.
    pub bits: String,
    /// The value as text: `1`, `0.5-2i`.
    #[serde(default)]
    pub text: String,
}

impl Scalar {
    /// A scalar with these bytes in memory.
    #[must_use]
    pub fn new(element: Element, bytes: &[u8], text: String) -> Self {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        let bits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        Self { element, bits, text }
    }

    /// Whether it is zero, or minus zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        let bytes = self.bytes();
        bytes.is_some_and(|bytes| element::value(self.element, &bytes) == [0.0, 0.0])
    }

    /// Its bytes in memory; `None` if the length is neither the type's nor five times that, which the modified Givens
    /// rotations have.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let size = self.element.size();
        let length = self.bits.len() / 2;
        if !self.bits.is_ascii() || (length != size && length != 5 * size) {
            return None;
        }
        let pairs = self.bits.as_bytes().chunks(2);
        pairs
            .map(|pair| match *pair {
                [high, low] => {
                    let digit = |digit: u8| char::from(digit).to_digit(16);
                    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
                }
                _ => None,
            })
            .collect()
    }
}

/// A matrix or a vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// The parameter's name: `A`.
    pub parameter: String,
    /// Whether the call reads it, writes it or both.
    #[serde(with = "direction")]
    pub direction: Direction,
    /// Whether its values before the call matter. They do not if beta or alpha is zero.
    pub read: bool,
    /// Whether it is a scalar result, whose location follows the pointer mode.
    #[serde(default)]
    pub scalar: bool,
    /// The type of its elements.
    #[serde(with = "element")]
    pub element: Element,
    /// The layout of the elements in each problem.
    #[serde(with = "LayoutAsWritten")]
    pub layout: Layout,
    /// The layout of the problems.
    #[serde(with = "BatchAsWritten")]
    pub batch: Batch,
    /// The first element of the span, relative to the address in the argument, or to each pointer in its array.
    pub first: i64,
    /// The number of elements in the span, with gaps; for an array of pointers, in each problem's span.
    pub len: u64,
}

/// The form of a layout in a file.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Layout", tag = "kind", rename_all = "snake_case")]
enum LayoutAsWritten {
    Vector {
        len: i64,
        inc: i64,
    },
    Matrix {
        rows: i64,
        columns: i64,
        ld: i64,
        #[serde(with = "PartAsWritten")]
        part: Part,
    },
    Packed {
        order: i64,
        #[serde(with = "PartAsWritten")]
        part: Part,
    },
    Band {
        rows: i64,
        columns: i64,
        below: i64,
        above: i64,
        ld: i64,
        #[serde(with = "PartAsWritten")]
        part: Part,
    },
}

/// The form of a part in a file.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Part", rename_all = "snake_case")]
enum PartAsWritten {
    All,
    Upper,
    Lower,
    StrictUpper,
    StrictLower,
}

/// The form of a batch in a file.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Batch", tag = "kind", rename_all = "snake_case")]
enum BatchAsWritten {
    One,
    Strided { count: i64, stride: i64 },
    Pointers { count: i64 },
}

impl Operand {
    /// An operand of a call of that function, from its description; `read`: its values before the call matter.
    /// `None` if it has no elements.
    #[must_use]
    pub fn of(function: usize, operand: &operands::Operand, read: bool) -> Option<Self> {
        let span = operand.span()?;
        Some(Self {
            parameter: params(function).nth(usize::from(operand.parameter))?.name.to_owned(),
            direction: operand.direction,
            read,
            scalar: operand.scalar,
            element: operand.element,
            layout: operand.layout,
            batch: operand.batch,
            first: span.first,
            len: u64::try_from(span.len).ok()?,
        })
    }

    /// Whether `first` and `len` agree with layout and batch.
    #[cfg(any(feature = "read", test))]
    pub(super) fn is_consistent(&self) -> bool {
        let Self { direction, element, layout, batch, scalar, .. } = *self;
        let described = operands::Operand {
            parameter: 0,
            direction,
            element,
            layout,
            batch,
            unread_if_zero: None,
            scalar,
            host: false,
        };
        described
            .span()
            .is_some_and(|span| span.first == self.first && u64::try_from(span.len) == Ok(self.len))
    }

    /// The shape of its tensors, without the two parts of a complex number.
    #[must_use]
    pub fn shape(&self) -> Vec<u64> {
        match self.batch {
            Batch::One | Batch::Strided { .. } => vec![self.len],
            Batch::Pointers { count } => vec![u64::try_from(count).unwrap_or(0), self.len],
        }
    }

    /// The length of its tensors in bytes; `None` if that overflows.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        let elements = self.shape().into_iter().try_fold(1_u64, u64::checked_mul)?;
        let bytes = usize::try_from(elements).ok()?.checked_mul(self.element.size())?;
        (bytes <= isize::MAX as usize).then_some(bytes)
    }
}

/// The GPU of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its HIP device number in that process.
    pub number: i32,
    /// HIP's name for it.
    pub name: String,
    /// Its target with features: `gfx906:sramecc-:xnack-`.
    pub target: String,
    /// Its compute units, if they are known.
    #[serde(default)]
    pub compute_units: Option<i32>,
}

/// The origin of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The program's file.
    pub program: String,
    /// The PID of its process.
    pub pid: u32,
    /// The number of the thread in the trace.
    pub thread: u32,
    /// The number of the call in its thread.
    pub sequence: u64,
    /// Nanoseconds since 1970.
    pub realtime: u64,
    /// Why it was captured.
    pub why: String,
}

/// Directions as words.
mod direction {
    use rocblas_abi::Direction;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        direction: &Direction,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(match direction {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::InOut => "in_out",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Direction, D::Error> {
        match String::deserialize(from)?.as_str() {
            "in" => Ok(Direction::In),
            "out" => Ok(Direction::Out),
            "in_out" => Ok(Direction::InOut),
            other => Err(D::Error::unknown_variant(other, &["in", "out", "in_out"])),
        }
    }
}

/// Whether a field is a plain string in the metadata, and not JSON.
pub(super) fn is_plain(field: &str) -> bool {
    matches!(field, "format" | "function" | "shim")
}
