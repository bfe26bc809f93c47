//! The backend: which one is requested, its files in the store, and which one the shim uses.

use super::{Request, Unpacking, checks, facts, gpus, stock};
use crate::{
    elf, files,
    inspect::{layout::Tree, library},
    journal::{Journal, Options, Origin, Phase, Slim},
    lib_dir::LibDir,
    place::{Place, STORE},
    plan::{Contents, Planner, Reach, Wanted},
    present::{self, What},
    root::Root,
    serves::Serves,
    settings, slim,
    source::{self, Content, Source},
    state::{FileState, State},
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{
    libraries::BACKEND_SONAME,
    route::AUTO,
    store::{BACKENDS, LIB},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The requested backend.
pub(super) enum Asked {
    /// One that the settings name, or that is unchanged in the store.
    InStore(String),
    /// One whose files must be placed.
    Source(Box<Placed>),
}

impl Asked {
    /// The name of a backend that will be placed.
    pub(super) fn new_name(&self) -> Option<&str> {
        if let Self::Source(placed) = self { Some(&placed.name) } else { None }
    }

    /// Whether it was in the store before.
    pub(super) fn is_known(&self) -> bool {
        match self {
            Self::InStore(_) => true,
            Self::Source(placed) => placed.is_again,
        }
    }

    /// What it serves.
    pub(super) fn offer(&self, root: &Root, lib: &Path) -> Result<Offer> {
        match self {
            Self::Source(placed) => {
                let source = &placed.source;
                let serves = Serves::of_source(source)?;
                let is_slim = !library::slim_gpus(&source.open_library()?).is_empty();
                let (shown, soname) = (source.origin.clone(), source.soname.clone());
                Ok(Offer { shown, soname, serves, is_slim })
            }
            Self::InStore(name) => {
                let library = library_of(root, lib, name)?;
                let read = || format!("cannot read {}", library.display());
                let file = root.open(&library).with_context(read)?;
                let soname = elf::summary(&file).with_context(read)?.soname.unwrap_or_default();
                let is_slim = !library::slim_gpus(&file).is_empty();
                let serves = Serves::of_library(root, &library)?;
                Ok(Offer { shown: format!("backend {name}"), soname, serves, is_slim })
            }
        }
    }
}

/// A source and its backend's name in the store.
pub(super) struct Placed {
    name: String,
    source: Source,
    origin: Origin,
    /// Whether it was in the store already.
    is_again: bool,
}

/// A backend with what it serves, before it is placed or in its place.
pub(super) struct Offer {
    /// Its name, for messages.
    pub(super) shown: String,
    pub(super) soname: String,
    pub(super) serves: Serves,
    /// Whether the whole library may have code for more GPUs.
    pub(super) is_slim: bool,
}

/// The backend that the shim will use.
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) summary: elf::Summary,
}

/// Where a source is, and the name it will have.
struct Named {
    root: Root,
    path: PathBuf,
    in_root: bool,
    name: Option<String>,
    /// How it was placed before, if this places it again.
    before: Option<Origin>,
}

/// Points to `fetch`: nothing is downloaded here.
fn refuse_url(path: &Path) -> Result<()> {
    let text = path.as_os_str().as_encoded_bytes();
    let is = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    if is("http://") || is("https://") {
        bail!(
            "--backend {} is a URL, but a backend is a local file. Download the package with `installer fetch 6.3` \
             (add `--source URL` for a mirror), then pass the downloaded file",
            path.display()
        );
    }
    Ok(())
}

