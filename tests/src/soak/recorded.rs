//! Checks that a trace contains the calls that were made while it was active: each once, in order, with their
//! arguments.

use super::shared::{Child, Shared, THREADS, digest, function, next};
use rocblas_abi::by_index;
use rocblas_trace::{
    options::{Options, wants},
    process::thread_file,
    read::{Record, ThreadReader, Trace, traces_in},
};
use std::{
    collections::HashMap,
    ops::Range,
    path::Path,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

/// The number of calls at several moments, by slot. Calls that returned before the start was requested are
/// not in the trace, nor are calls that began after the stop. Calls that began after the start and returned
/// before the stop was requested are.
pub(super) struct Moments {
    pub(super) returned_before_start: [u64; THREADS],
    pub(super) begun_after_start: [u64; THREADS],
    pub(super) returned_before_stop: [u64; THREADS],
    /// All calls from `returned_before_start` to the end.
    pub(super) calls: Vec<Vec<u64>>,
    /// The children since the previous trace was read.
    pub(super) children: Range<u32>,
}

/// The contents of traces.
#[derive(Default)]
pub(super) struct Found {
    pub(super) calls: u64,
    /// Threads, and children with their own trace.
    pub(super) threads: u64,
    pub(super) children: u64,
    /// Records overwritten in a ring.
    pub(super) overwritten: u64,
    pub(super) checked: u64,
    pub(super) digests: u64,
    pub(super) gpu_times: u64,
    /// Faults: missing, extra or wrong calls.
    pub(super) faults: Vec<String>,
}

/// Reads the traces in a directory, of the program with that PID and of its children.
pub(super) fn check(
    directory: &Path,
    pid: u32,
    options: &Options,
    shared: &Shared,
    moments: &Moments,
) -> Found {
    let mut found = Found::default();
    let mut children = traced_children(shared, moments.children.clone(), &mut found);
    let traces = traces_in(directory).unwrap_or_default();
    let mut is_there = false;
    for path in traces {
        let trace = match Trace::open(&path) {
            Ok(trace) => trace,
            Err(e) => {
                found.faults.push(e.to_string());
                continue;
            }
        };
        let of = trace.process().map_or(0, |process| process.pid);
        if of == pid {
            is_there = true;
            check_threads(&trace, options, shared, moments, &mut found);
        } else {
            check_child(&trace, children.remove(&of), options, &mut found);
        }
    }
    if !is_there {
        found.faults.push(format!("no trace of the program in {}", directory.display()));
    }
    // A child without selected calls has no trace.
    let is_missing =
        |child: &Child| options.functions.is_empty() && child.calls.load(Ordering::Relaxed) > 0;
    let missing = children.iter().filter(|(_, child)| is_missing(child));
    found.faults.extend(missing.map(|(pid, _)| format!("no trace of child {pid}")));
    found
}

/// The traced children by PID, after they have ended.
fn traced_children<'a>(
    shared: &'a Shared,
    children: Range<u32>,
    found: &mut Found,
) -> HashMap<u32, &'a Child> {
    let begin = Instant::now();
    let mut traced = HashMap::new();
    for number in children {
        let child = shared.child(number);
        while !child.has_ended(number) {
            if begin.elapsed() > Duration::from_secs(90) {
                found.faults.push("a child does not end".to_owned());
                return traced;
            }
            thread::sleep(Duration::from_millis(1));
        }
        if child.is_traced.load(Ordering::Relaxed) != 0 {
            traced.insert(child.pid.load(Ordering::Relaxed) as u32, child);
        }
    }
    traced
}

/// The digests of the calls in a thread's file. Counts its other records.
fn read(reader: &mut ThreadReader, found: &mut Found) -> Vec<u64> {
    let mut calls = Vec::new();
    reader.close();
    loop {
        match reader.next() {
            Ok(Some(Record::Call(call))) => {
                let count = rocblas_abi::params(call.function()).len();
                let words: Vec<u64> = (0..count).map(|i| call.argument(i)).collect();
                calls.push(digest(call.function() as u16, &words));
                if call.end().is_none() || call.was_left() || call.by_shim() {
                    found.faults.push(format!("{} did not return as it should", call.name()));
                }
            }
            Ok(Some(Record::Checked(checked))) => found.checked += checked.calls,
            Ok(Some(Record::Digest(_))) => found.digests += 1,
            Ok(Some(Record::GpuTime(_))) => found.gpu_times += 1,
            Ok(Some(Record::Finding(finding))) => found.faults.push(format!("{finding:?}")),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(e) => {
                found.faults.push(format!("{}: {e}", reader.path().display()));
                break;
            }
        }
    }
    found.calls += calls.len() as u64;
    found.overwritten += reader.overwritten();
    let (written, path) = (reader.written(), reader.path().display());
    if !reader.problems().is_empty() || written.errno != 0 || written.untraced != 0 {
        found.faults.push(format!("{path}: {written:?} {:?}", reader.problems()));
    }
    calls
}

