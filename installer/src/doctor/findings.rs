//! Turns facts into findings: what is wrong, why, and what to do.

use super::{
    Finding, Said, Severity,
    dead_ends::{self, DeadEnd},
    environment,
    known::{
        self, Known,
        advice::{self, Advice, BACKEND},
        reading::{Reading, Setting},
    },
    live::{Answer, Live},
};
use crate::{
    exports::Lacking,
    gpu,
    inspect::{
        Found, coverage::Coverage, library::Library, lm_studio::Engine, machine::Machine, store,
    },
    present::SONAME,
    status::{REINSTALL, Status},
};
use anyhow::Error;
use std::io;

/// The command that installs the shim, with this package as its backend.
fn apply(package: &str) -> String {
    format!("installer apply --backend {package}")
}

/// How many lines of a process's output are useful.
const LINES: usize = 20;

pub(super) fn finding(severity: Severity, title: impl Into<String>) -> Finding {
    Finding {
        severity,
        title: title.into(),
        seen: Vec::new(),
        why: String::new(),
        cure: String::new(),
        said: None,
    }
}

impl Finding {
    pub(super) fn seen(mut self, seen: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.seen.extend(seen.into_iter().map(Into::into));
        self
    }

    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(super) fn cured_by(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }

    /// Adds the cause and the fix of a known error, if it is one.
    fn explained(self, known: Option<&Known>, advice: &Advice) -> Self {
        match known {
            Some(known) => self.because(known.why()).cured_by(known.cure(advice)),
            None => self,
        }
    }
}

pub(super) fn no_tree(error: &Error, severity: Severity) -> Finding {
    finding(severity, "cannot determine which tree to examine")
        .because(format!("{error:#}"))
        .cured_by("installer doctor --rocm DIR")
}

pub(super) fn no_inspection(error: &Error) -> Finding {
    finding(Severity::Error, "the tree cannot be inspected").because(format!("{error:#}"))
}

pub(super) fn no_child(error: &io::Error) -> Finding {
    finding(Severity::Warning, "the live check could not be started")
        .because(error.to_string())
        .cured_by("installer doctor, in a process that may start others and sees /proc")
}

/// Findings about the files of a tree, and about the state of what `apply` placed. `package` is AMD's of 6.3
/// for this distribution.
pub(super) fn of_tree(
    found: &Found,
    machine: &Machine,
    status: &Result<Status, Error>,
    live: &Live,
    package: &str,
) -> Vec<Finding> {
    let lib = &found.tree.lib;
    let mut findings = Vec::new();
    if let Some(problem) = &found.problem {
        findings.push(
            finding(Severity::Error, format!("{} cannot be read", lib.display()))
                .because(problem.as_str()),
        );
    }
    let broken = found.libraries.broken.iter().map(|broken| {
        let leads = broken.target.as_ref().map(|target| format!(" -> {}", target.display()));
        let leads = leads.unwrap_or_default();
        finding(Severity::Error, format!("{} does not point to a library", broken.path.display()))
            .seen([format!("{}{leads}: {}", broken.path.display(), broken.problem)])
            .because("The loader finds nothing under this name.")
            .cured_by("ldconfig; installer apply, where it is one of the shim's")
    });
    findings.extend(broken);
    let front = store::rocblas(lib, &found.libraries);
    findings.extend(of_status(status, live, front, found, machine, package));
    let has_shim = front.is_some_and(|library| library.shim.is_some());
    let coverage = found.coverage.iter();
    findings.extend(coverage.map(|coverage| of_coverage(coverage, has_shim, package)));
    let engines = found.engines.iter();
    findings.extend(engines.flat_map(|engine| of_engine(engine, &found.coverage)));
    findings
}

