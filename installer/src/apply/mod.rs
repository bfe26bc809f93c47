//! `apply`: from a request and the state of the tree to a plan, and from the plan to a verified tree.

mod archives;
pub(crate) mod backend;
pub(crate) mod built;
pub(crate) mod checks;
mod compat;
mod facts;
pub(crate) mod gpus;
pub(crate) mod stock;

use crate::{
    elf, execute,
    files::Incoming,
    inspect::{layout::Tree, lm_studio},
    journal::{Before, Compat, Entry, Journal, Options, Original, Phase},
    ldconfig,
    lib_dir::LibDir,
    lock,
    place::Place,
    plan::{Action, Contents, Plan, Planner, Reach, Step},
    present, revert,
    root::Root,
    settings,
    source::Staging,
    state::State,
    status::REINSTALL,
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{libraries::ROCBLAS, store::STORE};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A request to `apply`. A field that is `None` stays as it was at the last apply.
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
    /// What happens to the stock library.
    pub original: Option<Original>,
    /// How libraries of old names are provided.
    pub compat: Option<Compat>,
    /// Whether the stock library's name stays for CMake.
    pub build_link: Option<bool>,
    /// Reduce the backend's library to the kernels of the requested GPUs and of this machine's.
    pub slim: Option<bool>,
    /// Give up GPUs of this machine that the tree serves now and the backend does not.
    pub gpu_loss_ok: bool,
    /// Continue even if the tree's own library already serves all requested GPUs.
    pub not_needed_ok: bool,
    /// Put the backend into the store and change nothing else.
    pub only_add: bool,
    /// Make the plan and stop.
    pub dry_run: bool,
    /// Which foreign files may be replaced.
    pub reach: Reach,
    /// How long to wait for another installer.
    pub patience: Duration,
}

/// The result.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The directory of the libraries.
    #[serde(serialize_with = "crate::output::json::path")]
    pub lib: PathBuf,
    /// What was done, or would be.
    pub steps: Vec<Step>,
    /// Remarks for the user.
    pub remarks: Vec<String>,
    /// Whether the steps were carried out.
    pub carried_out: bool,
    /// How many files the closure check examined.
    pub checked: usize,
    /// After a revert: what is not as it was before the installer changed it, one sentence each.
    pub left: Vec<String>,
    /// Text that a person wrote and that a revert removes, line by line.
    pub gone: Vec<String>,
    /// What was deleted and must be reinstalled before a revert: package or path.
    pub deleted: Vec<String>,
}

