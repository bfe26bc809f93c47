//! The real command `doctor --log`: what it reports about a log does not depend on the machine's trees, and a
//! log may be as large as a disk.

use super::{errors, json, titles};
use crate::machine::Machine;
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};
use tests::{artefacts, run::run};

const LINE: &str = "rocBLAS error: Cannot read /opt/rocm-7.0.2/lib/rocblas/library/TensileLibrary.dat: Illegal \
                    seek for GPU arch : gfx906";

/// Runs `doctor --log` on a text, with a root and options.
fn doctor(root: &Path, log: &str, more: &[&str]) -> tests::run::Ended {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("log");
    fs::write(&file, log).expect("write");
    let mut command = Command::new(artefacts::installer());
    run(command.arg("--root").arg(root).args(["--json", "doctor", "--log"]).arg(&file).args(more))
}

/// The fix for the first finding in the log.
fn cure(ended: &tests::run::Ended) -> String {
    let document = json(ended);
    let findings = document["findings"].as_array().expect("findings");
    let is_of_log = |title: &str| title.starts_with("in the log: ");
    let found = findings.iter().find(|finding| finding["title"].as_str().is_some_and(is_of_log));
    found.expect("a finding of the log")["cure"].as_str().expect("a cure").to_owned()
}

#[test]
fn no_tree_or_several_do_not_change_what_a_log_says() {
    let root = tempfile::tempdir().expect("a directory");
    for trees in 0..=2 {
        if trees > 0 {
            let lib = root.path().join(format!("opt/rocm-7.{trees}.0/lib"));
            fs::create_dir_all(&lib).expect("make");
            fs::copy(artefacts::stock(), lib.join("librocblas.so.5")).expect("copy");
        }
        let ended = doctor(root.path(), LINE, &[]);
        let title = "in the log: the Tensile files of this GPU are missing";
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(titles(&ended).contains(&("error".to_owned(), title.to_owned())), "{ended:?}");
        assert!(cure(&ended).contains("apply --rocm /opt/rocm-7.0.2/lib"), "{ended:?}");
        if trees != 1 {
            let healthy = doctor(root.path(), "main: server is listening\n", &[]);
            assert_eq!(errors(&healthy), [""; 0], "{healthy:?}");
            assert!(healthy.stdout.contains("the log contains no known error"), "{healthy:?}");
        }
    }
}

#[test]
fn where_the_shim_is_applied_no_cure_applies_it_again() {
    let machine = Machine::new();
    let tree = machine.tree.lib();
    let inside = Path::new("/").join(tree.strip_prefix(machine.tree.root()).expect("inside"));
    let line = LINE.replace("/opt/rocm-7.0.2/lib", inside.to_str().expect("UTF-8"));
    let before = cure(&doctor(machine.tree.root(), &line, &[]));
    assert!(before.starts_with("installer apply --rocm "), "{before}");
    machine.apply(&["--gpu", "gfx906"]).success();
    let after = cure(&doctor(machine.tree.root(), &line, &[]));
    assert!(!after.contains("installer apply"), "{after}");
}

#[test]
fn the_gpu_and_the_facts_of_a_line_are_in_the_document() {
    let root = tempfile::tempdir().expect("a directory");
    let ended = doctor(root.path(), LINE, &[]);
    let said = json(&ended)["findings"][0]["said"].clone();
    assert_eq!(said["gpu"], "gfx906", "{ended:?}");
    assert_eq!(said["tree"], "/opt/rocm-7.0.2/lib");
    assert_eq!(said["release"], "7.0.2");
    let without = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";
    let ended = doctor(root.path(), without, &["--gpu", "Radeon VII"]);
    assert!(cure(&ended).ends_with(" --gpu gfx906"), "{ended:?}");
    assert_eq!(json(&ended)["findings"][0]["said"]["number"], 98);
}

#[test]
fn the_package_is_that_of_the_distribution() {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("etc")).expect("make");
    for (version, package) in [("22.04", "~22.04_amd64.deb"), ("24.04", "~24.04_amd64.deb")] {
        let text = format!("ID=ubuntu\nVERSION_ID=\"{version}\"\n");
        fs::write(root.path().join("etc/os-release"), text).expect("write");
        let cure = cure(&doctor(root.path(), LINE, &[]));
        assert!(cure.contains(package), "{cure}");
    }
}

#[test]
fn a_longer_log_takes_no_more_memory() {
    const PEAK_MEMORY: &str = env!("CARGO_BIN_EXE_peak_memory");
    let root = tempfile::tempdir().expect("a directory");
    let hay =
        "llama_kv_cache: ROCm0 KV buffer size = 720.00 MiB, and nothing else of interest here\n"
            .repeat(12_000);
    let memory = |megabytes: usize| {
        let mut command = Command::new(PEAK_MEMORY);
        command.arg(artefacts::installer()).arg("--root").arg(root.path());
        command.args(["--json", "doctor", "--log", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start");
        let mut log = child.stdin.take().expect("a pipe");
        for _ in 0..megabytes {
            log.write_all(hay.as_bytes()).expect("write");
        }
        writeln!(log, "{LINE}").expect("write");
        drop(log);
        let output = child.wait_with_output().expect("wait");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("the Tensile files of this GPU are missing"), "{text}");
        let memory = text.lines().last().and_then(|line| line.parse::<u64>().ok());
        memory.expect("kilobytes")
    };
    let (short, long) = (memory(4), memory(1000));
    assert!(long < short + 4_000, "{short} kB for 4 MB, {long} kB for 1 GB");
    assert!(long < 40_000, "{long} kB");
}
