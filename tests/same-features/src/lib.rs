//! Nothing but dependencies. Cargo gives a dependency the features that the selected packages ask for, so that
//! `cargo demo` and `cargo test --workspace` would each compile the installer and half of what it uses. With this
//! package among the selected ones, the features are the same, and what one has compiled the other uses.
