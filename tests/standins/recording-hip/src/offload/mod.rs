//! The GPU code that a program registers or loads. The crate `offload` checks whether it has code for the
//! device; nothing else of it is used.

pub(crate) mod readable;

pub(crate) use ::offload::has_code_for;
