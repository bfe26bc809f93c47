//! The libraries and the program under test, built on demand with the cargo that runs the tests.

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

/// The stand-ins that scenarios use, compiled from C where Rust's own ABI would be in the way.
#[must_use]
pub fn standins() -> PathBuf {
    workspace().join("tests/standins/c")
}

/// The cargo that runs the tests, in the workspace.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells a test of its package. Some build scripts (ring's) are run again when that
    // changes, and with them all that needs their packages, in here and again outside.
    let told = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "OUT_DIR"]
            .iter()
            .any(|of| name.starts_with(of))
    };
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| told(&name.to_string_lossy())).for_each(|name| {
        command.env_remove(name);
    });
    command.current_dir(workspace());
    command
}

/// Set to `workspace` for programs that tests run: see [`selection`].
pub const SELECTION: &str = "TEST_ARTEFACTS";

/// The options by which cargo is to select a package that is built in a profile. The features of
/// dependencies depend on which packages are selected: as `cargo test --workspace` selects them, it has
/// compiled all of them already. The demo on its own needs few.
#[must_use]
pub fn selection<'a>(package: &'a str, profile: &str) -> Vec<&'a str> {
    // Cargo puts tests into `deps`.
    let own = env::current_exe().ok();
    let is_test =
        own.is_some_and(|own| own.parent().is_some_and(|parent| parent.ends_with("deps")));
    let is_of_tests = is_test || env::var_os(SELECTION).is_some_and(|value| value == "workspace");
    if profile == "dev" && is_of_tests {
        // Where a test is selected, what only tests need counts.
        vec!["--workspace", "--test", "tidy"]
    } else {
        vec!["--package", package]
    }
}

/// A directory with the libraries and programs, for a machine that has no cargo: `cargo gpu` on a borrowed one.
const PREBUILT: &str = "TEST_PREBUILT";

/// Builds one package with the cargo that runs the tests, unless it is up to date, and answers
/// where cargo says that its library or program is.
fn build(package: &str, profile: &str, file: &str) -> PathBuf {
    if let Some(prebuilt) = env::var_os(PREBUILT) {
        return Path::new(&prebuilt).join(file);
    }
    let which: &[&str] = if file.ends_with(".so") { &["--lib"] } else { &["--bin", file] };
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
    // Relative to where cargo ran, if the target directory was given so.
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
    /// Stands for ROCm 7.0.2's own on a gfx906; SONAME `librocblas.so.5`.
    stock = "stock-backend", "dev", "librocblas_stock.so";
    /// The program that puts the shim into a tree, where cargo puts it: see [`installer`].
    built_installer = "installer", "dev", "installer";
    /// The same, to be measured.
    released_installer = "installer", "release", "installer";
}

/// The program that puts the shim into a tree, with the shim beside it as they are shipped.
pub fn installer() -> &'static Path {
    static PLACED: OnceLock<PathBuf> = OnceLock::new();
    PLACED.get_or_init(|| {
        let directory = built_installer().with_file_name("as-shipped");
        fs::create_dir_all(&directory).expect("make a directory");
        for file in [built_installer(), shim()] {
            let name = file.file_name().expect("a name");
            // By a name of its own first: another test process may be using what is there.
            let new = directory.join(format!("{}-{}", name.display(), process::id()));
            let _ = fs::remove_file(&new);
            fs::hard_link(file, &new).expect("link");
            fs::rename(&new, directory.join(name)).expect("rename");
            // Both names may be of one file already, and then renaming does nothing.
            let _ = fs::remove_file(&new);
        }
        directory.join("installer")
    })
}
