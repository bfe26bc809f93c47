//! Records what a command does to the files below a directory.
//!
//! The content of a written file is not taken from the arguments of `write` and its many relatives
//! but read from the file, while the tracee is stopped. This is sound because it is read before the
//! next recorded call of any of its threads is carried out: consecutive writes to one file become one
//! operation, and no write is ever mixed with what was done to another file or name after it. Writes
//! through a shared mapping are part of the next content that is read; if none is, the recording
//! fails, as [`record`] compares the log's outcome with the real files.

use super::{
    Attributes, Content, Effect, FileSystem, Log, Node, NodeId, Operation, Place,
    scan::{self, Number},
};
use crate::{
    interrupt::{self, Attempt, Observer, Spot},
    run::Ended,
};
use libc::{O_TMPFILE, O_TRUNC};
use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// A recorded command.
#[derive(Debug)]
pub struct Recording {
    /// Its operations.
    pub log: Log,
    /// How it ended and what it printed.
    pub ended: Ended,
}

/// Runs a command to its end and records every operation on files below a directory, which nothing
/// else may change meanwhile.
///
/// # Errors
/// If the command cannot be run or traced, or if its operations do not explain the resulting files: then a
/// call is not modelled correctly.
pub fn record(command: &mut Command, directory: &Path) -> io::Result<Recording> {
    let directory = directory.canonicalize()?;
    let (start, numbers) = scan::scan(&directory)?;
    let mut recorder = Recorder {
        device: directory.metadata()?.dev(),
        now: start.clone(),
        numbers,
        operations: Vec::new(),
        started: HashMap::new(),
        written: None,
    };
    let outcome = interrupt::observe(command, &directory, &mut recorder)?;
    recorder.flush()?;
    let (end, _) = scan::scan(&directory)?;
    let differences = recorder.now.differences(&end);
    if !differences.is_empty() {
        let text = format!("operations that were not recorded: {}", differences.join("\n"));
        return Err(io::Error::other(text));
    }
    let log = Log { start, operations: recorder.operations };
    Ok(Recording { log, ended: outcome.ended })
}

/// The target of a call, as it was before the call.
#[derive(Clone, Debug)]
enum Target {
    /// A name in a directory of the tree.
    Place(Place),
    /// A file or directory of the tree, open.
    Node(NodeId),
    /// Something outside of it.
    Elsewhere,
}

/// A file that was written to since its content was recorded.
struct Written {
    node: NodeId,
    file: File,
    text: String,
}

struct Recorder {
    /// The file system that the tree is on.
    device: u64,
    /// The tree as it is now.
    now: FileSystem,
    /// Inodes of the tree, also those without a name that are open.
    numbers: HashMap<Number, NodeId>,
    operations: Vec<Operation>,
    /// The targets of calls that have begun, by thread.
    started: HashMap<i32, Vec<Target>>,
    written: Option<Written>,
}

impl Observer for Recorder {
    fn before(&mut self, attempt: &Attempt) -> io::Result<()> {
        let targets: Vec<Target> =
            attempt.spots.iter().map(|spot| self.target(spot)).collect::<io::Result<_>>()?;
        let writes_on = is_data(attempt.name)
            && self.written.as_ref().is_some_and(
                |written| matches!(targets[..], [Target::Node(node)] if node == written.node),
            );
        let concerns = targets.iter().any(|target| !matches!(target, Target::Elsewhere));
        if !writes_on && (concerns || is_open(attempt.name) || attempt.name == "sync") {
            self.flush()?;
        }
        self.started.insert(attempt.thread, targets);
        Ok(())
    }

    fn after(&mut self, attempt: &Attempt, result: i64) -> io::Result<()> {
        let targets = self.started.remove(&attempt.thread).unwrap_or_default();
        if result < 0 {
            return Ok(());
        }
        let places: Vec<&Place> = targets
            .iter()
            .filter_map(|target| match target {
                Target::Place(place) => Some(place),
                _ => None,
            })
            .collect();
        match attempt.name {
            name if is_open(name) => self.opened(attempt, result),
            name if is_data(name) => self.data(attempt),
            "rename" | "renameat" | "renameat2" => self.renamed(attempt, &targets, &places),
            "unlink" | "unlinkat" | "rmdir" => match places[..] {
                [place] => {
                    let node = self.known(attempt, place)?;
                    self.push(attempt, &places, Effect::Remove { place: place.clone(), node });
                    Ok(())
                }
                _ => Ok(()),
            },
            "link" | "linkat" | "symlink" | "symlinkat" | "mkdir" | "mkdirat" | "mknod"
            | "mknodat" => match (targets.last(), attempt.spots.last()) {
                (Some(Target::Place(place)), Some(spot)) => self.named(attempt, place, spot),
                _ => Ok(()),
            },
            "fsync" | "fdatasync" => {
                if let [Target::Node(node)] = targets[..] {
                    self.push(attempt, &[], Effect::Sync { node });
                }
                Ok(())
            }
            "syncfs" => {
                let [Spot::Opened(path)] = &attempt.spots[..] else { return Ok(()) };
                if path.metadata()?.dev() == self.device {
                    self.push(attempt, &[], Effect::SyncAll);
                }
                Ok(())
            }
            "sync" => {
                self.push(attempt, &[], Effect::SyncAll);
                Ok(())
            }
            // All other calls change attributes.
            _ => self.attributes(attempt),
        }
    }
}

