//! Explains each sentence that the shim prints, and what to do. The match has no default arm, so a sentence
//! added to the shim cannot remain unexplained.

use super::cause::Fixed;
use rocblas_contract::sentences::Sentence;

/// The explanation of a sentence.
pub(super) fn meaning(sentence: Sentence) -> &'static Fixed {
    match sentence {
        Sentence::NoBackend | Sentence::HowToChoose | Sentence::Tried => &NO_BACKEND,
        Sentence::Forked => &FORKED,
        Sentence::SettingIgnored => &SETTING_IGNORED,
        Sentence::NothingTriedForSettings => &SETTINGS_UNREADABLE,
        Sentence::NothingTriedForDirectory => &NO_DIRECTORY,
        Sentence::Privileged => &PRIVILEGED,
        Sentence::Absent => &ABSENT,
        Sentence::Forbidden | Sentence::Unreadable => &UNREADABLE,
        Sentence::EmptySetting => &EMPTY_SETTING,
        Sentence::NotInStore => &NOT_IN_STORE,
        Sentence::NoBackends | Sentence::NoLibrary => &EMPTY_STORE,
        Sentence::SeveralBackends => &SEVERAL_BACKENDS,
        Sentence::Directory | Sentence::Special => &NOT_A_FILE,
        Sentence::IsShim | Sentence::LeadsBack => &IS_SHIM,
        Sentence::OtherSoname | Sentence::NoSoname => &NOT_ROCBLAS,
        Sentence::TruncatedPart
        | Sentence::TruncatedEnd
        | Sentence::EmptyFile
        | Sentence::BadHeaders
        | Sentence::Implausible
        | Sentence::Lacks
        | Sentence::StringsOutside => &DAMAGED,
        Sentence::TextFile | Sentence::NotElf | Sentence::NotShared => &NOT_A_LIBRARY,
        Sentence::Elf32 | Sentence::BigEndian | Sentence::OtherMachine => &OTHER_MACHINE,
        Sentence::NotLoaded => &NOT_LOADED,
        Sentence::NotListed | Sentence::OddRelocation | Sentence::Protected => &NOT_ADAPTED,
        Sentence::SecondHip => &SECOND_HIP,
        Sentence::MissingFunction => &MISSING_FUNCTION,
        Sentence::Aborting => &ABORTING,
        Sentence::NoKernels => &NO_KERNELS,
        Sentence::HipblasltHidden | Sentence::TensileHidden => &HIDDEN,
        Sentence::BatchStride => &BATCH_STRIDE,
        Sentence::ScalarsCaptured => &SCALARS_CAPTURED,
        Sentence::PointerModeLost => &POINTER_MODE_LOST,
        Sentence::UnknownGeneration => &UNKNOWN_GENERATION,
        Sentence::BindingsLost => &BINDINGS_LOST,
        Sentence::AtomicsStay => &ATOMICS_STAY,
        Sentence::NoProperties => &NO_PROPERTIES,
        Sentence::TraceNotMade | Sentence::ThreadNotTraced => &NO_TRACE,
        Sentence::TraceFileNotWritten | Sentence::TraceStopped => &TRACE_STOPPED,
        Sentence::TraceReplaced => &TRACE_REPLACED,
        Sentence::BadOutput => &BAD_OUTPUT,
        Sentence::TraceLimit => &TRACE_LIMIT,
        Sentence::NoFirstBackend => &NO_BACKEND,
        Sentence::NotOpened => &NOT_OPENED,
        Sentence::ReplacedFile => &REPLACED_FILE,
        Sentence::OpeningTakesLong => &OPENING_TAKES_LONG,
        Sentence::TooManyBackends => &TOO_MANY_BACKENDS,
        Sentence::UnknownHandle => &UNKNOWN_HANDLE,
        Sentence::NoRoute => &NO_ROUTE,
        Sentence::JoinedSymbol => &JOINED_SYMBOL,
        Sentence::StaleFacts => &STALE_FACTS,
    }
}

/// The command that gives the shim a backend. `PACKAGE` stands for AMD's of this distribution.
const BACKEND_6_3: &str = "installer apply --backend PACKAGE   (AMD's package for ROCm 6.3; installer \
     fetch 6.3 downloads it, do not install it)";

const fn known(title: &'static str, cause: &'static str, cure: &'static str) -> Fixed {
    Fixed { title, why: cause, cure }
}

static NO_BACKEND: Fixed = known(
    "the shim has no backend",
    "The shim found no rocBLAS of ROCm 6.3 to forward to, or the one it found cannot be used; the \
     lines that begin with \"tried\" say why.",
    BACKEND_6_3,
);

