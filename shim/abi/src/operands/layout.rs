//! Where the elements of a matrix or vector are.

/// Where the elements of one problem are, in elements from its address. Sizes are not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Equally spaced elements.
    Vector {
        /// How many.
        len: i64,
        /// Their distance. If it is negative, the last element is at the address; if it is zero, all are.
        inc: i64,
    },
    /// Equally spaced columns.
    Matrix {
        /// Elements of a column.
        rows: i64,
        /// How many columns.
        columns: i64,
        /// The distance of columns: not less than `rows`, or the call fails.
        ld: i64,
        /// Which elements are used.
        part: Part,
    },
    /// The columns of a triangle without gaps.
    Packed {
        /// Rows and columns of the matrix.
        order: i64,
        /// Which half. If the diagonal is not used, its elements still have their places.
        part: Part,
    },
    /// A band matrix: each column has its elements of the band. The main diagonal's elements are at
    /// `above + j * ld`.
    Band {
        /// Rows of the matrix.
        rows: i64,
        /// Columns of the matrix.
        columns: i64,
        /// Diagonals below the main one.
        below: i64,
        /// Diagonals above the main one.
        above: i64,
        /// The distance of columns: not less than the number of diagonals, or the call fails.
        ld: i64,
        /// Which elements of the band are used.
        part: Part,
    },
}

/// Which elements of a matrix are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    All,
    /// Those on and above the diagonal.
    Upper,
    /// Those on and below the diagonal.
    Lower,
    /// Those above the diagonal, which is assumed to be ones and not read.
    StrictUpper,
    /// Those below the diagonal, which is assumed to be ones and not read.
    StrictLower,
}

impl Part {
    /// How many diagonals below and above the main one are used; -1 without the main one.
    fn diagonals(self) -> (i64, i64) {
        match self {
            Self::All => (i64::MAX, i64::MAX),
            Self::Upper => (0, i64::MAX),
            Self::Lower => (i64::MAX, 0),
            Self::StrictUpper => (-1, i64::MAX),
            Self::StrictLower => (i64::MAX, -1),
        }
    }
}

/// A range of elements, in which some may be unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position of the first used element, relative to the address of the problem or of the operand.
    pub first: i64,
    /// The number of elements from the first to the last used one; at least one.
    pub len: i64,
}

impl Span {
    /// The largest number of elements that fits in memory, for double complex elements.
    const MOST: i64 = i64::MAX / 16;

    pub(super) fn new(first: i64, end: i64) -> Option<Self> {
        let len = end.checked_sub(first)?;
        let fits = first >= -Self::MOST && end <= Self::MOST && (1..=Self::MOST).contains(&len);
        fits.then_some(Self { first, len })
    }
}

/// Equally spaced elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The position of the first one, relative to the problem's address.
    pub first: i64,
    /// How many.
    pub len: i64,
    /// Their distance; at least one.
    pub step: i64,
}

