//! Carries out `installer trace`, and prints.

use super::{control, diff, export, report, show, summary};
use crate::{
    cli::Trace,
    output::{self, Code, Line, Text, WithCode, count, shown},
};
use anyhow::{Context, Result, anyhow};
use rocblas_trace::options::Options;
use serde::Serialize;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// Carries a command out.
///
/// # Errors
/// What it failed with, as a sentence.
pub fn run(command: Trace, as_json: bool) -> Result<()> {
    match command {
        Trace::Start { pid, output, ring, limit, functions, min, first, capture } => {
            let options = options(ring, limit, &functions, min, first, capture)?;
            start(pid, &output, &options, as_json)
        }
        Trace::Stop { pid } => {
            let answer = control::stop(pid)?;
            let text = match &answer.directory {
                None if answer.waits => format!(
                    "process {pid} has made no rocBLAS handle yet; a trace that it was asked for ends as it \
                     begins, with the first one."
                )
                .as_str()
                .into(),
                Some(directory) => {
                    let directory = shown(directory);
                    Text::from_iter([
                        format!(
                            "Stopped: {} in {directory}",
                            count(answer.threads.into(), "thread")
                        ),
                        format!("`installer trace summary {directory}` has the figures."),
                    ])
                }
                None => "Stopped; no call was recorded in a file.".into(),
            };
            output::result(as_json, &answer, text);
            Ok(())
        }
        Trace::Status { pid } => {
            let answer = control::status(pid)?;
            let text = match &answer.directory {
                Some(directory) => format!(
                    "process {pid} is being traced to {}, {} so far",
                    shown(directory),
                    count(answer.threads.into(), "thread")
                ),
                None if answer.waits => format!(
                    "process {pid} has made no rocBLAS handle yet, and so no call; a trace that it was asked \
                     for begins with the first one"
                ),
                None => format!("process {pid} is not being traced to a directory"),
            };
            output::result(as_json, &answer, &text);
            Ok(())
        }
        Trace::Show { path, select, long, first } => {
            let options = show::Options { select, long, json: as_json, first };
            complain(&show::show(&path, &options, &mut output::data())?);
            Ok(())
        }
        Trace::Follow { path, select, long } => {
            let options = show::Options { select, long, json: as_json, first: None };
            complain(&show::follow(&path, &options, &mut output::data())?);
            Ok(())
        }
        Trace::Summary { path, rows } => {
            let summary = summary::summary(&path)?;
            output::result(as_json, &summary, summary::text(&summary, rows));
            Ok(())
        }
        Trace::Export { path, format, output, select } => {
            let Some(file) = output else {
                if as_json {
                    let what = "--json and the exported calls would be mixed on standard output; \
                                name a file with --output";
                    return Err(anyhow!(what)).code(Code::Usage);
                }
                let mut out = output::data();
                let problems = export::export(&path, format, &select, &mut out)?;
                // A failure is remembered until the end.
                let _ = out.flush();
                complain(&problems);
                return Ok(());
            };
            let failed = || format!("cannot write {}", shown(&file));
            let mut out = BufWriter::new(File::create(&file).with_context(failed)?);
            let problems = export::export(&path, format, &select, &mut out)
                .with_context(|| format!("cannot export to {}", shown(&file)))?;
            out.flush().with_context(failed)?;
            complain(&problems);
            if as_json {
                output::result(true, &Exported { file: &file, problems }, Text::new());
            }
            Ok(())
        }
        Trace::Diff { before, after, rows } => {
            let [before, after] = summary::pair(&before, &after)?;
            let diff = diff::diff(&before, &after);
            output::result(as_json, &diff, diff::text(&diff, rows));
            Ok(())
        }
        Trace::Report { path, output } => {
            let (page, nothing) = report::report(&path)?;
            report::replace(&output, page.as_bytes())
                .with_context(|| format!("cannot write {}", shown(&output)))?;
            let bytes = page.len();
            let kilobytes = bytes.div_ceil(1000);
            let written = format!("{}, {kilobytes} kB: open it in a browser", shown(&output));
            let text = Text::from_iter([written].into_iter().chain(nothing));
            output::result(as_json, &Page { file: &output, bytes }, text);
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
    capture: Option<String>,
) -> Result<Options> {
    let mut options = Options::default();
    let given = [
        ("ring", ring),
        ("limit", limit),
        ("functions", (!functions.is_empty()).then(|| functions.join(":"))),
        ("min", min),
        ("first", first.map(|first| first.to_string())),
        ("capture", capture),
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
        Some(directory) => {
            let directory = shown(directory);
            Text::from_iter([
                format!("Recording to {directory}"),
                format!(
                    "`installer trace follow {directory}` shows calls as they are made, \
                     `installer trace stop {pid}` ends it."
                ),
            ])
        }
        None if answer.waits => Text::from_iter([
            format!(
                "Process {pid} has made no rocBLAS handle yet: recording begins with its first one, in {}.",
                shown(place)
            ),
            format!(
                "A program that computes without rocBLAS makes none. `installer trace stop {pid}` takes the \
                 request back."
            ),
        ]),
        None => Line::from("Printing calls to the process's stderr; ")
            .text(format_args!("`installer trace stop {pid}` ends it."))
            .into(),
    };
    let started = Started { pid, directory: answer.directory.as_deref(), waits: answer.waits };
    output::result(as_json, &started, text);
    Ok(())
}

/// The document of `trace start`.
#[derive(Serialize)]
struct Started<'a> {
    pid: u32,
    #[serde(serialize_with = "output::json::optional_path")]
    directory: Option<&'a Path>,
    #[serde(rename = "waits_for_handle", skip_serializing_if = "std::ops::Not::not")]
    waits: bool,
}

/// The document of `trace export --output`.
#[derive(Serialize)]
struct Exported<'a> {
    #[serde(serialize_with = "output::json::path")]
    file: &'a Path,
    problems: Vec<String>,
}

/// The document of `trace report`.
#[derive(Serialize)]
struct Page<'a> {
    #[serde(serialize_with = "output::json::path")]
    file: &'a Path,
    bytes: usize,
}

fn complain(complaints: &[String]) {
    for complaint in complaints {
        output::notice(complaint);
    }
}
