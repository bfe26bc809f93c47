//! Grouped matrix products, which rocBLAS 5.7 introduced, computed as one batched product of the backend
//! for each group.
//!
//! Operations, sizes, leading dimensions and group sizes are arrays in host memory with one value for each
//! group. The arrays of matrices are in device memory, as for a batched product, group after group. Arrays
//! of scalars follow the pointer mode; in device mode they are read back, see `host_scalars.rs`.
//!
//! Arguments are checked in rocBLAS's order, for all groups before the first product: handle, number of
//! groups, host arrays, and for each group its size, operations, sizes, leading dimensions, scalars and
//! matrices. A group that has nothing to do is skipped. (At such a group, rocBLAS's source before the
//! release returned from the whole call without computing the other groups.)
//! Source: `rocblas_gemm_grouped_batched_imp.hpp`, `rocblas_gemm_grouped_batched_ex_imp.hpp`, and the
//! checks of gemm and `gemm_ex`.

use super::{
    Compat,
    backend_functions::{BackendFunctions, replacements},
    handles::Handle,
    host_scalars::{self, HostMode},
    of, status,
};
use crate::table::Target;
use core::ffi::{CStr, c_void};
use rocblas_abi::value::{
    datatype::{F16_R, F32_C, F32_R, F64_C, F64_R, I32_R},
    operation,
};

pub(super) static REPLACEMENTS: [(&CStr, Target); 6] = replacements![
    rocblas_sgemm_grouped_batched = sgemm,
    rocblas_sgemm_grouped_batched_64 = sgemm_64,
    rocblas_dgemm_grouped_batched = dgemm,
    rocblas_dgemm_grouped_batched_64 = dgemm_64,
    rocblas_gemm_grouped_batched_ex = gemm_ex,
    rocblas_gemm_grouped_batched_ex_64 = gemm_ex_64,
];

/// `rocblas_int`, or `int64_t` in the `_64` functions.
trait Int: Copy + Into<i64> {}
impl Int for i32 {}
impl Int for i64 {}

/// The arguments that all six functions share. D is C in functions without a D.
struct Call<I> {
    handle: Handle,
    operations: [*const i32; 2],
    sizes: [*const I; 3],
    alpha: *const c_void,
    beta: *const c_void,
    /// A, B, C and D, arrays of pointers.
    matrices: [*const c_void; 4],
    /// The leading dimensions of A, B, C and D.
    leading: [*const I; 4],
    groups: I,
    group_sizes: *const I,
    /// The type of the scalars.
    scalar: i32,
    /// If the checks are those of `gemm_ex`: whether C and D have the same type.
    ex: Option<SameType>,
}

#[derive(Clone, Copy)]
struct SameType(bool);

/// One group.
struct Group<I> {
    operations: [i32; 2],
    sizes: [I; 3],
    leading: [I; 4],
    alpha: *const c_void,
    beta: *const c_void,
    matrices: [*const c_void; 4],
    count: I,
}

/// The size of a scalar in bytes; `None` for a type that scalars cannot have.
fn size_of_scalar(datatype: i32) -> Option<usize> {
    match datatype {
        F16_R => Some(2),
        F32_R | I32_R => Some(4),
        F64_R | F32_C => Some(8),
        F64_C => Some(16),
        _ => None,
    }
}

/// Whether a scalar is 0, of either sign, and whether it is 1 (checked for real scalars only).
///
/// # Safety
/// `scalar` points to a scalar of that type in host memory.
unsafe fn value(scalar: *const c_void, datatype: i32) -> (bool, bool) {
    // SAFETY: by contract.
    unsafe {
        match datatype {
            F16_R => (scalar.cast::<u16>().read_unaligned() & 0x7fff == 0, false),
            I32_R => (scalar.cast::<i32>().read_unaligned() == 0, false),
            F32_R => {
                let value = scalar.cast::<f32>().read_unaligned();
                (value == 0.0, value == 1.0)
            }
            F64_R => {
                let value = scalar.cast::<f64>().read_unaligned();
                (value == 0.0, value == 1.0)
            }
            F32_C => (scalar.cast::<[f32; 2]>().read_unaligned() == [0.0; 2], false),
            _ => (scalar.cast::<[f64; 2]>().read_unaligned() == [0.0; 2], false),
        }
    }
}

impl<I: Int> Call<I> {
    /// Checks the arguments and calls `multiply` for each group that has something to do.
    ///
    /// # Safety
    /// As the vendor's function of these arguments.
    unsafe fn run(mut self, multiply: impl Fn(&BackendFunctions, &Group<I>) -> Option<i32>) -> i32 {
        if self.handle.is_null() {
            return status::INVALID_HANDLE;
        }
        let Some(compat) = of(self.handle) else {
            return status::INTERNAL_ERROR;
        };
        // SAFETY: passed on.
        unsafe { self.checked(compat, multiply) }.unwrap_or_else(|status| status)
    }

