//! One command on a tree under attack, and what must hold afterwards for every tree.

use super::{
    canary::SECRET,
    scene::{Scene, Start, Template},
};
use std::{ffi::OsString, fmt, io::Write as _, process::Command, time::Duration};
use tests::{
    artefacts,
    confined::{self, Confined, Limits},
    skip::skip,
    small_tree::{self, PROGRAM},
};

/// Longer than any command takes on a busy machine: a command that takes longer hangs.
const LIMITS: Limits = Limits { time: Duration::from_secs(20), memory: 2 << 30 };

/// More than any command uses at a time, and a fraction of the size of the endless files.
const MOST_MEMORY: u64 = 512 << 20;

/// A command of the installer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Status,
    Verify,
    Doctor,
    Inspect,
    List,
    DryRun,
    DryPackage,
    DryRevert,
    /// Without a named backend: it uses the one in the store, or one that it finds in the root.
    Apply,
    ApplyBackend,
    ApplyPackage,
    Add,
    Use,
    Remove,
    Collect,
    Repair,
    Revert,
}

/// Commands that change nothing.
pub(crate) const READERS: [Verb; 8] = [
    Verb::Status,
    Verb::Verify,
    Verb::Doctor,
    Verb::Inspect,
    Verb::List,
    Verb::DryRun,
    Verb::DryPackage,
    Verb::DryRevert,
];

/// Commands that change the tree, each as the first command on it.
pub(crate) const WRITERS: [Verb; 9] = [
    Verb::Apply,
    Verb::ApplyBackend,
    Verb::ApplyPackage,
    Verb::Add,
    Verb::Use,
    Verb::Remove,
    Verb::Collect,
    Verb::Repair,
    Verb::Revert,
];

/// Commands that leave the most work to `revert`.
const FOLLOWED: [Verb; 3] = [Verb::Apply, Verb::ApplyBackend, Verb::Repair];

impl Verb {
    /// Its command line.
    pub(crate) fn command(self, scene: &Scene) -> Command {
        let path = |path: std::path::PathBuf| path.into_os_string();
        let (words, more): (&[&str], Vec<OsString>) = match self {
            Self::Status => (&["status"], vec![]),
            Self::Verify => (&["verify"], vec![]),
            Self::Doctor => (&["doctor"], vec![]),
            Self::Inspect => (&["inspect"], vec![]),
            Self::List => (&["backends", "list"], vec![]),
            Self::DryRun => (&["apply", "--dry-run", "--backend"], vec![path(scene.backend())]),
            Self::DryPackage => (&["apply", "--dry-run", "--backend"], vec![path(scene.package())]),
            Self::DryRevert => (&["revert", "--dry-run"], vec![]),
            Self::Apply => (&["apply"], vec![]),
            Self::ApplyBackend => {
                (&["apply", "--name", "6.3.0", "--backend"], vec![path(scene.backend())])
            }
            Self::ApplyPackage => {
                (&["apply", "--name", "6.3.0", "--backend"], vec![path(scene.package())])
            }
            Self::Add => (&["backends", "add", "--name", "other"], vec![path(scene.backend())]),
            Self::Use => (&["backends", "use", "7.0.2"], vec![]),
            Self::Remove => (&["backends", "remove", "6.3.0"], vec![]),
            Self::Collect => (&["collect", "--into"], vec![path(scene.image()), PROGRAM.into()]),
            Self::Repair => (&["repair"], vec![]),
            Self::Revert => (&["revert"], vec![]),
        };
        let mut command = small_tree::installer(&scene.root());
        command.args(words).args(more).env("TMPDIR", scene.temporary());
        if words[0] == "apply" {
            command.arg("--shim").arg(artefacts::shim());
        }
        command
    }
}

/// Whether this installer can repair.
pub(crate) fn has_repair() -> bool {
    let mut command = Command::new(artefacts::installer());
    command.args(["repair", "--help"]);
    command.output().is_ok_and(|output| output.status.success())
}

/// A tree, and the commands to try on it.
pub(crate) struct Case {
    name: String,
    start: Start,
    arrange: Box<dyn Fn(&Scene)>,
    /// Commands that must not succeed.
    refused: Vec<Verb>,
    /// Commands that must succeed, because the hostile part does not affect them.
    works: Vec<Verb>,
    readers: Vec<Verb>,
    writers: Vec<Verb>,
    /// Whether the tree has hard links to the canary's files, and therefore their contents.
    shares: bool,
    on_disk: bool,
    root_only: bool,
}

pub(crate) fn case(
    name: impl Into<String>,
    start: Start,
    arrange: impl Fn(&Scene) + 'static,
) -> Case {
    Case {
        name: name.into(),
        start,
        arrange: Box::new(arrange),
        refused: Vec::new(),
        works: Vec::new(),
        readers: READERS.to_vec(),
        writers: WRITERS.to_vec(),
        shares: false,
        on_disk: false,
        root_only: false,
    }
}

impl Case {
    /// Requires these commands to refuse.
    pub(crate) fn refuses(mut self, verbs: &[Verb]) -> Self {
        self.refused.extend(verbs);
        self
    }

    /// Requires these commands to succeed.
    pub(crate) fn works(mut self, verbs: &[Verb]) -> Self {
        self.works.extend(verbs);
        self
    }

    /// Tries only these commands.
    pub(crate) fn only(mut self, readers: &[Verb], writers: &[Verb]) -> Self {
        (self.readers, self.writers) = (readers.to_vec(), writers.to_vec());
        self
    }