/// The request, with the source read and checked.
pub(super) fn source(
    lib: &LibDir,
    tree: &Tree,
    (request, options, asked): (&Request, &Options, &gpus::Asked),
    before: Option<&Journal>,
    unpacking: &mut Unpacking<'_>,
) -> Result<Asked> {
    let store = Store { lib, journal: before, reach: request.reach };
    let named = match &request.backend {
        Some(path) => {
            refuse_url(path)?;
            let root = Root::machine().context("cannot open the machine's root")?;
            let path = std::path::absolute(path)
                .with_context(|| format!("cannot resolve {}", path.display()))?;
            Named { root, path, in_root: false, name: request.name.clone(), before: None }
        }
        None => match store.present(request.name.as_deref())? {
            Present::Usable { name, origin: Some(origin) } => {
                match is_other(&name, &origin, asked, request.slim) {
                    Some(why) => store.again(name, &why, origin)?,
                    None => return Ok(Asked::InStore(name)),
                }
            }
            Present::Usable { name, origin: None } => {
                check_form(lib, &name, request.slim)?;
                return Ok(Asked::InStore(name));
            }
            Present::Damaged { name, what, origin: Some(origin) } => {
                let why = format!("{what} of backend {name} has changed since it was placed");
                store.again(name, &why, origin)?
            }
            Present::Damaged { name, what, origin: None } => bail!(
                "{what} of backend {name} has changed since it was placed, and its source is not \
                 known. Pass ROCm 6.3's rocBLAS to `installer apply --backend`, or select another with `installer \
                 backends use`"
            ),
            Present::None => Named {
                root: lib.root().clone(),
                path: found(lib.root(), tree)?,
                in_root: true,
                name: request.name.clone(),
                before: None,
            },
        },
    };
    let shown = named.path.display().to_string();
    let cannot = || format!("cannot read the backend {shown}");
    let resolved = named.root.resolve(&named.path).with_context(cannot)?;
    let state = named.root.state(&resolved).with_context(cannot)?;
    let earlier = match &named.before {
        Some(origin) => Some(origin.clone()),
        None if request.only_add => None,
        None => store.in_use(request.name.as_deref())?,
    };
    let kept = kept_kernels(lib.root(), &named, earlier, (request, options), asked)?;
    // A repair that does not mention GPUs keeps the earlier ones.
    let placed = match &named.before {
        Some(origin) if !asked.is_new => origin.gpus.clone(),
        _ => asked.placed.clone(),
    };
    let mut origin = Origin {
        // A name that is not UTF-8 cannot be in JSON; such a backend is then not placed again automatically.
        path: named.path.to_string_lossy().into_owned().into(),
        in_root: named.in_root,
        state,
        gpus: placed.clone(),
        slim: None,
    };
    let is_package = source::is_package(&named.root, &named.path).with_context(cannot)?;
    if is_package
        && let Some(known) = store.placed_from(&origin, kept.as_deref())
        && named.name.as_ref().is_none_or(|name| name == known)
        && store.damage(known)?.is_none()
    {
        return Ok(Asked::InStore(known.clone()));
    }
    let gpus = (!placed.is_empty()).then_some(placed.as_slice());
    let source = source::open(&named.root, &named.path, || unpacking.staging(), gpus)?;
    if !request.only_add {
        refuse_the_same_major(&source, &asked.required)?;
    }
    let name = match &named.name {
        Some(name) => name.clone(),
        None => source.version.clone().unwrap_or_else(|| source.soname.clone()),
    };
    check_name(&name)?;
    checks::backend(lib.root(), lib.path(), &source)?;
    let source = match kept {
        None => source,
        Some(gpus) => {
            let (source, slim) = slim::backend(source, &gpus, || unpacking.staging())?;
            origin.slim = Some(slim);
            source
        }
    };
    let is_again = named.before.is_some();
    Ok(Asked::Source(Box::new(Placed { name, source, origin, is_again })))
}

/// Fails if a backend cannot be placed again in the requested form.
fn check_form(lib: &LibDir, name: &str, slim: Option<bool>) -> Result<()> {
    let library = library_of(lib.root(), lib.path(), name)?;
    let is_slim = !library::slim_gpus(&lib.root().open(&library)?).is_empty();
    match slim {
        Some(slim) if slim != is_slim => bail!(
            "backend {name} is {}, and its source is not known: pass `installer apply \
             --backend` that file",
            if is_slim { "slim" } else { "whole" }
        ),
        _ => Ok(()),
    }
}

