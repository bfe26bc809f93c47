//! Builds what the demonstration runs, and reports that, since it takes a while the first time.

use std::{
    env,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};
use tests::artefacts;

/// The packages whose libraries and program are built at once.
const TOGETHER: [&str; 3] = ["stock-backend", "reference-backend", "installer"];

/// The files of the tree, and the programs that run in it.
pub(crate) struct Built {
    pub(crate) stock: &'static Path,
    pub(crate) reference: &'static Path,
    pub(crate) solve_tri: PathBuf,
    pub(crate) gemm: PathBuf,
}

pub(crate) fn build() -> Result<Built, String> {
    println!("\nBuilding what is not built yet; from nothing this takes a few minutes.");
    let directory = reported("the clients", clients)?;
    reported("the shim, in release profile; the stand-ins and the installer", || {
        // Cargo locks the directory of each profile separately.
        let shim = thread::spawn(artefacts::shim);
        artefacts::build_together(&TOGETHER, "installer");
        shim.join().unwrap_or_else(|panic| resume_unwind(panic));
        artefacts::installer();
    });
    let (stock, reference) = (artefacts::stock(), artefacts::reference());
    Ok(Built {
        stock,
        reference,
        solve_tri: directory.join("solve_tri"),
        gemm: directory.join("gemm"),
    })
}

/// Prints what is being built, and every ten seconds how long it has taken.
fn reported<T>(what: &str, build: impl FnOnce() -> T) -> T {
    println!("  {what}");
    let (is_building, is_over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let begin = Instant::now();
            while is_over.recv_timeout(Duration::from_secs(10)) == Err(RecvTimeoutError::Timeout) {
                println!("    {} s so far", begin.elapsed().as_secs());
            }
        });
        let built = build();
        drop(is_building);
        built
    })
}

/// Builds the clients next to this program, which Cargo did not build together with it, and in the same
/// profile, so that at most these two are compiled.
fn clients() -> Result<PathBuf, String> {
    let own = env::current_exe()
        .map_err(|e| format!("cannot determine the path of this program: {e}"))?;
    let directory = own.parent().expect("a file lies in a directory");
    let target = directory.parent().expect("Cargo puts programs into target/PROFILE");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => return Err(format!("{} is not in a directory of Cargo's programs", own.display())),
    };
    let output = artefacts::cargo()
        .args(["build", "--quiet", "--profile", profile])
        .args(artefacts::selection("examples", profile))
        .args(["--bin", "solve_tri", "--bin", "gemm", "--target-dir"])
        .arg(target)
        .output()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    if output.status.success() {
        return Ok(directory.to_owned());
    }
    Err(format!("cannot build the clients:\n{}", String::from_utf8_lossy(&output.stderr)))
}
