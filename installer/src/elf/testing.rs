//! Libraries and programs for tests, built with the machine's C compiler.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Runs a command that must succeed, without the environment's library path.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.env_remove("LD_LIBRARY_PATH").output().expect("started");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// Compiles C into a file in that directory, which is the compiler's working directory.
pub(crate) fn cc(directory: &Path, output: &str, source: &str, arguments: &[&str]) {
    fs::write(directory.join("source.c"), source).expect("written");
    let mut command = Command::new("cc");
    run(command.current_dir(directory).args(["source.c", "-o", output]).args(arguments));
}

/// Like [`cc`], for a shared library with that SONAME.
pub(crate) fn library(directory: &Path, soname: &str, source: &str, arguments: &[&str]) {
    let name = format!("-Wl,-soname,{soname}");
    let mut all = vec!["-shared", "-fPIC", name.as_str()];
    all.extend(arguments);
    cc(directory, soname, source, &all);
}

/// Like [`library`], with a version script: `NODE { global: NAME; local: *; };`.
pub(crate) fn versioned(directory: &Path, soname: &str, source: &str, script: &str) {
    fs::write(directory.join("script"), script).expect("written");
    library(directory, soname, source, &["-Wl,--version-script=script"]);
}
