//! Records that are not calls: the other events of a trace.

use super::{session::Session, thread::Thread};
use core::sync::atomic::{AtomicU64, Ordering};
use rocblas_trace::layout::{BEGIN, EVENT, HEAD, Head, SEQUENCE};

/// Writes an event after the latest record of a thread. `words` has the length that `event::words` returns for the
/// kind, with the payload from word 3 on; `begin` is its time in ticks.
pub(super) fn append(
    session: &Session,
    thread: &mut Thread,
    kind: u8,
    begin: u64,
    words: &mut [u64],
) {
    if thread.room() < words.len() * 8 && !thread.make_room(session) {
        return;
    }
    words[SEQUENCE] = thread.sequence;
    words[BEGIN] = begin;
    let head = Head::new(EVENT, words.len() as u8, 0, kind);
    let head = head.checked(thread.sequence, begin).0;
    let record = thread.cursor;
    // SAFETY: room was made for the words and one more.
    unsafe {
        record.add(1).copy_from_nonoverlapping(words[1..].as_ptr(), words.len() - 1);
        *record.add(words.len()) = 0;
        AtomicU64::from_ptr(record.add(HEAD)).store(head, Ordering::Release);
        thread.cursor = record.add(words.len());
    }
    thread.sequence += 1;
}
