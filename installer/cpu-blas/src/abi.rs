//! The calling convention of the numerical routines, as types.
//!
//! rocBLAS has six variants of each routine: for a single problem, for a table of pointers and for a constant
//! stride, each with 32-bit and with 64-bit sizes. The parameter lists differ in only three ways: the
//! integers are wider, the arrays are tables of pointers, and a stride after each array and a batch count may
//! be present or absent. So each routine is **one** function, generic over [`Index`] and [`Form`]. A
//! parameter that a form does not have is of the type [`Absent`]: an empty C struct, which the x86-64 System
//! V ABI does not pass at all. The tests call every form as a C caller would, which verifies this assumption.
//!
//! The pointer types here are values that only a caller of an entry point can create, as its arguments. By
//! calling, which is unsafe, the caller guarantees, as for the real rocBLAS, that each pointer that the
//! routine follows points to memory of the shape described by the other arguments. That guarantee makes the
//! few `unsafe` blocks of this file sound. Everything built on them is safe code that accesses the described
//! shapes, after the argument checks.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use crate::checks::Fill;
use crate::faults;
use crate::handle::{Handle, HandlePointer};
use crate::scalar::Element;
use crate::status::{Course, Status};
use crate::views::{Matrix, Vector};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("absent parameters rely on the x86-64 System V calling convention");

/// The integer type of sizes: `rocblas_int`, or `int64_t` in the `_64` functions.
pub(crate) trait Index: Copy + Into<i64> + 'static {
    /// Converts a position to an index result. A position always fits, as it is bounded by a size of the same
    /// type.
    fn from_position(position: i64) -> Self;
}

impl Index for i32 {
    fn from_position(position: i64) -> Self {
        position as i32
    }
}

impl Index for i64 {
    fn from_position(position: i64) -> Self {
        position
    }
}

/// Widens all integers of a routine at once.
pub(crate) fn wide<I: Index, const N: usize>(sizes: [I; N]) -> [i64; N] {
    let sizes = sizes.map(Into::into);
    faults::sizes(&sizes);
    sizes
}

/// Takes the place of a parameter that a form does not have.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Absent {}

const _: () = assert!(size_of::<Absent>() == 0);

/// How a routine takes its arrays: one of the three batch forms.
pub(crate) trait Form: 'static {
    type Array<T: Copy>: Copy;
    type Stride: Copy;
    type Count<I: Index>: Copy;

    fn operand<T: Copy>(array: Self::Array<T>, stride: Self::Stride) -> Operand<T>;
    fn count<I: Index>(count: Self::Count<I>) -> i64;
}

/// One problem: no strides, no batch count.
pub(crate) struct Single;
/// `_batched`: arrays are tables of pointers in (device) memory.
pub(crate) struct Batched;
/// `_strided_batched`: consecutive problems lie a constant number of elements apart.
pub(crate) struct StridedBatched;

impl Form for Single {
    type Array<T: Copy> = Array<T>;
    type Stride = Absent;
    type Count<I: Index> = Absent;

    fn operand<T: Copy>(array: Array<T>, Absent {}: Absent) -> Operand<T> {
        Operand::Strided { start: array.0, stride: 0 }
    }
    fn count<I: Index>(Absent {}: Absent) -> i64 {
        1
    }
}

impl Form for Batched {
    type Array<T: Copy> = PointerTable<T>;
    type Stride = Absent;
    type Count<I: Index> = I;

    fn operand<T: Copy>(array: PointerTable<T>, Absent {}: Absent) -> Operand<T> {
        Operand::Table(array.0)
    }
    fn count<I: Index>(count: I) -> i64 {
        count.into()
    }
}

impl Form for StridedBatched {
    type Array<T: Copy> = Array<T>;
    type Stride = i64;
    type Count<I: Index> = I;

    fn operand<T: Copy>(array: Array<T>, stride: i64) -> Operand<T> {
        Operand::Strided { start: array.0, stride }
    }
    fn count<I: Index>(count: I) -> i64 {
        count.into()
    }
}

/// The element type of arrays and scalars whose type is given by another argument. (`c_void` is not `Copy`.)
pub(crate) type Untyped = ();

/// An array argument.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Array<T>(*mut T);

/// A table of arrays, one per problem.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct PointerTable<T>(*const *mut T);

/// An array argument, with what is needed to find the array of each problem of a batch.
#[derive(Clone, Copy)]
pub(crate) enum Operand<T> {
    Strided { start: *mut T, stride: i64 },
    Table(*const *mut T),
}

