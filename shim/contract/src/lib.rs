//! What the shim and the installer both know. Each fact is stated once, here, so that the two cannot
//! disagree: an installer that places a backend where the shim does not look, or that does not
//! recognise the shim's own error messages, fails on a user's machine and in no test of one side.
//!
//! | module | facts |
//! |---|---|
//! | [`store`] | the directories and files of the store |
//! | [`choice`], [`route`] | which backend the shim opens, and for which GPU |
//! | [`serves`] | what a backend serves |
//! | [`libraries`] | names of libraries, and those that ROCm 7 renamed |
//! | [`note`] | the ELF note by which a file is known to be a shim |
//! | [`variables`] | environment variables |
//! | [`tensile`], [`kpack`] | where kernels are that are not in the library itself |
//! | [`hip`] | offsets in HIP's structures |
//! | [`listener`] | how another process starts and stops a trace |
//! | [`sentences`] | what the shim prints |
//! | [`secrets`] | what of a command line and an environment may be written down |
//!
//! There are no dependencies: the shim is loaded into other people's programs. What only one side
//! knows does not belong here.

pub mod choice;
pub mod hip;
pub mod kpack;
pub mod libraries;
pub mod listener;
pub mod note;
pub mod route;
pub mod secrets;
pub mod sentences;
pub mod serves;
pub mod store;
pub mod tensile;
pub mod variables;
