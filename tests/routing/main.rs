//! Several backends in one process: each call reaches the backend of its handle.

mod live;
mod machine;
mod routes;
mod switching;
mod threads;
mod traced;
