//! `doctor`: dead ends that users have run into, recognised by their files; explanations of logs; and the
//! report. The live check has its own file.

mod live;
mod logs;

use crate::machine::Machine;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    amd_tree::{AmdTree, Backend, rocm_6_3},
    artefacts,
    run::{Ended, run},
    tree::Tree,
};

/// Runs `doctor` on the running system, for a tree in it.
fn doctor(tree: &Tree, more: &[&str]) -> Ended {
    run(on_system(tree, "doctor").args(more))
}

/// A command for a tree of the running system.
pub(crate) fn on_system(tree: &Tree, command: &str) -> Command {
    let mut installer = Command::new(artefacts::installer());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let ours = ["ROCBLAS_", "LD_", "HSA_", "HIP_", "RECORDING_HIP_"];
        if ours.iter().any(|start| name.starts_with(start)) {
            installer.env_remove(name);
        }
    }
    installer.arg("--rocm").arg(tree.lib()).arg(command);
    installer
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
}

/// The titles of its findings, with their severities.
fn titles(ended: &Ended) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let diagnosis = json(ended);
    let findings = diagnosis["findings"].as_array().expect("findings");
    findings.iter().map(|finding| (text(&finding["severity"]), text(&finding["title"]))).collect()
}

#[track_caller]
fn errors(ended: &Ended) -> Vec<String> {
    let errors: Vec<String> = (titles(ended).into_iter())
        .filter_map(|(severity, title)| (severity == "error").then_some(title))
        .collect();
    let code = i32::from(!errors.is_empty());
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    errors
}

fn dead_ends(tree: &AmdTree) -> Vec<String> {
    let ended = tree.installer(&["--json", "doctor"]);
    errors(&ended).into_iter().filter(|title| title.starts_with("dead end: ")).collect()
}

/// Copies the Tensile files of 6.3 whose names contain a text.
fn copy_tensile_files(backend: &Path, lib: &Path, of: &str) {
    for entry in fs::read_dir(backend.join("rocblas/library")).expect("read") {
        let entry = entry.expect("an entry");
        if entry.file_name().to_string_lossy().contains(of) {
            let to = lib.join("rocblas/library").join(entry.file_name());
            fs::copy(entry.path(), to).expect("copy");
        }
    }
}

#[test]
fn a_clean_tree_has_no_dead_end_with_the_shim_or_without() {
    let machine = Machine::new();
    assert_eq!(dead_ends(&machine.tree), [""; 0]);
    machine.apply(&[]).success();
    let ended = machine.tree.installer(&["--json", "doctor"]);
    assert_eq!(errors(&ended), [""; 0], "{ended:?}");
    assert_eq!(json(&ended)["status"]["status"], "applied");
    machine.revert().success();
    assert_eq!(dead_ends(&machine.tree), [""; 0]);
}

#[test]
fn tensile_files_of_one_gpu_copied_into_7_0_2() {
    let machine = Machine::new();
    copy_tensile_files(&machine.backend, &machine.tree.lib(), "gfx906");
    let title = "dead end: Tensile files of a GPU copied from another release";
    assert_eq!(dead_ends(&machine.tree), [title]);
    let ended = machine.tree.installer(&["doctor"]);
    for sentence in
        ["has files for gfx906, for which", "TRSM", "installer apply --backend rocblas_4.3.0.60300"]
    {
        assert!(ended.stdout.contains(sentence), "{sentence}: {ended:?}");
    }
    // Once the shim is in front, they do no harm.
    machine.apply(&[]).success();
    assert_eq!(dead_ends(&machine.tree), [""; 0]);
}

#[test]
fn tensile_files_copied_into_a_directory_that_was_pruned() {
    let machine = Machine::new();
    let directory = machine.lib("rocblas/library");
    for entry in fs::read_dir(&directory).expect("read") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().contains("gfx942") {
            fs::remove_file(path).expect("remove");
        }
    }
    copy_tensile_files(&machine.backend, &machine.tree.lib(), "gfx906");
    let title = "dead end: Tensile files of a GPU copied from another release";
    assert_eq!(dead_ends(&machine.tree), [title]);
    let ended = machine.tree.installer(&["doctor"]);
    assert!(ended.stdout.contains("and none for gfx942, for which it has code"), "{ended:?}");
    assert!(!ended.stdout.contains("--reinstall"), "{ended:?}");
}

