//! The command line: what `--help`, the man page and the completions of shells are made from.

use crate::{
    complete,
    fetch::Sha256,
    gpu,
    journal::{Compat, Original},
    output::{self, Verbosity, printable},
    trace::{export::Format, select::Select},
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

/// Puts the rocBLAS shim into a ROCm 7 tree, checks it, and takes it out again.
///
/// The shim presents the rocBLAS of ROCm 7 and forwards every call to the one of ROCm 6.3, which
/// still has kernels for gfx906 (MI50, MI60, Radeon VII) and others.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    propagate_version = true,
    after_help = "Example, in a Dockerfile, after llama.cpp was built or before:\n  \
        COPY installer librocblas.so rocblas_4.3.0.60300-39~22.04_amd64.deb /tmp/shim/\n  \
        RUN /tmp/shim/installer apply --backend /tmp/shim/rocblas_*.deb --gpu gfx906\n\n\
        Exit codes: 0 done or applied, 1 refused or failed, 2 wrong usage, 3 not applied, 4 disturbed, \
        5 reverted but for what is listed"
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Work on the system in this directory instead of the running one
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide_default_value = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub root: PathBuf,
    /// The ROCm tree, inside the root; needed where there are several
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub rocm: Option<PathBuf>,
    /// Print a JSON document for programs instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print every step: a line for each file
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print errors only; documents, exports, scripts and pages are printed all the same
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Wait at most so long for another installer that is changing the tree [default: 300]
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true)]
    pub lock_timeout: Option<u64>,
}

impl Global {
    /// How long another installer is waited for.
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
/// Wrong usage, and what is no command but a question: `--help`, `--version`. Nothing in it is
/// harmful to a terminal.
pub fn parse() -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = env::args_os().collect();
    read(&words).map_err(|error| {
        // clap repeats arguments as they are, and `*` of a shell is any file's name.
        let escaped = words.iter().map(|word| output::shown(word.as_ref()).to_string());
        match read(escaped) {
            // It lists the commands, those that are hidden too.
            Err(escaped) if escaped.kind() == ErrorKind::MissingSubcommand => {
                visible().try_get_matches_from(&words).err().unwrap_or(escaped)
            }
            Err(escaped) if escaped.kind() == error.kind() => escaped,
            // Escapes are valid UTF-8, and where that was the error there is nothing to repeat.
            _ => clap::Error::raw(error.kind(), printable(&error.to_string()))
                .with_cmd(&Cli::command()),
        }
    })
}

/// Reads arguments, and checks what clap has no rule for.
fn read<T: Into<OsString> + Clone>(words: impl IntoIterator<Item = T>) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(words)?;
    if let Command::Compare(Compare { backend, .. }) = &cli.command
        && backend.len() < 2
    {
        let mut program = Cli::command();
        program.build();
        let command = program.find_subcommand_mut("compare").expect("it was read");
        let what = "one --backend is nothing to compare: give two or more, as in --backend 6.3.0 \
                    --backend 7.0.2";
        return Err(command.error(ErrorKind::TooFewValues, what));
    }
    Ok(cli)
}

