//! Chooses the backends to compare: the named ones; if only one is named, it and the one that the program uses by
//! default; if none is named, or only that one, all backends that can be used.

use crate::{
    launch::{Backend, Failure, Installed, Program},
    output::{self, Code, Coded},
    root::Root,
};
use anyhow::{Error, anyhow};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// The backends to compare.
pub(super) struct Chosen {
    /// The name of each.
    pub(super) names: Vec<String>,
    pub(super) backends: Vec<Backend>,
}

/// The backends to compare, which must all be different.
pub(super) fn chosen(
    root: &Root,
    rocm: Option<&Path>,
    program: &Program,
    named: &[OsString],
) -> Result<Chosen, Failure> {
    if let [_, _, ..] = named {
        return different(root, rocm, program, named);
    }
    let installed = program.installed(root, rocm)?;
    let in_use = program.backend(root, rocm, &installed.in_use)?;
    let one =
        named.first().map(|name| Ok::<_, Failure>((name, program.backend(root, rocm, name)?)));
    match one.transpose()? {
        Some((name, backend)) if backend.library != in_use.library => {
            Ok(Chosen::of([(&installed.in_use, in_use), (name, backend)]))
        }
        // Either the default one is named, or none is.
        _ => {
            let mut all = vec![(&installed.in_use, in_use)];
            for name in &installed.others {
                match program.backend(root, rocm, name) {
                    Ok(backend) if all.iter().any(|(_, it)| it.library == backend.library) => {}
                    Ok(backend) => all.push((name, backend)),
                    Err(why) => output::notice(&format!("{} is left out: {why:#}", name.display())),
                }
            }
            if all.len() < 2 {
                return Err(usage(nothing_to_compare(&installed)));
            }
            Ok(Chosen::of(all))
        }
    }
}

impl Chosen {
    fn of<'a>(all: impl IntoIterator<Item = (&'a OsString, Backend)>) -> Self {
        let named = all.into_iter().map(|(name, backend)| (name.display().to_string(), backend));
        let (names, backends) = named.unzip();
        Self { names, backends }
    }
}

/// The named backends, which must all be different.
fn different(
    root: &Root,
    rocm: Option<&Path>,
    program: &Program,
    names: &[OsString],
) -> Result<Chosen, Failure> {
    let mut backends: Vec<Backend> = Vec::new();
    for name in names {
        let backend = program.backend(root, rocm, name)?;
        if let Some(at) = backends.iter().position(|other| other.library == backend.library) {
            return Err(same_twice([&names[at], name], &backend.library));
        }
        backends.push(backend);
    }
    Ok(Chosen::of(names.iter().zip(backends)))
}

fn same_twice(names: [&OsStr; 2], library: &Path) -> Failure {
    let [first, second] = names.map(OsStr::display);
    let error = anyhow!(
        "--backend {first} and --backend {second} are the same library, {}: name two different \
         backends; `installer backends list` lists them",
        library.display()
    );
    usage(error)
}

fn nothing_to_compare(installed: &Installed) -> Error {
    anyhow!(
        "there is one backend that can be used, {}, and nothing to compare it with: place another one in {} with \
         `installer backends add PATH`, or name the path of a rocBLAS with --backend",
        installed.in_use.display(),
        installed.lib.display()
    )
}

fn usage(error: Error) -> Failure {
    Failure { error: Coded { code: Code::Usage, error }.into(), code: 2 }
}
