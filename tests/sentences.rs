//! The shim's real messages, explained by `installer doctor --log`: each line of every message is recognised, with
//! the right meaning.

use rocblas_contract::{
    sentences::{PREFIX, Sentence},
    serves::{Identity, SERVES, Serves},
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    artefacts,
    compile::library,
    real::recording,
    run::{Ended, client, run},
    scenario::{c_backend, c_backend_with_soname, linked_client},
    tree::Tree,
};

/// A tree with a shim and a client that calls a few functions.
struct Scenario {
    tree: Tree,
    program: PathBuf,
}

impl Scenario {
    fn new() -> Self {
        let tree = Tree::with_shim();
        let program = linked_client(&tree, "status.c", &[]);
        Self { tree, program }
    }

    /// On the recording HIP runtime.
    fn with_hip() -> Self {
        let tree = Tree::with_shim();
        let hip = tree.lib().join("libamdhip64.so.7");
        symlink(recording::runtime(), &hip).expect("link to the runtime");
        let hip = hip.to_str().expect("UTF-8");
        tree.add_backend("only", &c_backend(&tree, "hip-backend.so", &["-DUSES_HIP", hip]));
        let program = linked_client(&tree, "promises.c", &[]);
        Self { tree, program }
    }

    fn run(&self, environment: &[(&str, &str)]) -> Ended {
        run(client(&self.tree, &self.program).envs(environment.iter().copied()))
    }

    fn with_backend(&self, backend: &Path) -> Ended {
        self.run(&[("ROCBLAS_SHIM_BACKEND", backend.to_str().expect("UTF-8"))])
    }

    /// A backend with few functions, in the store.
    fn with_few(&self) -> PathBuf {
        self.tree.add_backend("only", &c_backend(&self.tree, "few.so", &[]))
    }
}

/// The sentences in the lines that the shim printed. Every line must have one.
#[track_caller]
fn recognised(ended: &Ended) -> Vec<Sentence> {
    let is_shims = |line: &&str| {
        ["error: ", "warn: "].iter().any(|level| line.starts_with(&format!("{PREFIX}{level}")))
            || line.starts_with("  ")
    };
    let lines = ended.stderr.lines().filter(is_shims);
    lines.map(|l| Sentence::of(l).unwrap_or_else(|| panic!("`{l}` is unknown"))).collect()
}

/// The titles of `doctor --log`'s findings for the output.
fn explained(ended: &Ended) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    fs::write(&log, &ended.stderr).expect("write");
    let mut installer = Command::new(artefacts::installer());
    installer.arg("--root").arg(directory.path()).args(["--json", "doctor", "--log"]).arg(&log);
    let ended = run(&mut installer);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("findings").iter();
    let titles = findings.filter_map(|finding| finding["title"].as_str());
    titles.filter_map(|title| Some(title.strip_prefix("in the log: ")?.to_owned())).collect()
}

/// All sentences that were seen, to detect those that were not.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    /// Checks that a run printed this sentence, and that doctor reports this title.
    #[track_caller]
    fn expect(&mut self, ended: &Ended, sentence: Sentence, title: &str) {
        let found = recognised(ended);
        assert!(found.contains(&sentence), "no {sentence:?} in {found:?}: {ended:?}");
        let titles = explained(ended);
        assert!(titles.iter().any(|t| t == title), "`{title}` is not in {titles:?}: {ended:?}");
        self.0.extend(found.iter().map(|sentence| format!("{sentence:?}")));
    }
}

/// Sentences that these tests do not provoke, because a test cannot create the state of the system, or because other
/// tests do so.
const NOT_PROVOKED: [Sentence; 22] = [
    // dladdr does not find the shim.
    Sentence::NothingTriedForDirectory,
    // A thread must be opening a backend for ten seconds: `initialisation.rs`.
    Sentence::Forked,
    Sentence::OpeningTakesLong,
    // A file is replaced while a program has it open: `routing/live.rs`.
    Sentence::ReplacedFile,
    // Two backends with data that the loader joins: `routing/switching.rs`.
    Sentence::JoinedSymbol,
    // Set-user-ID: `secure.rs`.
    Sentence::Privileged,
    // Headers of no real file: the shim's own tests of `inspect.rs`.
    Sentence::BadHeaders,
    Sentence::StringsOutside,
    // The loader does not list what it has loaded.
    Sentence::NotListed,
    // Linked by hand: the shim's own tests of `adapt.rs`.
    Sentence::OddRelocation,
    Sentence::Protected,
    // Somebody overwrites the backend's references, and mprotect then fails.
    Sentence::BindingsLost,
    // HIP fails between two calls.
    Sentence::NoProperties,
    // The backend's own function fails.
    Sentence::AtomicsStay,
    Sentence::PointerModeLost,
    // Functions that a backend lacks: `later_functions.rs`.
    Sentence::BatchStride,
    Sentence::ScalarsCaptured,
    // Every reason that can be provoked has a sentence of its own.
    Sentence::Tried,
    // A call writes NaN: `tracing/checks.rs`.
    Sentence::BadOutput,
    // A file is replaced while it grows: `tracing/replaced.rs`.
    Sentence::TraceReplaced,
    // The disk must be full, or the directory vanish, between two files.
    Sentence::ThreadNotTraced,
    Sentence::TraceFileNotWritten,
];

