//! Reads a directory into a model.

use super::{Attributes, Content, FileSystem, Node, NodeId, Place};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

impl FileSystem {
    /// Reads the files below a directory.
    ///
    /// # Errors
    /// Any error from reading them.
    pub fn read(directory: &Path) -> io::Result<Self> {
        Ok(scan(directory)?.0)
    }
}

/// The device and inode number that identify an inode of the machine.
pub(super) type Number = (u64, u64);

pub(super) fn number(metadata: &Metadata) -> Number {
    (metadata.dev(), metadata.ino())
}

/// The files below a directory, with a map from the machine's inodes to the model's.
pub(super) fn scan(directory: &Path) -> io::Result<(FileSystem, HashMap<Number, NodeId>)> {
    let mut files = FileSystem::default();
    let mut numbers = HashMap::new();
    let metadata = directory.metadata()?;
    let attributes = Arc::new(Attributes::read(directory, &metadata)?);
    let root = files.add(Node::Directory(Arc::default()), attributes);
    numbers.insert(number(&metadata), root);
    let mut pending = vec![(directory.to_owned(), root)];
    while let Some((path, node)) = pending.pop() {
        // Sorted, so that inodes are numbered alike in every run.
        let mut children = BTreeMap::new();
        for child in fs::read_dir(&path)? {
            let child = child?;
            children.insert(child.file_name(), child.path());
        }
        for (name, child) in children {
            let metadata = child.symlink_metadata()?;
            let place = Place { directory: node, name: name.into() };
            let known = numbers.get(&number(&metadata)).copied();
            let id = match known {
                Some(id) => id,
                None => {
                    let attributes = Arc::new(Attributes::read(&child, &metadata)?);
                    let id = files.add(read(&child, &metadata)?, attributes);
                    numbers.insert(number(&metadata), id);
                    id
                }
            };
            files.set_name(&place, Some(id));
            if metadata.is_dir() {
                pending.push((child, id));
            }
        }
    }
    Ok((files, numbers))
}

/// The node at a path; a directory has no names yet.
pub(super) fn read(path: &Path, metadata: &Metadata) -> io::Result<Node> {
    let kind = metadata.file_type();
    Ok(if kind.is_symlink() {
        Node::Link(fs::read_link(path)?)
    } else if kind.is_dir() {
        Node::Directory(Arc::default())
    } else if kind.is_file() {
        Node::File(Content::from(fs::read(path)?))
    } else {
        Node::Other
    })
}
