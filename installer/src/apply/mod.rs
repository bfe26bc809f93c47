//! `apply`: from what is asked for and what is there to a plan, and from the plan to a tree that was
//! checked.

pub(crate) mod backend;
pub(crate) mod built;
pub(crate) mod checks;
mod compat;
mod stock;

use crate::{
    elf, execute,
    files::{self, Incoming},
    inspect::layout::Tree,
    journal::{Compat, Journal, Options, Original, Phase, STORE},
    ldconfig, lock,
    plan::{Action, Plan, Planner, Step},
    present::{self, What},
    revert,
    root::{Root, open_regular},
    state::State,
};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a person asks of `apply`. What is `None` stays as it was at the last apply.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A library, directory or package of the machine.
    pub backend: Option<PathBuf>,
    /// The backend's name in the store.
    pub name: Option<String>,
    /// The shim's file on the machine.
    pub shim: Option<PathBuf>,
    /// GPU targets that must be covered; only their Tensile files are placed.
    pub gpus: Option<Vec<String>>,
    /// Programs that were built for this tree, or directories of them, inside the root.
    pub built: Vec<PathBuf>,
    /// What becomes of the stock library.
    pub original: Option<Original>,
    /// How libraries of old names are provided.
    pub compat: Option<Compat>,
    /// Whether the stock library's name stays for CMake.
    pub build_link: Option<bool>,
    /// Put the backend into the store and change nothing else.
    pub only_add: bool,
    /// Make the plan and stop.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The directory of the libraries.
    pub lib: PathBuf,
    /// What was done, or would be.
    pub steps: Vec<Step>,
    /// What a person should know.
    pub remarks: Vec<String>,
    /// Whether the steps were carried out.
    pub carried_out: bool,
    /// How many files the closure check went through.
    pub checked: usize,
}

impl Report {
    /// Of steps that are not carried out yet.
    #[must_use]
    pub fn of(lib: &Path, steps: Vec<Step>, remarks: Vec<String>) -> Self {
        Self { lib: lib.to_owned(), steps, remarks, carried_out: false, checked: 0 }
    }
}

pub use checks::writable;

/// Brings a tree to what is asked for. `say` tells a person what is being waited for.
pub fn apply(root: &Root, tree: &Tree, request: &Request, say: &dyn Fn(&str)) -> Result<Report> {
    let lib = tree.lib.as_path();
    let _lock = if request.dry_run {
        None
    } else {
        writable(root, lib)?;
        Some(lock::take(root, lib, say)?)
    };
    let before = Journal::load(root, lib)?;
    let options = options(request, before.as_ref());
    let built = built::find(root, &request.built)?;
    let known_problems = checks::closure(root, lib, None, &built);

    let mut staging = Staging::new(root, lib, request.dry_run);
    let source = backend::source(root, tree, request, before.as_ref(), &options, &mut staging)?;
    let plan = plan(root, tree, request, before.as_ref(), options, source.as_ref())?;
    let mut report = Report::of(lib, plan.steps.clone(), plan.remarks.clone());
    if request.dry_run {
        return Ok(report);
    }
    let settled = before.as_ref() == Some(&plan.journal) && plan.journal.phase == Phase::Applied;
    if plan.steps.is_empty() && settled {
        drop(staging);
        // An apply that was killed when all but tidying up was done left it behind.
        files::remove_tree(&root.on_machine(&lib.join(STORE).join("incoming")))?;
        report.checked = checks::after(root, lib, &built, &known_problems)?;
        return Ok(report);
    }
    checks::space(root, lib, &plan.steps)?;
    let mut incoming = staging.into_incoming()?;
    let carried_out = execute::execute(root, lib, plan, &mut incoming).and_then(|journal| {
        report.checked = checks::after(root, lib, &built, &known_problems)?;
        Ok(journal)
    });
    let mut journal = carried_out.or_else(|error| undo(root, lib, before.is_none(), error))?;
    execute::settle(root, lib, &mut journal, incoming)?;
    report.carried_out = true;
    Ok(report)
}

