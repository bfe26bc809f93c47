//! The parts that need no libraries; whole trees are laid out in the integration tests.

use super::*;
use crate::inspect::tensile::Files;
use std::fs;

fn targets(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn tensile(names: &[&str]) -> Tensile {
    let files = Files { files: 5, bytes: 5, entry: None };
    let targets = names.iter().map(|name| ((*name).to_owned(), files.clone())).collect();
    Tensile { directory: "/lib/rocblas/library".into(), targets, common_entry: false }
}

fn title(files: &[&str], stock: &[&str]) -> Option<&'static str> {
    wrong_tensile_files(&tensile(files), &targets(stock)).map(|dead_end| dead_end.title)
}

const COPIED: &str = "Tensile files of a GPU copied from another release";
const REPLACED: &str = "the whole Tensile directory replaced by another release's";

#[test]
fn tensile_files_are_compared_with_the_code_of_the_library() {
    let stock = ["gfx908:xnack-", "gfx90a:xnack+", "gfx942"];
    assert_eq!(title(&["gfx908", "gfx90a", "gfx942"], &stock), None);
    // Fewer than there is code for: chosen with `--gpu`, say.
    assert_eq!(title(&["gfx908"], &stock), None);
    assert_eq!(title(&["gfx906", "gfx908", "gfx90a", "gfx942"], &stock), Some(COPIED));
    assert_eq!(title(&["gfx900", "gfx906", "gfx908", "gfx90a"], &stock), Some(REPLACED));
    // One GPU's files, in a directory without those of others.
    assert_eq!(title(&["gfx906", "gfx908"], &stock), Some(COPIED));
    // Code for a family of GPUs covers each.
    assert_eq!(title(&["gfx1100", "gfx1102"], &["gfx11-generic"]), None);
    // Nothing is known of the library.
    assert_eq!(title(&["gfx906"], &[]), None);
}

#[test]
fn what_was_seen_names_the_targets() {
    let dead_end = wrong_tensile_files(&tensile(&["gfx900", "gfx906"]), &targets(&["gfx942"]));
    let seen = dead_end.expect("a dead end").seen;
    assert!(seen[0].contains("/lib/rocblas/library has files for gfx900, gfx906"), "{seen:?}");
    assert!(seen[1].contains("none for gfx942"), "{seen:?}");
}

#[test]
fn only_empty_programs_of_llama_cpp_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = directory.path().join("app");
    fs::create_dir(&app).expect("a directory");
    for (name, text) in [("llama-server", ""), ("llama-cli", "\x7fELF"), ("note", "")] {
        fs::write(app.join(name), text).expect("a file");
    }
    fs::create_dir(app.join("llama-directory")).expect("a directory");
    let root = Root::new(directory.path()).expect("a root");
    let dead_end = empty_programs(&root).expect("one is empty");
    assert_eq!(dead_end.seen, ["/app/llama-server is empty"]);
    fs::write(app.join("llama-server"), "\x7fELF").expect("a file");
    assert_eq!(empty_programs(&root), None);
}

#[test]
fn a_running_program_with_the_argument_is_named_and_nothing_else_of_it() {
    let top = tempfile::tempdir().expect("a directory");
    let proc = top.path().join("proc");
    let root = Root::new(top.path()).expect("a root");
    let run = |id: &str, arguments: &[&str]| {
        let directory = proc.join(id);
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("cmdline"), arguments.join("\0") + "\0").expect("a file");
    };
    run("1", &["/sbin/init"]);
    run("20", &["/app/llama-server", "--api-key", "secret", "-m", "x.gguf"]);
    run("self", &["/app/llama-server", "-ot", "ssm_=CPU"]);
    fs::create_dir(proc.join("99")).expect("a process that is gone");
    assert_eq!(overridden_tensors(&root), None);

    run("300", &["/app/llama-server", "--api-key", "secret", "--override-tensor", "ssm_=CPU"]);
    run("31", &["./llama-cli", "-ot", "exps=CPU,blk.*ssm_.*=CPU", "-ngl", "99"]);
    run("32", &["llama-bench", "--override-tensor=ssm_a=CPU"]);
    run("33", &["llama-server", "-ot", "exps=CPU"]);
    run("34", &["llama-server", "-ot", "ssm_=ROCm1"]);
    run("35", &["grep", "-ot", "ssm_=CPU"]);
    run("36", &["llama-server", "-ot"]);
    let seen = overridden_tensors(&root).expect("three processes").seen;
    assert_eq!(
        seen,
        [
            "process 31 runs with --override-tensor exps=CPU,blk.*ssm_.*=CPU",
            "process 32 runs with --override-tensor ssm_a=CPU",
            "process 300 runs with --override-tensor ssm_=CPU",
        ]
    );
}
