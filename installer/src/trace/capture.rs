//! `installer trace capture`: starts a trace that saves the operands of calls, waits until they are saved,
//! and stops the trace.

use super::{
    checks::{self, OWN},
    control,
};
use crate::{
    cli::Capture,
    output::{self, Text, count, grouped, notice, shown},
    signals,
};
use anyhow::{Context, Result, anyhow, bail};
use rocblas_trace::{
    layout::{Due, Skipped, State},
    options::{OnBad, Options},
    process::saved_file,
    read::{Life, Record, Trace},
};
use rustix::process::Signal;
use serde::Serialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often the directory is checked.
const INTERVAL: Duration = Duration::from_millis(100);

/// How often the trace is checked for a reason why no file appears.
const ASKING: Duration = Duration::from_secs(1);

/// How long a call's file may still appear after the trace has reported that there will be none: the shim
/// writes it once the GPU has completed the call.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the command. Returns whether all requested calls were saved.
///
/// # Errors
/// Any failure, described in a sentence.
pub(super) fn run(command: Capture, as_json: bool) -> Result<bool> {
    let pid = command.pid;
    let wanted = if command.functions.is_empty() { 1 } else { command.count };
    let options = options(&command)?;
    // From here on, a signal ends the wait instead of this program, so that the trace can be stopped.
    // Signals that this process inherited as ignored stay ignored.
    let awaited = [Signal::INT, Signal::TERM, Signal::HUP].into_iter();
    let signals = signals::set_of(awaited.filter(|signal| !signals::is_ignored(*signal)));
    signals::block(libc::SIG_BLOCK, &signals).context("cannot wait for signals")?;
    let answer = control::start(pid, &command.output, &options)?;
    if answer.waits {
        notice(&format!(
            "process {pid} has created no rocBLAS handle yet; waiting for its first one"
        ));
    }
    let mut files = Vec::new();
    let ended = wait(pid, answer, &options, wanted, &signals, &mut files);
    if !matches!(ended, Ok(Ended::ProcessOver | Ended::TraceOver(_))) {
        // The process may have ended, or someone else may have stopped the trace.
        let stopped = control::stop(pid);
        if let (Err(e), Ok(Ended::Interrupted)) = (stopped, &ended) {
            notice(&format!("{e:#}"));
        }
    }
    let ended = ended?;
    if files.is_empty() {
        bail!("no such call was saved: {}", ended.sentence());
    }
    let saved = files.len() as u64;
    let is_complete = saved >= wanted;
    let mut text = Text::new();
    if is_complete {
        text.line(format_args!("Saved {}:", count(saved, "call")));
    } else {
        let (saved, calls, why) = (grouped(saved), count(wanted, "call"), ended.sentence());
        text.line(format_args!("Saved {saved} of {calls}; {why}:"));
    }
    for file in &files {
        text.line(format_args!("  {}", shown(file)));
    }
    text.line(format_args!(
        "`installer replay FILE` makes the call again, `installer trace show-capture FILE` prints it."
    ));
    let why = (!is_complete).then(|| ended.sentence());
    output::result(as_json, &Captured { files, wanted, is_complete, why }, text);
    Ok(is_complete)
}

/// Waits until that many calls are saved or no more will be. Adds the files to the list.
fn wait(
    pid: u32,
    mut answer: control::Answer,
    options: &Options,
    wanted: u64,
    signals: &libc::sigset_t,
    files: &mut Vec<PathBuf>,
) -> Result<Ended> {
    let mut look_into = |directory: &Path| -> Result<u64> {
        let found = saved(directory)?;
        for file in found.iter().filter(|file| !files.contains(*file)) {
            notice(&format!("saved {}", shown(file)));
        }
        *files = found;
        Ok(files.len() as u64)
    };
    let mut hindered: Option<Instant> = None;
    let (mut asked, mut there) = (Instant::now(), 0);
    loop {
        if let Some(directory) = &answer.directory {
            let now = look_into(directory)?;
            if now >= wanted {
                return Ok(Ended::Complete);
            }
            if now > there {
                (there, hindered) = (now, None);
            }
            let trace = Trace::open(directory).ok();
            if let Some(ended) = trace.as_ref().and_then(|trace| over(trace, pid)) {
                // The process may have saved the last one just now.
                look_into(directory)?;
                return Ok(ended);
            }
            if let Some(trace) = trace.filter(|_| asked.elapsed() >= ASKING) {
                asked = Instant::now();
                match hindrance(&trace, options, wanted - now) {
                    None => hindered = None,
                    Some(why) if hindered.is_some_and(|since| since.elapsed() >= GRACE) => {
                        return Ok(Ended::Hindered(why));
                    }
                    Some(_) => {
                        hindered.get_or_insert_with(Instant::now);
                    }
                }
            }
        } else {
            // Either the process has ended or it has begun recording.
            answer = control::status(pid)?;
        }
        if signals::arrival(signals, Some(INTERVAL)).is_some() {
            return Ok(Ended::Interrupted);
        }
    }
}