    /// # Safety
    /// As the vendor's function of these arguments.
    unsafe fn checked(
        &mut self,
        compat: &Compat,
        multiply: impl Fn(&BackendFunctions, &Group<I>) -> Option<i32>,
    ) -> Result<i32, i32> {
        let groups: i64 = self.groups.into();
        if groups < 0 {
            return Err(status::INVALID_SIZE);
        }
        let is_query = compat.functions.rocblas_is_device_memory_size_query;
        // SAFETY: the caller's handle.
        let is_query = is_query.is_some_and(|is_query| unsafe { is_query(self.handle) });
        let mut result = if is_query { status::SIZE_UNCHANGED } else { status::SUCCESS };
        if groups == 0 {
            return Ok(result);
        }
        let missing = self.operations.iter().any(|array| array.is_null())
            || self.sizes.iter().chain(&self.leading).any(|array| array.is_null())
            || self.group_sizes.is_null();
        if missing || self.alpha.is_null() || self.beta.is_null() {
            return Err(status::INVALID_POINTER);
        }
        let bytes = size_of_scalar(self.scalar).ok_or(status::INVALID_VALUE)?;

        let mode = HostMode::enter(compat, self.handle)?;
        let copies;
        if mode.was_device() {
            let arrays = [self.alpha, self.beta];
            let all = usize::try_from(groups).ok().and_then(|groups| groups.checked_mul(bytes));
            let all = all.ok_or(status::INVALID_SIZE)?;
            // SAFETY: arrays of that many scalars, in device memory according to the pointer mode.
            copies = unsafe { host_scalars::read(compat, self.handle, arrays, all) }?;
            let [alpha, beta] = &copies;
            (self.alpha, self.beta) = (alpha.as_ptr().cast(), beta.as_ptr().cast());
        }

        let mut work = Vec::new();
        let mut problems = 0_i64;
        for index in 0..groups {
            // SAFETY: the arrays have that many values, by contract, and the scalars are on the host now.
            let group = unsafe { self.group(index as usize, bytes, problems) };
            let count: i64 = group.count.into();
            if count < 0 {
                return Err(status::INVALID_SIZE);
            }
            problems = problems.checked_add(count).ok_or(status::INVALID_SIZE)?;
            if size_of::<I>() == 4 && i32::try_from(problems).is_err() {
                return Err(status::INVALID_SIZE);
            }
            // SAFETY: scalars are on the host.
            if unsafe { self.check(&group) }? {
                work.push(group);
            }
        }
        if !work.is_empty() && self.matrices.iter().any(|array| array.is_null()) {
            return Err(status::INVALID_POINTER);
        }
        for group in &work {
            match multiply(&compat.functions, group).ok_or(status::NOT_IMPLEMENTED)? {
                status::SUCCESS | status::SIZE_UNCHANGED => {}
                // The handle is in a query of the workspace size.
                status::SIZE_INCREASED if is_query => result = status::SIZE_INCREASED,
                error => return Err(error),
            }
        }
        Ok(result)
    }

    /// # Safety
    /// The host arrays have more than `index` values, and the scalars are in host memory.
    unsafe fn group(&self, index: usize, scalar: usize, problems: i64) -> Group<I> {
        // SAFETY: by contract.
        unsafe {
            Group {
                operations: self.operations.map(|array| array.add(index).read()),
                sizes: self.sizes.map(|array| array.add(index).read()),
                leading: self.leading.map(|array| array.add(index).read()),
                alpha: self.alpha.wrapping_byte_add(index * scalar),
                beta: self.beta.wrapping_byte_add(index * scalar),
                matrices: self.matrices.map(|array| match array.is_null() {
                    true => array,
                    false => array.wrapping_byte_add(problems as usize * size_of::<usize>()),
                }),
                count: self.group_sizes.add(index).read(),
            }
        }
    }

    /// Whether a group has something to do, or the status for its invalid arguments.
    ///
    /// # Safety
    /// Its scalars are in host memory.
    unsafe fn check(&self, group: &Group<I>) -> Result<bool, i32> {
        let known = [operation::NONE, operation::TRANSPOSE, operation::CONJUGATE_TRANSPOSE];
        if group.operations.iter().any(|operation| !known.contains(operation)) {
            return Err(status::INVALID_VALUE);
        }
        let [m, n, k] = group.sizes.map(Into::<i64>::into);
        let [lda, ldb, ldc, ldd] = group.leading.map(Into::<i64>::into);
        let [rows_of_a, rows_of_b] = [
            if group.operations[0] == operation::NONE { m } else { k },
            if group.operations[1] == operation::NONE { k } else { n },
        ];
        let negative = m < 0 || n < 0 || k < 0;
        if negative || lda < rows_of_a || ldb < rows_of_b || ldc < m || ldd < m {
            return Err(status::INVALID_SIZE);
        }
        if m == 0 || n == 0 || group.count.into() == 0 {
            return Ok(false);
        }
        // SAFETY: by contract.
        let ((alpha_is_0, _), (beta_is_0, beta_is_1)) =
            unsafe { (value(group.alpha, self.scalar), value(group.beta, self.scalar)) };
        let [a, b, c, d] = self.matrices.map(<*const c_void>::is_null);
        let needs_ab = k > 0 && !alpha_is_0;
        match self.ex {
            None if beta_is_1 && !needs_ab => return Ok(false),
            None if c || (needs_ab && (a || b)) => return Err(status::INVALID_POINTER),
            None => {}
            Some(_) if d || (c && !beta_is_0) || (needs_ab && (a || b)) => {
                return Err(status::INVALID_POINTER);
            }
            Some(SameType(same)) if self.matrices[2] == self.matrices[3] => {
                if ldc != ldd {
                    return Err(status::INVALID_SIZE);
                }
                if !same {
                    return Err(status::INVALID_VALUE);
                }
            }
            Some(_) => {}
        }
        Ok(true)
    }
}

