//! `rocblas_syrk_ex`, which came with rocBLAS 5.2, and `rocblas_herk_ex`, which came with 5.3:
//! C = alpha A A^T + beta C of one triangle of C, with types of their own for A, C and the arithmetic.
//!
//! With 16-bit A they are computed by the backend's `gemm_strided_batched_ex`. A product of whole
//! matrices would write the other triangle too, so the triangle is cut into squares: the diagonal, one
//! element each, then squares of 1, 2, 4, ... beside it. Squares of a size are as far from each other as
//! the problems of a strided batch are, so that a matrix of n columns takes at most 2 log2(n) + 2 calls, no
//! workspace, and not a bit of the other triangle. Where all types are the same, which rocBLAS does not
//! offer, the backend's syrk or herk does it. rocBLAS computes f32 matrices in f64, too; older libraries
//! have nothing that does, and there `rocblas_status_not_implemented` is returned.
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

/// The problems of one call: as many as every release takes, and a launch has room for.
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
enum Way {
    /// By products of squares; A and C have elements of so many bytes.
    Squares { a: i64, c: i64 },
    /// By the backend's function of one type.
    Plain,
    /// rocBLAS can, and no function of an older one.
    None { scalar: usize },
}

/// `None` for types that rocBLAS does not take.
fn way(hermitian: bool, a: i32, c: i32, compute: i32) -> Option<Way> {
    Some(match (hermitian, a, c, compute) {
        (false, BF16_R, BF16_R, F32_R) | (false, F16_R, F16_R, F32_R) => {
            Way::Squares { a: 2, c: 2 }
        }
        (false, BF16_R | F16_R, F32_R, F32_R) => Way::Squares { a: 2, c: 4 },
        (false, F32_R, F32_R | F64_R, F64_R) => Way::None { scalar: 8 },
        (true, F32_C, F32_C | F64_C, F64_C) => Way::None { scalar: 8 },
        (false, F32_R | F64_R, ..) | (_, F32_C | F64_C, ..) if a == c && c == compute => Way::Plain,
        _ => return None,
    })
}

/// A scalar of the arithmetic's type.
///
/// # Safety
/// `scalar` leads to so many bytes of host memory.
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
        let way = match way(hermitian, self.a_type, self.c_type, self.compute_type) {
            // A query is answered before types are looked at.
            None if is_query => return status::SIZE_UNCHANGED,
            None => return status::NOT_IMPLEMENTED,
            // It checks its arguments itself, in the same order.
            // SAFETY: passed on.
            Some(Way::Plain) => return unsafe { self.plain(&compat.functions, hermitian) },
            Some(Way::None { .. }) if is_query => return status::SIZE_UNCHANGED,
            Some(way) => way,
        };
        if let Err(status) = self.check(hermitian, is_query) {
            return status;
        }
        // SAFETY: passed on.
        unsafe { self.compute(compat, way, is_query) }.unwrap_or_else(|error| error)
    }

    /// What is wrong with the arguments, as far as no scalar has to be looked at.
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
    unsafe fn compute(&self, compat: &Compat, way: Way, is_query: bool) -> Result<i32, i32> {
        let Way::Squares { a: a_size, c: c_size } = way else {
            let Way::None { scalar } = way else {
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
        // From one row of C to the next, in A.
        let step = if transposed { i64::from(self.lda) } else { 1 };
        let a_at = |row: i32| match self.a.is_null() {
            // Not read where alpha is 0.
            true => self.a,
            false => self.a.wrapping_byte_offset((i64::from(row) * step * a_size) as isize),
        };
        let c_at = |row: i32, column: i32| {
            let element = i64::from(row) + i64::from(column) * i64::from(self.ldc);
            self.c.wrapping_byte_offset((element * c_size) as isize)
        };
        // Where the handle only asks how much memory there should be, the backend keeps the most that a
        // call says.
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

    /// Gives a function alpha and beta in host memory, unless there is nothing to compute or to compute
    /// it with.
    ///
    /// # Safety
    /// As the vendor's function of these arguments, whose scalars have so many bytes.
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
        // Without columns of A nobody reads alpha, and the caller's may be null.
        let alpha = if self.k == 0 { null() } else { self.alpha };
        let copies;
        let (mut alpha, beta) = if mode.was_device() {
            // SAFETY: the caller's scalars, in device memory as the pointer mode said.
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
        // SAFETY: host memory by now, and not null.
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
                    // SAFETY: the backend's function with its prototype, and the caller's arguments,
                    // which are of its types as the caller said.
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

/// Equal rectangles of a triangle, `apart` rows and columns from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    row: i32,
    column: i32,
    rows: i32,
    columns: i32,
    apart: i32,
    count: i32,
}

/// Cuts a triangle of n columns into parts: first the diagonal, then at each size the squares between two
/// that are done already, and what is left of one at the end.
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
        // n is at most i32::MAX, and twice a size that is below it may be above.
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
    fn an_error_ends_it() {
        let mut calls = 0;
        let fail = |_| {
            calls += 1;
            Err(status::NOT_IMPLEMENTED)
        };
        assert_eq!(squares(8, true, fail), Err(status::NOT_IMPLEMENTED));
        assert_eq!(calls, 1);
    }

    #[test]
    fn types_are_rocblass_and_those_of_the_plain_functions() {
        assert_eq!(way(false, F16_R, F16_R, F32_R), Some(Way::Squares { a: 2, c: 2 }));
        assert_eq!(way(false, BF16_R, F32_R, F32_R), Some(Way::Squares { a: 2, c: 4 }));
        assert_eq!(way(false, F32_R, F64_R, F64_R), Some(Way::None { scalar: 8 }));
        assert_eq!(way(true, F32_C, F32_C, F64_C), Some(Way::None { scalar: 8 }));
        assert_eq!(way(false, F32_R, F32_R, F32_R), Some(Way::Plain));
        assert_eq!(way(false, F64_C, F64_C, F64_C), Some(Way::Plain));
        assert_eq!(way(true, F64_C, F64_C, F64_C), Some(Way::Plain));
        assert_eq!(way(true, F32_R, F32_R, F32_R), None, "herk is of complex matrices");
        assert_eq!(way(false, F16_R, F16_R, F16_R), None);
        assert_eq!(way(false, F32_R, F32_R, F64_C), None);
    }
}
