//! The parameters of the exported C functions in a packed form without relocations, which the shim reads
//! when it traces. [`FUNCTIONS`](crate::FUNCTIONS) has the same data with references, thousands of which
//! the loader would have to relocate whenever a program starts.

use crate::{Base, C_EXPORTS, Direction, EnumId, Param, Type};

include!(concat!(env!("OUT_DIR"), "/signatures.rs"));

#[derive(Clone, Copy)]
struct PackedParam {
    /// The number of its name; there are few distinct names.
    name: u8,
    scalar: Option<Direction>,
    confirmed: bool,
    ty: Type,
}

/// The parameters of an exported function by its index; none for C++ functions.
pub fn params(index: usize) -> impl ExactSizeIterator<Item = Param> + Clone {
    let range = match index {
        0..C_EXPORTS => usize::from(PARAM_STARTS[index])..usize::from(PARAM_STARTS[index + 1]),
        _ => 0..0,
    };
    PARAMS[range].iter().map(|number| {
        let PackedParam { name: number, scalar, confirmed, ty } =
            DISTINCT_PARAMS[usize::from(*number)];
        Param { name: name(number), ty, scalar, confirmed }
    })
}

/// The type of an exported C function's parameter. Panics if there is no such parameter.
pub(crate) fn type_of(index: usize, position: usize) -> Type {
    let number = PARAMS[usize::from(PARAM_STARTS[index])..][position];
    DISTINCT_PARAMS[usize::from(number)].ty
}

fn name(number: u8) -> &'static str {
    let number = usize::from(number);
    let start = number.checked_sub(1).map_or(0, |before| PARAM_NAME_ENDS[before]);
    &PARAM_NAMES[usize::from(start)..usize::from(PARAM_NAME_ENDS[number])]
}

/// The number of bytes of host memory that a scalar parameter (alpha, a result) points to; `None` if it
/// points to an array of pointers, which is device memory.
///
/// `void` counts as the largest possible type, a double complex. `param` of the modified Givens rotations
/// is a flag and a 2x2 matrix.
#[must_use]
pub const fn scalar_size(param: &Param) -> Option<usize> {
    if param.scalar.is_none() || param.ty.pointers != 1 {
        return None;
    }
    let size = match param.ty.base {
        Base::F16 | Base::Bf16 => 2,
        Base::F32 | Base::Int | Base::I32 | Base::U32 | Base::Enum(_) => 4,
        Base::F64 | Base::C32 | Base::I64 | Base::Stride | Base::Size => 8,
        Base::C64 | Base::Void => 16,
        Base::Handle | Base::Stream | Base::Event | Base::DeviceMalloc | Base::Char => return None,
    };
    let is_rotation = matches!(param.name.as_bytes(), b"param");
    Some(if is_rotation { 5 * size } else { size })
}
