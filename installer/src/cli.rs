//! The command line, from which `--help`, the manual pages and the shell completions are generated.

use crate::{
    complete,
    fetch::Sha256,
    gpu,
    journal::{Compat, Original},
    output::{self, Verbosity, printable},
    trace::{export::Format, looked::Looked, select::Select},
    version,
};
use clap::{
    Args, CommandFactory, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use clap_complete::engine::ArgValueCompleter;
use std::{env, ffi::OsString, path::PathBuf, time::Duration};

/// The program's name.
pub const NAME: &str = "installer";

/// Installs the rocBLAS shim into a ROCm 7 tree, checks it, and removes it again.
///
/// The shim presents the rocBLAS of ROCm 7 and forwards every call to the rocBLAS of ROCm 6.3, which still
/// has kernels for gfx906 (MI50, MI60, Radeon VII) and other GPUs.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    propagate_version = true,
    after_help = "Example, in a Dockerfile, before or after building llama.cpp:\n  \
        COPY installer librocblas.so rocblas_4.3.0.60300-39~22.04_amd64.deb /tmp/shim/\n  \
        RUN /tmp/shim/installer apply --backend /tmp/shim/rocblas_*.deb --gpu gfx906\n\n\
        Exit codes: 0 done or applied, 1 refused or failed, 2 wrong usage, 3 not applied, 4 disturbed, \
        5 reverted except for the files listed"
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Work on the system in this directory instead of the running one
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide_default_value = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub root: PathBuf,
    /// The ROCm tree, inside the root; required if there are several
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub rocm: Option<PathBuf>,
    /// Print a JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print every step, with a line for each file
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print only errors; requested output (documents, exports, scripts and pages) is still printed
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Wait at most SECONDS for another installer that is changing the tree [default: 300]
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true)]
    pub lock_timeout: Option<u64>,
}

impl Global {
    /// How long to wait for another installer.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.lock_timeout.map_or(crate::lock::USUAL_WAIT, Duration::from_secs)
    }

    /// How much is printed.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

/// Reads this process's arguments.
///
/// # Errors
/// Wrong usage, and `--help` and `--version`, which clap also returns as errors. The text is safe to print to
/// a terminal.
pub fn parse() -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = env::args_os().collect();
    Cli::try_parse_from(&words).map_err(|error| {
        // clap repeats arguments verbatim, and a shell's `*` expands to arbitrary file names.
        let escaped = words.iter().map(|word| output::shown(word.as_ref()).to_string());
        match Cli::try_parse_from(escaped) {
            // This error lists the commands, hidden ones included.
            Err(escaped) if escaped.kind() == ErrorKind::MissingSubcommand => {
                visible().try_get_matches_from(&words).err().unwrap_or(escaped)
            }
            Err(escaped) if escaped.kind() == error.kind() => escaped,
            // Escapes are valid UTF-8: if invalid UTF-8 was the error, no argument is repeated.
            _ => clap::Error::raw(error.kind(), printable(&error.to_string()))
                .with_cmd(&Cli::command()),
        }
    })
}

/// Whether JSON is requested, by arguments that may otherwise be invalid.
#[must_use]
pub fn asks_for_json() -> bool {
    env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// The program without its hidden commands, for completions and manual pages.
#[must_use]
pub fn visible() -> clap::Command {
    let program = Cli::command();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    // clap has no way to remove a command from another.
    let visible = Global::augment_args(clap::Command::new(NAME).subcommands(commands))
        .version(version::OWN)
        .propagate_version(true)
        .subcommand_required(true);
    let texts = (program.get_about(), program.get_long_about(), program.get_after_help());
    let visible = visible.about(texts.0.cloned().unwrap_or_default());
    let visible = visible.long_about(texts.1.cloned().unwrap_or_default());
    visible.after_help(texts.2.cloned().unwrap_or_default())
}

/// A name that is safe in a shell's script and as a file's.
fn program_name(name: &str) -> Result<String, &'static str> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_safe) {
        true => Ok(name.to_owned()),
        false => Err("a name begins with a letter or digit, and has those and - _ . only"),
    }
}