fn is_open(name: &str) -> bool {
    ["open", "openat", "openat2", "creat"].contains(&name)
}

fn is_data(name: &str) -> bool {
    [
        "write",
        "pwrite",
        "writev",
        "pwritev",
        "pwritev2",
        "sendfile",
        "splice",
        "copy_file_range",
        "ioctl",
        "fallocate",
        "truncate",
        "ftruncate",
    ]
    .contains(&name)
}

/// The file of a spot, links followed.
fn followed(spot: &Spot) -> PathBuf {
    match spot {
        Spot::Entry { directory, name } => directory.join(name),
        Spot::Opened(path) => path.clone(),
    }
}

/// `None` if the file does not exist.
fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&e.kind()) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

impl Recorder {
    fn node_of(&self, metadata: &Metadata) -> Option<NodeId> {
        self.numbers.get(&scan::number(metadata)).copied()
    }

    fn target(&self, spot: &Spot) -> io::Result<Target> {
        let directory = match spot {
            Spot::Entry { directory, .. } => directory,
            Spot::Opened(path) => path,
        };
        // A path that cannot be followed makes the call fail.
        let metadata = directory.metadata().ok();
        let Some(node) = metadata.and_then(|metadata| self.node_of(&metadata)) else {
            return Ok(Target::Elsewhere);
        };
        Ok(match spot {
            Spot::Entry { name, .. } => {
                Target::Place(Place { directory: node, name: name.as_os_str().into() })
            }
            Spot::Opened(_) => Target::Node(node),
        })
    }

    /// The node that a name refers to, which must be recorded already.
    fn known(&self, attempt: &Attempt, place: &Place) -> io::Result<NodeId> {
        self.now.named(place).ok_or_else(|| {
            let path = self.now.path_of(place.directory).join(&*place.name);
            io::Error::other(format!("{} {}: not recorded", attempt.name, path.display()))
        })
    }

    fn push(&mut self, attempt: &Attempt, places: &[&Place], effect: Effect) {
        let mut text = attempt.name.to_owned();
        let path = |place: &Place| {
            let directory = self.now.path_of(place.directory);
            directory.strip_prefix(".").unwrap_or(&directory).join(&*place.name)
        };
        let mut paths: Vec<PathBuf> = places.iter().map(|place| path(place)).collect();
        if let Effect::Sync { node } | Effect::Attributes { node, .. } = effect {
            paths = vec![self.now.path_of(node)];
        }
        if matches!(effect, Effect::Exchange { .. }) {
            text += " (exchange)";
        }
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        if !paths.is_empty() {
            text += &format!(" {}", paths.join(" -> "));
        }
        self.record(text, effect);
    }

    fn record(&mut self, text: String, effect: Effect) {
        self.now.apply(&effect);
        if matches!(effect, Effect::Remove { .. } | Effect::Rename { .. }) {
            // Its inode number may be reused for another file.
            let reachable = self.now.reachable();
            self.numbers.retain(|_, node| reachable.contains(node));
        }
        self.operations.push(Operation { text, effect });
    }

