//! The backends of a trace: the first one, which the process header names, and those opened later; and the
//! backend to which a handle belonged at the time of a call.

use super::{thread::ThreadReader, trace::json, walk::Record};
use crate::{
    call::Call,
    process::{FurtherBackend, MOST_BACKENDS, Process, backend_file},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The backends by number. A file is read when it is first needed: a trace that is still being written may get
/// another one at any time.
#[derive(Debug, Default)]
pub struct Backends {
    directory: PathBuf,
    first: String,
    further: [OnceLock<Further>; MOST_BACKENDS],
}

#[derive(Debug)]
struct Further {
    name: String,
    by_shim: HashSet<String>,
}

impl Backends {
    pub(super) fn of(directory: &Path, process: Option<&Process>) -> Self {
        let first = process.map_or_else(String::new, |process| process.backend.name.clone());
        Self { directory: directory.to_owned(), first, ..Self::default() }
    }

    /// Whether there is a backend other than the first.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.read().next().is_some()
    }

    /// The other backends with their numbers, if their files can be read.
    pub fn read(&self) -> impl Iterator<Item = (u8, FurtherBackend)> {
        (1..MOST_BACKENDS as u8).filter_map(|number| {
            let backend = json::<FurtherBackend>(&self.directory.join(backend_file(number)));
            Some((number, backend.ok()?))
        })
    }

    /// The name of a backend; `backend 3` if its file cannot be read.
    #[must_use]
    pub fn name(&self, number: u8) -> &str {
        match number {
            0 => &self.first,
            _ => self.further(number).map_or("", |further| &further.name),
        }
    }

    /// Whether the shim handled a call with a handle of that backend instead of the backend.
    #[must_use]
    pub fn by_shim(&self, call: &Call<'_>, number: u8) -> bool {
        match number {
            0 => call.by_shim(),
            _ => self.further(number).is_some_and(|further| further.by_shim.contains(call.name())),
        }
    }

    fn further(&self, number: u8) -> Option<&Further> {
        let place = self.further.get(usize::from(number))?;
        Some(place.get_or_init(|| {
            match json::<FurtherBackend>(&self.directory.join(backend_file(number))) {
                Ok(FurtherBackend { backend, by_shim, .. }) => {
                    Further { name: backend.name, by_shim: by_shim.into_iter().collect() }
                }
                Err(_) => Further { name: format!("backend {number}"), by_shim: HashSet::new() },
            }
        }))
    }
}

/// The backend of a handle at a time. An address may belong to several handles in succession, and a handle that
/// several threads use is first seen by one of them.
#[derive(Clone, Debug, Default)]
pub struct Owners(HashMap<u64, Vec<(u64, u8)>>);

impl Owners {
    /// Reads the events of these threads to the end of their files. Damage is not reported here, but when
    /// their calls are read.
    #[must_use]
    pub fn read(threads: Vec<ThreadReader>) -> Self {
        let mut owners: HashMap<u64, Vec<(u64, u8)>> = HashMap::new();
        for mut thread in threads {
            thread.close();
            while let Ok(Some(record)) = thread.next() {
                if let Record::Handle(seen) = record {
                    owners.entry(seen.handle).or_default().push((seen.begin, seen.backend));
                }
            }
        }
        for times in owners.values_mut() {
            times.sort_unstable();
            times.dedup_by_key(|(_, backend)| *backend);
        }
        Self(owners)
    }

    /// The number of the backend to which the handle of a call belonged; `None` for a call without a handle, or with
    /// an unknown one.
    #[must_use]
    pub fn of(&self, call: &Call<'_>) -> Option<u8> {
        let times = self.0.get(&call.handle()?)?;
        let after = times.partition_point(|(begin, _)| *begin <= call.begin());
        // If two threads use a new handle at the same time, only one of them has the event.
        times.get(after.saturating_sub(1)).map(|(_, backend)| *backend)
    }
}
