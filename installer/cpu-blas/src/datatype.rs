//! The numbers of `rocblas_datatype` for the types that the routines compute with.

pub(crate) use rocblas_abi::value::datatype::{
    BF16_R as BF16, F16_R as F16, F32_C as C32, F32_R as F32, F64_C as C64, F64_R as F64,
};
