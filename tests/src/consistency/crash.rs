//! Enumerates what a power cut may leave.
//!
//! A state is a choice for each operation: forgotten, done, or for data partly done. A choice is permitted at
//! a prefix of the log if everything durable there is done, nothing after the prefix is, and an operation is
//! done only if those that it follows are. The following states are enumerated, without duplicates:
//! - every prefix with nothing forgotten, and with everything forgotten that may be;
//! - for every prefix, each non-durable operation delayed: it and the operations that follow it are
//!   forgotten, or if it is data, also partly done;
//! - for every prefix, each later operation early: done with those that it follows, and nothing between;
//! - if at most [`EXHAUSTIVE`] operations are not durable: all permitted choices;
//! - before each sync and at the end: [`SAMPLES`] seeded random choices.

use super::{Content, Effect, FileSystem, Log, Node, NodeId};
use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    sync::Arc,
};

/// With at most this many operations that are not durable, all choices are enumerated.
const EXHAUSTIVE: usize = 10;

/// Incomplete data is included as long as there are at most this many choices.
const MOST: usize = 2048;

/// Random choices before each sync.
const SAMPLES: usize = 100;

/// Which operations on names persist in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Operations in one directory.
    Directory,
    /// Operations on one name.
    Name,
}

/// The fate of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Choice {
    Forgotten,
    Done,
    /// Data only: one of [`Content::incomplete`].
    Partly(u8),
}

use Choice::{Done, Forgotten, Partly};

/// The incomplete contents of data.
const PARTS: [Choice; 3] = [Partly(0), Partly(1), Partly(2)];

type Choices = Vec<Choice>;

/// A file system that a power cut may leave.
#[derive(Clone, Debug)]
pub struct Crash {
    /// The files.
    pub files: FileSystem,
    /// How many operations had begun, at least.
    pub prefix: usize,
    /// Whether it may also be left after the end of the command.
    pub after_end: bool,
    /// A description of the missing or incomplete operations.
    pub missing: Vec<String>,
    /// The kind of choice: states of the same kind differ only in the prefix.
    pub kind: String,
}

/// A permitted choice.
struct Candidate {
    choices: Choices,
    prefix: usize,
    kind: String,
}

/// A name in a directory that an operation affects, or `None` for the directory itself.
type Name = Option<Arc<OsStr>>;

/// The dependencies of a log's operations.
struct Dependencies {
    /// For each operation, those that it follows directly.
    follows: Vec<Vec<usize>>,
}

impl Dependencies {
    fn of(log: &Log, ordering: Ordering) -> Self {
        // For each directory, the operations so far on a name of it or on itself.
        let mut before: HashMap<NodeId, Vec<(usize, Name)>> = HashMap::new();
        let mut follows = Vec::new();
        let mut files = log.start.clone();
        for (number, operation) in log.operations.iter().enumerate() {
            let mut followed = Vec::new();
            for (directory, name) in concerned(&operation.effect, &files) {
                let before = before.entry(directory).or_default();
                match ordering {
                    Ordering::Directory => followed.extend(before.last().map(|last| last.0)),
                    Ordering::Name => {
                        let same = |other: &&(usize, Name)| {
                            name.is_none() || other.1.is_none() || other.1 == name
                        };
                        followed.extend(before.iter().filter(same).map(|other| other.0));
                    }
                }
                before.push((number, name));
            }
            followed.retain(|other| *other != number);
            follows.push(followed);
            files.apply(&operation.effect);
        }
        Self { follows }
    }

    /// Adds the operations on which done operations depend.
    fn complete(&self, choices: &mut Choices) {
        for number in (0..choices.len()).rev() {
            if choices[number] != Forgotten {
                for followed in &self.follows[number] {
                    if choices[*followed] == Forgotten {
                        choices[*followed] = Done;
                    }
                }
            }
        }
    }

    /// Forgets the operations that depend on a forgotten one.
    fn reduce(&self, choices: &mut Choices) {
        for number in 0..choices.len() {
            if self.follows[number].iter().any(|followed| choices[*followed] == Forgotten) {
                choices[number] = Forgotten;
            }
        }
    }

