//! Vectors and matrices in the caller's memory.
//!
//! All element access of this library goes through [`Vector`] and [`Matrix`]. Both copy elements in and out
//! and never create references, because BLAS allows operands to share memory. Both check every index against
//! their shape, so an algorithm with a wrong loop bound panics instead of accessing memory outside of what
//! the caller described. They hide increments, leading dimensions, transposition and conjugation: an
//! algorithm uses element `i`, or `(i, j)`.

use core::ops::Range;

use crate::checks::{Diagonal, Fill, Operation};
use crate::faults;
use crate::scalar::{Element, Number};

/// `len` elements that are `inc` elements apart; `inc` may be zero or negative.
#[derive(Clone, Copy)]
pub(crate) struct Vector<E> {
    first: *mut E,
    len: i64,
    inc: i64,
}

impl<E: Element> Vector<E> {
    /// A vector as BLAS describes it: with a negative increment, `start` points to the last element.
    ///
    /// # Safety
    /// The memory that BLAS defines for a vector of this length and increment must be valid for reads, and
    /// for writes if [`set`](Self::set) is used, for as long as the view exists.
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
        // SAFETY: `at` has checked the index, and the constructor's caller guarantees the elements.
        unsafe { self.at(i).read() }.load()
    }

    pub(crate) fn set(self, i: i64, value: E::Number) {
        self.write(i, value);
        faults::wrote(value, move |value| self.write(i, value));
    }

    fn write(self, i: i64, value: E::Number) {
        // SAFETY: as in `get`.
        unsafe { self.at(i).write(E::store(value)) }
    }

    /// All elements, for algorithms that overwrite elements that they still have to read.
    pub(crate) fn to_vec(self) -> Vec<E::Number> {
        (0..self.len).map(|i| self.get(i)).collect()
    }
}

/// How the elements of a matrix are arranged.
#[derive(Clone, Copy)]
enum Storage {
    /// Columns begin `ld` elements apart.
    Columns { ld: i64 },
    /// The columns of the upper half follow each other.
    PackedUpper,
    /// The columns of the lower half of a matrix of this order follow each other.
    PackedLower { order: i64 },
    /// Diagonals are rows: `above` of them precede the main one in each column, `below` follow it.
    Band { ld: i64, below: i64, above: i64 },
}

/// A matrix stored column by column, or seen through a transposition.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<E> {
    first: *mut E,
    rows: i64,
    columns: i64,
    storage: Storage,
    transposed: bool,
    conjugated: bool,
}

impl<E: Element> Matrix<E> {
    /// A `rows` by `columns` matrix whose columns begin `ld` elements apart.
    ///
    /// # Safety
    /// All elements must be valid for reads, and for writes if [`set`](Self::set) is used, for as long as the
    /// view exists.
    pub(crate) unsafe fn new(start: *mut E, rows: i64, columns: i64, ld: i64) -> Self {
        Self::stored(start, rows, columns, Storage::Columns { ld })
    }

    /// One half of a square matrix, without gaps between its columns.
    ///
    /// # Safety
    /// As for [`new`](Self::new), but only for the elements of this half. Other elements must not be
    /// accessed.
    pub(crate) unsafe fn packed(start: *mut E, order: i64, fill: Fill) -> Self {
        let storage = match fill {
            Fill::Upper => Storage::PackedUpper,
            Fill::Lower => Storage::PackedLower { order },
        };
        Self::stored(start, order, order, storage)
    }

    /// A `rows` by `columns` matrix of which `below` diagonals below the main one and `above` diagonals above
    /// it are stored, each in a row of memory.
    ///
    /// # Safety
    /// As for [`new`](Self::new), but only for the elements of the band. Other elements must not be accessed:
    /// see [`row`](Self::row).
    pub(crate) unsafe fn band(
        start: *mut E,
        (rows, columns): (i64, i64),
        (below, above): (i64, i64),
        ld: i64,
    ) -> Self {
        Self::stored(start, rows, columns, Storage::Band { ld, below, above })
    }

    fn stored(first: *mut E, rows: i64, columns: i64, storage: Storage) -> Self {
        Self { first, rows, columns, storage, transposed: false, conjugated: false }
    }

