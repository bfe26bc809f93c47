//! The first calls whose results differ, made alone: the program runs again with each backend, the operands
//! of these calls are saved, and each backend makes the calls with them.
//!
//! A call is recognised by the digest of its output, in whichever thread it is made. If the digest varies
//! between runs, the call with the same number is used, provided that only one thread of the process makes
//! calls.

use super::{Differing, Inputs, Results, digests::Digests};
use crate::{
    compare::{
        align::in_order,
        interrupt::Watch,
        place::Place,
        runs::{Plan, again},
    },
    launch::Failure,
    output::{self, json},
    replay::{self, Replay, Request},
    root::Root,
    trace::Opened,
};
use anyhow::{Context, Result};
use rocblas_trace::{capture::Reader, process::saved_file, read::CallId};
use serde::Serialize;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often the call is made alone. Results of a race differ only sometimes.
const REPLAYS: u32 = 20;
/// How long that may take with a backend, which may have to load its kernels first.
const REPLAY_LIMIT: Duration = Duration::from_secs(300);

/// A call captured on one side.
#[derive(Debug, Default, Serialize)]
pub struct Captured {
    /// The file, if it is kept.
    #[serde(serialize_with = "json::optional_path")]
    pub file: Option<PathBuf>,
    /// Why there is no file, or why it cannot be used.
    pub problem: Option<String>,
    /// The call on each of the two backends, and the right result.
    pub replay: Option<Replay>,
}

/// Captures the differing calls on both sides, which are the backends of these numbers, and replays them. The
/// second side's operands are used only if no backend is wrong with the first side's. A call with different
/// inputs is examined only if it is the first differing call, as then no other call is known to be the cause.
pub(in crate::compare) fn examine(
    results: &mut Results,
    sides: [usize; 2],
    plan: &Plan<'_>,
    place: &Place,
    watch: &Watch,
    replayed: &dyn Fn(&Path) -> Result<Replay>,
) -> Result<(), Failure> {
    let is_wanted = |(i, it): &(usize, &mut Differing)| *i == 0 || it.inputs != Inputs::Different;
    let mut wanted: Vec<&mut Differing> =
        results.differing.iter_mut().enumerate().filter(is_wanted).map(|(_, it)| it).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    for side in [0, 1] {
        let captured = captured(&wanted, side, sides, plan, place, watch)?;
        for (differing, captured) in wanted.iter_mut().zip(captured) {
            differing.captured[side] = Some(captured);
        }
    }
    for differing in wanted {
        for captured in differing.captured.iter_mut().flatten() {
            let (Some(file), None) = (&captured.file, &captured.problem) else { continue };
            match replayed(file) {
                Ok(replay) => {
                    let is_decided = replay.exit_code() != 0;
                    captured.replay = Some(replay);
                    if is_decided {
                        break;
                    }
                }
                Err(error) => captured.problem = Some(format!("{error:#}")),
            }
        }
        if place.kept().is_none() {
            differing.captured.iter_mut().flatten().for_each(|captured| captured.file = None);
        }
    }
    Ok(())
}

/// Replays a captured call on the backends of these numbers.
pub(in crate::compare) fn replayed(
    root: &Root,
    rocm: Option<&Path>,
    plan: &Plan<'_>,
    sides: [usize; 2],
    file: &Path,
) -> Result<Replay> {
    // The names are those of the store of the program's shim, which may differ from the library directory's.
    let libraries = sides.map(|side| plan.backends[side].library.display().to_string());
    let request = Request {
        file: file.to_owned(),
        backends: libraries.each_ref().map(OsString::from).to_vec(),
        device: 0,
        repeat: REPLAYS,
        limit: REPLAY_LIMIT,
        minimise: false,
        // It is removed with the trace, even if a signal ends the command.
        temporary: file.parent().map(Path::to_owned),
    };
    let mut replay = replay::replay(root, rocm, &request, &output::notice)?;
    let named = |library: &mut String| {
        if let Some(at) = libraries.iter().position(|other| other == library) {
            library.clone_from(&plan.names[sides[at]]);
        }
    };
    for row in &mut replay.backends {
        named(&mut row.backend);
        row.same_as.as_mut().map(named);
    }
    Ok(replay)
}

/// Runs the program with a backend again and saves the operands of the wanted calls.
fn captured(
    wanted: &[&mut Differing],
    side: usize,
    sides: [usize; 2],
    plan: &Plan<'_>,
    place: &Place,
    watch: &Watch,
) -> Result<Vec<Captured>, Failure> {
    let backend = sides[side];
    // The first backend is compared with each of the others, so its runs need different names.
    let run = format!("captured-{}", sides[1] + 1);
    let trace = place.of(backend, &plan.names[backend], &run);
    let trace = trace.context("cannot make a directory for a trace")?;
    let hashes: Vec<String> =
        wanted.iter().map(|it| format!("{:016x}", it.digest.1[side])).collect();
    let mut options = format!("check=digest,save-digest={}", hashes.join(":"));
    if let Some(CallId { thread, sequence }) = wanted.iter().find_map(|it| Some(it.place?[side])) {
        options += &format!(",save-call={thread}:{sequence}");
    }
    let ran = again(plan, backend, &trace, &options, watch)?;
    let of_process = |opened: Opened| {
        let directory = opened.trace.directory().to_owned();
        anyhow::Ok((directory, Digests::read(opened)?))
    };
    let processes: Result<Vec<_>> = in_order(&ran)?.into_iter().map(of_process).collect();
    let processes = processes?;
    Ok(wanted.iter().map(|it| found(it, side, processes.get(it.process))).collect())
}

/// The file of a call: of one with the same output, or otherwise of the one in the same place.
fn found(differing: &Differing, side: usize, process: Option<&(PathBuf, Digests)>) -> Captured {
    let Some((directory, digests)) = process else { return Captured::none() };
    let (parameter, hashes) = differing.digest;
    let with_output = digests.with_output(parameter, hashes[side]);
    let ids = with_output.chain(differing.place.map(|place| place[side]));
    let files = ids.map(|id| (id, directory.join(saved_file(id.thread, id.sequence))));
    let mut found = None;
    for (CallId { thread, sequence }, file) in files.filter(|(_, file)| file.is_file()) {
        let problem = problem(differing.function, thread, sequence, &file);
        let is_it = problem.is_none();
        let captured = Captured { file: Some(file), problem, replay: None };
        if is_it {
            return captured;
        }
        found.get_or_insert(captured);
    }
    found.unwrap_or_else(Captured::none)
}

impl Captured {
    fn none() -> Self {
        let problem = "the program did not make the call again, with the same results or in the same place, or its \
                       operands could not be saved: `installer trace summary` says why, where traces are kept (--keep)";
        Self { file: None, problem: Some(problem.to_owned()), replay: None }
    }
}

/// Why a file is not of the expected call.
fn problem(expected: &str, thread: u32, sequence: u64, file: &Path) -> Option<String> {
    let reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(error) => return Some(error.to_string()),
    };
    let captured = &reader.meta().function;
    (captured != expected).then(|| {
        format!(
            "the program makes other calls when it runs again: number {sequence} of thread {thread} is one of \
             {captured}"
        )
    })
}