    fn is_complete(&self, choices: &Choices) -> bool {
        let mut completed = choices.clone();
        self.complete(&mut completed);
        completed == *choices
    }
}

/// The names that an operation affects, each with its directory, and the directories that it creates,
/// removes or replaces.
fn concerned(effect: &Effect, files: &FileSystem) -> Vec<(NodeId, Name)> {
    let name = |place: &super::Place| (place.directory, Some(Arc::clone(&place.name)));
    let itself = |node: NodeId| files.names(node).map(|_| (node, None));
    match effect {
        Effect::Create { place, node, first, .. } => {
            let made = matches!(first, Node::Directory(_)).then_some((*node, None));
            place.iter().map(name).chain(made).collect()
        }
        Effect::Link { place, .. } => vec![name(place)],
        Effect::Remove { place, node } => [name(place)].into_iter().chain(itself(*node)).collect(),
        Effect::Rename { from, to, .. } => {
            let replaced = files.named(to).and_then(itself);
            [name(from), name(to)].into_iter().chain(replaced).collect()
        }
        Effect::Exchange { places, .. } => places.iter().map(name).collect(),
        Effect::Data { .. } | Effect::Attributes { .. } | Effect::Sync { .. } | Effect::SyncAll => {
            Vec::new()
        }
    }
}

/// For each prefix of the log, which operations are durable.
fn durable(log: &Log, dependencies: &Dependencies) -> Vec<Vec<bool>> {
    let count = log.operations.len();
    let mut done = vec![Forgotten; count];
    let mut prefixes = vec![vec![false; count]];
    let mut files = log.start.clone();
    let mut directories: Vec<Vec<NodeId>> = Vec::new();
    for (number, operation) in log.operations.iter().enumerate() {
        let concerned = concerned(&operation.effect, &files);
        directories.push(concerned.into_iter().map(|(directory, _)| directory).collect());
        match &operation.effect {
            Effect::SyncAll => done[..number].fill(Done),
            Effect::Sync { node: synced } => {
                for earlier in 0..number {
                    let is_of_node = match &log.operations[earlier].effect {
                        Effect::Data { node, .. } | Effect::Attributes { node, .. } => {
                            node == synced
                        }
                        _ => directories[earlier].contains(synced),
                    };
                    if is_of_node {
                        done[earlier] = Done;
                    }
                }
                dependencies.complete(&mut done);
            }
            _ => {}
        }
        // A sync changes nothing itself.
        if matches!(operation.effect, Effect::Sync { .. } | Effect::SyncAll) {
            done[number] = Done;
        }
        prefixes.push(done.iter().map(|choice| *choice == Done).collect());
        files.apply(&operation.effect);
    }
    prefixes
}

/// A small generator of random numbers, the same on every machine (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

struct Enumeration<'a> {
    log: &'a Log,
    dependencies: Dependencies,
    durable: Vec<Vec<bool>>,
    seen: HashSet<Choices>,
    candidates: Vec<Candidate>,
}

