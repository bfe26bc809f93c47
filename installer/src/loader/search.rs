//! Finds a library: the search order of ld.so(8), and which files the loader skips.

use super::{
    cache::{Broken, Cache},
    directories, hwcaps,
    problem::Problem,
};
use crate::{
    elf::{self, Fault, Kind, Summary},
    root::Root,
};
use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

pub(super) const CACHE: &str = "/etc/ld.so.cache";

/// A library that can be loaded.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The path in the loader's form: the searched directory and the name.
    pub(super) path: PathBuf,
    /// The file behind all symlinks.
    pub(super) resolved: PathBuf,
    /// Device and inode, which identify the file.
    pub(super) id: (u64, u64),
    pub(super) summary: Summary,
}

/// Why it was not found.
#[derive(Debug)]
pub(super) enum Miss {
    /// It is not in any of these directories.
    Absent(Vec<PathBuf>),
    /// A file of that name exists, but for another machine.
    Foreign { path: PathBuf, machine: String },
    /// The loader selects a file that it then rejects.
    Refused(Problem),
}

/// The state common to all libraries of a process.
#[derive(Debug)]
pub(super) struct Search<'a> {
    root: &'a Root,
    library_path: &'a [PathBuf],
    cache: Option<Cache>,
    defaults: Vec<PathBuf>,
    levels: Vec<&'static str>,
}

impl<'a> Search<'a> {
    /// A problem with the cache; the loader continues without it.
    pub(super) fn new(root: &'a Root, library_path: &'a [PathBuf]) -> (Self, Option<Problem>) {
        let (cache, problem) = match root.open(Path::new(CACHE)).map(read_cache) {
            Ok(Ok(cache)) => (Some(cache), None),
            Ok(Err(problem)) => (None, Some(problem)),
            Err(_) => (None, None),
        };
        let defaults = directories::defaults(root);
        (Self { root, library_path, cache, defaults, levels: hwcaps::levels() }, problem)
    }

    /// Finds a name without a slash. `rpaths` precede the library path, `runpaths` follow it.
    pub(super) fn find(
        &self,
        name: &str,
        rpaths: &[PathBuf],
        runpaths: &[PathBuf],
    ) -> Result<Found, Miss> {
        let mut foreign = None;
        let mut looked_in = Vec::new();
        for directory in rpaths.iter().chain(self.library_path).chain(runpaths) {
            if let Some(found) = self.look_in(directory, name, &mut foreign)? {
                return Ok(found);
            }
            looked_in.push(directory.clone());
        }
        if let Some(cache) = &self.cache {
            if let Some(path) = cache.find(name, &self.levels)
                && let Some(found) = self.probe(path, &mut foreign)?
            {
                return Ok(found);
            }
            looked_in.push(CACHE.into());
        }
        for directory in &self.defaults {
            if let Some(found) = self.look_in(directory, name, &mut foreign)? {
                return Ok(found);
            }
            looked_in.push(directory.clone());
        }
        Err(foreign.unwrap_or(Miss::Absent(looked_in)))
    }

    /// Uses a file given by its path.
    pub(super) fn open(&self, path: &Path) -> Result<Found, Miss> {
        let mut foreign = None;
        match self.probe(path, &mut foreign)? {
            Some(found) => Ok(found),
            None => Err(foreign.unwrap_or_else(|| Miss::Absent(vec![path.to_owned()]))),
        }
    }

    /// The file of an object that is loaded.
    pub(super) fn file(&self, found: &Found) -> Result<File, Problem> {
        let why = |e: std::io::Error| Problem::Unreadable {
            path: found.resolved.clone(),
            why: e.to_string(),
        };
        self.root.open(&found.resolved).map_err(why)
    }

    /// A directory of a search path with its variables replaced. `None` for a relative one, which depends on
    /// where the process is started.
    pub(super) fn expand(&self, text: &str, origin: &Path) -> Option<PathBuf> {
        let text = replace_variables(text, |variable| match variable {
            "ORIGIN" => Some(origin.to_string_lossy().into_owned()),
            "LIB" => Some(directories::lib(&self.defaults).to_string_lossy().into_owned()),
            // AT_PLATFORM, from the kernel.
            "PLATFORM" => Some("x86_64".to_owned()),
            _ => None,
        });
        Some(PathBuf::from(text)).filter(|path| path.is_absolute())
    }

    fn look_in(
        &self,
        directory: &Path,
        name: &str,
        foreign: &mut Option<Miss>,
    ) -> Result<Option<Found>, Miss> {
        for level in &self.levels {
            let preferred = directory.join("glibc-hwcaps").join(level).join(name);
            if let Some(found) = self.probe(&preferred, foreign)? {
                return Ok(Some(found));
            }
        }
        self.probe(&directory.join(name), foreign)
    }

    /// The loader continues if the file does not exist, is not readable, or is for another class or machine;
    /// it fails on any other file that is not a library.
    fn probe(&self, path: &Path, foreign: &mut Option<Miss>) -> Result<Option<Found>, Miss> {
        let Ok(resolved) = self.root.resolve(path) else { return Ok(None) };
        let Ok(file) = self.root.open(&resolved) else { return Ok(None) };
        let Ok(metadata) = file.metadata() else { return Ok(None) };
        let summary = elf::summary(&file).map_err(|e| Miss::Refused(refusal(&resolved, e)))?;
        if !summary.machine_is_x86_64 {
            let (path, machine) = (path.to_owned(), summary.machine);
            foreign.get_or_insert(Miss::Foreign { path, machine });
            return Ok(None);
        }
        if !matches!(summary.kind, Kind::Shared | Kind::Executable) {
            let what = "neither a shared library nor a program".to_owned();
            return Err(Miss::Refused(Problem::Malformed { path: resolved, offset: 0x10, what }));
        }
        let id = (metadata.dev(), metadata.ino());
        Ok(Some(Found { path: path.to_owned(), resolved, id, summary }))
    }
}

/// Reports a file that cannot be parsed as a problem.
pub(super) fn refusal(path: &Path, malformed: elf::Malformed) -> Problem {
    let path = path.to_owned();
    match malformed.what {
        Fault::Unreadable(e) => Problem::Unreadable { path, why: e.to_string() },
        what => Problem::Malformed { path, offset: malformed.offset, what: what.to_string() },
    }
}

fn read_cache(file: File) -> Result<Cache, Problem> {
    Cache::read(&file).map_err(|broken| match broken {
        Broken::Malformed { offset, what } => {
            Problem::Malformed { path: CACHE.into(), offset: offset as u64, what: what.into() }
        }
        Broken::Unreadable(e) => Problem::Unreadable { path: CACHE.into(), why: e.to_string() },
    })
}

/// Replaces `$NAME` and `${NAME}` for known names.
fn replace_variables(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        replaced.push_str(before);
        let plain = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => after.split_at(plain.unwrap_or(after.len())),
        };
        match value(name) {
            Some(value) => {
                replaced.push_str(&value);
                rest = behind;
            }
            None => {
                replaced.push('$');
                rest = after;
            }
        }
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_whole_words() {
        let expand = |text| replace_variables(text, |name| (name == "ORIGIN").then(|| "/o".into()));
        for (text, expanded) in [
            ("$ORIGIN/../lib", "/o/../lib"),
            ("${ORIGIN}x:$ORIGIN", "/ox:/o"),
            ("$ORIGINAL/$", "$ORIGINAL/$"),
            ("${ORIGIN", "${ORIGIN"),
            ("/$OTHER/$ORIGIN", "/$OTHER//o"),
        ] {
            assert_eq!(expand(text), expanded, "{text}");
        }
    }
}
