//! Manual pages, one for each command.

use crate::{
    cli,
    output::{Code, WithCode, shown},
    trace::report::replace,
    version,
};
use anyhow::{Context, Result, bail};
use clap::builder::StyledStr;
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
    /// Its contents.
    pub roff: Vec<u8>,
}

/// The page of a command by its words (`trace show`), or of the program without any, which is called `name`.
///
/// # Errors
/// Words that are no command.
pub fn page(words: &[String], name: &str) -> Result<Page> {
    let program = built(name);
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

/// Writes the pages of all commands of the program, which is called `name`, into a directory of the machine, in
/// place of older ones. Returns their paths.
///
/// # Errors
/// What writing fails with.
pub fn write(directory: &Path, name: &str) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", shown(directory)))?;
    let mut files = Vec::new();
    write_all(&built(name), directory, &mut files)?;
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
fn built(name: &str) -> clap::Command {
    let program = cli::visible().disable_help_subcommand(true);
    let commands: Vec<String> =
        program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut program = renamed(program, &commands, name);
    // clap keeps names for as long as the process lives.
    program = program.name(&*name.to_owned().leak());
    program.build();
    program
}

/// A command whose texts call the program by another name where they show it with one of its commands.
fn renamed(command: clap::Command, commands: &[String], name: &str) -> clap::Command {
    if name == cli::NAME {
        return command;
    }
    let text =
        |text: Option<&StyledStr>| text.map(|text| rename(&text.to_string(), commands, name));
    let about = text(command.get_about()).unwrap_or_default();
    let long_about = text(command.get_long_about());
    let after_help = text(command.get_after_help()).unwrap_or_default();
    let command = command.about(about).after_help(after_help);
    let command = match long_about {
        Some(long_about) => command.long_about(long_about),
        None => command,
    };
    command.mut_subcommands(|command| renamed(command, commands, name))
}

/// `installer apply` by another name. `installer` alone is a word, and `/tmp/installer apply` a path.
fn rename(text: &str, commands: &[String], name: &str) -> String {
    let mut renamed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(cli::NAME) {
        let (before, after) = (&rest[..at], &rest[at + cli::NAME.len()..]);
        let is_word = before.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '`');
        let word = after.strip_prefix(' ').unwrap_or_default();
        let word = word.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next();
        let is_shown = is_word && commands.iter().any(|command| Some(command.as_str()) == word);
        renamed.push_str(before);
        renamed.push_str(if is_shown { name } else { cli::NAME });
        rest = after;
    }
    renamed + rest
}

fn render(command: &clap::Command) -> Result<Page> {
    let page = Man::new(command.clone()).source(format!("{} {}", cli::NAME, version::OWN));
    let mut roff = Vec::new();
    page.render(&mut roff).context("cannot generate the manual page")?;
    Ok(Page { file: page.get_filename(), roff })
}

fn unknown<T>(words: &[String], command: &clap::Command) -> Result<T> {
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let refuse = || -> Result<T> {
        if names.is_empty() {
            bail!(
                "no such command `{}`: {} has no subcommands",
                words.join(" "),
                command.get_name()
            );
        }
        bail!("no such command `{}`; expected one of {}", words.join(" "), names.join(", "));
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
            let page = page(&words(command), cli::NAME).expect("a page");
            assert_eq!(page.file, file);
            let roff = String::from_utf8(page.roff).expect("UTF-8");
            let name = file.trim_end_matches(".1").replace('-', "\\-");
            assert!(roff.contains(&format!(".SH NAME\n{name} ")), "{roff}");
            assert!(!roff.contains("selftest\\-device"), "hidden commands have no page");
        }
        for none in ["live-check", "apply now", "help", "trace frobnicate"] {
            let error = page(&words(none), cli::NAME).expect_err(none);
            assert_eq!(Code::of(&error), Code::Usage, "{error}");
        }
    }

    #[test]
    fn pages_call_the_program_by_the_name_that_it_has() {
        let other = page(&words("status"), "other").expect("a page");
        assert_eq!(other.file, "other-status.1");
        let roff = String::from_utf8(other.roff).expect("UTF-8");
        assert!(roff.contains("other status || other apply"), "{roff}");
        assert!(!roff.contains("installer status"), "{roff}");
        let commands = ["apply".to_owned()];
        for (text, expected) in [
            ("installer apply && installer applies", "other apply && installer applies"),
            ("`installer apply`, an installer", "`other apply`, an installer"),
            ("/tmp/installer apply", "/tmp/installer apply"),
        ] {
            assert_eq!(rename(text, &commands, "other"), expected);
        }
    }

    #[test]
    fn all_pages_are_written_and_written_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let man = directory.path().join("share/man1");
        let first = write(&man, cli::NAME).expect("written");
        assert_eq!(write(&man, cli::NAME).expect("written again"), first);
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