/// Whether JSON is asked for, by arguments that may not be valid otherwise.
#[must_use]
pub fn asks_for_json() -> bool {
    env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// The program without what is hidden: for completions and manual pages.
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

/// A value that scripts pass on, such as an argument of a Dockerfile.
fn yes_or_no() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["yes", "no"]).map(|value| value == "yes")
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is here: ROCm trees, libraries, the GPUs they have kernels for
    #[command(after_help = "Example: is my gfx906 covered, and by which file?\n  \
        installer inspect --gpu gfx906 /opt/rocm /opt/rocm-6.3.0/lib/librocblas.so.4")]
    Inspect {
        /// ROCm trees, library directories or libraries, inside the root, or programs and other libraries,
        /// of which the GPU code and the libraries that they would load are listed; all known places if
        /// none
        paths: Vec<PathBuf>,
        /// Count kernels for these GPUs [default: the machine's]
        #[arg(long, value_name = "GPU", value_parser = gpu::list)]
        gpu: Vec<gpu::List>,
        /// Count kernels with these in their names
        #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "trsm")]
        function: Vec<String>,
    },
    /// Put the shim and a backend into a tree, or repair what an upgrade changed
    #[command(after_help = "Examples:\n  \
        installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb --gpu gfx906\n  \
        installer apply --backend /opt/rocm-6.3.0 --built /app --dry-run\n  \
        installer apply --backend rocblas_*.deb --gpu gfx906 --slim     (0.12 GB instead of 1.05)\n  \
        installer apply              (again: repairs, or says that there is nothing to do)")]
    Apply(Apply),
    /// Put everything right that was disturbed since, whatever it is, by the options of the last apply
    #[command(
        after_help = "Reads every placed file and places again what is damaged. A file of yours \
        that is in the way is kept in the store.\n\n\
        Example:\n  installer repair --dry-run && installer repair"
    )]
    Repair {
        /// Show the plan and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Say in one line whether the shim is in place; exit code 0 applied, 3 not, 4 disturbed
    #[command(after_help = "Example:\n  installer status || installer apply")]
    Status,
    /// Read every file that was placed and compare its digest
    #[command(after_help = "Example:\n  installer verify --json")]
    Verify,
    /// Take everything out again: the tree is as before the first apply
    #[command(after_help = "Example:\n  installer revert --dry-run && installer revert")]
    Revert {
        /// Show the plan and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy programs and all that they load into a directory, for the last stage of a Dockerfile
    #[command(after_help = "Example:\n  installer collect --into /image --slim /app\n  \
        then, in the last stage: COPY --from=build /image/ /  and  RUN ldconfig")]
    Collect(Collect),
    /// Say which rocBLAS, backend and HIP runtime a process has loaded, or a program would load
    ///
    /// A program is taken as if it were started from here: LD_LIBRARY_PATH, LD_PRELOAD and
    /// ROCBLAS_SHIM_BACKEND count. What it opens while it runs is not foreseen: name the process, or
    /// the library (libggml-hip.so).
    ///
    /// Exit codes: 0 all use a rocBLAS, 3 one uses none, 1 one cannot be read.
    #[command(after_help = "Examples:\n  installer which $(pgrep llama-server)\n  \
        installer which llama-cli /app/libggml-hip.so")]
    Which {
        /// Numbers of processes; names of programs in PATH; paths of programs or libraries
        #[arg(required = true, value_name = "PID|PROGRAM", value_hint = ValueHint::CommandName)]
        targets: Vec<OsString>,
    },
    /// Check that programs which were built would load, and with which rocBLAS, HIP and hipBLAS
    ///
    /// It is what `apply --built` checks, and changes nothing. Of a directory, its programs and
    /// libraries are checked, or else those in its `bin` and below that.
    ///
    /// Exit codes: 0 all would load, 1 one would not, 3 none uses rocBLAS.
    #[command(after_help = "Examples:\n  installer check build\n  \
        installer check /app /usr/local/bin/llama-cli")]
    Check {
        /// Programs, libraries, or directories of them
        #[arg(required = true, value_name = "PROGRAM", value_hint = ValueHint::AnyPath)]
        programs: Vec<PathBuf>,
    },
    /// Start a program with another backend, for this once
    ///
    /// The program takes this process's place: signals and the exit code are its own. Exit codes
    /// before that: 1 refused, 126 the program cannot be started, 127 there is no such program.
    #[command(after_help = "Examples: the stock library instead; every call, with ROCm 6.3's\n  \
        installer run --backend 7.0.2 -- llama-cli -m model.gguf\n  \
        installer run --backend 6.3.0 --trace traces -- llama-cli -m model.gguf")]
    Run(Run),
    /// Run a program with several backends, and say what differs: its calls, how they end, their times
    ///
    /// The backends take turns, and each run is traced. The program's standard input is empty, so that all
    /// runs read the same. What it prints goes through; with --json, its standard output goes to standard
    /// error, and standard output has the document alone. Others are compared with the first backend.
    ///
    /// Exit codes: 0 the same calls are made, however often and however long they take, and end the same; 1 the
    /// program or a call ends otherwise, calls are new or gone, there are none, a trace is incomplete, or the
    /// command was refused; 2 wrong usage, 126 the program cannot be started, 127 there is no such program, 130
    /// Ctrl-C.
    #[command(
        after_help = "Examples: does the stock library end otherwise? And how do five runs of each compare?\n  \
        installer compare --backend 6.3.0 --backend 7.0.2 -- llama-cli -m model.gguf\n  \
        installer compare --backend 6.3.0 --backend 7.0.2 --runs 5 --report page.html -- llama-bench"
    )]
    Compare(Compare),
    /// Download AMD's rocBLAS package of a ROCm release, for `apply --backend`
    #[command(after_help = "Examples:\n  \
        installer fetch 6.3 --output /tmp && installer apply --backend /tmp/rocblas_*.deb\n  \
        installer fetch 6.3 --for jammy --dry-run\n\n\
        Run the same command again to resume an interrupted download. HTTPS_PROXY and NO_PROXY are \
        honoured; trusted certificates are those of the system.")]
    Fetch(Fetch),
    /// The rocBLAS versions in the store
    #[command(
        subcommand,
        after_help = "Example: compare two versions\n  \
        installer backends use 7.0.2     (or, for one run: ROCBLAS_SHIM_BACKEND=7.0.2 llama-cli ...)"
    )]
    Backends(Backends),
    /// Find out what is wrong: inspect, status and a live check, with causes and cures
    #[command(after_help = "Examples:\n  installer doctor\n  \
        llama-cli -m model.gguf 2>&1 | installer doctor --log -\n  \
        installer doctor --report report.txt     (to attach to a bug report)")]
    Doctor(Doctor),
    /// Compute a GEMM and a TRSM on each GPU through the shim and compare with the CPU
    #[command(after_help = "Example:\n  installer selftest")]
    Selftest,
    /// Write libraries and programs again with only the kernels that some GPUs need
    ///
    /// Every address outside the kernels stays the same, so programs load the reduced file as they load the
    /// whole one. An ELF note in it records the GPUs and the digest of the whole file. Files of a package,
    /// and files of a tree with the shim, are not replaced: write a reduced copy with --output.
    #[command(after_help = "Examples:\n  \
        installer slim librocblas.so.4 --gpu gfx906 --output slim/librocblas.so.4\n  \
        installer slim build/bin/libggml-hip.so --gpu gfx906,gfx1030 --in-place")]
    Slim(Slim),
    /// Record the rocBLAS calls of a running program, and read what was recorded
    #[command(
        subcommand,
        after_help = "Example: which calls does a server make, and how long do they take?\n  \
        installer trace start $(pgrep llama-server) --output traces\n  \
        installer trace stop $(pgrep llama-server)\n  \
        installer trace summary traces\n\n\
        A program is traced from its start with ROCBLAS_SHIM_TRACE=DIR, and call by call on stderr \
        with ROCBLAS_SHIM_TRACE=stderr."
    )]
    Trace(Trace),
    /// Print a completion script for a shell; it asks this program, which has to be on the PATH
    #[command(after_help = "Example:\n  installer completions bash > \
        /usr/share/bash-completion/completions/installer")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, or write those of all commands
    #[command(after_help = "Examples:\n  installer man trace show | man -l -\n  \
        installer man --into /usr/local/share/man/man1")]
    Man {
        /// The command; none: the program's own page
        #[arg(value_name = "COMMAND", conflicts_with = "into")]
        words: Vec<String>,
        /// Write one file for each command into this directory: installer.1, installer-apply.1, ...
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        into: Option<PathBuf>,
    },
    /// What `doctor` runs in a child process: opens the shim as a program would
    #[command(hide = true)]
    LiveCheck {
        /// The shim's path on the machine
        shim: PathBuf,
    },
    /// What `selftest` runs in a child process: computes on one GPU, or counts them
    #[command(hide = true)]
    SelftestDevice {
        /// The rocBLAS to test, on the machine
        library: PathBuf,
        /// HIP's number of the GPU; none: count them
        device: Option<u32>,
    },
}

