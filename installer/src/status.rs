//! Whether a tree is as `apply` left it, and what differs if not.

use crate::{
    apply::backend,
    backends::routes::{self, Ruled},
    dpkg, files,
    inspect::library,
    journal::{Before, Entry, Journal, Loaded, Phase, rebuild::KEPT},
    lib_dir::LibDir,
    lock,
    place::Place,
    present::{self, SONAME, What},
    root::Root,
    serves::Serves,
    settings,
    state::State,
};
use anyhow::{Context, Result};
use rocblas_contract::{
    route::{AUTO, Gpus, none_serves},
    serves, store,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What restores an original that nobody has a copy of.
pub const REINSTALL: &str = "Reinstall the package it belongs to (apt-get install --reinstall \
                             rocblas, Debian: librocblas5; or dnf reinstall rocblas)";

/// The state of a tree in one word, with details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// This installer has not installed a shim here.
    NotApplied,
    /// Everything is as it was placed.
    Applied {
        /// The shim's version.
        shim: String,
        /// The backend in use.
        backend: String,
        /// The GPUs to whose kernels that backend was reduced; empty if it is whole.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        slim: Vec<String>,
        /// GPUs that the stock library served and this backend does not.
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        served_no_more: BTreeSet<String>,
    },
    /// Something has changed since.
    Disturbed {
        /// What has changed, one sentence each.
        changes: Vec<String>,
        /// Files that `revert` needs and `repair` cannot restore, one sentence each.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        lost: Vec<String>,
    },
    /// The shim is in front, but no journal records how it got there.
    Unrecorded {
        /// The name that programs load.
        front: PathBuf,
        /// Why it has no backend, if so.
        #[serde(skip_serializing_if = "Option::is_none")]
        no_backend: Option<String>,
    },
    /// An installer is changing the tree right now.
    Busy {
        /// Which process, as far as it is visible.
        holder: String,
    },
}

impl Status {
    /// The exit code of `status`: lets scripts tell applied, not applied and all else apart.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Applied { .. } => 0,
            Self::NotApplied => 3,
            Self::Disturbed { .. } | Self::Unrecorded { .. } | Self::Busy { .. } => 4,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApplied => f.write_str("not applied"),
            Self::Applied { shim, backend, slim, served_no_more } => {
                write!(f, "applied: shim {shim} with backend {backend}")?;
                if !slim.is_empty() {
                    write!(f, " (slim, for {})", slim.join(", "))?;
                }
                let gpus = served_no_more.iter().map(String::as_str).collect::<Vec<_>>();
                match gpus.as_slice() {
                    [] => Ok(()),
                    gpus => write!(
                        f,
                        "; served by the stock library but no longer: {}",
                        gpus.join(", ")
                    ),
                }
            }
            Self::Disturbed { changes, lost } => {
                let all: Vec<&str> = changes.iter().chain(lost).map(String::as_str).collect();
                write!(f, "disturbed: {}", all.join("; "))?;
                match (changes.is_empty(), lost.is_empty()) {
                    (_, true) => f.write_str(". Run `installer repair`"),
                    (false, false) => write!(f, ". {REINSTALL}, then run `installer repair`"),
                    (true, false) => {
                        write!(
                            f,
                            ". Programs keep working. {REINSTALL}, then run `installer repair`"
                        )
                    }
                }
            }
            Self::Unrecorded { front, no_backend } => {
                write!(
                    f,
                    "not recorded: {} is the shim, but it has no journal: either the store \
                     was deleted, or the shim was placed by hand. ",
                    front.display()
                )?;
                match no_backend {
                    None => f.write_str("`installer repair` takes it over"),
                    Some(why) => write!(
                        f,
                        "The shim has no backend, so programs that call rocBLAS fail ({why}). `installer \
                         apply --backend PATH` installs one"
                    ),
                }
            }
            Self::Busy { holder } => {
                write!(f, "busy: locked by {holder}, which may be changing it")
            }
        }
    }
}

