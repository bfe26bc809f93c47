//! Vectors and matrices in the caller's memory.
//!
//! All element access of this library goes through [`Vector`] and [`Matrix`]. Both copy elements in
//! and out and never form references, because BLAS allows operands that are the same memory; both
//! check every index against their shape, so an algorithm with a wrong loop bound panics instead of
//! reaching outside what the caller described. Increments, leading dimensions, transposition and
//! conjugation end here: an algorithm sees element `i`, or `(i, j)`.

use crate::checks::{Diagonal, Fill, Operation};
use crate::scalar::{Element, Number};

/// `len` elements at a distance of `inc` elements from one another; `inc` may be zero or negative.
#[derive(Clone, Copy)]
pub(crate) struct Vector<E> {
    first: *mut E,
    len: i64,
    inc: i64,
}

impl<E: Element> Vector<E> {
    /// A vector as BLAS describes it: with a negative increment, `start` is the last element.
    ///
    /// # Safety
    /// The memory that BLAS ascribes to a vector of this length and increment must be valid for
    /// reads, and for writes if [`set`](Self::set) is used, as long as the view is.
    pub(crate) unsafe fn new(start: *mut E, len: i64, inc: i64) -> Self {
        let shift = if inc < 0 { (1 - len) * inc } else { 0 };
        Self { first: start.wrapping_offset(shift as isize), len, inc }
    }

    pub(crate) fn len(self) -> i64 {
        self.len
    }

    fn at(self, i: i64) -> *mut E {
        assert!((0..self.len).contains(&i), "element {i} of a vector of {}", self.len);
        self.first.wrapping_offset((i * self.inc) as isize)
    }

    pub(crate) fn get(self, i: i64) -> E::Number {
        // SAFETY: `at` has checked the index, and the constructor's caller vouches for the elements.
        unsafe { self.at(i).read() }.load()
    }

    pub(crate) fn set(self, i: i64, value: E::Number) {
        // SAFETY: as in `get`.
        unsafe { self.at(i).write(E::store(value)) }
    }

    /// All elements, for algorithms that overwrite what they still have to read.
    pub(crate) fn to_vec(self) -> Vec<E::Number> {
        (0..self.len).map(|i| self.get(i)).collect()
    }
}

/// A matrix stored column by column, or seen through a transposition.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<E> {
    first: *mut E,
    rows: i64,
    columns: i64,
    row_step: i64,
    column_step: i64,
    conjugated: bool,
}

impl<E: Element> Matrix<E> {
    /// A `rows` by `columns` matrix whose columns begin `ld` elements apart.
    ///
    /// # Safety
    /// All elements must be valid for reads, and for writes if [`set`](Self::set) is used, as long
    /// as the view is.
    pub(crate) unsafe fn new(start: *mut E, rows: i64, columns: i64, ld: i64) -> Self {
        Self { first: start, rows, columns, row_step: 1, column_step: ld, conjugated: false }
    }

    pub(crate) fn rows(self) -> i64 {
        self.rows
    }

    pub(crate) fn columns(self) -> i64 {
        self.columns
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }

    /// op(A): the matrix as an [`Operation`] makes it.
    pub(crate) fn operated(self, operation: Operation) -> Self {
        match operation {
            Operation::None => self,
            Operation::Transpose => self.transposed(),
            Operation::ConjugateTranspose => {
                Self { conjugated: !self.conjugated, ..self.transposed() }
            }
        }
    }

    fn at(self, i: i64, j: i64) -> *mut E {
        assert!(
            (0..self.rows).contains(&i) && (0..self.columns).contains(&j),
            "element ({i}, {j}) of a {} by {} matrix",
            self.rows,
            self.columns
        );
        self.first.wrapping_offset((i * self.row_step + j * self.column_step) as isize)
    }

    pub(crate) fn get(self, i: i64, j: i64) -> E::Number {
        // SAFETY: `at` has checked both indices, and the constructor's caller vouches for the
        // elements.
        let value = unsafe { self.at(i, j).read() }.load();
        if self.conjugated { value.conjugate() } else { value }
    }

    /// Overwrites an element, as it is seen through the view.
    pub(crate) fn set(self, i: i64, j: i64, value: E::Number) {
        let value = if self.conjugated { value.conjugate() } else { value };
        // SAFETY: as in `get`.
        unsafe { self.at(i, j).write(E::store(value)) }
    }

    pub(crate) fn column(self, j: i64) -> Vec<E::Number> {
        (0..self.rows).map(|i| self.get(i, j)).collect()
    }

    /// All elements, column by column without gaps.
    pub(crate) fn to_vec(self) -> Vec<E::Number> {
        (0..self.columns).flat_map(|j| self.column(j)).collect()
    }
}

/// op(A) of a triangular A. The other half of A's square is never read.
#[derive(Clone, Copy)]
pub(crate) struct Triangle<E> {
    operated: Matrix<E>,
    /// Which half of op(A), not of A, the elements are in.
    lower: bool,
    unit: bool,
}

impl<E: Element> Triangle<E> {
    pub(crate) fn new(a: Matrix<E>, fill: Fill, operation: Operation, diagonal: Diagonal) -> Self {
        Self {
            operated: a.operated(operation),
            lower: (fill == Fill::Lower) == (operation == Operation::None),
            unit: diagonal == Diagonal::Unit,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { operated: self.operated.transposed(), lower: !self.lower, ..self }
    }

    pub(crate) fn is_lower(self) -> bool {
        self.lower
    }

    /// The diagonal element of row `i`, which is not read where it is one by declaration.
    pub(crate) fn diagonal(self, i: i64) -> E::Number {
        if self.unit { E::Number::ONE } else { self.operated.get(i, i) }
    }

    /// The columns of row `i` that hold its elements off the diagonal.
    pub(crate) fn beside_diagonal(self, i: i64) -> core::ops::Range<i64> {
        if self.lower { 0..i } else { i + 1..self.operated.columns }
    }

    /// An element off the diagonal; `j` must come from [`beside_diagonal`](Self::beside_diagonal).
    pub(crate) fn get(self, i: i64, j: i64) -> E::Number {
        self.operated.get(i, j)
    }
}

/// Whether the half that is not stored mirrors the other one, or mirrors it conjugated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mirror {
    Symmetric,
    Hermitian,
}

/// A symmetric or Hermitian matrix of which one half is stored and the other never read.
#[derive(Clone, Copy)]
pub(crate) struct Mirrored<E> {
    stored: Matrix<E>,
    lower: bool,
    mirror: Mirror,
}

impl<E: Element> Mirrored<E> {
    pub(crate) fn new(a: Matrix<E>, fill: Fill, mirror: Mirror) -> Self {
        Self { stored: a, lower: fill == Fill::Lower, mirror }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { stored: self.stored.transposed(), lower: !self.lower, ..self }
    }

    /// Any element. A Hermitian diagonal is real by definition, whatever is stored beside it.
    pub(crate) fn get(self, i: i64, j: i64) -> E::Number {
        let stored = if self.lower { i >= j } else { i <= j };
        match (stored, self.mirror) {
            (true, Mirror::Hermitian) if i == j => {
                E::Number::from_real(self.stored.get(i, i).real())
            }
            (true, _) => self.stored.get(i, j),
            (false, Mirror::Symmetric) => self.stored.get(j, i),
            (false, Mirror::Hermitian) => self.stored.get(j, i).conjugate(),
        }
    }
}
