//! The argument checks, one function per kind of answer.
//!
//! A routine calls them in the vendor's order, so reading a routine from the top is reading which
//! answer wins when several arguments are wrong. The options (`rocblas_operation` and its like)
//! arrive as plain numbers, because a C caller may pass any, and become enums here.

use crate::status::{Course, Status};

/// Answers `invalid_size` unless every size, leading dimension and increment is `legal`.
pub(crate) fn sizes(legal: bool) -> Course {
    legal.then_some(()).ok_or(Status::InvalidSize)
}

/// Ends the call with success when there is `nothing_to_do`.
pub(crate) fn quick_return(nothing_to_do: bool) -> Course {
    if nothing_to_do { Err(Status::Success) } else { Ok(()) }
}

/// Answers `invalid_pointer` unless every pointer the computation follows is `present`.
pub(crate) fn pointers(present: bool) -> Course {
    present.then_some(()).ok_or(Status::InvalidPointer)
}

/// Answers `invalid_value` unless the arguments are `consistent` with each other.
pub(crate) fn values(consistent: bool) -> Course {
    consistent.then_some(()).ok_or(Status::InvalidValue)
}

/// An option as the C caller passes it.
pub(crate) type Code = i32;

/// Declares an option: an enum of its legal values and `legal`, which refuses all others.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($value:ident = $code:literal),+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name {
            $($value,)+
        }

        impl $name {
            /// The option behind the caller's number; `invalid_value` for any other number.
            pub(crate) fn legal(code: Code) -> Result<Self, Status> {
                match code {
                    $($code => Ok(Self::$value),)+
                    _ => Err(Status::InvalidValue),
                }
            }
        }
    )+};
}

options! {
    /// `rocblas_operation`: what becomes of a matrix before it is used.
    Operation { None = 111, Transpose = 112, ConjugateTranspose = 113 }
    /// `rocblas_fill` without `full`, which no routine here accepts.
    Fill { Upper = 121, Lower = 122 }
    /// `rocblas_diagonal`.
    Diagonal { NonUnit = 131, Unit = 132 }
    /// `rocblas_side` without `both`, which no routine here accepts.
    Side { Left = 141, Right = 142 }
}