/// Examines every place of the journal, without reading file contents except the headers of the backend's
/// library.
pub fn status(root: &Root, path: &Path) -> Result<Status> {
    let lib = LibDir::open(root, path)?;
    if let Some(holder) = lock::held_by(&lib).context("cannot query the lock")? {
        let unseen = || "a process that is not visible from here".to_owned();
        return Ok(Status::Busy {
            holder: holder.map_or_else(unseen, |holder| holder.to_string()),
        });
    }
    let Some(loaded) = Journal::load_or_rebuild(&lib)? else {
        return Ok(Status::NotApplied);
    };
    if loaded.rebuilt
        && !loaded.has_originals()
        && let Some(front) = present::front(root, path)
    {
        return Ok(Status::Unrecorded { front, no_backend: no_backend(&lib)? });
    }
    let Loaded { journal, remarks: mut changes, .. } = loaded;
    if journal.phase == Phase::Changing && changes.is_empty() {
        changes.push("an apply or revert was interrupted".to_owned());
    }
    let diverted: BTreeSet<&Place> = journal.diversions.iter().map(|d| &d.to).collect();
    let mut lost_originals = Vec::new();
    for (place, entry) in &journal.entries {
        match change(&lib, place, entry)? {
            None => lost_originals.extend(loss(&lib, entry, &diverted)?),
            change => changes.extend(change),
        }
    }
    for diversion in &journal.diversions {
        if dpkg::is_lost(&lib, diversion).context("cannot read dpkg's diversions")? {
            changes.push(format!("dpkg no longer diverts {}", lib.show(&diversion.path)));
        }
    }
    changes.extend(arrivals(&lib, &journal)?);
    changes.extend(closed_directories(&lib, &journal)?);
    let backend = chosen(&lib, &mut changes)?;
    changes.extend(front(&lib)?);
    if !changes.is_empty() || !lost_originals.is_empty() {
        return Ok(Status::Disturbed { changes, lost: lost_originals });
    }
    let served_no_more = served_no_more(root, path, &journal, &backend);
    let slim = slim_gpus(root, path, &backend);
    Ok(Status::Applied { shim: journal.shim, backend, slim, served_no_more })
}

/// The reduced backends of the journal, each with the GPUs that its library's note lists.
pub fn slim(root: &Root, path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let journal = Journal::load_or_rebuild(&LibDir::open(root, path)?)?;
    let names = journal.iter().flat_map(|loaded| loaded.journal.origins.keys());
    let all = names.map(|name| (name.clone(), slim_gpus(root, path, name)));
    Ok(all.filter(|(_, gpus)| !gpus.is_empty()).collect())
}

/// The GPUs to whose kernels a backend was reduced.
fn slim_gpus(root: &Root, lib: &Path, backend: &str) -> Vec<String> {
    let library = backend::library_of(root, lib, backend);
    let file = library.and_then(|library| Ok(root.open(&library)?));
    file.map(|file| library::slim_gpus(&file)).unwrap_or_default()
}

/// The GPUs that the stock library served and a backend does not, and that no rule assigns to one that does.
/// None if its library cannot be read, which is reported elsewhere.
fn served_no_more(root: &Root, lib: &Path, journal: &Journal, backend: &str) -> BTreeSet<String> {
    let library = backend::library_of(root, lib, backend);
    match library.and_then(|library| Serves::of_library(root, &library)) {
        Ok(serves) => {
            let rules = settings::text(root, lib).and_then(|text| settings::route(&text));
            let rules = rules.unwrap_or_default();
            let is_lost = |target: &&String| match routes::ruled(root, lib, &rules, target) {
                Ruled::Not => serves.lack(target).is_some(),
                Ruled::Well => false,
                Ruled::Badly(..) => true,
            };
            journal.served.iter().filter(is_lost).cloned().collect()
        }
        Err(_) => BTreeSet::new(),
    }
}

fn look(lib: &LibDir, place: &Place) -> Result<State> {
    lib.state(place).with_context(|| format!("cannot look at {}", lib.show(place)))
}

/// How a place differs from the journal.
fn change(lib: &LibDir, place: &Place, entry: &Entry) -> Result<Option<String>> {
    let now = look(lib, place)?;
    let edited = *place == settings::place() && matches!(now, State::File(_));
    let path = lib.show(place);
    if now.same(&entry.after) || edited {
        return Ok(None);
    }
    let back = now.same(entry.before.state()) && now != State::Absent;
    Ok(Some(match now {
        _ if back => {
            format!("{path} is {now} again, as before apply (an upgrade, or ldconfig)")
        }
        State::Absent => format!("{path} is missing"),
        _ => format!("{path} {}", entry.after.difference(&now)),
    }))
}

