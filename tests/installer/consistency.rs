//! A power cut at any moment of `apply`, `revert` and `repair`, on a model of a file system that loses
//! whatever was not synced (`tests::consistency`). In every state that may result:
//! 1. every file from before the first `apply` still exists, under some name;
//! 2. `librocblas.so.5` is a library that loads: stock, or the shim with a complete backend; once the
//!    command has ended, it is the promised one, and so is the loader's cache;
//! 3. `status` describes the state, `apply` produces the new tree and `revert` the old one.
//!
//! 1 and 2 are checked on the model in every state, 3 on real files in [`SAMPLE`] of them, which
//! differ in the operation that is delayed or early. `SHOW_OPERATIONS=1` prints the operations.

use crate::{
    applying::packed,
    machine::{Machine, is_ldconfigs},
};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{self, AtomicUsize},
    },
    time::Instant,
};
use tests::{
    amd_tree::AmdTree,
    artefacts,
    consistency::{Content, Crash, FileSystem, Node, Ordering, Recording, record},
    interrupt, run,
    skip::skip,
};

/// The maximum number of states of each run in which the commands are run; half as many where names in one
/// directory are reordered.
const SAMPLE: usize = 120;

/// The machine has at least two cores.
const THREADS: usize = 2;

const SEED: u64 = 12;

/// What the front name may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Stock,
    Shim,
}

/// The trees with which states are compared.
pub(crate) struct Expected {
    /// The library directory, relative to the root.
    lib: PathBuf,
    old: FileSystem,
    new: FileSystem,
    /// The contents of all files before the first `apply`, except those that ldconfig creates.
    contents: HashSet<Content>,
    stock: Content,
    shim: Content,
    /// The backend's files, relative to its directory; and the names next to the libraries through which it
    /// is loaded, relative to the library directory.
    backend: Vec<(PathBuf, Content)>,
    beside: Vec<(PathBuf, Content)>,
}

impl Expected {
    pub(crate) fn new(old: &AmdTree, new: &AmdTree) -> Self {
        let lib = old.lib().strip_prefix(old.root()).expect("below").to_owned();
        let [old, new] = [old, new].map(|tree| FileSystem::read(tree.root()).expect("read"));
        let content = |files: &FileSystem, path: &Path| {
            files.content(path).unwrap_or_else(|| panic!("{}", path.display())).clone()
        };
        let contents = old.paths().into_iter().filter_map(|(path, node)| match old.node(node) {
            Node::File(content) if !is_cache(&path) => Some(content.clone()),
            _ => None,
        });
        let directory = lib.join("rocblas-shim/backends/6.3.0");
        let backend = new.paths().into_iter().filter_map(|(path, _)| {
            let name = path.strip_prefix(&directory).ok()?.to_owned();
            Some((name, new.content(&path)?.clone()))
        });
        let beside = ["libamdhip64.so.6", "libhipblaslt.so.0"].map(PathBuf::from);
        let beside = beside.map(|name| (name.clone(), content(&new, &lib.join(&name))));
        Self {
            contents: contents.collect(),
            stock: content(&old, &lib.join("librocblas.so.5")),
            shim: content(&new, &lib.join("librocblas.so.5")),
            backend: backend.collect(),
            beside: beside.into(),
            lib,
            old,
            new,
        }
    }

    /// What the front name refers to, if that loads.
    pub(crate) fn front(&self, files: &FileSystem) -> Result<Front, String> {
        let at = |name: &Path| self.lib.join(name);
        let front = files.content(&at(Path::new("librocblas.so.5")));
        let front = front.ok_or("librocblas.so.5 does not resolve to a file")?;
        if *front == self.stock {
            return Ok(Front::Stock);
        }
        if *front != self.shim {
            let size = front.bytes().len();
            return Err(format!("librocblas.so.5 is neither stock nor the shim: {size} bytes"));
        }
        let settings = files.content(&at(Path::new("rocblas-shim/shim.toml")));
        let settings = settings.ok_or("the shim is in front and shim.toml is missing")?;
        let settings = String::from_utf8_lossy(settings.bytes());
        let name = settings.lines().find_map(|line| line.strip_prefix("backend = "));
        let name = name.ok_or("the shim is in front and shim.toml names no backend")?;
        let backend = at(Path::new("rocblas-shim/backends")).join(name.trim_matches('"'));
        let of_backend = self.backend.iter().map(|(name, content)| (backend.join(name), content));
        let beside = self.beside.iter().map(|(name, content)| (at(name), content));
        for (path, content) in of_backend.chain(beside) {
            if files.content(&path) != Some(content) {
                let fault = format!("the shim is in front and {} is not complete", path.display());
                return Err(shorter(&fault));
            }
        }
        Ok(Front::Shim)
    }

