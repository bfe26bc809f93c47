//! Copying vectors and matrices between host and device: sixteen functions without a handle.
//!
//! 5.0.2 returns the status that corresponds to the HIP error of the copy. 4.3.0 prints the error and
//! returns success, so the program continues without its data. Argument checks are the same in both, in
//! this order: success if there is nothing to copy, then invalid sizes, then null pointers.
//! Source: `rocblas_auxiliary.cpp` of both. The copies use the process's HIP runtime: one-dimensional if
//! both sides are contiguous, two-dimensional otherwise.

use super::{Compat, backend_functions::replacements, of_any, status};
use crate::{backend::hip::Stream, table::Target};
use core::ffi::{CStr, c_void};

/// `hipMemcpyKind`
const HOST_TO_DEVICE: i32 = 1;
const DEVICE_TO_HOST: i32 = 2;

/// The values of `hipError_t` that have a status of their own.
mod hip_error {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const MEMORY_ALLOCATION: i32 = 2;
    pub(super) const INVALID_DEVICE_POINTER: i32 = 17;
    pub(super) const INVALID_DEVICE: i32 = 101;
    pub(super) const INVALID_RESOURCE_HANDLE: i32 = 400;
    pub(super) const LAUNCH_OUT_OF_RESOURCES: i32 = 701;
}

/// The status that 5.x returns for a HIP error.
pub(super) fn status_of(error: i32) -> i32 {
    match error {
        hip_error::SUCCESS => status::SUCCESS,
        hip_error::MEMORY_ALLOCATION | hip_error::LAUNCH_OUT_OF_RESOURCES => status::MEMORY_ERROR,
        hip_error::INVALID_DEVICE_POINTER => status::INVALID_POINTER,
        hip_error::INVALID_DEVICE | hip_error::INVALID_RESOURCE_HANDLE => status::INVALID_HANDLE,
        _ => status::INTERNAL_ERROR,
    }
}

/// The direction and the stream of a copy.
#[derive(Clone, Copy)]
struct Route {
    kind: i32,
    /// `None`: wait for the copy.
    stream: Option<Stream>,
}

/// A block of `rows` contiguous elements in each of `columns` columns.
struct Block {
    rows: i64,
    columns: i64,
    element: i64,
    from: *const c_void,
    from_stride: i64,
    to: *mut c_void,
    to_stride: i64,
}

impl Block {
    /// # Safety
    /// The pointers point to memory of that shape, under the vendor's contract.
    unsafe fn copy(&self, route: Route) -> i32 {
        let Some(Compat { hip: Some(hip), .. }) = of_any() else {
            return status::INTERNAL_ERROR;
        };
        let bytes = |elements: i64| (elements as usize).wrapping_mul(self.element as usize);
        let contiguous = self.from_stride == self.rows && self.to_stride == self.rows;
        // SAFETY: HIP's own functions; sizes are positive, checked by the callers below.
        let error = unsafe {
            if contiguous {
                let size = bytes(self.rows).wrapping_mul(self.columns as usize);
                hip.copy(self.to, self.from, size, route.kind, route.stream)
            } else {
                hip.copy_2d(
                    (self.to, bytes(self.to_stride)),
                    (self.from, bytes(self.from_stride)),
                    (bytes(self.rows), self.columns as usize),
                    route.kind,
                    route.stream,
                )
            }
        };
        status_of(error)
    }
}