static FORKED: Fixed = known(
    "the shim gave up after a fork",
    "The process was forked while its parent was in its first rocBLAS call.",
    "call rocBLAS once before forking, or start workers with spawn",
);

static SETTING_IGNORED: Fixed = known(
    "a setting of the shim is ignored",
    "A value in ROCBLAS_SHIM_* or in shim.toml is not valid; the line says which.",
    "correct it; shim/docs/settings.md lists the settings",
);

static SETTINGS_UNREADABLE: Fixed = known(
    "the shim's settings cannot be read",
    "shim.toml is not valid TOML or cannot be read. It may name a backend, so the shim does not guess \
     one.",
    "correct the line that the message names, or move the file away and run installer apply",
);

static NO_DIRECTORY: Fixed = known(
    "the shim cannot find its own directory",
    "The shim looks for its store next to its own file, but the loader does not report that file's path.",
    "load librocblas.so.5 by a path or through the loader's search path; or set \
     ROCBLAS_SHIM_BACKEND to a path",
);

static PRIVILEGED: Fixed = known(
    "the shim ignores the environment of a privileged process",
    "A set-user-ID program, or one with file capabilities, must not load code that its caller's \
     environment names.",
    "name the backend in shim.toml: installer backends use NAME",
);

static ABSENT: Fixed = known(
    "the backend's file does not exist",
    "There is no file at the path that a setting names, or where the shim looks for a backend without a \
     setting.",
    "installer backends list   (shows what is installed); or give the shim a backend: installer apply \
     --backend PACKAGE",
);

static UNREADABLE: Fixed = known(
    "the backend's file cannot be read",
    "The user has no permission to read it or a directory above it, the process has too many open \
     files, or the disk fails.",
    "give the program's user read permission; or raise its limit of open files (ulimit -n)",
);

static EMPTY_SETTING: Fixed = known(
    "the setting that chooses the backend is empty",
    "ROCBLAS_SHIM_BACKEND, or `backend` in shim.toml, is set to an empty string.",
    "unset it, or set it to a name that `installer backends list` shows",
);

static NOT_IN_STORE: Fixed = known(
    "there is no backend of that name",
    "The setting names a backend that is not in the store.",
    "installer backends list   (shows the names); installer backends use NAME; a path needs a `/`",
);

static EMPTY_STORE: Fixed = known(
    "the shim's store contains no backend",
    "The store exists without a rocBLAS: it was emptied by hand, or a copy of it is incomplete.",
    BACKEND_6_3,
);

static SEVERAL_BACKENDS: Fixed = known(
    "the store has several backends and none is selected",
    "Without a setting the shim uses the only backend in the store, but there are several.",
    "installer backends use NAME",
);

static NOT_A_FILE: Fixed = known(
    "the path of the backend is not a library",
    "The setting names a directory, a pipe or a device.",
    "set ROCBLAS_SHIM_BACKEND to the librocblas.so.4 in it, or to a name that `installer backends \
     list` shows",
);

static IS_SHIM: Fixed = known(
    "the backend is itself a shim",
    "The setting that selects the backend points to a shim, often to librocblas.so.5 of a tree that \
     has one. Or the backend lacks functions and finds the shim's through a library that it needs.",
    "unset ROCBLAS_SHIM_BACKEND, or set it to a librocblas.so.4; `installer backends list` shows \
     what is installed",
);

static NOT_ROCBLAS: Fixed = known(
    "the backend is another library",
    "The file is a library, but its SONAME is not rocBLAS's.",
    "set ROCBLAS_SHIM_BACKEND to a librocblas.so.4, or to a name that `installer backends list` shows",
);

static DAMAGED: Fixed = known(
    "the backend's file is damaged",
    "It is empty, shorter than its headers say, or its headers are invalid: a copy or download was interrupted, \
     or the disk was full.",
    "installer verify   (have placed files changed?); installer apply --backend \
     PACKAGE",
);

static NOT_A_LIBRARY: Fixed = known(
    "the backend's file is not a library",
    "The file is a text file, a program or an archive.",
    "set ROCBLAS_SHIM_BACKEND to the library; a .deb, .rpm or tar archive is for installer apply \
     --backend FILE",
);

static OTHER_MACHINE: Fixed = known(
    "the backend is for another machine",
    "The library was built for another processor architecture than x86-64.",
    BACKEND_6_3,
);

