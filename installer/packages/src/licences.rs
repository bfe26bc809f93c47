//! The licence texts of all crates that are linked in: most licences ask that they go along with a binary.

use crate::crates::{Crate, Id};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// How names of such files begin, whatever their case.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

const HEAD: &str = "\
The licences of the Rust crates that are linked into librocblas.so.5 and installer. A text that several
crates have is here once, below their names. The Rust standard library is linked in, too: it is under
MIT OR Apache-2.0, copyright The Rust Project Developers.
";

/// One text with all of them.
pub(crate) fn text(crates: &BTreeMap<Id, Crate>) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((name, version), linked) in crates {
        if linked.package.source.is_none() {
            continue;
        }
        let directory =
            linked.package.manifest_path.parent().context("a crate has no directory")?;
        let files = files(directory)?;
        if files.is_empty() {
            bail!("{name} {version} has no licence text in {}", directory.display());
        }
        let licence = linked.package.license.as_deref().unwrap_or("see below");
        for file in files {
            let text =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").trim().to_owned();
            let file = file.strip_prefix(directory).unwrap_or(&file);
            let user = format!("{name} {version} ({licence}): {}", file.display());
            texts.entry(text).or_default().push(user);
        }
    }
    let mut sections: Vec<(Vec<String>, String)> =
        texts.into_iter().map(|(text, users)| (users, text)).collect();
    sections.sort();
    let rule = "=".repeat(100);
    let sections = sections
        .into_iter()
        .map(|(users, text)| format!("\n{rule}\n{}\n{rule}\n\n{text}\n", users.join("\n")));
    Ok(HEAD.to_owned() + &sections.collect::<String>())
}

/// The licence files of a crate, also of C code in a directory of it.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().to_uppercase();
            if entry.file_type()?.is_dir() {
                if depth == 0 {
                    directories.push((entry.path(), 1));
                }
            } else if NAMES.iter().any(|begin| name.starts_with(begin)) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