/// Options of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The rocBLAS to forward to: a library, a directory with one, a .deb, .rpm or .tar*
    ///
    /// Needed the first time, unless the root has a ROCm 6 tree. A path of the running system, also
    /// with --root.
    #[arg(long, value_name = "PATH", overrides_with = "backend", value_hint = ValueHint::AnyPath)]
    pub backend: Option<PathBuf>,
    /// The backend's name in the store [default: its ROCm version]
    #[arg(long)]
    pub name: Option<String>,
    /// The shim [default: librocblas.so beside this program]; a path of the running system
    #[arg(long, value_name = "FILE", overrides_with = "shim", value_hint = ValueHint::FilePath)]
    pub shim: Option<PathBuf>,
    /// Refuse a backend without kernels for these GPUs, and place only their Tensile files
    ///
    /// A target (gfx906), its number, or the name of a card (MI50, "Radeon VII"); several with `,`. A
    /// later apply adds to them.
    #[arg(long, value_name = "GPU", value_parser = gpu::list)]
    pub gpu: Option<Vec<gpu::List>>,
    /// Place the backend's library with only the kernels of these GPUs and of this machine's
    ///
    /// `--slim=no` places it whole again. A GPU that is added later needs the backend's source again.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "yes", value_parser = yes_or_no())]
    pub slim: Option<bool>,
    /// Give up GPUs of this machine that the tree serves now and the backend does not
    #[arg(long)]
    pub gpu_loss_ok: bool,
    /// Go on where the tree's own rocBLAS serves the GPUs already
    #[arg(long)]
    pub not_needed_ok: bool,
    /// Programs built for this tree, or directories of them, inside the root: check that they load
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, num_args = 1..)]
    pub built: Vec<PathBuf>,
    /// What becomes of the stock library [default: keep, as a backend in the store]
    #[arg(long, value_enum)]
    pub original: Option<Original>,
    /// How libamdhip64.so.6 and libhipblaslt.so.0 are provided [default: links]
    #[arg(long, value_enum)]
    pub compat: Option<Compat>,
    /// Do not leave the stock library's file name as a link for CMake's find_package(rocblas)
    #[arg(long)]
    pub no_build_link: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take over whatever somebody changed since, as `repair` does
    #[arg(long)]
    pub force: bool,
    /// Do not ask before what cannot be undone (--original delete); only a terminal is asked
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The release of ROCm (6.3)
    pub release: String,
    /// Take the package for this distribution (ubuntu-22.04, jammy) [default: the root's]
    ///
    /// The package is only unpacked, so it need not be for this very distribution: it loads where
    /// glibc is at least as new.
    #[arg(long = "for", value_name = "DISTRIBUTION")]
    pub distribution: Option<String>,
    /// Accept the package with this digest only [default: the known one]
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Sha256>,
    /// Where to, a path of the running system [default: the current directory]
    #[arg(long, short, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// Take the package from this URL, as on a mirror, instead of AMD's repository
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub source: Option<String>,
    /// Show the URL, the digest and the file, and download nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Releases, distributions, URLs and digests instead of the program's own
    #[arg(long, hide = true, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
}

