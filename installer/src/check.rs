//! `check`: whether programs that were built would load, and which libraries of ROCm they would get.
//! It is what `apply --built` refuses by, without an apply and without a tree.

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

/// More names than a line is readable with.
const MOST_NAMES: usize = 4;

/// A program or library that was judged.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Inside the root.
    pub path: String,
    /// What it would use.
    #[serde(flatten)]
    pub uses: Uses,
    /// Why it would not load, a sentence each, with the cure.
    pub problems: Vec<String>,
}

/// All that was judged.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// By path.
    pub checked: Vec<Checked>,
    /// What was named and could not be judged, and why.
    pub faults: Vec<String>,
}

/// Judges programs, libraries, and those in directories, as they would be started with this
/// command's environment.
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

/// What the model of the loader accepts and no system starts.
fn not_native(root: &Root, path: &Path) -> Option<String> {
    let summary = root.open(path).ok().and_then(|file| elf::summary(&file).ok())?;
    let is_object = matches!(summary.kind, Kind::Relocatable | Kind::Core);
    is_object.then(|| format!("{} is neither a program nor a library", path.display()))
}

impl Report {
    /// 1 if something would not load or could not be judged, else 3 if none uses rocBLAS, else 0.
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

    /// A block of lines for those that agree in everything.
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
            text += "None uses rocBLAS. Was llama.cpp built with -DGGML_HIP=ON? A program that opens \
                     its libraries while it runs is judged by them: name libggml-hip.so too.\n";
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
