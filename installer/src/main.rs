//! The command `installer`: parses the command line, calls the library, prints the result, and exits with a
//! code that tells the outcome.

use anyhow::{Context, Result, bail};
use clap::error::ErrorKind;
use installer::{
    apply::{self, Report, Request},
    backends, check,
    cli::{
        self, Apply, Backends, Cli, Collect, Command, Compare, Doctor, Fetch, Global, Run, Slim,
    },
    collect, compare as comparing, complete, confirm, doctor, fetch,
    gpu::List,
    inspect::{self, layout::Tree},
    journal::{Journal, Original},
    lib_dir::LibDir,
    lock, manual,
    output::{self, Code, Line, Text, WithCode, shown},
    plan::Reach,
    replay,
    revert::{self, Outcome},
    root::Root,
    run as starting, selftest, slim, status, trace, tree,
    version::Versions,
    which,
};
use serde::Serialize;
use serde_json::json;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    if complete::respond() {
        return ExitCode::SUCCESS;
    }
    let code = match cli::parse() {
        Ok(Cli { global, command }) => {
            output::set_verbosity(global.verbosity());
            run(&global, command).unwrap_or_else(|error| {
                output::error(&error, global.json);
                FAILURE
            })
        }
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            let versions = Versions::read();
            output::result(cli::asks_for_json(), &versions, versions.text());
            SUCCESS
        }
        Err(error) => output::from_clap(&error, cli::asks_for_json()),
    };
    output::finish(code)
}

/// Runs a command. Returns the exit code.
fn run(global: &Global, command: Command) -> Result<u8> {
    if let Command::Trace(command) = command {
        // Traces are of the running system, and exist in a root without a ROCm tree too.
        return trace::run(command, global.json);
    }
    let root = Root::new(&global.root)
        .with_context(|| format!("--root {}: cannot be used", shown(&global.root)))?;
    let tree = || tree::choose(&root, global.rocm.as_deref()).code(Code::NoTree);
    match command {
        Command::Which { targets } => return Ok(which(global, &root, &targets)),
        Command::Check { programs } => {
            let report = check::check(&root, &programs);
            output::result(global.json, &report, lines(&report.text()));
            return Ok(report.exit_code());
        }
        Command::Run(options) => return Ok(start(global, &root, options)),
        Command::Compare(options) => return Ok(compare(global, &root, options)),
        Command::Replay(options) => {
            return replay::run(&root, global.rocm.as_deref(), options, global.json);
        }
        Command::CallForReplay { library, file, results, device, repeat } => {
            let request = replay::device::Request { library, file, device, repeat, results };
            replay::device::respond(&request)?;
        }
        Command::Inspect { paths, gpu, function } => {
            inspect(global, &root, paths, &function, &gpu)?;
        }
        Command::Apply(options) => apply(global, &root, &tree()?, options)?,
        Command::Repair { dry_run } => return repair(global, &root, &tree()?, dry_run),
        Command::Status => {
            let tree = tree()?;
            let status = status::status(&root, &tree.lib)?;
            let line = format!("{}: {status}", shown(&tree.lib));
            let exit_code = status.exit_code();
            let document = State { lib: &tree.lib, state: status };
            output::result(global.json, &document, &line);
            return Ok(exit_code);
        }
        Command::Verify => return verify(global, &root, &tree()?),
        Command::Revert { dry_run } => return revert(global, &root, &tree()?, dry_run),
        Command::Collect(options) => collect(global, &root, &tree()?, options)?,
        Command::Fetch(options) => fetch(global, &root, options)?,
        Command::Backends(Backends::Use { name, pid: Some(pid) }) => {
            use_in_process(global, pid, &name)?;
        }
        Command::Backends(command) => backends(global, &root, &tree()?, command)?,
        Command::Doctor(options) => return doctor(global, &root, &options),
        Command::Selftest => {
            let selftest = selftest::selftest(&root, &tree()?.lib)?;
            output::result(global.json, &selftest, selftest::text(&selftest));
            return Ok(selftest.exit_code());
        }
        Command::Slim(options) => return slim(global, &root, tree, &options),
        Command::LiveCheck { shim } => doctor::live::respond(&shim)?,
        Command::DeviceForSelftest { library, device } => {
            selftest::device::respond(&library, device)?;
        }
        // Handled above.
        Command::Trace(_) => {}
        Command::Completions { shell, name } => {
            output::product(global.json, "script", &complete::script(shell, &name)?);
        }
        Command::Man { words, into: None, name } => {
            output::product(global.json, "page", &manual::page(&words, &name)?.roff);
        }
        Command::Man { into: Some(directory), name, .. } => {
            let files = manual::write(&directory, &name)?;
            let line = format!("{} manual pages are in {}", files.len(), shown(&directory));
            output::result(global.json, &Files { files }, &line);
        }
    }
    Ok(SUCCESS)
}

