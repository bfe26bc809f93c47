//! The command `installer`: reads the command line, calls the library, prints, and exits with a code
//! that says what happened.

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};
use installer::{
    apply::{self, Report, Request},
    backends,
    cli::{Apply, Backends, Cli, Collect, Command, Doctor, Global},
    collect, doctor,
    inspect::{self, layout::Tree},
    journal::Journal,
    lock, output, revert,
    root::Root,
    selftest, status, trace, tree,
};
use serde_json::json;
use std::{io, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    match run(&global, command) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error, global.json);
            ExitCode::FAILURE
        }
    }
}

fn run(global: &Global, command: Command) -> Result<ExitCode> {
    if let Command::Trace(command) = command {
        // Traces are of the running system, and a root without a ROCm tree has them too.
        trace::run(command, global.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let root = Root::new(&global.root)
        .with_context(|| format!("--root {}: cannot be used", global.root.display()))?;
    let tree = || tree::choose(&root, global.rocm.as_deref());
    match command {
        Command::Inspect { paths, gpu, function } => {
            inspect(global, &root, paths, &function, &gpu)?;
        }
        Command::Apply(options) => apply(global, &root, &tree()?, options)?,
        Command::Status => {
            let tree = tree()?;
            let status = status::status(&root, &tree.lib)?;
            let line = format!("{}: {status}", tree.lib.display());
            output::result(global.json, &json!({"lib": tree.lib, "state": status}), &line);
            return Ok(status.exit_code().into());
        }
        Command::Verify => return verify(global, &root, &tree()?),
        Command::Revert { dry_run } => revert(global, &root, &tree()?, dry_run)?,
        Command::Collect(options) => collect(global, &root, &tree()?, options)?,
        Command::Backends(command) => backends(global, &root, &tree()?, command)?,
        Command::Doctor(options) => return doctor(global, &root, &options),
        Command::Selftest => {
            let selftest = selftest::selftest(&root, &tree()?.lib)?;
            output::result(global.json, &selftest, &selftest::text(&selftest));
            return Ok(selftest.exit_code().into());
        }
        Command::LiveCheck { shim } => doctor::live::answer(&shim)?,
        Command::SelftestDevice { library, device } => selftest::device::answer(&library, device)?,
        // Carried out above.
        Command::Trace(_) => {}
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "installer", &mut io::stdout());
        }
        Command::Man => output::manual(&Cli::command()).context("cannot write the manual page")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn apply(global: &Global, root: &Root, tree: &Tree, options: Apply) -> Result<()> {
    let request = Request {
        backend: options.backend,
        name: options.name,
        shim: options.shim,
        gpus: options.gpu,
        built: options.built,
        original: options.original,
        compat: options.compat,
        build_link: options.no_build_link.then_some(false),
        only_add: false,
        dry_run: options.dry_run,
    };
    let report = apply::apply(root, tree, &request, &output::notice)?;
    let end = if request.dry_run {
        "Nothing was changed (--dry-run).".to_owned()
    } else if report.carried_out {
        format!(
            "Applied; {} files were resolved as the loader does it.\n`installer status` looks again, \
             `installer revert` takes it back.",
            report.checked
        )
    } else {
        "Nothing to do: everything is in place.".to_owned()
    };
    output::report(global.json, &report, &end);
    Ok(())
}

fn collect(global: &Global, root: &Root, tree: &Tree, options: Collect) -> Result<()> {
    let Collect { programs, into, base } = options;
    let collected = collect::collect(root, tree, &collect::Request { programs, into, base })?;
    output::result(global.json, &collected, &output::collected(&collected));
    Ok(())
}

fn verify(global: &Global, root: &Root, tree: &Tree) -> Result<ExitCode> {
    let Some(files) = status::verify(root, &tree.lib)? else {
        output::result(global.json, &json!({"verified": null}), "not applied: nothing to verify");
        return Ok(status::Status::NotApplied.exit_code().into());
    };
    let faults: Vec<_> = files.iter().filter(|file| file.fault.is_some()).collect();
    let mut text = String::new();
    for file in &faults {
        let fault = file.fault.as_deref().unwrap_or_default();
        text += &format!("{}: {fault}\n", file.path.display());
    }
    text +=
        &format!("{} of {} paths are as they were placed", files.len() - faults.len(), files.len());
    if !faults.is_empty() {
        text += "; `installer apply` with the same --backend places the others again";
    }
    output::result(global.json, &json!({"verified": files}), &text);
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { 4.into() })
}

fn doctor(global: &Global, root: &Root, options: &Doctor) -> Result<ExitCode> {
    let log = options.log.as_deref().map(doctor::log::read).transpose()?;
    let diagnosis = doctor::doctor(root, global.rocm.as_deref(), log.as_deref());
    output::result(global.json, &diagnosis, &doctor::text(&diagnosis));
    if let Some(path) = &options.report {
        doctor::report::write(path, root, &diagnosis)?;
        output::notice(&format!("{} is written: read it, and attach it", path.display()));
    }
    Ok(diagnosis.exit_code().into())
}

fn revert(global: &Global, root: &Root, tree: &Tree, dry_run: bool) -> Result<()> {
    let lib = tree.lib.as_path();
    let _lock = if dry_run {
        None
    } else {
        apply::writable(root, lib)?;
        Some(lock::take(root, lib, output::notice)?)
    };
    let Some(journal) = Journal::load(root, lib)? else {
        let mut remarks = Vec::new();
        if !dry_run {
            revert::remove_store(root, lib, &mut remarks)?;
        }
        let report = Report::of(lib, Vec::new(), remarks);
        output::report(global.json, &report, "Nothing to do: there is no shim here.");
        return Ok(());
    };
    let plan = revert::plan(root, lib, journal)?;
    let mut report = Report::of(lib, plan.steps.clone(), plan.remarks.clone());
    if !dry_run {
        report.remarks = revert::execute(root, lib, plan)?;
        report.carried_out = true;
    }
    let end = if dry_run {
        "Nothing was changed (--dry-run)."
    } else {
        "Reverted: the tree is as it was before the first apply."
    };
    output::report(global.json, &report, end);
    Ok(())
}

fn backends(global: &Global, root: &Root, tree: &Tree, command: Backends) -> Result<()> {
    let report = match command {
        Backends::List => {
            let list = backends::list(root, &tree.lib)?;
            let text = output::backends(&list);
            output::result(global.json, &json!({"lib": tree.lib, "backends": list}), &text);
            return Ok(());
        }
        Backends::Add { path, name, gpu } => {
            backends::journal_of(root, tree)?;
            let request = Request {
                backend: Some(path),
                name,
                gpus: gpu,
                only_add: true,
                ..Request::default()
            };
            apply::apply(root, tree, &request, &output::notice)?
        }
        Backends::Use { name } => {
            apply::change(root, tree, &output::notice, |plan| backends::plan_use(plan, &name))?
        }
        Backends::Remove { name } => {
            apply::change(root, tree, &output::notice, |plan| backends::plan_remove(plan, &name))?
        }
    };
    output::report(global.json, &report, "Done.");
    Ok(())
}

fn inspect(
    global: &Global,
    root: &Root,
    mut paths: Vec<PathBuf>,
    functions: &[String],
    gpus: &[String],
) -> Result<()> {
    paths.extend(global.rocm.clone());
    let inspection = inspect::inspect(root, &paths, functions, gpus)?;
    // Colours that stdout is no terminal for are taken out on the way.
    let text = inspect::text(&inspection, output::width(), true);
    output::result(global.json, &inspection, &text);
    Ok(())
}