/// Options of `collect`.
#[derive(Debug, Args)]
pub struct Collect {
    /// Programs, or directories that are copied as a whole, inside the root
    #[arg(required = true, value_name = "PROGRAM", value_hint = ValueHint::AnyPath)]
    pub programs: Vec<PathBuf>,
    /// Where to; empty, or made. A path of the running system
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub into: PathBuf,
    /// The files of the image that the copy will be put on; what it has is left out
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub base: Option<PathBuf>,
    /// Copy programs and libraries with only the kernels of the GPUs of `apply --gpu`
    ///
    /// What `revert` needs is copied whole, and so is what has no kernels for these GPUs.
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
    /// The GPUs whose kernels stay
    ///
    /// A target (gfx906), its number, or the name of a card; several with `,`. A target without features
    /// keeps the kernels for all its features; gfx90a:xnack- those for gfx90a and gfx90a:xnack-.
    #[arg(long, required = true, value_name = "GPU", value_parser = gpu::list)]
    pub gpu: Vec<gpu::List>,
    /// Write the reduced file here, inside the root; takes one FILE
    #[arg(long, short, value_name = "FILE", group = "destination", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace each FILE by the reduced one; running programs keep the old file
    #[arg(long, group = "destination")]
    pub in_place: bool,
    /// Compress kernels that are not; needs the HIP runtime of ROCm 7, which is looked for in the tree
    #[arg(long)]
    pub compress: bool,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// A backend in the store, or the path of a rocBLAS, with a `/` in it
    #[arg(long, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub backend: OsString,
    /// Record its rocBLAS calls into a directory here; `stderr` prints them
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub trace: Option<PathBuf>,
    /// The program, a path or a name in PATH, and its arguments
    #[arg(required = true, value_name = "PROGRAM", trailing_var_arg = true)]
    #[arg(allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// A backend in the store, or the path of a rocBLAS, with a `/` in it; to be given twice or more
    #[arg(long, required = true, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub backend: Vec<OsString>,
    /// Run the program so often with each backend; times have a spread then
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Keep the traces, in a directory for each run in this one, which is empty or made
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
    /// Write a page with the backends side by side, for a browser; it needs no network
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Rows of each table
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub rows: usize,
    /// The program, a path or a name in PATH, and its arguments
    #[arg(required = true, value_name = "PROGRAM", trailing_var_arg = true)]
    #[arg(allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// What to do with backends.
#[derive(Debug, Subcommand)]
pub enum Backends {
    /// List them with sizes, GPUs and where they came from; the one in use is marked
    #[command(after_help = "Example:\n  installer backends list --json | jq .backends[].name")]
    List,
    /// Put another one into the store
    #[command(after_help = "Example:\n  installer backends add /opt/rocm-6.4.4 --name 6.4.4")]
    Add {
        /// A library, a directory with one, a .deb, .rpm or .tar*
        path: PathBuf,
        /// Its name [default: its ROCm version]
        #[arg(long)]
        name: Option<String>,
        /// Only the Tensile files of these GPUs
        #[arg(long, value_name = "GPU", value_parser = gpu::list)]
        gpu: Option<Vec<gpu::List>>,
        /// Place its library with only the kernels of these GPUs and of this machine's
        #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true)]
        #[arg(default_missing_value = "yes", value_parser = yes_or_no())]
        slim: Option<bool>,
    },
    /// Make one the backend of all programs, or of one that is running
    #[command(
        after_help = "Examples: for all programs; for the handles that a running server makes from now on\n  \
        installer backends use 6.3.0\n  \
        installer backends use 6.4.4 --pid $(pgrep llama-server)"
    )]
    Use {
        /// Its name; with --pid also the path of a rocBLAS, with a `/` in it, or `-` for what the settings say
        #[arg(add = ArgValueCompleter::new(complete::backend_names))]
        name: String,
        /// Of this process only, and nothing is changed on disk: handles that it makes from now on belong to
        /// the backend, those that it has stay with theirs until they are destroyed
        #[arg(long)]
        pid: Option<u32>,
    },
    /// Say which backend each GPU gets and why, and write rules by which none is lost
    #[command(
        after_help = "Examples: what this machine's GPUs get; a backend for each, the newest that serves it\n  \
        installer backends routes\n  \
        installer backends routes --write"
    )]
    Routes {
        /// Of these GPUs instead of this machine's
        #[arg(long, value_name = "GPU", value_parser = gpu::list)]
        gpu: Option<Vec<gpu::List>>,
        /// Write a rule for each GPU into the table `route` of shim.toml
        #[arg(long)]
        write: bool,
    },
    /// Remove one that is not in use
    Remove {
        /// Its name
        #[arg(add = ArgValueCompleter::new(complete::backend_names))]
        name: String,
    },
    /// Remove all that are not needed: neither in use, nor named by a setting, nor the stock library
    #[command(after_help = "Example:\n  installer backends prune --dry-run")]
    Prune {
        /// Say what would be removed, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask, where a terminal is there to ask on
        #[arg(long)]
        yes: bool,
    },
}

