//! Snapshots of a directory's contents, for comparison with later ones: kinds, modes, owners, contents, links; and
//! optionally times, extended attributes and hard-link counts.

use rustix::{
    buffer::spare_capacity,
    fs::{lgetxattr, llistxattr},
    io::Errno,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::{CStr, OsString},
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Properties by name, as readable text: `mode` is `0644`.
type Properties = BTreeMap<&'static str, String>;

/// All entries of a directory, including itself (`.`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    entries: BTreeMap<PathBuf, Properties>,
}

/// The property for a file's number of names.
pub const LINKS: &str = "links";

/// The property for the time of the last change: seconds, a dot and nanoseconds.
const TIME: &str = "time";

/// The property of a file with several names: the first of them in the directory.
pub const SAME_FILE: &str = "same file as";

/// The level of detail of each entry; each level includes the previous ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Plain,
    /// The time of the last change (mtime).
    Times,
    /// Extended attributes and hard-link counts.
    Exact,
}

impl Snapshot {
    /// The contents of a directory, without times.
    ///
    /// # Panics
    /// When something in it cannot be read.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self::new(directory, Detail::Plain)
    }

    /// As [`Self::of`], with the time of each entry's last change, to the nanosecond.
    ///
    /// # Panics
    /// When something in it cannot be read.
    #[must_use]
    pub fn with_times(directory: &Path) -> Self {
        Self::new(directory, Detail::Times)
    }

    /// As [`Self::with_times`], with extended attributes and the number of names that each file has, including those
    /// outside the directory.
    ///
    /// # Panics
    /// When something in it cannot be read.
    #[must_use]
    pub fn exact(directory: &Path) -> Self {
        Self::new(directory, Detail::Exact)
    }

    fn new(directory: &Path, detail: Detail) -> Self {
        let mut entries = BTreeMap::new();
        let mut seen = HashMap::new();
        let mut pending = BTreeSet::from([PathBuf::from(".")]);
        // Sorted by name, so that the first name of a file is always the same.
        while let Some(path) = pending.pop_first() {
            let place = directory.join(&path);
            let (metadata, mut properties, children) =
                read(&place, detail).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
            if metadata.nlink() > 1 && !metadata.is_dir() {
                let file = (metadata.dev(), metadata.ino());
                let first = seen.entry(file).or_insert_with(|| path.clone());
                properties.insert(SAME_FILE, first.display().to_string());
            }
            let top = path == Path::new(".");
            let child = |name| if top { PathBuf::from(name) } else { path.join(name) };
            pending.extend(children.into_iter().map(child));
            entries.insert(path, properties);
        }
        Self { entries }
    }

    /// Omits the entries with these paths, relative to the directory.
    #[must_use]
    pub fn without(mut self, left_out: impl Fn(&Path) -> bool) -> Self {
        self.entries.retain(|path, _| !left_out(path));
        self
    }

    /// Omits one property of every entry, such as [`LINKS`].
    #[must_use]
    pub fn ignoring(mut self, property: &str) -> Self {
        self.entries.values_mut().for_each(|properties| {
            properties.remove(property);
        });
        self
    }

    /// Replaces times since `start` by a word, so that runs of one command can be compared: files that a run creates
    /// have other times in each run, those that it restores have not.
    ///
    /// # Panics
    /// When `start` is before 1970.
    #[must_use]
    pub fn without_times_since(mut self, start: SystemTime) -> Self {
        let start = start.duration_since(UNIX_EPOCH).expect("a time after 1970");
        for time in self.entries.values_mut().filter_map(|properties| properties.get_mut(TIME)) {
            let seconds = time.split_once('.').and_then(|(seconds, _)| seconds.parse().ok());
            // A file system's clock may be some milliseconds behind.
            if seconds.is_some_and(|seconds: u64| seconds + 1 >= start.as_secs()) {
                "new".clone_into(time);
            }
        }
        self
    }

    /// The paths of all entries, relative to the directory.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(PathBuf::as_path)
    }

    /// The differences from a later snapshot, one line for each property of each entry.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let none = Properties::new();
        let paths: BTreeSet<_> = self.entries.keys().chain(later.entries.keys()).collect();
        let mut differences = Vec::new();
        for path in paths {
            let shown = path.display();
            let (before, after) = match (self.entries.get(path), later.entries.get(path)) {
                (Some(before), Some(after)) => (before, after),
                (before, after) => {
                    let change = if before.is_some() { "gone" } else { "new" };
                    let properties = before.or(after).unwrap_or(&none);
                    differences.push(format!("{shown}: {change}: {}", summary(properties)));
                    continue;
                }
            };
            let names: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
            for name in names.into_iter().filter(|name| before.get(name) != after.get(name)) {
                let value =
                    |of: &Properties| of.get(name).map_or("none", String::as_str).to_owned();
                let (before, after) = (value(before), value(after));
                differences.push(format!("{shown}: {name} {after}, was {before}"));
            }
        }
        differences
    }

    /// Panics with the differences if there are any.
    #[track_caller]
    pub fn assert_same(&self, later: &Self) {
        let differences = self.differences(later);
        assert!(differences.is_empty(), "changed:\n{}", differences.join("\n"));
    }
}