/// Changes a tree that has the shim already, by a plan of its own.
pub fn change(
    root: &Root,
    tree: &Tree,
    say: &dyn Fn(&str),
    make: impl FnOnce(&mut Planner<'_>) -> Result<()>,
) -> Result<Report> {
    let lib = tree.lib.as_path();
    writable(root, lib)?;
    let _lock = lock::take(root, lib, say)?;
    let journal = crate::backends::journal_of(root, tree)?;
    let plan = Plan { steps: Vec::new(), journal, remarks: Vec::new() };
    let mut planner = Planner { root, lib, may_adopt, plan };
    make(&mut planner)?;
    let plan = planner.plan;
    let (steps, remarks) = (plan.steps.clone(), plan.remarks.clone());
    let mut incoming = Incoming::open(root, lib)?;
    let mut journal = execute::execute(root, lib, plan, &mut incoming)?;
    execute::settle(root, lib, &mut journal, incoming)?;
    Ok(Report { lib: lib.to_owned(), steps, remarks, carried_out: true, checked: 0 })
}

/// After a failure: a tree that had no shim before has none again.
fn undo(root: &Root, lib: &Path, first: bool, error: anyhow::Error) -> Result<Journal> {
    if !first {
        return Err(error.context(
            "apply did not finish. Cure what is said below and run it again; `installer revert` \
             goes back to before the first apply",
        ));
    }
    let undone = Journal::load(root, lib).and_then(|journal| match journal {
        None => revert::remove_store(root, lib, &mut Vec::new()),
        Some(journal) => {
            let plan = revert::plan(root, lib, journal)?;
            revert::execute(root, lib, plan).map(drop)
        }
    });
    Err(match undone {
        Ok(()) => error.context("apply did not succeed, and the tree is as it was before"),
        Err(e) => error.context(format!(
            "apply did not finish, and taking it back did not either ({e:#}). Cure what is said \
             below, then `installer apply` or `installer revert` completes one or the other"
        )),
    })
}

fn options(request: &Request, before: Option<&Journal>) -> Options {
    let mut options = before.map_or_else(
        || Options {
            gpus: Vec::new(),
            compat: Compat::Links,
            original: Original::Keep,
            build_link: true,
        },
        |journal| journal.options.clone(),
    );
    if let Some(gpus) = &request.gpus {
        options.gpus.clone_from(gpus);
    }
    options.compat = request.compat.unwrap_or(options.compat);
    options.original = request.original.unwrap_or(options.original);
    options.build_link = request.build_link.unwrap_or(options.build_link);
    options
}

/// The plan for what is asked for.
fn plan(
    root: &Root,
    tree: &Tree,
    request: &Request,
    before: Option<&Journal>,
    options: Options,
    source: Option<&backend::Placed>,
) -> Result<Plan> {
    let lib = tree.lib.as_path();
    let shim = shim_file(root, lib, request.shim.as_deref())?;
    let mut journal = before.cloned().unwrap_or_else(|| Journal::new(options.clone()));
    journal.installer = env!("CARGO_PKG_VERSION").to_owned();
    journal.shim.clone_from(&shim.version);
    journal.options = options;
    let plan = Plan { steps: Vec::new(), journal, remarks: Vec::new() };
    let mut planner = Planner { root, lib, may_adopt, plan };

    let now = stock::Present::of(root, tree)?;
    now.forget_removed(&mut planner)?;
    now.remark_on_patches(&mut planner);
    if let Some(source) = source {
        backend::plan(&mut planner, source)?;
    }
    if request.only_add {
        return Ok(planner.plan);
    }
    stock::plan_keeping(&mut planner, &now)?;
    let chosen = backend::choose(&mut planner, source)?;
    compat::plan(&mut planner, &chosen)?;
    if !planner.plan.steps.is_empty() {
        planner.step(Action::Sync, "all is on disk before the switch");
    }
    stock::plan_shim(&mut planner, &now, &shim.path)?;
    stock::plan_switch(&mut planner, &now)?;
    let changes = planner.plan.steps.iter().any(|step| !matches!(step.action, Action::Sync));
    let interrupted = before.is_some_and(|journal| journal.phase == Phase::Changing);
    if (changes || interrupted) && ldconfig::concerns(root, lib) {
        planner.step(Action::Ldconfig, "the loader's cache is to name the shim");
    }
    Ok(planner.plan)
}

/// Whether what somebody put at a path since is one of the things that upgrades, ldconfig and people
/// put there: another rocBLAS, a link to one, or settings. Anything else is not ours to replace.
fn may_adopt(root: &Root, path: &Path, now: &State) -> bool {
    match now {
        State::Absent => true,
        State::Link { target } => target
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("librocblas.so")),
        State::File(_) => {
            matches!(present::what(root, path), Ok(What::Rocblas(_) | What::Shim(_)))
        }
        State::Directory | State::Other => false,
    }
}

