//! Traces and logs that are not regular files of a plausible size: pipes without writers, devices, sparse
//! files. Each command ends soon and uses little memory.

use crate::printing::trace;
use rustix::fs::{CWD, FileType, mknodat};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    artefacts,
    run::{Ended, run_within},
};

/// Far less than it takes to read a hundred gigabytes, or a pipe without a writer.
const LIMIT: Duration = Duration::from_secs(30);

/// The memory limit of a command, in kilobytes.
const MEMORY: &str = "1500000";

fn installer(words: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -v "$0" && exec "$@""#, MEMORY]).arg(artefacts::installer());
    run_within(command.args(words), LIMIT)
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).expect("a pipe");
}

fn sparse(path: &Path) {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.and_then(|file| file.set_len(100 << 30)).expect("a sparse file");
}

/// Copies a trace into a directory of its own.
fn copy(trace: &Path, parent: &Path, name: &str) -> PathBuf {
    let copy = parent.join(name);
    fs::create_dir(&copy).expect("make");
    for entry in fs::read_dir(trace).expect("readable") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, copy.join(path.file_name().expect("a name"))).expect("copy");
    }
    copy
}

#[test]
fn hostile_traces_are_read_soon_or_refused() {
    let (tree, good) = trace();
    let place = tree.root().join("hostile");
    fs::create_dir(&place).expect("make");
    let new = |name: &str| copy(&good, &place, name);
    let thread = |trace: &Path| trace.join("thread-0002.trace");
    let replace = |name: &str, file: &str, by: &dyn Fn(&Path)| {
        let trace = new(name);
        fs::remove_file(trace.join(file)).expect("remove");
        by(&trace.join(file));
        trace
    };
    let link = |target: &'static str| move |path: &Path| symlink(target, path).expect("link");
    let cases = [
        replace("pipe", "thread-0002.trace", &pipe),
        replace("zero", "thread-0002.trace", &link("/dev/zero")),
        replace("directory", "thread-0002.trace", &|path| fs::create_dir(path).expect("make")),
        replace("itself", "thread-0002.trace", &link("thread-0002.trace")),
        replace("empty-and-sparse", "thread-0002.trace", &sparse),
        replace("pipe-header", "process.json", &pipe),
        replace("zero-header", "process.json", &link("/dev/zero")),
        replace("sparse-header", "process.json", &sparse),
        {
            let trace = new("grown");
            sparse(&thread(&trace));
            trace
        },
        {
            let trace = new("pipe-end");
            pipe(&trace.join("ended.json"));
            trace
        },
    ];
    let page = place.join("page.html");
    let (page, good) = (page.to_str().expect("UTF-8"), good.to_str().expect("UTF-8"));
    for case in cases {
        let case = case.to_str().expect("UTF-8");
        for words in [
            &["show", case][..],
            &["summary", case],
            &["report", case, "--output", page],
            &["export", case, "--format", "chrome"],
            &["export", case, "--format", "csv"],
            &["diff", case, good],
            &["diff", good, case],
            &["follow", case],
        ] {
            let ended = installer(&[&["trace"], words].concat());
            // The other threads are read anyway.
            assert_eq!(ended.status.code(), Some(0), "{words:?}: {ended:?}");
            assert!(!ended.stdout.is_empty(), "{words:?}: {ended:?}");
        }
        let shown = installer(&["trace", "show", case]);
        let whole = ["grown", "pipe-end"].iter().any(|name| case.ends_with(name));
        assert_eq!(shown.stderr.is_empty(), whole, "{case}: {shown:?}");
    }
    let pipe_itself = place.join("itself-a-pipe");
    pipe(&pipe_itself);
    let refused = installer(&["trace", "show", pipe_itself.to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn a_log_that_is_no_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (fifo, large, root) = (place("fifo"), place("large"), place("root"));
    pipe(fifo.as_ref());
    sparse(large.as_ref());
    fs::create_dir(&root).expect("make");
    for (log, why) in [
        (fifo.as_str(), "not a regular file"),
        (root.as_str(), "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("/dev/null", "not a regular file"),
        (large.as_str(), "larger than 16 GiB"),
        ("/absent", "No such file"),
    ] {
        let ended = installer(&["--root", &root, "doctor", "--log", log]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(why) && ended.stderr.contains(log), "{ended:?}");
        assert!(ended.stdout.is_empty(), "nothing else was done: {ended:?}");
    }
}
