//! Starts the program with each backend in turn, as often as is asked for. In turn, so that a machine that
//! gets warmer or busier does not favour one of them.

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
use std::{
    io,
    os::fd::AsFd,
    path::PathBuf,
    process::{Command, Stdio},
};

/// What is run.
pub(super) struct Plan<'a> {
    pub(super) program: &'a Program,
    pub(super) backends: &'a [Backend],
    /// What each is called.
    pub(super) names: &'a [String],
    pub(super) runs: u32,
    /// Whether the program's standard output goes to standard error.
    pub(super) own_stdout: bool,
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// Its number among all, from 1.
    pub(super) number: usize,
    pub(super) end: End,
    /// Where its trace is, if it made a call.
    pub(super) trace: PathBuf,
}

/// Runs the program. Answers the runs of each backend.
pub(super) fn all(plan: &Plan<'_>, place: &Place, watch: &Watch) -> Result<Vec<Vec<Ran>>, Failure> {
    let mut ran: Vec<Vec<Ran>> = vec![Vec::new(); plan.backends.len()];
    let total = plan.backends.len() * plan.runs as usize;
    for run in 1..=plan.runs {
        for (i, (backend, name)) in plan.backends.iter().zip(plan.names).enumerate() {
            let number = (run as usize - 1) * plan.backends.len() + i + 1;
            let trace =
                place.of_run(i, name, run).context("cannot make a directory for a trace")?;
            let mut command = plan.program.command(backend, Some(&trace))?;
            set_streams(&mut command, plan.own_stdout)?;
            output::notice(&format!("run {number} of {total}: {name}"));
            let outcome = watch.run(&mut command).map_err(|e| plan.program.not_started(e))?;
            match outcome {
                Outcome::Ended(status) => ran[i].push(Ran { number, end: status.into(), trace }),
                Outcome::Interrupted(signal) => return Err(interrupted(signal, number, total)),
            }
        }
    }
    Ok(ran)
}

/// All runs read the same, which is nothing: the first one would take what is there from the others.
fn set_streams(command: &mut Command, own_stdout: bool) -> Result<()> {
    command.stdin(Stdio::null());
    if own_stdout {
        #[expect(clippy::disallowed_methods, reason = "nothing is written: the program gets it")]
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        command.stdout(stderr.context("cannot pass standard error on")?);
    }
    Ok(())
}

fn interrupted(signal: i32, number: usize, total: usize) -> Failure {
    let what =
        format!("stopped by signal {signal} in run {number} of {total}; nothing is compared");
    // As shells have it.
    Failure { error: anyhow!(what), code: u8::try_from(128 + signal).unwrap_or(1) }
}
