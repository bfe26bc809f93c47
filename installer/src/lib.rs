//! The installer's parts. `main.rs` is the command; everything it does is here, so that tests can
//! reach it.

pub mod apply;
pub mod backends;
pub mod cli;
pub mod doctor;
pub mod dpkg;
pub mod elf;
pub mod execute;
pub mod files;
pub mod inspect;
pub mod journal;
pub mod ldconfig;
pub mod loader;
pub mod lock;
pub mod output;
pub mod plan;
pub mod present;
pub mod progress;
pub mod revert;
pub mod root;
pub mod selftest;
pub mod settings;
pub mod source;
pub mod state;
pub mod status;
pub mod tree;
