//! The parts that both clients share, besides their own calls.

pub(crate) mod memory;
pub(crate) mod rocblas;
pub(crate) mod served_by;

use memory::Memory;
use rocblas::Handle;
use std::process::ExitCode;

/// Creates a handle, prints which library serves the calls, and runs `work`, which returns whether everything
/// succeeded.
pub(crate) fn run(
    program: &str,
    work: impl FnOnce(&Handle, &Memory) -> Result<bool, String>,
) -> ExitCode {
    let handle = match Handle::new() {
        Ok(handle) => handle,
        Err(status) => {
            eprintln!("{program}: rocblas_create_handle returned {} ({status})", status.0);
            return ExitCode::FAILURE;
        }
    };
    // After the handle: only then is the backend's HIP runtime in the process, if it has one.
    let memory = Memory::of_this_process();
    let mut facts = served_by::facts();
    facts.push(("memory", memory.to_string()));
    println!("{}", examples::table::Table::facts(facts));
    match work(&handle, &memory) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}
