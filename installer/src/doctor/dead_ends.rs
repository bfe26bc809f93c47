//! Attempts that do not work on a GPU that ROCm 7 dropped, recognised by the files they leave: each looks as
//! if it should work, and fails later and elsewhere.

use crate::{
    apply::{built, stock},
    inspect::{
        library::{self, Libraries, Library},
        store,
        tensile::{self, Tensile},
    },
    journal::Journal,
    lib_dir::LibDir,
    present::SONAME,
    root::Root,
};
use offload::Target;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
};

/// Why llama.cpp's `--override-tensor` does not help.
pub(super) const WHY_OVERRIDE: &str = "The argument places weights named ssm_. SOLVE_TRI works on \
     values that are computed during the run and has no weight of that name, so it stays on the GPU and \
     fails as before; the moved layers only become slower.";

/// An attempt that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadEnd {
    /// What was done.
    pub title: &'static str,
    /// The evidence.
    pub seen: Vec<String>,
    /// Why it fails.
    pub why: &'static str,
    /// What to do instead.
    pub cure: &'static str,
}

/// Longer than a command line that a person types, in bytes.
const COMMAND_LINE: u64 = 1 << 20;

/// The dead ends in a tree's library directory, inside the root, and around it. `stock_targets` are the GPU
/// targets that the stock library has code for, or none if unknown.
#[must_use]
pub fn dead_ends(root: &Root, lib: &Path, stock_targets: &BTreeSet<String>) -> Vec<DeadEnd> {
    // A directory that cannot be read is a finding of the inspection.
    let libraries = library::of(root, lib).unwrap_or_default();
    let front = store::rocblas(lib, &libraries);
    // With the shim in front, their remains do no harm.
    let tensile = front.filter(|library| is_stock(library)).and_then(|stock| {
        let files = tensile::of(root, lib, stock.version.as_deref())?;
        wrong_tensile_files(&files, stock_targets)
    });
    let older = front.and_then(|front| older_in_front(front, lib, &libraries));
    let removed = removed_stock(root, lib);
    let found = [tensile, older, removed, empty_programs(root), overridden_tensors(root)];
    found.into_iter().flatten().collect()
}

/// Whether a library is AMD's rocBLAS of ROCm 7.
pub(super) fn is_stock(library: &Library) -> bool {
    library.shim.is_none() && library.soname.as_deref() == Some(SONAME)
}

/// Tensile files that belong to another rocBLAS: for GPUs that the library has no code for.
fn wrong_tensile_files(files: &Tensile, stock_targets: &BTreeSet<String>) -> Option<DeadEnd> {
    // Target features do not matter here.
    let processor = |target: &String| target.split(':').next().map(str::to_owned);
    let stock: BTreeSet<String> = stock_targets.iter().filter_map(processor).collect();
    let runs = |device: &str, code: &str| {
        Target::parse(device).zip(Target::parse(code)).is_some_and(|(d, c)| d.runs(&c))
    };
    let foreign: Vec<&str> = (files.targets.keys().map(String::as_str))
        .filter(|device| stock.iter().all(|code| !runs(device, code)))
        .collect();
    if stock.is_empty() || foreign.is_empty() {
        return None;
    }
    let lost: Vec<&str> = (stock.iter().map(String::as_str))
        .filter(|code| files.targets.keys().all(|device| !runs(device, code)))
        .collect();
    let mut seen = vec![format!(
        "{} has files for {}, for which the library itself has no code",
        files.directory.display(),
        foreign.join(", ")
    )];
    if !lost.is_empty() {
        seen.push(format!("and none for {}, for which it has code", lost.join(", ")));
    }
    // `cp *gfx906*` adds one GPU, possibly to a directory from which others were pruned. The directory of
    // another release has several that this one dropped.
    if lost.is_empty() || foreign.len() == 1 {
        return Some(DeadEnd {
            title: "Tensile files of a GPU copied from another release",
            seen,
            why: "They are kernels of matrix products only, made for another rocBLAS. The kernels of \
                  TRSM and of everything else are compiled into librocblas.so, and this one was not \
                  compiled for the GPU: llama.cpp still dies in SOLVE_TRI.",
            cure: "installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb   (6.3's \
                   library together with its own files); the copied files may then be deleted",
        });
    }
    Some(DeadEnd {
        title: "the whole Tensile directory replaced by another release's",
        seen,
        why: "The library and its Tensile files belong together: names and parameters of kernels \
              change between releases, and the files for this release's GPUs are lost. TRSM's kernels are \
              not among these files at all, but in librocblas.so itself.",
        cure: "apt-get install --reinstall rocblas   (restores this release's files), then \
               installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb",
    })
}

/// `librocblas.so.5` symlinked to ROCm 6's library, or that library copied to the name.
fn older_in_front(front: &Library, lib: &Path, libraries: &Libraries) -> Option<DeadEnd> {
    let soname = front.soname.as_deref().filter(|soname| stock::is_older(soname))?;
    let name = lib.join(SONAME);
    let (title, what) = match front.links.iter().find(|link| link.path == name) {
        Some(link) => (
            "librocblas.so.5 linked to ROCm 6's library",
            format!("{} -> {}", name.display(), link.target.display()),
        ),
        None if front.path == name => (
            "ROCm 6's library copied to librocblas.so.5",
            format!("{} has the SONAME {soname}", name.display()),
        ),
        None => return None,
    };
    let stock = libraries.files.iter().find(|l| l.path.starts_with(lib) && is_stock(l));
    let mut seen = vec![what];
    seen.extend(stock.map(|stock| format!("{} still exists", stock.path.display())));
    let why = match stock {
        Some(_) => {
            "ldconfig, which every package installation runs, points librocblas.so.5 to the \
             highest file of that SONAME, the stock one. Until then rocSOLVER, and with it hipBLAS, \
             lacks functions of rocBLAS 7 that ROCm 6's library does not have."
        }
        None => {
            "rocSOLVER, and with it hipBLAS, lacks functions of rocBLAS 7 that ROCm 6's library does not \
             have. An upgrade of the package restores the stock library, and ldconfig then points \
             librocblas.so.5 to it."
        }
    };
    let cure = "installer apply   (replaces that symlink, which revert restores: the shim has a file name \
                that ldconfig prefers, and those functions)";
    Some(DeadEnd { title, seen, why, cure })
}

