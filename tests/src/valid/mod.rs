//! Random valid calls of the functions whose operands the table describes: arguments from the signature and
//! the documented types, and memory from the operands.

mod arguments;
mod memory;
mod random;
pub mod types;

pub use arguments::Arguments;
pub use memory::{Memory, Place};
pub use random::Random;