    /// The user's files that no longer exist.
    pub(crate) fn lost(&self, files: &FileSystem) -> Vec<String> {
        let there = files.contents();
        let lost = self.old.paths().into_iter().filter(|(path, node)| match self.old.node(*node) {
            Node::File(content) => {
                !is_cache(path) && self.contents.contains(content) && !there.contains(content)
            }
            _ => false,
        });
        lost.map(|(path, _)| path.display().to_string()).collect()
    }

    fn end(&self, front: Front) -> &FileSystem {
        match front {
            Front::Stock => &self.old,
            Front::Shim => &self.new,
        }
    }

    /// Checks that the loader's cache is the one of this end state.
    pub(crate) fn cache(&self, files: &FileSystem, front: Front) -> Result<(), String> {
        let path = Path::new("etc/ld.so.cache");
        match (self.end(front).content(path), files.content(path)) {
            (wanted, there) if wanted == there => Ok(()),
            (_, there) => {
                let there = there.map_or(0, |content| content.bytes().len());
                Err(format!("etc/ld.so.cache has {there} bytes and is not the one of {front:?}"))
            }
        }
    }

    /// The differences from this end state, except for the times of files that `apply` creates.
    pub(crate) fn differences(&self, front: Front, files: &FileSystem) -> Vec<String> {
        let [wanted, there] =
            [self.end(front), files].map(|files| comparable(files.clone(), &self.lib));
        let differences = wanted.differences(&there).into_iter();
        differences.filter(|line| !line.starts_with("var/cache/ldconfig")).collect()
    }
}

/// Whether ldconfig creates this file.
fn is_cache(path: &Path) -> bool {
    is_ldconfigs(path) || path == Path::new("etc/ld.so.cache")
}

/// Removes times that vary between runs: those of links, and of files that `apply` or ldconfig creates.
fn comparable(files: FileSystem, lib: &Path) -> FileSystem {
    let store = lib.join("rocblas-shim");
    files.without_times(|path, node| {
        !matches!(node, Node::File(_)) || path.starts_with(&store) || is_cache(path)
    })
}

/// A command that may be interrupted.
struct Way<'a> {
    machine: &'a Machine,
    expected: &'a Expected,
    /// The initial state.
    start: &'a AmdTree,
    command: &'a str,
    /// What the front name refers to afterwards.
    leads_to: Front,
    /// Whether the front name can be loaded from the beginning.
    loads_at_first: bool,
    /// The command that then produces the new tree.
    forward: &'static str,
    ordering: Ordering,
}

/// The output of `repair --help`, if that command exists.
fn help_of_repair() -> Option<&'static str> {
    static HELP: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let mut command = Command::new(artefacts::installer());
        let ended = run::run(command.args(["repair", "--help"]));
        ended.status.success().then_some(ended.stdout)
    };
    HELP.get_or_init(ask).as_deref()
}

fn repair_takes_a_backend() -> bool {
    help_of_repair().is_some_and(|help| help.contains("--backend") && help.contains("--shim"))
}

/// A command of the installer; `apply` gets the arguments that it needs here.
pub(crate) fn installer(tree: &AmdTree, machine: &Machine, command: &str) -> Command {
    let mut words = vec![command];
    if command == "apply" || (command == "repair" && repair_takes_a_backend()) {
        let shim = artefacts::shim().to_str().expect("UTF-8");
        let backend = machine.backend.to_str().expect("UTF-8");
        words.extend(["--shim", shim, "--backend", backend]);
    }
    tree.installer_command(&words)
}

/// Faults, each with the number of states that have it and an example.
type Faults = BTreeMap<String, (usize, String)>;

/// The text without what distinguishes similar faults: the names of the backend's files, and numbers.
fn shorter(text: &str) -> String {
    let word = |word: &str| {
        let number = word.trim_matches(|c: char| !c.is_alphanumeric());
        let has_digit = number.chars().any(|c| c.is_ascii_digit());
        if word.contains("backends/6.3.0/") {
            "(a file of the backend)".to_owned()
        } else if has_digit && number.chars().all(|c| c.is_ascii_hexdigit() || c == '.') {
            word.replace(number, "N")
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Where trees are created: in memory if possible, because the installer's `syncfs` waits for everything that
/// any program has written to the file system.
fn in_memory() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        if tempfile::tempdir_in(&memory).is_ok() { memory } else { std::env::temp_dir() }
    })
}