/// `kind file, mode 0644, ...`.
fn summary(properties: &Properties) -> String {
    let properties = properties.iter().map(|(name, value)| format!("{name} {value}"));
    properties.collect::<Vec<_>>().join(", ")
}

/// An entry, and the names in it if it is a directory.
fn read(path: &Path, detail: Detail) -> io::Result<(Metadata, Properties, Vec<OsString>)> {
    let metadata = path.symlink_metadata()?;
    let kind = metadata.file_type();
    let mut properties = Properties::from([
        ("kind", if kind.is_dir() { "directory" } else { "file" }.to_owned()),
        ("mode", format!("{:04o}", metadata.mode() & 0o7777)),
        ("owner", format!("{}:{}", metadata.uid(), metadata.gid())),
    ]);
    if kind.is_file() {
        properties.insert("size", metadata.len().to_string());
        properties.insert("content", format!("{:016x}", digest(path)?));
    } else if kind.is_symlink() {
        properties.insert("kind", "link".to_owned());
        properties.insert("target", fs::read_link(path)?.display().to_string());
    } else if kind.is_block_device() || kind.is_char_device() {
        properties.insert("kind", format!("device {:x}", metadata.rdev()));
    } else if !kind.is_dir() {
        properties.insert("kind", "pipe or socket".to_owned());
    }
    if detail >= Detail::Times {
        let time = format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec());
        properties.insert(TIME, time);
    }
    if detail >= Detail::Exact {
        // A directory's link count depends on its subdirectories, which are entries themselves.
        if !kind.is_dir() {
            properties.insert(LINKS, metadata.nlink().to_string());
        }
        properties.insert("attributes", attributes(path)?);
    }
    let children = if kind.is_dir() {
        path.read_dir()?.map(|child| Ok(child?.file_name())).collect::<io::Result<_>>()?
    } else {
        Vec::new()
    };
    Ok((metadata, properties, children))
}

/// The extended attributes of an entry itself, `user.name=value` each.
fn attributes(path: &Path) -> io::Result<String> {
    let mut names = Vec::with_capacity(1 << 16);
    match llistxattr(path, spare_capacity(&mut names)) {
        Err(Errno::OPNOTSUPP) => return Ok(String::new()),
        other => other?,
    };
    let names = names.split_inclusive(|byte| *byte == 0).map(CStr::from_bytes_with_nul);
    let mut attributes = BTreeSet::new();
    for name in names {
        let name = name.expect("names end with NUL");
        let mut value = Vec::with_capacity(1 << 16);
        lgetxattr(path, name, spare_capacity(&mut value))?;
        attributes.insert(format!("{}={}", name.to_string_lossy(), value.escape_ascii()));
    }
    Ok(attributes.into_iter().collect::<Vec<_>>().join(" "))
}

