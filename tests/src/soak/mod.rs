//! A soak of the shim: threads make random valid calls of every function while handles and threads come and go,
//! backends are switched, traces are started and stopped, and processes fork.
//!
//! | file | contents |
//! |---|---|
//! | `driver.rs` | the watching program, which requests traces and backend switches and monitors the other |
//! | `caller.rs` | the calling program, whose threads live for some thousand calls |
//! | `calls.rs` | random calls, and checks of their results |
//! | `backends.rs` | the backends' records, which show whether each call arrived once, at the right backend |
//! | `shared.rs` | the data that both programs share: numbers of calls, and the latest calls of each thread |
//! | `recorded.rs` | compares a trace with the calls that were made while it was active |
//! | `footprint.rs` | the resources that a process uses: memory, descriptors, threads |
//!
//! `cargo soak --minutes 60` runs it; `tests/soak.rs` runs it for some seconds.

mod backends;
mod caller;
mod calls;
mod driver;
mod footprint;
mod recorded;
mod shared;

pub use caller::call_until_stopped;
pub use driver::{Report, SLACK, Soak, run};
