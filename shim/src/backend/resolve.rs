//! Fills a table with a backend's functions.

use super::open::Handle;
use crate::{
    own,
    table::{COLD, Table, name},
};

/// The table, and the indices of the exports that the backend lacks; they keep their cold entry.
///
/// An address inside the shim is no function of a backend: jumping to it would come back for ever.
pub(crate) fn resolve(backend: Handle) -> Result<(Box<Table>, Vec<u16>), String> {
    let mut table = Box::new(COLD);
    let mut missing = Vec::new();
    let own = own::range();
    for (index, entry) in table.iter_mut().enumerate() {
        match backend.symbol(name(index)) {
            Some(target) if own.contains(&(target.0 as usize)) => {
                return Err(format!(
                    "leads back to the shim: its {} is the shim's own",
                    name(index).to_string_lossy()
                ));
            }
            Some(target) => *entry = target,
            None => missing.push(index as u16),
        }
    }
    Ok((table, missing))
}
