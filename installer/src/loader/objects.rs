//! The objects that a process has loaded, their names, and what is loaded for another name.

use super::{
    problem::Problem,
    search::{Found, Miss, Search},
};
use std::path::{Path, PathBuf};

/// A loaded object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) found: Found,
    /// All names by which it was needed. A symlink's name becomes one of them once it has been followed,
    /// which is why loading `libamdhip64.so.6` once makes it known.
    names: Vec<String>,
    /// The object that caused it to be loaded.
    pub(super) loader: Option<usize>,
    /// Its directory, for `$ORIGIN`.
    origin: PathBuf,
}

impl Object {
    /// The name by which it was first needed.
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// glibc's `_dl_name_match_p`.
    fn is_named(&self, name: &str) -> bool {
        self.found.path == Path::new(name) || self.names.iter().any(|known| known == name)
    }
}

/// The objects of a process, in the order of loading.
#[derive(Clone, Debug)]
pub(super) struct Objects<'a> {
    search: &'a Search<'a>,
    all: Vec<Object>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(search: &'a Search<'a>) -> Self {
        Self { search, all: Vec::new() }
    }

    pub(super) fn all(&self) -> &[Object] {
        &self.all
    }

    /// Adds an initial object. A program's `$ORIGIN` is the directory of its file, a library's that of its
    /// path.
    pub(super) fn start(&mut self, found: Found, is_program: bool) -> usize {
        let path = if is_program { &found.resolved } else { &found.path };
        let origin = path.parent().unwrap_or(path).to_owned();
        let names = vec![found.path.to_string_lossy().into_owned()];
        self.all.push(Object { found, names, loader: None, origin });
        self.all.len() - 1
    }

    /// The loaded object that has a name.
    pub(super) fn named(&self, name: &str) -> Option<&Object> {
        self.all.iter().find(|object| object.is_named(name))
    }

    /// glibc's `_dl_map_object`: the object that a name denotes for `loader`, loaded if necessary.
    pub(super) fn load(&mut self, name: &str, loader: usize) -> Result<usize, Problem> {
        if let Some(known) = self.all.iter().position(|object| object.is_named(name)) {
            return Ok(known);
        }
        let by_soname = |object: &Object| object.found.summary.soname.as_deref() == Some(name);
        if let Some(known) = self.all.iter().position(by_soname) {
            self.all[known].names.push(name.to_owned());
            return Ok(known);
        }
        let found = self.find(name, loader).map_err(|miss| self.problem(miss, name, loader))?;
        if let Some(same) = self.all.iter().position(|object| object.found.id == found.id) {
            self.all[same].names.push(name.to_owned());
            return Ok(same);
        }
        let origin = found.path.parent().unwrap_or(&found.path).to_owned();
        let names = vec![name.to_owned()];
        self.all.push(Object { found, names, loader: Some(loader), origin });
        Ok(self.all.len() - 1)
    }

    /// Loads the dependencies of these objects, breadth first: the order of symbol lookup, glibc's
    /// `_dl_map_object_deps`. Continues where the loader would give up.
    pub(super) fn load_needed(&mut self, first: &[usize]) -> (Vec<usize>, Vec<Problem>) {
        let mut scope = first.to_vec();
        let mut problems = Vec::new();
        let mut next = 0;
        while let Some(&object) = scope.get(next) {
            for name in self.all[object].found.summary.needed.clone() {
                match self.load(&name, object) {
                    Ok(needed) if scope.contains(&needed) => {}
                    Ok(needed) => scope.push(needed),
                    Err(problem) if problems.contains(&problem) => {}
                    Err(problem) => problems.push(problem),
                }
            }
            next += 1;
        }
        (scope, problems)
    }

    fn find(&self, name: &str, loader: usize) -> Result<Found, Miss> {
        let origin = &self.all[loader].origin;
        if name.contains('/') {
            // A relative path depends on where the process is started.
            let absent = || Miss::Absent(vec![name.into()]);
            return self.search.open(&self.search.expand(name, origin).ok_or_else(absent)?);
        }
        let runpaths = self.directories(loader, &self.all[loader].found.summary.runpath);
        let mut rpaths = Vec::new();
        if self.all[loader].found.summary.runpath.is_empty() {
            // Its own, and those of all objects through which it was loaded.
            let mut next = Some(loader);
            while let Some(object) = next {
                rpaths.extend(self.directories(object, &self.all[object].found.summary.rpath));
                next = self.all[object].loader;
            }
        }
        self.search.find(name, &rpaths, &runpaths)
    }

    fn directories(&self, object: usize, path: &[String]) -> Vec<PathBuf> {
        let origin = &self.all[object].origin;
        path.iter().filter_map(|directory| self.search.expand(directory, origin)).collect()
    }

    fn problem(&self, miss: Miss, name: &str, loader: usize) -> Problem {
        let needed_by = self.all[loader].found.resolved.clone();
        let name = name.to_owned();
        match miss {
            Miss::Absent(looked_in) => Problem::MissingLibrary { name, needed_by, looked_in },
            Miss::Foreign { path, machine } => {
                Problem::WrongArchitecture { name, needed_by, path, machine }
            }
            Miss::Refused(problem) => problem,
        }
    }
}