#[test]
fn the_whole_tensile_directory_replaced() {
    let machine = Machine::new();
    let directory = machine.lib("rocblas/library");
    fs::remove_dir_all(&directory).expect("remove");
    fs::create_dir(&directory).expect("make");
    copy_tensile_files(&machine.backend, &machine.tree.lib(), "");
    let title = "dead end: the whole Tensile directory replaced by another release's";
    assert_eq!(dead_ends(&machine.tree), [title]);
}

#[test]
fn the_link_leads_to_6_3_while_stock_is_there() {
    let machine = Machine::new();
    fs::copy(machine.backend.join("librocblas.so.4"), machine.lib("librocblas.so.4.3.60300"))
        .expect("copy");
    symlink("librocblas.so.4.3.60300", machine.lib("librocblas.so.4")).expect("link");
    fs::remove_file(machine.lib("librocblas.so.5")).expect("remove");
    symlink("librocblas.so.4", machine.lib("librocblas.so.5")).expect("link");
    let ended = machine.tree.installer(&["--json", "doctor"]);
    let title = "dead end: librocblas.so.5 linked to ROCm 6's library";
    assert!(errors(&ended).contains(&title.to_owned()), "{ended:?}");
    assert!(ended.stdout.contains("librocblas.so.5 -> librocblas.so.4"), "{ended:?}");
    assert!(ended.stdout.contains("librocblas.so.5.0.70002 still exists"), "{ended:?}");
    // ldconfig undoes it, as the text explains.
    machine.tree.ldconfig();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.0.70002"));
    assert_eq!(dead_ends(&machine.tree), [""; 0]);
}

#[test]
fn programs_that_were_never_compiled() {
    let machine = Machine::new();
    let app = machine.tree.root().join("app");
    fs::create_dir(&app).expect("make app");
    fs::write(app.join("llama-server"), "").expect("write");
    assert_eq!(dead_ends(&machine.tree), ["dead end: patched before llama.cpp was compiled"]);
    assert!(machine.tree.installer(&["doctor"]).stdout.contains("/app/llama-server is empty"));
}

#[test]
fn a_running_server_with_tensors_overridden() {
    let machine = Machine::new();
    let process = machine.tree.root().join("proc/4711");
    fs::create_dir_all(&process).expect("make");
    let command_line = "/app/llama-server\0--api-key\0hush\0--override-tensor\0ssm_=CPU\0";
    fs::write(process.join("cmdline"), command_line).expect("write");
    assert_eq!(dead_ends(&machine.tree), ["dead end: --override-tensor ssm_=CPU"]);
    let ended = machine.tree.installer(&["doctor"]);
    assert!(ended.stdout.contains("process 4711 runs with --override-tensor ssm_=CPU"));
    assert!(!ended.stdout.contains("hush"), "{ended:?}");
}

#[test]
fn another_root_is_not_loaded_from_and_that_is_said() {
    let tree = AmdTree::new();
    let ended = tree.installer(&["--json", "doctor"]);
    let live = &json(&ended)["live"];
    assert_eq!(live["live"], "not_done");
    let why = live["why"].as_str().expect("a text");
    assert!(why.contains("is not the running system"), "{why}");
}

#[test]
fn a_disturbed_tree_says_what_changed_and_that_apply_repairs_it() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let shim = machine.lib("librocblas.so.5.99.0");
    fs::remove_file(&shim).expect("remove");
    fs::copy(machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5"), &shim).expect("copy");
    let ended = machine.tree.installer(&["--json", "doctor"]);
    let title = "the tree has changed since `installer apply`";
    assert!(errors(&ended).contains(&title.to_owned()), "{ended:?}");
}

