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
/// A thread is read ahead by one record, because an event with the same time may follow a call: the state of a
/// handle when that call first used it. Then the event is returned before the call.
#[derive(Debug)]
pub struct Merged {
    threads: Vec<ThreadReader>,
    /// The clock of the first record in each thread's queue, and the thread.
    ready: BinaryHeap<Reverse<(u64, usize)>>,
    /// The records of each thread that have been read ahead, never across the end of a segment.
    ahead: Vec<VecDeque<Place>>,
    /// The thread whose record was returned last.
    last: Option<usize>,
    failures: Vec<io::Error>,
}

/// The next item.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record of the thread with that position among the readers.
    Record(usize, Record<'a>),
    /// There is no record now; [`Merged::refresh`] may find more.
    Waiting,
}

impl Merged {
    /// Merges the records of these threads.
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

    /// The errors of reading; a thread has no more records after an error.
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

    /// Checks the known files for new records.
    ///
    /// # Errors
    /// Errors of reading.
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

    /// The call that a thread has in flight, as of the last [`Self::refresh`]. It is returned as a record
    /// only after it has ended.
    ///
    /// # Errors
    /// Errors of reading.
    pub fn under_way(&mut self, thread: usize) -> io::Result<Option<Record<'_>>> {
        if self.last == Some(thread) || !self.ahead[thread].is_empty() {
            return Ok(None);
        }
        let reader = &mut self.threads[thread];
        let Some(place) = reader.advance()? else { return Ok(None) };
        reader.put_back(place);
        Ok(reader.is_under_way(place).then(|| self.threads[thread].record(place)))
    }

    /// Adds another thread.
    pub fn add(&mut self, thread: ThreadReader) {
        self.threads.push(thread);
        self.ahead.push(VecDeque::new());
        self.fill(self.threads.len() - 1);
    }

    /// Declares that no thread will write any more.
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

    /// Moves events that belong to the preceding call before it.
    fn let_an_event_pass(&mut self, thread: usize) {
        let Some(first) = self.ahead[thread].front().copied() else { return };
        let reader = &self.threads[thread];
        if !reader.record(first).is_call() {
            return;
        }
        let begin = reader.record(first).begin();
        let mut events = 0;
        loop {
            // Reading on may unload the call's segment. If the event is in the same segment, it is moved;
            // otherwise the call is returned first.
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

    /// The next record of a thread that is not in flight.
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
