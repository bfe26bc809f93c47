//! Runs a command and prints, behind what that prints, the most memory that it had, in kilobytes.
//!
//! The kernel counts for a process what the one that started it had in memory as well. A test with
//! its many threads has more than what it measures; this program has next to nothing.

use std::{
    env,
    mem::MaybeUninit,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    let program = words.next().expect("a command");
    let status = Command::new(program).args(words).status().expect("run the command");
    let mut usage = MaybeUninit::uninit();
    // SAFETY: memory for the answer, which the call fills.
    let usage: libc::rusage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    println!("{}", usage.ru_maxrss);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