/// Why a backend in the store is not the requested one, as a clause.
fn is_other(
    name: &str,
    origin: &Origin,
    asked: &gpus::Asked,
    slim: Option<bool>,
) -> Option<String> {
    if !asked.are_placed_by(&origin.gpus) {
        let gpus = match asked.placed.as_slice() {
            [] => "all GPUs".to_owned(),
            gpus => gpus.join(", "),
        };
        return Some(format!(
            "backend {name} was placed with the Tensile files of {} only, and those of {gpus} are \
             requested",
            origin.gpus.join(", ")
        ));
    }
    let now = |slim: &Slim| format!("backend {name} is slim, for {}", slim.gpus.join(", "));
    match (slim, &origin.slim) {
        (Some(true), None) => Some(format!("backend {name} has the kernels of all its GPUs")),
        (Some(false), Some(slim)) => {
            Some(format!("{}, and the whole library is requested", now(slim)))
        }
        (_, Some(slim)) => {
            let lacking = asked.lacking(&slim.settled());
            let asked_for = || format!("{}, and {} is requested", now(slim), lacking.join(", "));
            (!lacking.is_empty()).then(asked_for)
        }
        (_, None) => None,
    }
}

/// The GPUs to whose kernels a backend is reduced: those requested, this machine's, and those that the
/// earlier backend was reduced to. `None`: it is placed unchanged.
fn kept_kernels(
    root: &Root,
    named: &Named,
    earlier: Option<Origin>,
    (request, options): (&Request, &Options),
    asked: &gpus::Asked,
) -> Result<Option<Vec<String>>> {
    let usual = match &named.before {
        Some(origin) => origin.slim.is_some(),
        None => options.slim && !request.only_add,
    };
    if !request.slim.unwrap_or(usual) {
        return Ok(None);
    }
    let before = earlier.and_then(|origin| origin.slim).map(|slim| slim.settled());
    let mut gpus: BTreeSet<String> = before.into_iter().flatten().collect();
    let is_repair = named.before.is_some() && request.slim.is_none() && !asked.is_new;
    if gpus.is_empty() || !is_repair {
        gpus.extend(asked.required.iter().cloned());
        gpus.extend(gpus::of_machine(root));
    }
    if gpus.is_empty() {
        bail!(
            "--slim leaves out the kernels of all GPUs that are not needed, but the needed GPUs are not \
             known: name them with --gpu, or place the whole library with --slim=no"
        );
    }
    Ok(Some(gpus.into_iter().collect()))
}

/// A rocBLAS of ROCm 7 has no kernels for the GPUs that the shim is for, so it must be requested together
/// with a GPU that it serves.
fn refuse_the_same_major(source: &Source, required: &[String]) -> Result<()> {
    if stock::is_newer_than_backends(&source.soname) && required.is_empty() {
        bail!(
            "{} is ROCm 7's rocBLAS ({}), which is what the shim stands in for; 6.3's is needed: \
             rocblas_4.3.0.60300-*_amd64.deb. To add this one to the store, use `installer backends \
             add`; to use it anyway, name the GPU that it serves with --gpu",
            source.origin,
            source.soname
        );
    }
    Ok(())
}

/// A backend's name is a directory name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
    if name == AUTO {
        bail!(
            "{AUTO:?} in a route leaves the choice to the shim: give this backend another name with --name"
        );
    }
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_usual) {
        bail!("{name:?} is not a valid backend name: use letters, digits, dots and hyphens");
    }
    Ok(())
}

/// The backends that were placed before.
struct Store<'a> {
    lib: &'a LibDir,
    journal: Option<&'a Journal>,
    reach: Reach,
}

/// What is known from the store.
enum Present {
    None,
    /// With its source, if the journal records it.
    Usable {
        name: String,
        origin: Option<Origin>,
    },
    Damaged {
        name: String,
        what: String,
        origin: Option<Origin>,
    },
}

