//! A file system as a value: inodes, and directories that name them. An inode without a name is kept,
//! because it may get a name again.

use super::{Attributes, Content, Effect, Place};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::DefaultHasher},
    ffi::OsStr,
    hash::{Hash, Hasher},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// The number of an inode, an index. The root is 0.
pub type NodeId = usize;

/// The names in a directory.
type Names = BTreeMap<Arc<OsStr>, NodeId>;

/// The number of symlinks that the kernel follows.
const MAX_LINKS: usize = 40;

/// The kind of an inode, with its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory(Arc<Names>),
    /// A regular file.
    File(Content),
    /// A symbolic link with its target.
    Link(PathBuf),
    /// A device, pipe or socket, which is not written out.
    Other,
}

/// Files below one directory, or those of a machine.
#[derive(Clone, Debug, Default)]
pub struct FileSystem {
    nodes: Vec<(Node, Arc<Attributes>)>,
}

impl FileSystem {
    /// Adds an inode without a name.
    pub(super) fn add(&mut self, node: Node, attributes: Arc<Attributes>) -> NodeId {
        self.nodes.push((node, attributes));
        self.nodes.len() - 1
    }

    /// The number that the next new inode gets.
    pub(super) fn next(&self) -> NodeId {
        self.nodes.len()
    }

