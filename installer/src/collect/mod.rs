//! `collect`: copies programs and everything they load out of the image that built them, for a last stage
//! without compilers, headers and kernels for other GPUs.

mod copy;

use crate::{
    apply::{
        backend,
        built::{self, Built},
    },
    backends,
    directory::{Directory, Name},
    elf,
    files::DIRECTORY_MODE,
    inspect::{layout::Tree, split::Split},
    journal::{self, Journal, Loaded, STORE},
    ldconfig,
    lib_dir::LibDir,
    loader::{self, Closure, How, Problem, Start},
    output,
    place::Place,
    present,
    root::Root,
    settings, source,
    state::State,
    status::{self, Status},
};
use anyhow::{Context, Result, bail};
pub use copy::Reduced;
use copy::{Copy, Slim};
use rocblas_contract::{libraries::HIP, store};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Libraries that load others by names in their data: HIP's code object manager is not in the DT_NEEDED of
/// AMD's runtime (clr's `comgrctx.cpp`), and without it no kernel can be launched.
const OPENERS: [&str; 2] = [HIP, "libhsa-runtime64.so."];

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Programs, or directories that are copied as a whole, inside the root.
    pub programs: Vec<PathBuf>,
    /// A directory of the machine that is empty or does not exist.
    pub into: PathBuf,
    /// The root of the image that the copy will be added to; files that it has are not copied.
    pub base: Option<PathBuf>,
    /// Leave out the kernels of GPUs that the tree was not applied for.
    pub slim: bool,
}

/// What was copied.
#[derive(Clone, Debug, Serialize)]
pub struct Collected {
    /// The directory of the machine that contains it.
    #[serde(serialize_with = "crate::output::json::path")]
    pub into: PathBuf,
    /// Every file, by its path in the root.
    #[serde(serialize_with = "crate::output::json::paths")]
    pub files: BTreeSet<PathBuf>,
    /// In bytes.
    pub bytes: u64,
    /// Files that were copied without the kernels of other GPUs.
    pub slim: BTreeMap<String, Reduced>,
    /// Names of libraries that the base has.
    #[serde(serialize_with = "crate::output::json::paths")]
    pub left: BTreeSet<PathBuf>,
    /// Remarks for the user.
    pub remarks: Vec<String>,
}

/// Copies what programs need to run, including the shim's store and its backends. It first checks that they
/// would load.
///
/// # Errors
/// A tree whose shim is not in place, a program that would not load or does not use rocBLAS, a directory that
/// is not empty.
pub fn collect(root: &Root, tree: &Tree, request: &Request) -> Result<Collected> {
    let lib = tree.lib.as_path();
    let status = status::status(root, lib)?;
    let loaded = Journal::load(&LibDir::open(root, lib)?)?;
    let (Status::Applied { .. }, Some(Loaded { journal, .. })) = (&status, loaded) else {
        bail!("{}: {status}. Run `installer apply` before collect", lib.display());
    };
    let base = request.base.as_deref().map(|base| {
        Root::new(base).with_context(|| format!("--base {}: cannot be used", base.display()))
    });
    let base = base.transpose()?;
    let built = built::find(root, &request.programs)?;
    let mut remarks = Vec::new();
    let closures = closures(root, lib, &built, &mut remarks)?;

    let gpus = gpus(root, lib, &journal)?;
    let slim = match request.slim {
        false => None,
        true if gpus.is_empty() => bail!(
            "--slim leaves out the kernels of all GPUs that are not needed, but the shim was applied for \
             all GPUs: name the needed ones with `installer apply --slim --gpu`, then collect"
        ),
        true => Some(Slim { gpus, whole: originals(root, lib, &journal) }),
    };
    let into = Into::empty(&request.into)?;
    let mut copy = Copy::new(root, base.as_ref(), into.directory.clone(), slim);
    for program in &request.programs {
        copy.add_all(program, &|_| true)?;
    }
    let mut directories = BTreeSet::new();
    for object in closures.iter().flat_map(|closure| &closure.objects) {
        copy.add(&object.found)?;
        for archive in archives(root, &object.path, &journal.options.gpus) {
            copy.add(&archive)?;
        }
        directories.extend(object.path.parent().map(Path::to_owned));
    }
    for file in settings_of_the_loader(root, &directories) {
        copy.add(&file)?;
    }
    add_store(&mut copy, root, lib, &journal)?;
    record(&copy, root, lib, journal)?;
    let Copy { files, bytes, left, skipped, reduced, refused, .. } = copy;
    for (path, why) in &refused {
        remarks.push(format!("{} was copied whole: {why}", path.display()));
    }
    for path in &skipped {
        let what = "is not a file, symlink or directory, and was not copied";
        remarks.push(format!("{} {what}", path.display()));
    }
    into.keep();
    let name = |path: PathBuf| output::shown(&path).to_string();
    let slim = reduced.into_iter().map(|(path, reduced)| (name(path), reduced)).collect();
    Ok(Collected { into: request.into.clone(), files, bytes, slim, left, remarks })
}

