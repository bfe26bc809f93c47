//! Which of the files named `librocblas.so*` is the backend, by what is in them.

use super::{Error, part};
use crate::{elf, plan::Contents};
use std::path::{Path, PathBuf};

/// A file that has a library's name.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The directory of the libraries, as people know it.
    pub(super) lib: PathBuf,
    /// Its name there.
    pub(super) name: String,
    /// Where it can be read.
    pub(super) from: Contents,
}

/// A candidate that can be a backend.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) candidate: Candidate,
    pub(super) soname: String,
}

/// The only one of the candidates that can be a backend. `cure` says how to name one of several.
pub(super) fn choose(
    origin: &str,
    candidates: Vec<Candidate>,
    cure: &'static str,
) -> Result<Backend, Error> {
    let (mut backends, mut refused) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let path = candidate.lib.join(&candidate.name);
        match examine(&candidate.from, &path)? {
            Ok(soname) => backends.push(Backend { candidate, soname }),
            Err(reason) => {
                refused.push(format!("{}: {reason}", path.display()));
            }
        }
    }
    let path = |backend: &Backend| backend.candidate.lib.join(&backend.candidate.name);
    match (backends.pop(), &backends[..]) {
        (Some(backend), []) => Ok(backend),
        (Some(last), others) => {
            let found = others.iter().map(path).chain([path(&last)]).collect();
            Err(Error::Several { origin: origin.to_owned(), cure, found })
        }
        (None, _) => {
            let reason = match refused.len() {
                0 => "there is no librocblas.so.* in it".to_owned(),
                _ => refused.join("; "),
            };
            Err(Error::NoBackend { origin: origin.to_owned(), reason })
        }
    }
}

/// The SONAME of a file that can be a backend, or why it cannot.
pub(super) fn examine(from: &Contents, path: &Path) -> Result<Result<String, String>, Error> {
    let file = from.open().map_err(|e| Error::unreadable(path, e))?;
    let summary = match elf::summary(&file) {
        Ok(summary) => summary,
        Err(malformed) => return Ok(Err(malformed.to_string())),
    };
    if !summary.machine_is_x86_64 {
        return Ok(Err(format!("it is for another machine ({})", summary.machine)));
    }
    if let Some(version) = summary.shim {
        return Ok(Err(format!("it is the shim itself ({version}), not a rocBLAS")));
    }
    let Some(soname) = summary.soname else {
        return Ok(Err("it is no rocBLAS: it has no SONAME".to_owned()));
    };
    // The name is going to be one in the store, so it must not be a path.
    if !part::is_library_name(&soname) {
        return Ok(Err(format!("it is no rocBLAS: its SONAME is {}", soname.escape_debug())));
    }
    if !summary.has_code {
        return Ok(Err("it is a stub: it has no code".to_owned()));
    }
    Ok(Ok(soname))
}