/// The document of `status`.
#[derive(Serialize)]
struct State<'a> {
    #[serde(serialize_with = "output::json::path")]
    lib: &'a Path,
    state: status::Status,
}

/// The document of `man --into`.
#[derive(Serialize)]
struct Files {
    #[serde(serialize_with = "output::json::paths")]
    files: Vec<PathBuf>,
}

/// The document of `backends list`.
#[derive(Serialize)]
struct Store<'a> {
    #[serde(serialize_with = "output::json::path")]
    lib: &'a Path,
    backends: &'a [backends::Listed],
}

/// The document of `backends routes`.
#[derive(Serialize)]
struct Routes<'a> {
    #[serde(serialize_with = "output::json::path")]
    lib: &'a Path,
    gpus: &'a [backends::routes::Routed],
}

fn apply(global: &Global, root: &Root, tree: &Tree, options: Apply) -> Result<()> {
    let request = Request {
        backend: options.backend,
        name: options.name,
        shim: options.shim,
        gpus: options.gpu.map(|gpus| List::processors(&gpus)),
        built: options.built,
        original: options.original,
        compat: options.compat,
        build_link: options.no_build_link.then_some(false),
        slim: options.slim,
        gpu_loss_ok: options.gpu_loss_ok,
        not_needed_ok: options.not_needed_ok,
        only_add: false,
        dry_run: options.dry_run,
        reach: if options.force { Reach::Repair } else { Reach::Usual },
        patience: global.patience(),
    };
    if request.original == Some(Original::Delete) && !request.dry_run {
        let question = "The stock rocBLAS will be deleted; `revert` then needs its package to be \
                        installed again. Continue?";
        confirm::confirm(question, options.yes)?;
    }
    carry_out(global, root, tree, &request)
}

/// Repairs whatever was disturbed, with the options of the last apply.
fn repair(global: &Global, root: &Root, tree: &Tree, dry_run: bool) -> Result<u8> {
    let request = Request {
        dry_run,
        reach: Reach::Repair,
        patience: global.patience(),
        ..Request::default()
    };
    let lib = LibDir::open(root, &tree.lib)?;
    if Journal::load_or_rebuild(&lib)?.is_none() {
        bail!(
            "{} has no shim and no remains of one: run `installer apply` first",
            shown(&tree.lib)
        );
    }
    carry_out(global, root, tree, &request)?;
    match status::status(root, &tree.lib)? {
        status::Status::Disturbed { lost, .. } if !lost.is_empty() && !dry_run => {
            // A notice, not an error: with --json, the document about what was done must be the only one.
            output::notice(&format!(
                "{}; repair cannot restore that. Programs keep working. {}, then run \
                 `installer repair` again",
                lost.join("; "),
                status::REINSTALL
            ));
            Ok(FAILURE)
        }
        _ => Ok(SUCCESS),
    }
}

fn carry_out(global: &Global, root: &Root, tree: &Tree, request: &Request) -> Result<()> {
    let report = apply::apply(root, tree, request, &output::notice)?;
    if report.carried_out {
        let checked = report.checked;
        let end = format!("Applied; {checked} files were resolved as the loader would.");
        output::report(global.json, &report, &end);
        let way_back = match report.deleted.as_slice() {
            [] => "`installer revert` undoes it".to_owned(),
            deleted => {
                format!("before reverting, reinstall what was deleted: {}", deleted.join(", "))
            }
        };
        output::hint(global.json, &format!("`installer status` checks it again; {way_back}."));
    } else if request.dry_run {
        output::report(global.json, &report, "Nothing was changed (--dry-run).");
    } else {
        output::report(global.json, &report, "Nothing to do: everything is in place.");
    }
    Ok(())
}

fn collect(global: &Global, root: &Root, tree: &Tree, options: Collect) -> Result<()> {
    let request = collect::Request {
        programs: options.programs,
        into: options.into,
        base: options.base,
        slim: options.slim.unwrap_or(false),
    };
    let collected = collect::collect(root, tree, &request)?;
    output::result(global.json, &collected, output::collected(&collected));
    Ok(())
}

fn fetch(global: &Global, root: &Root, options: Fetch) -> Result<()> {
    let request = fetch::Request {
        release: options.release,
        distribution: options.distribution,
        sha256: options.sha256,
        output: options.output,
        source: options.source,
        dry_run: options.dry_run,
        catalogue: options.catalogue,
    };
    let fetched = fetch::fetch(root, &request, &output::notice)?;
    output::result(global.json, &fetched, lines(&fetch::text(&fetched)));
    Ok(())
}

