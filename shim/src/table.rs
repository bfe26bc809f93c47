//! The table that every stub jumps through, and the one it starts with.
//!
//! [`ROUTING`] points to a complete table from the first instruction on: [`COLD`], whose entries load
//! their index and find the function by it (`arch/x86_64/entry.rs`). Opening a backend makes another
//! table and publishes it with one release store, which switches every function at once.

use crate::trace::Session;
use rocblas_abi::EXPORTS;
pub(crate) use rocblas_abi::{index, name};
use rocblas_sync::routing::Routing;

/// The size of a table entry in bytes, as the stubs' addressing has it.
pub(crate) const ENTRY_SIZE: usize = 8;

/// An address to jump to. Not a Rust function pointer: its real signature is the export's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Target(pub(crate) *const ());

// SAFETY: an address of code that stays mapped; it carries no access to data.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// One target for each export, by index.
pub(crate) type Table = [Target; EXPORTS];

const _: () = assert!(size_of::<Target>() == ENTRY_SIZE);

/// Before a backend is open, and where it lacks a function: entry `i` passes `i` on.
pub(crate) static COLD: Table = crate::arch::cold_entries();

/// What the stubs jump through, and the trace that thunks record in.
pub(crate) static ROUTING: Routing<Table, Session> = Routing::new(&COLD);

/// How often to look whether the table has been published: far more often than it takes, and not
/// without end in a child that was forked just then.
pub(crate) const LOOKS: u32 = 100_000;
