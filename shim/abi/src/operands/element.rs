//! The types of elements.

use crate::{Base, value::datatype};

/// The type of an operand's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Half precision
    F16,
    /// bfloat16
    Bf16,
    /// Single precision
    F32,
    /// Double precision
    F64,
    /// Complex of two halves
    C16,
    /// Complex of two floats
    C32,
    /// Complex of two doubles
    C64,
    /// 8 bits, signed
    I8,
    /// 8 bits, unsigned; the bytes of a copy between host and device
    U8,
    /// 32 bits, signed
    I32,
    /// 32 bits, unsigned
    U32,
    /// 64 bits, signed: a position that `rocblas_isamax_64` returns
    I64,
}

impl Element {
    /// The size in bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::C16 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::C32 | Self::I64 => 8,
            Self::C64 => 16,
        }
    }

    /// The name in traces and captures: `f32`, or `c32` for pairs of `f32`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::C16 => "c16",
            Self::C32 => "c32",
            Self::C64 => "c64",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
        }
    }

    /// Whether it has a real and an imaginary part.
    #[must_use]
    pub fn is_complex(self) -> bool {
        matches!(self, Self::C16 | Self::C32 | Self::C64)
    }

    /// The element type of a `rocblas_datatype`.
    #[must_use]
    pub fn of_datatype(value: i32) -> Option<Self> {
        Some(match value {
            datatype::F16_R => Self::F16,
            datatype::BF16_R => Self::Bf16,
            datatype::F32_R => Self::F32,
            datatype::F64_R => Self::F64,
            datatype::F16_C => Self::C16,
            datatype::F32_C => Self::C32,
            datatype::F64_C => Self::C64,
            datatype::I8_R => Self::I8,
            datatype::U8_R => Self::U8,
            datatype::I32_R => Self::I32,
            datatype::U32_R => Self::U32,
            _ => return None,
        })
    }

    /// The element type that a parameter points to; bytes for `void *`.
    pub(super) fn of_base(base: Base) -> Option<Self> {
        Some(match base {
            Base::F16 => Self::F16,
            Base::Bf16 => Self::Bf16,
            Base::F32 => Self::F32,
            Base::F64 => Self::F64,
            Base::C32 => Self::C32,
            Base::C64 => Self::C64,
            Base::Int | Base::I32 => Self::I32,
            Base::U32 => Self::U32,
            Base::I64 => Self::I64,
            Base::Void => Self::U8,
            _ => return None,
        })
    }
}
