//! Trees and packages that are designed to mislead the installer: it reports an error that names the file,
//! writes nothing outside the root, and does not panic.
//!
//! | file | what it is about |
//! |---|---|
//! | `canary.rs` | the machine around a tree, which nothing may touch |
//! | `scene.rs` | a tree to be made hostile, surrounded by the canary |
//! | `attempt.rs` | commands on such a tree, and what holds after each |
//! | `links.rs` and others | the trees, by what is wrong with them |

mod archives;
mod attempt;
mod canary;
mod collected;
mod endless;
mod journals;
mod kinds;
mod links;
mod races;
mod scene;
mod shared;
mod trust;

use crate::machine::Machine;
use std::{fs, os::unix::fs::symlink, process::Command};
use tests::{run::run, snapshot::Snapshot};

#[test]
fn links_out_of_the_root_lead_nowhere() {
    let machine = Machine::new();
    let outside = machine.outside().join("victim");
    fs::create_dir_all(outside.join("lib")).expect("make a victim");
    fs::copy(machine.lib("librocblas.so.5.0.70002"), outside.join("lib/librocblas.so.5"))
        .expect("copy");
    let opt = machine.tree.root().join("opt");
    // By an absolute path that exists on the machine, and by a path that climbs.
    symlink(&outside, opt.join("rocm-7.9.0")).expect("link");
    let climbing = "../".repeat(40) + outside.to_str().expect("UTF-8").trim_start_matches('/');
    symlink(climbing, opt.join("rocm-7.9.1")).expect("link");
    let before = Snapshot::with_times(&outside);
    for tree in ["/opt/rocm-7.9.0", "/opt/rocm-7.9.1"] {
        let refused = machine.apply(&["--rocm", tree]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
    // They do not affect the tree that exists.
    machine.apply(&[]).success();
    before.assert_same(&Snapshot::with_times(&outside));
}

#[test]
fn a_store_that_leads_out_is_refused() {
    let machine = Machine::new();
    let outside = machine.outside().join("victim");
    fs::create_dir(&outside).expect("make a victim");
    symlink(&outside, machine.lib("rocblas-shim")).expect("link");
    let before = Snapshot::with_times(&outside);
    let refused = machine.apply(&[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let refused = machine.revert();
    assert!(!refused.stderr.contains("panicked"), "{refused:?}");
    before.assert_same(&Snapshot::with_times(&outside));
}

#[test]
fn a_package_that_climbs_is_refused_by_name() {
    let machine = Machine::new();
    let package = machine.outside().join("evil.tar");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(machine.outside()).arg("-cPf").arg(&package);
    tar.arg("--transform").arg("s,^rocm-6.3.0/lib/rocblas,../../../../../evil/rocblas,");
    run(tar.arg("rocm-6.3.0")).success();
    let before = machine.snapshot();
    let refused = machine.apply(&["--backend", package.to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("evil.tar"), "{refused:?}");
    assert!(refused.stderr.contains("../evil/rocblas"), "{refused:?}");
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_damaged_journal_is_replaced_by_its_copy() {
    let machine = Machine::new();
    let untouched = machine.snapshot();
    machine.apply(&[]).success();
    let journal = machine.lib("rocblas-shim/journal.json");
    let text = fs::read_to_string(&journal).expect("a journal");
    for damaged in ["", "{}", &text[..text.len() / 2], "null"] {
        fs::write(&journal, damaged).expect("write");
        let (code, line) = machine.status();
        assert_eq!(code, 4, "{damaged:?}: {line}");
        assert!(line.contains("journal.json is damaged"), "{line}");
        machine.tree.installer(&["repair"]).success();
        machine.assert_applied();
    }
    fs::write(&journal, "").expect("write");
    machine.revert().success();
    untouched.assert_same(&machine.snapshot());
}

#[test]
fn a_journal_of_a_newer_installer_is_not_guessed_at() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let journal = machine.lib("rocblas-shim/journal.json");
    let text = fs::read_to_string(&journal).expect("a journal");
    fs::write(&journal, text.replace("\"format\": 2", "\"format\": 9")).expect("write");
    let before = machine.snapshot();
    for command in ["status", "revert", "repair"] {
        let refused = machine.tree.installer(&[command]);
        assert_eq!(refused.status.code(), Some(1), "{command}: {refused:?}");
        assert!(refused.stderr.contains("in a format unknown to this version"), "{refused:?}");
    }
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_journal_that_names_paths_elsewhere_is_not_followed() {
    let machine = Machine::new();
    let untouched = machine.snapshot();
    machine.apply(&[]).success();
    let victim = machine.tree.root().join("etc/ld.so.conf");
    let contents = fs::read(&victim).expect("there");
    let journals =
        ["journal.json", "journal.copy.json"].map(|name| machine.lib("rocblas-shim").join(name));
    let text = fs::read_to_string(&journals[0]).expect("a journal");
    for evil in ["/etc/ld.so.conf", "../../../etc/ld.so.conf", "rocblas-shim/../../x"] {
        for journal in &journals {
            fs::write(journal, text.replace("\"librocblas.so.5.99.0\"", &format!("{evil:?}")))
                .expect("write");
        }
        // The state is derived from the store instead.
        let (code, line) = machine.status();
        assert_eq!(code, 4, "{line}");
        assert!(line.contains("is not followed"), "{line}");
        assert_eq!(fs::read(&victim).expect("there"), contents);
    }
    machine.tree.installer(&["repair"]).success();
    machine.assert_applied();
    machine.revert();
    assert_eq!(fs::read(&victim).expect("there"), contents);
    let left = untouched.differences(&machine.snapshot());
    // Links that `apply` may have created cannot be distinguished from a user's.
    assert!(
        left.iter().all(|line| line.contains("libamdhip64")
            || line.contains("libhipblaslt")
            || line.contains("ld.so.cache")),
        "{left:#?}"
    );
}

#[test]
fn files_that_are_no_libraries_under_their_names_are_no_obstacle() {
    let machine = Machine::new();
    let mut mkfifo = Command::new("mkfifo");
    run(mkfifo.arg(machine.lib("librocblas.so.5.1.pipe"))).success();
    fs::write(machine.lib("librocblas.so.5.0.70002.bak"), vec![0xff; 4096]).expect("write");
    fs::create_dir(machine.lib("librocblas.so.5.old")).expect("make");
    let stock = fs::read(machine.lib("librocblas.so.5.0.70002")).expect("stock");
    fs::write(machine.lib("librocblas.so.5.cut"), &stock[..stock.len() / 3]).expect("write");
    let before = machine.snapshot();
    machine.apply(&[]).success();
    machine.assert_applied();
    machine.revert().success();
    before.assert_same(&machine.snapshot());
}
