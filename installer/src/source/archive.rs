//! A backend from a package or archive: assembles the extracted files.

use super::{
    Content, Error, Source, SourceFile,
    candidate::{Backend, Candidate, choose},
    intake::{Intake, follow},
    part, release,
};
use rocblas_contract::kpack;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The maximum length of a chain of symlinks, as in the kernel.
const MAX_LINKS: usize = 40;

/// The backend among the extracted files.
pub(super) fn source(origin: &str, intake: Intake<'_>) -> Result<Source, Error> {
    let (entries, package_release) = intake.finish();
    let (libraries, kernels): (BTreeMap<_, _>, BTreeMap<_, _>) =
        entries.into_iter().partition(|(path, content)| {
            matches!(content, Content::File { .. }) && part::is_library(path)
        });
    let candidates = libraries.iter().filter_map(|(path, content)| {
        let Content::File { from, .. } = content else { return None };
        let name = path.file_name()?.to_str()?.to_owned();
        Some(Candidate { lib: path.parent()?.to_owned(), name, from: from.clone() })
    });
    let cure = "unpack it and pass the file of one of them instead";
    let backend = choose(origin, candidates.collect(), cure)?;
    let Backend { candidate: Candidate { lib, name, .. }, soname } = backend;
    let content = libraries[&lib.join(&name)].clone();
    let prefix = lib.parent().unwrap_or(Path::new(""));
    let archives: Vec<SourceFile> = (kernels.iter())
        .filter_map(|(path, content)| Some((path.strip_prefix(prefix).ok()?, content)))
        .filter(|(to, content)| {
            to.starts_with(kpack::DIRECTORY) && matches!(content, Content::File { .. })
        })
        .map(|(to, content)| SourceFile { to: to.to_owned(), content: content.clone() })
        .collect();
    let own = kernels.into_iter().filter_map(|(path, content)| {
        let to = path.strip_prefix(&lib).ok()?.to_owned();
        part::is_of(&soname, &to).then_some((to, content))
    });
    let own: BTreeMap<PathBuf, Content> = own.collect();
    check_layout(origin, &own)?;
    let kernels = own.into_iter().map(|(to, content)| SourceFile { to, content }).collect();
    let version = release::of_library(&name).or_else(|| release::of_path(&lib)).or(package_release);
    Source::new(origin, soname, &name, content, kernels, version).with_archives(archives)
}

/// Nothing may be below a file or symlink, and every symlink must resolve to an extracted file.
fn check_layout(origin: &str, entries: &BTreeMap<PathBuf, Content>) -> Result<(), Error> {
    let no_backend = |path: &Path, what: &str| {
        let path = path.display();
        let reason = format!("{path} in it is {what}; unpack it and pass the directory instead");
        Error::NoBackend { origin: origin.to_owned(), reason }
    };
    for (path, content) in entries {
        if let Some(above) = path.ancestors().skip(1).find(|above| entries.contains_key(*above)) {
            return Err(no_backend(above, "a file or symlink with other files below it"));
        }
        let (mut at, mut content) = (path.clone(), Some(content));
        let mut links = 0;
        while let Some(Content::Link { target }) = content.filter(|_| links < MAX_LINKS) {
            links += 1;
            at = follow(&at, target).unwrap_or_default();
            content = entries.get(&at);
        }
        if !matches!(content, Some(Content::File { .. })) {
            let what = "a symlink to none of the extracted files";
            return Err(no_backend(path, what));
        }
    }
    Ok(())
}
