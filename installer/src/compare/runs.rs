//! Starts the program with each backend in turn, the requested number of times. Alternating prevents a
//! machine that gets warmer or busier from favouring one of them.

use super::{
    interrupt::{Outcome, Watch},
    place::Place,
};
use crate::{
    doctor::End,
    launch::{Backend, Failure, Program},
    output,
};
use anyhow::{Context, Result, anyhow};
use rocblas_contract::variables::TRACE_OPTIONS;
use std::{
    env,
    ffi::OsString,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The plan of the runs.
pub(super) struct Plan<'a> {
    pub(super) program: &'a Program,
    pub(super) backends: &'a [Backend],
    /// The name of each backend.
    pub(super) names: &'a [String],
    pub(super) runs: u32,
    /// Whether digests of the outputs are recorded.
    pub(super) results: bool,
    /// Whether the program's standard output goes to standard error.
    pub(super) own_stdout: bool,
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// Its number among all runs, from 1.
    pub(super) number: usize,
    pub(super) end: End,
    /// The directory of its trace, if it made a call.
    pub(super) trace: PathBuf,
}

/// Runs the program. Returns the runs of each backend.
pub(super) fn all(plan: &Plan<'_>, place: &Place, watch: &Watch) -> Result<Vec<Vec<Ran>>, Failure> {
    let mut ran: Vec<Vec<Ran>> = vec![Vec::new(); plan.backends.len()];
    let total = plan.backends.len() * plan.runs as usize;
    for run in 1..=plan.runs {
        for (i, (backend, name)) in plan.backends.iter().zip(plan.names).enumerate() {
            let number = (run as usize - 1) * plan.backends.len() + i + 1;
            let trace = place.of(i, name, &format!("run-{run}"));
            let trace = trace.context("cannot make a directory for a trace")?;
            output::notice(&format!("run {number} of {total}: {name}"));
            let options = plan.results.then_some("check=digest,inputs");
            match one(plan, backend, &trace, options, watch)? {
                Outcome::Ended(status) => ran[i].push(Ran { number, end: status.into(), trace }),
                Outcome::Interrupted(signal) => {
                    let what = format!("in run {number} of {total}; nothing is compared");
                    return Err(interrupted(signal, &what));
                }
            }
        }
    }
    Ok(ran)
}

/// Runs the program again with the backend of this index and these trace options, after all runs.
pub(super) fn again(
    plan: &Plan<'_>,
    side: usize,
    trace: &Path,
    options: &str,
    watch: &Watch,
) -> Result<Ran, Failure> {
    output::notice(&format!("again with {}: calls are captured", plan.names[side]));
    match one(plan, &plan.backends[side], trace, Some(options), watch)? {
        Outcome::Ended(status) => {
            Ok(Ran { number: 0, end: status.into(), trace: trace.to_owned() })
        }
        Outcome::Interrupted(signal) => {
            Err(interrupted(signal, "while calls that differ were captured"))
        }
    }
}

fn one(
    plan: &Plan<'_>,
    backend: &Backend,
    trace: &Path,
    options: Option<&str>,
    watch: &Watch,
) -> Result<Outcome, Failure> {
    let mut command = plan.program.command(backend, Some(trace))?;
    set_streams(&mut command, plan.own_stdout)?;
    if let Some(options) = options {
        command.env(TRACE_OPTIONS, with_options(options));
    }
    watch.run(&mut command).map_err(|e| plan.program.not_started(e))
}

/// The trace options from this process's environment, and additional ones.
fn with_options(more: &str) -> OsString {
    let mut options = env::var_os(TRACE_OPTIONS).unwrap_or_default();
    if !options.is_empty() {
        options.push(",");
    }
    options.push(more);
    options
}

/// Standard input is empty for all runs: otherwise the first one would consume the others' input.
fn set_streams(command: &mut Command, own_stdout: bool) -> Result<()> {
    command.stdin(Stdio::null());
    if own_stdout {
        #[expect(clippy::disallowed_methods, reason = "nothing is written: the program gets it")]
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        command.stdout(stderr.context("cannot pass standard error on")?);
    }
    Ok(())
}

fn interrupted(signal: i32, what: &str) -> Failure {
    let what = format!("stopped by signal {signal} {what}");
    // The exit code that shells use.
    Failure { error: anyhow!(what), code: u8::try_from(128 + signal).unwrap_or(1) }
}
