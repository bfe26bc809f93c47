//! Carries out `installer trace`, and prints.

use super::{control, diff, export, report, show, summary};
use crate::{cli::Trace, output};
use anyhow::{Context, Result};
use rocblas_trace::options::Options;
use serde_json::json;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// Carries a command out.
///
/// # Errors
/// What it failed with, as a sentence.
pub fn run(command: Trace, as_json: bool) -> Result<()> {
    match command {
        Trace::Start { pid, output, ring, limit, functions, min, first } => {
            let options = options(ring, limit, &functions, min, first)?;
            start(pid, &output, &options, as_json)
        }
        Trace::Stop { pid } => {
            let answer = control::stop(pid)?;
            let text = match &answer.directory {
                Some(directory) => format!(
                    "Stopped: {} thread{} in {}\n`installer trace summary {}` has the figures.",
                    answer.threads,
                    if answer.threads == 1 { "" } else { "s" },
                    directory.display(),
                    directory.display(),
                ),
                None => "Stopped; no call was recorded in a file.".to_owned(),
            };
            output::result(as_json, &answer, &text);
            Ok(())
        }
        Trace::Status { pid } => {
            let answer = control::status(pid)?;
            let text = match &answer.directory {
                Some(directory) => format!(
                    "process {pid} is being traced to {}, {} threads so far",
                    directory.display(),
                    answer.threads
                ),
                None => format!("process {pid} is not being traced to a directory"),
            };
            output::result(as_json, &answer, &text);
            Ok(())
        }
        Trace::Show { path, select, long, first } => {
            let options = show::Options { select, long, json: as_json, first };
            complain(&show::show(&path, &options, &mut stdout())?);
            Ok(())
        }
        Trace::Follow { path, select, long } => {
            let options = show::Options { select, long, json: as_json, first: None };
            complain(&show::follow(&path, &options, &mut stdout())?);
            Ok(())
        }
        Trace::Summary { path, rows } => {
            let summary = summary::summary(&path)?;
            output::result(as_json, &summary, &summary::text(&summary, rows));
            Ok(())
        }
        Trace::Export { path, format, output, select } => {
            let complaints = match &output {
                None => export::export(&path, format, &select, &mut stdout())?,
                Some(file) => {
                    let failed = || format!("cannot write {}", file.display());
                    let mut out = BufWriter::new(File::create(file).with_context(failed)?);
                    let complaints = export::export(&path, format, &select, &mut out)?;
                    out.flush().with_context(failed)?;
                    complaints
                }
            };
            complain(&complaints);
            Ok(())
        }
        Trace::Diff { before, after, rows } => {
            let diff = diff::diff(&summary::summary(&before)?, &summary::summary(&after)?);
            output::result(as_json, &diff, &diff::text(&diff, rows));
            Ok(())
        }
        Trace::Report { path, output } => {
            let page = report::report(&path)?;
            report::replace(&output, page.as_bytes())
                .with_context(|| format!("cannot write {}", output.display()))?;
            let bytes = page.len();
            let kilobytes = bytes.div_ceil(1000);
            let text = format!("{}, {kilobytes} kB: open it in a browser", output.display());
            output::result(as_json, &json!({"file": output, "bytes": bytes}), &text);
            Ok(())
        }
    }
}

/// Options in the words that the shim takes, read here first: what is wrong is said before anything is
/// asked of a process.
fn options(
    ring: Option<String>,
    limit: Option<String>,
    functions: &[String],
    min: Option<String>,
    first: Option<u64>,
) -> Result<Options> {
    let mut options = Options::default();
    let given = [
        ("ring", ring),
        ("limit", limit),
        ("functions", (!functions.is_empty()).then(|| functions.join(":"))),
        ("min", min),
        ("first", first.map(|first| first.to_string())),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            options.set(name, &value).map_err(|why| anyhow::anyhow!("--{name}: {why}"))?;
        }
    }
    Ok(options)
}

fn start(pid: u32, place: &Path, options: &Options, as_json: bool) -> Result<()> {
    let answer = control::start(pid, place, &options.to_string())?;
    let text = match &answer.directory {
        Some(directory) => format!(
            "Recording to {}\n`installer trace follow {}` shows calls as they are made, \
             `installer trace stop {pid}` ends it.",
            directory.display(),
            directory.display(),
        ),
        None => {
            format!("Printing calls to the process's stderr; `installer trace stop {pid}` ends it.")
        }
    };
    output::result(as_json, &json!({"pid": pid, "directory": answer.directory}), &text);
    Ok(())
}

fn stdout() -> impl Write {
    BufWriter::new(io::stdout().lock())
}

fn complain(complaints: &[String]) {
    for complaint in complaints {
        output::notice(complaint);
    }
}
