//! Fills a table with a backend's functions.

use super::open::Handle;
use crate::{
    own,
    table::{COLD, Table, name},
};
use rocblas_contract::sentences;

/// The backend's functions; the cold entry for each one that it lacks.
///
/// An address inside the shim is refused: jumping to it would loop forever.
pub(crate) fn resolve(backend: Handle) -> Result<Box<Table>, String> {
    let mut table = Box::new(COLD);
    let own = own::range();
    for (index, entry) in table.iter_mut().enumerate() {
        match backend.symbol(name(index)) {
            Some(target) if own.contains(&(target.0 as usize)) => {
                return Err(sentences::leads_back(name(index).to_string_lossy()));
            }
            Some(target) => *entry = target,
            None => {}
        }
    }
    Ok(table)
}

/// Indices of the exports without a function in a table.
pub(crate) fn missing(table: &Table) -> Vec<u16> {
    let entries = table.iter().zip(&COLD).zip(0..);
    entries.filter(|((entry, cold), _)| entry == cold).map(|(_, index)| index).collect()
}