/// A yes/no value, which scripts can pass on, for example from a build argument of a Dockerfile.
fn yes_or_no() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["yes", "no"]).map(|value| value == "yes")
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List ROCm trees, rocBLAS libraries, and the GPUs they have kernels for
    #[command(after_help = "Example: is my gfx906 covered, and by which file?\n  \
        installer inspect --gpu gfx906 /opt/rocm /opt/rocm-6.3.0/lib/librocblas.so.4")]
    Inspect {
        /// ROCm trees, library directories or libraries, inside the root [default: all known places]. For a
        /// program or another library, its GPU code and the libraries it would load are listed
        paths: Vec<PathBuf>,
        /// Count kernels for these GPUs [default: the machine's]
        #[arg(long, value_name = "GPU", value_parser = gpu::list)]
        gpu: Vec<gpu::List>,
        /// Count kernels whose names contain NAME
        #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "trsm")]
        function: Vec<String>,
    },
    /// Install the shim and a backend into a tree, or repair what an upgrade changed
    #[command(after_help = "Examples:\n  \
        installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb --gpu gfx906\n  \
        installer apply --backend /opt/rocm-6.3.0 --built /app --dry-run\n  \
        installer apply --backend rocblas_*.deb --gpu gfx906 --slim     (0.12 GB instead of 1.05)\n  \
        installer apply              (a second time: repairs what has changed, if anything)")]
    Apply(Apply),
    /// Restore the applied state after upgrades, edits or damage, with the options of the last `apply`
    #[command(
        after_help = "Reads every placed file and replaces damaged ones. A file of yours that is in the way \
        is moved into the store.\n\n\
        Example:\n  installer repair --dry-run && installer repair"
    )]
    Repair {
        /// Show the plan and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print in one line whether the shim is in place; exit code 0 applied, 3 not applied, 4 disturbed
    #[command(after_help = "Example:\n  installer status || installer apply")]
    Status,
    /// Read every placed file and compare its digest with the recorded one
    #[command(after_help = "Example:\n  installer verify --json")]
    Verify,
    /// Remove the shim and restore the tree as it was before the first `apply`
    #[command(after_help = "Example:\n  installer revert --dry-run && installer revert")]
    Revert {
        /// Show the plan and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy programs and everything they load into a directory, for the last stage of a Dockerfile
    #[command(after_help = "Example:\n  installer collect --into /image --slim /app\n  \
        in the last stage: COPY --from=build /image/ /  and  RUN ldconfig")]
    Collect(Collect),
    /// Print which rocBLAS, backend and HIP runtime a process has loaded, or a program would load
    ///
    /// A program is examined as if it were started from here, with the current LD_LIBRARY_PATH, LD_PRELOAD
    /// and ROCBLAS_SHIM_BACKEND. Libraries that a program opens at run time are not found this way: name the
    /// running process, or the library itself (libggml-hip.so).
    ///
    /// Exit codes: 0 all use a rocBLAS, 3 one uses none, 1 one cannot be read.
    #[command(after_help = "Examples:\n  installer which $(pgrep llama-server)\n  \
        installer which llama-cli /app/libggml-hip.so")]
    Which {
        /// PIDs, names of programs in PATH, or paths of programs or libraries
        #[arg(required = true, value_name = "PID|PROGRAM", value_hint = ValueHint::CommandName)]
        targets: Vec<OsString>,
    },
    /// Check whether programs would load, and with which rocBLAS, HIP and hipBLAS
    ///
    /// Runs the same checks as `apply --built`, and changes nothing. In a directory, the programs and
    /// libraries directly inside are checked; if there are none, those in `bin` and its subdirectories.
    ///
    /// Exit codes: 0 all would load, 1 one would not, 3 none uses rocBLAS.
    #[command(after_help = "Examples:\n  installer check build\n  \
        installer check /app /usr/local/bin/llama-cli")]
    Check {
        /// Programs, libraries, or directories that contain them
        #[arg(required = true, value_name = "PROGRAM", value_hint = ValueHint::AnyPath)]
        programs: Vec<PathBuf>,
    },
    /// Start one program with another backend
    ///
    /// The program replaces this process, so signals reach it directly and the exit code is the program's.
    /// Exit codes of the command itself: 1 refused, 126 the program cannot be started, 127 the program is not
    /// found.
    #[command(
        after_help = "Examples: with the stock library; with ROCm 6.3's rocBLAS, recording every call\n  \
        installer run --backend 7.0.2 -- llama-cli -m model.gguf\n  \
        installer run --backend 6.3.0 --trace traces -- llama-cli -m model.gguf"
    )]
    Run(Run),
    /// Run one program with several backends, and print what differs: its calls, their statuses, their times
    ///
    /// The backends take turns, and every run is traced. The program's standard input is empty, so that all
    /// runs get the same input. The program's output is passed through; with --json, its standard output is
    /// redirected to standard error, so that standard output contains only the document. Every backend is
    /// compared with the first one. Without --backend, that is the backend in use, and all others in the store are
    /// compared with it; with one --backend, that one is.
    ///
    /// Exit codes: 0 all runs make the same calls with the same statuses, regardless of counts and times; 1
    /// the program or a call ends differently, calls are new or missing, there are no calls, a trace is
    /// incomplete, or the command was refused; 2 wrong usage; 126 the program cannot be started; 127 the
    /// program is not found; 130 interrupted by Ctrl-C.
    #[command(
        after_help = "Examples: does the program fail with the stock library? How do five runs of two \
        compare? Which calls give wrong numbers?\n  \
        installer compare --backend stock -- llama-cli -m model.gguf\n  \
        installer compare --backend 6.3.0 --backend 7.0.2 --runs 5 --report page.html -- llama-bench\n  \
        installer compare --results --differences 5 -- solve_tri"
    )]
    Compare(Compare),
    /// Repeat one captured call on several backends and on the CPU, and report which results are right
    ///
    /// Each backend runs in a process of its own, with the operands as captured; without --backend, all
    /// backends in the store run. The CPU computes the call in double precision. A result is wrong if its
    /// error exceeds what rounding in the call's own precision can explain, for any order of summation, and
    /// doubtful if only the worst case explains it. Whatever the file contains, only rocBLAS functions whose
    /// operands are described are called, and only with memory that this command allocates.
    ///
    /// Exit codes: 0 no backend is wrong; 1 a backend is wrong, fails, lacks the function, crashes or exceeds
    /// the time limit, or the command was refused; 2 wrong usage.
    #[command(
        after_help = "Examples: which backend is right? Is one result in 200 wrong? What is the smallest size that fails?\n  \
        installer replay call.safetensors --backend 6.3.0 --backend 7.0.2\n  \
        installer replay call.safetensors --backend 6.3.0 --repeat 200\n  \
        installer replay call.safetensors --backend ./librocblas.so.4 --minimise"
    )]
    Replay(Replay),
    /// Download AMD's rocBLAS package of a ROCm release, for `apply --backend`
    #[command(after_help = "Examples:\n  \
        installer fetch 6.3 --output /tmp && installer apply --backend /tmp/rocblas_*.deb\n  \
        installer fetch 6.3 --for jammy --dry-run\n\n\
        Run the same command again to resume an interrupted download. HTTPS_PROXY and NO_PROXY are \
        honoured; the system's certificates are trusted.")]
    Fetch(Fetch),
    /// List, add, select and remove the rocBLAS versions in the store
    #[command(
        subcommand,
        after_help = "Example: compare two versions\n  \
        installer backends use 7.0.2     (or, for one run: ROCBLAS_SHIM_BACKEND=7.0.2 llama-cli ...)"
    )]
    Backends(Backends),
    /// Diagnose problems: inspect, status and a live check, with causes and fixes
    #[command(after_help = "Examples:\n  installer doctor\n  \
        llama-cli -m model.gguf 2>&1 | installer doctor --log -\n  \
        installer doctor --report report.txt     (to attach to a bug report)")]
    Doctor(Doctor),
    /// Compute a GEMM and a TRSM on each GPU through the shim, and compare the results with the CPU's
    #[command(after_help = "Example:\n  installer selftest")]
    Selftest,
    /// Write reduced libraries and programs that contain only the kernels that some GPUs need
    ///
    /// Every address outside the kernels stays the same, so programs load the reduced file like the original.
    /// An ELF note in it records the GPUs and the digest of the original. Files that belong to a package or
    /// to a tree with the shim are never replaced: write a reduced copy with --output.
    #[command(after_help = "Examples:\n  \
        installer slim librocblas.so.4 --gpu gfx906 --output slim/librocblas.so.4\n  \
        installer slim build/bin/libggml-hip.so --gpu gfx906,gfx1030 --in-place")]
    Slim(Slim),
    /// Record the rocBLAS calls of a running program, and read the recorded traces
    #[command(
        subcommand,
        after_help = "Example: which calls does a server make, and how long do they take?\n  \
        installer trace start $(pgrep llama-server) --output traces\n  \
        installer trace stop $(pgrep llama-server)\n  \
        installer trace summary traces\n\n\
        To trace a program from its start, set ROCBLAS_SHIM_TRACE=DIR; ROCBLAS_SHIM_TRACE=stderr \
        prints each call to stderr."
    )]
    Trace(Trace),
    /// Print a completion script for a shell; the script runs `installer`, which must be in PATH
    #[command(after_help = "Example:\n  installer completions bash > \
        /usr/share/bash-completion/completions/installer")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        /// What this program is called where the script is used
        #[arg(long, value_name = "NAME", default_value = NAME, value_parser = program_name)]
        name: String,
    },
    /// Print the manual page of a command, or write the pages of all commands
    #[command(after_help = "Examples:\n  installer man trace show | man -l -\n  \
        installer man --into /usr/local/share/man/man1")]
    Man {
        /// The command [default: the program itself]
        #[arg(value_name = "COMMAND", conflicts_with = "into")]
        words: Vec<String>,
        /// Write one file for each command into this directory: installer.1, installer-apply.1, ...
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        into: Option<PathBuf>,
        /// What this program is called where the pages are read
        #[arg(long, value_name = "NAME", default_value = NAME, value_parser = program_name)]
        name: String,
    },
    /// Run by `doctor` in a child process: opens the shim as a program would
    #[command(hide = true)]
    LiveCheck {
        /// The shim's path on the machine
        shim: PathBuf,
    },
    // The names of hidden commands resemble no other's: clap suggests them for mistyped names too.
    /// Run by `selftest` in a child process: computes on one GPU, or counts the GPUs
    #[command(hide = true)]
    DeviceForSelftest {
        /// The rocBLAS to test, on the machine
        library: PathBuf,
        /// HIP's number of the GPU; without it, the GPUs are counted
        device: Option<u32>,
    },
    /// Run by `replay` in a child process: makes a captured call on one backend
    #[command(hide = true)]
    CallForReplay {
        /// The rocBLAS library, on the machine
        library: PathBuf,
        /// The capture
        file: PathBuf,
        /// A directory for the results
        results: PathBuf,
        /// HIP's number of the GPU
        device: u32,
        /// How many times the call is made
        repeat: u32,
    },
}

