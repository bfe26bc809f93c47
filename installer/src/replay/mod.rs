//! `replay`: repeats the call of a capture alone, on each backend and on the CPU in double precision, and
//! reports which results are right.
//!
//! A backend may crash, hang or write out of bounds, so each runs in a child process with a time limit; how a
//! child ends is a result too.
//!
//! | file | concern |
//! |---|---|
//! | `command.rs` | runs the command, and prints |
//! | `call.rs` | the call, checked against the table: nothing else in a file is executed |
//! | `memory.rs` | buffers for the operands; aliased operands share one |
//! | `invoke.rs` | calls a function of rocBLAS by its name |
//! | `device.rs`, `hip.rs` | the child process: one backend, on a GPU or on the CPU |
//! | `kept.rs` | the different results of a backend |
//! | `double.rs` | the same call in double precision |
//! | `compute.rs`, `solve.rs` | the correct result, and the error bound of each element |
//! | `judge.rs` | compares results with it |
//! | `minimise.rs` | finds a smaller call with the same fault |
//! | `text.rs` | prints the result |

mod call;
mod command;
mod compute;
pub mod device;
mod double;
mod hip;
mod invoke;
mod judge;
mod kept;
mod memory;
mod minimise;
mod solve;
#[cfg(test)]
mod tests;
mod text;

pub use command::run;

use crate::{
    backends,
    doctor::child::{self, End, Ended},
    elf, launch,
    output::Text,
    root::Root,
    trace::show_capture::signature,
    tree,
};
use anyhow::{Context, Result, bail, ensure};
use call::Call;
use compute::Right;
use device::Answer;
use judge::{Judged, Verdict};
use kept::Results;
use rocblas_abi::value::status::SUCCESS;
use rocblas_contract::store;
use rocblas_trace::capture::{Meta, Reader, Values};
use serde::Serialize;
use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The capture.
    pub file: PathBuf,
    /// Names in the store, or paths, which contain a slash. If empty, all backends of the store.
    pub backends: Vec<OsString>,
    /// HIP's device number of the GPU.
    pub device: u32,
    /// How often the call is made on each backend.
    pub repeat: u32,
    /// How long each backend, and the CPU, may take.
    pub limit: Duration,
    /// Whether to search for a smaller call with the same fault.
    pub minimise: bool,
    /// The directory for temporary files; by default the system's.
    pub temporary: Option<PathBuf>,
}

/// The result.
#[derive(Debug, Serialize)]
pub struct Replay {
    /// The capture.
    #[serde(serialize_with = "crate::output::json::path")]
    pub file: PathBuf,
    /// The call in one line.
    pub call: String,
    /// The metadata of the capture.
    pub meta: Meta,
    /// What the CPU computed.
    pub cpu: Cpu,
    /// Each backend, in the order in which they were given.
    pub backends: Vec<Row>,
    /// A smaller call with the same fault, if one was asked for.
    pub minimised: Option<Minimised>,
}

/// The call on the CPU in double precision.
#[derive(Debug, Serialize)]
pub struct Cpu {
    /// How long it took, in nanoseconds.
    pub time: u64,
    /// The error bound of an element, as text.
    pub bound: Option<&'static str>,
    /// Why there is no result to compare with.
    pub error: Option<String>,
}

/// A backend's results.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name, or its path.
    pub backend: String,
    /// The library's file.
    #[serde(serialize_with = "crate::output::json::path")]
    pub library: PathBuf,
    /// Its version string.
    pub version: String,
    /// The GPU's name and target; empty if it computes without one.
    pub device: [String; 2],
    /// The outcome of the call.
    pub outcome: Outcome,
    /// The status by its name.
    pub status: Option<String>,
    /// HIP's error by its name.
    pub hip_error: Option<String>,
    /// Further remarks: how the child ended, why the call was not made.
    pub error: Option<String>,
    /// The results compared, of the worst run.
    pub operands: Vec<Judged>,
    /// An operand that was written out of bounds, and where.
    pub outside: Option<(String, i64)>,
    /// An input operand that was changed.
    pub changed_input: Option<String>,
    /// How many runs had results that were not kept and therefore not judged.
    pub not_judged: u64,
    /// How often the call was made, how often its results were wrong, and how many different results there
    /// were.
    pub runs: [u64; 3],
    /// The shortest time and the median, in nanoseconds.
    pub times: Option<[u64; 2]>,
    /// An earlier backend that had the same bits in all runs.
    pub same_as: Option<String>,
}

