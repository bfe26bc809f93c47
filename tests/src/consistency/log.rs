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

/// The effect of an operation on a file system.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A new file, directory or link gets its first name, or none (`O_TMPFILE`).
    Create {
        /// Its name.
        place: Option<Place>,
        /// The new node.
        node: NodeId,
        /// Its initial state. A link has its target from the start.
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
    /// The name of an empty directory or of anything else is removed.
    Remove {
        /// The name.
        place: Place,
        /// The node that it named.
        node: NodeId,
    },
    /// A name replaces another.
    Rename {
        /// The old name.
        from: Place,
        /// The new name.
        to: Place,
        /// The renamed node.
        node: NodeId,
    },
    /// Two names are exchanged (`RENAME_EXCHANGE`).
    Exchange {
        /// Both names.
        places: [Place; 2],
        /// The nodes that they named before.
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
        /// The node.
        node: NodeId,
        /// All attributes afterwards. They are in one inode, which persists as a whole.
        attributes: Arc<Attributes>,
    },
    /// `fsync` or `fdatasync`.
    Sync {
        /// The file or directory.
        node: NodeId,
    },
    /// `sync` or `syncfs`.
    SyncAll,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// A description: the system call with its paths relative to the root.
    pub text: String,
    /// Its effect.
    pub effect: Effect,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The operations of a command on the files below a directory.
#[derive(Clone, Debug)]
pub struct Log {
    /// The files before.
    pub start: FileSystem,
    /// The operations, in order.
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
