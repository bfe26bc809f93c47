//! The files of a package by their paths, and the archive of them: sorted, owned by root, all of one time.

use anyhow::{Context, Result};
use std::{collections::BTreeMap, io::Write, path::Path};
use tar::{EntryType, Header};

/// What is at a path.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A regular file.
    File {
        /// Its contents.
        bytes: Vec<u8>,
        /// Its permissions.
        mode: u32,
    },
    /// A symlink to a target.
    Link(String),
}

/// Entries by path, without a slash in front: `usr/bin/name`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries(BTreeMap<String, Entry>);

impl Entries {
    /// Adds a file that everybody may read.
    pub(crate) fn file(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), Entry::File { bytes: bytes.into(), mode: 0o644 });
    }

    /// Adds a file that everybody may run.
    pub(crate) fn program(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), Entry::File { bytes: bytes.into(), mode: 0o755 });
    }

    /// Adds a symlink.
    pub(crate) fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        self.0.insert(path.into(), Entry::Link(target.into()));
    }

    /// All of them, in the order of their paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The regular files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().filter_map(|(path, entry)| match entry {
            Entry::File { bytes, .. } => Some((path, bytes.as_slice())),
            Entry::Link(_) => None,
        })
    }

    /// The same entries at other paths; `None` leaves one out.
    pub(crate) fn moved(&self, place: impl Fn(&str) -> Option<String>) -> Self {
        let moved = self.iter().filter_map(|(path, entry)| Some((place(path)?, entry.clone())));
        Self(moved.collect())
    }

    /// All directories above the entries, in order.
    pub(crate) fn directories(&self) -> Vec<String> {
        let parents = self.0.keys().flat_map(|path| Path::new(path).ancestors().skip(1));
        let mut names: Vec<String> = parents
            .map(|path| path.display().to_string())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Writes a tar archive with `prefix` in front of each path, and returns the writer.
    pub(crate) fn tar<W: Write>(&self, writer: W, prefix: &str, time: u64) -> Result<W> {
        let mut archive = tar::Builder::new(writer);
        for name in self.directories() {
            let mut header = header(EntryType::Directory, 0o755, time)?;
            archive.append_data(&mut header, format!("{prefix}{name}/"), [].as_slice())?;
        }
        for (path, entry) in self.iter() {
            let name = format!("{prefix}{path}");
            match entry {
                Entry::File { bytes, mode } => {
                    let mut header = header(EntryType::Regular, *mode, time)?;
                    header.set_size(u64::try_from(bytes.len())?);
                    archive.append_data(&mut header, name, bytes.as_slice())?;
                }
                Entry::Link(target) => {
                    let mut header = header(EntryType::Symlink, 0o777, time)?;
                    archive.append_link(&mut header, name, target)?;
                }
            }
        }
        archive.into_inner().context("cannot write the archive")
    }
}

fn header(kind: EntryType, mode: u32, time: u64) -> Result<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_size(0);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_sorted_owned_by_root_and_has_one_time() {
        let mut entries = Entries::default();
        entries.program("usr/lib/z", "z");
        entries.link("usr/bin/z", "../lib/z");
        entries.file("usr/bin/a", "a");
        let bytes = entries.tar(Vec::new(), "top/", 7).expect("an archive");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let read = archive.entries().expect("entries").map(|entry| {
            let entry = entry.expect("an entry");
            let header = entry.header();
            let owner = (header.uid().expect("a number"), header.gid().expect("a number"));
            assert_eq!((owner, header.mtime().expect("a time")), ((0, 0), 7));
            let path = entry.path().expect("a path").display().to_string();
            (path, header.mode().expect("a mode"))
        });
        let expected = [
            ("top/usr/", 0o755),
            ("top/usr/bin/", 0o755),
            ("top/usr/lib/", 0o755),
            ("top/usr/bin/a", 0o644),
            ("top/usr/bin/z", 0o777),
            ("top/usr/lib/z", 0o755),
        ];
        assert_eq!(read.collect::<Vec<_>>(), expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