fn verify(global: &Global, root: &Root, tree: &Tree) -> Result<u8> {
    let Some(files) = status::verify(root, &tree.lib)? else {
        output::result(global.json, &json!({"verified": null}), "not applied: nothing to verify");
        return Ok(status::Status::NotApplied.exit_code());
    };
    let faults: Vec<_> = files.iter().filter(|file| file.fault.is_some()).collect();
    let mut text = Text::new();
    for file in &faults {
        let fault = file.fault.as_deref().unwrap_or_default();
        text.line(Line::from(shown(&file.path)).text(": ").text(fault));
    }
    let good = files.len() - faults.len();
    let end = format!("{good} of {} paths are unchanged", files.len());
    text.line(if faults.is_empty() {
        end
    } else {
        end + "; `installer repair` replaces the others"
    });
    let slim = status::slim(root, &tree.lib)?;
    for (name, gpus) in &slim {
        let what = "; the digest is that of the reduced library";
        text.line(format!("backend {name} is slim, for {}{what}", gpus.join(", ")));
    }
    output::result(global.json, &json!({"verified": files, "slim": slim}), text);
    Ok(if faults.is_empty() { SUCCESS } else { 4 })
}

fn doctor(global: &Global, root: &Root, options: &Doctor) -> Result<u8> {
    let log = options.log.as_deref().map(doctor::log::read).transpose()?;
    let trace = options.trace.as_deref().map(trace::summary::summary).transpose()?;
    let gpus = List::all(&options.gpu);
    let diagnosis =
        doctor::doctor(root, global.rocm.as_deref(), &gpus, log.as_ref(), trace.as_ref());
    output::result(global.json, &diagnosis, doctor::text(&diagnosis));
    if let Some(path) = &options.report {
        doctor::report::write(path, root, &diagnosis)?;
        output::notice(&format!("wrote {}: read it before you attach it", shown(path)));
    }
    Ok(diagnosis.exit_code())
}

fn revert(global: &Global, root: &Root, tree: &Tree, dry_run: bool) -> Result<u8> {
    let path = tree.lib.as_path();
    if !dry_run {
        apply::writable(root, path)?;
    }
    let lib = LibDir::open(root, path)?;
    let _lock = match dry_run {
        true => None,
        false => Some(lock::take(&lib, global.patience(), output::notice)?),
    };
    let Some(loaded) = Journal::load_or_rebuild(&lib)? else {
        let mut left = Vec::new();
        if !dry_run {
            revert::remove_store(&lib, &mut left)?;
        }
        let report = Report { left, ..Report::of(path, Vec::new(), Vec::new()) };
        output::report(global.json, &report, "Nothing to do: there is no shim here.");
        return Ok(report.exit_code());
    };
    let reverting = revert::plan(&lib, loaded)?;
    let plan = &reverting.plan;
    let mut report = Report::of(path, plan.steps.clone(), plan.remarks.clone());
    report.left.clone_from(&reverting.left);
    report.gone.clone_from(&reverting.gone);
    if !dry_run {
        let Outcome { remarks, left } = revert::execute(&lib, reverting)?;
        report = Report { remarks, left, carried_out: true, ..report };
    }
    let end = match (dry_run, report.left.is_empty()) {
        (true, _) => "Nothing was changed (--dry-run).",
        // Not "as before the first apply": an upgrade that came in between stays.
        (false, true) => "Reverted: everything that the installer changed is as it was before.",
        (false, false) => "Reverted, except for what is listed above.",
    };
    output::report(global.json, &report, end);
    Ok(if dry_run { SUCCESS } else { report.exit_code() })
}

/// Switches a process to another backend.
fn use_in_process(global: &Global, pid: u32, name: &str) -> Result<()> {
    let answer = trace::control::use_backend(pid, name)?;
    let whose = match name {
        "-" => "the backend that its settings name".to_owned(),
        name => format!("backend {name}"),
    };
    let text = if answer.waits {
        format!(
            "Process {pid} has created no rocBLAS handle yet: when it creates one, it will be asked to use {whose}; if \
             it cannot, it keeps its present backend."
        )
    } else {
        format!(
            "Handles that process {pid} creates from now on belong to {whose}; existing handles keep their backend \
             until they are destroyed."
        )
    };
    output::result(global.json, &answer, &text);
    Ok(())
}

