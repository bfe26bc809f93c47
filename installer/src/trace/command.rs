//! Runs `installer trace`, and prints the result.

use super::{capture, control, diff, export, report, show, show_capture, summary, top};
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

/// Runs a command. Returns the exit code.
///
/// # Errors
/// Any failure, described in a sentence.
pub fn run(command: Trace, as_json: bool) -> Result<u8> {
    if let Trace::Capture(command) = command {
        return Ok(u8::from(!capture::run(command, as_json)?));
    }
    carry_out(command, as_json)?;
    Ok(0)
}

/// Runs a command that succeeds or fails.
fn carry_out(command: Trace, as_json: bool) -> Result<()> {
    match command {
        Trace::Start { pid, output, ring, limit, functions, min, first, capture, looked } => {
            let mut options = options(ring, limit, &functions, min, first, capture)?;
            looked.set(&mut options).map_err(|why| anyhow!(why))?;
            start(pid, &output, &options, as_json)
        }
        // Handled above.
        Trace::Capture(_) => Ok(()),
        Trace::Stop { pid } => {
            let answer = control::stop(pid)?;
            let text = match &answer.directory {
                None if answer.waits => format!(
                    "process {pid} has created no rocBLAS handle yet; a trace that it was asked for ends as it \
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
                    "process {pid} has created no rocBLAS handle yet, and so no call; a trace that it was asked \
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
        Trace::ShowCapture { file } => {
            let shown = show_capture::show(&file)?;
            output::result(as_json, &shown, show_capture::text(&shown));
            Ok(())
        }
        Trace::Follow { path, select, long } => {
            let options = show::Options { select, long, json: as_json, first: None };
            complain(&show::follow(&path, &options, &mut output::data())?);
            Ok(())
        }
        Trace::Top { target, once } => top::top(&target, top::Options { once, json: as_json }),
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
                // A failed write is remembered and reported at the end.
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

/// The options in the shim's syntax. They are parsed here first, so that errors are reported before the
/// process is contacted.
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
    let answer = control::start(pid, place, options)?;
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
                "Process {pid} has created no rocBLAS handle yet: recording begins with its first one, in {}.",
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

/// The JSON document of `trace start`.
#[derive(Serialize)]
struct Started<'a> {
    pid: u32,
    #[serde(serialize_with = "output::json::optional_path")]
    directory: Option<&'a Path>,
    #[serde(rename = "waits_for_handle", skip_serializing_if = "std::ops::Not::not")]
    waits: bool,
}

/// The JSON document of `trace export --output`.
#[derive(Serialize)]
struct Exported<'a> {
    #[serde(serialize_with = "output::json::path")]
    file: &'a Path,
    problems: Vec<String>,
}

/// The JSON document of `trace report`.
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