/// Options of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The rocBLAS to forward to: a library, a directory with one, a .deb, .rpm or .tar*
    ///
    /// Required the first time, unless the root has a ROCm 6 tree. The path is on the running system, even
    /// with --root.
    #[arg(long, value_name = "PATH", overrides_with = "backend", value_hint = ValueHint::AnyPath)]
    pub backend: Option<PathBuf>,
    /// The backend's name in the store [default: its ROCm version]
    #[arg(long)]
    pub name: Option<String>,
    /// The shim, on the running system [default: librocblas.so next to this program]
    #[arg(long, value_name = "FILE", overrides_with = "shim", value_hint = ValueHint::FilePath)]
    pub shim: Option<PathBuf>,
    /// Install only Tensile files for these GPUs, and refuse a backend without kernels for them
    ///
    /// A target (gfx906), its number, or the name of a card (MI50, "Radeon VII"); separate several with `,`.
    /// A later `apply` adds to the list.
    #[arg(long, value_name = "GPU", value_parser = gpu::list)]
    pub gpu: Option<Vec<gpu::List>>,
    /// Reduce the backend's library to the kernels of these GPUs and of this machine's
    ///
    /// `--slim=no` restores the whole library. Adding a GPU later requires the backend's source again.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "yes", value_parser = yes_or_no())]
    pub slim: Option<bool>,
    /// Accept that GPUs of this machine which the tree serves now are not served by the backend
    #[arg(long)]
    pub gpu_loss_ok: bool,
    /// Continue even if the tree's own rocBLAS already serves the GPUs
    #[arg(long)]
    pub not_needed_ok: bool,
    /// Programs built for this tree, or directories of them, inside the root: check that they load
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, num_args = 1..)]
    pub built: Vec<PathBuf>,
    /// What to do with the stock library [default: keep, as a backend in the store]
    #[arg(long, value_enum)]
    pub original: Option<Original>,
    /// How to provide libamdhip64.so.6 and libhipblaslt.so.0 [default: links]
    #[arg(long, value_enum)]
    pub compat: Option<Compat>,
    /// Do not keep the stock library's file name as a symlink for CMake's find_package(rocblas)
    #[arg(long)]
    pub no_build_link: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Replace files that somebody else has changed since, as `repair` does
    #[arg(long)]
    pub force: bool,
    /// Skip the question before an irreversible step (--original delete), which is asked at a terminal only
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The ROCm release, for example 6.3
    pub release: String,
    /// Download the package for this distribution (ubuntu-22.04, jammy) [default: the root's]
    ///
    /// The package is only unpacked, so it may be for another distribution: it loads if this system's glibc
    /// is at least as new.
    #[arg(long = "for", value_name = "DISTRIBUTION")]
    pub distribution: Option<String>,
    /// Accept only a package with this SHA-256 digest [default: the known one]
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Sha256>,
    /// Where to write the package, on the running system [default: the current directory]
    #[arg(long, short, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// Download from this URL, for example of a mirror, instead of AMD's repository
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub source: Option<String>,
    /// Show the URL, the digest and the file name, and download nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Use the releases, distributions, URLs and digests of this file instead of the built-in ones
    #[arg(long, hide = true, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
}

