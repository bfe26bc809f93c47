//! Says which commit this program is built from.
//!
//! The commit is taken from the variable `INSTALLER_COMMIT` (an image is built without the
//! repository), else from git, else it is unknown. Nothing else of the machine goes into the
//! program, so that two builds of one commit are the same.

#![expect(clippy::disallowed_macros, reason = "cargo reads what a build script prints")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

const VARIABLE: &str = "INSTALLER_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let given = env::var(VARIABLE).ok().filter(|commit| is_name(commit));
    let commit = given.or_else(of_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env={VARIABLE}={commit}");
}

/// Whether it is one word that is safe to print.
fn is_name(commit: &str) -> bool {
    !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}

fn of_git() -> Option<String> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let workspace = here.parent()?.canonicalize().ok()?;
    // Sources unpacked below another project's repository are not of its commit.
    let top = git(&workspace, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != workspace {
        return None;
    }
    // What a commit or a checkout changes. A file that does not exist would be a reason to run this
    // with each build.
    let branch = git(&workspace, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let file = git(&workspace, &["rev-parse", "--git-path", name])?;
        let file = workspace.join(file);
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    git(&workspace, &["rev-parse", "--short=12", "HEAD"])
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