fn example(crash: &Crash) -> String {
    let mut text = format!("after {} operations ({})", crash.prefix, crash.kind);
    for missing in crash.missing.iter().take(6) {
        text += &format!("\n      without {missing}");
    }
    if crash.missing.len() > 6 {
        text += &format!("\n      and {} more", crash.missing.len() - 6);
    }
    text
}

impl Way<'_> {
    /// Checks all states, and panics with the faults that it finds.
    fn check(&self) {
        let tree = self.start.duplicate();
        let begun = Instant::now();
        let recording = record(&mut installer(&tree, self.machine, self.command), tree.root());
        let Recording { log, ended } = recording.expect("recorded");
        assert!(ended.status.success(), "{ended:?}");
        let crashes = log.crashes(self.ordering, SEED);
        let enumerated = begun.elapsed();
        let faults = Mutex::new(Faults::new());
        let add = |fault: String, crash: &Crash| {
            let mut faults = faults.lock().expect("no panic");
            let fault = faults.entry(fault).or_insert_with(|| (0, example(crash)));
            fault.0 += 1;
        };
        each(&crashes, |crash| {
            for fault in self.faults_of_files(crash) {
                add(fault, crash);
            }
        });
        let checked = begun.elapsed();
        let limit = if self.ordering == Ordering::Name { SAMPLE / 2 } else { SAMPLE };
        let sample = sample(&crashes, limit);
        each(&sample, |crash| {
            for fault in self.faults_of_commands(crash) {
                add(fault, crash);
            }
        });
        println!(
            "{} ({:?}): {} operations, {} prefixes, {} states in {:.1} s, checked in {:.1} s, \
             commands run in {} of them in {:.1} s",
            self.command,
            self.ordering,
            log.operations.len(),
            log.operations.len() + 1,
            crashes.len(),
            enumerated.as_secs_f64(),
            (checked - enumerated).as_secs_f64(),
            sample.len(),
            (begun.elapsed() - checked).as_secs_f64()
        );
        if std::env::var_os("SHOW_OPERATIONS").is_some() {
            for (number, operation) in log.operations.iter().enumerate() {
                println!("{number:4} {operation}");
            }
        }
        let faults = faults.into_inner().expect("no panic");
        let lines = faults.iter().map(|(fault, (count, example))| {
            format!("  {fault}\n    in {count} states, for example {example}")
        });
        let lines: Vec<String> = lines.collect();
        assert!(faults.is_empty(), "{} may leave:\n{}", self.command, lines.join("\n"));
    }

    fn faults_of_files(&self, crash: &Crash) -> Vec<String> {
        let lost = self.expected.lost(&crash.files);
        let mut faults: Vec<String> = lost.iter().map(|path| format!("{path} is lost")).collect();
        match self.expected.front(&crash.files) {
            Err(fault) if self.loads_at_first || crash.after_end => faults.push(fault),
            Ok(front) if crash.after_end && front != self.leads_to => {
                faults.push(format!("{} has ended, and the front is {front:?}", self.command));
            }
            _ => {}
        }
        if crash.after_end
            && let Err(fault) = self.expected.cache(&crash.files, self.leads_to)
        {
            faults.push(shorter(&format!("{} has ended, and {fault}", self.command)));
        }
        faults
    }

    fn faults_of_commands(&self, crash: &Crash) -> Vec<String> {
        let left = || {
            AmdTree::made_by(in_memory(), |root| crash.files.write(root).expect("write a state"))
        };
        let mut faults = Vec::new();
        let status = run::run(&mut left().installer_command(&["status"]));
        let front = self.expected.front(&crash.files);
        match (status.status.code(), &front) {
            (Some(0), Ok(Front::Shim)) | (Some(3), Ok(Front::Stock)) | (Some(1 | 4), _) => {}
            (Some(code), _) => faults.push(format!("status exits with {code}, front: {front:?}")),
            (None, _) => faults.push(format!("status: {status:?}")),
        }
        for (command, end) in [(self.forward, Front::Shim), ("revert", Front::Stock)] {
            let tree = left();
            let ended = run::run(&mut installer(&tree, self.machine, command));
            if !ended.status.success() {
                let first = ended.stderr.lines().next().unwrap_or_default();
                let text = format!("then {command} fails ({}): {first}", ended.status);
                faults.push(shorter(&text));
                continue;
            }
            let after = FileSystem::read(tree.root()).expect("read");
            let differences = self.expected.differences(end, &after);
            if let Some(first) = differences.first() {
                let count = differences.len();
                let text = format!("then {command} leaves {count} differences: {first}");
                faults.push(shorter(&text));
            }
        }
        faults
    }
}