impl Store<'_> {
    /// The backend that the settings name, or that was requested by name, or the only one.
    fn present(&self, asked: Option<&str>) -> Result<Present> {
        let Some(journal) = self.journal else { return Ok(Present::None) };
        let text = settings::text(self.lib.root(), self.lib.path())?;
        let named = asked.map(str::to_owned).or(settings::backend(&text)?);
        let name = match (named, &journal.origins.keys().collect::<Vec<_>>()[..]) {
            (Some(name), _) => name,
            // The settings were removed.
            (None, [only]) => (*only).clone(),
            (None, _) => return Ok(Present::None),
        };
        // A path that somebody wrote into the settings is theirs to maintain.
        if name.contains('/') {
            return Ok(Present::Usable { name, origin: None });
        }
        match self.damage(&name)? {
            None => {
                let origin = journal.origins.get(&name).cloned();
                Ok(Present::Usable { name, origin })
            }
            Some(what) => {
                let origin = journal.origins.get(&name).cloned();
                let is_there = origin.is_some() || !self.files(&name).is_empty();
                if !is_there && asked.is_none() && !journal.origins.is_empty() {
                    let others: Vec<&str> = journal.origins.keys().map(String::as_str).collect();
                    bail!(
                        "{} names the backend {name:?}, which is not in the store. Choose one that is \
                         with `installer backends use`: {}",
                        self.lib.show(&settings::place()),
                        others.join(", ")
                    );
                }
                Ok(if is_there { Present::Damaged { name, what, origin } } else { Present::None })
            }
        }
    }

    /// The source of the backend that has this name, or that is in use.
    fn in_use(&self, asked: Option<&str>) -> Result<Option<Origin>> {
        let Some(journal) = self.journal else { return Ok(None) };
        let text = settings::text(self.lib.root(), self.lib.path())?;
        let name = asked.map(str::to_owned).or(settings::backend(&text)?);
        Ok(name.and_then(|name| journal.origins.get(&name).cloned()))
    }

    /// The source that a backend came from, to place it again. If the source is missing, the error begins
    /// with `why`, a clause.
    fn again(&self, name: String, why: &str, origin: Origin) -> Result<Named> {
        let root = match origin.in_root {
            true => self.lib.root().clone(),
            false => Root::machine().context("cannot open the machine's root")?,
        };
        if root.metadata(&origin.path).is_err() {
            bail!(
                "{why}, and {}, from which backend {name} was placed, no longer exists. Pass that file, or \
                 ROCm 6.3's rocBLAS from elsewhere, to `installer apply --backend`",
                origin.path.display()
            );
        }
        let (path, in_root) = (origin.path.clone(), origin.in_root);
        Ok(Named { root, path, in_root, name: Some(name), before: Some(origin) })
    }

    /// The backend that was placed from this very source with the kernels of at least these GPUs (of all if
    /// `None`) and without some others.
    fn placed_from(&self, origin: &Origin, kept: Option<&[String]>) -> Option<&String> {
        let origins = &self.journal?.origins;
        let same = |known: &&Origin| {
            known.path == origin.path
                && known.in_root == origin.in_root
                && known.gpus == origin.gpus
                && known.state.same(&origin.state)
                && match (&known.slim, kept) {
                    (None, None) => true,
                    (Some(slim), Some(kept)) => kept.iter().all(|gpu| slim.settled().contains(gpu)),
                    _ => false,
                }
        };
        origins.iter().find(|(_, known)| same(known)).map(|(name, _)| name)
    }

    fn files(&self, name: &str) -> Vec<(&Place, &State)> {
        let Ok(prefix) = backend_place(name) else { return Vec::new() };
        let entries = self.journal.iter().flat_map(|journal| &journal.entries);
        entries
            .filter(|(place, entry)| place.starts_with(&prefix) && entry.after != State::Absent)
            .map(|(place, entry)| (place, &entry.after))
            .collect()
    }

    /// Whether the last run was interrupted.
    fn is_unsure(&self) -> bool {
        self.journal.is_some_and(|journal| journal.phase == Phase::Changing)
    }

    /// A file of a backend that has changed since it was placed; a repair reads them all.
    fn damage(&self, name: &str) -> Result<Option<String>> {
        for (place, after) in self.files(name) {
            let shown = || format!("cannot stat {}", self.lib.show(place));
            let now = self.lib.state(place).with_context(shown)?;
            let has_other_bytes = || -> Result<bool> {
                let State::File(FileState { digest, .. }) = after else { return Ok(false) };
                match digest {
                    // The interrupted run did not verify it: see `Planner`.
                    None => Ok(self.is_unsure()),
                    Some(digest) if self.is_unsure() || self.reach == Reach::Repair => {
                        Ok(files::digest_at(self.lib, place).with_context(shown)? != *digest)
                    }
                    Some(_) => Ok(false),
                }
            };
            if !same_contents(&now, after) || has_other_bytes()? {
                return Ok(Some(self.lib.show(place)));
            }
        }
        let library = library_of(self.lib.root(), self.lib.path(), name);
        Ok(library.is_err().then(|| "the library".to_owned()))
    }
}

