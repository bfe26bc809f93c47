//! `rocblas_syrk_ex`, introduced in rocBLAS 5.2, and `rocblas_herk_ex`, introduced in 5.3:
//! C = alpha A A^T + beta C for one triangle of C, with separate types for A, C and the computation.
//!
//! With 16-bit A they are computed by the backend's `gemm_strided_batched_ex`. A product of whole
//! matrices would also write the other triangle, so the triangle is cut into squares: the diagonal as
//! squares of one element, then squares of 1, 2, 4, ... next to it. Squares of one size are equally far
//! apart, as the problems of a strided batch are. So a matrix of n columns takes at most 2 log2(n) + 2
//! calls and no workspace, and the other triangle is not touched. If all types are the same, which rocBLAS
//! does not offer, the backend's syrk or herk is called. rocBLAS can also compute f32 matrices in f64;
//! older libraries have no function for that, so `rocblas_status_not_implemented` is returned.
//!
//! Arguments are checked in rocBLAS's order: handle, n = 0, types, fill and operation, sizes, scalars,
//! nothing to do (alpha 0 and beta 1), matrices.
//! Source: `rocblas_syrk_ex_imp.hpp`, `rocblas_syrk_ex_kernels.cpp`, their twins for herk, and
//! `rocblas_syrk_arg_check`.

use super::{
    Compat,
    backend_functions::{BackendFunctions, replacements},
    handles::Handle,
    host_scalars::{self, HostMode},
    of, status,
};
use crate::table::Target;
use core::{
    ffi::{CStr, c_void},
    ptr::null,
};
use rocblas_abi::value::{
    datatype::{BF16_R, F16_R, F32_C, F32_R, F64_C, F64_R},
    fill, gemm_algo, gemm_flags, operation,
};

pub(super) const SYRK_EX: &CStr = c"rocblas_syrk_ex";
pub(super) const HERK_EX: &CStr = c"rocblas_herk_ex";

pub(super) static OF_SYRK_EX: [(&CStr, Target); 1] = replacements![rocblas_syrk_ex = syrk_ex];
pub(super) static OF_HERK_EX: [(&CStr, Target); 1] = replacements![rocblas_herk_ex = herk_ex];

/// The maximum number of problems in one call: every release accepts as many, and they fit in one launch.
const MOST_PROBLEMS: i32 = 1 << 15;

/// The arguments of either function.
struct Update {
    handle: Handle,
    uplo: i32,
    trans: i32,
    n: i32,
    k: i32,
    alpha: *const c_void,
    a: *const c_void,
    a_type: i32,
    lda: i32,
    beta: *const c_void,
    c: *mut c_void,
    c_type: i32,
    ldc: i32,
    compute_type: i32,
}

macro_rules! functions {
    ($($function:ident is hermitian: $hermitian:literal;)+) => {$(
        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $function(
            handle: Handle,
            uplo: i32,
            trans: i32,
            n: i32,
            k: i32,
            alpha: *const c_void,
            a: *const c_void,
            a_type: i32,
            lda: i32,
            beta: *const c_void,
            c: *mut c_void,
            c_type: i32,
            ldc: i32,
            compute_type: i32,
        ) -> i32 {
            let update = Update {
                handle,
                uplo,
                trans,
                n,
                k,
                alpha,
                a,
                a_type,
                lda,
                beta,
                c,
                c_type,
                ldc,
                compute_type,
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { update.run($hermitian) }
        }
    )+};
}

functions! {
    syrk_ex is hermitian: false;
    herk_ex is hermitian: true;
}

/// How a combination of types is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// By products of squares; `a` and `c` are the element sizes of A and C in bytes.
    Squares { a: i64, c: i64 },
    /// By the backend's function of one type.
    Plain,
    /// rocBLAS supports it, but older releases have no function for it.
    None { scalar: usize },
}

/// `None` for types that rocBLAS does not accept.
fn method(hermitian: bool, a: i32, c: i32, compute: i32) -> Option<Method> {
    Some(match (hermitian, a, c, compute) {
        (false, BF16_R, BF16_R, F32_R) | (false, F16_R, F16_R, F32_R) => {
            Method::Squares { a: 2, c: 2 }
        }
        (false, BF16_R | F16_R, F32_R, F32_R) => Method::Squares { a: 2, c: 4 },
        (false, F32_R, F32_R | F64_R, F64_R) => Method::None { scalar: 8 },
        (true, F32_C, F32_C | F64_C, F64_C) => Method::None { scalar: 8 },
        (false, F32_R | F64_R, ..) | (_, F32_C | F64_C, ..) if a == c && c == compute => {
            Method::Plain
        }
        _ => return None,
    })
}

