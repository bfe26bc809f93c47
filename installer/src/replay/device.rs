//! The child process: makes the call on one backend, as often as requested, and writes the results.

use super::{
    call::Call,
    hip::Hip,
    invoke::Rocblas,
    kept::{self, Kept},
    memory::{Host, Memory, Prepared},
};
use crate::doctor::{child, shared_object::SharedObject};
use anyhow::{Result, anyhow};
use rocblas_abi::value::status::SUCCESS;
use rocblas_trace::capture::{Reader, Time};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{CString, c_char, c_int},
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

/// The task of the child.
#[derive(Debug)]
pub struct Request {
    /// The rocBLAS library to call.
    pub library: PathBuf,
    /// The capture.
    pub file: PathBuf,
    /// HIP's device number of the GPU.
    pub device: u32,
    /// How often the call is made.
    pub repeat: u32,
    /// A directory for the results.
    pub results: PathBuf,
}

/// What the child process reports.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The library's version string.
    pub(super) version: String,
    /// The GPU's name and target; empty if the backend computes without a GPU.
    pub(super) device: [String; 2],
    /// Why the call was not made.
    pub(super) error: Option<String>,
    /// Whether the library lacks the function.
    pub(super) is_missing: bool,
    /// The status of the first run that failed, or success.
    pub(super) status: Option<i32>,
    /// The name of HIP's error.
    pub(super) hip_error: Option<String>,
    /// How long each run took, including the wait for the GPU, in nanoseconds.
    pub(super) times: Vec<u64>,
    /// The different results, in the order in which they first occurred. The first ones are kept in a file,
    /// one after the other.
    pub(super) results: Vec<Found>,
    /// How many of them are kept.
    pub(super) kept: usize,
    /// An operand with a change outside its elements, and where that is, in elements from the operand's
    /// pointer.
    pub(super) outside: Option<(String, i64)>,
    /// An operand that was changed although the call only reads it.
    pub(super) changed_input: Option<String>,
}

/// One of the different results.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Found {
    /// A digest of it.
    pub(super) digest: String,
    /// How many runs had this result.
    pub(super) runs: u64,
    /// How many of them changed memory that the call must not write.
    pub(super) harmful: u64,
}

/// Runs the child's task.
///
/// # Errors
/// If the results cannot be written.
pub fn respond(request: &Request) -> io::Result<()> {
    child::leave_no_core();
    let mut answer = Answer::default();
    if let Err(error) = run(request, &mut answer) {
        answer.error = Some(format!("{error:#}"));
    }
    // The report grows with the number of runs and may exceed what is kept of a child's output, so it is
    // written to a file.
    fs::write(answer_file(&request.results), serde_json::to_vec(&answer)?)?;
    child::print_result(&true)
}

/// Reads what a child wrote.
pub(super) fn read_answer(results: &Path) -> io::Result<Answer> {
    Ok(serde_json::from_slice(&fs::read(answer_file(results))?)?)
}

fn answer_file(results: &Path) -> PathBuf {
    results.join("answer.json")
}

/// The memory of the backend: that of a GPU, or the process's own if the backend does not use HIP.
enum Place {
    Gpu(Hip),
    Host(Host),
}

impl Place {
    fn memory(&self) -> &dyn Memory {
        match self {
            Self::Gpu(hip) => hip,
            Self::Host(host) => host,
        }
    }

    fn hip(&self) -> Option<&Hip> {
        match self {
            Self::Gpu(hip) => Some(hip),
            Self::Host(_) => None,
        }
    }
}

