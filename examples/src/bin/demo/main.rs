//! The demonstration of the README, `cargo demo`: one client binary, with a stock library that fails and with
//! the shim in its place, without a GPU.
//!
//! Every step has an expected outcome; any other ends the demonstration with exit code 1, so the tests run it
//! unchanged.

mod layout;
mod prepare;
mod report;
mod wrong;

use examples::options;
use layout::{BACKEND, Layout, SHIM, STOCK_NAME};
use prepare::Built;
use report::{Step, indented, paragraph};
use std::{
    any::Any,
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    process::ExitCode,
};
use tests::{
    elf,
    run::{Ended, client, run},
};

const PROGRAM: &str = "demo";
const KEEP: &str = "--keep";
const HELP: &str = "\
Shows the shim at work, without a GPU: a client that links rocBLAS fails with a stand-in for ROCm
7.0.2's library, succeeds with the shim in its place, and fails again when the shim is told to use
the first library after all; traces of both runs are compared, by hand and by `installer compare`.
Then a wrong number is planted, and the call that made it is found, saved and made again.
Builds what it needs; the first build takes a few minutes.

Usage: demo [--keep]

Options:
  --keep      leave the tree with the shim in it, and print where it is
  -h, --help  print this

Exit code 0 if every step turned out as described, else 1.

Example:
  cargo demo
";

/// What users of an MI50 find in their logs, and search for.
const FAILURE: &str = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";

