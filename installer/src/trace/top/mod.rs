//! Shows in a terminal what a program calls now: which functions, how often, how long they take, and the
//! calls in flight.
//!
//! | file | concern |
//! |---|---|
//! | `watched.rs` | follows a trace that is being written |
//! | `meter.rs` | counts calls between two updates |
//! | `table.rs` | shows the counts |
//! | `keys.rs` | a terminal's keys, and signals that end this program |

mod keys;
mod meter;
mod table;
mod watched;

use super::{control, opened::only_directory};
use crate::output::{self, Screen, shown};
use anyhow::{Context, Result, bail};
use keys::{Ended, Keys};
use meter::Snapshot;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use watched::Watched;

/// How often the table is updated.
const INTERVAL: Duration = Duration::from_secs(1);

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Print one table after the first interval and exit.
    pub once: bool,
    /// Print JSON, one document per line.
    pub json: bool,
}

/// Shows what a process (by its PID) or the program of a trace (by its directory) calls, until it ends or the
/// user quits.
///
/// # Errors
/// Fails if the process is not being traced, or the directory has no trace or that of a program that has
/// ended. The message says what to do.
pub fn top(target: &str, options: Options) -> Result<()> {
    let directory = directory(target)?;
    let mut watched = Watched::new(&directory)?;
    if watched.is_over() {
        bail!(
            "the program of {} is no longer traced: `installer trace summary {}` has its figures",
            shown(&directory),
            shown(&directory)
        );
    }
    let mut keys = Keys::new().context("cannot watch for signals")?;
    // Dropped before the keys; both are dropped on failure too.
    let mut screen = if options.once || options.json { None } else { Screen::take() };
    if let Some(screen) = &mut screen {
        screen.draw(&table::waiting(&watched.name()));
    }
    loop {
        let ended = keys.wait(INTERVAL).context("cannot read keys")?;
        if ended != Ended::Time {
            drop(screen);
            drop(keys);
            return Ok(());
        }
        let is_over = watched.look()?;
        let snapshot = watched.snapshot(is_over);
        show(&snapshot, screen.as_mut(), options)?;
        if options.once || is_over || output::has_failed() {
            drop(screen);
            drop(keys);
            if is_over && !options.once && !options.json {
                let directory = shown(&directory);
                output::notice(&format!(
                    "no longer traced: `installer trace summary {directory}` has the figures"
                ));
            }
            return Ok(());
        }
    }
}

fn show(snapshot: &Snapshot, screen: Option<&mut Screen>, options: Options) -> Result<()> {
    if options.json {
        output::line(snapshot)?;
        return Ok(());
    }
    let mut text = table::text(snapshot);
    match screen {
        Some(screen) => screen.draw(&text),
        None => {
            if !options.once {
                text.line("");
            }
            output::result(false, &(), text);
        }
    }
    Ok(())
}

/// The directory of a process's trace, or the given directory. A name that consists of digits is a PID unless
/// a file has that name.
fn directory(target: &str) -> Result<PathBuf> {
    let path = Path::new(target);
    let pid: u32 = match target.parse() {
        Ok(pid) if !path.exists() => pid,
        _ => return only_directory(path),
    };
    let answer = control::status(pid)?;
    match answer.directory {
        Some(directory) => Ok(directory),
        None if answer.waits => bail!(
            "process {pid} has created no rocBLAS handle yet, and so no call; start a trace with \
             `installer trace start {pid} --output DIR`, which waits for the first one"
        ),
        None => bail!(
            "process {pid} is not being traced to a directory; start with \
             `installer trace start {pid} --output DIR`"
        ),
    }
}
