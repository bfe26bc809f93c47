//! Runs `installer replay` and prints the result.

use super::{Request, private, replay, text};
use crate::{cli::Replay, compare::interrupt::Watch, output, root::Root};
use anyhow::{Context, Result, anyhow};
use std::{env, path::Path, time::Duration};

/// Runs the command and returns the exit code.
///
/// # Errors
/// If nothing could be replayed.
pub fn run(root: &Root, rocm: Option<&Path>, options: Replay, as_json: bool) -> Result<u8> {
    let Replay { file, backend, device, repeat, limit, minimise } = options;
    let temporary = private(&env::temp_dir()).context("cannot make a directory for the results")?;
    let _watch = Watch::start(Some(temporary.path())).context("cannot wait for signals")?;
    let request = Request {
        file,
        backends: backend,
        device,
        repeat,
        limit: Duration::from_secs(limit),
        minimise,
        temporary: Some(temporary.path().to_owned()),
    };
    let replay = replay(root, rocm, &request, &output::notice)?;
    output::result(as_json, &replay, text::text(&replay));
    if let Some(error) = replay.minimised.as_ref().and_then(|minimised| minimised.error.clone()) {
        // The error is also in the document.
        output::error(&anyhow!(error), false);
    }
    Ok(replay.exit_code())
}
