//! What to do about a line, for this GPU, this tree and this distribution. What the files on this machine
//! show takes precedence over what releases are known to contain.

use super::{
    cause::is_in_store,
    system::{NIX, System, bundle_of, is_of_windows, read_only},
};
use crate::{
    doctor::log::line::{Line, is_rocblas},
    gpu,
    output::quoted,
};
use rocblas_contract::{libraries::SONAME, store::SHIM_FILE};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The release that the shim forwards to.
pub(in crate::doctor) const BACKEND: &str = "6.3";

/// The release that the shim replaces.
const STOCK: &str = "7.0";

/// Advice for a log from Windows.
pub(super) const WINDOWS: &str = "run the program on Linux (the shim is for Linux only); on Windows use a rocBLAS \
    that was built for the GPU, or use Vulkan";

/// What advice depends on besides the line.
#[derive(Clone, Debug, Default)]
pub struct Advice {
    /// AMD's package of 6.3 for this distribution.
    pub package: String,
    /// The GPUs to assume if a line names none, without features.
    pub gpus: Vec<String>,
    /// The tree to assume if a line names none.
    pub own: Tree,
    /// The trees that lines name and that exist here.
    pub trees: BTreeMap<PathBuf, Tree>,
    /// Whether a log shows the shim.
    pub shown: Shown,
    /// The system that the log is from, or else this machine's.
    pub system: Option<System>,
    /// The log is from Windows, and no line of it names a Linux library.
    pub windows: bool,
}

/// Which evidence in a log shows the shim: its own sentences, or a path in its store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Some tree.
    pub somewhere: bool,
    /// The trees that are named.
    pub trees: BTreeSet<PathBuf>,
}

/// The state of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The shim is in place.
    pub applied: bool,
    /// The GPUs that it covers, as `inspect` determines.
    pub covered: BTreeSet<String>,
    /// The backends in the store, each with the GPUs it has code for.
    pub backends: Vec<(String, BTreeSet<String>)>,
}

impl Advice {
    /// ` --rocm TREE` for a line, quoted if a shell requires it.
    pub(super) fn rocm(&self, line: &Line) -> String {
        line.tree.as_deref().map(|tree| format!(" --rocm {}", quoted(tree))).unwrap_or_default()
    }

    fn tree(&self, line: &Line) -> Option<&Tree> {
        match &line.tree {
            Some(tree) => self.trees.get(tree),
            None => Some(&self.own),
        }
    }

    /// Whether the shim is in the tree of a line, from what is here or from what the log shows.
    pub(super) fn is_applied(&self, line: &Line) -> bool {
        let is_shown = match &line.tree {
            Some(tree) => self.shown.trees.contains(tree),
            None => self.shown.somewhere,
        };
        is_shown || self.tree(line).is_some_and(|tree| tree.applied)
    }

    /// The GPU of a line, or the only candidate.
    fn gpu<'a>(&'a self, line: &'a Line) -> Option<&'a str> {
        match (&line.gpu, self.gpus.as_slice()) {
            (Some(gpu), _) => Some(gpu),
            (None, [only]) => Some(only),
            _ => None,
        }
    }

    /// The candidate GPUs, if a line does not say which.
    pub(in crate::doctor) fn candidates(&self) -> String {
        match self.gpus.as_slice() {
            [first @ .., last] if !first.is_empty() => {
                format!("{} or {last}; the log does not say which", first.join(", "))
            }
            _ => "your GPU".to_owned(),
        }
    }

    /// A fix, if the files that it changes can be changed.
    pub(super) fn possible(&self, line: &Line, cure: String) -> String {
        const ACTS: [&str; 6] = [
            "installer apply",
            "installer repair",
            "installer backends",
            "installer inspect",
            "--reinstall",
            "install that release's",
        ];
        let is_windows = is_of_windows(&line.message) || self.windows && line.path.is_none();
        let acts = ACTS.iter().any(|act| cure.contains(act));
        if is_windows {
            return if acts || cure == WINDOWS {
                WINDOWS.to_owned()
            } else {
                format!("{cure}; {WINDOWS}")
            };
        }
        let of_nix = Some(Path::new(NIX)).filter(|_| self.system == Some(System::Nix));
        let path = line.tree.as_deref().or(line.path.as_deref()).or(of_nix);
        match path.and_then(read_only) {
            Some(owner) if acts => format!(
                "files of {owner} cannot be changed: copy the tree to a directory of yours, pass that to \
                 `installer apply --rocm`, and let the program load it (LD_LIBRARY_PATH); or build the \
                 package with a rocBLAS that has code for {} (in nixpkgs: rocblas's gpuTargets)",
                self.gpu(line).map_or_else(|| self.candidates(), str::to_owned)
            ),
            _ => cure,
        }
    }

