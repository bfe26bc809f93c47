//! Reads a log from beginning to end and collects the known errors, each once for each GPU and tree, with the
//! settings, GPUs and crashes that the log shows. The meaning of some errors depends on what follows them.

use super::{
    Known,
    advice::Shown,
    cause::{Cause, is_in_store},
    scanner,
    system::{DRIVE, System, is_of_windows},
    understand,
};
use crate::{
    doctor::{
        dead_ends::state_space_on_cpu,
        environment,
        log::{
            line::{Line, OLLAMA_BUNDLE},
            scan::Scanner,
        },
    },
    source::gpu_of,
};
use rocblas_contract::{
    sentences::PREFIX,
    store::{SHIM_FILE, STORE},
    variables::{LIBRARY_PATH, PRELOAD, TENSILE_LIBPATH, USE_HIPBLASLT},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Related lines are at most this far apart, in bytes.
const NEAR: u64 = 4096;

/// More distinct errors than anybody wants to read.
const MOST: usize = 64;

/// llama.cpp's argument, and its short form.
const OVERRIDE_TENSOR: [&str; 2] = ["--override-tensor", " -ot "];

/// How llama.cpp prints the error that HIP returned.
const HIP_ERROR: [&str; 2] = ["ROCm error: ", "CUDA error: "];

/// How llama.cpp's HIP build prints a status that it has no name for, such as HIPBLAS_STATUS_UNKNOWN.
const UNNAMED_STATUS: &str = "unknown error";

/// How shells and programs report that a process ended.
const CRASHES: [&str; 4] =
    ["egmentation fault", "(core dumped)", "error=\"runner crashed\"", "SIGSEGV"];

/// Lines in which llama.cpp and Ollama list GPUs.
const DEVICES: [&str; 2] = [", gfx", "compute=gfx"];

/// How llama.cpp prints, after an error, on which device it happened.
const CURRENT_DEVICE: &str = "current device: ";

/// How it prints on which device it initialises rocBLAS, before that may fail.
const INITIALISING: &str = "initializing rocBLAS on device ";

/// Where a message contains a device number, or Ollama's identifier of a device.
const NUMBERED: [&str; 8] =
    ["on device ", "device: ", "Device ", "device ", "ROCm", "GPU ", "cuda:", " id="];

/// How many errors may wait for the line that names their device.
const WAITING: usize = 16;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let mut parts = variables();
    parts.extend(OVERRIDE_TENSOR.iter().chain(&HIP_ERROR).chain(&CRASHES).chain(&DEVICES));
    parts.extend([STORE, SHIM_FILE, CURRENT_DEVICE, INITIALISING, OLLAMA_BUNDLE, DRIVE]);
    parts.extend(System::marks());
    scanner(&parts)
});

/// The variables that a log is searched for.
fn variables() -> Vec<&'static str> {
    let of_rocblas = [TENSILE_LIBPATH, USE_HIPBLASLT].map(|name| name.to_str().expect("ASCII"));
    let mut names =
        vec![environment::OVERRIDE, environment::PREFER_HIPBLASLT, LIBRARY_PATH, PRELOAD];
    names.extend(of_rocblas);
    names
}

/// What a log shows.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The known errors, in the log's order.
    pub found: Vec<Known>,
    /// Variables and options that matter. The other parts of their lines may be secret.
    pub settings: Vec<Setting>,
    /// The line that reports a crash.
    pub crash: Option<String>,
    /// The GPUs that it lists, without features.
    pub gpus: BTreeSet<String>,
    /// Whether it shows the shim.
    pub shim: Shown,
    /// The first system that it shows.
    pub system: Option<System>,
    /// It is empty or blank.
    pub empty: bool,
    /// The GPUs by number or identifier. Another process may number them differently, so the last one counts.
    devices: BTreeMap<String, String>,
    /// With several GPUs: errors whose device a following line may name.
    waiting: VecDeque<Event>,
    /// The device on which rocBLAS is initialised, and where the log says so.
    initialising: Option<(u64, String)>,
    /// The directories of Ollama's ROCm libraries.
    bundles: BTreeSet<PathBuf>,
    /// Lines name files of Windows, and of Linux.
    windows: bool,
    linux: bool,
    /// A failed SOLVE_TRI whose reason has not appeared yet, and its position.
    pending: Option<(u64, Line)>,
    /// A queue that stopped, whose status has not appeared yet, and its position.
    queue: Option<(u64, Line)>,
    /// The position of the last error that following lines continue.
    code_object: Option<u64>,
    /// The position of the last error that may be why a SOLVE_TRI failed.
    reason: Option<u64>,
    /// The position of the last message that explains why rocBLAS calls fail.
    rocblas: Option<u64>,
}

