//! What a program hands over as GPU code. The one question asked is whether any of it is for the
//! device; the crate `offload` answers it.

pub(crate) mod readable;

pub(crate) use ::offload::has_code_for;
