//! What the packages install, and where: one table for all of them.

use crate::{
    binaries::Binaries,
    digest::gzip,
    entries::Entries,
    source::{NAME, Source, printed},
};
use anyhow::{Context, Result};
use std::{fs, process::Command};

/// The program's name in `/usr/bin`: `installer` is anybody's.
pub(crate) const COMMAND: &str = "rocblas-shim-installer";

/// Where the two binaries are, with nothing of anybody else's.
///
/// It is not called `rocblas-shim`: a library directory with a directory of that name has a store, and `/usr/lib`
/// is a library directory of ROCm's on distributions where `/usr/lib64` is a symlink to it.
pub(crate) const LIBRARY: &str = "usr/lib/rocblas-shim-installer";

/// Where licences are, by Fedora's and Arch's convention.
pub(crate) const LICENCES: &str = "usr/share/licenses/rocblas-shim";

/// The texts that are made for the packages.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    /// The licences of the crates that are linked in.
    pub(crate) licences: String,
    /// The list of them, for programs.
    pub(crate) sbom: String,
}

/// All files that every package has.
pub(crate) fn payload(source: &Source, binaries: &Binaries, texts: &Texts) -> Result<Entries> {
    let mut entries = Entries::default();
    entries.program(format!("{LIBRARY}/installer"), binaries.installer.clone());
    entries.file(format!("{LIBRARY}/librocblas.so.5"), binaries.shim.clone());
    entries.program(format!("{LIBRARY}/notice"), include_str!("../files/notice"));
    entries.link(format!("usr/bin/{COMMAND}"), format!("../lib/{COMMAND}/installer"));
    entries.file("usr/include/rocblas_shim.h", source.text("shim/include/rocblas_shim.h")?);
    entries.file(format!("usr/share/doc/{NAME}/{NAME}.cdx.json"), texts.sbom.clone());
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        entries.file(format!("{LICENCES}/{licence}"), source.text(licence)?);
    }
    entries.file(format!("{LICENCES}/THIRD-PARTY-LICENSES"), texts.licences.clone());
    manual_pages(binaries, &mut entries)?;
    for (shell, path) in [
        ("bash", format!("usr/share/bash-completion/completions/{COMMAND}")),
        ("zsh", format!("usr/share/zsh/site-functions/_{COMMAND}")),
        ("fish", format!("usr/share/fish/vendor_completions.d/{COMMAND}.fish")),
    ] {
        let mut installer = Command::new(&binaries.program);
        let script = printed(installer.args(["completions", shell, "--name", COMMAND]))?;
        entries.file(path, script);
    }
    Ok(entries)
}

/// The program writes its own pages, under the name that it has here.
fn manual_pages(binaries: &Binaries, entries: &mut Entries) -> Result<()> {
    let pages = tempfile::tempdir()?;
    let mut installer = Command::new(&binaries.program);
    printed(installer.args(["--quiet", "man", "--name", COMMAND, "--into"]).arg(pages.path()))?;
    for page in fs::read_dir(pages.path()).context("no manual pages")? {
        let page = page?;
        let name = page.file_name().display().to_string();
        let bytes = fs::read(page.path())?;
        entries.file(format!("usr/share/man/man1/{name}.gz"), gzip(&bytes)?);
    }
    Ok(())
}