    pub(crate) fn rows(self) -> i64 {
        self.rows
    }

    pub(crate) fn columns(self) -> i64 {
        self.columns
    }

    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// op(A): the matrix with an [`Operation`] applied.
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
        let (i, j) = if self.transposed { (j, i) } else { (i, j) };
        let offset = match self.storage {
            Storage::Columns { ld } => i + j * ld,
            Storage::PackedUpper => i + j * (j + 1) / 2,
            Storage::PackedLower { order } => i + j * (2 * order - j - 1) / 2,
            Storage::Band { ld, above, .. } => above + i - j + j * ld,
        };
        self.first.wrapping_offset(offset as isize)
    }

    /// The columns of row `i` in which a band has elements; all columns for other matrices.
    pub(crate) fn row(self, i: i64) -> Range<i64> {
        match self.storage {
            Storage::Band { below, above, .. } => {
                let (left, right) = if self.transposed { (above, below) } else { (below, above) };
                (i - left).max(0)..(i + right + 1).min(self.columns)
            }
            _ => 0..self.columns,
        }
    }

    pub(crate) fn get(self, i: i64, j: i64) -> E::Number {
        // SAFETY: `at` has checked both indices, and the constructor's caller guarantees the elements.
        let value = unsafe { self.at(i, j).read() }.load();
        if self.conjugated { value.conjugate() } else { value }
    }

    /// Overwrites an element, with the view's transposition and conjugation.
    pub(crate) fn set(self, i: i64, j: i64, value: E::Number) {
        self.write(i, j, value);
        faults::wrote(value, move |value| self.write(i, j, value));
    }

    fn write(self, i: i64, j: i64, value: E::Number) {
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

/// op(A) of a triangular A. The other half of A is never read.
#[derive(Clone, Copy)]
pub(crate) struct Triangle<E> {
    operated: Matrix<E>,
    /// Which half of op(A), not of A, contains the elements.
    lower: bool,
    unit: bool,
}

impl<E: Element> Triangle<E> {
    pub(crate) fn new(a: Matrix<E>, fill: Fill, operation: Operation, diagonal: Diagonal) -> Self {
        let fill = faults::triangle(fill);
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

    /// The diagonal element of row `i`, which is not read if it is declared to be one.
    pub(crate) fn diagonal(self, i: i64) -> E::Number {
        if self.unit { E::Number::ONE } else { self.operated.get(i, i) }
    }

    /// The columns of row `i` that contain its off-diagonal elements, in the order in which their products
    /// are added.
    pub(crate) fn beside_diagonal(self, i: i64) -> impl Iterator<Item = i64> {
        let row = self.operated.row(i);
        let (start, end) = if self.lower { (row.start, i) } else { (i + 1, row.end) };
        faults::terms(end - start).map(move |j| start + j)
    }

    /// An off-diagonal element; `j` must come from [`beside_diagonal`](Self::beside_diagonal).
    pub(crate) fn get(self, i: i64, j: i64) -> E::Number {
        self.operated.get(i, j)
    }
}

/// Whether the half that is not stored mirrors the stored one as it is, or conjugated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mirror {
    Symmetric,
    Hermitian,
}

/// A symmetric or Hermitian matrix of which one half is stored and the other is never read.
#[derive(Clone, Copy)]
pub(crate) struct Mirrored<E> {
    stored: Matrix<E>,
    lower: bool,
    mirror: Mirror,
}

impl<E: Element> Mirrored<E> {
    pub(crate) fn new(a: Matrix<E>, fill: Fill, mirror: Mirror) -> Self {
        Self { stored: a, lower: faults::triangle(fill) == Fill::Lower, mirror }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { stored: self.stored.transposed(), lower: !self.lower, ..self }
    }

    /// The columns of row `i` in which a band has elements; all columns for other matrices.
    pub(crate) fn row(self, i: i64) -> Range<i64> {
        let (row, mirrored) = (self.stored.row(i), self.stored.transposed().row(i));
        row.start.min(mirrored.start)..row.end.max(mirrored.end)
    }

    /// Any element. A Hermitian diagonal is real by definition, even if imaginary parts are stored.
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
