//! Files of a trace that are replaced while it is being written: the shim does not write to the replacements, and the
//! program continues.

use crate::{
    Program,
    serving::{Serving, refused, trace},
};
use rocblas_contract::sentences::Sentence;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tests::artefacts;

/// More calls than a file has room for before it grows.
const GROWS: &str = "call 5000";

/// A traced program, with the directory of its trace and a file that is not the trace's.
struct Scene {
    serving: Serving,
    directory: PathBuf,
    victim: PathBuf,
    _program: Program,
}

const CONTENT: &[u8] = b"not a trace\n";

impl Scene {
    fn new() -> Self {
        let program = Program::new("grows.c", artefacts::reference());
        let serving = Serving::start(&mut program.command());
        let directory = program.traces().join(format!("grows-{}", serving.pid));
        let victim = program.tree.root().join("victim");
        fs::write(&victim, CONTENT).expect("write");
        Self { serving, directory, victim, _program: program }
    }

    fn file(&self, thread: u32) -> PathBuf {
        self.directory.join(rocblas_trace::process::thread_file(thread))
    }

    /// Replaces a file by a symlink to the victim, and keeps the file under another name.
    fn replace_by_link(&self, file: &Path) {
        fs::rename(file, file.with_extension("moved")).expect("rename");
        symlink(&self.victim, file).expect("link");
    }

    #[track_caller]
    fn assert_stopped_because_of(self, file: &Path) {
        assert_eq!(fs::read(&self.victim).expect("read"), CONTENT);
        let pid = self.serving.pid.to_string();
        refused(&trace(&["stop", &pid]), "this process is not being traced");
        let (_, complaints) = self.serving.finish();
        let expected = format!("{} was replaced by another file", file.display());
        assert_eq!(complaints.matches(&expected).count(), 1, "{complaints}");
        let sentence = complaints.lines().find_map(Sentence::of);
        assert_eq!(sentence, Some(Sentence::TraceReplaced), "{complaints}");
        let ended = fs::read_to_string(self.directory.join(rocblas_trace::process::ENDED));
        assert!(ended.expect("the end of the trace").contains(&expected));
    }
}

#[test]
fn a_file_that_was_replaced_by_a_copy_ends_the_trace_and_not_the_program() {
    let mut scene = Scene::new();
    assert_eq!(scene.serving.tell("call 10"), "done");
    let file = scene.file(1);
    let copy = file.with_extension("copy");
    fs::copy(&file, &copy).expect("copy");
    fs::rename(&copy, &file).expect("rename");
    let before = fs::read(&file).expect("read");
    assert_eq!(scene.serving.tell(GROWS), "done");
    assert_eq!(fs::read(&file).expect("read"), before, "the copy is somebody else's");
    scene.assert_stopped_because_of(&file);
}

#[test]
fn a_file_that_was_replaced_by_a_symlink_does_not_grow_its_target() {
    let mut scene = Scene::new();
    assert_eq!(scene.serving.tell("call 10"), "done");
    let file = scene.file(1);
    scene.replace_by_link(&file);
    assert_eq!(scene.serving.tell(GROWS), "done");
    scene.assert_stopped_because_of(&file);
}

#[test]
fn a_thread_whose_file_was_replaced_by_a_symlink_does_not_truncate_its_target() {
    let mut scene = Scene::new();
    // Three segments; it has grown to four, so it is cut when the thread ends.
    assert_eq!(scene.serving.tell("begin 1000"), "done");
    let file = scene.file(2);
    scene.replace_by_link(&file);
    fs::write(&scene.victim, vec![7; 1 << 20]).expect("write");
    assert_eq!(scene.serving.tell("end"), "done");
    assert_eq!(fs::read(&scene.victim).expect("read"), vec![7; 1 << 20]);
    fs::write(&scene.victim, CONTENT).expect("write");
    scene.assert_stopped_because_of(&file);
}

#[test]
fn a_thread_whose_file_was_replaced_by_a_pipe_ends() {
    let mut scene = Scene::new();
    assert_eq!(scene.serving.tell("begin 1000"), "done");
    let file = scene.file(2);
    fs::remove_file(&file).expect("remove");
    assert!(Command::new("mkfifo").arg(&file).status().expect("run").success());
    assert_eq!(scene.serving.tell("end"), "done");
    scene.assert_stopped_because_of(&file);
}

#[test]
fn threads_make_no_files_in_a_directory_that_took_the_place_of_the_traces() {
    let mut scene = Scene::new();
    assert_eq!(scene.serving.tell("call 10"), "done");
    let other = scene.directory.with_extension("other");
    fs::create_dir(&other).expect("make a directory");
    let moved = scene.directory.with_extension("moved");
    fs::rename(&scene.directory, &moved).expect("rename");
    symlink(&other, &scene.directory).expect("link");
    assert_eq!(scene.serving.tell("begin 10"), "done");
    assert_eq!(scene.serving.tell("end"), "done");
    refused(&trace(&["stop", &scene.serving.pid.to_string()]), "this process is not being traced");
    assert_eq!(fs::read_dir(&other).expect("read").count(), 0);
    let (_, complaints) = scene.serving.finish();
    let expected = format!("{} was replaced by another directory", scene.directory.display());
    assert!(complaints.contains(&expected), "{complaints}");
}

#[test]
fn the_end_of_a_trace_is_not_written_through_a_symlink() {
    let mut scene = Scene::new();
    assert_eq!(scene.serving.tell("call 10"), "done");
    let unfinished =
        scene.directory.join(rocblas_trace::process::ENDED).with_extension("unfinished");
    symlink(&scene.victim, &unfinished).expect("link");
    trace(&["stop", &scene.serving.pid.to_string()]).silent_success();
    assert_eq!(fs::read(&scene.victim).expect("read"), CONTENT);
    assert!(scene.directory.join(rocblas_trace::process::ENDED).is_file());
    let (_, complaints) = scene.serving.finish();
    assert_eq!(complaints, "");
}
