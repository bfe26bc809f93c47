//! The confirmation before irreversible changes, and when the installer asks for it.

use crate::machine::Machine;
use std::process::Command;
use tests::{
    run::{Ended, run},
    terminal::run_at_terminal,
};

fn delete(machine: &Machine, more: &[&str]) -> Command {
    let shim = tests::artefacts::shim().to_str().expect("UTF-8");
    let backend = machine.backend.to_str().expect("UTF-8");
    let needed = ["apply", "--backend", backend, "--shim", shim, "--original", "delete"];
    machine.tree.installer_command(&[&needed, more].concat())
}

fn is_asked(ended: &Ended) -> bool {
    ended.stderr.contains(" [y/N] ")
}

#[test]
fn only_a_yes_at_a_terminal_deletes_the_stock_library() {
    let machine = Machine::new();
    let before = machine.snapshot();
    for no in ["n\n", "\n", "nonsense\n", "\u{4}", "yes please\n"] {
        let ended = run_at_terminal(&mut delete(&machine, &[]), no);
        assert_eq!(ended.status.code(), Some(1), "{no:?}: {ended:?}");
        assert!(is_asked(&ended) && ended.stderr.contains("nothing was changed"), "{ended:?}");
        before.assert_same(&machine.snapshot());
    }
    let ended = run_at_terminal(&mut delete(&machine, &["--json"]), "n\n");
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(document["error"]["code"], "declined", "{ended:?}");
    let ended = run_at_terminal(&mut delete(&machine, &[]), "Yes\n").success();
    assert!(is_asked(&ended), "{ended:?}");
    machine.assert_applied();
}

#[test]
fn nobody_is_asked_by_yes_or_a_dry_run_or_without_a_terminal() {
    let machine = Machine::new();
    let ended = run_at_terminal(&mut delete(&machine, &["--dry-run"]), "").success();
    assert!(!is_asked(&ended), "{ended:?}");
    let ended = run_at_terminal(&mut delete(&machine, &["--yes"]), "").success();
    assert!(!is_asked(&ended), "{ended:?}");
    let machine = Machine::new();
    let ended = run(&mut delete(&machine, &[])).success();
    assert!(!is_asked(&ended), "{ended:?}");
    machine.assert_applied();
}
