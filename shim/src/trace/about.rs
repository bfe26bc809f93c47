//! The description of the process in a trace: the program, the backend and the settings. It contains no secrets,
//! because traces are attached to bug reports.

use super::{Options, session::Session};
use crate::{
    backend::Backend,
    compat, own,
    table::{Target, name},
};
use rocblas_abi::C_EXPORTS;
use rocblas_contract::secrets;
use rocblas_trace::{
    layout::{VERSION, table_identity},
    process::{self, FurtherBackend, Process, Settings},
};
use std::{collections::BTreeMap, env, ffi::OsString, fs};

/// The description of a call's program, shim and backend in a capture.
pub(super) struct OfCall {
    pub(super) shim: String,
    pub(super) program: String,
    pub(super) backend: process::Backend,
    pub(super) promises: Vec<String>,
}

/// The description for a call of this process.
pub(super) fn of_call(backend: &Backend) -> OfCall {
    OfCall {
        shim: env!("CARGO_PKG_VERSION").to_owned(),
        program: program(),
        backend: document(backend),
        promises: promises(backend),
    }
}

/// The document about a process whose trace starts.
pub(super) fn process(session: &Session) -> Process {
    let Options { ring, limit, functions, min, first, capture, .. } = session.options.clone();
    let options = session.options.to_string();
    let backend = session.backend;
    Process {
        format: VERSION,
        program: program(),
        arguments: arguments(),
        pid: std::process::id(),
        started: started(),
        boot: line_of("/proc/sys/kernel/random/boot_id"),
        host: line_of("/proc/sys/kernel/hostname"),
        shim: env!("CARGO_PKG_VERSION").to_owned(),
        backend: document(backend),
        promises: promises(backend),
        clock: session.clock.clone(),
        settings: Settings { ring, limit, functions, min, first, capture, options },
        environment: environment(),
        table: table_identity(),
        functions: (0..C_EXPORTS).map(|i| name(i).to_string_lossy().into_owned()).collect(),
    }
}

/// The document about a backend other than the first.
pub(super) fn further(backend: &Backend) -> FurtherBackend {
    let functions = backend.table[..C_EXPORTS].iter().enumerate();
    let by_shim = functions.filter(|(index, target)| answers(*index, target));
    FurtherBackend {
        backend: document(backend),
        promises: promises(backend),
        by_shim: by_shim.map(|(index, _)| name(index).to_string_lossy().into_owned()).collect(),
    }
}

/// Whether a function in a backend's table is the shim's own implementation, and not a wrapper that calls the
/// backend's.
pub(super) fn answers(index: usize, target: &Target) -> bool {
    own::range().contains(&target.0.addr()) && !compat::passes_on(name(index))
}

fn document(backend: &Backend) -> process::Backend {
    process::Backend {
        name: backend.name.clone(),
        path: backend.path.display().to_string(),
        version: backend.compat.version.backend().to_string_lossy().into_owned(),
    }
}

fn promises(backend: &Backend) -> Vec<String> {
    backend.compat.active.names().into_iter().map(str::to_owned).collect()
}

fn program() -> String {
    fs::read_link("/proc/self/exe").unwrap_or_default().display().to_string()
}

fn arguments() -> Vec<String> {
    let line = fs::read("/proc/self/cmdline").unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    secrets::arguments(line.split(|byte| *byte == 0).map(String::from_utf8_lossy))
}

/// The start time of this process, in the kernel's ticks since boot: field 22 in proc(5), the 20th after
/// the name in parentheses.
fn started() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The environment variables that affect rocBLAS and HIP.
pub(super) fn environment() -> BTreeMap<String, String> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| secrets::is_recorded(name))
        .map(|(name, value)| (name, secrets::value(&value).into_owned()))
        .collect()
}
