//! A line on stderr every fifteen seconds while tests run: some take a minute, during which libtest prints nothing.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    process,
    sync::Once,
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(15);

/// The name of the thread that prints; the kernel keeps 15 bytes of a name.
const NAME: &str = "heartbeat";

/// Starts the thread, once, if this is a program of tests.
pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let program = env::current_exe().unwrap_or_default();
        if program.parent().is_some_and(|directory| directory.ends_with("deps")) {
            let begun = Instant::now();
            // Without it, tests run all the same.
            let _ = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
                loop {
                    thread::sleep(INTERVAL);
                    // Not `eprintln`, which libtest captures with the output of the test that started this thread.
                    let _ = std::io::stderr().write_all(line(begun, &running()).as_bytes());
                }
            });
        }
    });
}

fn line(begun: Instant, running: &BTreeSet<String>) -> String {
    let names = running.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let names = if names.is_empty() { names } else { format!("; running: {names}") };
    format!("  {} s so far{names}\n", begun.elapsed().as_secs())
}

/// The beginnings of the names of the tests that are running. libtest names a test's thread after the test, and threads
/// that a test starts inherit the name.
fn running() -> BTreeSet<String> {
    let own = process::id().to_string();
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let others = threads.filter(|thread| thread.file_name() != own.as_str());
    let names = others.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).filter(|name| name != NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_tests_are_named() {
        let current = thread::current();
        let name = current.name().expect("a name");
        // With one thread for all tests, they run in the main thread.
        if name != "main" {
            let running = running();
            assert!(running.iter().any(|start| name.starts_with(start)), "{name}: {running:?}");
        }
        let names = BTreeSet::from(["crashes::killed".to_owned(), "which::a_proces".to_owned()]);
        let begun = Instant::now() - Duration::from_secs(31);
        assert_eq!(
            line(begun, &names),
            "  31 s so far; running: crashes::killed, which::a_proces\n"
        );
        assert_eq!(line(begun, &BTreeSet::new()), "  31 s so far\n");
    }
}
