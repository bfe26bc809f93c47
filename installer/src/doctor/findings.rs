//! From what was found out to what is wrong, why, and what to do.

use super::{
    Finding, Severity,
    dead_ends::{self, DeadEnd},
    known::{self, Known},
    live::{Answer, Live},
};
use crate::{
    exports::Lacking,
    inspect::{Found, coverage::Coverage, library::Library, machine::Machine, store},
    present::SONAME,
    status::Status,
};
use anyhow::Error;
use std::io;

/// The command that puts the shim in place, with AMD's package for ROCm 6.3.
const APPLY: &str = "installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb";

/// As many lines of what a process said as help.
const LINES: usize = 20;

fn finding(severity: Severity, title: impl Into<String>) -> Finding {
    Finding {
        severity,
        title: title.into(),
        seen: Vec::new(),
        why: String::new(),
        cure: String::new(),
    }
}

impl Finding {
    fn seen(mut self, seen: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.seen.extend(seen.into_iter().map(Into::into));
        self
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    fn cured_by(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }

    /// With the cause and the cure of a known error, where there is one.
    fn explained(self, known: Option<&Known>) -> Self {
        match known {
            Some(known) => self.because(known.cause).cured_by(known.cure),
            None => self,
        }
    }
}

pub(super) fn no_tree(error: &Error) -> Finding {
    finding(Severity::Error, "it is not clear which tree is meant")
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

/// Of the files of a tree, and of what `apply` left.
pub(super) fn of_tree(
    found: &Found,
    machine: &Machine,
    status: &Result<Status, Error>,
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
        finding(Severity::Error, format!("{} leads to no library", broken.path.display()))
            .seen([format!("{}{leads}: {}", broken.path.display(), broken.problem)])
            .because("The loader finds nothing under this name.")
            .cured_by("ldconfig; installer apply, where it is one of the shim's")
    });
    findings.extend(broken);
    let front = store::rocblas(lib, &found.libraries);
    findings.extend(of_status(status, front, found, machine));
    let has_shim = front.is_some_and(|library| library.shim.is_some());
    findings.extend(found.coverage.iter().map(|coverage| of_coverage(coverage, has_shim)));
    findings
}

fn of_status(
    status: &Result<Status, Error>,
    front: Option<&Library>,
    found: &Found,
    machine: &Machine,
) -> Option<Finding> {
    Some(match status {
        Err(e) => finding(Severity::Error, "the installer's record of this tree cannot be read")
            .because(format!("{e:#}")),
        Ok(applied @ Status::Applied { .. }) => finding(Severity::Fine, applied.to_string()),
        Ok(busy @ Status::Busy { .. }) => {
            finding(Severity::Warning, busy.to_string()).cured_by("look again when it has ended")
        }
        Ok(Status::Disturbed { changes }) => {
            finding(Severity::Error, "the tree is not as `installer apply` left it")
                .seen(changes)
                .because("An upgrade of packages, ldconfig or a person changed it.")
                .cured_by("installer repair")
        }
        Ok(Status::Unrecorded { .. }) => {
            finding(Severity::Warning, "the shim is here, but not by the installer")
                .because("An upgrade or ldconfig may undo it, and `revert` does not know of it.")
                .cured_by("installer repair")
        }
        Ok(Status::NotApplied) if front.is_none() => {
            finding(Severity::Error, "there is no rocBLAS")
                .seen([format!("{} has no {SONAME}", found.tree.lib.display())])
                .because("AMD's plain images lack it.")
                .cured_by(format!("apt-get install rocblas hipblas-dev; {APPLY}"))
        }
        Ok(Status::NotApplied) if !found.libraries.files.iter().any(dead_ends::is_stock) => {
            let names = front.and_then(|library| Some((library, library.soname.as_deref()?)));
            finding(Severity::Warning, "no rocBLAS of ROCm 7 is here")
                .seen(names.map(|(library, soname)| {
                    format!("{} has the SONAME {soname}", library.path.display())
                }))
                .because(format!("The shim stands for {SONAME} of ROCm 7."))
                .cured_by(
                    "installer apply, if this is a tree of ROCm 7 patched by hand; else name that \
                     tree with --rocm DIR",
                )
        }
        Ok(Status::NotApplied) if machine.gpus.is_empty() => {
            finding(Severity::Warning, "the shim is not in place")
                .because("Without a GPU to be seen it cannot be told whether it is needed.")
                .cured_by(format!("{APPLY}   (for gfx906 and others that ROCm 7 dropped)"))
        }
        // What the stock library lacks is said for each GPU.
        Ok(Status::NotApplied) if found.coverage.iter().any(|coverage| !coverage.covered) => {
            return None;
        }
        Ok(Status::NotApplied) => {
            finding(Severity::Fine, "the shim is not in place, and these GPUs do not need it")
        }
    })
}

