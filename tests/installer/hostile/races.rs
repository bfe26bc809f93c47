//! Races: while a command runs, another thread (for the command, another process) repeatedly exchanges a path
//! that the command uses with a link to the machine's. With `renameat2(RENAME_EXCHANGE)` the name is never
//! absent.
//!
//! The attacker wins a race if the canary changes or if anything in it is read. No race may be won.

use super::{
    attempt::{Verb, confined, faults},
    canary::SECRET,
    scene::{Scene, Start, Template, remove},
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fmt, fs,
    io::Write as _,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use tests::small_tree::{self, BACKEND, LIB};

use Other::{HardLink, Link};
use Start::{AppliedWithoutDpkg as Applied, StockWithoutDpkg as Stock};

/// The number of runs of each race.
const RUNS: u32 = 200;

/// What a path is exchanged with.
#[derive(Clone, Copy)]
enum Other {
    /// A link to a path of the canary.
    Link(&'static str),
    /// A hard link to a file of the canary.
    HardLink(&'static str),
}

/// A path that is exchanged while commands run.
struct Race {
    /// In the store if it begins with a dot and a slash, in the root if it begins with a slash, otherwise in
    /// the directory of files outside the root.
    path: &'static str,
    /// The attempts, which are made in turn.
    attempts: Vec<Attempt>,
    arrange: fn(&Scene),
}

/// A command on a tree, and what the path is exchanged with meanwhile.
#[derive(Clone, Copy)]
struct Attempt {
    start: Start,
    verb: Verb,
    other: Other,
}

fn race(path: &'static str, other: &[Other], commands: &[(Start, Verb)]) -> Race {
    let with = |&(start, verb)| other.iter().map(move |&other| Attempt { start, verb, other });
    Race { path, attempts: commands.iter().flat_map(with).collect(), arrange: |_| {} }
}

impl Race {
    fn path(&self, scene: &Scene) -> PathBuf {
        match self.path.strip_prefix("./") {
            Some(name) => scene.store(name),
            None if self.path.starts_with('/') => scene.at(self.path),
            None => scene.spare(self.path),
        }
    }
}

impl fmt::Display for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut verbs: Vec<String> =
            self.attempts.iter().map(|a| format!("{:?}", a.verb)).collect();
        verbs.dedup();
        write!(f, "{} while {}", self.path, verbs.join(", "))
    }
}

/// How the exchanges are spread over a run. No single rhythm hits every gap.
#[derive(Clone, Copy)]
struct Rhythm {
    /// How long the right file is in place each time.
    right: Duration,
    /// How long the other one is in place.
    wrong: Duration,
}

impl Rhythm {
    /// The rhythm of a run, for a command that takes `length` when it is not disturbed.
    fn of(run: u32, runs: u32, length: Duration) -> Self {
        // Each moment of the command in turn.
        let moment = length * run / runs;
        let micros = Duration::from_micros;
        match run % 4 {
            // Without a pause the command would make hardly any progress, because both wait for the same
            // locks.
            0 => Self { right: micros(20), wrong: micros(5) },
            1 => Self { right: micros(200), wrong: micros(1) },
            2 => Self { right: moment, wrong: Duration::from_secs(60) },
            _ => Self { right: moment / 4, wrong: micros(100) },
        }
    }
}

/// The thread that does the exchanges.
struct Exchange<'a> {
    path: PathBuf,
    spare: PathBuf,
    /// What the link points to, or the file that gets a second name.
    target: PathBuf,
    other: Other,
    stop: &'a AtomicBool,
}

