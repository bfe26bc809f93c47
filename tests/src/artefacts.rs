//! The libraries and the program under test, built on demand with the cargo that runs the tests.

use crate::heartbeat;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::OnceLock,
};

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// The stand-ins that scenarios use, written in C where Rust's ABI would not fit.
#[must_use]
pub fn standins() -> PathBuf {
    workspace().join("tests/standins/c")
}

/// The cargo that runs the tests, in the workspace.
#[must_use]
pub fn cargo() -> Command {
    heartbeat::start();
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The variables that cargo sets for a test. Some build scripts (ring's) run again whenever these
    // change, so their packages and dependents would be rebuilt, both here and outside.
    let is_cargos = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "OUT_DIR"]
            .iter()
            .any(|of| name.starts_with(of))
    };
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| is_cargos(&name.to_string_lossy())).for_each(|name| {
        command.env_remove(name);
    });
    command.current_dir(workspace());
    command
}

/// Set to `workspace` for programs that tests run: see [`selection`].
pub const SELECTION: &str = "TEST_ARTEFACTS";

/// The options with which cargo selects a package for a build in a profile. The features of dependencies
/// depend on which packages are selected: with the selection of `cargo test --workspace`, everything is
/// compiled already. The demo alone needs few packages, with the same features.
#[must_use]
pub fn selection<'a>(package: &'a str, profile: &str) -> Vec<&'a str> {
    // Cargo puts tests into `deps`.
    let own = env::current_exe().ok();
    let is_test =
        own.is_some_and(|own| own.parent().is_some_and(|parent| parent.ends_with("deps")));
    let is_of_tests = is_test || env::var_os(SELECTION).is_some_and(|value| value == "workspace");
    if profile == "dev" && is_of_tests {
        // If a test is selected, the features that only tests need are included.
        vec!["--workspace", "--test", "tidy"]
    } else if profile == "dev" {
        part(&[package])
    } else {
        vec!["--package", package]
    }
}

/// The options with which cargo selects a part of the workspace, for a build that shares compiled dependencies with the
/// tests.
#[must_use]
pub fn part<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    packages.iter().chain(&["same-features"]).flat_map(|package| ["--package", package]).collect()
}

/// Names a directory with prebuilt libraries and programs, for a machine without cargo: `cargo gpu` on another
/// machine.
const PREBUILT: &str = "TEST_PREBUILT";

/// Builds the libraries of several packages and one program in the development profile. One cargo for all of them keeps
/// more processors busy than one after the other.
///
/// # Panics
/// If that fails, with cargo's messages.
pub fn build_together(packages: &[&str], program: &str) {
    if env::var_os(PREBUILT).is_some() {
        return;
    }
    let mut command = cargo();
    command.args(["build", "--quiet", "--lib", "--bin", program]).args(part(packages));
    let output = command.output().expect("start cargo");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot build {program}:\n{complaints}");
}

/// Builds one package with the cargo that runs the tests, unless it is up to date. Returns the path of its
/// library or program as cargo reports it.
fn build(package: &str, profile: &str, file: &str) -> PathBuf {
    if let Some(prebuilt) = env::var_os(PREBUILT) {
        return Path::new(&prebuilt).join(file);
    }
    let is_library = file.ends_with(".so") || file.ends_with(".a");
    let which: &[&str] = if is_library { &["--lib"] } else { &["--bin", file] };
    let output = cargo()
        .args(["build", "--quiet", "--profile", profile])
        .args(selection(package, profile))
        .args(which)
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .expect("start cargo");
    assert!(
        output.status.success(),
        "cannot build {package}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let end = format!("/{file}\"");
    let before = messages.find(&end).map(|at| &messages[..at]);
    let directory = before.and_then(|before| before.rsplit('"').next());
    let directory = directory.unwrap_or_else(|| panic!("cargo did not name {file}"));
    // The path is relative to cargo's working directory if the target directory is.
    workspace().join(directory).join(file)
}

macro_rules! artefacts {
    ($($(#[$doc:meta])* $name:ident = $package:literal, $profile:literal, $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name() -> &'static Path {
                static BUILT: OnceLock<PathBuf> = OnceLock::new();
                BUILT.get_or_init(|| build($package, $profile, $file))
            }
        )*
    };
}

artefacts! {
    /// The shim as it ships: release profile.
    shim = "rocblas-shim", "release", "librocblas.so";
    /// Records every call.
    probe = "probe-backend", "dev", "librocblas_probe.so";
    /// Computes on the CPU; SONAME `librocblas.so.4`.
    reference = "reference-backend", "dev", "librocblas_reference.so";
    /// Records launches instead of a GPU's runtime: see `real::recording`.
    recording_hip = "recording-hip", "dev", "librecording_hip.a";
    /// A stand-in for ROCm 7.0.2's library on a gfx906; SONAME `librocblas.so.5`.
    stock = "stock-backend", "dev", "librocblas_stock.so";
    /// The program that installs the shim into a tree, where cargo builds it: see [`installer`].
    built_installer = "installer", "dev", "installer";
    /// The same in the release profile, for measurements.
    released_installer = "installer", "release", "installer";
    /// The program that builds the packages of a release.
    packager = "packages", "dev", "packages";
}

/// The program that puts the shim into a tree, with the shim next to it, as they are shipped.
pub fn installer() -> &'static Path {
    static PLACED: OnceLock<PathBuf> = OnceLock::new();
    PLACED.get_or_init(|| {
        let directory = built_installer().with_file_name("as-shipped");
        fs::create_dir_all(&directory).expect("make a directory");
        for file in [built_installer(), shim()] {
            let name = file.file_name().expect("a name");
            // Written under a unique name first: another test process may be using the existing file.
            let new = directory.join(format!("{}-{}", name.display(), process::id()));
            let _ = fs::remove_file(&new);
            fs::hard_link(file, &new).expect("link");
            fs::rename(&new, directory.join(name)).expect("rename");
            // If both names refer to the same file already, renaming does nothing.
            let _ = fs::remove_file(&new);
        }
        directory.join("installer")
    })
}