    /// The tree contains hard links to files of the canary.
    pub(crate) fn shares(mut self) -> Self {
        self.shares = true;
        self
    }

    /// The tree contains devices, which only root can create, and which need a file system on which they
    /// work.
    pub(crate) fn has_devices(mut self) -> Self {
        (self.on_disk, self.root_only) = (true, true);
        self
    }

    fn scene(&self, template: &Template) -> Scene {
        let new = if self.on_disk { Scene::on_disk } else { Scene::new };
        let scene = new(template, self.start);
        (self.arrange)(&scene);
        let changes = scene.canary.changes();
        assert!(changes.is_empty(), "{}: arranging it changes the canary: {changes:#?}", self.name);
        scene
    }
}

/// The results of a suite of cases.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    cases: usize,
    commands: usize,
    refusals: usize,
    failures: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, commands, refusals, failures } = self;
        let done = commands - refusals;
        write!(f, "{cases} hostile trees, {commands} commands: {done} done, {refusals} refused, ")?;
        write!(f, "{} failures", failures.len())
    }
}

/// Tries every case, and panics with all failures.
#[track_caller]
pub(crate) fn examine(what: &str, cases: Vec<Case>) {
    let template = Template::new();
    let repair = has_repair();
    let mut tally = Tally::default();
    for case in &cases {
        if case.root_only && !rustix::process::geteuid().is_root() {
            skip(&case.name, "making devices needs root's rights");
            continue;
        }
        tally.cases += 1;
        let mut scene = case.scene(&template);
        for &verb in &case.readers {
            if !tally.attempt(case, &mut scene, verb) {
                scene = case.scene(&template);
            }
        }
        for &verb in case.writers.iter().filter(|verb| **verb != Verb::Repair || repair) {
            let mut scene = case.scene(&template);
            let contained = tally.attempt(case, &mut scene, verb);
            if contained && FOLLOWED.contains(&verb) {
                // What a command leaves of a hostile tree is just as hostile.
                tally.follow(case, &mut scene, verb);
            }
        }
    }
    // Bypasses the test harness, which would capture this.
    let _ = writeln!(std::io::stderr(), "{what}: {tally}");
    assert!(tally.failures.is_empty(), "{what}: {tally}\n{}", tally.failures.join("\n"));
}

impl Tally {
    /// Runs a command; returns whether it left the canary alone.
    fn attempt(&mut self, case: &Case, scene: &mut Scene, verb: Verb) -> bool {
        let ended = self.contained(case, scene, verb, &format!("{verb:?}"));
        let success = ended.confined.ended.status.success();
        let fail =
            |what: &str| format!("{}, {verb:?}: {what}: {:?}", case.name, ended.confined.ended);
        if case.refused.contains(&verb) && success {
            self.failures.push(fail("not refused"));
        }
        if case.works.contains(&verb) && !success {
            self.failures.push(fail("refused"));
        }
        ended.contained
    }

    /// `revert` after another command.
    fn follow(&mut self, case: &Case, scene: &mut Scene, after: Verb) {
        self.contained(case, scene, Verb::Revert, &format!("Revert after {after:?}"));
    }

    fn contained(&mut self, case: &Case, scene: &mut Scene, verb: Verb, how: &str) -> Ended {
        let confined = confined::run(&verb.command(scene), LIMITS);
        self.commands += 1;
        self.refusals += usize::from(!confined.ended.status.success());
        let mut faults = faults(&confined);
        let mut leaks = Vec::new();
        if !READERS.contains(&verb) {
            let privileged = scene.privileged();
            faults.extend(privileged.iter().map(|path| format!("{} is setuid", path.display())));
        }
        if !case.shares {
            let said = [&confined.ended.stdout, &confined.ended.stderr];
            if said.iter().any(|text| text.contains(SECRET)) {
                leaks.push("its output".to_owned());
            }
            if !READERS.contains(&verb) {
                leaks.extend(scene.leaks(SECRET).iter().map(|path| path.display().to_string()));
            }
        }
        faults.extend(leaks.iter().map(|leak| format!("a secret is in {leak}")));
        let changes = scene.canary.changes();
        let contained = changes.is_empty();
        if let [first, more @ ..] = &changes[..] {
            faults.push(format!("outside, {first} (and {} changes more)", more.len()));
        }
        for fault in faults {
            self.failures.push(format!("{}, {how}: {fault}", case.name));
        }
        Ended { confined, contained }
    }
}

struct Ended {
    confined: Confined,
    contained: bool,
}

/// What no tree may cause in a command.
pub(crate) fn faults(Confined { ended, in_time, peak }: &Confined) -> Vec<String> {
    let mut faults = Vec::new();
    if !in_time {
        faults.push(format!("took longer than {:?}", LIMITS.time));
    } else if let Some(signal) = ended.signal() {
        faults.push(format!("ended by signal {signal}: {}", ended.stderr));
    } else if !matches!(ended.status.code(), Some(0..=5)) {
        faults.push(format!("ended with {:?}: {}", ended.status.code(), ended.stderr));
    }
    if ended.stderr.contains("panicked at") || ended.stdout.contains("panicked at") {
        faults.push(format!("panicked: {}", ended.stderr));
    }
    if *peak > MOST_MEMORY {
        faults.push(format!("took {} MB of memory", peak >> 20));
    }
    faults
}

/// Runs a command with the limits that apply to all commands.
pub(crate) fn confined(command: &mut Command) -> Confined {
    confined::run(command, LIMITS)
}