fn run(request: &Request, answer: &mut Answer) -> Result<()> {
    let reader = Reader::open(&request.file)?;
    let call = Call::of(reader.meta())?;
    let library = SharedObject::open(&request.library).map_err(|error| anyhow!(error))?;
    let place = match Hip::of(&library) {
        Some(hip) => {
            answer.device = hip.use_device(request.device)?;
            Place::Gpu(hip)
        }
        None => Place::Host(Host::default()),
    };
    answer.version = version(&library);
    let find = |name: &str| {
        let name = CString::new(name).ok()?;
        // SAFETY: `*const ()` can represent a function of any type; `invoke` converts it to the right one.
        unsafe { library.function::<*const ()>(&name) }
    };
    let rocblas = Rocblas::new(&find)?;
    if !rocblas.has(call.name()) {
        answer.is_missing = true;
        return Ok(());
    }
    rocblas.set_modes(&call)?;
    let prepared =
        Prepared::new(&call, place.memory(), |position| before(&reader, &call, position))?;
    let mut kept = Kept::new(&request.results, kept::MOST_BYTES)?;
    for _ in 0..request.repeat {
        prepared.reset(place.memory())?;
        place.hip().map_or(Ok(()), Hip::synchronize)?;
        let start = Instant::now();
        let status = rocblas.call(&call, &prepared)?;
        let finished = place.hip().map_or(Ok(()), Hip::synchronize);
        answer.times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        answer.status = Some(status);
        answer.hip_error = finished
            .err()
            .map(|error| error.to_string())
            .or_else(|| place.hip().and_then(Hip::last_error));
        if status != SUCCESS || answer.hip_error.is_some() {
            return Ok(());
        }
        let outputs = prepared.outputs(&call, place.memory())?;
        let changed_input = prepared.changed_input(&call, place.memory())?;
        let outside = || outside(&call, &prepared, &outputs);
        kept.add(answer, &outputs, outside, changed_input)?;
    }
    Ok(())
}

/// An operand's values before the call.
pub(super) fn before(reader: &Reader, call: &Call, position: usize) -> Result<Option<Vec<u8>>> {
    let given = &call.operands[position];
    let name = call.param(given.parameter()).name;
    let operands = &reader.meta().operands;
    let in_file = operands.iter().position(|operand| operand.parameter == name);
    let entry = in_file.and_then(|in_file| reader.entry(in_file, Time::Before));
    match entry {
        Some(entry) => Ok(Some(reader.data(entry)?)),
        None if given.read => {
            Err(anyhow!("the values of {name} before the call are not in the file"))
        }
        None => Ok(None),
    }
}

/// Finds a change between the elements that a call writes: in gaps between columns or in other triangles.
fn outside(call: &Call, prepared: &Prepared, outputs: &[u8]) -> Option<(String, i64)> {
    let before = prepared.before(call);
    let mut start = 0;
    for (position, given) in call.written() {
        let range = start..start + given.bytes();
        start = range.end;
        if prepared.is_shared(call, position) {
            continue;
        }
        let size = given.operand.element.size();
        let (before, after) = (&before[range.clone()], &outputs[range]);
        let mut written = vec![false; before.len() / size];
        for problem in given.problems() {
            for run in given.operand.layout.runs() {
                for number in 0..run.len {
                    let at = usize::try_from(problem + run.first + number * run.step).ok()?;
                    *written.get_mut(at)? = true;
                }
            }
        }
        let mut elements = before.chunks_exact(size).zip(after.chunks_exact(size)).zip(&written);
        let changed = elements.position(|((before, after), written)| !written && before != after);
        if let Some(changed) = changed {
            let name = call.param(given.parameter()).name.to_owned();
            return Some((name, changed as i64 + given.span.first));
        }
    }
    None
}

/// A library's version string; empty if it has none.
fn version(library: &SharedObject) -> String {
    type Get = unsafe extern "C" fn(*mut c_char, usize) -> c_int;
    let mut text = [0_u8; 256];
    // SAFETY: this is the function's prototype. It writes a C string and is passed the size of the buffer.
    let got = unsafe {
        library
            .function::<Get>(c"rocblas_get_version_string")
            .map(|get| get(text.as_mut_ptr().cast(), text.len()))
    };
    match got {
        Some(SUCCESS) => rocblas_contract::hip::text(&text),
        _ => String::new(),
    }
}