#[test]
fn whatever_the_shim_prints_is_explained_by_doctor() {
    let mut seen = Seen::default();
    no_choice(&mut seen);
    files(&mut seen);
    libraries(&mut seen);
    calls(&mut seen);
    traces(&mut seen);
    backends(&mut seen);
    for sentence in Sentence::ALL {
        let was_seen = seen.0.contains(&format!("{sentence:?}"));
        let expected = !NOT_PROVOKED.contains(sentence);
        assert_eq!(was_seen, expected, "{sentence:?} was seen: {was_seen}");
    }
}

/// No backend to choose, or several.
fn no_choice(seen: &mut Seen) {
    let scenario = Scenario::new();
    let named = |name: &str| scenario.run(&[("ROCBLAS_SHIM_BACKEND", name)]);
    seen.expect(&scenario.run(&[]), Sentence::NoBackend, "the shim has no backend");
    seen.expect(&scenario.run(&[]), Sentence::Absent, "the backend's file does not exist");
    let title = "the setting that chooses the backend is empty";
    seen.expect(&named(""), Sentence::EmptySetting, title);
    seen.expect(&named("8"), Sentence::NotInStore, "there is no backend of that name");
    fs::create_dir_all(scenario.tree.lib().join("rocblas-shim/backends")).expect("make");
    let empty = "the shim's store contains no backend";
    seen.expect(&scenario.run(&[]), Sentence::NoBackends, empty);
    fs::create_dir_all(scenario.tree.lib().join("rocblas-shim/backends/a/lib")).expect("make");
    seen.expect(&scenario.run(&[]), Sentence::NoLibrary, empty);
    scenario.with_few();
    let title = "the store has several backends and none is selected";
    seen.expect(&scenario.run(&[]), Sentence::SeveralBackends, title);
    scenario.tree.write_settings("backend = \n");
    let title = "the shim's settings cannot be read";
    seen.expect(&scenario.run(&[]), Sentence::NothingTriedForSettings, title);
    let title = "a setting of the shim is ignored";
    seen.expect(&scenario.run(&[]), Sentence::SettingIgnored, title);
}

/// Files that are not libraries.
fn files(seen: &mut Seen) {
    let scenario = Scenario::new();
    let root = scenario.tree.root().to_owned();
    let with = |name: &str, bytes: &[u8]| {
        let file = root.join(name);
        fs::write(&file, bytes).expect("write");
        scenario.with_backend(&file)
    };
    let probe = fs::read(artefacts::probe()).expect("read the probe");
    let changed = |at: usize, byte: u8| {
        let mut changed = probe.clone();
        changed[at] = byte;
        changed
    };
    let damaged = "the backend's file is damaged";
    let no_library = "the backend's file is not a library";
    let machine = "the backend is for another machine";
    seen.expect(&with("empty.so", b""), Sentence::EmptyFile, damaged);
    seen.expect(&with("text.so", b"INPUT(-lrocblas)\n"), Sentence::TextFile, no_library);
    seen.expect(&with("archive.so", &[0x1f, 0x8b, 8, 0]), Sentence::NotElf, no_library);
    seen.expect(&with("object.so", &changed(16, 1)), Sentence::NotShared, no_library);
    seen.expect(&with("half.so", &probe[..probe.len() / 2]), Sentence::TruncatedEnd, damaged);
    seen.expect(&with("start.so", &probe[..64]), Sentence::TruncatedPart, damaged);
    seen.expect(&with("none.so", &changed(56, 0)), Sentence::Implausible, damaged);
    seen.expect(&with("arm.so", &changed(18, 183)), Sentence::OtherMachine, machine);
    seen.expect(&with("small.so", &changed(4, 1)), Sentence::Elf32, machine);
    seen.expect(&with("big.so", &changed(5, 2)), Sentence::BigEndian, machine);
    let title = "the path of the backend is not a library";
    seen.expect(&scenario.with_backend(&root), Sentence::Directory, title);
    seen.expect(&scenario.with_backend(Path::new("/dev/null")), Sentence::Special, title);
    let unreadable = "the backend's file cannot be read";
    let circle = root.join("circle.so");
    symlink(&circle, &circle).expect("link");
    seen.expect(&scenario.with_backend(&circle), Sentence::Unreadable, unreadable);
    // Root may read everything except files that the kernel itself protects.
    let forbidden = if rustix::process::geteuid().is_root() {
        PathBuf::from("/proc/sys/vm/drop_caches")
    } else {
        let file = root.join("forbidden.so");
        fs::write(&file, "x").expect("write");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("forbid");
        file
    };
    seen.expect(&scenario.with_backend(&forbidden), Sentence::Forbidden, unreadable);
}