impl<T: Copy> Operand<T> {
    /// The argument itself as an address, whatever it points to, for comparing arguments.
    pub(crate) fn address(self) -> *const () {
        match self {
            Self::Strided { start, .. } => start.cast_const().cast(),
            Self::Table(table) => table.cast(),
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.address().is_null()
    }

    /// The start of the array of problem `problem`. A null argument is null for every problem, which is legal
    /// if the routine does not read the array.
    fn start(self, problem: i64) -> *mut T {
        match self {
            Self::Strided { start, stride } => start.wrapping_offset((problem * stride) as isize),
            Self::Table(table) if table.is_null() => core::ptr::null_mut(),
            // SAFETY: the caller guarantees a table with a pointer for each problem of the batch.
            Self::Table(table) => unsafe { table.wrapping_offset(problem as isize).read() },
        }
    }

    /// The vector of one problem. The shape must be the one that the arguments describe.
    pub(crate) fn vector(self, problem: i64, len: i64, inc: i64) -> Vector<T>
    where
        T: Element,
    {
        // SAFETY: the caller of the entry point guarantees memory of the described shape.
        unsafe { Vector::new(self.start(problem), len, inc) }
    }

    /// The matrix of one problem. The shape must be the one that the arguments describe.
    pub(crate) fn matrix(self, problem: i64, rows: i64, columns: i64, ld: i64) -> Matrix<T>
    where
        T: Element,
    {
        // SAFETY: as in `vector`.
        unsafe { Matrix::new(self.start(problem), rows, columns, ld) }
    }
}

impl<E: Element> Operand<E> {
    /// The matrix of one problem, of which one half is stored without gaps. The shape must be the one that
    /// the arguments describe.
    pub(crate) fn packed(self, problem: i64, order: i64, fill: Fill) -> Matrix<E> {
        // SAFETY: as in `vector`.
        unsafe { Matrix::packed(self.start(problem), order, fill) }
    }

    /// The band matrix of one problem. The shape must be the one that the arguments describe.
    pub(crate) fn band(
        self,
        problem: i64,
        shape: (i64, i64),
        diagonals: (i64, i64),
        ld: i64,
    ) -> Matrix<E> {
        // SAFETY: as in `vector`.
        unsafe { Matrix::band(self.start(problem), shape, diagonals, ld) }
    }
}

impl Operand<Untyped> {
    /// The operand with its element type, once another argument has given it.
    pub(crate) fn of<E: Element>(self) -> Operand<E> {
        match self {
            Self::Strided { start, stride } => Operand::Strided { start: start.cast(), stride },
            Self::Table(table) => Operand::Table(table.cast()),
        }
    }
}

/// A scalar argument, such as alpha.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Scalar<T>(*const T);

impl<T> Scalar<T> {
    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

impl<E: Element> Scalar<E> {
    /// The scalar, or `invalid_pointer` for null.
    ///
    /// Reads the value in both pointer modes. Device memory is host memory here, so unlike the vendor's host
    /// code this library can always use the value to decide whether there is anything to do.
    pub(crate) fn value(self) -> Result<E::Number, Status> {
        if self.is_null() {
            return Err(Status::InvalidPointer);
        }
        // SAFETY: not null, so the caller guarantees a scalar there.
        Ok(unsafe { self.0.read() }.load())
    }
}

impl Scalar<Untyped> {
    /// The scalar with its type, once another argument has given it.
    pub(crate) fn of<E: Element>(self) -> Scalar<E> {
        Scalar(self.0.cast())
    }
}

/// A result argument: one value for each problem, without gaps.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Results<T>(*mut T);

impl<T: Copy> Results<T> {
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Sets the result of one problem, which must belong to the batch.
    pub(crate) fn set(self, problem: i64, value: T) {
        let place = self.0.wrapping_offset(problem as isize);
        // SAFETY: the routines have checked for null, and the caller guarantees room for one result for each
        // problem.
        unsafe { place.write(value) }
    }
}

impl Results<Untyped> {
    /// The results with their type, once another argument has given it.
    pub(crate) fn of<E: Element>(self) -> Results<E> {
        Results(self.0.cast())
    }

    /// Sets the results of all problems to zero, as `memset` does.
    pub(crate) fn clear(self, element_size: usize, problems: i64) {
        let bytes = Results(self.0.cast::<u8>());
        for byte in 0..problems * element_size as i64 {
            bytes.set(byte, 0);
        }
    }
}

/// Runs the body of a numerical routine, in which a test may have planted a fault.
pub(crate) fn compute(handle: HandlePointer, body: impl FnOnce(&Handle) -> Course) -> Status {
    faults::begin();
    let status = status_of(handle, body);
    faults::end();
    status
}

/// Runs a routine's body on a valid handle and converts its result to a status.
///
/// A panic becomes `internal_error`, like the vendor's exceptions: it must not unwind into C.
pub(crate) fn status_of(handle: HandlePointer, body: impl FnOnce(&Handle) -> Course) -> Status {
    let run = || handle.get().and_then(body);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => Status::Success,
        Ok(Err(status)) => status,
        Err(_) => Status::InternalError,
    }
}
