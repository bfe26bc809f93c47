//! Trees of real libraries: symlinks to the root's libraries, with the recording runtime as HIP.

use super::{log::Log, recording, root::Root};
use crate::{run::client, tree::Tree};
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// A tree whose `lib` comes before the root's on the loader's path.
#[derive(Debug)]
pub struct Rocm {
    tree: Tree,
    root: &'static Root,
    runs: AtomicU32,
}

impl Rocm {
    /// A tree with the recording runtime and without rocBLAS.
    fn new(root: &'static Root, tree: Tree) -> Self {
        let lib = tree.lib();
        // Under both names, like a ROCm 7 with a symlink for libraries of ROCm 6.
        symlink(recording::runtime(), lib.join("libamdhip64.so.7")).expect("link to the runtime");
        symlink("libamdhip64.so.7", lib.join("libamdhip64.so.6")).expect("link to the runtime");
        // The directory in which a rocBLAS in `lib` finds its kernels.
        symlink(root.lib().join("rocblas"), lib.join("rocblas")).expect("link to the kernels");
        Self { tree, root, runs: AtomicU32::new(0) }
    }

    /// A tree with the shim in front, and that library of the root as its only backend.
    #[must_use]
    pub fn shim_before(root: &'static Root, soname: &str) -> Self {
        // The name does not matter.
        Self::new(root, Tree::with_shim()).and_backend("real", soname)
    }

    /// Adds that library of the root as another backend.
    #[must_use]
    pub fn and_backend(self, name: &str, soname: &str) -> Self {
        // Like the prefix of a release, with its kernels.
        let prefix = self.tree.lib().join("rocblas-shim/backends").join(name).join("lib");
        fs::create_dir_all(&prefix).expect("make a prefix");
        let major = soname.rsplit('.').next().expect("a version");
        let backend = prefix.join(format!("librocblas.so.{major}"));
        symlink(self.root.library(soname), backend).expect("link to the backend");
        let kernels = self.root.lib().join("rocblas");
        symlink(kernels, prefix.join("rocblas")).expect("link to the kernels");
        self
    }

    /// A tree without the shim: that file has the name of ROCm 7's rocBLAS.
    #[must_use]
    pub fn without_shim(root: &'static Root, rocblas: &Path) -> Self {
        let rocm = Self::new(root, Tree::new());
        symlink(rocblas, rocm.tree.lib().join("librocblas.so.5")).expect("link to the library");
        rocm
    }

    /// Uses the root's own HIP runtime in place of the recording one.
    #[must_use]
    pub fn on_amds_runtime(self) -> Self {
        let runtime = self.tree.lib().join("libamdhip64.so.7");
        fs::remove_file(&runtime).expect("remove a link");
        symlink(self.root.library("libamdhip64.so.7"), runtime).expect("link to the runtime");
        self
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The file that the loader finds as rocBLAS of ROCm 7.
    #[must_use]
    pub fn rocblas(&self) -> PathBuf {
        self.tree.lib().join("librocblas.so.5")
    }

    /// Arguments that link a program with libraries of this tree and of the root by their names,
    /// `libhipblas.so.3`.
    #[must_use]
    pub fn link_with(&self, names: &[&str]) -> Vec<String> {
        // The root's libc is newer than the one against which the program is compiled.
        let mut arguments = vec!["-Wl,--allow-shlib-undefined".to_owned()];
        arguments
            .extend([&self.tree.lib(), &self.root.lib()].map(|d| format!("-L{}", d.display())));
        arguments.extend(names.iter().map(|name| format!("-l:{name}")));
        arguments
    }

    /// A command to run a program with the root's loader, this tree's libraries first, and a new
    /// log of the HIP calls.
    #[must_use]
    pub fn command(&self, program: &Path) -> (Command, Log) {
        self.command_with(&[], program)
    }

    /// As [`Self::command`], with more directories of libraries after the root's.
    #[must_use]
    pub fn command_with(&self, libraries: &[PathBuf], program: &Path) -> (Command, Log) {
        let mut command = client(&self.tree, &self.root.loader());
        command.env_remove("LD_LIBRARY_PATH");
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("RECORDING_HIP_") {
                command.env_remove(name);
            }
        }
        let path = [self.tree.lib(), self.root.lib()].into_iter().chain(libraries.iter().cloned());
        let path = env::join_paths(path).expect("directories without a colon");
        command.arg("--library-path").arg(path).arg(program);
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let log = Log::new(self.tree.root().join(format!("hip-{run}.log")));
        fs::write(log.path(), "").expect("make a log");
        command.env("RECORDING_HIP_LOG", log.path());
        (command, log)
    }
}