/// How the original that `revert` needs differs from what was kept.
fn loss(lib: &LibDir, entry: &Entry, diverted: &BTreeSet<&Place>) -> Result<Option<String>> {
    let Before::Kept { at, state } = &entry.before else { return Ok(None) };
    // dpkg writes newer versions to the diverted place, and a symlink is recreated from its target.
    if is_link(entry) || diverted.contains(at) {
        return Ok(None);
    }
    let held = look(lib, at)?;
    let what = || present::what(lib.root(), &lib.inside(at));
    Ok(match (&held, state) {
        (State::Absent, _) => Some(format!("{}, which revert needs, is missing", lib.show(at))),
        // Its time may differ, as in a store that was copied.
        (State::File(now), State::File(was)) if now.size != was.size => {
            Some(format!("{}, which revert needs, {}", lib.show(at), state.difference(&held)))
        }
        (State::File(_), _) if at.starts_with(&Place::backends()) => match what()? {
            What::Other(why) => {
                Some(format!("{}, which revert needs, is damaged: {why}", lib.show(at)))
            }
            _ => None,
        },
        _ => None,
    })
}

/// A symlink that is not kept is recreated from its target.
fn is_link(entry: &Entry) -> bool {
    matches!(entry.before.state(), State::Link { .. })
}

/// Stock libraries that are in no journal: an upgrade to another version brings one. For ldconfig, the shim's
/// name wins over it.
fn arrivals(lib: &LibDir, journal: &Journal) -> Result<Vec<String>> {
    let libraries = present::libraries(lib.root(), lib.path())?;
    let mut arrived = Vec::new();
    for library in libraries {
        let is_stock = present::is_versioned_name(&library.name)
            && matches!(&library.what, What::Rocblas(soname) if soname == SONAME);
        if is_stock && journal.entry(&Place::new(library.name.as_ref())?).is_none() {
            arrived.push(format!("{} is a stock library that was added since", library.name));
        }
    }
    Ok(arrived)
}

/// Directories of the store that other users' programs cannot enter although they can enter the library
/// directory.
fn closed_directories(lib: &LibDir, journal: &Journal) -> Result<Vec<String>> {
    let kept = Place::in_store(KEPT)?;
    let in_use =
        journal.entries.keys().filter(|place| place.is_in_store() && !place.starts_with(&kept));
    let directories: BTreeSet<Place> =
        in_use.flat_map(|place| std::iter::successors(place.parent(), Place::parent)).collect();
    let mode = |metadata: std::fs::Metadata| metadata.permissions().mode();
    let outer =
        lib.directory().metadata().map(mode).context("cannot stat the library directory")?;
    let mut closed = Vec::new();
    for place in directories {
        let Ok(directory) = lib.directory().below(place.path()) else { continue };
        let own = directory.metadata().map(mode);
        let own = own.with_context(|| format!("cannot look at {}", lib.show(&place)))?;
        if outer & 0o055 & !own != 0 {
            closed.push(format!(
                "{} has permissions {:04o}, so other users' programs cannot load the files in it",
                lib.show(&place),
                own & 0o7777
            ));
        }
    }
    Ok(closed)
}

/// The backend that the shim uses, which must exist.
fn chosen(lib: &LibDir, changes: &mut Vec<String>) -> Result<String> {
    let text = settings::text(lib.root(), lib.path())?;
    let shown = lib.show(&settings::place());
    let name = match settings::backend(&text) {
        Ok(name) => name,
        Err(e) => {
            changes.push(format!("{shown}: {e:#}"));
            return Ok(String::new());
        }
    };
    let Some(name) = name else {
        changes.push(format!("{shown} names no backend"));
        return Ok(String::new());
    };
    if let Err(e) = backend::library_of(lib.root(), lib.path(), &name) {
        changes.push(format!("{shown} names the backend {name:?}, which cannot be used: {e:#}"));
    }
    match settings::route(&text) {
        Err(e) => changes.push(format!("{shown}: {e:#}")),
        Ok(rules) => changes.extend(rules.iter().filter_map(|rule| {
            let why = fault_of(lib, rule)?;
            Some(format!("{shown}: [route] {} = {:?}: {why}", rule.key, rule.backend))
        })),
    }
    Ok(name)
}

