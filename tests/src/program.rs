//! Creates executable files for tests. A child that another test forks while this process has a file open for writing
//! inherits the open file until it executes its own program, and a file that is open for writing cannot be executed
//! (ETXTBSY). So these files are written by other processes.

use crate::run::run;
use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

/// Copies a program with its mode.
#[track_caller]
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    run(Command::new("cp").args(["-L", "--"]).arg(from.as_ref()).arg(to.as_ref())).success();
}

/// Writes a script that everyone may run.
#[track_caller]
pub fn script(to: impl AsRef<Path>, text: &str) {
    let to = to.as_ref();
    let mut tee = Command::new("tee");
    let tee = tee.arg("--").arg(to).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut tee = tee.spawn().expect("start tee");
    tee.stdin.take().expect("piped").write_all(text.as_bytes()).expect("write a script");
    assert!(tee.wait().expect("wait for tee").success(), "{}", to.display());
    fs::set_permissions(to, Permissions::from_mode(0o755)).expect("make it a program");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::OpenOptions, thread};

    /// The files that this process has open.
    fn open_files() -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir("/proc/self/fd").expect("read");
        entries.filter_map(|entry| fs::read_link(entry.expect("an entry").path()).ok()).collect()
    }

    #[test]
    fn this_process_never_has_a_copy_open() {
        let directory = tempfile::tempdir().expect("a directory");
        let (pipe, to) = (directory.path().join("pipe"), directory.path().join("program"));
        run(Command::new("mkfifo").arg(&pipe)).success();
        thread::scope(|scope| {
            let copying = scope.spawn(|| copy(&pipe, &to));
            // When this returns, the copying process has opened the pipe and is waiting for its end.
            let mut input = OpenOptions::new().write(true).open(&pipe).expect("open the pipe");
            input.write_all(b"#!/bin/sh\nexit 7\n").expect("write");
            while !to.exists() && !copying.is_finished() {
                thread::yield_now();
            }
            assert!(!open_files().contains(&to), "{} is open", to.display());
            drop(input);
        });
        fs::set_permissions(&to, Permissions::from_mode(0o755)).expect("make it a program");
        assert_eq!(Command::new(&to).status().expect("it runs").code(), Some(7));
    }

    #[test]
    fn a_script_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let to = directory.path().join("script");
        script(&to, "#!/bin/sh\nexit 7\n");
        assert_eq!(Command::new(&to).status().expect("it runs").code(), Some(7));
    }
}
