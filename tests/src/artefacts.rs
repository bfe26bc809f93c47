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

/// Builds one package with the cargo that runs the tests, unless it is up to date, and answers
/// where cargo says that its library or program is.
fn build(package: &str, profile: &str, file: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo tells a test of its package. Some build scripts (ring's) are run again when that
    // changes, and with them all that needs their packages, in here and again outside.
    let told = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|of| name.starts_with(of))
    };
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| told(&name.to_string_lossy())).for_each(|name| {
        command.env_remove(name);
    });
    let output = command
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", package, "--profile", profile])
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
