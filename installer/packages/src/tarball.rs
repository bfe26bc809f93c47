//! The tarball: a prefix (`bin`, `lib`, `share`) to unpack anywhere, with checksums.

use crate::{
    digest::{gzip, sha256},
    entries::Entries,
    source::{NAME, Source},
};
use anyhow::Result;

/// The file's name.
pub(crate) fn name(source: &Source) -> String {
    format!("{}.tar.gz", directory(source))
}

/// The directory that everything in it is in.
pub(crate) fn directory(source: &Source) -> String {
    format!("{NAME}-{}-x86_64-linux", source.version)
}

/// The archive.
pub(crate) fn archive(source: &Source, payload: &Entries) -> Result<Vec<u8>> {
    let mut entries = payload.moved(|path| path.strip_prefix("usr/").map(str::to_owned));
    let hook = format!("share/libalpm/hooks/{NAME}.hook");
    entries.file(hook, include_str!("../files/pacman.hook"));
    let sums = checksums(entries.files());
    entries.file("SHA256SUMS", sums);
    gzip(&entries.tar(Vec::new(), &format!("{}/", directory(source)), source.time)?)
}

/// Lines that `sha256sum --check` reads.
pub(crate) fn checksums<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    files.map(|(name, bytes)| format!("{} *{name}\n", sha256(bytes))).collect()
}