/// What to do with traces.
#[derive(Debug, Subcommand)]
pub enum Trace {
    /// Start recording the calls of a running process; it needs no restart and does not wait
    ///
    /// If it has made no rocBLAS call yet, recording begins with its first handle.
    #[command(after_help = "Example: the last calls before a crash that happens once a day\n  \
        installer trace start 4711 --output /var/tmp/traces --ring 64M")]
    Start {
        /// The process, of yours unless you are root
        pid: u32,
        /// Where the trace's directory is made; `stderr` prints to the process's own stderr
        #[arg(long, short, value_name = "DIR", default_value = "rocblas-traces")]
        #[arg(value_hint = ValueHint::DirPath)]
        output: PathBuf,
        /// Keep only the last calls of each thread, in so many bytes (64M)
        #[arg(long, value_name = "SIZE")]
        ring: Option<String>,
        /// Stop recording when all files together have so many bytes [default: 4G]
        #[arg(long, value_name = "SIZE")]
        limit: Option<String>,
        /// Record only functions of these patterns; one with a `-` before it leaves out
        #[arg(long, value_name = "PATTERN", value_delimiter = ',', allow_hyphen_values = true)]
        functions: Vec<String>,
        /// Record only calls that take at least this long (10us)
        #[arg(long, value_name = "TIME")]
        min: Option<String>,
        /// Stop after so many calls
        #[arg(long, value_name = "NUMBER")]
        first: Option<u64>,
        /// Ask HIP at each call whether a graph captures it, and mark these calls (ask, off)
        ///
        /// A trace has a call that a graph repeats once. GGML_CUDA_DISABLE_GRAPHS=1 makes llama.cpp call
        /// each time.
        #[arg(long, value_name = "ask")]
        capture: Option<String>,
    },
    /// Stop recording
    #[command(after_help = "Example:\n  installer trace stop 4711")]
    Stop {
        /// The process
        pid: u32,
    },
    /// Say whether a process is being traced, and where to
    #[command(after_help = "Example:\n  installer trace status 4711")]
    Status {
        /// The process
        pid: u32,
    },
    /// Print calls, a line each
    #[command(after_help = "Examples:\n  installer trace show traces --status error\n  \
        installer trace show traces --functions '*trsm*' --min 100us --long")]
    Show {
        /// A trace, or a directory of some
        path: PathBuf,
        /// Which calls
        #[command(flatten)]
        select: Select,
        /// Every argument, and the handle's device, stream and pointer mode
        #[arg(long, short)]
        long: bool,
        /// No more than so many
        #[arg(long, value_name = "NUMBER")]
        first: Option<u64>,
    },
    /// Print calls as they are made, until the program ends or is no longer traced
    #[command(after_help = "Example:\n  installer trace follow traces --functions '*gemm*'")]
    Follow {
        /// A trace, or a directory of one
        path: PathBuf,
        /// Which calls
        #[command(flatten)]
        select: Select,
        /// Every argument, and the handle's device, stream and pointer mode
        #[arg(long, short)]
        long: bool,
    },
    /// Calls by function and by shape, errors, and what was in flight at the end
    ///
    /// First calls, which may load kernels, have a column of their own; the other columns and the order are
    /// without them.
    #[command(after_help = "Examples:\n  installer trace summary traces\n  \
        installer trace summary traces --json | jq .calls")]
    Summary {
        /// A trace, or a directory of some, which are taken together
        path: PathBuf,
        /// Rows of each table
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        rows: usize,
    },
    /// Write calls in the format of another program
    #[command(
        after_help = "Examples: look at it in ui.perfetto.dev; reproduce it with rocblas-bench\n  \
        installer trace export traces --format chrome --output trace.json\n  \
        installer trace export traces --format bench --status error"
    )]
    Export {
        /// A trace, or a directory of some
        path: PathBuf,
        /// The format
        #[arg(long, value_enum)]
        format: Format,
        /// The file [default: stdout]
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Which calls
        #[command(flatten)]
        select: Select,
    },
    /// Compare two traces by function and shape: new and gone calls, statuses, times
    #[command(after_help = "Example: the backend of ROCm 6.3 against the stock library\n  \
        installer trace diff traces/with-6.3.0 traces/with-7.0.2")]
    Diff {
        /// A trace, or a directory of some, which are taken together
        before: PathBuf,
        /// Another
        after: PathBuf,
        /// Rows of each table
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        rows: usize,
    },
    /// Write a page with everything, for a browser; it needs no network
    #[command(after_help = "Example:\n  installer trace report traces --output report.html")]
    Report {
        /// A trace, or a directory of some, which are taken together
        path: PathBuf,
        /// The file
        #[arg(long, short, value_name = "FILE", default_value = "rocblas-report.html")]
        #[arg(value_hint = ValueHint::FilePath)]
        output: PathBuf,
    },
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Explain the errors in this log of a program; `-` reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log: Option<PathBuf>,
    /// The GPU that the log is about, where its lines do not tell [default: the machine's]
    #[arg(long, value_name = "GPU", value_parser = gpu::list)]
    pub gpu: Vec<gpu::List>,
    /// Write everything into one file, to attach to a bug report
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
}