/// Options of `collect`.
#[derive(Debug, Args)]
pub struct Collect {
    /// Programs, or directories, which are copied as a whole, inside the root
    #[arg(required = true, value_name = "PROGRAM", value_hint = ValueHint::AnyPath)]
    pub programs: Vec<PathBuf>,
    /// An empty or new directory on the running system
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub into: PathBuf,
    /// The root file system of the image that will receive the copy; files it already has are left out
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub base: Option<PathBuf>,
    /// Reduce copied programs and libraries to the kernels of the GPUs of `apply --gpu`
    ///
    /// Files that `revert` needs, and files without kernels for these GPUs, are copied whole.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "yes", value_parser = yes_or_no())]
    pub slim: Option<bool>,
}

/// Options of `slim`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("destination").required(true))]
pub struct Slim {
    /// Libraries and programs with GPU code, inside the root
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// The GPUs whose kernels are kept
    ///
    /// A target (gfx906), its number, or the name of a card; separate several with `,`. A target without
    /// features keeps the kernels for all its features; gfx90a:xnack- keeps those for gfx90a and
    /// gfx90a:xnack-.
    #[arg(long, required = true, value_name = "GPU", value_parser = gpu::list)]
    pub gpu: Vec<gpu::List>,
    /// Write the reduced file here, inside the root; only with a single FILE
    #[arg(long, short, value_name = "FILE", group = "destination", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace each FILE with the reduced one; running programs keep the old file
    #[arg(long, group = "destination")]
    pub in_place: bool,
    /// Compress uncompressed kernels; requires the HIP runtime of ROCm 7 in the tree
    #[arg(long)]
    pub compress: bool,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// A backend in the store, or the path of a rocBLAS (must contain a `/`)
    #[arg(long, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub backend: OsString,
    /// Record the program's rocBLAS calls into a directory here; `stderr` prints them instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub trace: Option<PathBuf>,
    /// The program (a path, or a name in PATH) and its arguments
    #[arg(required = true, value_name = "PROGRAM", trailing_var_arg = true)]
    #[arg(allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// A backend in the store, or the path of a rocBLAS (must contain a `/`); may be given several times [default:
    /// the one in use, and all others in the store]
    #[arg(long, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub backend: Vec<OsString>,
    /// Run the program this many times with each backend; more than one shows the spread of times
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Also compare the results of calls, and name the first call whose outputs differ by more than rounding
    #[arg(long)]
    pub results: bool,
    /// Capture and replay this many of the calls whose results differ [default: 1]
    #[arg(long, value_name = "NUMBER", requires = "results")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub differences: Option<u32>,
    /// Keep the traces here, in a directory for each run; must be empty or new
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
    /// Write a self-contained HTML page that shows the backends side by side
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Maximum number of rows in each table
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub rows: usize,
    /// The program (a path, or a name in PATH) and its arguments
    #[arg(required = true, value_name = "PROGRAM", trailing_var_arg = true)]
    #[arg(allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// A captured call, as written by `installer trace capture`
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// A backend in the store, or the path of a rocBLAS (must contain a `/`) [default: all in the store]
    #[arg(long, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub backend: Vec<OsString>,
    /// HIP's number of the GPU
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub device: u32,
    /// Make the call this many times on each backend; one wrong result makes the backend wrong
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub repeat: u32,
    /// End a backend that takes longer, do not compute on the CPU what would, and try smaller calls ten times as
    /// long at most
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Halve m, n, k and the batch count for as long as the first wrong (else the first failing) backend
    /// still is, and write the smaller capture next to FILE
    #[arg(long)]
    pub minimise: bool,
}

