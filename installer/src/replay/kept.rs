//! A file with the different results of several runs of a call, so that each of them can be judged.

use super::device::{Answer, Found};
use anyhow::{Context, Result};
use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The maximum number of bytes of results that are kept for a backend. The first result is kept whatever its
/// size.
pub(super) const MOST_BYTES: u64 = 4 << 30;

/// Collects results as they arrive.
#[derive(Debug)]
pub(super) struct Kept {
    file: File,
    path: PathBuf,
    most: u64,
    bytes: u64,
    /// By digest, the index of each different result, and whether it has changes outside of the elements.
    known: HashMap<blake3::Hash, (usize, bool)>,
}

impl Kept {
    /// Creates a file of at most `most` bytes.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(super) fn new(directory: &Path, most: u64) -> Result<Self> {
        let path = file_of(directory);
        let file = File::create_new(&path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { file, path, most, bytes: 0, known: HashMap::new() })
    }

    /// Counts a run's result, and keeps it if no earlier run had it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn add(
        &mut self,
        answer: &mut Answer,
        outputs: &[u8],
        outside: impl FnOnce() -> Option<(String, i64)>,
        changed_input: Option<String>,
    ) -> Result<()> {
        let digest = blake3::hash(outputs);
        let (at, is_outside) = match self.known.get(&digest) {
            Some(known) => *known,
            None => {
                let at = answer.results.len();
                let bytes = self.bytes.saturating_add(outputs.len() as u64);
                // Only a leading part of the results is kept, without gaps.
                if answer.kept == at && (at == 0 || bytes <= self.most) {
                    let failed = || format!("cannot write {}", self.path.display());
                    self.file.write_all(outputs).with_context(failed)?;
                    self.bytes = bytes;
                    answer.kept += 1;
                }
                let digest_text = digest.to_hex().to_string();
                answer.results.push(Found { digest: digest_text, runs: 0, harmful: 0 });
                let outside = outside();
                let known = (at, outside.is_some());
                answer.outside = answer.outside.take().or(outside);
                self.known.insert(digest, known);
                known
            }
        };
        let found = &mut answer.results[at];
        found.runs += 1;
        found.harmful += u64::from(is_outside || changed_input.is_some());
        answer.changed_input = answer.changed_input.take().or(changed_input);
        Ok(())
    }
}

/// Reads the kept results one after the other.
#[derive(Debug)]
pub(super) struct Results {
    file: File,
    path: PathBuf,
    /// The length of a result, in bytes.
    length: usize,
}

impl Results {
    /// Opens the file in a directory, whose results have that many bytes each.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn open(directory: &Path, length: usize) -> Result<Self> {
        let path = file_of(directory);
        let file = File::open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { file, path, length })
    }

    /// The next result.
    ///
    /// # Errors
    /// If the file cannot be read or is too short.
    pub(super) fn read(&mut self) -> Result<Vec<u8>> {
        let mut result = vec![0; self.length];
        let read = self.file.read_exact(&mut result);
        read.with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(result)
    }
}

fn file_of(directory: &Path) -> PathBuf {
    directory.join("results")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_beyond_the_bound_are_counted_and_not_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut answer = Answer::default();
        let mut kept = Kept::new(directory.path(), 12).expect("created");
        for run in [1_u8, 2, 3, 4, 5, 4, 1] {
            let input = (run == 2).then(|| "A".to_owned());
            kept.add(&mut answer, &[run; 4], || None, input).expect("added");
        }
        let counts: Vec<_> = answer.results.iter().map(|it| (it.runs, it.harmful)).collect();
        assert_eq!(counts, [(2, 0), (1, 1), (1, 0), (2, 0), (1, 0)]);
        assert_eq!((answer.kept, answer.changed_input.as_deref()), (3, Some("A")));
        let mut results = Results::open(directory.path(), 4).expect("opened");
        for expected in 1..=3 {
            assert_eq!(results.read().expect("read"), [expected; 4]);
        }
        results.read().expect_err("no more");
    }
}