    /// An inode.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id].0
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self, id: NodeId) -> &Arc<Attributes> {
        &self.nodes[id].1
    }

    /// The inode that a name in a directory refers to.
    pub(super) fn named(&self, place: &Place) -> Option<NodeId> {
        self.names(place.directory)?.get(&place.name).copied()
    }

    /// The names in a directory; `None` if it is not a directory.
    pub(super) fn names(&self, directory: NodeId) -> Option<&Names> {
        match self.nodes.get(directory)? {
            (Node::Directory(names), _) => Some(names),
            _ => None,
        }
    }

    pub(super) fn set_name(&mut self, place: &Place, node: Option<NodeId>) {
        let Some((Node::Directory(names), _)) = self.nodes.get_mut(place.directory) else {
            panic!("{place:?} is not in a directory");
        };
        let names = Arc::make_mut(names);
        match node {
            Some(node) => names.insert(Arc::clone(&place.name), node),
            None => names.remove(&place.name),
        };
    }

    /// Applies an operation. Inodes that omitted operations would have created exist without a name.
    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Create { place, node, first, attributes } => {
                self.reserve(*node);
                self.nodes[*node] = (first.clone(), Arc::clone(attributes));
                if let Some(place) = place {
                    self.set_name(place, Some(*node));
                }
            }
            Effect::Link { place, node } => self.set_name(place, Some(*node)),
            Effect::Remove { place, .. } => self.set_name(place, None),
            Effect::Rename { from, to, node } => {
                self.set_name(from, None);
                self.set_name(to, Some(*node));
            }
            Effect::Exchange { places: [a, b], nodes: [of_a, of_b] } => {
                self.set_name(a, Some(*of_b));
                self.set_name(b, Some(*of_a));
            }
            Effect::Data { node, content, attributes } => {
                self.reserve(*node);
                self.nodes[*node] = (Node::File(content.clone()), Arc::clone(attributes));
            }
            Effect::Attributes { node, attributes } => {
                self.reserve(*node);
                self.nodes[*node].1 = Arc::clone(attributes);
            }
            Effect::Sync { .. } | Effect::SyncAll => {}
        }
    }

    fn reserve(&mut self, id: NodeId) {
        while self.nodes.len() <= id {
            self.nodes.push((Node::File(Content::from(Vec::new())), Arc::default()));
        }
    }

    /// Sets an inode's kind and content before any operation.
    pub(super) fn define(&mut self, id: NodeId, node: Node, attributes: Arc<Attributes>) {
        self.reserve(id);
        self.nodes[id] = (node, attributes);
    }

    /// The inodes that have a name, and the root.
    pub(super) fn reachable(&self) -> HashSet<NodeId> {
        let mut reachable = HashSet::from([0]);
        let mut pending = vec![0];
        while let Some(directory) = pending.pop() {
            for node in self.names(directory).into_iter().flat_map(Names::values) {
                if reachable.insert(*node) {
                    pending.push(*node);
                }
            }
        }
        reachable
    }

    /// The paths of everything, relative to the root, which is `.`, with inodes.
    #[must_use]
    pub fn paths(&self) -> Vec<(PathBuf, NodeId)> {
        let mut paths = vec![(PathBuf::from("."), 0)];
        let mut pending = vec![(PathBuf::new(), 0)];
        while let Some((path, directory)) = pending.pop() {
            for (name, node) in self.names(directory).into_iter().flatten() {
                let path = path.join(&**name);
                if self.names(*node).is_some() {
                    pending.push((path.clone(), *node));
                }
                paths.push((path, *node));
            }
        }
        paths.sort();
        paths
    }

    /// A path of an inode, for people.
    pub(super) fn path_of(&self, wanted: NodeId) -> PathBuf {
        let found = self.paths().into_iter().find(|(_, node)| *node == wanted);
        found.map_or_else(|| PathBuf::from(format!("(inode {wanted})")), |(path, _)| path)
    }

    /// The inode that a path resolves to, following every symlink, with this file system as `/`.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> Option<NodeId> {
        let mut links = 0;
        let mut walked = vec![0];
        let mut rest: Vec<PathBuf> = reversed(path);
        while let Some(component) = rest.pop() {
            if component == Path::new("/") {
                walked.truncate(1);
            } else if component == Path::new("..") {
                if walked.len() > 1 {
                    walked.pop();
                }
            } else {
                let names = self.names(*walked.last()?)?;
                let node = *names.get(component.as_os_str())?;
                if let Node::Link(target) = self.node(node) {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    rest.extend(reversed(target));
                } else {
                    walked.push(node);
                }
            }
        }
        walked.pop()
    }

    /// The content of the file that a path resolves to.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<&Content> {
        match self.node(self.resolve(path)?) {
            Node::File(content) => Some(content),
            _ => None,
        }
    }

    /// The contents of all files.
    #[must_use]
    pub fn contents(&self) -> HashSet<Content> {
        let contents = self.reachable().into_iter().filter_map(|node| match self.node(node) {
            Node::File(content) => Some(content.clone()),
            _ => None,
        });
        contents.collect()
    }

    /// A digest of everything that programs can observe: names, kinds, contents, attributes, and which names
    /// refer to the same file. Directories in `skipped` are assumed unchanged.
    pub(super) fn digest(&self, skipped: &HashSet<NodeId>) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut pending = vec![0];
        while let Some(node) = pending.pop() {
            // The inode's number shows which names refer to the same file.
            node.hash(&mut hasher);
            self.attributes(node).hash(&mut hasher);
            match self.node(node) {
                Node::File(content) => content.hash(&mut hasher),
                Node::Link(target) => target.hash(&mut hasher),
                Node::Other => {}
                Node::Directory(_) if skipped.contains(&node) => {}
                Node::Directory(names) => {
                    names.hash(&mut hasher);
                    pending.extend(names.values());
                }
            }
        }
        hasher.finish()
    }

    /// Forgets the times of some files and links.
    #[must_use]
    pub fn without_times(mut self, of: impl Fn(&Path, &Node) -> bool) -> Self {
        for (path, node) in self.paths() {
            let (kind, attributes) = &mut self.nodes[node];
            if of(&path, kind) {
                Arc::make_mut(attributes).modified = (0, 0);
            }
        }
        self
    }

    /// The differences from another file system, one line for each path: kinds, contents, attributes, and
    /// which names refer to the same file.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mine, others) = (self.lines(), other.lines());
        let paths: BTreeSet<&PathBuf> = mine.keys().chain(others.keys()).collect();
        let lines = paths.into_iter().filter_map(|path| {
            let [before, after] =
                [&mine, &others].map(|lines| lines.get(path).map_or("nothing", String::as_str));
            (before != after).then(|| format!("{}: {after}, was {before}", path.display()))
        });
        lines.collect()
    }

    /// A description of what is at each path.
    fn lines(&self) -> BTreeMap<PathBuf, String> {
        let mut first: HashMap<NodeId, PathBuf> = HashMap::new();
        let mut lines = BTreeMap::new();
        for (path, node) in self.paths() {
            let mut line = match self.node(node) {
                Node::Directory(_) => "directory".to_owned(),
                Node::File(content) => format!("file of {content:?}"),
                Node::Link(target) => format!("link to {}", target.display()),
                Node::Other => "neither file, directory nor link".to_owned(),
            };
            let Attributes { mode, owner: (user, group), modified: (s, ns), extended } =
                &**self.attributes(node);
            line += &format!(", {mode:04o} {user}:{group} {s}.{ns:09}");
            for (name, value) in extended {
                line += &format!(" {}={value:?}", name.display());
            }
            match first.get(&node) {
                Some(first) => line += &format!(", the same as {}", first.display()),
                None => drop(first.insert(node, path.clone())),
            }
            lines.insert(path, line);
        }
        lines
    }
}

fn reversed(path: &Path) -> Vec<PathBuf> {
    let components = path.components().filter(|component| *component != Component::CurDir);
    components.rev().map(|component| PathBuf::from(component.as_os_str())).collect()
}
