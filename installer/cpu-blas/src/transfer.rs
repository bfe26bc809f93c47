//! `rocblas_{set,get}_{vector,matrix}`: copies between host and device memory, here the same.
//!
//! Each function implements four of the vendor's: both directions, and their `_async` variants. Those
//! have one more argument at the end, the stream, which the calling convention lets a callee ignore.

use core::ffi::c_void;

use crate::abi::{Index, wide};
use crate::checks::{pointers, quick_return, sizes};
use crate::status::{Course, Status};

/// Copies `n` elements of `elem_size` bytes; increments count elements.
pub(crate) unsafe extern "C" fn copy_vector<I: Index>(
    n: I,
    elem_size: I,
    x: *const c_void,
    incx: I,
    y: *mut c_void,
    incy: I,
) -> Status {
    let [n, elem_size, incx, incy] = wide([n, elem_size, incx, incy]);
    let copy = || -> Course {
        quick_return(n == 0)?;
        sizes(n > 0 && incx > 0 && incy > 0 && elem_size > 0)?;
        pointers(!x.is_null() && !y.is_null())?;
        copy_blocks(n, elem_size, x, incx * elem_size, y, incy * elem_size);
        Ok(())
    };
    copy().err().unwrap_or(Status::Success)
}

/// Copies a `rows` by `cols` matrix of elements of `elem_size` bytes; leading dimensions count
/// elements.
pub(crate) unsafe extern "C" fn copy_matrix<I: Index>(
    rows: I,
    cols: I,
    elem_size: I,
    a: *const c_void,
    lda: I,
    b: *mut c_void,
    ldb: I,
) -> Status {
    let [rows, cols, elem_size, lda, ldb] = wide([rows, cols, elem_size, lda, ldb]);
    let copy = || -> Course {
        quick_return(rows == 0 || cols == 0)?;
        sizes(rows > 0 && cols > 0 && lda > 0 && ldb > 0)?;
        sizes(rows <= lda && rows <= ldb && elem_size > 0)?;
        pointers(!a.is_null() && !b.is_null())?;
        copy_blocks(cols, rows * elem_size, a, lda * elem_size, b, ldb * elem_size);
        Ok(())
    };
    copy().err().unwrap_or(Status::Success)
}

/// Copies `count` blocks of `size` bytes that lie `from_step` and `to_step` bytes apart.
fn copy_blocks(
    count: i64,
    size: i64,
    from: *const c_void,
    from_step: i64,
    to: *mut c_void,
    to_step: i64,
) {
    for i in 0..count {
        let source = from.cast::<u8>().wrapping_offset((i * from_step) as isize);
        let target = to.cast::<u8>().wrapping_offset((i * to_step) as isize);
        // SAFETY: the caller of the entry point guarantees both arrays in the checked shape. They
        // may overlap: `copy` is memmove.
        unsafe { core::ptr::copy(source, target, size as usize) }
    }
}

#[cfg(test)]
mod tests;
