//! What is packaged: the workspace, its version, and the commit whose time all files get.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The name of the packages.
pub(crate) const NAME: &str = "rocblas-shim";

/// One sentence about them.
pub(crate) const SUMMARY: &str = "rocBLAS ABI of ROCm 7 in front of the rocBLAS of ROCm 6.3";

/// The sentences after it.
pub(crate) const DESCRIPTION: &str = "\
ROCm 7's rocBLAS has no kernels for gfx906, gfx900 and other GPUs. This package
has a librocblas.so.5 that forwards each call to the rocBLAS of ROCm 6.3, which
has them, and rocblas-shim-installer, which puts it into a ROCm tree and takes
it out again. Installing the package changes no ROCm tree.";

/// The SPDX expression of the project's licence.
pub(crate) const LICENCE: &str = "MIT OR Apache-2.0";

/// A commit of the project.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The workspace's directory.
    pub(crate) workspace: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// The version in `Cargo.toml`.
    pub(crate) version: String,
    /// Its first twelve digits, as `installer --version` has them.
    pub(crate) commit: String,
    /// Who made it: `Name <address>`, the maintainer in the packages.
    pub(crate) author: String,
    /// Its time in seconds since 1970.
    pub(crate) time: u64,
    /// Its time as e-mails have it, for Debian's changelog.
    pub(crate) date: String,
    /// Its time as ISO 8601 has it, for the SBOM.
    pub(crate) timestamp: String,
    /// All packages of the workspace and those that it depends on.
    pub(crate) packages: Vec<Package>,
}

/// What `cargo metadata` says of a package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) manifest_path: PathBuf,
    /// Where it is from; `None`: the workspace.
    pub(crate) source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Source {
    /// Reads the workspace of the current directory and its last commit.
    ///
    /// Refuses files that are not committed, unless `allow_dirty`: nobody could build the same again.
    pub(crate) fn read(allow_dirty: bool) -> Result<Self> {
        let mut metadata = cargo();
        metadata.args(["metadata", "--locked", "--format-version", "1"]);
        // Crates for other systems need not be here.
        let printed = printed(metadata.args(["--filter-platform", "x86_64-unknown-linux-gnu"]))?;
        let metadata: Metadata =
            serde_json::from_str(&printed).context("cannot read `cargo metadata`")?;
        let workspace = metadata.workspace_root;
        let own = metadata.packages.iter().find(|package| package.name == NAME);
        let version = own.with_context(|| format!("no package {NAME} in this workspace"))?;
        let version = version.version.clone();
        if !allow_dirty {
            let changed = git(&workspace, &["status", "--porcelain"])?;
            if let Some(first) = changed.lines().next() {
                bail!("not committed: {}; commit it, or pass --allow-dirty", first.trim());
            }
        }
        let fields = "--format=%H%n%ct%n%an <%ae>";
        let commit = git(&workspace, &["log", "-1", fields])?;
        let mut lines = commit.lines();
        let mut next = || lines.next().context("cannot read the last commit");
        let (hash, time, author) = (next()?, next()?, next()?.to_owned());
        let time = time.parse().context("cannot read the time of the last commit")?;
        let formatted = |format: &str| {
            let date = format!("--date=format-local:{format}");
            Ok::<_, anyhow::Error>(
                git(&workspace, &["log", "-1", "--format=%cd", &date])?.trim().to_owned(),
            )
        };
        Ok(Self {
            version,
            commit: hash.get(..12).unwrap_or(hash).to_owned(),
            author,
            time,
            date: formatted("%a, %d %b %Y %H:%M:%S +0000")?,
            timestamp: formatted("%Y-%m-%dT%H:%M:%SZ")?,
            packages: metadata.packages,
            target: metadata.target_directory,
            workspace,
        })
    }

    /// A text file of the workspace.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        let path = self.workspace.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// The cargo that runs this program, or the one on the `PATH`.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

fn git(workspace: &Path, arguments: &[&str]) -> Result<String> {
    // Dates in English and in UTC, wherever this runs.
    let mut command = Command::new("git");
    printed(command.arg("-C").arg(workspace).args(arguments).env("TZ", "UTC0").env("LC_ALL", "C"))
}

/// Runs a program to its end and returns its standard output; its messages go to ours.
pub(crate) fn printed(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let child = command.stderr(std::process::Stdio::inherit());
    let output = child.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no UTF-8"))
}