/// The stock library removed by hand, so that rocBLAS's CMake package names a missing file.
fn removed_stock(root: &Root, lib: &Path) -> Option<DeadEnd> {
    let is_missing = |name: &String| root.metadata(&lib.join(name)).is_err();
    let missing: Vec<String> =
        stock::cmake_names(root, lib).into_iter().filter(is_missing).collect();
    if missing.is_empty() || !is_kept_for_cmake(root, lib) {
        return None;
    }
    Some(DeadEnd {
        title: "the stock library removed by hand",
        seen: vec![format!(
            "rocBLAS's CMake package in {} names {}, which does not exist",
            lib.display(),
            missing.join(", ")
        )],
        why: "find_package(rocblas) fails without that file, so llama.cpp and other programs can no \
              longer be built.",
        cure: "installer apply   (makes that name a symlink to the shim)",
    })
}

/// Whether `apply` keeps the stock library's name for CMake here: unless it was told not to.
fn is_kept_for_cmake(root: &Root, lib: &Path) -> bool {
    let journal = LibDir::open(root, lib).and_then(|lib| Journal::load_or_rebuild(&lib));
    // An unreadable journal is a finding of the status.
    journal.ok().flatten().is_none_or(|loaded| loaded.journal.options.build_link)
}

/// Programs of llama.cpp that are empty files.
fn empty_programs(root: &Root) -> Option<DeadEnd> {
    let seen: Vec<String> = built::PROGRAM_DIRECTORIES
        .iter()
        .flat_map(|directory| in_directory(root, Path::new(directory)))
        .filter(|path| is_empty_program(root, path))
        .map(|path| format!("{} is empty", path.display()))
        .collect();
    (!seen.is_empty()).then_some(DeadEnd {
        title: "patched before llama.cpp was compiled",
        seen,
        why: "With librocblas.so.5.0.70002 removed, find_package(rocblas) fails: rocBLAS's CMake \
              package names that file. A shell line that hides the failure (`;` or `|| true` in a \
              RUN) then copies programs that were never built.",
        cure: "installer apply   (keeps that name for CMake), then build llama.cpp again, with \
               `set -e` or `&&` in the RUN line",
    })
}

fn in_directory(root: &Root, directory: &Path) -> Vec<PathBuf> {
    let names = root.names(directory).unwrap_or_default();
    names.into_iter().map(|name| directory.join(name)).collect()
}

fn is_empty_program(root: &Root, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("llama-") && root.metadata(path).is_ok_and(|m| m.is_file() && m.len() == 0)
}

/// Running programs of llama.cpp that were told to keep tensors of state-space models on the CPU. Of their
/// command lines only that argument is printed: others may be secret.
fn overridden_tensors(root: &Root) -> Option<DeadEnd> {
    let proc = Path::new("/proc");
    let names = root.names(proc).unwrap_or_default();
    let mut processes: Vec<(u32, String)> = (names.iter())
        .filter_map(|name| name.to_str()?.parse().ok())
        .filter_map(|id: u32| {
            Some((id, override_of(root, &proc.join(id.to_string()).join("cmdline"))?))
        })
        .collect();
    processes.sort();
    let seen: Vec<String> = (processes.into_iter())
        .map(|(id, value)| format!("process {id} runs with --override-tensor {value}"))
        .collect();
    (!seen.is_empty()).then_some(DeadEnd {
        title: "--override-tensor ssm_=CPU",
        seen,
        why: WHY_OVERRIDE,
        cure: "omit the argument; installer apply makes SOLVE_TRI work on the GPU",
    })
}

/// The value of the argument, if a process is llama.cpp's and has it.
fn override_of(root: &Root, command_line: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    // Processes come and go, and those of other users may not be readable.
    root.open(command_line).ok()?.take(COMMAND_LINE).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut arguments = text.split('\0');
    let program = arguments.next()?.rsplit('/').next()?;
    if !program.starts_with("llama") {
        return None;
    }
    while let Some(argument) = arguments.next() {
        let value = match argument {
            "-ot" | "--override-tensor" => arguments.next()?,
            _ => argument.strip_prefix("--override-tensor=").unwrap_or_default(),
        };
        if state_space_on_cpu(value) {
            return Some(value.to_owned());
        }
    }
    None
}

/// Whether a value of the argument keeps weights of a state-space model on the CPU.
pub(super) fn state_space_on_cpu(value: &str) -> bool {
    value.split(',').any(is_state_space_on_cpu)
}

/// `PATTERN=BUFFER`, of weights of a state-space model.
fn is_state_space_on_cpu(rule: &str) -> bool {
    rule.rsplit_once('=').is_some_and(|(pattern, buffer)| {
        pattern.contains("ssm") && buffer.to_ascii_uppercase().starts_with("CPU")
    })
}

#[cfg(test)]
mod tests;
