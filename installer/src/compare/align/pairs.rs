//! Aligns the calls of two threads side by side.
//!
//! If one side makes calls that the other does not, the sides are realigned at the nearest calls that are
//! alike, within a window. So memory use does not depend on the number of calls.

use crate::trace::alike::Key;
use rocblas_trace::{
    call::{Call, Functions},
    read::{CallId, Record, ThreadReader},
};
use std::collections::VecDeque;

/// How many calls of each side are examined to realign the two sides.
const WINDOW: usize = 200;

/// A call that has been read.
#[derive(Debug)]
pub(in crate::compare) struct Taken {
    function: usize,
    words: Box<[u64]>,
    /// Its number in the trace.
    pub(in crate::compare) id: CallId,
}

impl Taken {
    pub(in crate::compare) fn call<'a>(&'a self, functions: &'a Functions) -> Call<'a> {
        functions.call(self.function, &self.words)
    }
}

/// The calls of a thread. Some of them may be examined before they are taken.
pub(in crate::compare) struct Calls<'f> {
    reader: ThreadReader,
    thread: u32,
    functions: &'f Functions,
    window: VecDeque<Taken>,
}

impl<'f> Calls<'f> {
    pub(in crate::compare) fn new(reader: ThreadReader, functions: &'f Functions) -> Self {
        let thread = reader.written().ordinal;
        Self { reader, thread, functions, window: VecDeque::new() }
    }

    /// Reads until the window contains `wanted` calls, or there are no more.
    fn fill(&mut self, wanted: usize) {
        while self.window.len() < wanted {
            match self.reader.next() {
                Ok(Some(Record::Call(call))) => {
                    let (function, words) = (call.function(), call.words().into());
                    let id = CallId { thread: self.thread, sequence: call.sequence() };
                    self.window.push_back(Taken { function, words, id });
                }
                Ok(Some(_)) => {}
                // The summary of the trace reports what could not be read.
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn keys(&self) -> Vec<Key> {
        self.window.iter().map(|taken| Key::of(&taken.call(self.functions))).collect()
    }
}

impl Iterator for Calls<'_> {
    type Item = Taken;

    fn next(&mut self) -> Option<Taken> {
        self.fill(1);
        self.window.pop_front()
    }
}

/// The next step through two threads.
pub(in crate::compare) enum Step {
    /// A call of each side, which are alike.
    Pair([Taken; 2]),
    /// A call of this side that the other side does not make here.
    Alone(usize, Taken),
}

/// The calls of two threads, in their order.
pub(in crate::compare) struct Pairs<'f> {
    sides: [Calls<'f>; 2],
    /// How many calls of each side still have to be skipped.
    skipped: [usize; 2],
}

impl<'f> Pairs<'f> {
    /// Aligns two threads, whose functions are in this table.
    pub(in crate::compare) fn new(readers: [ThreadReader; 2], functions: &'f Functions) -> Self {
        Self { sides: readers.map(|reader| Calls::new(reader, functions)), skipped: [0; 2] }
    }

    /// The next skipped call.
    fn passed_over(&mut self) -> Option<Step> {
        let side = self.skipped.iter().position(|skipped| *skipped > 0)?;
        self.skipped[side] -= 1;
        self.sides[side].next().map(|taken| Step::Alone(side, taken))
    }
}

impl Iterator for Pairs<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some(step) = self.passed_over() {
            return Some(step);
        }
        let [a, b] = &mut self.sides;
        let (x, y) = match (a.next(), b.next()) {
            (Some(x), Some(y)) => (x, y),
            (Some(x), None) => return Some(Step::Alone(0, x)),
            (None, y) => return y.map(|y| Step::Alone(1, y)),
        };
        if Key::of(&x.call(a.functions)) == Key::of(&y.call(b.functions)) {
            return Some(Step::Pair([x, y]));
        }
        a.window.push_front(x);
        b.window.push_front(y);
        a.fill(WINDOW);
        b.fill(WINDOW);
        self.skipped = skip(&a.keys(), &b.keys());
        self.passed_over()
    }
}

/// How many calls of each side must be skipped so that the next ones are alike, as few as possible. All
/// calls, if none are alike.
fn skip<T: PartialEq>(a: &[T], b: &[T]) -> [usize; 2] {
    for sum in 0..a.len() + b.len() {
        for i in sum.saturating_sub(b.len() - 1)..=sum.min(a.len() - 1) {
            if a[i] == b[sum - i] {
                return [i, sum - i];
            }
        }
    }
    [a.len(), b.len()]
}

#[cfg(test)]
mod tests {
    use super::skip;

    #[test]
    fn as_few_calls_as_can_be_are_passed_over() {
        for (a, b, skipped) in [
            ("xyz", "exyz", [0, 1]),
            ("eexyz", "xyz", [2, 0]),
            ("abx", "cx", [2, 1]),
            ("abc", "de", [3, 2]),
            ("a", "b", [1, 1]),
        ] {
            assert_eq!(skip(a.as_bytes(), b.as_bytes()), skipped, "{a} {b}");
        }
    }
}