/// The `backends` commands.
#[derive(Debug, Subcommand)]
pub enum Backends {
    /// List the backends with sizes, GPUs and origin; the one in use is marked
    #[command(after_help = "Example:\n  installer backends list --json | jq .backends[].name")]
    List,
    /// Add a backend to the store
    #[command(after_help = "Example:\n  installer backends add /opt/rocm-6.4.4 --name 6.4.4")]
    Add {
        /// A library, a directory with one, a .deb, .rpm or .tar*
        path: PathBuf,
        /// The backend's name [default: its ROCm version]
        #[arg(long)]
        name: Option<String>,
        /// Install only the Tensile files of these GPUs
        #[arg(long, value_name = "GPU", value_parser = gpu::list)]
        gpu: Option<Vec<gpu::List>>,
        /// Reduce the library to the kernels of these GPUs and of this machine's
        #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true)]
        #[arg(default_missing_value = "yes", value_parser = yes_or_no())]
        slim: Option<bool>,
    },
    /// Select the backend for all programs, or for one running process
    #[command(
        after_help = "Examples: for all programs; for the handles that a running server creates from now on\n  \
        installer backends use 6.3.0\n  \
        installer backends use 6.4.4 --pid $(pgrep llama-server)"
    )]
    Use {
        /// The backend's name; with --pid also the path of a rocBLAS (must contain a `/`), or `-` for the
        /// configured one
        #[arg(add = ArgValueCompleter::new(complete::backend_names))]
        name: String,
        /// Change this process only, and nothing on disk: handles created from now on belong to the backend,
        /// existing ones keep theirs until they are destroyed
        #[arg(long)]
        pid: Option<u32>,
    },
    /// Print which backend each GPU gets and why, and write rules so that no GPU is lost
    #[command(
        after_help = "Examples: show what this machine's GPUs get; write a rule for each, to the newest backend that serves it\n  \
        installer backends routes\n  \
        installer backends routes --write"
    )]
    Routes {
        /// Use these GPUs instead of this machine's
        #[arg(long, value_name = "GPU", value_parser = gpu::list)]
        gpu: Option<Vec<gpu::List>>,
        /// Write a rule for each GPU into the `route` table of shim.toml
        #[arg(long)]
        write: bool,
    },
    /// Remove a backend that is not in use
    #[command(after_help = "Example:\n  installer backends remove 6.4.4")]
    Remove {
        /// The backend's name
        #[arg(add = ArgValueCompleter::new(complete::backend_names))]
        name: String,
    },
    /// Remove all backends that are not in use, not named by a setting, and not the stock library
    #[command(after_help = "Example:\n  installer backends prune --dry-run")]
    Prune {
        /// Show what would be removed, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Skip the question that is asked at a terminal
        #[arg(long)]
        yes: bool,
    },
}

