//! Determines what a power cut may leave of a command's changes: the command's operations on files are
//! recorded, and replayed on a model of a file system that may lose everything that was not synced.
//!
//! [`record()`] runs a command under ptrace and returns its [`Log`]. [`Log::crashes`] enumerates the
//! file systems that a power cut may leave at any point of it. The method is that of ALICE
//! (Pillai et al., OSDI 2014) and of SQLite's crash tests.
//!
//! # The model
//! - `fsync` and `fdatasync` of a file make its data and attributes durable, not its names.
//! - `fsync` of a directory makes durable every operation on its names so far; `sync` and `syncfs`
//!   make durable everything so far.
//! - Data that is not durable may be missing (the former content, or none), be zeros of the full
//!   length, or be the first half.
//! - Every operation on names is atomic: a rename in two directories, an exchange.
//! - Operations on names of one directory persist in order, those of different directories in any
//!   order ([`Ordering::Directory`]); or only operations on the same name persist in order
//!   ([`Ordering::Name`]). Making a directory comes before everything in it, removing it after.
//! - Data, attributes and names are independent of each other. A file system that writes a file's
//!   data before the name that replaces another (ext4's `auto_da_alloc`) promises more.
//! - `O_SYNC`, `msync` and `sync_file_range` have no effect.
//!
//! Journaling file systems guarantee more than this model, so results for the model apply to them too.

mod attributes;
mod content;
mod crash;
mod log;
mod model;
mod record;
mod scan;
mod write;

pub use attributes::Attributes;
pub use content::Content;
pub use crash::{Crash, Ordering};
pub use log::{Effect, Log, Operation, Place};
pub use model::{FileSystem, Node, NodeId};
pub use record::{Recording, record};

#[cfg(test)]
mod tests;