/// The GPUs that a tree was applied for and those that its backend was reduced to; empty means all.
fn gpus(root: &Root, lib: &Path, journal: &Journal) -> Result<Vec<String>> {
    let text = settings::text(root, lib)?;
    let name = settings::backend(&text)?;
    let origin = name.and_then(|name| journal.origins.get(&name));
    let slim = origin.and_then(|origin| origin.slim.as_ref());
    let asked = journal.options.gpus.iter();
    let all: BTreeSet<&String> =
        asked.chain(slim.into_iter().flat_map(|slim| &slim.gpus)).collect();
    Ok(all.into_iter().cloned().collect())
}

/// What `revert` restores, by resolved paths, which is copied unchanged.
fn originals(root: &Root, lib: &Path, journal: &Journal) -> BTreeSet<PathBuf> {
    let kept = journal.kept().into_iter().map(|place| lib.join(place.path()));
    kept.filter_map(|path| root.resolve(&path).ok()).collect()
}

/// Records placed files that were reduced in the copy of the journal.
fn record(copy: &Copy<'_>, root: &Root, lib: &Path, mut journal: Journal) -> Result<()> {
    let mut is_changed = false;
    for (place, entry) in &mut journal.entries {
        let path = lib.join(place.path());
        let reduced = root.resolve(&path).ok().and_then(|path| copy.reduced.get(&path));
        let (Some(reduced), State::File(file)) = (reduced, &mut entry.after) else { continue };
        let [whole, own] = reduced.digests.clone();
        (file.size, file.digest, is_changed) = (reduced.size.after, Some(own), true);
        let backend = place.path().strip_prefix(Place::backends().path()).ok();
        let name = backend.and_then(|path| path.iter().next()?.to_str());
        if let Some(origin) = name.and_then(|name| journal.origins.get_mut(name)) {
            let (gpus, without) = (reduced.gpus.clone(), Vec::new());
            origin.slim = Some(journal::Slim { gpus, without, whole });
        }
    }
    if !is_changed {
        return Ok(());
    }
    let text = journal.text().context("cannot write the journal")?;
    for place in journal::places() {
        copy.replace(&lib.join(place.path()), text.as_bytes())?;
    }
    Ok(())
}

/// The directory that is copied into. It is emptied again if the copy fails, so that it can be repeated.
struct Into {
    directory: Directory,
    completed: bool,
}

impl Into {
    fn empty(path: &Path) -> Result<Self> {
        let shown = || format!("--into {}", path.display());
        let directory = match (path.parent(), Name::last_of(path)) {
            // The last component itself must not be a symlink: whoever may rename it could redirect the copy
            // to a directory of their choice.
            (Some(parent), Some(name)) => {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                fs::create_dir_all(parent).with_context(shown)?;
                let parent = Directory::of(fs::File::open(parent).with_context(shown)?.into());
                parent.make(name, DIRECTORY_MODE).with_context(shown)?.0
            }
            _ => Directory::of(fs::File::open(path).with_context(shown)?.into()),
        };
        if !directory.is_empty().with_context(shown)? {
            bail!(
                "--into {}: the directory is not empty; remove it, or choose another",
                path.display()
            );
        }
        Ok(Self { directory, completed: false })
    }

    fn keep(mut self) {
        self.completed = true;
    }
}

impl Drop for Into {
    fn drop(&mut self) {
        if !self.completed {
            // The original error matters more.
            let _ = self.directory.remove_contents();
        }
    }
}

/// Everything that is loaded: by the programs, by the backends, and by name at run time.
fn closures(
    root: &Root,
    lib: &Path,
    built: &Built,
    remarks: &mut Vec<String>,
) -> Result<Vec<Closure>> {
    let mut closures = Vec::new();
    let mut problems = Vec::new();
    for path in &built.files {
        let closure = check(root, path, How::Program);
        problems.extend(closure.problems.iter().map(ToString::to_string));
        closures.push(closure);
    }
    let paths = |closure: &Closure| closure.objects.iter().map(|o| o.path.clone()).collect();
    built::uses_rocblas(&closures.iter().map(paths).collect::<Vec<Vec<_>>>(), built)?;

    let shim = present::front(root, lib)
        .with_context(|| format!("{} has no {}", lib.display(), present::SONAME))?;
    for listed in backends::list(root, lib)? {
        let library = backend::library_of(root, lib, &listed.name)?;
        let closure = check(root, &library, How::Backend { shim: shim.clone() });
        let texts = closure.problems.iter().map(ToString::to_string);
        if listed.in_use {
            problems.extend(texts);
        } else {
            remarks.extend(texts.map(|text| format!("backend {}: {text}", listed.name)));
        }
        closures.push(closure);
    }
    problems.sort();
    problems.dedup();
    if !problems.is_empty() {
        return Err(output::Listed::new("these files would not load", problems).into());
    }
    let objects: BTreeSet<PathBuf> =
        closures.iter().flat_map(|closure| &closure.objects).map(|o| o.path.clone()).collect();
    for opener in objects {
        for path in opened_by(root, &opener)? {
            let closure = check(root, &path, How::Program);
            let missing = closure.problems.iter().map(Problem::to_string);
            let why =
                |text| format!("{}, which {} may open: {text}", path.display(), opener.display());
            remarks.extend(missing.map(why));
            closures.push(closure);
        }
    }
    Ok(closures)
}

