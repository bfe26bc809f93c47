//! The recipe for Arch: a PKGBUILD that unpacks the tarball, and its scripts.

use crate::{
    binaries::Binaries,
    digest::sha256,
    source::{NAME, SUMMARY, Source},
    tarball,
    template::fill,
};
use anyhow::Result;
use minijinja::context;

/// The name of the file with the scripts, which the PKGBUILD names.
pub(crate) const SCRIPTS: &str = "rocblas-shim.install";

/// The scripts that pacman runs.
pub(crate) fn scripts() -> Vec<u8> {
    include_bytes!("../files/install").to_vec()
}

/// The PKGBUILD. The tarball is downloaded from `url`, or lies beside it.
pub(crate) fn pkgbuild(
    source: &Source,
    revision: u32,
    binaries: &Binaries,
    tarball: &[u8],
    url: Option<&str>,
) -> Result<String> {
    let (major, minor) = binaries.glibc;
    let file = tarball::name(source);
    let values = context! {
        name => NAME,
        summary => SUMMARY,
        author => &source.author,
        version => &source.version,
        revision,
        glibc => format!("{major}.{minor}"),
        directory => tarball::directory(source),
        tarball => url.map_or_else(|| file.clone(), |url| format!("{}/{file}", url.trim_end_matches('/'))),
        sha256 => sha256(tarball),
    };
    fill(include_str!("../files/PKGBUILD"), values)
}