/// The shim to place.
struct Shim {
    path: PathBuf,
    version: String,
}

/// The shim that was named, or the one that came with this program, or the one that is placed.
fn shim_file(root: &Root, lib: &Path, given: Option<&Path>) -> Result<Shim> {
    let mut candidates = match given {
        Some(path) => vec![path.to_owned()],
        None => beside_this_program()?,
    };
    if given.is_none() {
        let names = [present::SHIM_NAME, present::SONAME, "librocblas.so"];
        candidates.extend(names.iter().filter_map(|name| root.find(&lib.join(name)).ok()));
    }
    for path in &candidates {
        let file = match open_regular(path) {
            Err(_) if given.is_none() => continue,
            other => other.with_context(|| format!("cannot read the shim {}", path.display()))?,
        };
        let summary = elf::summary(&file).with_context(|| path.display().to_string());
        match summary.map(|summary| summary.shim) {
            Ok(Some(version)) => return Ok(Shim { path: path.clone(), version }),
            Ok(None) if given.is_some() => bail!(
                "{} is no shim: it lacks the ELF note by which one is known. --shim takes the \
                 librocblas.so that `cargo build --release --package rocblas-shim` makes",
                path.display()
            ),
            Err(e) if given.is_some() => return Err(e),
            _ => {}
        }
    }
    bail!(
        "cannot find the shim; looked for {}. Name it with --shim FILE",
        candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )
}

fn beside_this_program() -> Result<Vec<PathBuf>> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    let places =
        [directory.to_owned(), directory.join("../lib"), directory.join("../lib/rocblas-shim")];
    Ok(places
        .iter()
        .flat_map(|place| [present::SONAME, "librocblas.so"].map(|name| place.join(name)))
        .collect())
}

/// Where packages are unpacked to: nowhere until one is; on the tree's own file system if the plan
/// is to be carried out, so that nothing has to be copied again.
enum Staging<'a> {
    /// For a plan only.
    Temporary(Option<tempfile::TempDir>),
    /// In the store.
    Store { root: &'a Root, lib: &'a Path, incoming: Option<Incoming> },
}

impl<'a> Staging<'a> {
    fn new(root: &'a Root, lib: &'a Path, dry_run: bool) -> Self {
        if dry_run { Self::Temporary(None) } else { Self::Store { root, lib, incoming: None } }
    }

    /// An empty directory.
    fn directory(&mut self) -> Result<PathBuf> {
        match self {
            Self::Temporary(place) => {
                let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
                Ok(place.insert(directory).path().to_owned())
            }
            Self::Store { root, lib, incoming } => {
                let incoming = incoming.insert(Incoming::open(root, lib)?);
                incoming.sub_directory("unpacked").context("cannot make a directory in the store")
            }
        }
    }

    fn into_incoming(mut self) -> Result<Incoming> {
        match &mut self {
            Self::Store { root, lib, incoming } => match incoming.take() {
                Some(incoming) => Ok(incoming),
                None => Incoming::open(root, lib),
            },
            Self::Temporary(_) => bail!("a plan for show is not carried out"),
        }
    }
}

/// What was unpacked and is not used goes, and the store with it if it was made for this.
impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if let Self::Store { root, lib, incoming } = self
            && let Some(incoming) = incoming.take()
        {
            // The error that led here matters more than one of tidying up, and the next apply or
            // revert empties the directory first thing.
            let _ = incoming.close();
            let _ = files::remove_directory(&root.on_machine(&lib.join(STORE)));
        }
    }
}