impl Enumeration<'_> {
    fn count(&self) -> usize {
        self.log.operations.len()
    }

    fn is_data(&self, number: usize) -> bool {
        matches!(self.log.operations[number].effect, Effect::Data { .. })
    }

    fn is_sync(&self, number: usize) -> bool {
        matches!(self.log.operations[number].effect, Effect::Sync { .. } | Effect::SyncAll)
    }

    /// All operations that had begun are done.
    fn done(&self, prefix: usize) -> Choices {
        (0..self.count()).map(|number| if number < prefix { Done } else { Forgotten }).collect()
    }

    /// Only the durable operations are done.
    fn forgotten(&self, prefix: usize) -> Choices {
        let durable = &self.durable[prefix];
        durable.iter().map(|durable| if *durable { Done } else { Forgotten }).collect()
    }

    /// The operations that had begun and are not durable.
    fn window(&self, prefix: usize) -> Vec<usize> {
        (0..prefix).filter(|number| !self.durable[prefix][*number]).collect()
    }

    fn is_permitted(&self, choices: &Choices, prefix: usize) -> bool {
        let durable = &self.durable[prefix];
        let durable_done = (0..self.count()).all(|n| !durable[n] || choices[n] == Done);
        let rest_not = choices[prefix..].iter().all(|choice| *choice == Forgotten);
        durable_done && rest_not && self.dependencies.is_complete(choices)
    }

    fn add(&mut self, choices: Choices, prefix: usize, kind: impl FnOnce() -> String) {
        if !self.seen.contains(&choices) && self.is_permitted(&choices, prefix) {
            self.seen.insert(choices.clone());
            self.candidates.push(Candidate { choices, prefix, kind: kind() });
        }
    }

    fn every_prefix(&mut self) {
        for prefix in 0..=self.count() {
            self.add(self.done(prefix), prefix, || format!("all of {prefix}"));
            self.add(self.forgotten(prefix), prefix, || format!("durable of {prefix}"));
        }
    }

    fn delayed(&mut self) {
        for prefix in 0..=self.count() {
            for number in self.window(prefix) {
                let mut choices = self.done(prefix);
                choices[number] = Forgotten;
                self.dependencies.reduce(&mut choices);
                self.add(choices, prefix, || format!("{number} delayed"));
                if self.is_data(number) {
                    for part in PARTS {
                        let mut choices = self.done(prefix);
                        choices[number] = part;
                        self.add(choices, prefix, || format!("{number} {part:?}"));
                    }
                }
            }
        }
    }

    fn early(&mut self) {
        for prefix in 0..self.count() {
            // Up to the sync that would have made the omitted operations durable.
            for number in prefix + 1..self.count() {
                let left_out =
                    (prefix..number).any(|n| self.durable[number][n] && !self.is_sync(n));
                if left_out {
                    break;
                }
                let mut choices = self.done(prefix);
                for sync in (prefix..number).filter(|number| self.is_sync(*number)) {
                    choices[sync] = Done;
                }
                choices[number] = Done;
                self.dependencies.complete(&mut choices);
                self.add(choices, number + 1, || format!("{number} early"));
            }
        }
    }

    /// Prefixes after which the next operation is a sync, and the end.
    fn before_syncs(&self) -> Vec<usize> {
        (0..=self.count()).filter(|n| *n == self.count() || self.is_sync(*n)).collect()
    }

    fn exhaustive(&mut self) {
        for prefix in 0..=self.count() {
            let window = self.window(prefix);
            // A window is part of the next prefix's window unless a sync follows.
            let last = prefix == self.count() || self.is_sync(prefix);
            if window.len() > EXHAUSTIVE || (!last && window.len() < EXHAUSTIVE) {
                continue;
            }
            let all_parts: usize =
                window.iter().map(|n| if self.is_data(*n) { 2 + PARTS.len() } else { 2 }).product();
            let mut all = vec![self.forgotten(prefix)];
            for number in window {
                let in_part = self.is_data(number) && all_parts <= MOST;
                let choices: &[Choice] =
                    if in_part { &[Done, PARTS[0], PARTS[1], PARTS[2]] } else { &[Done] };
                let more: Vec<Choices> = all
                    .iter()
                    .flat_map(|base| choices.iter().map(move |choice| (base, choice)))
                    .map(|(base, choice)| {
                        let mut base = base.clone();
                        base[number] = *choice;
                        base
                    })
                    .collect();
                all.extend(more);
            }
            for choices in all {
                self.add(choices, prefix, || format!("subset of {prefix}"));
            }
        }
    }

    fn random(&mut self, seed: u64) {
        let mut random = Random(seed | 1);
        for prefix in self.before_syncs() {
            let window = self.window(prefix);
            if window.is_empty() {
                continue;
            }
            for sample in 0..SAMPLES {
                let mut choices = self.forgotten(prefix);
                // Few, half or most of them.
                let weight = [1, 5, 9][sample % 3];
                for number in &window {
                    choices[*number] = if random.below(10) >= weight {
                        Forgotten
                    } else if self.is_data(*number) && random.below(2) == 0 {
                        PARTS[random.below(3)]
                    } else {
                        Done
                    };
                }
                if sample % 2 == 0 {
                    self.dependencies.complete(&mut choices);
                } else {
                    self.dependencies.reduce(&mut choices);
                }
                self.add(choices, prefix, || format!("random of {prefix}"));
            }
        }
    }
}

