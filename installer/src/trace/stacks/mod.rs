//! The call stacks of a trace, with the names of functions.
//!
//! | file | what it does |
//! |---|---|
//! | `symbols.rs` | the functions of a file, from its symbol tables |
//!
//! A trace contains addresses and states which file was mapped where. The files are read here: those at the
//! recorded paths, if their build IDs match those in the trace, and debug files of the distribution in
//! `/usr/lib/debug`. If a file is missing or has no symbol at an address, the file's name and the offset are
//! shown.

mod symbols;

use crate::output::printable;
use rocblas_trace::{
    call::Call,
    process::Module,
    read::{Modules, Record, Stacks, Trace},
};
use rustc_hash::FxHashMap;
use serde::Serializer;
use std::{fmt, path::Path, sync::Arc};
use symbols::Functions;

/// A function on a call stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// The function; if it is unknown, `libfoo.so+0x1234` or an address.
    pub name: String,
    /// The file's name, if the function is known.
    pub module: Option<String>,
}

impl fmt::Display for Frame {
    /// `solve (libfoo.so)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            Some(module) => write!(f, "{} ({module})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Resolves addresses of a trace.
#[derive(Debug, Default)]
pub struct Symbols {
    modules: Modules,
    files: FxHashMap<(String, String), Functions>,
    frames: FxHashMap<(u64, Option<usize>), Arc<Frame>>,
}

impl Symbols {
    /// For the modules of a trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        Self { modules: trace.modules(), ..Self::default() }
    }

    /// Looks for modules that a running program has loaded since.
    pub fn refresh(&mut self, trace: &Trace) {
        self.modules = trace.modules();
    }

    /// The function that contains the call with this return address, at a time in ticks.
    pub fn frame(&mut self, address: u64, ticks: u64) -> Arc<Frame> {
        let module = self.modules.find(address, ticks);
        if let Some(known) = self.frames.get(&(address, module)) {
            return Arc::clone(known);
        }
        let frame = Arc::new(match module.map(|number| &self.modules.all()[number]) {
            Some(module) => named(&mut self.files, module, address),
            None => Frame { name: format!("{address:#x}"), module: None },
        });
        self.frames.insert((address, module), Arc::clone(&frame));
        frame
    }
}

/// The most characters shown of a file's name: a trace may come from anywhere.
const MOST: usize = 80;

fn named(
    files: &mut FxHashMap<(String, String), Functions>,
    module: &Module,
    address: u64,
) -> Frame {
    let Module { path, build_id, base, .. } = module;
    let functions = files
        .entry((path.clone(), build_id.clone()))
        .or_insert_with(|| Functions::of(Path::new(path), build_id));
    let file: String = path.rsplit('/').next().unwrap_or_default().chars().take(MOST).collect();
    let file = printable(&file).to_string();
    let address = address.wrapping_sub(*base);
    // The instruction before a return address is the call.
    match functions.name(address.wrapping_sub(1)) {
        Some(name) => Frame { name: printable(&name).to_string(), module: Some(file) },
        None => Frame { name: format!("{file}+{address:#x}"), module: None },
    }
}

/// The callers of a trace's calls, while its records are read in order.
#[derive(Debug, Default)]
pub struct Reading {
    symbols: Symbols,
    stacks: Stacks,
}

impl Reading {
    /// For the records of a trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        Self { symbols: Symbols::of(trace), stacks: Stacks::default() }
    }

    /// Processes a record of the thread with this number in the trace.
    pub fn take(&mut self, thread: u32, record: &Record<'_>) {
        self.stacks.take(thread, record);
    }

    /// Looks for modules that a running program has loaded since.
    pub fn refresh(&mut self, trace: &Trace) {
        self.symbols.refresh(trace);
    }

    /// The callers of a call, the innermost first; empty if they were not recorded.
    pub fn callers(&mut self, thread: u32, call: &Call<'_>) -> Vec<Arc<Frame>> {
        let frames = self.stacks.of(thread, call).iter();
        frames.map(|address| self.symbols.frame(*address, call.begin())).collect()
    }
}

/// `solve (libfoo.so) < main (client)`: the innermost of the given callers.
#[must_use]
pub fn line(frames: &[Arc<Frame>], most: usize) -> String {
    let names: Vec<String> = frames.iter().take(most).map(ToString::to_string).collect();
    names.join(" < ")
}

/// Serialises the names of frames for a JSON document.
pub(super) fn names<S: Serializer>(frames: &[Arc<Frame>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(frames.iter().map(ToString::to_string))
}
