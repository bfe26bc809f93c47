//! The table that every stub jumps through, and its initial state.
//!
//! [`ROUTING`] always points to a complete table. Initially this is [`COLD`], whose entries load their
//! index and find the function by it (`arch/x86_64/entry.rs`). Opening a backend builds another table and
//! publishes it with one release store, which switches all functions at once.

#[cfg(not(test))]
pub(crate) use crate::names::{index, name};
use crate::trace::Session;
use rocblas_abi::EXPORTS;
// A program of unit tests exports no symbols.
#[cfg(test)]
pub(crate) use rocblas_abi::{index, name};
use rocblas_sync::routing::Routing;

/// The size of a table entry in bytes, which the stubs use for addressing.
pub(crate) const ENTRY_SIZE: usize = 8;

/// An address to jump to. Not a Rust function pointer: its real signature is the export's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Target(pub(crate) *const ());

// SAFETY: an address of code that stays mapped; it gives no access to data.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// One target for each export, by index.
pub(crate) type Table = [Target; EXPORTS];

const _: () = assert!(size_of::<Target>() == ENTRY_SIZE);

/// The table before a backend is open, and the entries for functions that a backend lacks: entry `i` passes
/// `i` on.
pub(crate) static COLD: Table = crate::arch::cold_entries();

/// The table that the stubs jump through, and the trace that thunks record to.
pub(crate) static ROUTING: Routing<Table, Session> = Routing::new(&COLD);

/// How often to check whether the table has been published: far more often than necessary, but bounded,
/// because in a child forked at that moment it never is.
pub(crate) const LOOKS: u32 = 100_000;
