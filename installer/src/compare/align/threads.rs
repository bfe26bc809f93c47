//! Determines which threads of two runs correspond to each other: those that do the same, in whatever order
//! they start.
//!
//! Threads that make the same calls are distinguished by their data. Threads without a counterpart remain
//! unmatched: they may be workers of a pool, which take whatever call is next.

use super::{Calls, Taken};
use crate::trace::alike::Key;
use rocblas_trace::{call::Functions, read::ThreadReader};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many calls of a thread are examined to distinguish it from others that make the same calls.
const SAMPLE: usize = 64;

/// Distinguishes calls with the same function and sizes by their data.
pub(in crate::compare) trait Data {
    /// Feeds the hasher with whatever is equal for calls with the same data.
    fn hash(&self, side: usize, taken: &Taken, hasher: &mut DefaultHasher);
    /// Whether the data of two calls are the same, except for rounding.
    fn agree(&self, pair: [&Taken; 2]) -> bool;
}

/// What a thread does.
#[derive(Debug, Default)]
pub(super) struct Profile {
    calls: u64,
    /// The hash of its functions, modes and sizes, in order.
    sequence: u64,
    /// The hash of the calls' data.
    data: u64,
    /// Its first calls.
    sample: Vec<Taken>,
}

impl Profile {
    /// Reads all calls of a thread.
    pub(super) fn read(
        side: usize,
        reader: ThreadReader,
        functions: &Functions,
        data: &dyn Data,
    ) -> Self {
        let (mut sequence, mut of_data) = (DefaultHasher::new(), DefaultHasher::new());
        let mut profile = Self::default();
        for taken in Calls::new(reader, functions) {
            profile.calls += 1;
            Key::of(&taken.call(functions)).hash(&mut sequence);
            data.hash(side, &taken, &mut of_data);
            if profile.sample.len() < SAMPLE {
                profile.sample.push(taken);
            }
        }
        (profile.sequence, profile.data) = (sequence.finish(), of_data.finish());
        profile
    }

    fn does_the_same(&self, other: &Self) -> bool {
        (self.calls, self.sequence) == (other.calls, other.sequence)
    }

    /// How many of the first calls have different data, and how many calls were examined.
    fn distance(&self, other: &Self, data: &dyn Data) -> (usize, usize) {
        let pairs = self.sample.iter().zip(&other.sample);
        (pairs.filter(|(a, b)| !data.agree([a, b])).count(), self.sample.len())
    }
}

/// The threads of both sides, by their indices in the lists.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Match {
    /// Threads that correspond to each other.
    pub(super) pairs: Vec<[usize; 2]>,
    /// Threads of each side without a counterpart.
    pub(super) alone: [Vec<usize>; 2],
}

impl Match {
    /// Moves the pairs for which `is_pair` is true from the unmatched threads to the pairs, in order.
    fn take(&mut self, is_pair: impl Fn(usize, usize) -> bool) {
        let [a, b] = &mut self.alone;
        a.retain(|i| match b.iter().position(|j| is_pair(*i, *j)) {
            Some(at) => {
                self.pairs.push([*i, b.remove(at)]);
                false
            }
            None => true,
        });
    }
}

/// Matches threads.
pub(super) fn matched(a: &[Profile], b: &[Profile], data: &dyn Data) -> Match {
    let with_calls =
        |all: &[Profile]| (0..all.len()).filter(|i| all[*i].calls > 0).collect::<Vec<_>>();
    let mut found = Match { alone: [with_calls(a), with_calls(b)], ..Match::default() };
    found.take(|i, j| a[i].does_the_same(&b[j]) && a[i].data == b[j].data);
    // Threads whose calls are unique on each side.
    let [left_a, left_b] = found.alone.clone();
    found.take(|i, j| {
        let is_like = |left: &[usize], all: &[Profile]| {
            left.iter().filter(|k| all[**k].does_the_same(&a[i])).count()
        };
        a[i].does_the_same(&b[j]) && is_like(&left_a, a) == 1 && is_like(&left_b, b) == 1
    });
    // Among threads that make the same calls, pair those with the fewest differing calls, if fewer than half
    // differ.
    let [left_a, left_b] = found.alone.clone();
    let pairs = left_a.iter().flat_map(|i| left_b.iter().map(|j| [*i, *j]));
    let alike = pairs.filter(|[i, j]| a[*i].does_the_same(&b[*j]));
    let mut near: Vec<(usize, [usize; 2])> = alike
        .filter_map(|[i, j]| {
            let (differ, of) = a[i].distance(&b[j], data);
            (2 * differ < of).then_some((differ, [i, j]))
        })
        .collect();
    near.sort_unstable();
    for (_, pair) in near {
        found.take(|i, j| [i, j] == pair);
    }
    if let ([i], [j]) = (&found.alone[0][..], &found.alone[1][..]) {
        let pair = [*i, *j];
        found.take(|i, j| [i, j] == pair);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of these threads are empty, so these functions are not used.
    struct None;

    impl Data for None {
        fn hash(&self, _side: usize, _taken: &Taken, _hasher: &mut DefaultHasher) {}

        fn agree(&self, _pair: [&Taken; 2]) -> bool {
            false
        }
    }

    /// Threads written as two digits, for the sequence and the data; `..` is a thread without calls.
    fn profiles(threads: &str) -> Vec<Profile> {
        let of = |word: &str| match word.as_bytes() {
            b".." => Profile::default(),
            [sequence, data] => Profile {
                calls: 1,
                sequence: u64::from(*sequence),
                data: u64::from(*data),
                sample: Vec::new(),
            },
            _ => panic!("{word}"),
        };
        threads.split(' ').map(of).collect()
    }

    #[test]
    fn threads_belong_together_that_do_the_same() {
        for (a, b, pairs, alone) in [
            // In a different order, and with a thread of the shim itself.
            ("11 22 33", ".. 33 11 22", vec![[0, 2], [1, 3], [2, 1]], [vec![], vec![]]),
            // The same calls, distinguished by their data, even if the data of one thread differ.
            ("11 12 13", "13 11 12", vec![[0, 1], [1, 2], [2, 0]], [vec![], vec![]]),
            ("11 12 13", "13 19 12", vec![[1, 2], [2, 0], [0, 1]], [vec![], vec![]]),
            // It is unknown which of two differing threads corresponds to which.
            ("11 12 13", "18 19 11", vec![[0, 2]], [vec![1, 2], vec![0, 1]]),
            // The only remaining threads are paired, whatever they do.
            ("11 22", "22 55", vec![[1, 0], [0, 1]], [vec![], vec![]]),
            ("11 22 33", "44 55 33", vec![[2, 2]], [vec![0, 1], vec![0, 1]]),
        ] {
            let found = matched(&profiles(a), &profiles(b), &None);
            assert_eq!(found, Match { pairs, alone }, "{a} | {b}");
        }
    }
}
