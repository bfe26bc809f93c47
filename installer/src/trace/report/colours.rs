//! Assigns colours to functions: those with the most time have one each, all others share the last.

use super::text::shortened;
use crate::trace::summary::Row;
use rocblas_abi::C_EXPORTS;
use std::ffi::CString;

/// The number of functions with their own colour. With more, people with a colour vision deficiency cannot
/// tell them apart: see the palettes in `style.css`.
pub(super) const OWN: usize = 5;

/// The number of colours, of which the last is for all other functions.
pub(super) const COLOURS: usize = OWN + 1;

/// The most characters of a function's name: the longest in rocBLAS has about fifty.
const MOST_CHARACTERS: usize = 80;

/// The colours of functions.
#[derive(Clone, Debug)]
pub(super) struct Colours {
    /// Functions with their own colour, indexed by colour.
    names: Vec<String>,
    /// Colours, indexed by the function's index in this program's table.
    by_index: Vec<u8>,
}

impl Colours {
    /// Assigns colours in this order: the first functions get their own.
    pub(super) fn of(functions: &[Row]) -> Self {
        let names: Vec<String> =
            functions.iter().take(OWN).map(|row| row.function.clone()).collect();
        let mut by_index = vec![OWN as u8; C_EXPORTS];
        for (colour, name) in (0..).zip(&names) {
            let index = CString::new(name.as_str()).ok().and_then(|name| rocblas_abi::index(&name));
            if let Some(place) = index.and_then(|index| by_index.get_mut(index)) {
                *place = colour;
            }
        }
        Self { names, by_index }
    }

    /// The colour of the function at an index in this program's table.
    pub(super) fn of_index(&self, function: usize) -> usize {
        self.by_index.get(function).map_or(OWN, |colour| usize::from(*colour))
    }

    /// The colour of a function, by its name, which this program need not know.
    pub(super) fn of_name(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or(OWN)
    }

    /// The short name of the function that has a colour.
    pub(super) fn name(&self, colour: usize) -> String {
        self.names.get(colour).map_or_else(|| "other".to_owned(), |name| short(name))
    }

    /// Functions with their own colour.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

/// A function's name without the common prefix. The name of an unknown function may be of any length.
pub(crate) fn short(name: &str) -> String {
    shortened(name.strip_prefix("rocblas_").unwrap_or(name), MOST_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(function: &str) -> Row {
        Row { function: function.to_owned(), ..super::super::testing::row() }
    }

    #[test]
    fn the_first_functions_have_colours_of_their_own() {
        let names = ["sgemm", "strsm", "from_the_future", "sscal", "sdot", "saxpy", "sswap"];
        let rows: Vec<Row> = names.iter().map(|name| row(&format!("rocblas_{name}"))).collect();
        let colours = Colours::of(&rows);
        for (expected, name) in [0, 1, 2, 3, 4, OWN, OWN].into_iter().zip(names) {
            let full = format!("rocblas_{name}");
            assert_eq!(colours.of_name(&full), expected, "{name}");
            if let Some(function) = rocblas_abi::by_name(&full) {
                assert_eq!(colours.of_index(usize::from(function.index)), expected, "{name}");
            }
        }
        assert_eq!(
            (colours.name(2), colours.name(OWN)),
            ("from_the_future".into(), "other".into())
        );
    }
}
