//! A root directory with Debian's smallest system, ROCm 7.0.2 made of stand-ins, and ROCm 6.3's rocBLAS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tests::{
    amd_tree::{AmdTree, Backend, rocm_6_3},
    docker,
    run::{Ended, run, run_within},
    skip::skip,
    snapshot::Snapshot,
};

/// Longer than installing a package takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Mounts what programs need in a root, for them alone, and runs a command.
const MOUNTS: &str = r#"mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec "$@""#;

/// The root; its files go when it does.
#[derive(Debug)]
pub(crate) struct Root {
    directory: TempDir,
}

impl Root {
    /// `None`, having said so, where a root cannot be made.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip("packages in clean roots", "they are installed with root's rights");
            return None;
        }
        let directory = tempfile::tempdir().expect("make a root");
        docker::clean_root(docker::engine()?, directory.path())?;
        let machine = AmdTree::new();
        run(Command::new("cp")
            .arg("--archive")
            .args([&machine.root().join("opt"), directory.path()]))
        .success();
        let _ = rocm_6_3(&directory.path().join("opt"), Backend::Needing(&[]));
        let settings = directory.path().join("etc/ld.so.conf.d/rocm.conf");
        fs::write(settings, "/opt/rocm/lib\n").expect("write settings");
        let root = Self { directory };
        root.inside("ldconfig", &[]).success();
        Some(root)
    }

    /// The top.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The place of an absolute path inside.
    pub(crate) fn at(&self, inside: &str) -> PathBuf {
        self.path().join(inside.trim_start_matches('/'))
    }

    /// Runs a program of the machine, which works on the root.
    #[track_caller]
    pub(crate) fn outside(&self, program: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", MOUNTS]).arg(self.path()).arg(program).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("DEBIAN_FRONTEND", "noninteractive").env("HOME", "/root");
        run_within(&mut command, LIMIT)
    }

    /// Runs a program of the root in it.
    #[track_caller]
    pub(crate) fn inside(&self, program: &str, arguments: &[&str]) -> Ended {
        let path = self.path().to_str().expect("UTF-8");
        self.outside("chroot", &[&[path, program], arguments].concat())
    }

    /// Copies a file to `/packages` and returns its path inside.
    pub(crate) fn bring(&self, file: &Path) -> String {
        let name = file.file_name().expect("a name").to_str().expect("UTF-8");
        fs::create_dir_all(self.at("packages")).expect("make a directory");
        fs::copy(file, self.at("packages").join(name)).expect("copy a package");
        format!("/packages/{name}")
    }

    /// All that ROCm has, with times.
    pub(crate) fn rocm(&self) -> Snapshot {
        Snapshot::with_times(&self.at("opt"))
    }
}
