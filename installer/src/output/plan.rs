//! Prints the steps of a plan: hundreds of Tensile files are one line.

use super::{
    DIM,
    printable::shown,
    text::{Line, Text},
};
use crate::plan::{Action, Step};
use indicatif::HumanBytes;
use std::path::Path;

/// The minimum number of steps that are combined into one line.
const FEWEST: usize = 4;

/// A line for each step and for each reason. Unless all are requested, consecutive files of one directory
/// with the same reason are combined into a line with their number and size.
#[must_use]
pub(super) fn text(steps: &[Step], all: bool) -> Text {
    let mut text = Text::new();
    let mut reason = "";
    for group in steps.chunk_by(belong_together) {
        let [first, ..] = group else { continue };
        if first.reason != reason {
            reason = &first.reason;
            text.line(Line::new().styled(DIM, format_args!("# {reason}")));
        }
        match file(&first.action) {
            Some((verb, directory, _)) if group.len() >= FEWEST && !all => {
                let sizes = group.iter().filter_map(|step| file(&step.action)?.2);
                let bytes: u64 = sizes.sum();
                let line = Line::from("  ")
                    .text(format_args!("{verb:<7} {} files in ", group.len()))
                    .text(shown(directory))
                    .text("/");
                text.line(if bytes > 0 {
                    line.text(format_args!(" ({})", HumanBytes(bytes)))
                } else {
                    line
                });
            }
            _ => group.iter().for_each(|step| text.line(format_args!("  {}", step.action))),
        }
    }
    text
}

fn belong_together(a: &Step, b: &Step) -> bool {
    let place =
        |step: &Step| file(&step.action).map(|(verb, directory, _)| (verb, directory.to_owned()));
    a.reason == b.reason && place(a).is_some() && place(a) == place(b)
}

/// The action on a file, the file's directory, and its size if known.
fn file(action: &Action) -> Option<(&'static str, &Path, Option<u64>)> {
    let (verb, path, size) = match action {
        Action::Copy { path, size, keep: None, .. } => ("place", path, Some(*size)),
        Action::Remove { path } => ("remove", path, None),
        _ => return None,
    };
    // Files directly in the library directory have no directory name to print.
    Some((verb, path.path().parent().filter(|parent| !parent.as_os_str().is_empty())?, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{place::Place, plan::Contents, state::FileState};

    fn step(path: &str, reason: &str, size: Option<u64>) -> Step {
        let path = Place::new(path.as_ref()).expect("plain");
        let action = match size {
            Some(size) => Action::Copy {
                from: "/x".into(),
                path,
                size,
                keep: None,
                source: Contents::Listed,
                state: FileState { size, mode: 0o644, modified: 0, digest: None },
            },
            None => Action::Remove { path },
        };
        Step { action, reason: reason.to_owned() }
    }

    #[test]
    fn files_of_one_directory_are_one_line() {
        let mut steps = vec![step("s/librocblas.so.4", "the backend", Some(7))];
        let names = ["a", "b", "c", "d\n\u{1b}"];
        let place = |name| step(&format!("s/rocblas/library/{name}"), "the backend", Some(1024));
        steps.extend(names.map(place));
        steps.extend(names.map(|name| step(&format!("s/rocblas/library/{name}"), "old", None)));
        steps.extend(["t/a", "t/b", "u/c", "u/d"].map(|path| step(path, "old", None)));
        assert_eq!(
            text(&steps, false).plain(),
            "# the backend\n  place   s/librocblas.so.4 (7 B)\n  \
             place   4 files in s/rocblas/library/ (4.00 KiB)\n# old\n  \
             remove  4 files in s/rocblas/library/\n  \
             remove  t/a\n  remove  t/b\n  remove  u/c\n  remove  u/d\n"
        );
        let all = text(&steps, true).plain();
        assert_eq!(all.lines().count(), 2 + steps.len(), "{all}");
        assert!(all.contains(r"s/rocblas/library/d\n\u{1b} (1.00 KiB)"), "{all}");
    }
}
