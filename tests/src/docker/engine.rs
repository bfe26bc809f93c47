//! The engine: building, running, looking into images.

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

/// Longer than an image takes to build, on a busy machine too.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);

/// Longer than any other command takes.
const LIMIT: Duration = Duration::from_secs(600);

/// An engine that answers.
#[derive(Debug)]
pub struct Engine {
    /// As it names it.
    pub version: String,
}

/// The machine's engine. `None`, having said so, where there is none that may be used.
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
            Err(ended.stderr.lines().last().unwrap_or("the engine does not answer").to_owned())
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

/// Says something past the test harness, which would keep it to itself.
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
    /// The directory that COPY is about.
    pub context: &'a Path,
    /// Build arguments.
    pub arguments: &'a [(&'a str, &'a str)],
    /// The stage to end at.
    pub target: Option<&'a str>,
    /// Whether every step is done anew.
    pub afresh: bool,
}

impl<'a> Build<'a> {
    /// All stages, with what is known of earlier builds.
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
    /// Builds an image, or ends as `docker build` does.
    pub fn try_build(&self, build: &Build<'_>) -> Ended {
        say(&format!("building {}", build.tag));
        let start = Instant::now();
        let mut command = Command::new("docker");
        command.args(["build", "--tag", build.tag, "--file"]).arg(build.file);
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
        ended
    }

    /// Builds an image.
    ///
    /// # Panics
    /// With all that was printed when a step fails.
    #[track_caller]
    pub fn build(&self, build: &Build<'_>) -> Ended {
        self.try_build(build).success()
    }

    /// Makes an image of a root directory.
    ///
    /// # Panics
    /// When that fails.
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

    /// Whether there is an image of that name.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        docker(&["image", "inspect", tag]).status.success()
    }

    /// What `docker image inspect` knows, in the words of its format.
    #[track_caller]
    pub fn inspect(&self, tag: &str, format: &str) -> String {
        let ended = docker(&["image", "inspect", "--format", format, tag]).success();
        ended.stdout.trim().to_owned()
    }

    /// Runs a command of the engine's.
    pub fn docker(&self, arguments: &[&str]) -> Ended {
        docker(arguments)
    }

    /// Runs a program in a new container of an image, to its end, with options of `docker run`.
    pub fn run(&self, tag: &str, options: &[&str], program: &[&str]) -> Ended {
        let (name, arguments) = program.split_first().expect("a program");
        let fixed = ["run", "--rm", "--entrypoint", name];
        self.docker(&[&fixed, options, &[tag], arguments].concat())
    }

    /// Starts an image as it is meant to be started.
    #[track_caller]
    pub fn start(&self, tag: &str, options: &[&str]) -> Container {
        let ended = self.docker(&[&["run", "--detach"], options, &[tag]].concat()).success();
        Container { id: ended.stdout.trim().to_owned() }
    }

    /// Writes an image with all its layers into a file.
    #[track_caller]
    pub fn save(&self, tag: &str, file: &Path) {
        File::create(file).expect("make a file");
        self.docker(&["save", "--output", file.to_str().expect("UTF-8"), tag]).success();
    }
}

/// A container; it goes when this does.
#[derive(Debug)]
pub struct Container {
    id: String,
}

impl Container {
    /// Runs a program in it.
    pub fn exec(&self, program: &[&str]) -> Ended {
        docker(&[&["exec", &self.id], program].concat())
    }

    /// What it printed.
    #[must_use]
    pub fn logs(&self) -> String {
        let ended = docker(&["logs", &self.id]);
        ended.stdout + &ended.stderr
    }

    /// What the engine knows of it, in the words of its format.
    #[must_use]
    pub fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.id]).success().stdout.trim().to_owned()
    }

    /// Waits until it is so.
    ///
    /// # Panics
    /// With its log, when it is not after a minute.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            let late = start.elapsed() > Duration::from_secs(60);
            assert!(!late, "not {what}:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Sends SIGTERM, and SIGKILL after ten seconds. Answers the exit code and how long it took.
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