    /// Records the content of the file that was written to last.
    fn flush(&mut self) -> io::Result<()> {
        let Some(Written { node, mut file, text }) = self.written.take() else { return Ok(()) };
        let metadata = file.metadata()?;
        if metadata.nlink() == 0 && !self.numbers.values().any(|known| *known == node) {
            // The file was removed.
            return Ok(());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let attributes = self.attributes_now(node, &metadata);
        let content = Content::from(bytes);
        self.record(text, Effect::Data { node, content, attributes });
        Ok(())
    }

    /// The attributes after a write, which changes the time and set-user-ID bits.
    fn attributes_now(&self, node: NodeId, metadata: &Metadata) -> Arc<Attributes> {
        let mut attributes = (**self.now.attributes(node)).clone();
        attributes.mode = metadata.mode() & 0o7777;
        attributes.modified = (metadata.mtime(), metadata.mtime_nsec());
        Arc::new(attributes)
    }

    fn data(&mut self, attempt: &Attempt) -> io::Result<()> {
        let Some(path) = attempt.spots.first().map(followed) else { return Ok(()) };
        let Some(metadata) = if_exists(path.metadata())? else { return Ok(()) };
        match self.node_of(&metadata) {
            Some(node) if metadata.is_file() => self.write_to(attempt.name, node, &path),
            _ => Ok(()),
        }
    }

    fn write_to(&mut self, name: &str, node: NodeId, path: &Path) -> io::Result<()> {
        if self.written.as_ref().is_some_and(|written| written.node == node) {
            return Ok(());
        }
        // Another thread may have written to a file during this call.
        self.flush()?;
        let text = format!("{name} {}", self.now.path_of(node).display());
        self.written = Some(Written { node, file: File::open(path)?, text });
        Ok(())
    }

    fn opened(&mut self, attempt: &Attempt, descriptor: i64) -> io::Result<()> {
        let path = PathBuf::from(format!("/proc/{}/fd/{descriptor}", attempt.thread));
        let metadata = path.metadata()?;
        if !metadata.is_file() {
            return Ok(());
        }
        let has = |flag: i32| attempt.flags & flag as u64 == flag as u64;
        let known = self.node_of(&metadata);
        let anonymous = has(O_TMPFILE);
        let named = known.filter(|node| self.now.reachable().contains(node));
        if let Some(node) = named.filter(|_| !anonymous) {
            let is_shorter = match self.now.node(node) {
                Node::File(content) => (content.bytes().len() as u64) != metadata.len(),
                _ => false,
            };
            if has(O_TRUNC) && is_shorter {
                self.write_to(attempt.name, node, &path)?;
            }
            return Ok(());
        }
        // The real path: `openat2` may have taken its path as one below a directory.
        let real = fs::read_link(&path)?;
        let Some((parent, name)) = real.parent().zip(real.file_name()) else { return Ok(()) };
        let parent = if_exists(parent.metadata())?.and_then(|metadata| self.node_of(&metadata));
        let Some(directory) = parent else { return Ok(()) };
        let place = Place { directory, name: name.into() };
        let place = (!anonymous).then_some(place);
        self.created(attempt, place, &path, &metadata)
    }

    fn created(
        &mut self,
        attempt: &Attempt,
        place: Option<Place>,
        path: &Path,
        metadata: &Metadata,
    ) -> io::Result<()> {
        let node = self.now.next();
        self.numbers.insert(scan::number(metadata), node);
        let first = scan::read(path, metadata)?;
        let attributes = Arc::new(Attributes::read(path, metadata)?);
        let places = place.clone();
        let effect = Effect::Create { place, node, first, attributes };
        self.push(attempt, &places.iter().collect::<Vec<_>>(), effect);
        Ok(())
    }

    /// A name that was not there before.
    fn named(&mut self, attempt: &Attempt, place: &Place, spot: &Spot) -> io::Result<()> {
        let path = followed(spot);
        let metadata = path.symlink_metadata()?;
        if attempt.name.starts_with("link") {
            let node = self.node_of(&metadata).ok_or_else(|| {
                io::Error::other(format!("{}: a link to a file outside", path.display()))
            })?;
            self.push(attempt, &[place], Effect::Link { place: place.clone(), node });
            return Ok(());
        }
        self.created(attempt, Some(place.clone()), &path, &metadata)
    }

    fn renamed(
        &mut self,
        attempt: &Attempt,
        targets: &[Target],
        places: &[&Place],
    ) -> io::Result<()> {
        let [from, to] = places[..] else {
            return match targets {
                [Target::Elsewhere, Target::Elsewhere] => Ok(()),
                _ => Err(io::Error::other("a rename into the tree or out of it")),
            };
        };
        let node = self.known(attempt, from)?;
        let replaced = self.now.named(to);
        const EXCHANGE: u64 = libc::RENAME_EXCHANGE as u64;
        const NO_REPLACE: u64 = libc::RENAME_NOREPLACE as u64;
        let effect = match attempt.flags {
            EXCHANGE => {
                let nodes = [node, self.known(attempt, to)?];
                Effect::Exchange { places: [from.clone(), to.clone()], nodes }
            }
            // Two names of one file: nothing happens.
            0 if replaced == Some(node) => return Ok(()),
            0 | NO_REPLACE => Effect::Rename { from: from.clone(), to: to.clone(), node },
            flags => return Err(io::Error::other(format!("renameat2 with flags {flags:#x}"))),
        };
        self.push(attempt, places, effect);
        Ok(())
    }

    fn attributes(&mut self, attempt: &Attempt) -> io::Result<()> {
        let Some(spot) = attempt.spots.first() else { return Ok(()) };
        let path = followed(spot);
        let mut looked_at = vec![if_exists(path.metadata())?];
        if matches!(spot, Spot::Entry { .. }) {
            // The call may be one that does not follow links.
            looked_at.push(if_exists(path.symlink_metadata())?);
        }
        for metadata in looked_at.into_iter().flatten() {
            let Some(node) = self.node_of(&metadata) else { continue };
            let attributes = Arc::new(Attributes::read(&path, &metadata)?);
            if *self.now.attributes(node) != attributes {
                self.push(attempt, &[], Effect::Attributes { node, attributes });
            }
        }
        Ok(())
    }
}