/// Why a rule does not work: the backend does not exist, or does not serve the rule's target.
fn fault_of(lib: &LibDir, rule: &settings::Rule) -> Option<String> {
    let (root, path) = (lib.root(), lib.path());
    let target = if let Gpus::Target(target) = &rule.gpus { target.as_str() } else { "" };
    if rule.backend == AUTO {
        let known = routes::known(root, path);
        let stale = known.iter().find(|backend| backend.is_stale);
        let stale = stale.map(|stale| {
            format!(
                "backend {}: its library has changed since it was inspected; `installer apply` inspects it again",
                stale.name
            )
        });
        let none = || none_serves(store::backends(path).display());
        let is_served = target.is_empty() || serves::newest(&known, target).is_some();
        return stale.or_else(|| (!is_served).then(none));
    }
    match routes::library_of(root, path, &rule.backend, target) {
        Err(why) => Some(why),
        Ok((_, library)) if !target.is_empty() => routes::fault(root, &library, target),
        Ok(_) => None,
    }
}

/// Why a shim that was placed by hand, or whose store was deleted, cannot have a backend. Without settings it
/// uses the newest one in its store.
fn no_backend(lib: &LibDir) -> Result<Option<String>> {
    let text = settings::text(lib.root(), lib.path())?;
    let is_set = !matches!(settings::backend(&text), Ok(None));
    let backends = Place::backends();
    let names = lib.names(&backends).context("cannot read the store")?;
    Ok((!is_set && names.is_empty()).then(|| format!("{} has none", lib.show(&backends))))
}

/// What is wrong with the name that programs load.
fn front(lib: &LibDir) -> Result<Option<String>> {
    let (root, path) = (lib.root(), lib.path());
    let Some(front) = present::front(root, path) else {
        return Ok(Some(format!("{} has no {SONAME}", path.display())));
    };
    let what = root.resolve(&front).map_err(anyhow::Error::from);
    Ok(match what.and_then(|path| present::what(root, &path)) {
        Ok(What::Shim(_)) => None,
        Ok(_) => Some(format!("{} is not a symlink to the shim", front.display())),
        Err(e) => Some(format!("{} is a broken symlink ({e:#})", front.display())),
    })
}

/// One file of `verify`.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// What is wrong with it, if anything.
    pub fault: Option<String>,
}

/// Reads every placed file and compares its digest with the recorded one.
pub fn verify(root: &Root, path: &Path) -> Result<Option<Vec<Verified>>> {
    let lib = LibDir::open(root, path)?;
    let Some(Loaded { journal, .. }) = Journal::load_or_rebuild(&lib)? else { return Ok(None) };
    let placed = journal.entries.iter().filter(|(_, entry)| entry.after != State::Absent);
    let mut files = placed
        .map(|(place, entry)| {
            let edited = *place == settings::place();
            let shown = || format!("cannot read {}", lib.show(place));
            let mut now = lib.state(place).with_context(shown)?;
            if let (State::File(now), State::File(after)) = (&mut now, &entry.after)
                && after.digest.is_some()
                && now.size == after.size
                && !edited
            {
                now.digest = Some(files::digest_at(&lib, place).with_context(shown)?);
            }
            let same_kind = matches!((&now, &entry.after), (State::File(_), State::File(_)));
            let fine = now.same(&entry.after) || (edited && same_kind);
            let fault = (!fine).then(|| format!("it {}", entry.after.difference(&now)));
            Ok(Verified { path: lib.inside(place), fault })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut faults = Vec::new();
    chosen(&lib, &mut faults)?;
    files.extend(
        faults
            .into_iter()
            .map(|fault| Verified { path: lib.inside(&settings::place()), fault: Some(fault) }),
    );
    let closed = closed_directories(&lib, &journal)?;
    files.extend(
        closed
            .into_iter()
            .map(|fault| Verified { path: lib.inside(&Place::store()), fault: Some(fault) }),
    );
    Ok(Some(files))
}
