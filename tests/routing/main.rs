//! Several backends in one process: each call reaches the backend of its handle.

mod machine;
mod switching;
mod threads;