/// Permissions alone are restored without the source.
fn same_contents(now: &State, after: &State) -> bool {
    match (now, after) {
        (State::File(now), State::File(after)) => {
            (now.size, now.modified) == (after.size, after.modified)
        }
        _ => now == after,
    }
}

/// The directory of a backend in the store.
fn backend_place(name: &str) -> Result<Place> {
    check_name(name)?;
    Ok(Place::backends().join(name)?)
}

/// A rocBLAS of ROCm 6 in the root: next to the stock library, where people put it by hand, or in a tree of
/// its own.
fn found(root: &Root, tree: &Tree) -> Result<PathBuf> {
    let mut places = vec![tree.lib.clone()];
    if let Ok(names) = root.names(Path::new("/opt")) {
        let older = names.iter().filter(|name| name.to_string_lossy().starts_with("rocm-6"));
        places.extend(older.map(|name| Path::new("/opt").join(name).join(LIB)));
    }
    let mut libraries = Vec::new();
    for place in &places {
        for library in present::libraries(root, place).unwrap_or_default() {
            if matches!(&library.what, What::Rocblas(soname) if soname == BACKEND_SONAME) {
                libraries.push(place.join(&library.name));
            }
        }
    }
    // A librocblas.so.5 that was overwritten with 6.3 matches too, but a name that is 6.3's own is preferred.
    libraries.sort_by_key(|path| !path.to_string_lossy().contains(BACKEND_SONAME));
    libraries.into_iter().next().with_context(|| {
        let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        format!(
            "no backend: {} contains no rocBLAS of ROCm 6 (librocblas.so.4). Pass one with \
             --backend: the library, a directory, or ROCm 6.3's package \
             (rocblas_4.3.0.60300-*_amd64.deb, which need not be installed)",
            places.join(", ")
        )
    })
}

/// Plans its files in a prefix of their own, and removes those of an earlier apply.
pub(super) fn plan(planner: &mut Planner<'_>, asked: &Asked, offer: &Offer) -> Result<()> {
    let placed = match asked {
        Asked::Source(placed) => placed,
        Asked::InStore(name) => return plan_known(planner, name, offer),
    };
    let Placed { name, source, origin, .. } = placed.as_ref();
    let prefix = backend_place(name)?;
    if planner.holds_originals(&prefix) {
        bail!(
            "{name} is the name of the stock library, which is kept for revert: give this \
             backend another with --name"
        );
    }
    let lib = prefix.join(LIB)?;
    let reason = format!("backend {name}, from {}", source.origin);
    let shown = format!("the library of {}", source.origin);
    let library = source.open_library().with_context(|| format!("cannot read {shown}"))?;
    let slim = library::slim_gpus(&library);
    if origin.slim.is_some() && !slim.is_empty() {
        planner.remark(format!(
            "backend {name} is slim, for {}: for another GPU, `installer apply --gpu` will need {} \
             again",
            slim.join(", "),
            origin.path.display()
        ));
    }
    let mut wanted = BTreeSet::new();
    let files = source.files.iter().map(|file| (&lib, file));
    for (top, file) in files.chain(source.archives.iter().map(|file| (&prefix, file))) {
        let place = top.join(&file.to)?;
        let is_slim = origin.slim.is_some() && file.to == source.library;
        // Also for files that need no change: a power cut may have lost a directory's permissions.
        planner.directory(&place.parent().unwrap_or_else(|| top.clone()), &reason)?;
        let what = match &file.content {
            Content::File { from, size, mode, modified } => Wanted::Copy {
                from: match from {
                    Contents::In(_, path) => path.clone(),
                    _ => PathBuf::from(&source.origin),
                },
                source: from.clone(),
                state: FileState {
                    size: *size,
                    mode: *mode,
                    modified: *modified,
                    // A library reduced for other GPUs may have the same size, and it has the time of the
                    // whole one.
                    digest: if is_slim { Some(digest(from, &shown)?) } else { None },
                },
            },
            Content::Link { target } => Wanted::Link(target.clone()),
        };
        planner.want(&place, what, &reason)?;
        wanted.insert(place);
    }
    let release = source.version.as_deref().or(Some(name));
    facts::plan(planner, &prefix, &offer.serves, release, &library)?;
    wanted.insert(facts::place(&prefix)?);
    let obsolete: Vec<Place> = (planner.plan.journal.entries.iter())
        .filter(|(place, entry)| place.starts_with(&prefix) && entry.after != State::Absent)
        .map(|(place, _)| place.clone())
        .filter(|place| !wanted.contains(place) && !planner.is_kept(place))
        .collect();
    for place in obsolete {
        planner.want(&place, Wanted::Nothing, "no longer part of this backend")?;
    }
    planner.plan.journal.origins.insert(name.clone(), origin.clone());
    Ok(())
}