impl Log {
    /// The distinct file systems that a power cut may leave, at any moment from the start of the
    /// command to after its end.
    #[must_use]
    pub fn crashes(&self, ordering: Ordering, seed: u64) -> Vec<Crash> {
        let dependencies = Dependencies::of(self, ordering);
        let durable = durable(self, &dependencies);
        let mut enumeration = Enumeration {
            log: self,
            dependencies,
            durable,
            seen: HashSet::new(),
            candidates: Vec::new(),
        };
        enumeration.every_prefix();
        enumeration.delayed();
        enumeration.early();
        enumeration.exhaustive();
        enumeration.random(seed);
        let at_end = enumeration.durable.last().map_or(&[][..], Vec::as_slice);
        self.states(&enumeration.candidates, at_end)
    }

    /// Applies each candidate. `durable` tells which operations are durable at the end.
    fn states(&self, candidates: &[Candidate], durable: &[bool]) -> Vec<Crash> {
        let mut start = self.start.clone();
        for operation in &self.operations {
            if let Effect::Create { node, first, attributes, .. } = &operation.effect {
                start.define(*node, first.clone(), Arc::clone(attributes));
            }
        }
        let parts: HashMap<usize, [Content; 3]> = (self.operations.iter().enumerate())
            .filter_map(|(number, operation)| match &operation.effect {
                Effect::Data { content, .. } => Some((number, content.incomplete())),
                _ => None,
            })
            .collect();
        let unchanged = self.unchanged();
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let mut crashes: Vec<Crash> = Vec::new();
        for Candidate { choices, prefix, kind } in candidates {
            let mut files = start.clone();
            for (number, operation) in self.operations.iter().enumerate().take(*prefix) {
                match (choices[number], &operation.effect) {
                    (Forgotten, _) => {}
                    (Partly(part), Effect::Data { node, attributes, .. }) => {
                        let content = parts[&number][usize::from(part)].clone();
                        let (node, attributes) = (*node, Arc::clone(attributes));
                        files.apply(&Effect::Data { node, content, attributes });
                    }
                    (_, effect) => files.apply(effect),
                }
            }
            let after_end =
                choices.iter().zip(durable).all(|(choice, durable)| !durable || *choice == Done);
            let digest = files.digest(&unchanged);
            if let Some(known) = seen.get(&digest) {
                crashes[*known].after_end |= after_end;
                continue;
            }
            seen.insert(digest, crashes.len());
            let missing = (0..*prefix).filter(|number| choices[*number] != Done);
            let missing = missing
                .map(|number| {
                    let operation = &self.operations[number];
                    let what = match choices[number] {
                        Partly(0) => ", its content is empty",
                        Partly(1) => ", its content is zeros",
                        Partly(_) => ", its content is half",
                        _ => "",
                    };
                    format!("{number}: {operation}{what}")
                })
                .collect();
            let (prefix, kind) = (*prefix, kind.clone());
            crashes.push(Crash { files, prefix, after_end, missing, kind });
        }
        crashes
    }

    /// Directories of the start in which nothing ever changes.
    fn unchanged(&self) -> HashSet<NodeId> {
        let mut changed: HashSet<NodeId> = HashSet::new();
        let mut files = self.start.clone();
        for operation in &self.operations {
            match &operation.effect {
                Effect::Data { node, .. } | Effect::Attributes { node, .. } => {
                    changed.insert(*node);
                }
                effect => changed.extend(concerned(effect, &files).into_iter().map(|(n, _)| n)),
            }
            files.apply(&operation.effect);
        }
        let mut unchanged = HashSet::new();
        collect_unchanged(&self.start, 0, &changed, &mut unchanged);
        unchanged
    }
}

/// Whether a node and everything below it is unchanged.
fn collect_unchanged(
    files: &FileSystem,
    node: NodeId,
    changed: &HashSet<NodeId>,
    unchanged: &mut HashSet<NodeId>,
) -> bool {
    let mut same = !changed.contains(&node);
    for child in files.names(node).into_iter().flatten().map(|(_, child)| *child) {
        same &= collect_unchanged(files, child, changed, unchanged);
    }
    if same && files.names(node).is_some() {
        unchanged.insert(node);
    }
    same
}
