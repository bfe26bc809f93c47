//! Completions of shells. What `installer completions SHELL` prints asks this program for the words
//! that may follow, through an environment variable: so names of backends are completed.

use crate::{backends, cli, output::is_printable, root::Root, tree};
use anyhow::{Context, Result};
use clap_complete::{CompleteEnv, Shell, engine::CompletionCandidate, env::Shells};
use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// Its value is the shell that asks.
const VARIABLE: &str = "INSTALLER_COMPLETE";

/// Prints completions if a shell asks for them. Returns whether it did: then nothing else is to be
/// done.
#[must_use]
pub fn respond() -> bool {
    if env::var_os(VARIABLE).is_none() {
        return false;
    }
    let directory = env::current_dir().ok();
    let completions = CompleteEnv::with_factory(cli::visible).var(VARIABLE);
    // A shell has no use for an error.
    completions.try_complete(env::args_os(), directory.as_deref()).unwrap_or(true)
}

/// The script for a shell.
///
/// # Errors
/// A shell that clap does not know.
pub fn script(shell: Shell) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer =
        shells.completer(&shell.to_string()).context("no completions for this shell")?;
    completer
        .write_registration(VARIABLE, cli::NAME, cli::NAME, cli::NAME, &mut script)
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
    // Where there are none, or they cannot be read, nothing is completed.
    let names = names().unwrap_or_default().into_iter();
    // A shell prints a candidate as it is.
    names
        .filter(|name| name.starts_with(&*current) && name.chars().all(is_printable))
        .map(CompletionCandidate::new)
        .collect()
}

/// The value of an option among the words of a command line.
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