fn of_status(
    status: &Result<Status, Error>,
    live: &Live,
    front: Option<&Library>,
    found: &Found,
    machine: &Machine,
    package: &str,
) -> Option<Finding> {
    Some(match status {
        Err(e) => finding(Severity::Error, "the installer's record of this tree cannot be read")
            .because(format!("{e:#}")),
        Ok(applied @ Status::Applied { .. }) => finding(Severity::Fine, applied.to_string()),
        Ok(busy @ Status::Busy { .. }) => finding(Severity::Warning, busy.to_string())
            .cured_by("run this again when it has finished"),
        Ok(Status::Disturbed { changes, lost }) if changes.is_empty() => {
            finding(Severity::Error, "a file that `installer revert` needs is missing")
                .seen(lost)
                .because("Programs keep working, but `revert` cannot restore the tree without it.")
                .cured_by(format!("{REINSTALL}, then installer repair"))
        }
        Ok(Status::Disturbed { changes, lost }) => {
            finding(Severity::Error, "the tree has changed since `installer apply`")
                .seen(changes.iter().chain(lost))
                .because("An upgrade of packages, ldconfig or a person changed it.")
                .cured_by("installer repair")
        }
        // If the shim could be opened, the result of that reports it.
        Ok(Status::Unrecorded { no_backend: Some(why), .. })
            if matches!(live, Live::NotDone { .. }) =>
        {
            finding(Severity::Error, "the shim has no backend: its store was deleted")
                .seen([why])
                .because("Programs that call rocBLAS fail, and `revert` cannot restore the tree.")
                .cured_by(apply(package))
        }
        Ok(Status::Unrecorded { .. }) => {
            finding(Severity::Warning, "the shim is in place, but has no journal")
                .because("An upgrade or ldconfig may undo it, and `revert` has no record of it.")
                .cured_by("installer repair")
        }
        Ok(Status::NotApplied) if front.is_none() => {
            finding(Severity::Error, "rocBLAS is not installed")
                .seen([format!("{} has no {SONAME}", found.tree.lib.display())])
                .because("AMD's plain images lack it.")
                .cured_by(format!("apt-get install rocblas hipblas-dev; {}", apply(package)))
        }
        Ok(Status::NotApplied) if !found.libraries.files.iter().any(dead_ends::is_stock) => {
            let names = front.and_then(|library| Some((library, library.soname.as_deref()?)));
            finding(Severity::Warning, "no rocBLAS of ROCm 7 was found")
                .seen(names.map(|(library, soname)| {
                    format!("{} has the SONAME {soname}", library.path.display())
                }))
                .because(format!("The shim replaces {SONAME} of ROCm 7."))
                .cured_by(
                    "installer apply, if this is a tree of ROCm 7 patched by hand; otherwise name the ROCm 7 \
                     tree with --rocm DIR",
                )
        }
        Ok(Status::NotApplied) if machine.gpus.is_empty() => {
            finding(Severity::Warning, "the shim is not in place")
                .because("No GPU is visible, so it is unknown whether the shim is needed.")
                .cured_by(format!(
                    "{}   (for gfx906 and other GPUs that ROCm 7 dropped)",
                    apply(package)
                ))
        }
        // What the stock library lacks is reported for each GPU.
        Ok(Status::NotApplied) if found.coverage.iter().any(|coverage| !coverage.covered) => {
            return None;
        }
        Ok(Status::NotApplied) => {
            finding(Severity::Fine, "the shim is not in place, and these GPUs do not need it")
        }
    })
}

fn of_coverage(coverage: &Coverage, has_shim: bool, package: &str) -> Finding {
    let target = &coverage.target;
    if coverage.covered {
        return finding(Severity::Fine, coverage.sentence.trim_end_matches('.'));
    }
    let missing = finding(Severity::Error, format!("{target} is not covered"))
        .seen([coverage.sentence.as_str()]);
    let processor = target.split(':').next().unwrap_or(target);
    if gpu::is_served(BACKEND, processor) != Some(true) {
        let severity =
            if gpu::is_integrated(processor) { Severity::Warning } else { Severity::Error };
        let why = format!("ROCm {BACKEND}'s rocBLAS is not known to serve {processor} either.");
        return Finding { severity, ..missing.because(why).cured_by(advice::unserved(processor)) };
    }
    if has_shim {
        missing.because("The shim is in place; its backend lacks what this GPU needs.").cured_by(
            format!("{} --gpu {target}   (the whole package of ROCm 6.3)", apply(package)),
        )
    } else {
        missing
            .because(
                "rocBLAS of ROCm 7 dropped this GPU: programs fail with \
                 hipErrorInvalidDeviceFunction, or because Tensile files are missing.",
            )
            .cured_by(format!("{} --gpu {target}", apply(package)))
    }
}

/// Findings about an engine of LM Studio, for each GPU.
fn of_engine(engine: &Engine, coverage: &[Coverage]) -> Vec<Finding> {
    let of_gpu = |target: &str| {
        let (why, cure) = engine.refusal(target)?;
        let title = format!("LM Studio does not use {target}");
        Some(finding(Severity::Error, title).because(why).cured_by(cure))
    };
    coverage.iter().filter_map(|of| of_gpu(&of.target)).collect()
}

/// Findings about functions that the shim lacks.
pub(super) fn of_lacking(lacking: &Lacking) -> Finding {
    let broken = lacking.broken();
    let severity = if broken.is_empty() { Severity::Warning } else { Severity::Error };
    finding(severity, "this ROCm's rocBLAS is newer than the shim")
        .seen([lacking.to_string()])
        .seen(broken)
        .because("A program or library that imports one of them does not load with the shim.")
        .cured_by("get a newer release of the shim, and run its installer apply")
}