/// The `trace` commands.
#[derive(Debug, Subcommand)]
pub enum Trace {
    /// Start recording the calls of a running process, without restarting or pausing it
    ///
    /// If the process has not called rocBLAS yet, recording begins with its first handle.
    #[command(after_help = "Example: the last calls before a crash that happens once a day\n  \
        installer trace start 4711 --output /var/tmp/traces --ring 64M")]
    Start {
        /// The process; must be your own unless you are root
        pid: u32,
        /// Where to create the trace's directory; `stderr` prints to the process's own stderr instead
        #[arg(long, short, value_name = "DIR", default_value = "rocblas-traces")]
        #[arg(value_hint = ValueHint::DirPath)]
        output: PathBuf,
        /// Keep only each thread's most recent calls, in at most SIZE bytes (for example 64M)
        #[arg(long, value_name = "SIZE")]
        ring: Option<String>,
        /// Stop recording when all files together reach SIZE bytes [default: 4G]
        #[arg(long, value_name = "SIZE")]
        limit: Option<String>,
        /// Record only functions matching PATTERN; prefix a pattern with `-` to exclude it
        #[arg(long, value_name = "PATTERN", value_delimiter = ',', allow_hyphen_values = true)]
        functions: Vec<String>,
        /// Record only calls that take at least this long (10us); checked and saved calls are always recorded
        #[arg(long, value_name = "TIME")]
        min: Option<String>,
        /// Stop after this many calls
        #[arg(long, value_name = "NUMBER")]
        first: Option<u64>,
        /// Ask HIP at each call whether it is being captured into a graph, and mark such calls (ask, off)
        ///
        /// A call that a graph replays appears in the trace only once, when it is captured. Set
        /// GGML_CUDA_DISABLE_GRAPHS=1 to make llama.cpp issue every call.
        #[arg(long, value_name = "ask")]
        capture: Option<String>,
        /// What to observe around calls.
        #[command(flatten)]
        looked: Box<Looked>,
    },
    /// Save the operands of a running process's calls, one file for each call, then stop
    ///
    /// Each file contains the inputs and outputs: `installer replay` repeats the call on any backend, and
    /// `installer trace show-capture` prints it. The command waits until enough calls have been saved; Ctrl-C
    /// stops it.
    #[command(
        group = clap::ArgGroup::new("which").required(true),
        after_help = "Examples: the first call with NaN in its output; three triangular solves\n  \
            installer trace capture 4711 --first-bad\n  \
            installer trace capture 4711 --match '*trsm*' --count 3"
    )]
    Capture(Capture),
    /// Stop recording
    #[command(after_help = "Example:\n  installer trace stop 4711")]
    Stop {
        /// The process
        pid: u32,
    },
    /// Print whether a process is being traced, and where to
    #[command(after_help = "Example:\n  installer trace status 4711")]
    Status {
        /// The process
        pid: u32,
    },
    /// Print calls, a line each
    ///
    /// A line has the seconds since the start of the trace, the number of the call, the call, how it ended and how
    /// long it took. The number, such as 2:7041, is that of its thread and of its record there, from 0; what a trace
    /// notes between calls takes a number too. All commands print these numbers, and `--call` takes them, here and in
    /// `trace capture`.
    #[command(after_help = "Examples:\n  installer trace show traces --status error\n  \
        installer trace show traces --functions '*trsm*' --min 100us --long")]
    Show {
        /// A trace, or a directory of traces
        path: PathBuf,
        /// Which calls
        #[command(flatten)]
        select: Select,
        /// Print every argument, and the handle's device, stream and pointer mode
        #[arg(long, short)]
        long: bool,
        /// Print at most this many calls
        #[arg(long, value_name = "NUMBER")]
        first: Option<u64>,
    },
    /// Print a captured call: its arguments, its operands, and where it was captured
    ///
    /// For each operand, the table shows the smallest and largest finite values and the number of NaN and
    /// infinite elements, among the elements that the function uses.
    #[command(after_help = "Example:\n  installer trace show-capture call.safetensors")]
    ShowCapture {
        /// The capture file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print calls as they are made, until the program ends or tracing stops
    #[command(after_help = "Example:\n  installer trace follow traces --functions '*gemm*'")]
    Follow {
        /// A trace, or the directory that contains it
        path: PathBuf,
        /// Which calls
        #[command(flatten)]
        select: Select,
        /// Print every argument, and the handle's device, stream and pointer mode
        #[arg(long, short)]
        long: bool,
    },
    /// Show live what a traced program calls: calls per second, time, errors, calls in flight
    ///
    /// The table is updated every second; `q` or Ctrl-C quits. Times are the durations of the calls on the
    /// host. If standard output is not a terminal, a table is printed every second; with --json, one document
    /// per line.
    #[command(after_help = "Examples:\n  installer trace top $(pgrep llama-server)\n  \
        installer trace top traces --once")]
    Top {
        /// The PID of a process that is being traced, or the directory of its trace
        #[arg(value_name = "PID|DIRECTORY", value_hint = ValueHint::DirPath)]
        target: String,
        /// Print one table, covering the next second, and exit
        #[arg(long)]
        once: bool,
    },
    /// Summarise calls by function and by shape, with errors and calls in flight at the end
    ///
    /// A function's first calls, which may load kernels, have a column of their own; the other columns and
    /// the order exclude them.
    #[command(after_help = "Examples:\n  installer trace summary traces\n  \
        installer trace summary traces --json | jq .calls")]
    Summary {
        /// A trace, or a directory of traces, which are combined
        path: PathBuf,
        /// Maximum number of rows in each table
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        rows: usize,
    },
    /// Convert calls to another program's format
    #[command(
        after_help = "Examples: view the calls in ui.perfetto.dev; reproduce them with rocblas-bench\n  \
        installer trace export traces --format chrome --output trace.json\n  \
        installer trace export traces --format bench --status error"
    )]
    Export {
        /// A trace, or a directory of traces
        path: PathBuf,
        /// The output format
        #[arg(long, value_enum)]
        format: Format,
        /// The output file [default: stdout]
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Which calls
        #[command(flatten)]
        select: Select,
    },
    /// Compare two traces by function and shape: new and missing calls, statuses, times
    #[command(after_help = "Example: compare the backend of ROCm 6.3 with the stock library\n  \
        installer trace diff traces/with-6.3.0 traces/with-7.0.2")]
    Diff {
        /// The first trace, or a directory of traces, which are combined
        before: PathBuf,
        /// The second
        after: PathBuf,
        /// Maximum number of rows in each table
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        rows: usize,
    },
    /// Write a self-contained HTML page with the whole trace
    #[command(after_help = "Example:\n  installer trace report traces --output report.html")]
    Report {
        /// A trace, or a directory of traces, which are combined
        path: PathBuf,
        /// The output file
        #[arg(long, short, value_name = "FILE", default_value = "rocblas-report.html")]
        #[arg(value_hint = ValueHint::FilePath)]
        output: PathBuf,
    },
}

