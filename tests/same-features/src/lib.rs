//! This package has dependencies and no code. Cargo enables the features of a dependency that the selected packages
//! request, so `cargo demo` and `cargo test --workspace` would each compile the installer and half of its dependencies.
//! With this package selected too, the features are the same, and both share what is compiled.