#[test]
fn no_tree_and_several_trees_are_findings() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().to_str().expect("UTF-8");
    let run_in = || {
        let mut command = Command::new(artefacts::installer());
        run(command.args(["--root", root, "--json", "doctor"]))
    };
    assert_eq!(errors(&run_in()), ["cannot determine which tree to examine"]);
    for release in ["7.0.2", "7.1.0"] {
        let lib = directory.path().join(format!("opt/rocm-{release}/lib"));
        fs::create_dir_all(&lib).expect("make");
        fs::copy(artefacts::stock(), lib.join("librocblas.so.5")).expect("copy");
    }
    let ended = run_in();
    assert_eq!(errors(&ended), ["cannot determine which tree to examine"]);
    assert!(ended.stdout.contains("--rocm /opt/rocm-7.0.2/lib or --rocm /opt/rocm-7.1.0/lib"));
}

#[test]
fn a_log_is_explained() {
    let tree = Tree::with_backend(artefacts::reference());
    let log = tree.root().join("log");
    let line = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";
    fs::write(&log, format!("load_model: done\n{line}\n\u{fffd}\n")).expect("write");
    let ended = doctor(&tree, &["--json", "--log", log.to_str().expect("UTF-8")]);
    assert_eq!(errors(&ended), ["in the log: rocBLAS has no kernel for this GPU"]);
    assert_eq!(json(&ended)["findings"][0]["seen"][0], line);

    fs::write(&log, "all is well\n").expect("write");
    let ended = doctor(&tree, &["--json", "--log", log.to_str().expect("UTF-8")]);
    assert_eq!(errors(&ended), [""; 0]);
    assert!(ended.stdout.contains("the log contains no known error"), "{ended:?}");

    let absent = doctor(&tree, &["--log", "/absent/log"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(absent.stderr.contains("--log /absent/log: cannot be read"), "{absent:?}");

    // Standard input is empty here.
    let ended = doctor(&tree, &["--json", "--log", "-"]);
    assert!(ended.stdout.contains("the log is empty"), "{ended:?}");
    assert_eq!(errors(&ended), [""; 0]);
}

#[test]
fn the_report_has_everything_but_secrets_and_is_never_written_over() {
    let tree = Tree::with_backend(artefacts::reference());
    let report: PathBuf = tree.root().join("report.txt");
    let write = || {
        let mut command = on_system(&tree, "doctor");
        command.arg("--report").arg(&report).env("HF_TOKEN", "hush").env("HOME", tree.root());
        run(command.env("ROCBLAS_LAYER", "0").env("HSA_OVERRIDE_GFX_VERSION", "9.0.6"))
    };
    write().success();
    let text = fs::read_to_string(&report).expect("written");
    for title in [
        "== Versions",
        "== Findings",
        "== Inspection",
        "== Live check",
        "== Status",
        "== Journal",
        "== /etc/os-release",
        "== Environment",
    ] {
        assert!(text.contains(title), "{title}: {text}");
    }
    for line in
        ["ROCBLAS_LAYER=0", "HSA_OVERRIDE_GFX_VERSION=9.0.6", "~/lib", "\"backend\": \"only\""]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let home = tree.root().to_str().expect("UTF-8");
    for secret in ["hush", "HF_TOKEN", home, "\u{1b}["] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let again = write();
    assert_eq!(again.status.code(), Some(1));
    assert!(again.stderr.contains("already exists"), "{again:?}");
    assert_eq!(fs::read_to_string(&report).expect("still there"), text);
}

#[test]
fn a_tree_of_6_3_is_told_from_one_that_needs_the_shim() {
    let outside = tempfile::tempdir().expect("a directory");
    let lib = rocm_6_3(outside.path(), Backend::Computing);
    let mut command = Command::new(artefacts::installer());
    let ended = run(command.arg("--rocm").arg(&lib).args(["--json", "doctor"]));
    let title = ("warning".to_owned(), "no rocBLAS of ROCm 7 was found".to_owned());
    assert!(titles(&ended).contains(&title), "{ended:?}");
    assert!(ended.stdout.contains("has the SONAME librocblas.so.4"), "{ended:?}");
}