/// The outcome of a call on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The error is within the usual rounding error.
    Right,
    /// The error is within the worst-case rounding error, but larger than usual.
    Doubtful,
    /// The call succeeded, but there is no result to compare with.
    NotJudged,
    /// In at least one run, an error is larger than rounding can explain, or the call wrote outside an
    /// operand or into an input.
    Wrong,
    /// The call returned an error, or HIP reported one.
    Failed,
    /// The backend lacks the function.
    Missing,
    /// The backend cannot be loaded or used.
    Unusable,
    /// The process crashed.
    Crashed,
    /// The call took longer than the limit.
    TimedOut,
}

impl Outcome {
    /// The outcome in a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Doubtful => "doubtful",
            Self::NotJudged => "not judged",
            Self::Wrong => "wrong",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Unusable => "unusable",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed out",
        }
    }

    /// Whether the outcome allows exit code 0.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Right | Self::Doubtful | Self::NotJudged)
    }
}

/// A smaller capture.
#[derive(Debug, Serialize)]
pub struct Minimised {
    /// The backend with which smaller calls were tried.
    pub backend: String,
    /// The file that was written; `None` if no smaller call has the fault, or after an error.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub file: Option<PathBuf>,
    /// The call in one line.
    pub call: String,
    /// How many calls were tried.
    pub tried: u32,
    /// Whether the search ended early, after `minimise::LIMITS` times the limit of a call.
    pub is_cut_short: bool,
    /// Why no file was written although there is a smaller call.
    pub error: Option<String>,
}

impl Replay {
    /// The result as text and a table.
    pub(crate) fn text(&self) -> Text {
        text::text(self)
    }

    /// The header of the table, and its rows.
    pub(crate) fn table(&self) -> (&'static [&'static str], Vec<Vec<String>>) {
        (&text::HEADER, self.backends.iter().map(text::cells).collect())
    }

    /// Where each backend is wrong, for example `bad: C: 3 of 4,096 elements, ...`
    pub(crate) fn wrong_elements(&self) -> impl Iterator<Item = String> {
        self.backends
            .iter()
            .flat_map(|row| text::elements(row).map(|wrong| format!("{}: {wrong}", row.backend)))
    }

    /// 0 if all backends are right in all runs, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let is_good = |row: &Row| row.outcome.is_good() && row.not_judged == 0;
        u8::from(!self.backends.iter().all(is_good))
    }
}

/// A backend, located.
#[derive(Clone, Debug)]
struct Backend {
    name: String,
    library: PathBuf,
    /// Directories in which the loader searches for its dependencies.
    search: Option<OsString>,
}

/// Replays a call.
///
/// # Errors
/// If the file is not a capture or its call cannot be made, or if a backend is not found.
pub fn replay(
    root: &Root,
    rocm: Option<&Path>,
    request: &Request,
    notice: &dyn Fn(&str),
) -> Result<Replay> {
    ensure!(
        root.is_system(),
        "{} is not the running system; run `installer replay` inside it",
        root.directory().display()
    );
    let reader = Reader::open(&request.file)?;
    check_values(&reader)?;
    let not_replayed = || format!("{} cannot be replayed", request.file.display());
    let call = Call::of(reader.meta()).with_context(not_replayed)?;
    let backends = backends(root, rocm, &request.backends)?;
    let start = Instant::now();
    let right = right(&reader, &call, request.limit);
    let cpu = Cpu {
        time: nanoseconds(start.elapsed()),
        bound: right.as_ref().ok().map(|right| right.formula),
        error: right.as_ref().err().map(|error| format!("{error:#}")),
    };
    let right = right.ok();
    let mut rows: Vec<Row> = Vec::new();
    let mut digests: Vec<(String, String)> = Vec::new();
    for backend in &backends {
        let (mut row, digest) = row(request, &request.file, backend, &call, right.as_ref())?;
        let same = digests.iter().find(|(_, other)| Some(other) == digest.as_ref());
        row.same_as = same.map(|(name, _)| name.clone());
        digests.extend(digest.map(|digest| (row.backend.clone(), digest)));
        rows.push(row);
    }
    let mut replay = Replay {
        file: request.file.clone(),
        call: signature(reader.meta()),
        meta: reader.meta().clone(),
        cpu,
        backends: rows,
        minimised: None,
    };
    let position =
        |is: &dyn Fn(Outcome) -> bool| replay.backends.iter().position(|row| is(row.outcome));
    let failing = position(&|outcome| outcome == Outcome::Wrong)
        .or_else(|| position(&|outcome| !outcome.is_good()));
    if let Some(failing) = failing.filter(|_| request.minimise) {
        let (backend, outcome) = (&backends[failing], replay.backends[failing].outcome);
        let minimised = minimise::minimise(request, backend, outcome, notice);
        replay.minimised = Some(minimised.unwrap_or_else(|error| Minimised {
            backend: backend.name.clone(),
            file: None,
            call: replay.call.clone(),
            tried: 0,
            is_cut_short: false,
            error: Some(format!("{error:#}")),
        }));
    }
    Ok(replay)
}

