//! The two binaries: built so that no directory of this machine is in them, stripped, and looked into for
//! the glibc that they need.

use crate::source::{Source, cargo, printed};
use anyhow::{Context, Result, bail};
use goblin::elf::Elf;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where cargo leaves the shim.
const SHIM: &str = "librocblas.so";

/// Where cargo leaves the installer.
const INSTALLER: &str = "installer";

/// The files to package.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// The installer as it was built, to be asked for its manual pages.
    pub(crate) program: PathBuf,
    /// `librocblas.so.5`.
    pub(crate) shim: Vec<u8>,
    /// `installer`.
    pub(crate) installer: Vec<u8>,
    /// The newest version of glibc whose symbols they use.
    pub(crate) glibc: (u32, u32),
}

impl Binaries {
    /// Builds both, or takes those in a directory.
    pub(crate) fn new(source: &Source, given: Option<&Path>) -> Result<Self> {
        let directory = match given {
            Some(directory) => directory.to_owned(),
            None => build(source)?,
        };
        let program = directory.join(INSTALLER);
        let [shim, installer] = [stripped(&directory.join(SHIM))?, stripped(&program)?];
        let glibc = glibc(&shim)?.max(glibc(&installer)?);
        Ok(Self { program, shim, installer, glibc })
    }
}

/// Builds both in a directory of its own, because other flags would build everything else anew.
fn build(source: &Source) -> Result<PathBuf> {
    let target = source.target.join("packages/build");
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir().context("there is no home directory")?.join(".cargo"),
    };
    // Panics name source files, those of crates by their path in cargo's home directory.
    let places = [(home.as_path(), "/cargo"), (&source.workspace, "/source")];
    let rust = places.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let c = places.map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let mut cargo = cargo();
    cargo.args(["build", "--locked", "--release", "--package", "rocblas-shim"]);
    cargo.args(["--package", "installer", "--target-dir"]).arg(&target);
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"));
    cargo.env("CFLAGS", c.join(" ")).env("CARGO_INCREMENTAL", "0");
    cargo.env("INSTALLER_COMMIT", &source.commit);
    cargo.env("SOURCE_DATE_EPOCH", source.time.to_string());
    printed(cargo.current_dir(&source.workspace))?;
    Ok(target.join("release"))
}

/// A binary without symbols that only a linker or a debugger reads.
fn stripped(file: &Path) -> Result<Vec<u8>> {
    let scratch = tempfile::NamedTempFile::new()?;
    let mut strip = Command::new("strip");
    printed(strip.args(["--strip-unneeded", "-o"]).arg(scratch.path()).arg(file))?;
    fs::read(scratch.path()).with_context(|| format!("cannot read {} stripped", file.display()))
}

/// The newest version of glibc whose symbols a binary uses.
fn glibc(binary: &[u8]) -> Result<(u32, u32)> {
    let elf = Elf::parse(binary).context("cannot read a binary")?;
    let Some(needs) = &elf.verneed else { bail!("a binary needs no version of any library") };
    let names = needs.iter().flat_map(|need| need.iter().collect::<Vec<_>>());
    let versions = names.filter_map(|version| {
        let name = elf.dynstrtab.get_at(version.vna_name)?;
        let (major, minor) = name.strip_prefix("GLIBC_")?.split_once('.')?;
        // Of 2.2.5, the first two count.
        let minor = minor.split('.').next()?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    versions.max().context("a binary uses no symbol of glibc")
}