/// Options of `trace capture`.
#[derive(Debug, Args)]
pub struct Capture {
    /// The process; must be your own unless you are root
    pub pid: u32,
    /// The call with this number in thread 1, or in thread THREAD (2:7041), counted from the start of the
    /// trace
    #[arg(long, value_name = "[THREAD:]N", group = "which")]
    pub call: Option<String>,
    /// The first call whose output contains NaN or infinite elements
    #[arg(long, group = "which")]
    pub first_bad: bool,
    /// Calls of functions matching PATTERN; prefix a pattern with `-` to exclude it
    #[arg(
        long = "match",
        value_name = "PATTERN",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    #[arg(group = "which")]
    pub functions: Vec<String>,
    /// How many of the matching calls to save
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "functions")]
    pub count: u64,
    /// Check only every Nth call of each thread
    #[arg(long, value_name = "N", requires = "first_bad")]
    pub every: Option<u64>,
    /// Save only shapes, without the values
    #[arg(long)]
    pub redact_values: bool,
    /// Save only shapes if a call's operands together exceed SIZE bytes [default: 256M]
    #[arg(long, value_name = "SIZE")]
    pub limit: Option<String>,
    /// Where to create the trace's directory, which contains the captures
    #[arg(long, short, value_name = "DIR", default_value = "rocblas-traces")]
    #[arg(value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Explain the errors in this program's log; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log: Option<PathBuf>,
    /// Explain the failed calls in this trace, or directory of traces
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub trace: Option<PathBuf>,
    /// The GPU that the log is about, if its lines do not name it [default: the machine's]
    #[arg(long, value_name = "GPU", value_parser = gpu::list)]
    pub gpu: Vec<gpu::List>,
    /// Write everything into one file, to attach to a bug report
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
}