/// Calls a function for each item, in [`THREADS`] threads.
fn each<T: Sync>(items: &[T], call: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, atomic::Ordering::Relaxed)) {
                    call(item);
                }
            });
        }
    });
}

/// At most this many states, each of a different kind, from all parts of the enumeration.
fn sample(crashes: &[Crash], limit: usize) -> Vec<&Crash> {
    let mut kinds: BTreeMap<&str, Vec<&Crash>> = BTreeMap::new();
    for crash in crashes {
        kinds.entry(&crash.kind).or_default().push(crash);
    }
    let step = kinds.len().div_ceil(limit);
    kinds.values().step_by(step).map(|crashes| crashes[crashes.len() / 2]).collect()
}

/// Runs a test on the two end states of `apply`, unless processes cannot be traced.
fn with_ends(machine: impl FnOnce() -> Machine, test: impl FnOnce(&Machine, &AmdTree, &Expected)) {
    if let Err(why) = interrupt::permitted() {
        skip("power cuts on a model", why);
        return;
    }
    let machine = machine();
    let applied = machine.tree.duplicate();
    run::run(&mut installer(&applied, &machine, "apply")).success();
    let expected = Expected::new(&machine.tree, &applied);
    test(&machine, &applied, &expected);
}

fn check_apply(machine: impl FnOnce() -> Machine, ordering: Ordering) {
    with_ends(machine, |machine, _, expected| {
        let way = Way {
            machine,
            expected,
            start: &machine.tree,
            command: "apply",
            leads_to: Front::Shim,
            loads_at_first: true,
            forward: "apply",
            ordering,
        };
        way.check();
    });
}

fn check_revert(ordering: Ordering) {
    with_ends(Machine::new, |machine, applied, expected| {
        let way = Way {
            machine,
            expected,
            start: applied,
            command: "revert",
            leads_to: Front::Stock,
            loads_at_first: true,
            forward: "apply",
            ordering,
        };
        way.check();
    });
}

fn check_repair(ordering: Ordering) {
    if help_of_repair().is_none() {
        skip("power cuts during repair", "the installer has no such command");
        return;
    }
    with_ends(Machine::new, |machine, applied, expected| {
        let disturbed = applied.duplicate();
        disturb(&disturbed);
        let way = Way {
            machine,
            expected,
            start: &disturbed,
            command: "repair",
            leads_to: Front::Shim,
            loads_at_first: false,
            forward: "repair",
            ordering,
        };
        way.check();
    });
}

/// Removes the front name and a name that the backend needs, and truncates a file in the store.
fn disturb(tree: &AmdTree) {
    let lib = tree.lib();
    for name in ["librocblas.so.5", "libamdhip64.so.6"] {
        fs::remove_file(lib.join(name)).expect("remove");
    }
    let backend = lib.join("rocblas-shim/backends/6.3.0/lib");
    let file = backend.join("rocblas/library/TensileLibrary_lazy_gfx906.dat");
    fs::write(file, "short").expect("write");
}

#[test]
fn apply_survives_a_power_cut() {
    check_apply(Machine::new, Ordering::Directory);
}

#[test]
fn apply_survives_a_power_cut_that_reorders_names_in_a_directory() {
    check_apply(Machine::new, Ordering::Name);
}

#[test]
fn apply_of_a_package_survives_a_power_cut() {
    let packaged = || {
        let mut machine = Machine::new();
        machine.backend = packed(&machine);
        machine
    };
    check_apply(packaged, Ordering::Directory);
}

#[test]
fn revert_survives_a_power_cut() {
    check_revert(Ordering::Directory);
}

#[test]
fn revert_survives_a_power_cut_that_reorders_names_in_a_directory() {
    check_revert(Ordering::Name);
}

#[test]
fn repair_survives_a_power_cut() {
    check_repair(Ordering::Directory);
}

#[test]
fn repair_survives_a_power_cut_that_reorders_names_in_a_directory() {
    check_repair(Ordering::Name);
}
