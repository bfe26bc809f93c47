//! Manual pages, one for each command.

use crate::{
    cli,
    output::{Code, WithCode, shown},
    trace::report::replace,
    version,
};
use anyhow::{Context, Result, bail};
use clap_mangen::Man;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page in roff.
#[derive(Debug)]
pub struct Page {
    /// `installer-trace-show.1`
    pub file: String,
    /// What is in it.
    pub roff: Vec<u8>,
}

/// The page of a command by its words (`trace show`), or of the program without any.
///
/// # Errors
/// Words that are no command.
pub fn page(words: &[String]) -> Result<Page> {
    let program = built();
    let mut command = &program;
    for word in words {
        let found = command.get_subcommands().find(|command| command.get_name() == word);
        command = match found {
            Some(command) => command,
            None => return unknown(words, command),
        };
    }
    render(command)
}

/// Writes the pages of all commands into a directory of the machine, in place of older ones. Returns
/// their paths.
///
/// # Errors
/// What writing fails with.
pub fn write(directory: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", shown(directory)))?;
    let mut files = Vec::new();
    write_all(&built(), directory, &mut files)?;
    Ok(files)
}

fn write_all(command: &clap::Command, directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Page { file, roff } = render(command)?;
    let path = directory.join(file);
    replace(&path, &roff).with_context(|| format!("cannot write {}", shown(&path)))?;
    files.push(path);
    command.get_subcommands().try_for_each(|command| write_all(command, directory, files))
}

/// The commands with their full names, `installer-trace-show` among them.
fn built() -> clap::Command {
    let mut command = cli::visible().disable_help_subcommand(true);
    command.build();
    command
}

fn render(command: &clap::Command) -> Result<Page> {
    let page = Man::new(command.clone()).source(format!("{} {}", cli::NAME, version::OWN));
    let mut roff = Vec::new();
    page.render(&mut roff).context("cannot make the manual page")?;
    Ok(Page { file: page.get_filename(), roff })
}

fn unknown<T>(words: &[String], command: &clap::Command) -> Result<T> {
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let refuse = || -> Result<T> {
        if names.is_empty() {
            bail!("no command `{}`: {} has no commands", words.join(" "), command.get_name());
        }
        bail!("no command `{}`; there are {}", words.join(" "), names.join(", "));
    };
    refuse().code(Code::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn each_command_has_a_page_of_its_own() {
        for (command, file) in [
            ("", "installer.1"),
            ("apply", "installer-apply.1"),
            ("backends use", "installer-backends-use.1"),
            ("trace show", "installer-trace-show.1"),
        ] {
            let page = page(&words(command)).expect("a page");
            assert_eq!(page.file, file);
            let roff = String::from_utf8(page.roff).expect("UTF-8");
            let name = file.trim_end_matches(".1").replace('-', "\\-");
            assert!(roff.contains(&format!(".SH NAME\n{name} ")), "{roff}");
            assert!(!roff.contains("selftest\\-device"), "hidden commands have no page");
        }
        for none in ["live-check", "apply now", "help", "trace frobnicate"] {
            let error = page(&words(none)).expect_err(none);
            assert_eq!(Code::of(&error), Code::Usage, "{error}");
        }
    }

    #[test]
    fn all_pages_are_written_and_written_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let man = directory.path().join("share/man1");
        let first = write(&man).expect("written");
        assert_eq!(write(&man).expect("written again"), first);
        let mut names: Vec<String> = fs::read_dir(&man)
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name().display().to_string())
            .collect();
        names.sort();
        assert_eq!(names.len(), first.len());
        let has = |name: &str| names.iter().any(|other| other == name);
        assert!(has("installer.1") && has("installer-trace-export.1"), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("help") || name.contains("live")));
    }
}