/// Libraries that cannot be a backend.
fn libraries(seen: &mut Seen) {
    let scenario = Scenario::new();
    let root = scenario.tree.root().to_owned();
    let lib = scenario.tree.lib();
    let source = artefacts::standins().join("backend.c");
    let other = library(&source, &root.join("other.so"), "libfoo.so.1", &[]);
    let title = "the backend is another library";
    seen.expect(&scenario.with_backend(&other), Sentence::OtherSoname, title);
    seen.expect(&scenario.with_backend(&scenario.program), Sentence::NoSoname, title);
    let shim = scenario.with_backend(artefacts::shim());
    seen.expect(&shim, Sentence::IsShim, "the backend is itself a shim");
    let arguments = ["-L", lib.to_str().expect("UTF-8"), "-Wl,--no-as-needed", "-lrocblas"];
    let loops = c_backend(&scenario.tree, "loops.so", &arguments);
    let ended = scenario.with_backend(&loops);
    seen.expect(&ended, Sentence::LeadsBack, "the backend is itself a shim");
    let needed = root.join("libneeded.so");
    let source = artefacts::workspace().join("tests/clients/interposer.c");
    library(&source, &needed, "libneeded.so.9", &["-fno-builtin"]);
    let arguments = ["-Wl,--no-as-needed", needed.to_str().expect("UTF-8")];
    let needy = scenario.with_backend(&c_backend(&scenario.tree, "needy.so", &arguments));
    seen.expect(&needy, Sentence::NotLoaded, "a library is not found");
    // The type of the dynamic section is changed to an unknown one.
    let mut bytes = fs::read(artefacts::probe()).expect("read the probe");
    let headers = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    for header in bytes[64..64 + 56 * headers].chunks_exact_mut(56) {
        if header[..4] == 2_u32.to_le_bytes() {
            header[..4].fill(0);
        }
    }
    let file = root.join("static.so");
    fs::write(&file, bytes).expect("write");
    let ended = scenario.with_backend(&file);
    seen.expect(&ended, Sentence::Lacks, "the backend's file is damaged");

    let traits = ["-DVERSION=\"develop\""];
    let scenario = Scenario::new();
    let unknown = c_backend_with_soname(&scenario.tree, "x.so", "librocblas.so", &traits);
    let unknown = unknown.to_str().expect("UTF-8");
    let ended = scenario.run(&[("ROCBLAS_SHIM_BACKEND", unknown), ("ROCBLAS_SHIM_LOG", "warn")]);
    let title = "the backend's version is not known";
    seen.expect(&ended, Sentence::UnknownGeneration, title);

    let scenario = Scenario::with_hip();
    let other = scenario.tree.root().join("libamdhip64.so.6");
    library(&artefacts::standins().join("other_hip.c"), &other, "libamdhip64.so.6", &[]);
    let ended = scenario.run(&[("LD_PRELOAD", other.to_str().expect("UTF-8"))]);
    seen.expect(&ended, Sentence::SecondHip, "two HIP runtimes in one process");
}