/// A hash that distinguishes contents; it need not resist deliberate collisions.
fn digest(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    // Compiled with optimizations, unlike std's hasher, which is generic and so is compiled in this crate.
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => {
                let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
                return Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            }
            read => drop(hasher.update(&buffer[..read])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        time::SystemTime,
    };

    /// The differences that a change causes in a directory with a symlink and a file with two names.
    fn differences(
        of: impl Fn(&Path) -> Snapshot,
        change: impl Fn(&Path) -> io::Result<()>,
    ) -> Vec<String> {
        let directory = tempfile::tempdir().expect("make a directory");
        let top = directory.path();
        fs::create_dir(top.join("lib")).expect("make a directory");
        fs::write(top.join("lib/a"), "one").expect("write");
        fs::set_permissions(top.join("lib/a"), fs::Permissions::from_mode(0o640)).expect("mode");
        fs::hard_link(top.join("lib/a"), top.join("lib/b")).expect("link");
        symlink("lib/a", top.join("link")).expect("link");
        let before = of(top);
        change(top).expect("change the directory");
        before.differences(&of(top))
    }

    #[test]
    fn what_has_not_changed_is_the_same() {
        assert!(differences(Snapshot::with_times, |_| Ok(())).is_empty());
    }

    #[test]
    fn contents_and_modes_are_compared() {
        let changed = differences(Snapshot::of, |top| {
            fs::write(top.join("lib/b"), "two")?;
            fs::set_permissions(top.join("lib/a"), fs::Permissions::from_mode(0o4755))
        });
        let [a, mode, _, _] = &changed[..] else { panic!("{changed:?}") };
        assert!(a.starts_with("lib/a: content "), "{changed:?}");
        assert_eq!(mode, "lib/a: mode 4755, was 0640");
    }

    #[test]
    fn targets_and_kinds_are_compared() {
        let changed = differences(Snapshot::of, |top| {
            fs::remove_file(top.join("link"))?;
            symlink("lib/b", top.join("link"))
        });
        assert_eq!(changed, ["link: target lib/b, was lib/a"]);
        let changed = differences(Snapshot::of, |top| {
            fs::remove_file(top.join("link"))?;
            fs::create_dir(top.join("link"))
        });
        assert_eq!(changed[0], "link: kind directory, was link");
        assert_eq!(*changed.last().expect("the target"), "link: target none, was lib/a");
    }

    #[test]
    fn a_copy_is_not_a_hard_link() {
        let changed = differences(Snapshot::of, |top| {
            fs::rename(top.join("lib/b"), top.join("lib/c"))?;
            fs::copy(top.join("lib/c"), top.join("lib/b"))?;
            fs::remove_file(top.join("lib/c"))
        });
        let same = |name| format!("lib/{name}: same file as none, was lib/a");
        assert_eq!(changed, [same("a"), same("b")]);
    }

    #[test]
    fn times_count_when_asked_for() {
        let touch = |top: &Path| {
            let file = File::options().append(true).open(top.join("lib/a"))?;
            file.set_modified(SystemTime::UNIX_EPOCH)
        };
        assert!(differences(Snapshot::of, touch).is_empty());
        let changed = differences(Snapshot::with_times, touch);
        assert!(changed[0].starts_with("lib/a: time 0.000000000, was "), "{changed:?}");
    }

    #[test]
    fn an_exact_snapshot_has_names_elsewhere_and_attributes() {
        let elsewhere = tempfile::tempdir().expect("make a directory");
        let link = |top: &Path| {
            let other = elsewhere.path().join("other");
            let _ = fs::remove_file(&other);
            fs::hard_link(top.join("lib/a"), other)
        };
        assert!(differences(Snapshot::with_times, link).is_empty());
        let changed = differences(Snapshot::exact, link);
        assert_eq!(changed, ["lib/a: links 3, was 2", "lib/b: links 3, was 2"]);
        let without_links = |top: &Path| Snapshot::exact(top).ignoring(LINKS);
        assert!(differences(without_links, link).is_empty());

        let directory = tempfile::tempdir().expect("make a directory");
        let flags = rustix::fs::XattrFlags::empty();
        let set = |path: &Path| rustix::fs::lsetxattr(path, c"user.a", b"x\xff", flags);
        if set(directory.path()).is_err() {
            crate::skip::skip("extended attributes", "this file system has none");
            return;
        }
        let changed = differences(Snapshot::exact, |top| Ok(set(&top.join("lib/a"))?));
        let line = |name| format!("lib/{name}: attributes user.a=x\\xff, was ");
        assert_eq!(changed, [line("a"), line("b")]);
    }

    #[test]
    fn what_is_left_out_is_not_compared() {
        let without_c = |top: &Path| Snapshot::of(top).without(|path| path.ends_with("c"));
        let changed = differences(without_c, |top| {
            fs::write(top.join("lib/c"), "")?;
            fs::write(top.join("lib/d"), "")
        });
        let [d] = &changed[..] else { panic!("{changed:?}") };
        assert!(d.starts_with("lib/d: new: content "), "{changed:?}");
    }
}
