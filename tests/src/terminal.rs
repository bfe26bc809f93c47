//! Runs a command interactively, on a separate terminal.

use crate::run::Ended;
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::tcgetattr,
};
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

/// Runs a command and types a text. The `stderr` of the result is the terminal's output, which includes the echo of
/// the typed text.
///
/// # Panics
/// If there is no terminal, or if the command takes longer than a minute.
#[track_caller]
pub fn run_at_terminal(command: &mut Command, typed: &str) -> Ended {
    let (mut screen, open) = terminal();
    let (input, errors) = (open(), open());
    screen.write_all(typed.as_bytes()).expect("type");
    command.stdin(input).stderr(errors).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    // The command has copies of the terminal, which would keep it open.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut stdout = child.stdout.take().expect("piped");
    let (shown, seen) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        // Reading fails once the other end of the terminal is closed.
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

/// A new terminal: the user's end, and a function that opens the other end.
fn terminal() -> (File, impl Fn() -> File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal of this user");
    unlockpt(&master).expect("a terminal that can be opened");
    let name = ptsname(&master, Vec::new()).expect("its name").into_bytes();
    let open = move || {
        let name = OsString::from_vec(name.clone());
        File::options().read(true).write(true).open(name).expect("open the terminal")
    };
    (File::from(master), open)
}

/// The result of a command that draws on a terminal's screen.
#[derive(Debug)]
pub struct AtScreen {
    /// How it ended; its `stdout` is the output to the terminal.
    pub ended: Ended,
    /// Whether the terminal has its original settings.
    pub is_as_before: bool,
}

/// Runs a command with a terminal on standard input and output, and presses keys once it shows a text.
///
/// # Panics
/// If there is no terminal, or if the command takes longer than a minute.
#[track_caller]
pub fn run_at_screen(command: &mut Command, shown: &str, keys: &str) -> AtScreen {
    at_screen(command, shown, |screen, _| screen.write_all(keys.as_bytes()).expect("type"))
}

/// The same, but ends the command by SIGTERM.
///
/// # Panics
/// As [`run_at_screen`].
#[track_caller]
pub fn end_at_screen(command: &mut Command, shown: &str) -> AtScreen {
    at_screen(command, shown, |_, child| kill_process(child, Signal::TERM).expect("a signal"))
}

#[track_caller]
fn at_screen(command: &mut Command, shown: &str, act: impl FnOnce(&mut File, Pid)) -> AtScreen {
    let (mut screen, open) = terminal();
    // Kept open even while no command has it open.
    let kept = open();
    let settings = || {
        let settings = tcgetattr(&kept).expect("the terminal's settings");
        (settings.local_modes, settings.input_modes, settings.output_modes)
    };
    let before = settings();
    command.stdin(open()).stdout(open()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let (send, seen) = mpsc::channel();
    let mut reader = screen.try_clone().expect("another descriptor");
    thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut part) {
            if send.send(part[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let (mut bytes, start, mut act) = (Vec::new(), Instant::now(), Some(act));
    let status = loop {
        let part = seen.recv_timeout(Duration::from_millis(5));
        let status = child.try_wait().expect("wait for the command");
        // The last output may arrive after the command has ended.
        match (part, status) {
            (Err(_), Some(status)) => break status,
            (part, _) => bytes.extend(part.unwrap_or_default()),
        }
        if String::from_utf8_lossy(&bytes).contains(shown)
            && let Some(act) = act.take()
        {
            act(&mut screen, Pid::from_child(&child));
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("{command:?} took longer than {LIMIT:?}: {}", String::from_utf8_lossy(&bytes));
        }
    };
    let is_as_before = settings() == before;
    let mut stderr = String::new();
    let mut errors = child.stderr.take().expect("piped");
    errors.read_to_string(&mut stderr).expect("UTF-8");
    let stdout = String::from_utf8_lossy(&bytes).into_owned();
    AtScreen { ended: Ended { status, stdout, stderr }, is_as_before }
}
