//! The records of all threads in the order of time.

use super::{thread::ThreadReader, walk::Record};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io,
};

/// Words of a record in the reader's current segment.
type Place = (usize, usize);

/// Records of several threads, by the clock at entry.
///
/// A thread is read ahead by one record, in case what follows a call is an event of the same time: the
/// state of a handle as it was when that call used it first. The event comes before the call then.
#[derive(Debug)]
pub struct Merged {
    threads: Vec<ThreadReader>,
    /// The clock of the first record in each thread's queue, and the thread.
    ready: BinaryHeap<Reverse<(u64, usize)>>,
    /// What of each thread has been read ahead: never over the end of a segment.
    ahead: Vec<VecDeque<Place>>,
    /// The thread whose record was handed out last.
    last: Option<usize>,
    failures: Vec<io::Error>,
}

/// What comes next.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record of the thread with that position among the readers.
    Record(usize, Record<'a>),
    /// Nothing now: [`Merged::refresh`] may find more.
    Waiting,
}

impl Merged {
    /// Of these threads.
    #[must_use]
    pub fn new(threads: Vec<ThreadReader>) -> Self {
        let count = threads.len();
        let mut merged = Self {
            threads: Vec::new(),
            ready: BinaryHeap::new(),
            ahead: Vec::new(),
            last: None,
            failures: Vec::new(),
        };
        merged.threads = threads;
        merged.ahead.resize_with(count, VecDeque::new);
        for thread in 0..count {
            merged.fill(thread);
        }
        merged
    }

    /// The readers.
    #[must_use]
    pub fn threads(&self) -> &[ThreadReader] {
        &self.threads
    }

    /// What reading failed with; the thread it concerns has no more records.
    #[must_use]
    pub fn failures(&self) -> &[io::Error] {
        &self.failures
    }

    /// The next record.
    #[allow(clippy::should_implement_trait, reason = "it lends, which an Iterator cannot")]
    pub fn next(&mut self) -> Next<'_> {
        if let Some(thread) = self.last.take() {
            self.fill(thread);
        }
        let Some(Reverse((_, thread))) = self.ready.pop() else { return Next::Waiting };
        let Some(place) = self.ahead[thread].pop_front() else { return Next::Waiting };
        self.last = Some(thread);
        Next::Record(thread, self.threads[thread].record(place))
    }

    /// Looks for what was written since, in the files that are known.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn refresh(&mut self) -> io::Result<()> {
        if let Some(thread) = self.last.take() {
            self.fill(thread);
        }
        for thread in 0..self.threads.len() {
            if self.ahead[thread].is_empty() {
                self.threads[thread].refresh()?;
                self.fill(thread);
            }
        }
        Ok(())
    }

    /// Takes another thread in.
    pub fn add(&mut self, thread: ThreadReader) {
        self.threads.push(thread);
        self.ahead.push(VecDeque::new());
        self.fill(self.threads.len() - 1);
    }

    /// Says that no thread writes any more.
    pub fn close(&mut self) {
        self.threads.iter_mut().for_each(ThreadReader::close);
    }

    /// Reads ahead in a thread, and queues its first record.
    fn fill(&mut self, thread: usize) {
        if self.ahead[thread].is_empty() {
            match self.read(thread) {
                None => return,
                Some(place) => self.ahead[thread].push_back(place),
            }
            self.let_an_event_pass(thread);
        }
        if let Some(place) = self.ahead[thread].front() {
            let begin = self.threads[thread].record(*place).begin();
            self.ready.push(Reverse((begin, thread)));
        }
    }

    /// Puts events that belong to the call before them in front of it.
    fn let_an_event_pass(&mut self, thread: usize) {
        let Some(first) = self.ahead[thread].front().copied() else { return };
        let reader = &self.threads[thread];
        if !reader.record(first).is_call() {
            return;
        }
        let begin = reader.record(first).begin();
        let mut events = 0;
        loop {
            // Reading on may leave the segment that the call is in; the words of an event are in the
            // same one, or the call is handed out first.
            if !self.threads[thread].has_next_in_segment() {
                return;
            }
            let Some(place) = self.read(thread) else { return };
            let record = self.threads[thread].record(place);
            let belongs = !record.is_call() && record.begin() == begin;
            if !belongs {
                self.threads[thread].put_back(place);
                return;
            }
            self.ahead[thread].insert(events, place);
            events += 1;
        }
    }

    /// The next record of a thread that is not under way.
    fn read(&mut self, thread: usize) -> Option<Place> {
        let reader = &mut self.threads[thread];
        match reader.advance() {
            Err(e) => {
                self.failures.push(e);
                None
            }
            Ok(None) => None,
            Ok(Some(place)) if reader.is_under_way(place) => {
                reader.put_back(place);
                None
            }
            Ok(place) => place,
        }
    }
}