/// How a trace ended, if it has.
fn over(trace: &Trace, pid: u32) -> Option<Ended> {
    match trace.life() {
        Life::Over => Some(Ended::ProcessOver),
        Life::Stopped => Some(Ended::TraceOver(trace.ended().map(|ended| ended.why.clone()))),
        Life::Unknown if !Path::new(&format!("/proc/{pid}")).exists() => Some(Ended::ProcessOver),
        Life::Running | Life::Unknown => None,
    }
}

/// Why the remaining calls will not be saved, as far as the trace shows.
fn hindrance(trace: &Trace, options: &Options, left: u64) -> Option<String> {
    let (threads, _) = trace.threads().ok()?;
    let (mut skipped, mut unable) = (None, 0);
    // The requested call, if it is known.
    let mut named = options.save.call;
    let mut has_passed = false;
    for mut thread in threads {
        let written = thread.written();
        if written.state == State::Failed {
            let error = io::Error::from_raw_os_error(written.errno.cast_signed());
            let file = shown(thread.path());
            return Some(format!("the process cannot write its trace: {file}: {error}"));
        }
        let ordinal = written.ordinal;
        let own = ordinal == OWN;
        let number = options.save.call.filter(|(thread, _)| *thread == ordinal);
        if !own && number.is_none() {
            continue;
        }
        if !own {
            thread.skip();
        }
        while let Ok(Some(record)) = thread.next() {
            match (record, number) {
                (Record::Skipped(calls), _) if own && calls.due == Due::Save => {
                    skipped = Some(calls.reason);
                    unable += if calls.reason == Skipped::Unable { calls.count } else { 0 };
                }
                (Record::Finding(finding), _) if own => {
                    named.get_or_insert((finding.call.thread, finding.call.sequence));
                }
                (Record::Call(call), Some((_, number))) => {
                    has_passed |= call.sequence() > number && call.end().is_some();
                }
                _ => {}
            }
        }
    }
    if unable >= left {
        let file = named.map(|(thread, number)| trace.directory().join(saved_file(thread, number)));
        let place = shown(file.as_deref().unwrap_or(trace.directory()));
        return Some(format!(
            "the process could not copy the operands or write them to {place} (no space left there, for example): \
             its standard error says why"
        ));
    }
    let (thread, number) = options.save.call.filter(|_| has_passed || skipped.is_some())?;
    Some(match skipped {
        Some(reason) => {
            format!("call {thread}:{number} was not {}", checks::skipped(Due::Save, reason))
        }
        None => format!(
            "call {thread}:{number} has passed and was not saved: it has no operands, failed, or its file could \
             not be written"
        ),
    })
}

/// Why the wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// All calls are saved.
    Complete,
    /// The process has ended.
    ProcessOver,
    /// The trace was stopped, with the reason if it is known.
    TraceOver(Option<String>),
    /// A signal was received.
    Interrupted,
    /// The process cannot save them.
    Hindered(String),
}

impl Ended {
    /// `the process ended`
    fn sentence(&self) -> String {
        match self {
            Self::Complete => "all are there".to_owned(),
            Self::ProcessOver => "the process ended".to_owned(),
            Self::TraceOver(None) => "the trace was stopped".to_owned(),
            Self::TraceOver(Some(why)) => format!("the trace ended: {why}"),
            Self::Interrupted => "stopped by a signal".to_owned(),
            Self::Hindered(why) => why.clone(),
        }
    }
}

/// The JSON document of `trace capture`.
#[derive(Serialize)]
struct Captured {
    #[serde(serialize_with = "output::json::paths")]
    files: Vec<PathBuf>,
    wanted: u64,
    #[serde(rename = "complete")]
    is_complete: bool,
    /// Why there are fewer than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn options(command: &Capture) -> Result<Options> {
    let mut options = Options::default();
    let functions = (!command.functions.is_empty()).then(|| command.functions.join(":"));
    let given = [
        ("--call", "save-call", command.call.clone()),
        ("--match", "save-functions", functions.clone()),
        ("--count", "save-count", functions.map(|_| command.count.to_string())),
        ("--limit", "save-limit", command.limit.clone()),
        ("--every", "every", command.every.map(|every| every.to_string())),
    ];
    for (option, name, value) in given {
        if let Some(value) = value {
            options.set(name, &value).map_err(|why| anyhow!("{option}: {why}"))?;
        }
    }
    if command.first_bad {
        (options.check.nan, options.check.inf) = (true, true);
        options.on_bad = OnBad::Capture;
    }
    options.save.redact = command.redact_values;
    Ok(options)
}

/// The capture files in a trace's directory.
fn saved(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_of_a_call = name.starts_with("call-") && name.ends_with(".safetensors");
            if is_of_a_call && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    };
    read().with_context(|| format!("cannot read {}", directory.display()))
}