/// A line that may report an error.
#[derive(Clone, Debug)]
struct Event {
    at: u64,
    line: Line,
    cause: Option<Cause>,
}

/// A variable or option that was set where the log was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Reading {
    /// Reads a whole log.
    pub fn of(log: impl Read) -> io::Result<Self> {
        let mut reading = Self::default();
        reading.empty = !SCANNER.lines(log, |at, line| reading.line(at, line))?;
        reading.finish();
        Ok(reading)
    }

    /// Whether the log is from Windows.
    #[must_use]
    pub fn is_of_windows(&self) -> bool {
        self.windows && !self.linux
    }

    fn line(&mut self, at: u64, raw: &str) {
        let mut line = Line::read(raw);
        self.facts(at, &line);
        if line.message.starts_with(CURRENT_DEVICE) {
            let gpu = self.device_in(&line.message);
            for event in &mut self.waiting {
                if event.line.gpu.is_none() && at <= event.at + NEAR {
                    event.line.gpu.clone_from(&gpu);
                }
            }
            return self.let_through(0);
        }
        let cause = understand(&line);
        let is_answer = HIP_ERROR.iter().any(|start| line.message.starts_with(start));
        if cause.is_none() && !is_answer {
            return;
        }
        if line.gpu.is_none() && self.gpus.len() > 1 {
            line.gpu = self.device_in(&line.message).or_else(|| self.initialised_device(at));
        }
        self.waiting.push_back(Event { at, line, cause });
        self.let_through(if self.gpus.len() > 1 { WAITING } else { 0 });
    }

    /// Explains the waiting errors except the last `but`.
    fn let_through(&mut self, but: usize) {
        while self.waiting.len() > but
            && let Some(event) = self.waiting.pop_front()
        {
            self.event(event);
        }
    }

    /// Conclusions that need the end of the log.
    fn finish(&mut self) {
        self.let_through(0);
        self.settle();
        self.settle_queue();
        // A crashed runner whose error is in the log is explained by that error.
        if self.found.iter().any(|known| ends_a_runner(known.cause)) {
            self.found.retain(|known| known.cause != Cause::OllamaRunner);
        }
        // Of several bundles, the one of ROCm 7, whose name sorts last: rocm, rocm_v6, rocm_v7.
        let bundle = self.bundles.last();
        for known in &mut self.found {
            if known.line.tree.is_none() && is_of_the_program(known.cause) {
                known.line.tree = bundle.cloned();
            }
        }
    }

    /// The GPU whose number or identifier is in a message.
    fn device_in(&self, message: &str) -> Option<String> {
        NUMBERED.iter().find_map(|before| {
            let mut places = message.match_indices(before).map(|(at, _)| at + before.len());
            places.find_map(|at| {
                let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-';
                let rest = &message[at..];
                let end = rest.find(ends).unwrap_or(rest.len());
                // `ROCm 7.0` is a release.
                let is_release = rest[end..].starts_with('.')
                    && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit());
                self.devices.get(&rest[..end]).filter(|_| !is_release).cloned()
            })
        })
    }

    /// The GPU on which rocBLAS is initialised immediately before an error.
    fn initialised_device(&self, at: u64) -> Option<String> {
        let (before, device) = self.initialising.as_ref()?;
        self.devices.get(device).filter(|_| at <= before + NEAR).cloned()
    }

    fn event(&mut self, event: Event) {
        let Event { at, line, cause } = event;
        if self.pending.as_ref().is_some_and(|(before, _)| at > before + NEAR) {
            self.settle();
        }
        if self.queue.as_ref().is_some_and(|(before, _)| at > before + NEAR) {
            self.settle_queue();
        }
        let is_near = |place: Option<u64>| place.is_some_and(|place| at <= place + NEAR);
        let is_explained = is_near(self.rocblas) || is_near(self.reason);
        let is_answer = HIP_ERROR.iter().any(|start| line.message.starts_with(start));
        if is_answer && let Some((_, failed)) = self.pending.take() {
            let shown = failed.shown.clone();
            match cause.or_else(|| status_of(&line)) {
                Some(cause) if is_reason(cause) => {
                    self.reason = Some(at);
                    return self.add(cause, line, Some(shown));
                }
                Some(Cause::NoProgramKernel) => self.add(Cause::NoRocblasKernel, failed, None),
                Some(cause) if is_consequence(cause) && is_explained => return,
                Some(other) => return self.add(other, line, Some(shown)),
                None => return self.add(Cause::SolveTriOther, failed, Some(line.shown)),
            }
        }
        match cause {
            Some(Cause::SolveTri) if is_near(self.reason) => {}
            Some(Cause::SolveTri) => {
                self.settle();
                self.pending = Some((at, line));
            }
            Some(Cause::QueueError) => {
                self.settle_queue();
                self.queue = Some((at, line));
            }
            Some(Cause::CodeObjectContinued) if is_near(self.code_object) => {}
            Some(cause) if is_consequence(cause) && is_explained => {}
            Some(Cause::HsaResources) if self.queue.is_none() && is_near(self.reason) => {}
            Some(cause) => {
                if line.message.starts_with("Cannot find CO") {
                    self.code_object = Some(at);
                }
                let cause = match cause {
                    Cause::HsaResources if self.queue.is_some() => Cause::QueueResources,
                    cause => cause,
                };
                let mut also = None;
                if matches!(cause, Cause::QueueResources | Cause::GpuFault) {
                    also = self.queue.take().map(|(_, queue)| queue.shown);
                }
                if is_reason(cause) {
                    self.reason = Some(at);
                    also = self.pending.take().map(|(_, failed)| failed.shown).or(also);
                }
                if is_of_rocblas(cause) || cause == Cause::NoGpu {
                    self.rocblas = Some(at);
                }
                self.add(cause, line, also);
            }
            None => {}
        }
    }

    /// Handles a queue that stopped without a known status, or whose status is in another log.
    fn settle_queue(&mut self) {
        if let Some((_, line)) = self.queue.take() {
            self.add(Cause::GpuFault, line, None);
        }
    }

    /// Without another reason after it, a failed SOLVE_TRI lacks its kernel, as far as is known.
    fn settle(&mut self) {
        if let Some((_, line)) = self.pending.take() {
            self.add(Cause::NoRocblasKernel, line, None);
        }
    }

    /// Adds an error, or what its line adds to an earlier error with the same cause.
    fn add(&mut self, cause: Cause, line: Line, also: Option<String>) {
        fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        let is_full = self.found.len() >= MOST;
        // With several GPUs, an error without a known GPU must not get the next one's.
        let are_several = self.gpus.len() > 1;
        let same = self.found.iter_mut().find(|known| {
            let earlier = &known.line;
            known.cause.has_explanation_of(cause)
                && agree(&earlier.gpu, &line.gpu)
                && !(are_several && earlier.gpu.is_none() && line.gpu.is_some())
                && agree(&earlier.tree, &line.tree)
                && (cause != Cause::LibraryNotFound || agree(&earlier.library, &line.library))
        });
        match same {
            Some(known) => {
                let earlier = &mut known.line;
                earlier.gpu = earlier.gpu.take().or(line.gpu);
                earlier.tree = earlier.tree.take().or(line.tree);
                earlier.path = earlier.path.take().or(line.path);
                earlier.library = earlier.library.take().or(line.library);
                earlier.release = earlier.release.take().or(line.release);
                known.also = known.also.take().or(also);
            }
            None if !is_full => self.found.push(Known { cause, line, also }),
            None => {}
        }
    }

    /// Whether a line shows the shim: one of its sentences, or a path of its file or store.
    fn shim(&mut self, line: &Line) {
        let is_own = is_in_store(line) || line.library.as_deref() == Some(SHIM_FILE);
        self.shim.somewhere |= is_own || line.message.starts_with(PREFIX);
        if is_own && self.shim.trees.len() < MOST {
            self.shim.trees.extend(line.tree.clone());
        }
    }

    /// What a line shows about the machine: its GPUs, system and directories.
    fn machine(&mut self, at: u64, line: &Line) {
        let message = line.message.as_str();
        let is_listed = message.starts_with("Device ") || message.contains(DEVICES[1]);
        let listed = || message.match_indices("gfx").find_map(|(at, _)| gpu_of(&message[at..]));
        if is_listed
            && self.devices.len() < MOST
            && let Some(gpu) = listed()
        {
            self.gpus.insert(gpu.to_owned());
            let number = message.strip_prefix("Device ").and_then(|rest| rest.split(':').next());
            let identifier = || message.split_once(" id=")?.1.split_whitespace().next();
            if let Some(name) = number.or_else(identifier) {
                self.devices.insert(name.to_owned(), gpu.to_owned());
            }
        }
        if let Some((_, device)) = message.split_once(INITIALISING) {
            self.initialising = Some((at, device.trim().to_owned()));
        }
        if message.contains(OLLAMA_BUNDLE) && self.bundles.len() < MOST {
            self.bundles.extend(line.tree.clone().filter(|tree| is_bundle(tree)));
        }
        // The prompt of a shell and the name of a host count too.
        self.system = self.system.or_else(|| System::of(&line.shown));
        self.windows |= is_of_windows(message);
        self.linux |= line.path.is_some();
    }

    /// What a line shows besides errors.
    fn facts(&mut self, at: u64, line: &Line) {
        let message = line.message.as_str();
        if self.crash.is_none() && CRASHES.iter().any(|crash| message.contains(crash)) {
            self.crash = Some(line.shown.clone());
        }
        self.shim(line);
        self.machine(at, line);
        let set = variables().into_iter().filter_map(|name| Some((name, value_of(message, name)?)));
        let mut set: Vec<(&str, &str)> =
            set.filter(|(name, value)| environment::harm(name, value).is_some()).collect();
        for option in OVERRIDE_TENSOR {
            let value = message.split_once(option).map(|(_, rest)| rest);
            let value = value.and_then(|rest| {
                rest.trim_start_matches(['=', ' ', '\'', '"']).split_whitespace().next()
            });
            let value = value.map(|value| value.trim_end_matches(['\'', '"']));
            set.extend(
                value.filter(|value| state_space_on_cpu(value)).map(|v| (OVERRIDE_TENSOR[0], v)),
            );
        }
        for (name, value) in set {
            let is_new =
                self.settings.iter().all(|known| known.name != name || known.value != value);
            if is_new && self.settings.len() < MOST {
                let (name, value) = (name.to_owned(), value.to_owned());
                self.settings.push(Setting { name, value });
            }
        }
    }
}