/// The archives of a split library's GPU code for the chosen GPUs. An unreadable library has been reported
/// before.
fn archives(root: &Root, library: &Path, gpus: &[String]) -> Vec<PathBuf> {
    let summary = root.open(library).ok().and_then(|file| elf::summary(&file).ok());
    let Some(reference) = summary.and_then(|summary| summary.split) else { return Vec::new() };
    let lib = library.parent().unwrap_or(Path::new("/"));
    let found = Split::of(root, lib, reference).archives.into_iter().map(|archive| archive.path);
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        gpus.is_empty() || source::is_for(&name, gpus)
    };
    found.filter(is_wanted).collect()
}

fn check(root: &Root, path: &Path, how: How) -> Closure {
    loader::check(root, &Start { path: path.to_owned(), how }, &[])
}

/// Libraries next to an opener that its data name.
fn opened_by(root: &Root, opener: &Path) -> Result<BTreeSet<PathBuf>> {
    let name = opener.file_name().unwrap_or_default().to_string_lossy();
    let Some(directory) = opener.parent().filter(|_| OPENERS.iter().any(|o| name.starts_with(o)))
    else {
        return Ok(BTreeSet::new());
    };
    let mut bytes = Vec::new();
    let read = root.open(opener).and_then(|mut file| file.read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", opener.display()))?;
    let beside = |name: &str| directory.join(name);
    let is_library = |path: &PathBuf| {
        root.open(path).is_ok_and(|file| elf::summary(&file).is_ok_and(|s| s.soname.is_some()))
    };
    Ok(library_names(&bytes).into_iter().map(beside).filter(is_library).collect())
}

/// Library names among the strings in a library's data, such as `libamd_comgr.so.3`.
fn library_names(bytes: &[u8]) -> BTreeSet<&str> {
    let strings = bytes.split(|byte| *byte == 0);
    let names = strings.filter(|string| string.starts_with(b"lib"));
    let names = names.filter_map(|string| std::str::from_utf8(string).ok());
    names
        .filter(|name| {
            let Some((stem, version)) = name.split_once(".so") else { return false };
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
            stem.chars().all(plain) && version.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
        .collect()
}

/// The configuration files of ldconfig that name directories with copied files.
fn settings_of_the_loader(root: &Root, directories: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let parts = Path::new("/etc/ld.so.conf.d");
    let names = root.names(parts).unwrap_or_default();
    let concerned = |file: &PathBuf| {
        root.read_to_string(file).is_ok_and(|text| {
            let lines = text.lines().map(|line| Path::new(line.trim()));
            let mut absolute = lines.filter(|line| line.is_absolute());
            absolute.any(|line| root.resolve(line).is_ok_and(|path| directories.contains(&path)))
        })
    };
    let main = Path::new("/etc/ld.so.conf").to_owned();
    let files = names.into_iter().map(|name| parts.join(name)).filter(concerned);
    // A sparse file may have any size; ldconfig would not read it to the end either.
    let is_sane = |main: &PathBuf| {
        root.metadata(main).is_ok_and(|m| m.is_file() && m.len() <= ldconfig::MOST_SETTINGS)
    };
    files.chain([main].into_iter().filter(is_sane)).collect()
}

/// The store, with only the chosen GPUs' Tensile files, and every name that apply created next to it.
fn add_store(copy: &mut Copy<'_>, root: &Root, lib: &Path, journal: &Journal) -> Result<()> {
    let gpus = &journal.options.gpus;
    let wanted = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        gpus.is_empty() || source::is_for(&name, gpus)
    };
    // A held lock and the remains of an unfinished apply are not copied.
    for place in journal::places() {
        copy.add(&lib.join(place.path()))?;
    }
    copy.add(&settings::path(lib))?;
    for directory in [store::BACKENDS, store::COMPAT, journal::rebuild::KEPT] {
        let path = lib.join(STORE).join(directory);
        if root.metadata(&path).is_ok() {
            copy.add_all(&path, &wanted)?;
        }
    }
    for (place, entry) in &journal.entries {
        if entry.after != State::Absent {
            copy.add(&lib.join(place.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_are_found_in_data() {
        let data =
            b"\0libamd_comgr.so.3\0/opt/lib/liba.so\0libfoo.so.%d\0libhsa-x64.so\0lib.soup\0";
        let names: Vec<&str> = library_names(data).into_iter().collect();
        assert_eq!(names, ["libamd_comgr.so.3", "libhsa-x64.so"]);
    }
}