    /// How the package of a library is installed.
    pub(super) fn install(&self, library: &str) -> String {
        match self.system {
            Some(system) => system.install(library),
            None => format!(
                "{}; on Fedora and RHEL {}",
                System::Apt.install(library),
                System::Dnf.install(library)
            ),
        }
    }

    /// A fix with `apply`, or with `repair` if the shim is in place already.
    pub(super) fn apply_or_repair(&self, line: &Line, apply: &str) -> String {
        match self.is_applied(line) {
            true => format!("installer repair{0}; installer inspect{0}", self.rocm(line)),
            false => apply.to_owned(),
        }
    }

    /// A fix for the shim's own sentences.
    pub(super) fn of_shim(&self, cure: &str) -> String {
        if self.own.applied && cure.contains("installer apply") {
            return "installer verify; installer repair   (places the backend again); `installer backends \
                    list` shows what there is"
                .to_owned();
        }
        cure.replace("PACKAGE", &self.package)
    }

    /// The fix if rocBLAS lacks a GPU's kernels.
    pub(super) fn kernels(&self, line: &Line) -> String {
        let rocm = self.rocm(line);
        let here = self.tree(line);
        let Some(gpu) = self.gpu(line) else {
            return match self.is_applied(line) {
                true if self.gpus.len() > 1 => format!(
                    "installer inspect{rocm}   (which file is loaded, and what it covers; the GPU is {})",
                    self.candidates()
                ),
                true => {
                    format!("installer inspect{rocm}   (which file is loaded, and what it covers)")
                }
                false => format!(
                    "installer apply{rocm} --backend {}   (with --gpu and {})",
                    self.package,
                    self.candidates()
                ),
            };
        };
        if let Some(here) = here {
            if here.covered.contains(gpu) {
                return format!(
                    "installer which PROGRAM   (the rocBLAS in place covers {gpu}: the program loads another \
                     rocBLAS); unset ROCBLAS_TENSILE_LIBPATH and LD_LIBRARY_PATH"
                );
            }
            if let Some((name, _)) = here.backends.iter().find(|(_, gpus)| gpus.contains(gpu)) {
                return format!("installer backends use {name}{rocm}   (it has code for {gpu})");
            }
        }
        if gpu::is_served(BACKEND, gpu) != Some(true) {
            return unserved(gpu);
        }
        if let Some(release) = line.release.as_deref().filter(|release| is_before_stock(release)) {
            if gpu::is_served(release, gpu) == Some(false) {
                return format!(
                    "this is the rocBLAS of ROCm {release}, whose packages have no files for {gpu}: \
                     use ROCm {BACKEND}, which serves {gpu}, or ROCm 7 with the shim"
                );
            }
            return format!(
                "this is the rocBLAS of ROCm {release}, but the shim replaces that of ROCm 7: \
                 unset ROCBLAS_TENSILE_LIBPATH, and reinstall that release's rocblas package"
            );
        }
        if is_in_stock(line, gpu) {
            return format!(
                "unset ROCBLAS_TENSILE_LIBPATH; reinstall rocBLAS's package, or the program's wheel: \
                 ROCm 7's serves {gpu}, but its files are missing"
            );
        }
        if self.is_applied(line) {
            return format!(
                "installer inspect{rocm} --gpu {gpu}   (what the backend lacks); installer backends{rocm} \
                 add {} --gpu {gpu}, and select it",
                self.package
            );
        }
        format!("installer apply{rocm} --backend {} --gpu {gpu}", self.package)
    }

    /// The fix in case rocBLAS lacks a GPU's kernels; `None` if it has them.
    pub(super) fn missing_kernels(&self, line: &Line) -> Option<String> {
        let kernels = self.kernels(line);
        match self.gpu(line) {
            Some(gpu) if is_in_stock(line, gpu) => None,
            Some(_) => Some(kernels),
            None => Some(format!("on a GPU that this ROCm dropped, such as gfx906: {kernels}")),
        }
    }

