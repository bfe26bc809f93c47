//! Runs a command for a person: with a terminal of its own on standard input and standard error.

use crate::run::Ended;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    os::unix::ffi::OsStringExt,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a command and types a text at it. What the terminal shows is the `stderr` of what is
/// returned, and has what was typed as well.
///
/// # Panics
/// Where there is no terminal to be had, and when the command takes longer than a minute.
#[track_caller]
pub fn run_at_terminal(command: &mut Command, typed: &str) -> Ended {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal of this user");
    unlockpt(&master).expect("a terminal that can be opened");
    let name = ptsname(&master, Vec::new()).expect("its name").into_bytes();
    let open = || {
        let name = OsString::from_vec(name.clone());
        File::options().read(true).write(true).open(name).expect("open the terminal")
    };
    let (input, errors) = (open(), open());
    let mut screen = File::from(master);
    screen.write_all(typed.as_bytes()).expect("type");
    command.stdin(input).stderr(errors).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    // The command has copies of the terminal, which would keep it open.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut stdout = child.stdout.take().expect("piped");
    let (shown, seen) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        // The end of a terminal that nobody has open is an error.
        let _ = screen.read_to_end(&mut text);
        let _ = shown.send(text);
    });
    let printed = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.read_to_end(&mut text);
        text
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait for the command") {
            break status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("{command:?} took longer than {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let stdout = text(printed.join().expect("no panic"));
    let stderr = text(seen.recv_timeout(LIMIT).expect("the terminal is closed"));
    Ended { status, stdout, stderr }
}