/// Checks that a file's call can be made.
///
/// # Errors
/// The reason why it cannot be made.
pub fn check(file: &Path) -> Result<()> {
    let reader = Reader::open(file)?;
    check_values(&reader)?;
    let call = Call::of(reader.meta())?;
    (0..call.operands.len())
        .try_for_each(|position| device::before(&reader, &call, position).map(|_| ()))
}

/// A directory for the temporary files of a request.
fn temporary(request: &Request) -> io::Result<TempDir> {
    private(request.temporary.as_deref().unwrap_or(&env::temp_dir()))
}

/// A temporary directory that only its owner can access: results may be confidential.
fn private(place: &Path) -> io::Result<TempDir> {
    let mode = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("installer-replay-").permissions(mode).tempdir_in(place)
}

/// Rejects a capture without values.
fn check_values(reader: &Reader) -> Result<()> {
    let file = reader.path().display();
    match reader.meta().values {
        Values::Complete => Ok(()),
        Values::Redacted => bail!(
            "{file} has no values to replay: it was captured with --redact-values, which leaves them out; \
             capture the call again without it"
        ),
        Values::TooLarge => bail!(
            "{file} has no values to replay: its operands are larger than the limit of the capture; capture \
             the call again with a larger one"
        ),
    }
}

/// The right result, if the CPU can compute it within the limit.
fn right(reader: &Reader, call: &Call, limit: Duration) -> Result<Right> {
    compute::compute(call, limit, &|position| device::before(reader, call, position))
}

/// The named backends, or all in the store.
fn backends(root: &Root, rocm: Option<&Path>, names: &[OsString]) -> Result<Vec<Backend>> {
    let names = if names.is_empty() {
        let none = "name a backend with --backend: there is no store to take all of";
        let tree = tree::choose(root, rocm).context(none)?;
        let listed = backends::list(root, &tree.lib)?;
        let all: Vec<OsString> = listed.into_iter().map(|backend| backend.name.into()).collect();
        ensure!(
            !all.is_empty(),
            "name a backend with --backend: the store in {} is empty",
            tree.lib.display()
        );
        all
    } else {
        names.to_vec()
    };
    names.iter().map(|name| backend(root, rocm, name)).collect()
}

fn backend(root: &Root, rocm: Option<&Path>, value: &OsStr) -> Result<Backend> {
    let name = value.display().to_string();
    let found = launch::backend(root, rocm, value, None).map(|backend| backend.library);
    let library = match found {
        Ok(library) => library,
        // A shim in a library directory rejects another shim as its backend.
        Err(_) if is_shim(root, Path::new(value)) => std::path::absolute(value)?,
        Err(error) => return Err(error),
    };
    Ok(Backend { name, search: search(&library), library })
}

fn is_shim(root: &Root, path: &Path) -> bool {
    let file = std::path::absolute(path).ok().and_then(|path| root.open(&path).ok());
    let summary = file.and_then(|file| elf::summary(&file).ok());
    path.as_os_str().as_bytes().contains(&b'/') && summary.is_some_and(|file| file.shim.is_some())
}

/// The dependencies of a backend in a store are next to the shim, under the needed names.
fn search(library: &Path) -> Option<OsString> {
    let in_store = |lib: &&Path| library.starts_with(store::backends(lib));
    let lib = library.ancestors().find(in_store)?;
    let before = env::var_os(LIBRARY_PATH).filter(|before| !before.is_empty());
    let paths = [lib.as_os_str().to_owned()].into_iter().chain(before);
    Some(paths.collect::<Vec<_>>().join(OsStr::new(":")))
}