impl Report {
    /// Of steps that are not carried out yet.
    #[must_use]
    pub fn of(lib: &Path, steps: Vec<Step>, remarks: Vec<String>) -> Self {
        Self {
            lib: lib.to_owned(),
            steps,
            remarks,
            carried_out: false,
            checked: 0,
            left: Vec::new(),
            gone: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// 0, or 5 if a revert had to leave something.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.left.is_empty() { 0 } else { 5 }
    }
}

pub use checks::writable;

/// Brings a tree to the requested state. `say` reports what is being waited for.
pub fn apply(root: &Root, tree: &Tree, request: &Request, say: &dyn Fn(&str)) -> Result<Report> {
    let path = tree.lib.as_path();
    if let Some(why) = tree.layout.immutable() {
        bail!("{} cannot be changed: {why}", path.display());
    }
    if path.to_str().is_none() {
        bail!(
            "{path:?} cannot be patched: its path is not valid UTF-8, and the journal and the settings \
             are text. Rename the directory"
        );
    }
    if !request.dry_run {
        writable(root, path)?;
    }
    let lib = LibDir::open(root, path)?;
    let _lock = match request.dry_run {
        true => None,
        false => Some(lock::take(&lib, request.patience, say)?),
    };
    let loaded = Journal::load_or_rebuild(&lib)?;
    let complete = loaded.as_ref().is_some_and(|loaded| loaded.complete);
    let is_rebuilt = loaded.as_ref().is_some_and(|loaded| loaded.rebuilt);
    let (before, remarks) = loaded.map_or((None, Vec::new()), |l| (Some(l.journal), l.remarks));
    // A journal that was rebuilt without a backend does not list the requested GPUs.
    let has_backend = |journal: &&Journal| {
        !is_rebuilt || journal.entries.keys().any(|place| place.starts_with(&Place::backends()))
    };
    let asked = gpus::Asked::of(request, before.as_ref().filter(has_backend));
    let options = options(request, &asked, before.as_ref());
    let built = built::find(root, &request.built)?;
    let known_problems = checks::closure(&lib, None, &built);

    let mut staging = Unpacking::new(&lib, request.dry_run);
    let asking = (request, &options, &asked);
    let source = backend::source(&lib, tree, asking, before.as_ref(), &mut staging)?;
    let mut plan = plan(&lib, tree, request, before.as_ref(), options, &asked, &source)?;
    plan.remarks.splice(0..0, remarks.iter().cloned());
    let gpus = &plan.journal.options.gpus;
    plan.remarks.extend(built::without_code(root, &built, gpus));
    let engines = lm_studio::engines(root, tree);
    let refusals = engines.iter().flat_map(|engine| gpus.iter().map(|gpu| engine.refusal(gpu)));
    plan.remarks.extend(refusals.flatten().map(|(why, cure)| format!("{why} To use it, {cure}")));
    let mut report = Report::of(path, plan.steps.clone(), plan.remarks.clone());
    if request.dry_run {
        return Ok(report);
    }
    // A journal that was rebuilt, or read from its copy, must be written again, so that both are equal.
    let settled =
        before.as_ref() == Some(&plan.journal) && plan.journal.phase == Phase::Applied && complete;
    if plan.steps.is_empty() && settled {
        drop(staging);
        // An apply that was killed just before its cleanup left it behind.
        Incoming::discard(&lib).context("cannot clean up the store")?;
        report.checked = checks::after(&lib, &built, &known_problems)?;
        return Ok(report);
    }
    checks::space(&lib, &plan.steps)?;
    let mut incoming = staging.into_incoming()?;
    let carried_out = execute::execute(&lib, plan, &mut incoming).and_then(|journal| {
        if !request.only_add {
            report.checked = checks::after(&lib, &built, &known_problems)?;
        }
        Ok(journal)
    });
    let mut journal = carried_out.or_else(|error| undo(&lib, before.is_none(), error))?;
    execute::settle(&lib, &mut journal, incoming)?;
    report.carried_out = true;
    report.deleted = deleted(&lib, &journal);
    Ok(report)
}

/// What must be reinstalled before a revert.
fn deleted(lib: &LibDir, journal: &Journal) -> Vec<String> {
    let entries = journal.entries.iter();
    let deleted = entries.filter_map(|(place, entry)| match &entry.before {
        Before::Deleted { package: Some(package), .. } => Some(package.clone()),
        Before::Deleted { package: None, .. } => Some(lib.show(place)),
        _ => None,
    });
    let mut deleted: Vec<String> = deleted.collect();
    deleted.dedup();
    deleted
}

/// Changes a tree that has the shim already, with a plan of its own.
pub fn change(
    root: &Root,
    tree: &Tree,
    patience: Duration,
    say: &dyn Fn(&str),
    make: impl FnOnce(&mut Planner<'_>) -> Result<()>,
) -> Result<Report> {
    let path = tree.lib.as_path();
    writable(root, path)?;
    let lib = LibDir::open(root, path)?;
    let _lock = lock::take(&lib, patience, say)?;
    let loaded = crate::backends::journal_of(&lib)?;
    let mut planner = Planner::new(&lib, Reach::Usual, loaded.journal);
    planner.plan.remarks = loaded.remarks;
    make(&mut planner)?;
    let plan = planner.plan;
    let mut report = Report::of(path, plan.steps.clone(), plan.remarks.clone());
    let mut incoming = Incoming::open(&lib)?;
    let mut journal = execute::execute(&lib, plan, &mut incoming)?;
    execute::settle(&lib, &mut journal, incoming)?;
    report.carried_out = true;
    Ok(report)
}

/// After a failure: a tree that had no shim before has none afterwards.
fn undo(lib: &LibDir, first: bool, error: anyhow::Error) -> Result<Journal> {
    if !first {
        return Err(error.context(
            "apply did not finish. Fix the error below and run it again; `installer revert` \
             restores the state before the first apply",
        ));
    }
    let undone = revert::now(lib).map(|outcome| outcome.left);
    Err(match undone {
        Ok(left) if left.is_empty() => {
            error.context("apply did not succeed, and the tree is as it was before")
        }
        Ok(left) => error.context(format!(
            "apply did not succeed, and the tree is as it was before except for: {}",
            left.join("; ")
        )),
        Err(e) => error.context(format!(
            "apply did not finish, and neither did rolling it back ({e:#}). Fix the error \
             below, then run `installer apply` or `installer revert` to complete either"
        )),
    })
}

fn options(request: &Request, asked: &gpus::Asked, before: Option<&Journal>) -> Options {
    let mut options = before.map_or_else(Options::default, |journal| journal.options.clone());
    if !request.only_add {
        options.gpus.clone_from(&asked.placed);
        options.slim = request.slim.unwrap_or(options.slim);
    }
    options.compat = request.compat.unwrap_or(options.compat);
    options.original = request.original.unwrap_or(options.original);
    options.build_link = request.build_link.unwrap_or(options.build_link);
    options
}

/// The plan for a request: first everything that the switch depends on, then the switch, then the removal of
/// what is in its way, with a sync between them.
fn plan(
    lib: &LibDir,
    tree: &Tree,
    request: &Request,
    before: Option<&Journal>,
    options: Options,
    asked: &gpus::Asked,
    source: &backend::Asked,
) -> Result<Plan> {
    let shim = shim_file(lib, request.shim.as_deref())?;
    let mut journal = before.cloned().unwrap_or_else(|| Journal::new(options.clone()));
    journal.installer = env!("CARGO_PKG_VERSION").to_owned();
    journal.shim.clone_from(&shim.version);
    journal.options = options;
    let mut planner = Planner::new(lib, request.reach, journal);

    let now = stock::Present::of(lib, tree)?;
    now.forget_removed(&mut planner)?;
    now.remark_on_patches(&mut planner);
    if before.is_none() && now.is_bare(lib) {
        planner.plan.journal.bare = true;
        planner.remark(format!(
            "there was no rocBLAS of ROCm 7 in {}, and a revert restores that state",
            lib.path().display()
        ));
    }
    let offer = source.offer(lib.root(), lib.path())?;
    let machine = gpus::of_machine(lib.root());
    // A backend chosen with `backends use` need not serve the GPUs that an earlier apply named.
    let is_chosen = source.is_known() && !asked.is_new;
    let required = if is_chosen { &[] } else { asked.required.as_slice() };
    let remarks = gpus::check(&offer, required, &machine)?;
    if let Some(name) = source.new_name() {
        now.check_name(name)?;
    }
    let stock_files = now.stock_files(lib, &planner.plan.journal);
    if stock_files.is_empty() && before.is_some_and(|journal| !has_way_back(journal)) {
        planner.remark(format!(
            "the stock library is neither in {} nor in the store, so a revert will be refused. \
             {REINSTALL}, then run `installer repair`",
            lib.path().display()
        ));
    }
    let mut routed = gpus::Routed::default();
    if !request.only_add {
        routed = plan_gpus(&mut planner, &stock_files, request, asked, &machine, &offer)?;
    }
    for gpus::Remark { gpu, text } in remarks {
        if gpu.is_none_or(|gpu| !routed.gpus.contains(&gpu)) {
            planner.remark(text);
        }
    }
    backend::plan(&mut planner, source, &offer)?;
    if request.only_add {
        return Ok(planner.plan);
    }
    // Also for files that need no change: permissions that were removed are restored.
    let placed: Vec<Place> = (planner.plan.journal.entries.iter())
        .filter(|(place, entry)| place.is_in_store() && entry.after != State::Absent)
        .map(|(place, _)| place.clone())
        .collect();
    for place in &placed {
        if let Some(directory) = place.parent() {
            planner.directory(&directory, "for the files placed in it")?;
        }
        if matches!(source, backend::Asked::InStore(_)) {
            planner.permit(place)?;
        }
    }
    let release = tree.release.as_deref();
    let chosen = backend::choose(&mut planner, source, release, routed.is_new)?;
    compat::plan(&mut planner, &chosen)?;
    checks::exports(&mut planner, &stock_files, &shim)?;
    stock::plan_shim(&mut planner, &now, &shim)?;
    stock::plan_switch(&mut planner, &now, &shim, &chosen.name, request.original)?;
    let changes = planner.plan.steps.iter().any(|step| !matches!(step.action, Action::Sync));
    let interrupted = before.is_some_and(|journal| journal.phase == Phase::Changing);
    if (changes || interrupted) && ldconfig::concerns(lib) {
        ldconfig::check(lib)?;
        planner.step(Action::Ldconfig, "the loader's cache must name the shim");
    }
    planner.barrier("the changes are on disk before they are reported as done");
    Ok(planner.plan)
}

/// Whether a journal records what was there before the shim.
fn has_way_back(journal: &Journal) -> bool {
    let has_original = |entry: &Entry| entry.before.state() != &State::Absent;
    journal.bare || journal.entries.values().any(has_original)
}

/// What GPUs get by the plan, and what they lose. This runs before anything else is planned, so that a
/// journal without entries is one of a first apply. Returns the GPUs of this machine that keep their present
/// rocBLAS by a route.
fn plan_gpus(
    planner: &mut Planner<'_>,
    stock_files: &[PathBuf],
    request: &Request,
    asked: &gpus::Asked,
    machine: &BTreeSet<String>,
    offer: &backend::Offer,
) -> Result<gpus::Routed> {
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    let mut now = BTreeSet::new();
    let is_kept = !stock_files.is_empty() && request.original != Some(Original::Delete);
    let elsewhere = stock::behind_a_link(root, lib);
    let stock_files = if stock_files.is_empty() { elsewhere.as_slice() } else { stock_files };
    if let Some(stock) = gpus::Stock::of(root, stock_files)? {
        let is_first = planner.plan.journal.entries.is_empty();
        let wanted = match asked.required.as_slice() {
            [] => machine.clone(),
            required => required.iter().cloned().collect(),
        };
        if is_first {
            gpus::needed(&stock, &wanted, request)?;
        }
        planner.plan.journal.served = stock.gpus;
    }
    if let Ok(Some(name)) = settings::text(root, lib).and_then(|text| settings::backend(&text)) {
        now = gpus::served_now(root, lib, &name);
    }
    let kept = if is_kept { planner.plan.journal.served.clone() } else { BTreeSet::new() };
    gpus::weigh(planner, offer, &gpus::Before { served: now, kept }, machine, request)
}

/// The shim to install.
struct Shim {
    /// Its path, for messages.
    path: PathBuf,
    source: Contents,
    version: String,
}

/// The shim that was named, or the one next to this program, or the installed one.
fn shim_file(lib: &LibDir, given: Option<&Path>) -> Result<Shim> {
    let machine = Root::machine().context("cannot open the machine's root")?;
    let on_machine = |path: PathBuf| {
        let absolute = std::path::absolute(&path).unwrap_or(path);
        (machine.clone(), absolute)
    };
    let mut candidates: Vec<(Root, PathBuf)> = match given {
        Some(path) => vec![on_machine(path.to_owned())],
        None => beside_this_program()?.into_iter().map(on_machine).collect(),
    };
    if given.is_none() {
        let names = [present::SHIM_NAME, present::SONAME, ROCBLAS];
        candidates.extend(names.iter().map(|name| (lib.root().clone(), lib.path().join(name))));
    }
    for (root, path) in &candidates {
        let file = match root.open(path) {
            Err(_) if given.is_none() => continue,
            other => other.with_context(|| format!("cannot read the shim {}", path.display()))?,
        };
        let summary = elf::summary(&file).with_context(|| path.display().to_string());
        match summary.map(|summary| summary.shim) {
            Ok(Some(version)) => {
                let source = Contents::In(root.clone(), path.clone());
                return Ok(Shim { path: path.clone(), source, version });
            }
            Ok(None) if given.is_some() => bail!(
                "{} is not the shim: it lacks the shim's ELF note. --shim takes the \
                 librocblas.so that `cargo build --release --package rocblas-shim` builds",
                path.display()
            ),
            Err(e) if given.is_some() => return Err(e),
            _ => {}
        }
    }
    let places = candidates.iter().map(|(_, path)| path.display().to_string());
    bail!(
        "cannot find the shim; looked for {}. Name it with --shim FILE",
        places.collect::<Vec<_>>().join(", ")
    )
}

/// Where the shim next to this program would be, whether it exists or not.
pub(crate) fn beside_this_program() -> Result<Vec<PathBuf>> {
    let program = std::env::current_exe().context("cannot determine this program's path")?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    let places =
        [directory.to_owned(), directory.join("../lib"), directory.join("../lib").join(STORE)];
    Ok(places
        .iter()
        .flat_map(|place| [present::SONAME, ROCBLAS].map(|name| place.join(name)))
        .collect())
}

/// Where packages are unpacked: nowhere until one is needed; in the store if the plan will be carried out, so
/// that nothing has to be copied again.
enum Unpacking<'a> {
    /// For a plan that is only shown: only the library is unpacked, for inspection.
    Listing { place: Option<tempfile::TempDir> },
    /// In the store.
    Store { lib: &'a LibDir, incoming: Option<Incoming> },
}

impl<'a> Unpacking<'a> {
    fn new(lib: &'a LibDir, dry_run: bool) -> Self {
        if dry_run { Self::Listing { place: None } } else { Self::Store { lib, incoming: None } }
    }

    /// A directory, which is empty the first time.
    fn staging(&mut self) -> io::Result<Staging> {
        match self {
            Self::Listing { place } => {
                let new = match place.take() {
                    Some(place) => place,
                    None => tempfile::tempdir()?,
                };
                Staging::listing(place.insert(new).path())
            }
            Self::Store { lib, incoming } => {
                let new = match incoming.take() {
                    Some(incoming) => incoming,
                    None => Incoming::open(lib).map_err(io::Error::other)?,
                };
                Ok(Staging::new(incoming.insert(new).staging()?))
            }
        }
    }

    fn into_incoming(mut self) -> Result<Incoming> {
        match &mut self {
            Self::Store { lib, incoming } => match incoming.take() {
                Some(incoming) => Ok(incoming),
                None => Incoming::open(lib),
            },
            Self::Listing { .. } => bail!("a plan that is only shown cannot be carried out"),
        }
    }
}

/// Removes what was unpacked and not used, and the store if it was created for this.
impl Drop for Unpacking<'_> {
    fn drop(&mut self) {
        if let Self::Store { lib, incoming } = self
            && let Some(incoming) = incoming.take()
        {
            // The error that led here matters more than a failed cleanup, and the next apply or revert
            // empties the directory first.
            let _ = incoming.close();
            let _ = lib.directory().remove_directory(Place::store().name());
        }
    }
}
