//! Prints a table of sizes before and after, by target.

use super::Report;
use crate::output::{grouped, shown};
use offload::slim::Size;

/// The output for one file.
#[must_use]
pub fn text(report: &Report) -> String {
    let Report { file, output, gpus, changed, size, targets } = report;
    let gpus = gpus.join(", ");
    let mut text = match output {
        Some(output) if *changed => {
            format!("{}: kernels for {gpus} only, written to {}\n", shown(file), shown(output))
        }
        Some(output) => {
            format!("{}: nothing to remove for {gpus}, copied to {}\n", shown(file), shown(output))
        }
        None => format!("{}: nothing to remove for {gpus}\n", shown(file)),
    };
    let rows = targets.iter().map(|(name, size)| (name.as_str(), *size));
    let rows: Vec<(&str, Size)> = rows.chain([("file", *size)]).collect();
    let width = |text: fn(&Size) -> u64| {
        rows.iter().map(|(_, size)| grouped(text(size)).len()).max().unwrap_or(0).max(6)
    };
    let (before, after) = (width(|size| size.before), width(|size| size.after));
    let name = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    text += &format!("  {:name$}  {:>before$}  {:>after$}  (bytes)\n", "", "before", "after");
    for (label, size) in rows {
        let (old, new) = (grouped(size.before), grouped(size.after));
        text += &format!("  {label:name$}  {old:>before$}  {new:>after$}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, path::PathBuf};

    fn report(changed: bool, output: Option<&str>) -> Report {
        let after = |after| Size { before: 98_000_000, after };
        let targets = [("gfx906", after(98_000_000)), ("gfx90a:xnack-", after(0))];
        Report {
            file: PathBuf::from("/lib/whole.so"),
            output: output.map(PathBuf::from),
            gpus: vec!["gfx906".to_owned()],
            changed,
            size: Size { before: 200_000_000, after: 102_000_000 },
            targets: BTreeMap::from(targets.map(|(name, size)| (name.to_owned(), size))),
        }
    }

    #[test]
    fn sizes_are_in_columns() {
        let expected = "\
/lib/whole.so: kernels for gfx906 only, written to /lib/slim.so
                      before        after  (bytes)
  gfx906          98,000,000   98,000,000
  gfx90a:xnack-   98,000,000            0
  file           200,000,000  102,000,000
";
        assert_eq!(text(&report(true, Some("/lib/slim.so"))), expected);
    }

    #[test]
    fn a_file_without_anything_to_leave_out_is_said() {
        for (output, expected) in [
            (None, "/lib/whole.so: nothing to remove for gfx906\n"),
            (Some("/new.so"), "/lib/whole.so: nothing to remove for gfx906, copied to /new.so\n"),
        ] {
            assert!(text(&report(false, output)).starts_with(expected));
        }
    }
}
