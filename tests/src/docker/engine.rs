//! The engine: building, running and inspecting images.

use crate::{
    run::{Ended, exists, run_within},
    skip::skip,
};
use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Longer than an image takes to build, even on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);

/// Longer than any other command takes.
const LIMIT: Duration = Duration::from_secs(600);

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    /// Its version.
    pub version: String,
}

/// The machine's engine. If there is none, or it may not be used, prints why and returns `None`.
pub fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let found = ENGINE.get_or_init(|| {
        if !exists("docker") {
            return Err("there is no docker command".to_owned());
        }
        let ended = docker(&["version", "--format", "{{.Server.Version}}"]);
        if ended.status.success() {
            Ok(Engine { version: ended.stdout.trim().to_owned() })
        } else {
            Err(ended.stderr.lines().last().unwrap_or("the engine does not respond").to_owned())
        }
    });
    match found {
        Ok(engine) => Some(engine),
        Err(why) => {
            skip("images", why);
            None
        }
    }
}

fn docker(arguments: &[&str]) -> Ended {
    run_within(Command::new("docker").args(arguments), LIMIT)
}

/// Prints a line even though the test harness captures output.
pub(super) fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("images: {line}\n").as_bytes());
}

/// An image to build.
#[derive(Clone, Debug)]
pub struct Build<'a> {
    /// Its name.
    pub tag: &'a str,
    /// The Dockerfile.
    pub file: &'a Path,
    /// The directory that COPY refers to.
    pub context: &'a Path,
    /// Build arguments.
    pub arguments: &'a [(&'a str, &'a str)],
    /// The stage to stop at.
    pub target: Option<&'a str>,
    /// Whether to ignore the cache of earlier builds.
    pub afresh: bool,
}

impl<'a> Build<'a> {
    /// A build of all stages, with the cache of earlier builds.
    #[must_use]
    pub fn new(
        tag: &'a str,
        file: &'a Path,
        context: &'a Path,
        arguments: &'a [(&'a str, &'a str)],
    ) -> Self {
        Self { tag, file, context, arguments, target: None, afresh: false }
    }
}

impl Engine {
    /// Builds an image and returns the outcome of `docker build`. A failed build leaves neither a container
    /// nor an image: those of the recipe take gigabytes.
    pub fn try_build(&self, build: &Build<'_>) -> Ended {
        say(&format!("building {}", build.tag));
        let start = Instant::now();
        let mut command = Command::new("docker");
        command.args(["build", "--force-rm", "--tag", build.tag, "--file"]).arg(build.file);
        for (name, value) in build.arguments {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        }
        if let Some(target) = build.target {
            command.args(["--target", target]);
        }
        if build.afresh {
            command.arg("--no-cache");
        }
        let ended = run_within(command.arg(build.context), BUILD_LIMIT);
        say(&format!(
            "{} after {:.0} s: {}",
            build.tag,
            start.elapsed().as_secs_f64(),
            ended.status
        ));
        if !ended.status.success() {
            // The last lines say why; a test that printed everything would show at most the beginning.
            let end = ended.stderr.lines().rev().take(10).collect::<Vec<_>>();
            end.iter().rev().for_each(|line| say(&format!("| {line}")));
            // Docker refuses this if another image is based on it.
            if let Some(last) =
                ended.stdout.lines().rev().find_map(|line| line.strip_prefix(" ---> "))
            {
                let _ = docker(&["image", "rm", last]);
            }
        }
        ended
    }

    /// Builds an image.
    ///
    /// # Panics
    /// If a step fails, with all of its output.
    #[track_caller]
    pub fn build(&self, build: &Build<'_>) -> Ended {
        self.try_build(build).success()
    }

    /// Creates an image from a root directory.
    ///
    /// # Panics
    /// If that fails.
    #[track_caller]
    pub(super) fn import(&self, root: &Path, tag: &str) {
        let mut tar = Command::new("tar");
        tar.arg("--directory").arg(root).args(["--create", "--numeric-owner", "."]);
        let mut tar = tar.stdout(Stdio::piped()).spawn().expect("run tar");
        let mut import = Command::new("docker");
        import.args(["import", "-", tag]).stdin(tar.stdout.take().expect("piped"));
        let output = import.output().expect("run docker");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(tar.wait().expect("wait for tar").success());
    }

    /// Unpacks the files of an image into a directory.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub(super) fn export(&self, tag: &str, directory: &Path) {
        // Nothing is started in it.
        let container = docker(&["create", tag, "none"]).success().stdout;
        let mut export = Command::new("docker");
        let export = export.args(["export", container.trim()]).stdout(Stdio::piped());
        let mut export = export.spawn().expect("run docker");
        let mut tar = Command::new("tar");
        tar.arg("--directory").arg(directory).args(["--extract", "--numeric-owner"]);
        let output = tar.stdin(export.stdout.take().expect("piped")).output().expect("run tar");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(export.wait().expect("wait for docker").success());
        docker(&["rm", container.trim()]).success();
    }

    /// Whether there is an image of that name.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        docker(&["image", "inspect", tag]).status.success()
    }

    /// The output of `docker image inspect` for a format.
    #[track_caller]
    pub fn inspect(&self, tag: &str, format: &str) -> String {
        let ended = docker(&["image", "inspect", "--format", format, tag]).success();
        ended.stdout.trim().to_owned()
    }

    /// Runs a `docker` command.
    pub fn docker(&self, arguments: &[&str]) -> Ended {
        docker(arguments)
    }

    /// Runs a program in a new container of an image, to its end, with options of `docker run`.
    pub fn run(&self, tag: &str, options: &[&str], program: &[&str]) -> Ended {
        let (name, arguments) = program.split_first().expect("a program");
        let fixed = ["run", "--rm", "--entrypoint", name];
        self.docker(&[&fixed, options, &[tag], arguments].concat())
    }

    /// Starts an image with its own entry point.
    #[track_caller]
    pub fn start(&self, tag: &str, options: &[&str]) -> Container {
        let ended = self.docker(&[&["run", "--detach"], options, &[tag]].concat()).success();
        Container { id: ended.stdout.trim().to_owned() }
    }

    /// Writes an image with all its layers to a file.
    #[track_caller]
    pub fn save(&self, tag: &str, file: &Path) {
        File::create(file).expect("make a file");
        self.docker(&["save", "--output", file.to_str().expect("UTF-8"), tag]).success();
    }
}

/// A container; it is removed when this is dropped.
#[derive(Debug)]
pub struct Container {
    id: String,
}

impl Container {
    /// Runs a program in it.
    pub fn exec(&self, program: &[&str]) -> Ended {
        docker(&[&["exec", &self.id], program].concat())
    }

    /// Its output so far.
    #[must_use]
    pub fn logs(&self) -> String {
        let ended = docker(&["logs", &self.id]);
        ended.stdout + &ended.stderr
    }

    /// The output of `docker inspect` for a format.
    #[must_use]
    pub fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.id]).success().stdout.trim().to_owned()
    }

    /// Waits until a condition holds.
    ///
    /// # Panics
    /// If it does not hold after a minute, with the log.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            let late = start.elapsed() > Duration::from_secs(60);
            assert!(!late, "not {what}:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Sends SIGTERM, and SIGKILL after ten seconds. Returns the exit code and how long it took.
    #[must_use]
    pub fn stop(&self) -> (String, Duration) {
        let start = Instant::now();
        docker(&["stop", "--time", "10", &self.id]).success();
        (self.inspect("{{.State.ExitCode}}"), start.elapsed())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.id]);
    }
}