    /// The fix if the program itself, or a library other than rocBLAS, lacks a GPU's code.
    pub(super) fn build(&self, line: &Line) -> String {
        let Some(gpu) = self.gpu(line) else {
            return format!(
                "build the program for {}, with the target that `rocminfo` prints (-DGPU_TARGETS=gfx..., in \
                 older versions -DAMDGPU_TARGETS), or get a build that has it; unset \
                 HSA_OVERRIDE_GFX_VERSION",
                self.candidates()
            );
        };
        let what = match line.library.as_deref() {
            Some(library) => format!("get a build of {library} that has code for {gpu}"),
            None => format!(
                "build the program for the GPU (-DGPU_TARGETS={gpu}, in older versions \
                 -DAMDGPU_TARGETS)"
            ),
        };
        let served = if gpu::is_served(BACKEND, gpu) == Some(true) {
            String::new()
        } else {
            format!("; {}", unserved(gpu))
        };
        format!("{what}; unset HSA_OVERRIDE_GFX_VERSION{served}")
    }

    /// The fix if a file is for a newer distribution: the shim, a backend, a library of ROCm or the program.
    pub(super) fn of_this_system(&self, line: &Line) -> String {
        let rocm = self.rocm(line);
        let library = line.library.as_deref().unwrap_or_default();
        let again = match line.path.as_deref().and_then(bundle_of) {
            Some(owner) => format!("get a build of {owner} for this distribution"),
            None => self.system.unwrap_or(System::Apt).reinstall(library),
        };
        let shim = "get the shim that was built for this distribution, or build it here, and install it with \
                    `installer repair`";
        if is_in_store(line) {
            return format!(
                "installer backends{rocm} add {}   (the package of this release), and select it",
                self.package
            );
        }
        if library == SHIM_FILE {
            return format!("{shim}; until then: installer revert{rocm}");
        }
        if is_rocblas(line) && library.starts_with(SONAME) {
            return format!(
                "installer inspect{rocm}   (is it the shim or ROCm's?); the shim: {shim}; ROCm's: {again}"
            );
        }
        if is_rocblas(line) {
            return format!("get the package of this release: {}", self.package);
        }
        if is_of_rocm(library) {
            return format!("reinstall {} for this release: {again}", package_of(library));
        }
        match library {
            "" => "build the program on this distribution, or get its build for it".to_owned(),
            _ => format!("build {library} on this distribution, or get its build for it"),
        }
    }
}

/// Whether a library is one of ROCm's, by its file's name.
pub(super) fn is_of_rocm(library: &str) -> bool {
    const STARTS: [&str; 7] =
        ["libroc", "libhip", "libamd", "libhsa", "librccl", "libMIOpen", "libmigraphx"];
    STARTS.iter().any(|start| library.starts_with(start))
}

/// What is known about a GPU that 6.3 does not serve.
pub(in crate::doctor) fn unserved(gpu: &str) -> String {
    let releases: Vec<&str> =
        gpu::served_by(gpu).iter().map(|release| release.rocm.as_str()).collect();
    if !releases.is_empty() {
        return format!(
            "ROCm {BACKEND}'s rocBLAS is not known to serve {gpu}; that of ROCm {} is: update the \
             program's ROCm libraries to one of these, or use Vulkan",
            releases.join(", ")
        );
    }
    let else_ = if gpu::is_integrated(gpu) {
        "hide that GPU from programs, with the number of another in HIP_VISIBLE_DEVICES, or use Vulkan"
    } else {
        "build rocBLAS for it, or use Vulkan"
    };
    format!("no known release of rocBLAS serves {gpu}, not even {BACKEND}: {else_}")
}

/// Whether the line's rocBLAS, or else ROCm 7's, serves a GPU.
fn is_in_stock(line: &Line, gpu: &str) -> bool {
    gpu::is_served(line.release.as_deref().unwrap_or(STOCK), gpu) == Some(true)
}

fn is_before_stock(release: &str) -> bool {
    release
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major < 7)
}

/// The package of a library, as AMD names them.
pub(super) fn package_of(library: &str) -> String {
    let stem = library.split(".so").next().unwrap_or(library);
    match stem.strip_prefix("lib").unwrap_or(stem) {
        "amdhip64" => "hip-runtime-amd".to_owned(),
        "MIOpen" => "miopen-hip".to_owned(),
        "hsa-runtime64" => "hsa-rocr".to_owned(),
        "amd_comgr" => "comgr".to_owned(),
        other if is_of_rocm(stem) => other.to_ascii_lowercase(),
        _ => stem.to_owned(),
    }
}