fn main() -> ExitCode {
    let flags = match options::flags(PROGRAM, HELP, &[KEEP]) {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    // The modules that build, lay out and run things are made for tests, and panic with a message.
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| demonstrate(!flags.is_empty())));
    match outcome.unwrap_or_else(|panic| Err(sentence(panic.as_ref()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\n{PROGRAM}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "stopped for an unknown reason".to_owned())
}

fn demonstrate(keep: bool) -> Result<(), String> {
    opening();
    let built = prepare::build()?;
    let layout = Layout::stock_only(&built);
    let outcome = steps(&built, &layout).and_then(|()| {
        // A user who keeps the tree wants to examine it in its working state.
        if keep { Ok(()) } else { taken_out(&layout) }
    });
    if outcome.is_ok() {
        closing();
    }
    if keep {
        println!("\nKept: {}", layout.keep().display());
    }
    outcome
}

fn opening() {
    println!("rocblas-shim: one client, two versions of rocBLAS, no GPU");
    println!("=========================================================\n");
    paragraph(
        "llama.cpp's SOLVE_TRI calls rocblas_strsm_batched. On gfx906 (MI50, MI60, Radeon VII) \
         ROCm 7.0.2's rocBLAS returns an error; that of ROCm 6.3 has the kernels. With the \
         shim in place of the first, the same unchanged program uses the second.",
    );
    println!();
    paragraph(
        "Real: the shim as it ships, the installer, the dynamic loader and its search, the client programs, which \
         link librocblas.so.5 as any program does, and the arithmetic, which they check.",
    );
    println!();
    paragraph(
        "Stand-ins: both rocBLAS libraries. They calculate on the CPU, in host memory. No GPU and \
         no code of AMD's takes part. The library that plays ROCm 7.0.2 fails because it was \
         written to, in the words that the real one uses on a gfx906.",
    );
}

fn closing() {
    println!();
    paragraph(
        "Every step turned out as described: the client failed with the stock library, succeeded \
         with the shim, and failed when the shim was told to forward to the stock library. It was \
         neither rebuilt nor changed, and no LD_PRELOAD was used. A trace of each run has its calls, \
         and `installer compare` says which of them end otherwise. \
         The shim came by `installer apply` and went by `installer revert`.",
    );
    println!();
    paragraph(
        "This does not show AMD's kernels and a GPU. On a machine with a GPU, the same clients \
         put their matrices into its memory:",
    );
    println!("\n    LD_LIBRARY_PATH=/opt/rocm/lib target/debug/solve_tri");
}

fn steps(built: &Built, layout: &Layout) -> Result<(), String> {
    let before = fs::read(&built.solve_tri).map_err(|e| format!("solve_tri: {e}"))?;

    let step = Step::begin("A ROCm tree with the stock library");
    layout.show(&[
        ("librocblas.so", ""),
        ("librocblas.so.5", ""),
        (STOCK_NAME, "stand-in for ROCm 7.0.2's rocBLAS"),
    ]);
    let needed = elf::face(&built.solve_tri).needed;
    step.expect(
        needed.iter().any(|library| library == "librocblas.so.5"),
        "solve_tri should need librocblas.so.5, and does not",
    )?;
    println!();
    paragraph(&format!(
        "The client solve_tri needs: {}. It was linked without the shim.",
        needed.join(", ")
    ));

    let step = Step::begin("solve_tri with the stock library: must fail");
    let ended = show(layout, &built.solve_tri, &[]);
    fails(&step, &ended)?;

    Step::begin("installer apply: the shim in front, both libraries in its store");
    layout.installer(&["apply", "--backend", BACKEND, "--shim", SHIM])?;
    println!();
    layout.show(&[
        ("librocblas.so", ""),
        ("librocblas.so.5", ""),
        ("librocblas.so.5.99.0", "the shim"),
        ("rocblas-shim/shim.toml", "backend = \"6.3.0\""),
        ("rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300", "ROCm 6.3's stand-in"),
        ("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002", "the stock library"),
    ]);

    let step = Step::begin("The same solve_tri with the shim: must succeed");
    let after = fs::read(&built.solve_tri).map_err(|e| format!("solve_tri: {e}"))?;
    step.expect(before == after, "solve_tri should be the same file, and is another")?;
    paragraph(&format!("The same file as before, byte for byte: {} bytes.", after.len()));
    println!();
    let ended = show(layout, &built.solve_tri, &[]);
    succeeds(&step, &ended, "5 of 5 shapes solved")?;

    let step = Step::begin("Matrix products with the shim: must succeed");
    let ended = show(layout, &built.gemm, &[]);
    succeeds(&step, &ended, "5 of 5 products right")?;

    let step = Step::begin("Back to the stock library, at run time: must fail again");
    let ended = show(layout, &built.solve_tri, &[("ROCBLAS_SHIM_BACKEND", "7.0.2")]);
    fails(&step, &ended)?;
    step.expect(
        ended.stdout.contains("rocblas-shim") && ended.stdout.contains("backend 7.0.2"),
        "the shim should have forwarded to backend 7.0.2, but did not",
    )?;
    traced(built, layout)
}

/// Shows the traces of the runs.
fn traced(built: &Built, layout: &Layout) -> Result<(), String> {
    let step = Step::begin("Which calls that were: a trace of each");
    for (backend, succeeds) in [("6.3.0", true), ("7.0.2", false)] {
        let place = format!("traces/{backend}");
        let settings = [("ROCBLAS_SHIM_BACKEND", backend), ("ROCBLAS_SHIM_TRACE", &place)];
        let ended = run_client(layout, &built.solve_tri, &settings, " >/dev/null 2>&1");
        step.expect(ended.status.success() == succeeds, "a trace should change nothing, and did")?;
    }
    for arguments in [
        ["summary", "traces/7.0.2"].as_slice(),
        &["diff", "traces/7.0.2", "traces/6.3.0"],
        &["report", "traces/6.3.0", "--output", "report.html"],
    ] {
        println!();
        layout.trace(arguments)?;
    }
    compared(built, layout)
}

/// Runs both libraries in one command.
fn compared(built: &Built, layout: &Layout) -> Result<(), String> {
    let step = Step::begin("installer compare: both libraries, one after the other");
    let ended = layout.compare(["6.3.0", "7.0.2"], &built.solve_tri);
    step.expect(
        ended.status.code() == Some(1) && ended.stdout.contains("7.0.2: internal_error, call "),
        "the two libraries should have ended otherwise, and did not",
    )?;
    wrong::found(built, layout)
}

/// The last step: the tree is restored.
fn taken_out(layout: &Layout) -> Result<(), String> {
    let step = Step::begin("installer revert: as it was");
    layout.installer(&["revert"])?;
    println!();
    layout.show(&[
        ("librocblas.so", ""),
        ("librocblas.so.5", ""),
        (STOCK_NAME, "stand-in for ROCm 7.0.2's rocBLAS"),
    ]);
    let store = layout.tree().lib().join("rocblas-shim");
    step.expect(!store.exists(), "the store should be gone, and is not")
}

/// Runs a client in the tree and prints the command and its output.
fn show(layout: &Layout, program: &Path, settings: &[(&str, &str)]) -> Ended {
    let ended = run_client(layout, program, settings, "");
    indented(&report::folded(&layout.relative(&ended.stderr)));
    indented(&layout.relative(&ended.stdout));
    let code = ended.status.code().map_or_else(|| ended.status.to_string(), |c| c.to_string());
    println!("  exit code {code}");
    ended
}

/// Runs a client in the tree and prints the command, with the redirections that a shell would need.
fn run_client(
    layout: &Layout,
    program: &Path,
    settings: &[(&str, &str)],
    redirected: &str,
) -> Ended {
    let name = program.file_name().unwrap_or_default().display();
    let prefix: String = settings.iter().map(|(name, value)| format!("{name}={value} ")).collect();
    println!("  $ {prefix}LD_LIBRARY_PATH=lib {name}{redirected}");
    let mut command = client(layout.tree(), program);
    run(command.current_dir(layout.tree().root()).envs(settings.iter().copied()))
}

fn fails(step: &Step, ended: &Ended) -> Result<(), String> {
    step.expect(!ended.status.success(), "the client should have failed, and succeeded")?;
    step.expect(
        ended.status.code() == Some(1),
        "the client should have ended with exit code 1, and did not",
    )?;
    step.expect(
        ended.stderr.lines().any(|line| line == FAILURE),
        &format!("the library should have said `{FAILURE}`, and did not"),
    )?;
    println!("  => fails, as it should here");
    Ok(())
}

fn succeeds(step: &Step, ended: &Ended, summary: &str) -> Result<(), String> {
    step.expect(ended.status.success(), "the client should have succeeded, and failed")?;
    step.expect(
        ended.stdout.lines().any(|line| line == summary),
        &format!("the client should have said `{summary}`, and did not"),
    )?;
    step.expect(ended.stderr.is_empty(), "there should have been no message, and was one")?;
    step.expect(
        ended.stdout.contains("rocblas-shim") && ended.stdout.contains("backend 6.3.0"),
        "the shim should have forwarded to backend 6.3.0, but did not",
    )?;
    println!("  => succeeds, as it should");
    Ok(())
}