static NOT_LOADED: Fixed = known(
    "the loader rejects the backend",
    "The library, or one that it needs, cannot be loaded; the line has the loader's reason.",
    "installer check PATH   (resolves what a library needs); installer verify; installer apply",
);

static NOT_ADAPTED: Fixed = known(
    "the backend cannot be prepared in memory",
    "Its references to its own functions cannot be bound to those functions: it was linked unusually, or the \
     system forbids changing memory protection (SELinux, seccomp).",
    "allow mprotect for the program; or use AMD's own build: installer apply --backend \
     PACKAGE",
);

static SECOND_HIP: Fixed = known(
    "two HIP runtimes in one process",
    "The backend loads a libamdhip64.so.6 of ROCm 6 while the program uses ROCm 7's. Streams and \
     pointers of one are invalid in the other.",
    "installer apply   (provides ROCm 7's runtime under the old name); remove ROCm 6's directories \
     from LD_LIBRARY_PATH",
);

static MISSING_FUNCTION: Fixed = known(
    "a rocBLAS function that the backend does not have",
    "The program calls a function that ROCm 7 added and 6.3 lacks. Only this call fails.",
    "ROCBLAS_SHIM_BACKEND=7.0.2 PROGRAM   (runs it with the stock library, if that has kernels for \
     the GPU)",
);

static ABORTING: Fixed = known(
    "the shim ended the process, as configured",
    "ROCBLAS_SHIM_ON_ERROR=abort, or `on_error` in shim.toml, ends a process that calls a function \
     that is not available; the previous message names it.",
    "unset ROCBLAS_SHIM_ON_ERROR: the call then returns a status",
);

static NO_KERNELS: Fixed = known(
    "the backend has no Tensile files for this GPU",
    "The backend was placed without the matrix product kernels of this GPU: from a library alone, or \
     with --gpu for another GPU.",
    "installer apply --backend PACKAGE --gpu gfx906   (the whole \
     package, and the target of your GPU)",
);

static HIDDEN: Fixed = known(
    "a variable of rocBLAS is hidden from the backend",
    "It is meant for another rocBLAS and would make the backend fail; the line says why. Nothing is \
     wrong if the program works.",
    "unset it",
);

static BATCH_STRIDE: Fixed = known(
    "the backend does not support one alpha and beta per batch item",
    "The program passes an alpha or beta for each item of a batch, which rocBLAS supports since ROCm 7.14. An \
     older backend lacks this, and a single alpha for all items would compute wrong results.",
    "make the program use one alpha and one beta; or select a backend of ROCm 7.14 or later",
);

static SCALARS_CAPTURED: Fixed = known(
    "a function that the backend lacks cannot be captured in a graph",
    "The shim computes it with other functions of the backend, which need alpha and beta on the host. They are in \
     device memory, which cannot be read during a stream capture.",
    "pass alpha and beta in host memory (rocblas_pointer_mode_host); or call the function outside the graph",
);

static POINTER_MODE_LOST: Fixed = known(
    "a handle has the wrong pointer mode",
    "To compute a function that the backend lacks, the shim sets the handle to host pointer mode for the \
     duration of the call, and the backend failed to restore the mode. Later calls may read alpha and beta from \
     the wrong memory.",
    "ROCBLAS_SHIM_COMPAT=-syrk-ex,-herk-ex,-grouped-gemm PROGRAM   (such functions then return \
     not_implemented)",
);

static UNKNOWN_GENERATION: Fixed = known(
    "the backend's version is not known",
    "The backend has no version in its SONAME or its version string, as may happen with libraries that were \
     built by hand. The shim treats it like the oldest supported version. Nothing is wrong if the \
     program works.",
    "use AMD's own build: installer apply --backend PACKAGE",
);

static BINDINGS_LOST: Fixed = known(
    "the backend may call the shim instead of its own functions",
    "Something in the process overwrote the backend's references to its own functions, such as a \
     profiler that hooks functions, and the system forbids changing memory protection to restore them \
     (SELinux, seccomp).",
    "run the program without the profiler; or allow mprotect for it",
);

static ATOMICS_STAY: Fixed = known(
    "results may vary between runs",
    "The backend failed to disable atomics for a new handle, which rocBLAS of ROCm 7 does by \
     default, and it ignores ROCBLAS_DEFAULT_ATOMICS_MODE.",
    "use AMD's own build: installer apply --backend PACKAGE",
);

static NO_PROPERTIES: Fixed = known(
    "HIP does not describe a GPU",
    "hipGetDeviceProperties fails for the handle's device: the GPU was reset or is hidden, or the HIP \
     runtime does not work.",
    "installer selftest   (computes on each GPU)",
);

