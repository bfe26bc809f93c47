//! Writes a model out as real files.

use super::{FileSystem, Node, NodeId};
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

impl FileSystem {
    /// Creates all files in an empty directory, with their attributes. Devices, pipes and sockets are left
    /// out.
    ///
    /// # Errors
    /// Any error from creating files; only root can set other owners.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let mut first: HashMap<NodeId, PathBuf> = HashMap::new();
        let mut made = Vec::new();
        for (path, node) in self.paths() {
            let path = directory.join(path);
            match self.node(node) {
                Node::Directory(_) if node == 0 => {}
                Node::Directory(_) => fs::create_dir(&path)?,
                Node::Other => continue,
                Node::File(_) | Node::Link(_) if first.contains_key(&node) => {
                    fs::hard_link(&first[&node], &path)?;
                    continue;
                }
                Node::File(content) => fs::write(&path, content.bytes())?,
                Node::Link(target) => symlink(target, &path)?,
            }
            first.insert(node, path.clone());
            made.push((path, node));
        }
        // Directories last, bottom-up: their modes may forbid writing.
        for (path, node) in made.iter().rev() {
            let is_link = matches!(self.node(*node), Node::Link(_));
            self.attributes(*node).write(path, is_link)?;
        }
        Ok(())
    }
}