/// Calls that fail, and variables that are hidden.
fn calls(seen: &mut Seen) {
    let scenario = Scenario::new();
    scenario.with_few();
    let title = "a rocBLAS function that the backend does not have";
    seen.expect(&scenario.run(&[]), Sentence::MissingFunction, title);
    let ended = scenario.run(&[("ROCBLAS_SHIM_ON_ERROR", "abort")]);
    seen.expect(&ended, Sentence::Aborting, "the shim ended the process, as configured");
    let hidden = "a variable of rocBLAS is hidden from the backend";
    for (variable, sentence) in [
        ("ROCBLAS_USE_HIPBLASLT", Sentence::HipblasltHidden),
        ("ROCBLAS_TENSILE_LIBPATH", Sentence::TensileHidden),
    ] {
        let ended = scenario.run(&[(variable, "1"), ("ROCBLAS_SHIM_LOG", "warn")]);
        seen.expect(&ended, sentence, hidden);
    }
    let scenario = Scenario::with_hip();
    let kernels = scenario.tree.lib().join("rocblas-shim/backends/only/lib/rocblas/library");
    fs::create_dir_all(&kernels).expect("make the Tensile directory");
    let ended = scenario.run(&[("RECORDING_HIP_TARGET", "gfx906")]);
    seen.expect(&ended, Sentence::NoKernels, "the backend has no Tensile files for this GPU");
}

/// Traces that cannot be written, or not completely.
fn traces(seen: &mut Seen) {
    let tree = Tree::with_backend(artefacts::reference());
    let program = linked_client(&tree, "tracing/many.c", &[]);
    let traced = |place: &Path, options: &str, limit: &str| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{limit} exec \"$0\" 50000")).arg(&program);
        let client = client(&tree, &program);
        command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("ROCBLAS_SHIM_TRACE", place).env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
        run(&mut command)
    };
    let file = tree.root().join("file");
    fs::write(&file, "").expect("write");
    let ended = traced(&file, "", "");
    seen.expect(&ended, Sentence::TraceNotMade, "a trace cannot be written");
    let directory = tree.root().join("traces");
    let ended = traced(&directory, "limit=128K", "");
    seen.expect(&ended, Sentence::TraceLimit, "a trace has reached its limit");
    let ended = traced(&directory, "", "ulimit -f 200;");
    seen.expect(&ended, Sentence::TraceStopped, "a trace is incomplete");
}

/// Several backends in a process.
fn backends(seen: &mut Seen) {
    let tree = Tree::with_shim();
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../shim/include");
    let program = linked_client(&tree, "backends.c", &[include]);
    let add = |name: &str, number: usize| {
        let id = format!("-DID={number}");
        let file = tree.root().join(format!("{name}.so"));
        let source = artefacts::standins().join("owned.c");
        let traits = [id.as_str(), "-DVERSION=\"4.3.0\""];
        tree.add_backend(name, &library(&source, &file, "librocblas.so.4", &traits));
    };
    let names: Vec<String> = (1..=9).map(|number| format!("backend-{number}")).collect();
    let run = |words: &str, first: &str| {
        let mut command = client(&tree, &program);
        run(command.env("ROCBLAS_SHIM_BACKEND", first).args(words.split(' ')))
    };
    seen.expect(
        &run("use backend-1", "absent"),
        Sentence::NoFirstBackend,
        "the shim has no backend",
    );
    names.iter().zip(1..).for_each(|(name, number)| add(name, number));
    let ended = run("use absent", "backend-1");
    seen.expect(&ended, Sentence::NotOpened, "another backend could not be opened");
    let ended = run("use backend-2 unknown", "backend-1");
    seen.expect(&ended, Sentence::UnknownHandle, "a handle came from elsewhere");
    let words: Vec<String> = names[1..].iter().map(|name| format!("use {name}")).collect();
    let ended = run(&words.join(" "), "backend-1");
    seen.expect(&ended, Sentence::TooManyBackends, "there is no room for another backend");
    // A rule that names no existing backend for the device of the recording runtime.
    let scenario = Scenario::with_hip();
    let ended = scenario.run(&[("ROCBLAS_SHIM_ROUTE", "1=only,gfx906=absent")]);
    seen.expect(&ended, Sentence::NoRoute, "the backend for a GPU could not be opened");
    let library = scenario.tree.lib().join("rocblas-shim/backends/only/lib/librocblas.so.4");
    let identity = Identity::of(&fs::File::open(&library).expect("open")).expect("read");
    let facts =
        Serves { release: "6.3.0".to_owned(), gpus: vec!["gfx906".to_owned()], library: identity };
    let prefix = library.parent().and_then(|lib| lib.parent()).expect("a prefix");
    let facts = facts.text().replace("size = ", "size = 1");
    fs::write(prefix.join(SERVES), facts).expect("write");
    let ended = scenario.run(&[("ROCBLAS_SHIM_ROUTE", "auto")]);
    seen.expect(&ended, Sentence::StaleFacts, "a backend's library has changed");
}
