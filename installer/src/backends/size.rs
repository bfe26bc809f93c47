//! The disk space that a backend uses, and how much removing it would free.

use crate::root::Root;
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Deeper than any backend is.
const MOST_DEPTH: usize = 16;

/// The regular files below a directory, without counting hard links twice. Symlinks are not followed.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By device and inode: the size, the number of names found, and the number of all names.
    files: BTreeMap<(u64, u64), (u64, u64, u64)>,
}

impl Files {
    pub(super) fn below(root: &Root, directory: &Path) -> Self {
        let mut files = Self::default();
        files.add(root, directory);
        files
    }

    /// Adds the files below another directory. Unreadable ones are skipped.
    pub(super) fn add(&mut self, root: &Root, directory: &Path) {
        let mut left: Vec<(PathBuf, usize)> = vec![(directory.to_owned(), 0)];
        while let Some((directory, depth)) = left.pop() {
            for name in root.names(&directory).unwrap_or_default() {
                let path = directory.join(name);
                let Ok(metadata) = root.metadata_of_entry(&path) else { continue };
                if metadata.is_dir() && depth < MOST_DEPTH {
                    left.push((path, depth + 1));
                } else if metadata.is_file() {
                    let id = (metadata.dev(), metadata.ino());
                    let known = (metadata.len(), 0, metadata.nlink());
                    self.files.entry(id).or_insert(known).1 += 1;
                }
            }
        }
    }

    /// In bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|(size, ..)| size).sum()
    }

    /// The total size of files without names elsewhere.
    pub(super) fn bytes_freed(&self) -> u64 {
        let only_here = self.files.values().filter(|(_, found, all)| found >= all);
        only_here.map(|(size, ..)| size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn a_file_with_two_names_counts_once_and_is_freed_with_its_last() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("a/deep")).expect("directories");
        fs::create_dir(at("b")).expect("a directory");
        fs::write(at("a/deep/file"), [0; 100]).expect("a file");
        fs::hard_link(at("a/deep/file"), at("a/again")).expect("a link");
        fs::write(at("a/shared"), [0; 10]).expect("a file");
        fs::hard_link(at("a/shared"), at("b/shared")).expect("a link");
        symlink("/b", at("a/link")).expect("a link");
        let root = Root::new(directory.path()).expect("a root");
        let mut files = Files::below(&root, Path::new("/a"));
        assert_eq!((files.bytes(), files.bytes_freed()), (110, 100));
        files.add(&root, Path::new("/b"));
        assert_eq!((files.bytes(), files.bytes_freed()), (110, 110));
    }
}
