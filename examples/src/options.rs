//! The command lines of these programs: flags without values, and `--help`.

use std::{env, process::ExitCode};

/// The flags given to this process, each one of `known`.
///
/// # Errors
/// The exit code to end with at once: help was requested and printed, or an unknown argument was reported (2,
/// as usual for wrong usage).
pub fn flags(program: &str, help: &str, known: &[&str]) -> Result<Vec<String>, ExitCode> {
    let mut given = Vec::new();
    for argument in env::args_os().skip(1) {
        let argument = argument.to_string_lossy().into_owned();
        match argument.as_str() {
            "-h" | "--help" => {
                print!("{help}");
                return Err(ExitCode::SUCCESS);
            }
            flag if known.contains(&flag) => given.push(argument),
            unknown => {
                eprintln!("{program}: unknown argument `{unknown}`; see `{program} --help`");
                return Err(ExitCode::from(2));
            }
        }
    }
    Ok(given)
}