const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// Makes a file's call on a backend in a child process and compares the results. Also returns a digest of
/// them.
fn row(
    request: &Request,
    file: &Path,
    backend: &Backend,
    call: &Call,
    right: Option<&Right>,
) -> Result<(Row, Option<String>)> {
    let results = temporary(request).context("cannot make a directory for the results")?;
    let program = env::current_exe().context("cannot find this program's file")?;
    let mut command = Command::new(program);
    command.arg("call-for-replay").arg(&backend.library).arg(file).arg(results.path());
    command.arg(request.device.to_string()).arg(request.repeat.to_string());
    if let Some(search) = &backend.search {
        command.env(LIBRARY_PATH, search);
    }
    let ended = child::run_command::<bool>(&mut command, request.limit);
    let Ended { answer, end, stderr } = ended.context("cannot start a child process")?;
    let mut row = Row {
        backend: backend.name.clone(),
        library: backend.library.clone(),
        version: String::new(),
        device: <[String; 2]>::default(),
        outcome: Outcome::Unusable,
        status: None,
        hip_error: None,
        error: None,
        operands: Vec::new(),
        outside: None,
        changed_input: None,
        not_judged: 0,
        runs: [0; 3],
        times: None,
        same_as: None,
    };
    let answer = match (answer, end) {
        (Some(_), End::Code(0)) => device::read_answer(results.path())
            .context("cannot read what the child process wrote")?,
        // Report this even if there is a result: a program would end in the same way.
        (_, end) => {
            row.outcome = match end {
                End::TimeLimit(_) => Outcome::TimedOut,
                End::Code(_) | End::Signal(_) => Outcome::Crashed,
            };
            let last = stderr.lines().rfind(|line| !line.trim().is_empty());
            row.error = Some(match last {
                Some(line) => format!("the process {end}: {line}"),
                None => format!("the process {end}"),
            });
            return Ok((row, None));
        }
    };
    let digest = match &answer.results[..] {
        [always] => Some(always.digest.clone()),
        _ => None,
    };
    fill(&mut row, answer, results.path(), call, right)?;
    let has_failed = matches!(row.outcome, Outcome::Failed | Outcome::Unusable);
    Ok((row, digest.filter(|_| !has_failed)))
}

/// Fills in the child's results.
fn fill(
    row: &mut Row,
    answer: Answer,
    results: &Path,
    call: &Call,
    right: Option<&Right>,
) -> Result<()> {
    row.version = answer.version;
    row.device = answer.device;
    row.hip_error = answer.hip_error;
    row.status = answer.status.map(invoke::status_name);
    row.times = times(answer.times.clone());
    row.outside = answer.outside;
    row.changed_input = answer.changed_input;
    row.runs[0] = answer.times.len() as u64;
    row.runs[2] = answer.results.len() as u64;
    if let Some(error) = answer.error {
        row.error = Some(error);
        return Ok(());
    }
    if answer.is_missing {
        row.outcome = Outcome::Missing;
        return Ok(());
    }
    let mut worst = match right {
        Some(_) => Verdict::Right,
        None => Verdict::Doubtful,
    };
    let (kept, others) = answer.results.split_at(answer.kept.min(answer.results.len()));
    row.runs[1] = answer.results.iter().map(|found| found.harmful).sum();
    let length = call.written().map(|(_, given)| given.bytes()).sum();
    let mut results = Results::open(results, length)?;
    for found in kept {
        let Some(right) = right else { break };
        let outputs = results.read()?;
        let operands = judge::judge(call, right, &outputs);
        let verdict = operands.iter().map(|operand| operand.verdict).max();
        let verdict = verdict.unwrap_or(Verdict::Right);
        if verdict == Verdict::Wrong {
            row.runs[1] += found.runs - found.harmful;
        }
        if row.operands.is_empty() || verdict > worst {
            row.operands = operands;
        }
        worst = worst.max(verdict);
    }
    if right.is_some() {
        row.not_judged = others.iter().map(|found| found.runs).sum();
    }
    row.outcome = match (worst, right) {
        _ if answer.status != Some(SUCCESS) || row.hip_error.is_some() => Outcome::Failed,
        (Verdict::Wrong, _) => Outcome::Wrong,
        _ if row.outside.is_some() || row.changed_input.is_some() => Outcome::Wrong,
        (_, None) => Outcome::NotJudged,
        _ if row.not_judged > 0 => Outcome::NotJudged,
        (Verdict::Doubtful, _) => Outcome::Doubtful,
        (Verdict::Right, _) => Outcome::Right,
    };
    Ok(())
}

/// The shortest time and the median.
fn times(mut times: Vec<u64>) -> Option<[u64; 2]> {
    times.sort_unstable();
    Some([*times.first()?, times[times.len() / 2]])
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
