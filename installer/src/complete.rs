//! Shell completions. The script that `installer completions SHELL` prints runs this program to get the
//! possible next words, through an environment variable, so that names of backends are completed.

use crate::{backends, cli, output::is_printable, root::Root, tree};
use anyhow::{Context, Result};
use clap_complete::{CompleteEnv, Shell, engine::CompletionCandidate, env::Shells};
use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// The environment variable whose value is the requesting shell.
const VARIABLE: &str = "INSTALLER_COMPLETE";

/// Prints completions if a shell requests them. Returns whether it did; then the program must exit.
#[must_use]
pub fn respond() -> bool {
    if env::var_os(VARIABLE).is_none() {
        return false;
    }
    let directory = env::current_dir().ok();
    let completions = CompleteEnv::with_factory(cli::visible).var(VARIABLE);
    // A shell cannot show an error.
    completions.try_complete(env::args_os(), directory.as_deref()).unwrap_or(true)
}

/// The script for a shell, for this program under a name.
///
/// # Errors
/// A shell that clap does not know.
pub fn script(shell: Shell, name: &str) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer =
        shells.completer(&shell.to_string()).context("no completions for this shell")?;
    completer
        .write_registration(VARIABLE, name, name, name, &mut script)
        .context("cannot make the script")?;
    Ok(script)
}

/// The backends in the store of the tree that the command line names.
#[must_use]
pub fn backend_names(current: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = env::args_os().collect();
    let names = || -> Result<Vec<String>> {
        let root = Root::new(&option(&words, "--root").unwrap_or_else(|| PathBuf::from("/")))?;
        let tree = tree::choose(&root, option(&words, "--rocm").as_deref())?;
        Ok(backends::list(&root, &tree.lib)?.into_iter().map(|backend| backend.name).collect())
    };
    let current = current.to_string_lossy();
    // Without readable backends, nothing is completed.
    let names = names().unwrap_or_default().into_iter();
    // A shell prints a candidate unescaped.
    names
        .filter(|name| name.starts_with(&*current) && name.chars().all(is_printable))
        .map(CompletionCandidate::new)
        .collect()
}

/// The value of an option on a command line.
fn option(words: &[OsString], name: &str) -> Option<PathBuf> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == name {
            return words.next().map(PathBuf::from);
        }
        let value = word.to_str().and_then(|word| word.strip_prefix(name)?.strip_prefix('='));
        if let Some(value) = value {
            return Some(value.into());
        }
    }
    None
}
