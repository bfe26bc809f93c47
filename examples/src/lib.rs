//! The parts of the example clients that do not call rocBLAS: the problems they pose, the check of the
//! results in double precision, and the layout of their output.
//!
//! The calls are in `client/`, a module of the two client programs: if this library imported rocBLAS, the
//! demo and every test would need one to start.

pub mod options;
pub mod product;
pub mod random;
pub mod solve;
pub mod table;
