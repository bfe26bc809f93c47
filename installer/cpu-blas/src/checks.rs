//! The argument checks, one function per status.
//!
//! A routine calls them in the vendor's order, so the order of the calls shows which status is returned if
//! several arguments are wrong. The options (`rocblas_operation` and its like) arrive as plain numbers, since
//! a C caller may pass any, and become enums here.

use crate::status::{Course, Status};

/// Returns `invalid_size` unless every size, leading dimension and increment is `legal`.
pub(crate) fn sizes(legal: bool) -> Course {
    legal.then_some(()).ok_or(Status::InvalidSize)
}

/// Ends the call with success if there is `nothing_to_do`.
pub(crate) fn quick_return(nothing_to_do: bool) -> Course {
    if nothing_to_do { Err(Status::Success) } else { Ok(()) }
}

/// Returns `invalid_pointer` unless every pointer that the computation follows is `present`.
pub(crate) fn pointers(present: bool) -> Course {
    present.then_some(()).ok_or(Status::InvalidPointer)
}

/// Returns `invalid_value` unless the arguments are `consistent` with each other.
pub(crate) fn values(consistent: bool) -> Course {
    consistent.then_some(()).ok_or(Status::InvalidValue)
}

/// An option as the C caller passes it.
pub(crate) type Code = i32;

/// Declares an option: an enum of its legal values and `legal`, which rejects all others.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($value:ident = $code:literal),+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum $name {
            $($value,)+
        }

        impl $name {
            /// Converts the caller's number to an option; `invalid_value` if no option has this number.
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
    /// `rocblas_operation`: how a matrix is transformed before it is used.
    Operation { None = 111, Transpose = 112, ConjugateTranspose = 113 }
    /// `rocblas_fill` without `full`, which no routine here accepts.
    Fill { Upper = 121, Lower = 122 }
    /// `rocblas_diagonal`.
    Diagonal { NonUnit = 131, Unit = 132 }
    /// `rocblas_side` without `both`, which no routine here accepts.
    Side { Left = 141, Right = 142 }
}
