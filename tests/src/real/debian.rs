//! A machine with Debian's ROCm packages that a test may change: hard links to the throw-away root's
//! libraries, in a root directory that the installer works on.

use super::{Root, root};
use crate::{
    artefacts,
    run::{Ended, run},
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Debian's directory of libraries, inside a root.
pub const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// The backend's name in the store.
pub const BACKEND: &str = "6.4.4";

/// ROCm 7's hipBLAS, rocSOLVER, rocBLAS and HIP runtime, with the libc that they need.
#[derive(Debug)]
pub struct Debian {
    directory: TempDir,
    root: &'static Root,
}

impl Debian {
    /// Links to the files of the root. If there is no root, prints why and returns `None`.
    ///
    /// # Panics
    /// When the directory cannot be made.
    #[must_use]
    pub fn new() -> Option<Self> {
        let root = root()?;
        // Next to the root, because hard links must be on the same file system.
        let lib = root.lib().canonicalize().expect("the root's libraries");
        let parent = lib.ancestors().nth(4).expect("below target/real");
        let directory = tempfile::tempdir_in(parent).expect("make a directory");
        let machine = Self { directory, root };
        fs::create_dir_all(machine.at(LIBRARIES)).expect("make a directory");
        symlink("usr/lib", machine.at("/lib")).expect("link");
        symlink(&LIBRARIES[1..], machine.at("/lib64")).expect("link");
        // Every file gets a second name; those below `rocblas` are Tensile's.
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--link"]).arg(root.lib().join(".")).arg(machine.at(LIBRARIES));
        run(&mut copy).success();
        Some(machine)
    }

    /// The top.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The root from which its files come.
    #[must_use]
    pub fn root(&self) -> &'static Root {
        self.root
    }

    /// The path of an absolute path inside the root.
    #[must_use]
    pub fn at(&self, inside: &str) -> PathBuf {
        self.directory.path().join(inside.trim_start_matches('/'))
    }

    /// A path in the directory of libraries.
    #[must_use]
    pub fn lib(&self, name: impl AsRef<Path>) -> PathBuf {
        self.at(LIBRARIES).join(name)
    }

    /// Runs the installer on this root.
    pub fn installer(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(artefacts::installer());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROCBLAS_") {
                command.env_remove(name);
            }
        }
        run(command.arg("--root").arg(self.directory()).args(arguments))
    }

    /// Installs the shim in front of 6.4, which in Debian's build has code and kernels for gfx906.
    ///
    /// # Panics
    /// When the installer refuses.
    pub fn apply(&self) -> Ended {
        let backend = self.root.library("librocblas.so.4");
        let [shim, backend] =
            [artefacts::shim(), &backend].map(|path| path.to_str().expect("a path in UTF-8"));
        // Debian's library supports gfx906 too.
        let gpu = ["--gpu", "gfx906", "--not-needed-ok"];
        let own = ["--name", BACKEND, "--shim", shim, "--backend", backend];
        let options = [&gpu[..], &own].concat();
        self.installer(&[&["apply"], &options[..]].concat()).success()
    }

    /// A command that runs a program of this root in it, as the whole machine, with its loader and no
    /// environment. `None` if this process lacks the privileges for that.
    #[must_use]
    pub fn inside(&self, program: &str) -> Option<Command> {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            return None;
        }
        let mut command = Command::new("chroot");
        command.arg(self.directory()).arg(program).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Some(command)
    }
}