/// A scalar of the computation's type.
///
/// # Safety
/// `scalar` points to that many bytes of host memory.
unsafe fn value(scalar: *const c_void, bytes: usize) -> f64 {
    // SAFETY: by contract.
    unsafe {
        match bytes {
            4 => scalar.cast::<f32>().read_unaligned().into(),
            _ => scalar.cast::<f64>().read_unaligned(),
        }
    }
}

impl Update {
    /// # Safety
    /// As the vendor's function of these arguments.
    unsafe fn run(&self, hermitian: bool) -> i32 {
        if self.handle.is_null() {
            return status::INVALID_HANDLE;
        }
        let Some(compat) = of(self.handle) else {
            return status::INTERNAL_ERROR;
        };
        let is_query = compat.functions.rocblas_is_device_memory_size_query;
        // SAFETY: the caller's handle.
        let is_query = is_query.is_some_and(|is_query| unsafe { is_query(self.handle) });
        if self.n == 0 {
            return if is_query { status::SIZE_UNCHANGED } else { status::SUCCESS };
        }
        let method = match method(hermitian, self.a_type, self.c_type, self.compute_type) {
            // A query returns before the types are checked.
            None if is_query => return status::SIZE_UNCHANGED,
            None => return status::NOT_IMPLEMENTED,
            // The backend's function checks its arguments itself, in the same order.
            // SAFETY: passed on.
            Some(Method::Plain) => return unsafe { self.plain(&compat.functions, hermitian) },
            Some(Method::None { .. }) if is_query => return status::SIZE_UNCHANGED,
            Some(method) => method,
        };
        if let Err(status) = self.check(hermitian, is_query) {
            return status;
        }
        // SAFETY: passed on.
        unsafe { self.compute(compat, method, is_query) }.unwrap_or_else(|error| error)
    }

    /// Checks the arguments, except those checks that depend on a scalar.
    fn check(&self, hermitian: bool, is_query: bool) -> Result<(), i32> {
        let fills = self.uplo == fill::UPPER || self.uplo == fill::LOWER;
        let operates = match self.trans {
            operation::NONE | operation::CONJUGATE_TRANSPOSE => true,
            operation::TRANSPOSE => !hermitian,
            _ => false,
        };
        if !fills || !operates {
            return Err(status::INVALID_VALUE);
        }
        let rows = if self.trans == operation::NONE { self.n } else { self.k };
        if self.n < 0 || self.k < 0 || self.ldc < self.n || self.lda < rows {
            return Err(status::INVALID_SIZE);
        }
        if !is_query && ((self.k > 0 && self.alpha.is_null()) || self.beta.is_null()) {
            return Err(status::INVALID_POINTER);
        }
        Ok(())
    }

    /// # Safety
    /// As the vendor's function of these arguments, which have been checked.
    unsafe fn compute(&self, compat: &Compat, method: Method, is_query: bool) -> Result<i32, i32> {
        let Method::Squares { a: a_size, c: c_size } = method else {
            let Method::None { scalar } = method else {
                return Err(status::NOT_IMPLEMENTED);
            };
            let nothing_can = |_, _| Err(status::NOT_IMPLEMENTED);
            // SAFETY: passed on.
            return unsafe { self.with_scalars(compat, scalar, is_query, nothing_can) };
        };
        let transposed = self.trans != operation::NONE;
        let operations = match transposed {
            false => [operation::NONE, operation::TRANSPOSE],
            true => [operation::TRANSPOSE, operation::NONE],
        };
        // The distance in A that corresponds to one row of C.
        let step = if transposed { i64::from(self.lda) } else { 1 };
        let a_at = |row: i32| match self.a.is_null() {
            // Not read if alpha is 0.
            true => self.a,
            false => self.a.wrapping_byte_offset((i64::from(row) * step * a_size) as isize),
        };
        let c_at = |row: i32, column: i32| {
            let element = i64::from(row) + i64::from(column) * i64::from(self.ldc);
            self.c.wrapping_byte_offset((element * c_size) as isize)
        };
        // In a query of the workspace size, the backend keeps the largest size of the calls.
        let mut result = if is_query { status::SIZE_UNCHANGED } else { status::SUCCESS };
        let multiply = |alpha, beta| {
            let gemm = compat.functions.rocblas_gemm_strided_batched_ex;
            let gemm = gemm.ok_or(status::NOT_IMPLEMENTED)?;
            squares(self.n, self.uplo == fill::LOWER, |part| {
                let apart = i64::from(part.apart);
                let (a, b, c) = (a_at(part.row), a_at(part.column), c_at(part.row, part.column));
                let (of_a, of_c) = (apart * step, apart * (i64::from(self.ldc) + 1));
                // SAFETY: the backend's function with its prototype; a part of the caller's matrices.
                let status = unsafe {
                    gemm(
                        self.handle,
                        operations[0],
                        operations[1],
                        part.rows,
                        part.columns,
                        self.k,
                        alpha,
                        a,
                        self.a_type,
                        self.lda,
                        of_a,
                        b,
                        self.a_type,
                        self.lda,
                        of_a,
                        beta,
                        c,
                        self.c_type,
                        self.ldc,
                        of_c,
                        c,
                        self.c_type,
                        self.ldc,
                        of_c,
                        part.count,
                        self.compute_type,
                        gemm_algo::STANDARD,
                        0,
                        gemm_flags::NONE as u32,
                    )
                };
                match status {
                    status::SUCCESS | status::SIZE_UNCHANGED => Ok(()),
                    status::SIZE_INCREASED => {
                        result = status;
                        Ok(())
                    }
                    error => Err(error),
                }
            })?;
            Ok(result)
        };
        // SAFETY: passed on.
        unsafe { self.with_scalars(compat, 4, is_query, multiply) }
    }