/// Findings about the result of opening the shim.
pub(super) fn of_live(live: &Live, package: &str) -> Option<Finding> {
    Some(match live {
        Live::NotDone { why } => {
            finding(Severity::Fine, "the live check was not done").because(why.as_str())
        }
        // The findings about files describe what is in its place.
        Live::NoShim { .. } => return None,
        Live::NotLoaded { file, error, stderr } => {
            let title = format!("{} cannot be loaded", file.display());
            let known = known::explain(error).into_iter().next();
            finding(Severity::Error, title)
                .seen([error.as_str()])
                .seen(lines(stderr))
                .because("The loader rejects it, and so every program that needs it.")
                .cured_by("installer verify   (have placed files changed?); installer apply")
                .explained(known.as_ref(), &in_place(package))
        }
        Live::Died { end, stderr } => finding(Severity::Error, format!("opening the shim {end}"))
            .seen(lines(stderr))
            .because("The backend, or a library that it loads, crashes the process; programs crash in the same way.")
            .cured_by(
                "installer verify   (have placed files changed?); or select another backend: installer backends \
                 list, installer backends use NAME",
            )
            .explained(known::explain(stderr).first(), &in_place(package)),
        Live::Opened { answer, stderr } => of_answer(answer, stderr, package),
    })
}

fn of_answer(answer: &Answer, stderr: &str, package: &str) -> Finding {
    if answer.backend.is_empty() || answer.mode != "direct" {
        // The first line says that there is none, and later ones say why.
        return finding(Severity::Error, "the shim loads but has no backend")
            .seen(lines(&answer.error))
            .because("Every rocBLAS call returns rocblas_status_internal_error.")
            .cured_by(apply(package))
            .explained(known::explain(&answer.error).last(), &in_place(package));
    }
    let title = format!(
        "the shim {} loads with backend {} (rocBLAS {})",
        answer.shim, answer.backend, answer.version
    );
    // Most names are mangled, and longer than a line.
    let missing = match answer.missing.as_slice() {
        [] => "no function is missing".to_owned(),
        [one] => format!("missing in it: {one}"),
        [one, two] => format!("missing in it: {one} and {two}"),
        [one, two, ..] => {
            let count = answer.missing.len();
            format!("missing in it: {count} functions, {one} and {two} among them")
        }
    };
    let severity = if stderr.trim().is_empty() { Severity::Fine } else { Severity::Warning };
    finding(severity, title)
        .seen([answer.path.clone(), missing])
        .seen(lines(stderr))
        .explained(known::explain(stderr).first(), &in_place(package))
}

fn lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let superfluous = lines.len().saturating_sub(LINES);
    let left_out = (superfluous > 0).then(|| format!("({superfluous} lines before these)"));
    left_out.into_iter().chain(lines[superfluous..].iter().map(ToString::to_string)).collect()
}

pub(super) fn of_dead_end(dead_end: DeadEnd) -> Finding {
    let DeadEnd { title, seen, why, cure } = dead_end;
    finding(Severity::Error, format!("dead end: {title}")).seen(seen).because(why).cured_by(cure)
}

/// Whether an opened shim has been installed, so that a backend can be added.
fn in_place(package: &str) -> Advice {
    Advice { package: package.to_owned(), ..Advice::default() }
}

/// Findings about a program's output.
pub(super) fn of_log(reading: &Reading, advice: &Advice) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        reading.found.iter().map(|known| of_line(known, advice)).collect();
    findings.extend(of_crash(reading));
    if reading.empty {
        let empty = finding(Severity::Warning, "the log is empty");
        let why = "Programs print errors to stderr, which `PROGRAM > FILE` does not redirect.";
        findings
            .push(empty.because(why).cured_by("PROGRAM > FILE 2>&1; installer doctor --log FILE"));
    } else if findings.is_empty() {
        let nothing = finding(Severity::Warning, "the log contains no known error");
        let why = "Only errors related to ROCm's libraries on GPUs that ROCm 7 dropped are known.";
        findings.push(nothing.because(why).cured_by("installer doctor --report FILE"));
    }
    findings.extend(reading.settings.iter().map(of_setting));
    findings
}

fn of_line(known: &Known, advice: &Advice) -> Finding {
    let line = &known.line;
    let said = Said {
        gpu: line.gpu.clone(),
        tree: line.tree.clone(),
        library: line.library.clone(),
        release: line.release.clone(),
        error: line.error.as_ref().map(|(name, _)| name.clone()),
        number: line.error.as_ref().and_then(|(_, number)| *number),
    };
    let in_log = finding(known.severity(), format!("in the log: {}", known.title()));
    let in_log = in_log.seen([line.shown.as_str()]).seen(known.also.as_deref());
    let gpu = match line.gpu.as_deref() {
        Some(gpu) if !line.shown.contains(gpu) => {
            Some(format!("the GPU is {gpu}, according to other lines of the log"))
        }
        None if advice.gpus.len() > 1 && known.cause.is_of_one_gpu() => {
            Some(format!("the GPU is {}", advice.candidates()))
        }
        _ => None,
    };
    let in_log = in_log.seen(gpu);
    let said = (said != Said::default()).then_some(said);
    Finding { said, ..in_log.explained(Some(known), advice) }
}

