//! What the shim and the installer both know.

pub mod secrets;