/// The functions for one type of integers.
macro_rules! functions {
    ($int:ty: $gemm_ex:ident by $batched_ex:ident;
     $($gemm:ident of $element:ty, $datatype:ident by $batched:ident;)+) => {
        $(
        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $gemm(
            handle: Handle,
            transa: *const i32,
            transb: *const i32,
            m: *const $int,
            n: *const $int,
            k: *const $int,
            alpha: *const $element,
            a: *const *const $element,
            lda: *const $int,
            b: *const *const $element,
            ldb: *const $int,
            beta: *const $element,
            c: *const *mut $element,
            ldc: *const $int,
            groups: $int,
            group_sizes: *const $int,
        ) -> i32 {
            let call = Call {
                handle,
                operations: [transa, transb],
                sizes: [m, n, k],
                alpha: alpha.cast(),
                beta: beta.cast(),
                matrices: [a.cast(), b.cast(), c.cast(), c.cast()],
                leading: [lda, ldb, ldc, ldc],
                groups,
                group_sizes,
                scalar: $datatype,
                ex: None,
            };
            let multiply = |functions: &BackendFunctions, group: &Group<$int>| {
                let ([m, n, k], [lda, ldb, ldc, _]) = (group.sizes, group.leading);
                let [a, b, c, _] = group.matrices;
                let function = functions.$batched?;
                // SAFETY: the backend's function with its prototype, and a group of the caller's
                // arguments.
                Some(unsafe {
                    function(
                        handle,
                        group.operations[0],
                        group.operations[1],
                        m,
                        n,
                        k,
                        group.alpha.cast(),
                        a.cast(),
                        lda,
                        b.cast(),
                        ldb,
                        group.beta.cast(),
                        c.cast(),
                        ldc,
                        group.count,
                    )
                })
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { call.run(multiply) }
        })+

        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $gemm_ex(
            handle: Handle,
            transa: *const i32,
            transb: *const i32,
            m: *const $int,
            n: *const $int,
            k: *const $int,
            alpha: *const c_void,
            a: *const *const c_void,
            a_type: i32,
            lda: *const $int,
            b: *const *const c_void,
            b_type: i32,
            ldb: *const $int,
            beta: *const c_void,
            c: *const *const c_void,
            c_type: i32,
            ldc: *const $int,
            d: *const *mut c_void,
            d_type: i32,
            ldd: *const $int,
            groups: $int,
            group_sizes: *const $int,
            compute_type: i32,
            algo: i32,
            solution_index: i32,
            flags: u32,
        ) -> i32 {
            let call = Call {
                handle,
                operations: [transa, transb],
                sizes: [m, n, k],
                alpha,
                beta,
                matrices: [a.cast(), b.cast(), c.cast(), d.cast()],
                leading: [lda, ldb, ldc, ldd],
                groups,
                group_sizes,
                scalar: compute_type,
                ex: Some(SameType(c_type == d_type)),
            };
            let multiply = |functions: &BackendFunctions, group: &Group<$int>| {
                let ([m, n, k], [lda, ldb, ldc, ldd]) = (group.sizes, group.leading);
                let [a, b, c, d] = group.matrices;
                let function = functions.$batched_ex?;
                // SAFETY: as above.
                Some(unsafe {
                    function(
                        handle,
                        group.operations[0],
                        group.operations[1],
                        m,
                        n,
                        k,
                        group.alpha,
                        a,
                        a_type,
                        lda,
                        b,
                        b_type,
                        ldb,
                        group.beta,
                        c,
                        c_type,
                        ldc,
                        d.cast_mut(),
                        d_type,
                        ldd,
                        group.count,
                        compute_type,
                        algo,
                        solution_index,
                        flags,
                    )
                })
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { call.run(multiply) }
        }
    };
}

functions! {
    i32: gemm_ex by rocblas_gemm_batched_ex;
    sgemm of f32, F32_R by rocblas_sgemm_batched;
    dgemm of f64, F64_R by rocblas_dgemm_batched;
}
functions! {
    i64: gemm_ex_64 by rocblas_gemm_batched_ex_64;
    sgemm_64 of f32, F32_R by rocblas_sgemm_batched_64;
    dgemm_64 of f64, F64_R by rocblas_dgemm_batched_64;
}
