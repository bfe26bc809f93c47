//! Whether loaded objects find the version nodes and symbols that they need from each other.

use super::{
    objects::{Object, Objects},
    problem::Problem,
    search::{self, Search},
};
use crate::elf::{self, NeededVersion, Symbols, symbols::Import};
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// The nodes of glibc, libstdc++ and libgcc count upwards: `GLIBC_2.36`.
const COUNTED: [&str; 4] = ["GLIBC_", "GLIBCXX_", "CXXABI_", "GCC_"];

/// Binds objects, and collects problems.
#[derive(Debug)]
pub(super) struct Binder<'a> {
    search: &'a Search<'a>,
    /// By device and inode.
    symbols: HashMap<(u64, u64), Rc<Symbols>>,
    pub(super) problems: Vec<Problem>,
    pub(super) remarks: Vec<Problem>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(search: &'a Search<'a>) -> Self {
        let (problems, remarks) = (Vec::new(), Vec::new());
        Self { search, symbols: HashMap::new(), problems, remarks }
    }

    /// Checks versions and symbols of the `unbound` objects in a scope. If a library is missing, symbols give
    /// no further information.
    pub(super) fn bind(
        &mut self,
        objects: &Objects<'_>,
        unbound: &[usize],
        scope: &[usize],
        missing: Vec<Problem>,
    ) {
        let complete = missing.is_empty();
        self.problems.extend(missing);
        let scope: Vec<Rc<Symbols>> =
            scope.iter().map(|object| self.symbols_of(&objects.all()[*object])).collect();
        for object in unbound.iter().map(|object| &objects.all()[*object]) {
            let symbols = self.symbols_of(object);
            let absent: HashSet<(&str, &str)> = symbols
                .versions_needed
                .iter()
                .filter(|version| !self.find_version(objects, object, version))
                .map(|version| (version.name.as_str(), version.file.as_str()))
                .collect();
            if !complete {
                continue;
            }
            // The symbols of a missing version are missing with it.
            let is_absent = |import: &Import| {
                let version = import.version.as_ref();
                version.is_some_and(|v| absent.contains(&(v.name.as_str(), v.file.as_str())))
            };
            for import in symbols.imports.iter().filter(|import| !import.weak) {
                let version = import.version.as_ref().map(|version| version.name.as_str());
                if is_absent(import) || scope.iter().any(|s| s.provide(&import.name, version)) {
                    continue;
                }
                let only_called = import.only_called && !object.found.summary.bind_now;
                let list = if only_called { &mut self.remarks } else { &mut self.problems };
                list.push(Problem::MissingSymbol {
                    symbol: import.name.clone(),
                    version: version.map(str::to_owned),
                    only_called,
                    needed_by: object.found.resolved.clone(),
                });
            }
        }
    }

    /// Whether the loader accepts a version; glibc's `match_symbol` of `dl-version.c`.
    fn find_version(
        &mut self,
        objects: &Objects<'_>,
        object: &Object,
        version: &NeededVersion,
    ) -> bool {
        // A missing library has already been reported.
        let Some(library) = objects.named(&version.file) else { return true };
        let defined = &library.found.summary.versions_defined;
        if version.weak || defined.contains(&version.name) {
            return true;
        }
        let needed_by = object.found.resolved.clone();
        let path = library.found.resolved.clone();
        if defined.is_empty() {
            let remark = Problem::NoVersions { library: path, needed_by };
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
            return true;
        }
        self.problems.push(match COUNTED.iter().find(|kind| version.name.starts_with(*kind)) {
            Some(kind) => Problem::TooOld {
                wanted: version.name.clone(),
                had: newest(defined, kind),
                library: path,
                needed_by,
            },
            None => {
                Problem::MissingVersion { version: version.name.clone(), library: path, needed_by }
            }
        });
        false
    }

    fn symbols_of(&mut self, object: &Object) -> Rc<Symbols> {
        if let Some(known) = self.symbols.get(&object.found.id) {
            return Rc::clone(known);
        }
        let read = self.search.file(&object.found).and_then(|file| {
            elf::symbols(&file).map_err(|e| search::refusal(&object.found.resolved, e))
        });
        let symbols = Rc::new(read.unwrap_or_else(|problem| {
            self.problems.push(problem);
            Symbols::default()
        }));
        self.symbols.insert(object.found.id, Rc::clone(&symbols));
        symbols
    }
}

/// The highest of the nodes with this prefix followed by numbers.
fn newest(defined: &[String], kind: &str) -> Option<String> {
    let numbers = |name: &str| -> Option<Vec<u32>> {
        name.strip_prefix(kind)?.split('.').map(|number| number.parse().ok()).collect()
    };
    let numbered = defined.iter().filter_map(|name| Some((numbers(name)?, name)));
    numbered.max().map(|(_, name)| name.clone())
}
