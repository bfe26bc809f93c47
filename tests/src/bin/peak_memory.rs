//! Runs a command and prints, after the command's output, its peak memory in kilobytes.
//!
//! The kernel's count for a process includes the memory of the process that started it. A test with its many
//! threads uses more memory than what it measures; this program uses almost none.

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
    // SAFETY: memory for the result, which the call fills.
    let usage: libc::rusage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    println!("{}", usage.ru_maxrss);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