fn of_coverage(coverage: &Coverage, has_shim: bool) -> Finding {
    let target = &coverage.target;
    if coverage.covered {
        return finding(Severity::Fine, coverage.sentence.trim_end_matches('.'));
    }
    let missing = finding(Severity::Error, format!("{target} is not covered"))
        .seen([coverage.sentence.as_str()]);
    if has_shim {
        missing
            .because("The shim is in place; its backend lacks what this GPU needs.")
            .cured_by(format!("{APPLY} --gpu {target}   (the whole package of ROCm 6.3)"))
    } else {
        missing
            .because(
                "rocBLAS of ROCm 7 dropped this GPU: programs fail with \
                 hipErrorInvalidDeviceFunction, or for want of Tensile files.",
            )
            .cured_by(format!("{APPLY} --gpu {target}"))
    }
}

/// Of functions that the shim lacks.
pub(super) fn of_lacking(lacking: &Lacking) -> Finding {
    let broken = lacking.broken();
    let severity = if broken.is_empty() { Severity::Warning } else { Severity::Error };
    finding(severity, "this ROCm's rocBLAS is newer than the shim")
        .seen([lacking.to_string()])
        .seen(broken)
        .because(
            "A program or library that imports one of them does not load with the shim in front.",
        )
        .cured_by("take a newer release of the shim, and run installer apply with it")
}

/// Of what came of opening the shim.
pub(super) fn of_live(live: &Live) -> Option<Finding> {
    Some(match live {
        Live::NotDone { why } => {
            finding(Severity::Fine, "the live check was not done").because(why.as_str())
        }
        // What is in its place is said by the files.
        Live::NoShim { .. } => return None,
        Live::NotLoaded { file, error, stderr } => {
            let title = format!("{} cannot be loaded", file.display());
            let known = known::explain(error).first().copied();
            finding(Severity::Error, title)
                .seen([error.as_str()])
                .seen(lines(stderr))
                .because("The loader refuses it, and every program that needs it.")
                .cured_by("installer verify   (are the files what was placed?); installer apply")
                .explained(known)
        }
        Live::Died { end, stderr } => finding(Severity::Error, format!("opening the shim {end}"))
            .seen(lines(stderr))
            .because("The backend, or a library that it loads, ends the process: so it does in programs.")
            .cured_by(
                "installer verify   (are the files what was placed?); installer backends list, and \
                 use another",
            )
            .explained(known::explain(stderr).first().copied()),
        Live::Opened { answer, stderr } => of_answer(answer, stderr),
    })
}

fn of_answer(answer: &Answer, stderr: &str) -> Finding {
    if answer.backend.is_empty() || answer.mode != "direct" {
        // The first line says that there is none, and the later ones why.
        return finding(Severity::Error, "the shim loads and has no backend")
            .seen(lines(&answer.error))
            .because("Every call of rocBLAS answers rocblas_status_internal_error.")
            .cured_by(APPLY)
            .explained(known::explain(&answer.error).last().copied());
    }
    let title = format!(
        "the shim {} loads, and backend {} answers (rocBLAS {})",
        answer.shim, answer.backend, answer.version
    );
    let missing = match answer.missing.len() {
        0 => "no function is missing".to_owned(),
        1..=LINES => format!("missing in it: {}", answer.missing.join(", ")),
        many => {
            format!(
                "missing in it: {many} functions, {} among them",
                answer.missing[..3].join(", ")
            )
        }
    };
    let severity = if stderr.trim().is_empty() { Severity::Fine } else { Severity::Warning };
    finding(severity, title)
        .seen([answer.path.clone(), missing])
        .seen(lines(stderr))
        .explained(known::explain(stderr).first().copied())
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

/// Of what a program printed.
pub(super) fn of_log(log: &str) -> Vec<Finding> {
    let known = known::explained_lines(log);
    if known.is_empty() {
        let nothing = finding(Severity::Warning, "nothing in the log is known to this installer");
        let why = "Only errors that have to do with rocBLAS on a dropped GPU are.";
        return vec![nothing.because(why).cured_by("installer doctor --report FILE")];
    }
    let in_log = |(line, known): (&str, &Known)| {
        finding(Severity::Error, format!("in the log: {}", known.title))
            .seen([line])
            .explained(Some(known))
    };
    known.into_iter().map(in_log).collect()
}
