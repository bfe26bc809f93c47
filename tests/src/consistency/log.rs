//! The log of a command: the file system at its start and every operation on it, in order.

use super::{Attributes, Content, FileSystem, Node, NodeId};
use std::{ffi::OsStr, fmt, sync::Arc};

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The directory.
    pub directory: NodeId,
    /// One component.
    pub name: Arc<OsStr>,
}

/// What an operation does to a file system.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A new file, directory or link gets its first name, or none (`O_TMPFILE`).
    Create {
        /// Its name.
        place: Option<Place>,
        /// The new node.
        node: NodeId,
        /// What it is at first. A link has its target from the start.
        first: Node,
        /// Attributes.
        attributes: Arc<Attributes>,
    },
    /// A file gets another name.
    Link {
        /// The new name.
        place: Place,
        /// The file.
        node: NodeId,
    },
    /// A name is removed, of an empty directory or anything else.
    Remove {
        /// The name.
        place: Place,
        /// What it named.
        node: NodeId,
    },
    /// A name replaces another.
    Rename {
        /// The old name.
        from: Place,
        /// The new name.
        to: Place,
        /// What is renamed.
        node: NodeId,
    },
    /// Two names are exchanged (`RENAME_EXCHANGE`).
    Exchange {
        /// Both names.
        places: [Place; 2],
        /// What they named before.
        nodes: [NodeId; 2],
    },
    /// The content of a file changes.
    Data {
        /// The file.
        node: NodeId,
        /// The whole content afterwards.
        content: Content,
        /// The attributes afterwards: a write changes the time.
        attributes: Arc<Attributes>,
    },
    /// Mode, owner, time or extended attributes change.
    Attributes {
        /// Of this node.
        node: NodeId,
        /// All attributes afterwards. They are in one inode, which persists as a whole.
        attributes: Arc<Attributes>,
    },
    /// `fsync` or `fdatasync`.
    Sync {
        /// Of this file or directory.
        node: NodeId,
    },
    /// `sync` or `syncfs`.
    SyncAll,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The system call with its paths relative to the root, for people.
    pub text: String,
    /// What it does.
    pub effect: Effect,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a command did to the files below a directory.
#[derive(Clone, Debug)]
pub struct Log {
    /// The files before.
    pub start: FileSystem,
    /// What was done to them, in order.
    pub operations: Vec<Operation>,
}

impl Log {
    /// The files afterwards, if nothing is forgotten.
    #[must_use]
    pub fn end(&self) -> FileSystem {
        let mut files = self.start.clone();
        for operation in &self.operations {
            files.apply(&operation.effect);
        }
        files
    }
}
