//! The work of a call in operations and bytes, by the definition of the function and not by what a kernel
//! does.

use rocblas_abi::operands;
use rocblas_trace::call::{Call, NumberKind, Value};
use serde::Serialize;

/// Operations and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Floating-point or integer additions and multiplications.
    pub operations: f64,
    /// Bytes of the matrices and vectors read or written, each counted once.
    pub bytes: f64,
}

impl Work {
    /// The work of a call; `None` for functions without operands. Negative dimensions count as no work.
    #[must_use]
    pub fn of(call: &Call<'_>) -> Option<Self> {
        let argument = |position| call.argument(position);
        let is_zero =
            |position| call.values().nth(position).is_some_and(|(_, value)| is_zero(value));
        let operands::Work { operations, bytes } =
            operands::work(call.function(), &argument, &is_zero)?;
        Some(Self { operations, bytes })
    }
}

/// Whether a scalar is known to be zero.
fn is_zero(value: Value) -> bool {
    match value {
        Value::Number(numbers) => {
            numbers.kind() != NumberKind::I64 && numbers.parts().iter().all(|part| *part == 0.0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_trace::{
        call::Functions,
        layout::{ARGUMENTS, Mode, NOTE, Note},
    };

    /// The work of a call with these named arguments; `zero_beta` states whether its second scalar, beta, is
    /// zero.
    fn work(name: &str, arguments: &[(&str, u64)], zero_beta: bool) -> Option<Work> {
        let function = usize::from(rocblas_abi::by_name(name).expect("a function").index);
        let functions = Functions::default();
        let mut words = vec![0; usize::from(functions.shape(function).words)];
        for (i, param) in rocblas_abi::params(function).enumerate() {
            let named = arguments.iter().find(|(name, _)| *name == param.name);
            words[ARGUMENTS + i] = named.map_or(0x1000, |(_, value)| *value);
        }
        if zero_beta {
            words[NOTE] = (Mode::Host as u64) << Note::MODE | 2;
        }
        Work::of(&functions.call(function, &words))
    }

    #[test]
    fn a_product_has_two_operations_for_each_pair() {
        let dimensions = [("m", 2), ("n", 3), ("k", 5)];
        let sgemm = work("rocblas_sgemm", &dimensions, false).expect("known");
        assert_eq!(sgemm.operations, 2.0 * 30.0);
        assert_eq!(sgemm.bytes, 4.0 * (10.0 + 15.0 + 2.0 * 6.0));
        let without_c = work("rocblas_sgemm", &dimensions, true).expect("known");
        assert_eq!(without_c.bytes, 4.0 * (10.0 + 15.0 + 6.0));
        let complex = work("rocblas_zgemm_64", &dimensions, false).expect("known");
        assert_eq!((complex.operations, complex.bytes), (8.0 * 30.0, 16.0 * 37.0));
        let batched = [&dimensions[..], &[("batch_count", 4)]].concat();
        let batched = work("rocblas_hgemm_strided_batched", &batched, false).expect("known");
        assert_eq!((batched.operations, batched.bytes), (4.0 * 60.0, 4.0 * 2.0 * 37.0));
    }

    #[test]
    fn a_product_of_given_types_counts_each_in_its_own_size() {
        let arguments = [
            ("m", 2),
            ("n", 3),
            ("k", 5),
            ("a_type", 150),
            ("b_type", 168),
            ("c_type", 151),
            ("d_type", 152),
            ("compute_type", 151),
        ];
        let work = work("rocblas_gemm_ex", &arguments, false).expect("known");
        assert_eq!(work.operations, 60.0);
        assert_eq!(work.bytes, 2.0 * 10.0 + 2.0 * 15.0 + (4.0 + 8.0) * 6.0);
    }

    #[test]
    fn a_solver_has_half_as_many_for_its_triangle() {
        let dimensions = [("side", 142), ("m", 417), ("n", 79), ("batch_count", 4)];
        let right = work("rocblas_strsm_batched", &dimensions, false).expect("known");
        assert_eq!(right.operations, 4.0 * 79.0 * 79.0 * 417.0);
        assert_eq!(right.bytes, 4.0 * 4.0 * (79.0 * 80.0 / 2.0 + 2.0 * 417.0 * 79.0));
        let left = [("side", 141), ("m", 2), ("n", 3)];
        assert_eq!(work("rocblas_ztrsm", &left, false).expect("known").operations, 4.0 * 12.0);
    }

    #[test]
    fn every_routine_has_its_operations() {
        let operations = |name: &str, arguments: &[(&str, u64)]| {
            work(name, arguments, false).expect("known").operations
        };
        assert_eq!(operations("rocblas_sscal", &[("n", 4)]), 4.0);
        assert_eq!(operations("rocblas_zaxpy_64", &[("n", 4)]), 32.0);
        assert_eq!(operations("rocblas_dgemv", &[("m", 4), ("n", 3)]), 24.0);
        assert_eq!(operations("rocblas_sgemmt", &[("n", 4), ("k", 5)]), 100.0);
        assert_eq!(
            operations("rocblas_csyrk_strided_batched", &[("n", 2), ("k", 3), ("batch_count", 2)]),
            144.0
        );
        assert_eq!(work("rocblas_scopy", &[("n", 4)], false).expect("known").bytes, 32.0);
    }

    #[test]
    fn bad_dimensions_and_functions_without_operands_have_none() {
        assert_eq!(work("rocblas_gemm_ex_get_solutions", &[], false), None);
        assert_eq!(work("rocblas_set_stream", &[], false), None);
        let negative = [("m", u64::MAX), ("n", 3), ("k", 5)];
        assert_eq!(work("rocblas_sgemm", &negative, false).expect("known").operations, 0.0);
    }
}