impl Layout {
    /// The range from the first to the last used element. `None` if there are none, if there are more than
    /// memory can hold, or if the columns overlap, which rocBLAS refuses.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        if let Self::Vector { len, inc } = *self {
            let last = len.checked_sub(1).filter(|last| *last >= 0)?;
            return Span::new(0, last.checked_mul(inc.checked_abs()?)?.checked_add(1)?);
        }
        let fits = match *self {
            Self::Matrix { rows, ld, .. } => ld >= rows,
            Self::Band { below, above, ld, .. } => ld > below.saturating_add(above),
            _ => true,
        };
        let columns = self.columns().filter(|_| fits)?;
        let (first, last) = columns.used()?;
        let end = self.place(columns.rows(last).1.checked_sub(1)?, last)?.checked_add(1)?;
        Span::new(self.place(columns.rows(first).0, first)?, end)
    }

    /// The number of used elements, computed from the sizes alone.
    #[must_use]
    pub fn elements(&self) -> f64 {
        match (*self, self.columns()) {
            (Self::Vector { len, .. }, _) => len.max(0) as f64,
            (_, Some(columns)) => columns.elements(),
            (_, None) => 0.0,
        }
    }

    /// All used elements, each once, in order of address. Each run has as many elements as possible.
    #[must_use]
    pub fn runs(&self) -> Runs {
        let state = match (self.span(), *self) {
            (None, _) => State::End,
            (Some(_), Self::Vector { inc: 0, .. }) => State::One(Run { first: 0, len: 1, step: 1 }),
            (Some(_), Self::Vector { len, inc }) => {
                State::One(Run { first: 0, len, step: inc.saturating_abs() })
            }
            (Some(Span { first, len }), _) if self.elements() == len as f64 => {
                State::One(Run { first, len, step: 1 })
            }
            _ => match self.columns().and_then(|columns| Some((columns, columns.used()?))) {
                Some((columns, (next, last))) => State::Columns { columns, next, last },
                None => State::End,
            },
        };
        Runs { layout: *self, state }
    }

    /// The used rows of each column. `None` for a vector.
    fn columns(&self) -> Option<Columns> {
        let (rows, columns, (below, above), part) = match *self {
            Self::Vector { .. } => return None,
            Self::Matrix { rows, columns, part, .. } => (rows, columns, (i64::MAX, i64::MAX), part),
            Self::Packed { order, part } => (order, order, (i64::MAX, i64::MAX), part),
            Self::Band { rows, columns, below, above, part, .. } => {
                (rows, columns, (below, above), part)
            }
        };
        let diagonals = part.diagonals();
        let (below, above) = (below.min(diagonals.0), above.min(diagonals.1));
        Some(Columns { rows, columns, below, above })
    }

    /// The position of the element in row `i` and column `j`, which must be a used one.
    fn place(&self, i: i64, j: i64) -> Option<i64> {
        match *self {
            Self::Vector { .. } => None,
            Self::Matrix { ld, .. } => j.checked_mul(ld)?.checked_add(i),
            Self::Band { above, ld, .. } => {
                j.checked_mul(ld)?.checked_add(above)?.checked_add(i.checked_sub(j)?)
            }
            Self::Packed { part: Part::Lower | Part::StrictLower, order } => {
                // The columns before column j have order, order - 1, ... elements.
                let before =
                    j.checked_mul(order.checked_mul(2)?.checked_sub(j)?.checked_add(1)?)? / 2;
                before.checked_add(i.checked_sub(j)?)
            }
            Self::Packed { .. } => (j.checked_mul(j.checked_add(1)?)? / 2).checked_add(i),
        }
    }
}

/// The used rows of each column: `j - above <= i <= j + below` in a matrix.
#[derive(Clone, Copy, Debug)]
struct Columns {
    rows: i64,
    columns: i64,
    below: i64,
    above: i64,
}

impl Columns {
    /// The rows of column `j`: the first, and the one after the last.
    fn rows(&self, j: i64) -> (i64, i64) {
        let end = j.saturating_add(self.below).saturating_add(1).min(self.rows);
        (j.saturating_sub(self.above).max(0), end)
    }

    /// The first and the last column with elements; all columns between them have elements too.
    fn used(&self) -> Option<(i64, i64)> {
        let first = self.below.saturating_neg().max(0);
        let last = self.rows.saturating_sub(1).saturating_add(self.above).min(self.columns - 1);
        let has_diagonals = self.below.saturating_add(self.above) >= 0;
        (self.rows > 0 && has_diagonals && first <= last).then_some((first, last))
    }

    fn elements(&self) -> f64 {
        if self.used().is_none() {
            return 0.0;
        }
        let (rows, columns) = (self.rows as f64, self.columns as f64);
        // The elements below the used diagonals, and those above, are triangles in the corners.
        let too_low = triangle(rows - 1.0 - self.below as f64, columns);
        let too_high = triangle(columns - 1.0 - self.above as f64, rows);
        rows * columns - too_low - too_high
    }
}

/// The elements on and below the diagonal of a matrix.
fn triangle(rows: f64, columns: f64) -> f64 {
    let used = rows.min(columns).max(0.0);
    used * rows - used * (used - 1.0) / 2.0
}

/// An iterator over the used elements of a layout.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    layout: Layout,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    One(Run),
    Columns { columns: Columns, next: i64, last: i64 },
    End,
}

impl Iterator for Runs {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let state = self.state;
        self.state = State::End;
        match state {
            State::One(run) => Some(run),
            State::Columns { columns, next: j, last } => {
                if j < last {
                    self.state = State::Columns { columns, next: j + 1, last };
                }
                let (start, end) = columns.rows(j);
                Some(Run { first: self.layout.place(start, j)?, len: end - start, step: 1 })
            }
            State::End => None,
        }
    }
}
