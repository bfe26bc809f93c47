//! Facts that the shim and the installer share. Each is stated once, here, so that the two cannot
//! disagree: an installer that places a backend where the shim does not search, or that does not
//! recognise the shim's error messages, would pass the tests of either side and fail for users.
//!
//! | module | facts |
//! |---|---|
//! | [`store`] | the directories and files of the store |
//! | [`choice`], [`route`] | which backend the shim opens, and for which GPU |
//! | [`serves`] | which GPUs a backend serves |
//! | [`libraries`] | names of libraries, and those that ROCm 7 renamed |
//! | [`note`] | the ELF note that identifies a file as a shim |
//! | [`variables`] | environment variables |
//! | [`tensile`], [`kpack`] | the location of kernels that are not in the library itself |
//! | [`hip`] | offsets in HIP's structures |
//! | [`hip_errors`] | the names of HIP's errors |
//! | [`listener`] | the protocol by which another process starts and stops a trace |
//! | [`sentences`] | the shim's messages |
//! | [`secrets`] | which parts of a command line and an environment may be recorded |
//!
//! The crate has no dependencies, because the shim is loaded into other people's programs. Facts of only
//! one side do not belong here.

pub mod choice;
pub mod hip;
pub mod hip_errors;
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
