//! The combinations of types that rocBLAS documents for the functions whose types are arguments.

use rocblas_abi::value::datatype::{BF16_R, F16_R, F32_C, F32_R, F64_C, F64_R};
use rocblas_abi::{Base, EnumId, Function};

/// The combinations of each routine, in the order of the parameters. `gemm_ex` has more, with integers.
const COMBINATIONS: [(&str, &[&[i32]]); 11] = [
    (
        "axpy_ex",
        &[
            &[BF16_R, BF16_R, BF16_R, F32_R],
            &[F32_R, BF16_R, BF16_R, F32_R],
            &[F16_R, F16_R, F16_R, F16_R],
            &[F16_R, F16_R, F16_R, F32_R],
            &[F32_R, F16_R, F16_R, F32_R],
            &[F32_R; 4],
            &[F64_R; 4],
            &[F32_C; 4],
            &[F64_C; 4],
        ],
    ),
    (
        "scal_ex",
        &[
            &[F32_R, BF16_R, F32_R],
            &[BF16_R, BF16_R, F32_R],
            &[F16_R, F16_R, F16_R],
            &[F16_R, F16_R, F32_R],
            &[F32_R, F16_R, F32_R],
            &[F32_R; 3],
            &[F64_R; 3],
            &[F32_C; 3],
            &[F64_C; 3],
            &[F32_R, F32_C, F32_C],
            &[F64_R, F64_C, F64_C],
        ],
    ),
    ("dot_ex", DOT),
    ("dotc_ex", DOT),
    (
        "nrm2_ex",
        &[
            &[BF16_R, BF16_R, F32_R],
            &[F16_R, F16_R, F32_R],
            &[F32_R; 3],
            &[F64_R; 3],
            &[F32_C, F32_R, F32_R],
            &[F64_C, F64_R, F64_R],
        ],
    ),
    (
        "rot_ex",
        &[
            &[BF16_R, BF16_R, BF16_R, F32_R],
            &[F16_R, F16_R, F16_R, F32_R],
            &[F32_R; 4],
            &[F64_R; 4],
            &[F32_C; 4],
            &[F32_C, F32_C, F32_R, F32_C],
            &[F64_C; 4],
            &[F64_C, F64_C, F64_R, F64_C],
        ],
    ),
    (
        "gemm_ex",
        &[
            &[F16_R; 5],
            &[F16_R, F16_R, F16_R, F16_R, F32_R],
            &[F16_R, F16_R, F32_R, F32_R, F32_R],
            &[BF16_R, BF16_R, BF16_R, BF16_R, F32_R],
            &[BF16_R, BF16_R, F32_R, F32_R, F32_R],
            &[F32_R; 5],
            &[F64_R; 5],
            &[F32_C; 5],
            &[F64_C; 5],
        ],
    ),
    ("trsm_ex", &[&[F32_R], &[F64_R], &[F32_C], &[F64_C]]),
    ("geam_ex", &[&[F16_R; 5], &[F32_R; 5], &[F64_R; 5]]),
    (
        "syrk_ex",
        &[
            &[BF16_R, BF16_R, F32_R],
            &[BF16_R, F32_R, F32_R],
            &[F16_R, F16_R, F32_R],
            &[F16_R, F32_R, F32_R],
            &[F32_R, F32_R, F64_R],
            &[F32_R, F64_R, F64_R],
        ],
    ),
    ("herk_ex", &[&[F32_C, F32_C, F64_C], &[F32_C, F64_C, F64_C]]),
];

const DOT: &[&[i32]] = &[
    &[F16_R, F16_R, F16_R, F16_R],
    &[F16_R, F16_R, F16_R, F32_R],
    &[BF16_R, BF16_R, BF16_R, F32_R],
    &[F32_R; 4],
    &[F32_R, F32_R, F64_R, F64_R],
    &[F64_R; 4],
    &[F32_C; 4],
    &[F64_C; 4],
];

/// The combinations of types that a function accepts, in the order of its parameters: one without any types if
/// its types are not arguments.
///
/// # Panics
/// If its types are arguments, but the combinations are not known.
#[must_use]
pub fn combinations(function: &Function) -> &'static [&'static [i32]] {
    let types = names(function).count();
    if types == 0 {
        return &[&[]];
    }
    let short = function.name.replace("_strided_batched", "").replace("_batched", "");
    let short = short.trim_start_matches("rocblas_").trim_end_matches("_64");
    let (_, rows) = COMBINATIONS
        .iter()
        .find(|(name, _)| *name == short)
        .unwrap_or_else(|| panic!("the types of {} are not known", function.name));
    assert!(rows.iter().all(|row| row.len() == types), "{}", function.name);
    rows
}

/// The names of the parameters that are types.
pub fn names(function: &Function) -> impl Iterator<Item = &'static str> {
    let is_type =
        |ty: rocblas_abi::Type| ty.pointers == 0 && ty.base == Base::Enum(EnumId::Datatype);
    function.params.iter().filter(move |param| is_type(param.ty)).map(|param| param.name)
}