#[derive(Clone, Copy)]
struct Vector {
    n: i64,
    element: i64,
    x: *const c_void,
    incx: i64,
    y: *mut c_void,
    incy: i64,
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe fn vector(v: Vector, route: Route) -> i32 {
    if v.n == 0 {
        return status::SUCCESS;
    }
    if v.n < 0 || v.incx <= 0 || v.incy <= 0 || v.element <= 0 {
        return status::INVALID_SIZE;
    }
    if v.x.is_null() || v.y.is_null() {
        return status::INVALID_POINTER;
    }
    let block = Block {
        rows: 1,
        columns: v.n,
        element: v.element,
        from: v.x,
        from_stride: v.incx,
        to: v.y,
        to_stride: v.incy,
    };
    // SAFETY: passed on.
    unsafe { block.copy(route) }
}

#[derive(Clone, Copy)]
struct Matrix {
    rows: i64,
    columns: i64,
    element: i64,
    a: *const c_void,
    lda: i64,
    b: *mut c_void,
    ldb: i64,
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe fn matrix(m: Matrix, route: Route) -> i32 {
    if m.rows == 0 || m.columns == 0 {
        return status::SUCCESS;
    }
    if m.rows < 0
        || m.columns < 0
        || m.element <= 0
        || m.lda <= 0
        || m.ldb <= 0
        || m.lda < m.rows
        || m.ldb < m.rows
    {
        return status::INVALID_SIZE;
    }
    if m.a.is_null() || m.b.is_null() {
        return status::INVALID_POINTER;
    }
    let block = Block {
        rows: m.rows,
        columns: m.columns,
        element: m.element,
        from: m.a,
        from_stride: m.lda,
        to: m.b,
        to_stride: m.ldb,
    };
    // SAFETY: passed on.
    unsafe { block.copy(route) }
}

/// The four functions of one direction, `rocblas_int` or `int64_t`.
macro_rules! functions {
    ($($vector:ident $vector_async:ident $matrix:ident $matrix_async:ident: $int:ty, $kind:expr;)*) => {$(
        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $vector(
            n: $int, element: $int, x: *const c_void, incx: $int, y: *mut c_void, incy: $int,
        ) -> i32 {
            let v = Vector {
                n: n.into(), element: element.into(), x, incx: incx.into(), y, incy: incy.into(),
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { vector(v, Route { kind: $kind, stream: None }) }
        }

        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $vector_async(
            n: $int, element: $int, x: *const c_void, incx: $int, y: *mut c_void, incy: $int,
            stream: Stream,
        ) -> i32 {
            let v = Vector {
                n: n.into(), element: element.into(), x, incx: incx.into(), y, incy: incy.into(),
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { vector(v, Route { kind: $kind, stream: Some(stream) }) }
        }

        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $matrix(
            rows: $int, columns: $int, element: $int, a: *const c_void, lda: $int, b: *mut c_void,
            ldb: $int,
        ) -> i32 {
            let m = Matrix {
                rows: rows.into(), columns: columns.into(), element: element.into(), a,
                lda: lda.into(), b, ldb: ldb.into(),
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { matrix(m, Route { kind: $kind, stream: None }) }
        }

        /// # Safety
        /// As the vendor's function of these arguments.
        unsafe extern "C" fn $matrix_async(
            rows: $int, columns: $int, element: $int, a: *const c_void, lda: $int, b: *mut c_void,
            ldb: $int, stream: Stream,
        ) -> i32 {
            let m = Matrix {
                rows: rows.into(), columns: columns.into(), element: element.into(), a,
                lda: lda.into(), b, ldb: ldb.into(),
            };
            // SAFETY: the caller's arguments, under the vendor's contract.
            unsafe { matrix(m, Route { kind: $kind, stream: Some(stream) }) }
        }
    )*};
}

functions! {
    set_vector set_vector_async set_matrix set_matrix_async: i32, HOST_TO_DEVICE;
    get_vector get_vector_async get_matrix get_matrix_async: i32, DEVICE_TO_HOST;
    set_vector_64 set_vector_async_64 set_matrix_64 set_matrix_async_64: i64, HOST_TO_DEVICE;
    get_vector_64 get_vector_async_64 get_matrix_64 get_matrix_async_64: i64, DEVICE_TO_HOST;
}

pub(super) static REPLACEMENTS: [(&CStr, Target); 16] = replacements![
    rocblas_set_vector = set_vector,
    rocblas_set_vector_async = set_vector_async,
    rocblas_set_matrix = set_matrix,
    rocblas_set_matrix_async = set_matrix_async,
    rocblas_get_vector = get_vector,
    rocblas_get_vector_async = get_vector_async,
    rocblas_get_matrix = get_matrix,
    rocblas_get_matrix_async = get_matrix_async,
    rocblas_set_vector_64 = set_vector_64,
    rocblas_set_vector_async_64 = set_vector_async_64,
    rocblas_set_matrix_64 = set_matrix_64,
    rocblas_set_matrix_async_64 = set_matrix_async_64,
    rocblas_get_vector_64 = get_vector_64,
    rocblas_get_vector_async_64 = get_vector_async_64,
    rocblas_get_matrix_64 = get_matrix_64,
    rocblas_get_matrix_async_64 = get_matrix_async_64,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_of_the_table_and_none_is_left_out() {
        let names: Vec<&str> = rocblas_abi::c_exports()
            .iter()
            .map(|f| f.name)
            .filter(|name| {
                ["set_vector", "get_vector", "set_matrix", "get_matrix"]
                    .iter()
                    .any(|stem| name.trim_start_matches("rocblas_").starts_with(stem))
            })
            .collect();
        assert_eq!(names.len(), REPLACEMENTS.len());
        for (name, _) in REPLACEMENTS {
            assert!(names.contains(&name.to_str().expect("ASCII")), "{name:?}");
        }
    }

    #[test]
    fn hip_errors_become_the_statuses_of_5_x() {
        assert_eq!(status_of(0), status::SUCCESS);
        assert_eq!(status_of(1), status::INTERNAL_ERROR, "invalid value");
        assert_eq!(status_of(2), status::MEMORY_ERROR);
        assert_eq!(status_of(17), status::INVALID_POINTER);
        assert_eq!(status_of(98), status::INTERNAL_ERROR, "invalid device function");
        assert_eq!(status_of(101), status::INVALID_HANDLE);
        assert_eq!(status_of(400), status::INVALID_HANDLE);
    }
}
