//! The watching program. It starts and stops traces of the calling program, reads them, switches backends,
//! and monitors its use of memory, descriptors and threads.

use super::{
    backends::{self, NAMES},
    footprint::Footprint,
    recorded::{self, Found, Moments},
    shared::{Mapping, REMEMBERED, THREADS, Thread},
};
use crate::{run::client, tree::Tree, valid::Random};
use rocblas_contract::listener::{Reply, Request, socket_name};
use rocblas_trace::options::Options;
use std::{
    array, fmt, fs,
    io::{BufRead, BufReader, Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            fs::MetadataExt,
            net::{SocketAddr, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The parameters of a soak.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The program to start: it passes the arguments after `--calls` on its command line to
    /// [`super::call_until_stopped`].
    pub program: PathBuf,
    /// The duration, without preparation and evaluation.
    pub duration: Duration,
    /// The seed, which makes calls, options and backends reproducible.
    pub seed: u64,
    /// Whether one of the backends loses calls and leaks descriptors, to show that the soak detects it.
    pub is_planted: bool,
    /// How much memory may exceed the maximum after one trace of each kind, in MiB: [`SLACK`], or more with a sanitizer,
    /// which keeps freed memory.
    pub slack: u64,
}

/// Options of traces: each way of writing a record, and each way of observing calls.
const OPTIONS: [&str; 9] = [
    "",
    "errors=off",
    "ring=1M",
    "functions=*gemm*:*trsm*:*scal*:*handle",
    "capture=ask",
    "gpu-time=4",
    "check=nan,inf",
    "check=digest,every=3",
    "check=nan,inf,digest,gpu-time=2,capture=ask",
];

/// The duration of a trace.
const TRACE: Duration = Duration::from_millis(300);

/// How much memory may exceed the maximum after one trace of each kind, in MiB: the callers' operands have
/// random sizes, and the C library keeps arenas for 16 threads.
pub const SLACK: u64 = 16;

/// The results of a soak.
#[derive(Default)]
pub struct Report {
    elapsed: Duration,
    seed: u64,
    functions: u64,
    calls: u64,
    wrong: u64,
    handles: u64,
    threads: u64,
    forks: u64,
    switches: u64,
    traces: u64,
    found: Found,
    /// The use of resources after one trace of each kind, the maximum since then, and the last one.
    footprints: [Footprint; 3],
    slack: u64,
    complaints: String,
    faults: Vec<String>,
}

impl Report {
    /// The faults that were found; empty if there are none.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let [first, most, _] = self.footprints;
        let mut faults = [&self.faults[..], &self.found.faults[..]].concat();
        let mut require = |is_so: bool, fault: String| faults.extend((!is_so).then_some(fault));
        require(self.wrong == 0, format!("{} calls were lost, doubled or misrouted", self.wrong));
        require(self.complaints.is_empty(), format!("messages: {}", self.complaints));
        require(most.descriptors <= first.descriptors, "descriptors are left open".to_owned());
        require(most.threads <= first.threads, "threads are left".to_owned());
        require(most.memory <= first.memory + (self.slack << 10), "memory grows".to_owned());
        let is_used = [self.calls, self.handles, self.forks, self.switches, self.traces];
        require(is_used.iter().all(|count| *count > 0), "something was not done".to_owned());
        let is_looked_at =
            [self.found.calls, self.found.checked, self.found.digests, self.found.gpu_times];
        require(
            is_looked_at.iter().all(|count| *count > 0),
            "something was not recorded".to_owned(),
        );
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        let [first, most, last] = self.footprints;
        writeln!(f, "{:.1} minutes, seed {}", self.elapsed.as_secs_f64() / 60.0, self.seed)?;
        writeln!(f, "{} calls of {} functions, {} wrong", self.calls, self.functions, self.wrong)?;
        writeln!(f, "{} handles, {} threads, {} forks", self.handles, self.threads, self.forks)?;
        writeln!(f, "{} switches, {} traces", self.switches, self.traces)?;
        writeln!(
            f,
            "recorded: {} calls of {} threads and {} children, {} overwritten, {} faults",
            found.calls,
            found.threads,
            found.children,
            found.overwritten,
            found.faults.len()
        )?;
        writeln!(
            f,
            "{} checked, {} digests, {} GPU times",
            found.checked, found.digests, found.gpu_times
        )?;
        writeln!(f, "at first {first}\nat most  {most}\nat last  {last}")
    }
}

/// Runs a soak. `tell` receives progress messages.
///
/// # Panics
/// If it cannot be run. Faults that are found are in the report.
pub fn run(soak: &Soak, tell: &mut dyn FnMut(&str)) -> Report {
    let tree = Tree::with_shim();
    backends::place(&tree, soak.is_planted);
    let mut watcher = Watcher::start(&tree, soak);
    for options in OPTIONS {
        watcher.trace(options, TRACE / 4);
        watcher.measure();
    }
    watcher.report.footprints = [watcher.report.footprints[1]; 3];
    let begin = Instant::now();
    let mut said = begin;
    while begin.elapsed() < soak.duration && watcher.is_running() {
        let options = watcher.random.one_of(&OPTIONS);
        watcher.trace(options, TRACE);
        watcher.measure();
        if said.elapsed() > Duration::from_secs(30) {
            said = Instant::now();
            let calls: u64 = watcher
                .shared
                .threads
                .iter()
                .map(|thread| thread.calls.load(Ordering::Relaxed))
                .sum();
            let (faults, now) = (watcher.report.found.faults.len(), watcher.report.footprints[2]);
            tell(&format!(
                "{} s: {calls} calls, {faults} faults, {now}",
                begin.elapsed().as_secs()
            ));
        }
    }
    watcher.report.elapsed = begin.elapsed();
    watcher.end(soak.seed)
}

struct Watcher {
    child: Child,
    complaints: Option<JoinHandle<String>>,
    shared: Mapping,
    traces: PathBuf,
    /// The number of children when the latest trace was read.
    seen: u32,
    random: Random,
    report: Report,
}

impl Watcher {
    fn start(tree: &Tree, soak: &Soak) -> Self {
        let file = tree.root().join("shared");
        let shared = Mapping::create(&file).expect("map a file");
        let mut command = client(tree, &soak.program);
        command.arg("--calls").args([&tree.lib(), &file]).arg(soak.seed.to_string());
        command.env("ROCBLAS_SHIM_BACKEND", NAMES[0]).env("ROCBLAS_SHIM_COMPAT", "-all");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the program that calls");
        let mut stderr = child.stderr.take().expect("piped");
        let complaints = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("a line");
        let watcher = Self {
            child,
            complaints: Some(complaints),
            shared,
            traces: tree.root().join("traces"),
            seen: 0,
            random: Random::new(soak.seed),
            report: Report { slack: soak.slack, ..Report::default() },
        };
        if line != "ready\n" {
            let report = watcher.end(soak.seed);
            panic!("it said {line:?} and {:?}", report.faults());
        }
        watcher
    }

    fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("wait");
        self.report.faults.extend(ended.map(|status| format!("it has ended: {status}")));
        ended.is_none()
    }

    fn now(&self, number: impl Fn(&Thread) -> &AtomicU64) -> [u64; THREADS] {
        array::from_fn(|place| number(&self.shared.threads[place]).load(Ordering::SeqCst))
    }

    fn forks(&self) -> u32 {
        self.shared.forks.load(Ordering::SeqCst)
    }

    /// Takes a trace and checks its contents.
    fn trace(&mut self, list: &str, duration: Duration) {
        let mut options = Options::default();
        options.set_all(list).expect("valid options");
        let directory = self.traces.join(self.report.traces.to_string());
        let returned_before_start = self.now(|thread| &thread.ended);
        let place = directory.as_os_str().as_bytes();
        self.ask(Request::Start { place, options: list.as_bytes() });
        let begun_after_start = self.now(|thread| &thread.begun);
        let begin = Instant::now();
        while begin.elapsed() < duration && self.remembers(&returned_before_start, REMEMBERED / 2) {
            self.switch();
            thread::sleep(Duration::from_millis(10));
        }
        let returned_before_stop = self.now(|thread| &thread.ended);
        self.ask(Request::Stop);
        self.wait_for_calls_under_way();
        let calls = self
            .shared
            .threads
            .iter()
            .zip(returned_before_start)
            .map(|(thread, from)| thread.since(from));
        let Some(calls) = calls.collect() else {
            self.report.faults.push(format!("`{list}`: too many calls to remember them"));
            return;
        };
        let children = self.seen..self.forks();
        self.seen = children.end;
        let moments = Moments {
            returned_before_start,
            begun_after_start,
            returned_before_stop,
            calls,
            children,
        };
        // The program keeps making calls meanwhile.
        let found = recorded::check(&directory, self.child.id(), &options, &self.shared, &moments);
        let faults = found
            .faults
            .into_iter()
            .map(|fault| format!("trace {} `{list}`: {fault}", self.report.traces));
        let all = &mut self.report.found;
        all.faults.extend(faults);
        all.calls += found.calls;
        all.threads += found.threads;
        all.children += found.children;
        all.overwritten += found.overwritten;
        all.checked += found.checked;
        all.digests += found.digests;
        all.gpu_times += found.gpu_times;
        self.report.traces += 1;
        let _ = fs::remove_dir_all(directory);
    }

    /// Waits for calls in flight, whose records are completed after the trace has been stopped.
    fn wait_for_calls_under_way(&mut self) {
        let begun = self.now(|thread| &thread.begun);
        let begin = Instant::now();
        while self
            .now(|thread| &thread.ended)
            .iter()
            .zip(begun)
            .any(|(ended, begun)| *ended < begun)
        {
            if begin.elapsed() > Duration::from_secs(60) {
                self.report.faults.push("a call does not return".to_owned());
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether fewer than `most` calls were made since `from`, so that the log still has all of them.
    fn remembers(&self, from: &[u64; THREADS], most: u64) -> bool {
        self.now(|thread| &thread.begun).iter().zip(from).all(|(now, from)| now - from < most)
    }

    /// Selects a random backend for new handles.
    fn switch(&mut self) {
        let backend = self.random.one_of(&NAMES);
        self.ask(Request::Use { backend: backend.as_bytes() });
        self.report.switches += 1;
    }

    fn ask(&mut self, request: Request<'_>) {
        if let Err(why) = ask(self.child.id(), request) {
            self.report.faults.push(format!("{request:?}: {why}"));
        }
    }

    /// Measures the program's current use of resources. A thread of the shim may have a file open at this moment, so
    /// more descriptors or threads than at first are measured again for up to a second.
    fn measure(&mut self) {
        let begin = Instant::now();
        let [first, most, last] = &mut self.report.footprints;
        // Before each kind of trace has run once, there is nothing to compare with.
        let has_more = |now: &Footprint| {
            first.threads > 0
                && (now.descriptors > first.descriptors || now.threads > first.threads)
        };
        loop {
            match Footprint::of(self.child.id()) {
                Ok(now) if has_more(&now) && begin.elapsed() < Duration::from_secs(1) => {
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(now) => {
                    (*most, *last) = (most.max(now), now);
                    return;
                }
                Err(e) => return self.report.faults.push(e.to_string()),
            }
        }
    }

    /// Ends the program.
    fn end(mut self, seed: u64) -> Report {
        self.shared.stop.store(1, Ordering::SeqCst);
        let begin = Instant::now();
        while self.child.try_wait().expect("wait").is_none() {
            if begin.elapsed() > Duration::from_secs(60) {
                self.report.faults.push("it does not end".to_owned());
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().expect("wait");
        let mut report = std::mem::take(&mut self.report);
        if !status.success() {
            report.faults.push(format!("it ended with {status}"));
        }
        report.complaints =
            self.complaints.take().map_or_else(String::new, |said| said.join().expect("no panic"));
        report.seed = seed;
        report.calls = self.now(|thread| &thread.calls).iter().sum();
        report.threads = self.shared.threads.iter().map(Thread::count).sum();
        report.forks = self.forks() as u64;
        report.wrong = self.shared.wrong.load(Ordering::SeqCst);
        report.handles = self.shared.handles.load(Ordering::SeqCst);
        report.functions = self.shared.functions.load(Ordering::SeqCst);
        report
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Only needed if the test failed; otherwise the program has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request to a listening process, as `installer trace` does.
fn ask(pid: u32, request: Request<'_>) -> Result<(), String> {
    let failed = |e: std::io::Error| e.to_string();
    let namespace = fs::metadata(Path::new("/proc/self/ns/pid")).map_err(failed)?.ino();
    let address = SocketAddr::from_abstract_name(socket_name(namespace, pid)).map_err(failed)?;
    let mut stream = UnixStream::connect_addr(&address).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(failed)?;
    stream.write_all(&request.to_bytes()).map_err(failed)?;
    stream.shutdown(std::net::Shutdown::Write).map_err(failed)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).map_err(failed)?;
    match Reply::parse(&reply) {
        Some(Reply::Done { .. }) => Ok(()),
        Some(Reply::Refused(why)) => Err(String::from_utf8_lossy(why).into_owned()),
        None => Err("no reply".to_owned()),
    }
}
