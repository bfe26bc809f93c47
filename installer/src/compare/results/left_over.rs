//! Calls that differ from the call in the same place of the other run. They are matched by their outputs and
//! their inputs, whichever thread made them and when.

use super::operands::Sides;
use crate::{
    compare::align::{Data, Taken},
    trace::alike::Key,
};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher},
};

/// The maximum number of calls of the other side that a call is compared with, in each of two ways.
const COMPARED: usize = 2000;

/// A call, and the number of its pair if another call was in the same place.
struct Left {
    taken: Taken,
    pair: Option<u64>,
}

/// The calls of both sides.
#[derive(Default)]
pub(super) struct LeftOver {
    by_key: HashMap<Key, [Vec<Left>; 2]>,
    pairs: u64,
}

impl LeftOver {
    /// Adds a call of a side.
    pub(super) fn add(&mut self, sides: &Sides<'_>, side: usize, taken: Taken) {
        self.push(sides, side, taken, None);
    }

    /// Adds two calls in the same place.
    pub(super) fn add_pair(&mut self, sides: &Sides<'_>, pair: [Taken; 2]) {
        self.pairs += 1;
        for (side, taken) in pair.into_iter().enumerate() {
            self.push(sides, side, taken, Some(self.pairs));
        }
    }

    fn push(&mut self, sides: &Sides<'_>, side: usize, taken: Taken, pair: Option<u64>) {
        // A call without digests cannot be compared.
        if !sides.of(side, &taken).outputs.is_empty() {
            let key = Key::of(&sides.call(&taken));
            self.by_key.entry(key).or_default()[side].push(Left { taken, pair });
        }
    }

    /// Pairs calls with the same outputs, then calls with the same inputs, then calls in the same place, then
    /// the remaining ones in order. Calls that only one side makes are in no pair.
    pub(super) fn matched(self, sides: &Sides<'_>) -> impl Iterator<Item = [Taken; 2]> {
        self.by_key.into_values().flat_map(|[mut a, mut b]| {
            let mut pairs = same(sides, &mut a, &mut b);
            let taken =
                |x: &Left, y: &Left, is: &dyn Fn([&Taken; 2]) -> bool| is([&x.taken, &y.taken]);
            pairs.extend(take(&mut a, &mut b, |x, y| {
                taken(x, y, &|pair| sides.outputs(pair).agree())
            }));
            pairs.extend(take(&mut a, &mut b, |x, y| {
                taken(x, y, &|pair| sides.inputs(pair).agree())
            }));
            pairs.extend(take(&mut a, &mut b, |x, y| x.pair.is_some() && x.pair == y.pair));
            pairs.extend(a.into_iter().zip(b));
            pairs.into_iter().map(|(x, y)| [x.taken, y.taken])
        })
    }
}

/// Removes the calls whose inputs and outputs all have the same bits, and returns them in pairs.
fn same(sides: &Sides<'_>, a: &mut Vec<Left>, b: &mut Vec<Left>) -> Vec<(Left, Left)> {
    let hash = |side, left: &Left| {
        let mut hasher = DefaultHasher::new();
        sides.hash(side, &left.taken, &mut hasher);
        hasher.finish()
    };
    let mut by_hash: HashMap<u64, Vec<Left>> = HashMap::new();
    for left in b.drain(..).rev() {
        by_hash.entry(hash(1, &left)).or_default().push(left);
    }
    let mut pairs = Vec::new();
    for x in std::mem::take(a) {
        match by_hash.get_mut(&hash(0, &x)).and_then(Vec::pop) {
            Some(y) => pairs.push((x, y)),
            None => a.push(x),
        }
    }
    b.extend(by_hash.into_values().flatten());
    b.sort_by_key(|left| left.taken.id);
    pairs
}

/// Removes the pairs for which `is_pair` is true, each call with the first one that it is true for, and
/// returns them.
fn take(
    a: &mut Vec<Left>,
    b: &mut Vec<Left>,
    is_pair: impl Fn(&Left, &Left) -> bool,
) -> Vec<(Left, Left)> {
    let mut pairs = Vec::new();
    for x in std::mem::take(a) {
        match b.iter().take(COMPARED).position(|y| is_pair(&x, y)) {
            Some(at) => pairs.push((x, b.remove(at))),
            None => a.push(x),
        }
    }
    pairs
}