impl Exchange<'_> {
    /// Exchanges until it is stopped. Returns how often.
    fn run(&self, rhythm: Rhythm) -> u32 {
        let mut count = 0;
        self.make();
        while !self.stop.load(Relaxed) {
            self.wait(rhythm.right);
            // The path does not exist yet, or does not exist any more: try again.
            if !self.exchange() {
                continue;
            }
            count += 1;
            self.wait(rhythm.wrong);
            self.exchange();
            if !self.is_ready() {
                self.make();
            }
        }
        count
    }

    fn exchange(&self) -> bool {
        renameat_with(CWD, &self.path, CWD, &self.spare, RenameFlags::EXCHANGE).is_ok()
    }

    fn make(&self) {
        remove(&self.spare);
        let made = match self.other {
            Link(_) => symlink(&self.target, &self.spare),
            HardLink(_) => fs::hard_link(&self.target, &self.spare),
        };
        made.unwrap_or_else(|e| panic!("{}: {e}", self.spare.display()));
    }

    /// Whether the command left the spare file in place for the next exchange.
    fn is_ready(&self) -> bool {
        let number = |path: &Path| path.metadata().map(|metadata| metadata.ino()).ok();
        match self.other {
            Link(_) => self.spare.is_symlink(),
            HardLink(_) => number(&self.spare) == number(&self.target),
        }
    }

    /// Spins for times that are too short for the scheduler.
    fn wait(&self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time && !self.stop.load(Relaxed) {
            if time > Duration::from_millis(1) {
                thread::sleep(Duration::from_micros(100));
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// The results of the runs of a race.
#[derive(Default)]
struct Tally {
    runs: u32,
    done: u32,
    refused: u32,
    exchanges: u32,
    won: u32,
    faults: Vec<String>,
}

fn run(race: &Race, template: &Template) -> Tally {
    let mut tally = Tally::default();
    let count = u32::try_from(race.attempts.len()).expect("few");
    for (number, attempt) in (0_u32..).zip(&race.attempts) {
        let runs = (RUNS + number) / count;
        let mut scene = Scene::new(template, attempt.start);
        (race.arrange)(&scene);
        let start = Instant::now();
        let undisturbed = confined(&mut attempt.verb.command(&scene)).ended;
        let length = start.elapsed();
        assert!(undisturbed.status.success(), "{race}, undisturbed: {undisturbed:?}");
        for run in 0..runs {
            scene.new_root(template, attempt.start);
            (race.arrange)(&scene);
            tally.run(race, *attempt, &scene, Rhythm::of(run, runs, length));
            if !scene.canary.changes().is_empty() {
                scene.new_canary(template);
            }
        }
    }
    tally
}

impl Tally {
    fn run(&mut self, race: &Race, attempt: Attempt, scene: &Scene, rhythm: Rhythm) {
        let Attempt { verb, other, .. } = attempt;
        let stop = AtomicBool::new(false);
        let (Link(to) | HardLink(to)) = other;
        let (path, spare) = (race.path(scene), scene.spare("other"));
        let exchange = Exchange { path, spare, target: scene.machine(to), other, stop: &stop };
        let confined = thread::scope(|scope| {
            let exchanging = scope.spawn(|| exchange.run(rhythm));
            let confined = confined(&mut verb.command(scene));
            stop.store(true, Relaxed);
            self.exchanges += exchanging.join().expect("no panic");
            confined
        });
        let success = confined.ended.status.success();
        self.runs += 1;
        *(if success { &mut self.done } else { &mut self.refused }) += 1;
        self.faults.extend(faults(&confined));
        let mut changes = scene.canary.changes();
        let said = [&confined.ended.stdout, &confined.ended.stderr];
        if said.iter().any(|text| text.contains(SECRET)) {
            changes.push("a secret is in its output".to_owned());
        }
        let leaks = scene.leaks(SECRET);
        changes.extend(leaks.iter().map(|path| format!("a secret is in {}", path.display())));
        self.won += u32::from(!changes.is_empty());
        if let Some(first) = changes.first() {
            self.faults.push(format!("{verb:?}: outside, {first}"));
        }
    }
}

/// Runs races and panics if one of them was won.
#[track_caller]
fn compete(races: &[Race]) {
    let template = Template::new();
    let mut failures = Vec::new();
    for race in races {
        let start = Instant::now();
        let Tally { runs, done, refused, exchanges, won, faults } = run(race, &template);
        assert!(runs >= RUNS, "{race}: {runs}");
        let seconds = start.elapsed().as_secs_f32();
        let line = format!(
            "{race}: {runs} runs, {exchanges} exchanges, {done} done, {refused} refused, {won} won \
             ({seconds:.1} s)"
        );
        // Bypasses the test harness, which would capture this.
        let _ = writeln!(std::io::stderr(), "{line}");
        if exchanges == 0 {
            failures.push(format!("{line}: nothing was exchanged"));
        }
        if !faults.is_empty() {
            let shown: Vec<&str> = faults.iter().take(3).map(String::as_str).collect();
            failures.push(format!("{line}:\n  {}", shown.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_race_for_the_libraries_is_won() {
    let commands = [
        (Stock, Verb::ApplyBackend),
        (Applied, Verb::Revert),
        (Applied, Verb::Add),
        (Applied, Verb::Collect),
    ];
    compete(&[
        race(LIB, &[Link("lib")], &commands),
        race("/opt/rocm-7.0.2", &[Link("")], &commands),
    ]);
}

#[test]
fn no_race_for_the_store_is_won() {
    const STORE: &str = "/opt/rocm-7.0.2/lib/rocblas-shim";
    let commands = [
        (Stock, Verb::ApplyBackend),
        (Stock, Verb::ApplyPackage),
        (Applied, Verb::Revert),
        (Applied, Verb::Add),
    ];
    compete(&[
        race(STORE, &[Link("lib/rocblas-shim")], &commands),
        race(
            "./incoming",
            &[Link("lib/rocblas-shim/incoming")],
            &[(Stock, Verb::ApplyPackage), (Applied, Verb::Add), (Stock, Verb::ApplyBackend)],
        ),
    ]);
}

#[test]
fn no_race_for_a_backend_is_won() {
    const SIX: &str = "lib/rocblas-shim/backends/6.3.0";
    let both = [(Stock, Verb::ApplyBackend), (Applied, Verb::Revert)];
    let keep_settings = |scene: &Scene| {
        scene.write(&scene.store("shim.toml"), "log = \"warn\"\n");
    };
    compete(&[
        race("./backends/6.3.0", &[Link(SIX)], &both),
        race("./backends/other", &[Link(SIX)], &[(Applied, Verb::Add)]),
        // The directories that hold the stock library and the settings.
        race("./backends/7.0.2/lib", &[Link("lib")], &both),
        Race {
            arrange: keep_settings,
            ..race("./kept", &[Link("lib/rocblas-shim/kept")], &both[..1])
        },
    ]);
}

#[test]
fn no_race_for_a_collected_copy_is_won() {
    let collect = [(Applied, Verb::Collect)];
    let make = |scene: &Scene| fs::create_dir(scene.image()).expect("make a directory");
    compete(&[
        Race { arrange: make, ..race("into", &[Link("victims/empty")], &collect) },
        race("into/opt", &[Link("opt")], &collect),
        race("into/usr/bin", &[Link("victims")], &collect),
    ]);
}

/// Exchanges a file that was just created or renamed with one of the machine's: setting a mode or a time by
/// name would change the machine's file.
#[test]
fn no_race_for_a_placed_file_is_won() {
    const FRONT: &str = "/opt/rocm-7.0.2/lib/librocblas.so.5.99.0";
    const OTHER: &str = "./backends/other/lib/librocblas.so.4.3.60300";
    assert!(OTHER.ends_with(BACKEND), "the backend's file");
    let others = [Link("victims/private"), HardLink("victims/private")];
    compete(&[
        race(FRONT, &others, &[(Stock, Verb::ApplyBackend)]),
        race(OTHER, &others, &[(Applied, Verb::Add)]),
        race("./incoming/1", &others, &[(Stock, Verb::ApplyBackend)]),
        race("./incoming/unpacked/1", &others, &[(Stock, Verb::ApplyPackage)]),
    ]);
}

/// Checks that there is a race: following the exchanged directory leads outside the root.
#[test]
fn the_exchange_is_one() {
    let template = Template::new();
    let scene = Scene::new(&template, Stock);
    let stop = AtomicBool::new(false);
    let exchange = Exchange {
        path: small_tree::at(&scene.root(), LIB),
        spare: scene.spare("other"),
        target: scene.machine("lib"),
        other: Link("lib"),
        stop: &stop,
    };
    let pause = Duration::from_micros(20);
    let rhythm = Rhythm { right: pause, wrong: pause };
    let (mut inside, mut outside) = (0, 0);
    thread::scope(|scope| {
        let exchanging = scope.spawn(|| exchange.run(rhythm));
        let secret = exchange.path.join("librocblas.so.5.99.0");
        let end = Instant::now() + Duration::from_secs(20);
        while (inside == 0 || outside == 0) && Instant::now() < end {
            *(if secret.exists() { &mut outside } else { &mut inside }) += 1;
        }
        stop.store(true, Relaxed);
        exchanging.join().expect("no panic");
    });
    assert!(inside > 0 && outside > 0, "{inside} inside, {outside} outside");
    assert!(scene.canary.changes().is_empty());
}
