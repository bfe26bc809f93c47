//! Plain tables with aligned columns.

use std::fmt;

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table; printing it ends every row with a line break.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with those headings; [`Self::row`] adds to it.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()],
        }
    }

    /// A table without headings: a name, and its value.
    #[must_use]
    pub fn facts<N: Into<String>, V: Into<String>>(rows: impl IntoIterator<Item = (N, V)>) -> Self {
        let rows = rows.into_iter().map(|(name, value)| vec![name.into(), value.into()]).collect();
        Self { columns: vec![Align::Left, Align::Left], rows }
    }

    /// Adds a row.
    ///
    /// If the number of cells differs from the number of columns.
    /// When it has not one cell per column.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell per column");
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                let padded = match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
                line.push_str(&padded);
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table =
            Table::new(&[("n", Align::Right), ("status", Align::Left), ("k", Align::Right)]);
        table.row(vec!["7".to_owned(), "a longer one".to_owned(), "12".to_owned()]);
        table.row(vec!["100".to_owned(), String::new(), "3".to_owned()]);
        assert_eq!(
            table.to_string(),
            "  n  status         k\n  7  a longer one  12\n100                 3\n"
        );
        assert_eq!(Table::facts([("a", "x y"), ("bcd", "z")]).to_string(), "a    x y\nbcd  z\n");
    }
}