fn check_threads(
    trace: &Trace,
    options: &Options,
    shared: &Shared,
    moments: &Moments,
    found: &mut Found,
) {
    let mut recorded: HashMap<u32, Vec<(Vec<u64>, u64)>> = HashMap::new();
    match trace.threads() {
        Ok((threads, unreadable)) => {
            found.faults.extend(unreadable.iter().map(ToString::to_string));
            for mut thread in threads {
                found.threads += 1;
                let calls = read(&mut thread, found);
                recorded
                    .entry(thread.written().tid)
                    .or_default()
                    .push((calls, thread.overwritten()));
            }
        }
        Err(e) => found.faults.push(e.to_string()),
    }
    for (number, place) in shared.threads.iter().enumerate() {
        let from = moments.returned_before_start[number];
        let calls = &moments.calls[number];
        let lives = place.lives();
        let ends = lives.iter().skip(1).map(|(_, from)| *from).chain([u64::MAX]);
        for (&(tid, begin), end) in lives.iter().zip(ends) {
            let part =
                |n: u64| (n.clamp(begin, end).saturating_sub(from) as usize).min(calls.len());
            let bounds = part(from)..part(u64::MAX);
            if bounds.is_empty() {
                continue;
            }
            let first = part(moments.begun_after_start[number]);
            let required = first..part(moments.returned_before_stop[number]).max(first);
            let wanted = |digests: &[u64]| -> Vec<u64> {
                let is_wanted = |digest: &&u64| {
                    let name = by_index(function(**digest)).map_or("", |function| function.name);
                    wants(&options.functions, name)
                };
                digests.iter().filter(is_wanted).copied().collect()
            };
            let (before, required, after) = (
                wanted(&calls[bounds.start..required.start]),
                wanted(&calls[required.clone()]),
                wanted(&calls[required.end..bounds.end]),
            );
            let of_thread = recorded.get_mut(&tid).and_then(Vec::pop);
            let (found_calls, overwritten) = of_thread.unwrap_or_default();
            if let Err(why) = compare(&found_calls, overwritten > 0, [before, required, after]) {
                found.faults.push(format!("thread {tid} in place {number}: {why}"));
            }
        }
    }
    recorded.retain(|_, threads| threads.iter().any(|(calls, _)| !calls.is_empty()));
    if !recorded.is_empty() {
        found.faults.push(format!("threads without calls have records: {:?}", recorded.keys()));
    }
}

/// Checks that the recorded calls are the required ones, possibly with some calls before and after them; a
/// ring needs to contain only the last of them.
fn compare(
    recorded: &[u64],
    is_ring: bool,
    [before, required, after]: [Vec<u64>; 3],
) -> Result<(), String> {
    let calls = [&before[..], &required, &after].concat();
    let mut ends = before.len() + required.len()..=calls.len();
    let fits = |end: usize| {
        let Some(start) = end.checked_sub(recorded.len()) else { return false };
        (start <= before.len() || is_ring) && calls[start..end] == *recorded
    };
    if ends.any(fits) {
        return Ok(());
    }
    let common =
        |start: usize| calls[start..].iter().zip(recorded).take_while(|(a, b)| a == b).count();
    let best = (0..=before.len()).map(common).max().unwrap_or(0);
    Err(format!(
        "{} calls are recorded, of which {best} are right, and there were {} and at most {} before and {} after",
        recorded.len(),
        required.len(),
        before.len(),
        after.len(),
    ))
}

fn check_child(trace: &Trace, child: Option<&Child>, options: &Options, found: &mut Found) {
    found.children += 1;
    let mut recorded = Vec::new();
    match trace.threads() {
        Ok((threads, unreadable)) => {
            // A child ends with `_exit`, which does not wait for the shim's own thread: that thread may be
            // creating its file at this moment.
            let own = thread_file(0);
            let unreadable = unreadable.iter().map(ToString::to_string);
            found.faults.extend(unreadable.filter(|why| !why.contains(&own)));
            for mut thread in threads {
                recorded.extend(read(&mut thread, found));
            }
        }
        Err(e) => found.faults.push(e.to_string()),
    }
    let Some(child) = child else {
        found.faults.push(format!("{} is of no traced child", trace.directory().display()));
        return;
    };
    let (calls, chain) = (child.calls.load(Ordering::Relaxed), child.chain.load(Ordering::Relaxed));
    let is_right = if options.functions.is_empty() {
        recorded.len() as u64 == calls
            && recorded.iter().fold(0, |chain, call| next(chain, *call)) == chain
    } else {
        recorded.len() as u64 <= calls
    };
    if !is_right {
        let directory = trace.directory().display();
        found
            .faults
            .push(format!("{directory}: {} calls of {calls}, or other ones", recorded.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_missing_too_many_or_another_one_is_noticed() {
        let calls = || [vec![1, 2], vec![3, 4, 5], vec![6]];
        for right in [&[3, 4, 5][..], &[2, 3, 4, 5], &[1, 2, 3, 4, 5, 6], &[3, 4, 5, 6]] {
            assert_eq!(compare(right, false, calls()), Ok(()), "{right:?}");
        }
        for wrong in
            [&[3, 5][..], &[4, 5], &[3, 4], &[1, 3, 4, 5], &[3, 4, 4, 5], &[3, 4, 5, 7], &[]]
        {
            assert!(compare(wrong, false, calls()).is_err(), "{wrong:?}");
        }
        assert_eq!(compare(&[4, 5, 6], true, calls()), Ok(()));
        assert!(compare(&[3, 4], true, calls()).is_err(), "the last ones are not there");
    }
}
