//! Shared by the tests of all themes: a machine with ROCm 7.0.2, ROCm 6.3's rocBLAS next to it, and the
//! installer's output.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tests::{
    amd_tree::{AmdTree, Backend, rocm_6_3},
    artefacts,
    dpkg::{self, Dpkg, build_deb},
    kept,
    run::Ended,
    scratch,
    skip::skip,
    snapshot::Snapshot,
};

/// A machine, and a directory outside it with the backend.
pub(crate) struct Machine {
    pub(crate) tree: AmdTree,
    outside: tempfile::TempDir,
    pub(crate) backend: PathBuf,
}

impl Machine {
    /// With a backend of a few functions that has the dependencies of the real one.
    pub(crate) fn new() -> Self {
        Self::with(Backend::Needing(&[]))
    }

    pub(crate) fn with(backend: Backend<'_>) -> Self {
        let outside = scratch::directory();
        let backend = rocm_6_3(outside.path(), backend);
        Self { tree: AmdTree::new(), outside, backend }
    }

    /// Without ROCm, and with a backend that has all dependencies of AMD's, compiled once for all machines.
    pub(crate) fn without_rocm() -> Self {
        static COMPILED: OnceLock<PathBuf> = OnceLock::new();
        let backend = COMPILED.get_or_init(|| rocm_6_3(&kept::directory(), Backend::NeedingRoctx));
        let outside = scratch::directory();
        Self { tree: AmdTree::without_rocm(), outside, backend: backend.clone() }
    }

    /// A directory for files that do not belong to the machine.
    pub(crate) fn outside(&self) -> &Path {
        self.outside.path()
    }

    /// Runs `apply` with the options that it needs here, and others.
    pub(crate) fn apply(&self, more: &[&str]) -> Ended {
        let shim = artefacts::shim().to_str().expect("UTF-8");
        let backend = self.backend.to_str().expect("UTF-8");
        let needed = ["apply", "--backend", backend, "--shim", shim];
        self.tree.installer(&[&needed, more].concat())
    }

    pub(crate) fn revert(&self) -> Ended {
        self.tree.installer(&["revert"])
    }

    /// The only line of `status`, and its exit code.
    pub(crate) fn status(&self) -> (i32, String) {
        let ended = self.tree.installer(&["status"]);
        (ended.status.code().expect("an exit code"), ended.stdout)
    }

    #[track_caller]
    pub(crate) fn assert_applied(&self) {
        let (code, line) = self.status();
        assert_eq!(code, 0, "{line}");
        assert!(line.contains("applied: shim"), "{line}");
    }

    /// A name in the library directory.
    pub(crate) fn lib(&self, name: &str) -> PathBuf {
        self.tree.lib().join(name)
    }

    /// The target of a symlink in the library directory.
    #[track_caller]
    pub(crate) fn link(&self, name: &str) -> PathBuf {
        fs::read_link(self.lib(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Everything but ldconfig's own records: inode numbers and times of the files that it has seen.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.tree.root()).without(is_ldconfigs)
    }
}

/// Puts the files of the stock package into a directory of their own.
pub(crate) fn package(machine: &Machine, version: &str, file: &str) -> PathBuf {
    let files = machine.outside().join(version).join("files");
    let lib = files.join("opt/rocm-7.0.2/lib");
    fs::create_dir_all(&lib).expect("make a package");
    let stock = machine.outside().join("stock");
    fs::copy(stock, lib.join(file)).expect("copy");
    symlink(file, lib.join("librocblas.so.5")).expect("link");
    symlink("librocblas.so.5", lib.join("librocblas.so")).expect("link");
    build_deb("rocblas", version, &files)
}

/// A machine on which dpkg installed the stock library.
pub(crate) fn packaged() -> Option<(Machine, Dpkg)> {
    if !dpkg::available() {
        skip("upgrades by dpkg", "this machine has no dpkg");
        return None;
    }
    let machine = Machine::new();
    fs::copy(machine.lib("librocblas.so.5.0.70002"), machine.outside().join("stock"))
        .expect("copy");
    let dpkg = Dpkg::new(machine.tree.root());
    let deb = package(&machine, "5.0.2.70002-56", "librocblas.so.5.0.70002");
    dpkg.install(&deb).success();
    machine.tree.ldconfig();
    Some((machine, dpkg))
}

pub(crate) fn is_ldconfigs(path: &Path) -> bool {
    path.starts_with("var/cache/ldconfig")
}