fn backends(global: &Global, root: &Root, tree: &Tree, command: Backends) -> Result<()> {
    let report = match command {
        Backends::List => {
            let list = backends::list(root, &tree.lib)?;
            let document = Store { lib: &tree.lib, backends: &list };
            output::result(global.json, &document, lines(&backends::text(&list)));
            return Ok(());
        }
        Backends::Prune { dry_run, yes } => {
            let pruned = backends::prune::prune(
                root,
                tree,
                backends::prune::Request { dry_run, yes, patience: global.patience() },
                &output::notice,
            )?;
            output::result(global.json, &pruned, lines(&pruned.text()));
            return Ok(());
        }
        Backends::Add { path, name, gpu, slim } => {
            backends::journal_of(&LibDir::open(root, &tree.lib)?)?;
            let request = Request {
                backend: Some(path),
                name,
                gpus: gpu.map(|gpus| List::processors(&gpus)),
                slim,
                only_add: true,
                patience: global.patience(),
                ..Request::default()
            };
            apply::apply(root, tree, &request, &output::notice)?
        }
        // With a process, handled above.
        Backends::Use { name, pid: _ } => {
            apply::change(root, tree, global.patience(), &output::notice, |plan| {
                backends::plan_use(plan, &name)
            })?
        }
        Backends::Routes { gpu, write } => {
            let targets = List::processors(&gpu.unwrap_or_default());
            let (gpus, of_machine) = (backends::routes::gpus(&targets), targets.is_empty());
            if !write {
                let gpus = backends::routes::routes(root, &tree.lib, &gpus, of_machine)?;
                let document = Routes { lib: &tree.lib, gpus: &gpus };
                output::result(global.json, &document, lines(&backends::routes::text(&gpus)));
                return Ok(());
            }
            apply::change(root, tree, global.patience(), &output::notice, |plan| {
                backends::routes::plan_write(plan, &gpus, of_machine)
            })?
        }
        Backends::Remove { name } => {
            apply::change(root, tree, global.patience(), &output::notice, |plan| {
                backends::plan_remove(plan, &name)
            })?
        }
    };
    output::report(global.json, &report, "Done.");
    Ok(())
}

fn slim(
    global: &Global,
    root: &Root,
    tree: impl Fn() -> Result<Tree>,
    options: &Slim,
) -> Result<u8> {
    let Slim { files, gpu, output, in_place: _, compress } = options;
    let destination = match output {
        Some(_) if files.len() > 1 => {
            bail!("--output takes one FILE: use --in-place, or run the command once for each file")
        }
        Some(output) => slim::Destination::File(output),
        None => slim::Destination::InPlace,
    };
    let form = if *compress {
        slim::check_runtime(root, &tree()?.lib)?;
        slim::Form::Compressed
    } else {
        slim::Form::AsBefore
    };
    let gpus = List::all(gpu);
    let mut reports = Vec::new();
    for file in files {
        let report = match slim::slim(root, file, &gpus, form, destination) {
            // The files before it are written, and nothing else reports them.
            Err(error) if global.json && !reports.is_empty() => {
                let error = format!("{error:#}");
                output::result(true, &json!({"files": reports, "error": error}), Text::new());
                return Ok(FAILURE);
            }
            other => other?,
        };
        if !global.json {
            output::result(false, &report, lines(&slim::text(&report)));
        }
        reports.push(report);
    }
    if global.json {
        output::result(true, &json!({"files": reports}), Text::new());
    }
    Ok(SUCCESS)
}

/// A text of several lines.
fn lines(text: &str) -> Text {
    text.lines().collect()
}

fn which(global: &Global, root: &Root, targets: &[OsString]) -> u8 {
    let asked = which::which(root, targets);
    let text = which::text(&asked);
    if global.json {
        output::result(true, &json!({"which": asked}), Text::new());
    } else if !text.is_empty() {
        output::result(false, &(), lines(&text));
    }
    for one in &asked {
        if let (which::Outcome::Failed { error }, false) = (&one.result, global.json) {
            output::error(error, false);
        }
    }
    which::exit_code(&asked)
}

/// Does not return if the program was started: it replaces this process.
fn start(global: &Global, root: &Root, options: Run) -> u8 {
    let Run { backend, trace, command } = options;
    let request = starting::Request { backend, trace, command };
    let Err(failure) = starting::run(root, global.rocm.as_deref(), request);
    output::error(&failure.error, global.json);
    failure.code
}

fn compare(global: &Global, root: &Root, options: Compare) -> u8 {
    comparing::run(root, global.rocm.as_deref(), options, global.json).unwrap_or_else(|failure| {
        output::error(&failure.error, global.json);
        failure.code
    })
}

fn inspect(
    global: &Global,
    root: &Root,
    mut paths: Vec<PathBuf>,
    functions: &[String],
    gpus: &[List],
) -> Result<()> {
    paths.extend(global.rocm.clone());
    let inspection = inspect::inspect(root, &paths, functions, &List::all(gpus))?;
    output::result(global.json, &inspection, inspect::text(&inspection, output::width()));
    Ok(())
}
