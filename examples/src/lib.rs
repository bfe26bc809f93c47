//! What the example clients need and what calls no rocBLAS: the problems they pose, the judgement
//! of the answers in double precision, and the shape of their output.
//!
//! The calls are in `client/`, a module of the two client programs: code in this library that
//! imported rocBLAS would make the demo, and every test, a program that needs one to start.

pub mod options;
pub mod product;
pub mod random;
pub mod solve;
pub mod table;
