//! `cargo package-release`: the packages of a release, the same bit by bit for the same commit.
//!
//! Nothing of the machine is in them: files are in order, owned by root, and have the time of the last commit.

mod arch;
mod binaries;
mod crates;
mod deb;
mod digest;
mod entries;
mod licences;
mod payload;
mod redhat;
mod sbom;
mod source;
mod tarball;
mod template;

use anyhow::{Context, Result};
use binaries::Binaries;
use clap::Parser;
use payload::Texts;
use source::{NAME, Source};
use std::{fs, path::PathBuf};

/// Builds the packages of a release: a tarball, a .deb, an .rpm, a PKGBUILD, an SBOM and their checksums
#[derive(Debug, Parser)]
#[command(name = "cargo package-release")]
struct Options {
    /// Where they are written [default: target/packages]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Package the `installer` and `librocblas.so` of this directory instead of building them
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// The number of the package of this version: -1, -2
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    revision: u32,
    /// The address of the directory that the PKGBUILD downloads the tarball from [default: its own directory]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Package files that are not committed; nobody else can build the same
    #[arg(long)]
    allow_dirty: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let source = Source::read(options.allow_dirty)?;
    let output = options.output.clone().unwrap_or_else(|| source.target.join("packages"));
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let mut files = packages(&source, &options)?;
    let sums = tarball::checksums(files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])));
    files.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
    for (name, bytes) in files {
        let path = output.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The files of a release by their names, in order.
fn packages(source: &Source, options: &Options) -> Result<Vec<(String, Vec<u8>)>> {
    let Options { revision, url, .. } = options;
    let binaries = Binaries::new(source, options.binaries.as_deref())?;
    let crates = crates::linked(source)?;
    let texts = Texts {
        licences: licences::text(&crates)?,
        sbom: sbom::document(source, &binaries, &crates)?,
    };
    let payload = payload::payload(source, &binaries, &texts)?;
    let tarball = tarball::archive(source, &payload)?;
    let pkgbuild = arch::pkgbuild(source, *revision, &binaries, &tarball, url.as_deref())?;
    let mut files = vec![
        ("PKGBUILD".to_owned(), pkgbuild.into_bytes()),
        (arch::SCRIPTS.to_owned(), arch::scripts()),
        (tarball::name(source), tarball),
        (deb::name(source, *revision), deb::package(source, *revision, &binaries, &payload)?),
        (redhat::name(source, *revision), redhat::package(source, *revision, &binaries, &payload)?),
        (format!("{NAME}-{}.cdx.json", source.version), texts.sbom.into_bytes()),
    ];
    files.sort();
    Ok(files)
}