static NO_TRACE: Fixed = known(
    "a trace cannot be written",
    "The directory of the trace, or a thread's file in it, cannot be created: no permission, no space, or \
     a limit of the process. Calls are forwarded but not recorded.",
    "name a directory that the program's user can write to: ROCBLAS_SHIM_TRACE=DIR",
);

static TRACE_STOPPED: Fixed = known(
    "a trace is incomplete",
    "A file of the trace could no longer be written: the disk is full, a quota or a limit of file \
     sizes was reached, or the directory was removed.",
    "free some space and trace again; ROCBLAS_SHIM_TRACE_OPTIONS=ring=64M keeps only the last calls",
);

static TRACE_REPLACED: Fixed = known(
    "a trace was stopped because its files were replaced",
    "While the trace was being written, one of its files or its directory was moved, removed or replaced \
     with another one. The shim does not write to files that do not belong to the trace.",
    "trace again, and copy or remove a trace only after stopping it: installer trace stop PID",
);

static TRACE_LIMIT: Fixed = known(
    "a trace has reached its limit",
    "A trace is limited to 4 GiB unless configured otherwise. Later calls are not recorded.",
    "ROCBLAS_SHIM_TRACE_OPTIONS=limit=SIZE, or ring=SIZE for the last calls only",
);

static BAD_OUTPUT: Fixed = known(
    "a call wrote numbers that are not finite",
    "A trace with check=nan,inf examined the outputs of calls. This one is the first with NaN or infinite elements; \
     its inputs may already contain some.",
    "installer trace summary DIRECTORY lists the calls; with on-bad=capture the operands of the first one are saved \
     for installer replay",
);

static NOT_OPENED: Fixed = known(
    "another backend could not be opened",
    "The program, `installer backends use --pid` or a route requested one more rocBLAS, which could not be \
     opened; the end of the line says why. New handles keep using the backend that they \
     used before.",
    "installer backends list",
);

static REPLACED_FILE: Fixed = known(
    "the file of an open backend was replaced",
    "The program has opened a backend whose file has since been replaced under the same name. The loader identifies a library \
     by its name, so the new file cannot be opened next to the old one.",
    "restart the program; or installer backends add PATH --name NEWNAME, and use that name",
);

static OPENING_TAKES_LONG: Fixed = known(
    "opening a backend takes long",
    "Only one thread opens a backend at a time. Another thread has been doing so for that long, because of a slow disk or \
     because it waits for a thread that is in a library's constructor.",
    "restart the program with ROCBLAS_SHIM_LOG=debug, which prints how long each step of opening takes",
);

static TOO_MANY_BACKENDS: Fixed = known(
    "there is no room for another backend",
    "A process can open at most eight backends, and none is closed before the process ends, since the program may still \
     hold handles of it.",
    "restart the program with the backends that it needs",
);

static JOINED_SYMBOL: Fixed = known(
    "two backends cannot be in one process",
    "Both define a symbol as STB_GNU_UNIQUE, as GCC does for variables in inline functions. The loader binds both \
     libraries to one copy, so each would overwrite the other's data. AMD's libraries have no such symbols.",
    "start the program with one of them: ROCBLAS_SHIM_BACKEND=NAME",
);

static NO_ROUTE: Fixed = known(
    "the backend for a GPU could not be opened",
    "A rule of [route] in shim.toml, or of ROCBLAS_SHIM_ROUTE, gives this GPU a backend that could not be \
     opened; the end of the line says why. The program gets rocblas_status_internal_error instead of a \
     handle; other GPUs are not affected.",
    "installer backends list   (shows the names that a rule may give)",
);

static STALE_FACTS: Fixed = known(
    "a backend's library has changed",
    "A route says \"auto\", which gives each GPU the newest backend that the installer has found to serve it. The \
     library of this backend is not the file that the installer inspected: an upgrade or a person has replaced \
     it. It is used anyway; if it has no kernels for the GPU, calls fail.",
    "installer apply   (inspects it again)",
);

static UNKNOWN_HANDLE: Fixed = known(
    "a handle came from elsewhere",
    "Several backends are open, and the program uses a handle that none of them created through the shim. It may \
     already be destroyed, or belong to another copy of rocBLAS in the process. Calls with it go to the \
     backend of new handles, which fails or crashes if the handle is not its own.",
    "installer which PID   (shows every rocBLAS that the process has loaded)",
);
