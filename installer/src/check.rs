//! `check`: whether programs would load, and which ROCm libraries they would use. These are the checks of
//! `apply --built`, without an apply and without a tree.

use crate::{
    apply::built,
    elf::{self, Kind},
    program,
    root::Root,
    which::{
        self, Library, Uses,
        program::{Environment, Foretold},
    },
};
use serde::Serialize;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// The most names in one line.
const MOST_NAMES: usize = 4;

/// A program or library that was checked.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Inside the root.
    pub path: String,
    /// What it would use.
    #[serde(flatten)]
    pub uses: Uses,
    /// Why it would not load, one sentence each, with the fix.
    pub problems: Vec<String>,
}

/// Everything that was checked.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// By path.
    pub checked: Vec<Checked>,
    /// Named files that could not be checked, and why.
    pub faults: Vec<String>,
}

/// Checks programs, libraries, and those in directories, as if started with this command's environment.
#[must_use]
pub fn check(root: &Root, named: &[PathBuf]) -> Report {
    let environment = Environment::current(root);
    let mut report = Report::default();
    let mut files: Vec<PathBuf> = Vec::new();
    for name in named {
        match program::find(root, name) {
            Err(e) => report.faults.push(e.to_string()),
            Ok(path) => {
                let found = built::look_in(root, &path);
                files.extend(found.files);
                report.faults.extend(found.faults.iter().map(|fault| format!("{fault:#}")));
            }
        }
    }
    files.sort();
    files.dedup();
    report.checked = files.iter().map(|path| judge(root, path, &environment)).collect();
    report
}

fn judge(root: &Root, path: &Path, environment: &Environment) -> Checked {
    let Foretold { uses, problems, no_backend, .. } = which::program::of(root, path, environment);
    let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.extend(no_backend.map(|why| {
        format!(
            "the shim would find no backend: {why}. Run `installer apply --backend PATH`, or \
             `installer backends use NAME`"
        )
    }));
    problems.extend(not_native(root, path));
    Checked { path: path.display().to_string(), uses, problems }
}

/// Files that the loader model accepts but no system starts.
fn not_native(root: &Root, path: &Path) -> Option<String> {
    let summary = root.open(path).ok().and_then(|file| elf::summary(&file).ok())?;
    let is_object = matches!(summary.kind, Kind::Relocatable | Kind::Core);
    is_object.then(|| format!("{} is neither a program nor a library", path.display()))
}

impl Report {
    /// 1 if something would not load or could not be checked, else 3 if nothing uses rocBLAS, else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if !self.faults.is_empty() || self.checked.iter().any(|one| !one.problems.is_empty()) {
            1
        } else if self.checked.iter().all(|one| one.uses.rocblas.is_empty()) {
            3
        } else {
            0
        }
    }

    /// One block of lines for files with equal results.
    #[must_use]
    pub fn text(&self) -> String {
        let mut groups: Vec<Vec<&Checked>> = Vec::new();
        for one in &self.checked {
            match groups.iter_mut().find(|group| group[0].agrees_with(one)) {
                Some(group) => group.push(one),
                None => groups.push(vec![one]),
            }
        }
        let mut text: String = groups.iter().map(|group| block(group)).collect();
        for fault in &self.faults {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", which::plain(fault));
        }
        let failed = self.checked.iter().filter(|one| !one.problems.is_empty()).count();
        let _ = match (self.checked.len(), failed) {
            (0, _) => writeln!(text, "Nothing was checked."),
            (1, 0) => writeln!(text, "It would load."),
            (all, 0) => writeln!(text, "All {all} would load."),
            (1, _) => writeln!(text, "It would not load."),
            (all, failed) => writeln!(text, "{failed} of {all} would not load."),
        };
        if self.exit_code() == 3 {
            text += "None uses rocBLAS. Was llama.cpp built with -DGGML_HIP=ON? A program that opens its \
                     libraries at run time is not found this way: also name the library (libggml-hip.so).\n";
        }
        text
    }
}

impl Checked {
    fn agrees_with(&self, other: &Self) -> bool {
        fn paths(uses: &Uses) -> impl Iterator<Item = &Library> {
            let backend = uses.backend.iter().map(|backend| &backend.library);
            uses.rocblas.iter().chain(backend).chain(&uses.hip).chain(&uses.hipblas)
        }
        paths(&self.uses).eq(paths(&other.uses))
            && self.uses.notes == other.uses.notes
            && self.problems == other.problems
    }
}

fn block(group: &[&Checked]) -> String {
    let names: Vec<&str> = group.iter().take(MOST_NAMES).map(|one| one.path.as_str()).collect();
    let more = match group.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let mut text =
        format!("{}{more}\n{}", which::plain(&names.join(", ")), which::rows(&group[0].uses));
    for problem in &group[0].problems {
        let _ = writeln!(text, "  would not load: {}", which::plain(problem));
    }
    for note in &group[0].uses.notes {
        let _ = writeln!(text, "  note: {}", which::plain(note));
    }
    text.push('\n');
    text
}