    /// Calls a function with alpha and beta in host memory, unless there is nothing to compute or no function
    /// to compute it with.
    ///
    /// # Safety
    /// As the vendor's function of these arguments, whose scalars have `bytes` bytes.
    unsafe fn with_scalars(
        &self,
        compat: &Compat,
        bytes: usize,
        is_query: bool,
        then: impl FnOnce(*const c_void, *const c_void) -> Result<i32, i32>,
    ) -> Result<i32, i32> {
        if is_query {
            return then(self.alpha, self.beta);
        }
        let mode = HostMode::enter(compat, self.handle)?;
        // If A has no columns, alpha is not read, and the caller's pointer may be null.
        let alpha = if self.k == 0 { null() } else { self.alpha };
        let copies;
        let (mut alpha, beta) = if mode.was_device() {
            // SAFETY: the caller's scalars, in device memory according to the pointer mode.
            copies = unsafe { host_scalars::read(compat, self.handle, [alpha, self.beta], bytes) }?;
            let [alpha, beta] = &copies;
            (alpha.as_ptr().cast::<c_void>(), beta.as_ptr().cast::<c_void>())
        } else {
            (alpha, self.beta)
        };
        if alpha.is_null() {
            static ZERO: f64 = 0.0;
            alpha = (&raw const ZERO).cast();
        }
        // SAFETY: both are in host memory now, and not null.
        let (uses_a, keeps_c) = unsafe { (value(alpha, bytes) != 0.0, value(beta, bytes) == 1.0) };
        if !uses_a && keeps_c {
            return Ok(status::SUCCESS);
        }
        if self.c.is_null() || (uses_a && self.a.is_null()) {
            return Err(status::INVALID_POINTER);
        }
        then(alpha, beta)
    }

    /// # Safety
    /// As the vendor's function of these arguments.
    unsafe fn plain(&self, functions: &BackendFunctions, hermitian: bool) -> i32 {
        macro_rules! call {
            ($function:ident) => {
                match functions.$function {
                    None => status::NOT_IMPLEMENTED,
                    // SAFETY: the backend's function with its prototype, and the caller's arguments, whose
                    // types match according to the caller.
                    Some(function) => unsafe {
                        function(
                            self.handle,
                            self.uplo,
                            self.trans,
                            self.n,
                            self.k,
                            self.alpha.cast(),
                            self.a.cast(),
                            self.lda,
                            self.beta.cast(),
                            self.c.cast(),
                            self.ldc,
                        )
                    },
                }
            };
        }
        match (hermitian, self.c_type) {
            (false, F32_R) => call!(rocblas_ssyrk),
            (false, F64_R) => call!(rocblas_dsyrk),
            (false, F32_C) => call!(rocblas_csyrk),
            (false, F64_C) => call!(rocblas_zsyrk),
            (true, F32_C) => call!(rocblas_cherk),
            (true, F64_C) => call!(rocblas_zherk),
            _ => status::NOT_IMPLEMENTED,
        }
    }
}

/// Rectangles of equal size in a triangle, `apart` rows and columns from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    row: i32,
    column: i32,
    rows: i32,
    columns: i32,
    apart: i32,
    count: i32,
}