/// Whether an error is one that ends a runner of Ollama.
fn ends_a_runner(cause: Cause) -> bool {
    let is_missing = matches!(cause, Cause::NoProgramKernel | Cause::NoGpu | Cause::HipblasStatus);
    is_missing || is_of_rocblas(cause) || is_reason(cause)
}

/// Whether a directory contains Ollama's ROCm libraries.
fn is_bundle(tree: &Path) -> bool {
    tree.to_str().is_some_and(|tree| {
        tree.rsplit_once('/')
            .is_some_and(|(above, name)| above.ends_with("/ollama") && name.starts_with("rocm"))
    })
}

/// Whether an error concerns the program's rocBLAS, which in a log of Ollama is its bundle's.
fn is_of_the_program(cause: Cause) -> bool {
    let is_of_ollama = matches!(cause, Cause::OllamaFiltered | Cause::OllamaRunner);
    is_of_ollama
        || is_of_rocblas(cause)
        || matches!(cause, Cause::HipblasStatus | Cause::HipblasUnsupported)
}

/// Whether an error next to a failed SOLVE_TRI explains the failure, so that no kernel is missing.
fn is_reason(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::OutOfMemory
            | Cause::HipblasMemory
            | Cause::Capture
            | Cause::GpuFault
            | Cause::QueueResources
    )
}