/// A crash without a message, if settings in the log may be the reason.
fn of_crash(reading: &Reading) -> Option<Finding> {
    let crash = reading.crash.as_deref().filter(|_| !reading.settings.is_empty())?;
    let names: Vec<&str> = reading.settings.iter().map(|setting| setting.name.as_str()).collect();
    let title = format!("in the log: a crash, with {} set", names.join(", "));
    let variables =
        names.iter().filter(|name| !name.starts_with('-')).map(|name| format!(" -u {name}"));
    let unset: String = variables.collect();
    Some(
        finding(Severity::Error, title)
            .seen([crash])
            .seen(
                reading
                    .settings
                    .iter()
                    .map(|setting| format!("{}={}", setting.name, setting.value)),
            )
            .because("They change which libraries and kernels are loaded, and may be the reason.")
            .cured_by(format!("env{unset} PROGRAM   (without them)")),
    )
}

fn of_setting(setting: &Setting) -> Finding {
    let Setting { name, value } = setting;
    let title = format!("in the log: {name} is set");
    let found = finding(Severity::Warning, title).seen([format!("{name}={value}")]);
    match environment::harm(name, value) {
        Some(why) => found.because(why).cured_by(format!("unset {name}")),
        None => found
            .because(dead_ends::WHY_OVERRIDE)
            .cured_by("omit the argument: SOLVE_TRI has no weight of that name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backend_lacks_is_counted_and_two_are_named() {
        let seen = |missing: &[&str]| {
            let missing = missing.iter().map(ToString::to_string).collect();
            let (backend, mode) = ("6.3.0".to_owned(), "direct".to_owned());
            let answer = Answer { backend, mode, missing, ..Answer::default() };
            let finding = of_answer(&answer, "", "P.deb");
            assert_eq!(finding.severity, Severity::Fine);
            finding.seen[1].clone()
        };
        assert_eq!(seen(&[]), "no function is missing");
        assert_eq!(seen(&["a"]), "missing in it: a");
        assert_eq!(seen(&["a", "b"]), "missing in it: a and b");
        assert_eq!(seen(&["a", "b", "c"]), "missing in it: 3 functions, a and b among them");
    }

    #[test]
    fn of_several_gpus_the_one_that_is_meant_is_shown() {
        let seen = |log: &str| {
            let reading = Reading::of(log.as_bytes()).expect("read");
            let gpus = reading.gpus.iter().cloned().collect();
            of_log(&reading, &Advice { gpus, ..Advice::default() }).remove(0).seen
        };
        let two = "Device 0: AMD, gfx1030 (0x1030)\nDevice 1: AMD, gfx906 (0x906)\n";
        let fault = "ROCm error: an illegal memory access was encountered\n";
        let by_number = seen(&format!("{two}{fault}  current device: 1, in function x\n"));
        assert_eq!(by_number[1], "the GPU is gfx906, according to other lines of the log");
        let unknown = seen(&format!("{two}{fault}"));
        assert_eq!(unknown[1], "the GPU is gfx1030 or gfx906; the log does not say which");
        // Near: one GPU, and an error that is of none.
        assert_eq!(seen(&format!("Device 0: AMD, gfx906 (0x906)\n{fault}")).len(), 1);
        assert_eq!(
            seen(&format!("{two}librocblas.so.5: cannot open shared object file\n")).len(),
            1
        );
    }

    #[test]
    fn an_empty_log_and_one_without_errors_are_told_apart_and_are_no_errors() {
        let of = |log: &str| {
            let reading = Reading::of(log.as_bytes()).expect("read");
            of_log(&reading, &Advice::default()).remove(0)
        };
        for (log, title) in [
            ("", "the log is empty"),
            (" \r\n", "the log is empty"),
            ("main: server is listening\n", "the log contains no known error"),
            (
                "test hipErrorInvalidDeviceFunction handling ... ok\n",
                "the log contains no known error",
            ),
        ] {
            let finding = of(log);
            assert_eq!(
                (finding.title.as_str(), finding.severity),
                (title, Severity::Warning),
                "{log:?}"
            );
        }
    }

    #[test]
    fn a_backend_that_is_missing_is_the_package_of_this_distribution() {
        let live = Live::Opened { answer: Answer::default(), stderr: String::new() };
        let finding = of_live(&live, "P~24.04.deb").expect("a finding");
        assert_eq!(finding.cure, "installer apply --backend P~24.04.deb");
    }
}