/// Cuts a triangle of n columns into parts: first the diagonal, then for each size the squares between two
/// finished triangles, and a remaining rectangle at the end.
fn squares(n: i32, lower: bool, mut each: impl FnMut(Part) -> Result<(), i32>) -> Result<(), i32> {
    let mut of_size =
        |row: i32, column: i32, size: i32, apart: i32, count: i32| -> Result<(), i32> {
            let mut done = 0;
            while done < count {
                let count = (count - done).min(MOST_PROBLEMS);
                let shift = done * apart;
                let (row, column) = (row + shift, column + shift);
                each(Part { row, column, rows: size, columns: size, apart, count })?;
                done += count;
            }
            Ok(())
        };
    of_size(0, 0, 1, 1, n)?;
    let mut size = 1;
    while size < n {
        // In 64 bits: n is at most i32::MAX, and twice a smaller size may exceed that.
        let pairs = i64::from(n) / (2 * i64::from(size));
        let (row, column) = if lower { (size, 0) } else { (0, size) };
        if pairs > 0 {
            of_size(row, column, size, 2 * size, pairs as i32)?;
        }
        size = size.saturating_mul(2);
    }
    let mut size = 1;
    while size < n {
        let base = (i64::from(n) / (2 * i64::from(size)) * 2 * i64::from(size)) as i32;
        let rest = n - base - size;
        if rest > 0 {
            let (row, column) = if lower { (base + size, base) } else { (base, base + size) };
            let (rows, columns) = if lower { (rest, size) } else { (size, rest) };
            each(Part { row, column, rows, columns, apart: 0, count: 1 })?;
        }
        size = size.saturating_mul(2);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_triangle_once_and_nothing_else() {
        for n in (1..70).chain([127, 128, 129]) {
            for lower in [false, true] {
                let mut written = vec![0; (n * n) as usize];
                let mut calls = 0;
                let cover = |part: Part| {
                    calls += 1;
                    for problem in 0..part.count {
                        let shift = problem * part.apart;
                        for column in part.column + shift..part.column + shift + part.columns {
                            for row in part.row + shift..part.row + shift + part.rows {
                                written[(row + column * n) as usize] += 1;
                            }
                        }
                    }
                    Ok(())
                };
                squares(n, lower, cover).expect("nothing fails");
                for column in 0..n {
                    for row in 0..n {
                        let is_in = if lower { row >= column } else { row <= column };
                        let times = written[(row + column * n) as usize];
                        assert_eq!(
                            times,
                            i32::from(is_in),
                            "n {n}, lower {lower}: {row}, {column}"
                        );
                    }
                }
                assert!(calls <= 2 * n.ilog2() + 2, "{calls} calls for {n} columns");
            }
        }
    }

    #[test]
    fn large_triangles_neither_overflow_nor_make_large_batches() {
        let mut elements = 0_i64;
        let count = |part: Part| {
            assert!(part.count <= MOST_PROBLEMS);
            elements += i64::from(part.rows) * i64::from(part.columns) * i64::from(part.count);
            Ok(())
        };
        let n = i32::MAX;
        squares(n, true, count).expect("nothing fails");
        assert_eq!(elements, i64::from(n) * (i64::from(n) + 1) / 2);
    }

    #[test]
    fn an_error_ends_the_iteration() {
        let mut calls = 0;
        let fail = |_| {
            calls += 1;
            Err(status::NOT_IMPLEMENTED)
        };
        assert_eq!(squares(8, true, fail), Err(status::NOT_IMPLEMENTED));
        assert_eq!(calls, 1);
    }

    #[test]
    fn only_types_of_rocblas_and_of_the_plain_functions_are_accepted() {
        assert_eq!(method(false, F16_R, F16_R, F32_R), Some(Method::Squares { a: 2, c: 2 }));
        assert_eq!(method(false, BF16_R, F32_R, F32_R), Some(Method::Squares { a: 2, c: 4 }));
        assert_eq!(method(false, F32_R, F64_R, F64_R), Some(Method::None { scalar: 8 }));
        assert_eq!(method(true, F32_C, F32_C, F64_C), Some(Method::None { scalar: 8 }));
        assert_eq!(method(false, F32_R, F32_R, F32_R), Some(Method::Plain));
        assert_eq!(method(false, F64_C, F64_C, F64_C), Some(Method::Plain));
        assert_eq!(method(true, F64_C, F64_C, F64_C), Some(Method::Plain));
        assert_eq!(method(true, F32_R, F32_R, F32_R), None, "herk is for complex matrices");
        assert_eq!(method(false, F16_R, F16_R, F16_R), None);
        assert_eq!(method(false, F32_R, F32_R, F64_C), None);
    }
}