/// Whether an error is rocBLAS's own message about why a call failed.
fn is_of_rocblas(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::NoRocblasKernel
            | Cause::TensileException
            | Cause::TensileMissing
            | Cause::TensileNoSolution
            | Cause::TensileOfBackend
    )
}

/// Whether an error next to such a message, or next to a reason, is its consequence.
fn is_consequence(cause: Cause) -> bool {
    matches!(cause, Cause::HipblasStatus | Cause::HipblasUnsupported | Cause::TensileRegex)
}

/// What a status after a failed SOLVE_TRI means if it is from hipBLAS and its line does not say ROCm: HIP
/// builds of llama.cpp printed CUDA until 2024.
fn status_of(line: &Line) -> Option<Cause> {
    if line.message.ends_with(UNNAMED_STATUS) {
        return Some(Cause::HipblasStatus);
    }
    let status = line.message.strip_prefix(HIP_ERROR[1])?;
    understand(&Line { message: format!("{}{status}", HIP_ERROR[0]), ..line.clone() })
}

/// The value of a variable in a command line, or in Go's print of a map; `None` if it is empty.
fn value_of<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.match_indices(name).find_map(|(at, _)| {
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let rest = message[at + name.len()..].strip_prefix(['=', ':'])?;
        if message[..at].ends_with(is_of_a_name) {
            return None;
        }
        let rest = rest.trim_start_matches(['"', '\'']);
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ']' | '}' | ','));
        let value = &rest[..end.unwrap_or(rest.len())];
        (!value.is_empty()).then_some(value)
    })
}