/// What an unchanged backend serves: it may have been placed by an installer that did not write this file.
fn plan_known(planner: &mut Planner<'_>, name: &str, offer: &Offer) -> Result<()> {
    // A path that somebody wrote into the settings, or a backend placed by hand, belongs to them.
    if !planner.plan.journal.origins.contains_key(name) {
        return Ok(());
    }
    let (root, lib) = (planner.lib.root().clone(), planner.lib.path().to_owned());
    let path = library_of(&root, &lib, name)?;
    let library = root.open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let release = source::release::of_library(&file);
    let release = release.as_deref().or(Some(name));
    facts::plan(planner, &backend_place(name)?, &offer.serves, release, &library)
}

fn digest(from: &Contents, shown: &str) -> Result<String> {
    let digest = from.open().and_then(|file| files::digest(file, shown));
    digest.with_context(|| format!("cannot read {shown}"))
}

/// Writes the shim's settings for a tree of that ROCm release, with a route for each GPU if requested, and
/// returns which backend they name.
pub(super) fn choose(
    planner: &mut Planner<'_>,
    asked: &Asked,
    release: Option<&str>,
    is_routed: bool,
) -> Result<Chosen> {
    let (root, lib) = (planner.lib.root().clone(), planner.lib.path().to_owned());
    let text = settings::text(&root, &lib)?;
    let (name, file, shown) = match asked {
        Asked::Source(placed) => {
            let shown = format!("the library of {}", placed.source.origin);
            (&placed.name, placed.source.open_library(), shown)
        }
        Asked::InStore(name) => {
            let library = library_of(&root, &lib, name)?;
            (name, root.open(&library), library.display().to_string())
        }
    };
    let mut wanted = settings::with_backend(&text, name)?;
    if let Some(version) = release.and_then(rocblas_abi::presented_in) {
        wanted = settings::with_presented(&wanted, version)?;
    }
    if is_routed {
        wanted = settings::with_auto(&wanted)?;
    }
    planner.settings(&wanted, "the backend to use")?;
    let file = file.with_context(|| format!("cannot read {shown}"))?;
    let summary = elf::summary(&file).with_context(|| shown)?;
    Ok(Chosen { name: name.clone(), summary })
}

/// The library of a backend in the store, inside the root. As in the settings, the name may be a path
/// relative to the store.
pub(crate) fn library_of(root: &Root, lib: &Path, name: &str) -> Result<PathBuf> {
    let store = lib.join(STORE);
    if name.contains('/') {
        let path = store.join(name);
        root.open(&path).with_context(|| format!("cannot read the backend {}", path.display()))?;
        return Ok(path);
    }
    let prefix = store.join(BACKENDS).join(name).join(LIB);
    let libraries = present::libraries(root, &prefix)
        .with_context(|| format!("there is no backend {name} in {}", store.display()))?;
    let library = libraries.iter().find(|library| matches!(library.what, What::Rocblas(_)));
    let library = library
        .with_context(|| format!("backend {name} has no librocblas in {}", prefix.display()))?;
    Ok(prefix.join(&library.name))
}
