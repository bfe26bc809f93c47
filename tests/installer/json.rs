//! `--json`: one valid document on stdout and nothing else, whatever happens.

use crate::{machine::Machine, printing::trace};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::Command,
};
use tests::{
    artefacts,
    run::{Ended, run},
};

/// Parses the only document, and checks its version.
#[track_caller]
fn document(ended: &Ended) -> Value {
    let document: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    assert_eq!(document["schema"], 1, "{ended:?}");
    document
}

#[test]
fn every_refusal_is_a_document_with_a_code() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let (_tree, trace) = trace();
    let trace = trace.to_str().expect("UTF-8");
    let empty = tempfile::tempdir().expect("a directory");
    let empty = empty.path().to_str().expect("UTF-8");
    let file = machine.outside().join("file");
    fs::write(&file, "text").expect("write");
    let file = file.to_str().expect("UTF-8");
    for (words, exit_code, code) in [
        (&["frobnicate"][..], 2, "usage"),
        (&[], 2, "usage"),
        (&["apply", "--original", "burn"], 2, "usage"),
        (&["apply", "--backend"], 2, "usage"),
        (&["status", "--verbose", "--quiet"], 2, "usage"),
        (&["trace", "show"], 2, "usage"),
        (&["replay"], 2, "usage"),
        (&["replay", file, "--repeat", "0"], 2, "usage"),
        (&["completions", "csh"], 2, "usage"),
        (&["man", "frobnicate"], 1, "usage"),
        (&["trace", "export", trace, "--format", "csv"], 1, "usage"),
        (&["--root", "/absent", "status"], 1, "failed"),
        (&["--root", file, "status"], 1, "failed"),
        (&["--root", empty, "status"], 1, "no-tree"),
        (&["--root", empty, "apply"], 1, "no-tree"),
        (&["--root", empty, "revert"], 1, "no-tree"),
        (&["--rocm", "/absent", "verify"], 1, "no-tree"),
        (&["backends", "use", "absent"], 1, "failed"),
        (&["backends", "remove", "6.3.0"], 1, "failed"),
        (&["apply", "--backend", file], 1, "failed"),
        (&["apply", "--shim", file], 1, "failed"),
        (&["doctor", "--log", "/absent"], 1, "failed"),
        (&["trace", "summary", file], 1, "unreadable"),
        (&["trace", "show", "/absent"], 1, "unreadable"),
        (&["trace", "diff", trace, file], 1, "unreadable"),
        (&["trace", "show-capture", file], 1, "unreadable"),
        (&["replay", file], 1, "failed"),
        (&["trace", "report", trace, "--output", "/absent/x"], 1, "failed"),
        (&["trace", "stop", "4294967295"], 1, "failed"),
    ] {
        for first in [true, false] {
            let mut command = Command::new(artefacts::installer());
            if first {
                command.arg("--json");
            }
            if !words.contains(&"--root") {
                command.arg("--root").arg(machine.tree.root());
            }
            command.args(words);
            if !first {
                command.arg("--json");
            }
            let ended = run(&mut command);
            assert_eq!(ended.status.code(), Some(exit_code), "{words:?}: {ended:?}");
            let error = document(&ended)["error"].clone();
            assert_eq!(error["code"], code, "{words:?}: {ended:?}");
            let message = error["message"].as_str().expect("a message");
            assert!(!message.is_empty() && error["causes"].is_array(), "{error}");
            let in_words = ended.stderr.replace(['\n', ' '], "");
            assert!(in_words.contains(&message.replace(['\n', ' '], "")), "{ended:?}");
        }
    }
    let denied = run(Command::new(artefacts::installer()).args(["status", "--", "--json"]));
    assert_eq!(
        (denied.status.code(), denied.stdout.as_str()),
        (Some(2), ""),
        "not an option there"
    );
}

#[test]
fn every_success_is_a_document_too() {
    let machine = Machine::new();
    let shim = artefacts::shim().to_str().expect("UTF-8");
    let backend = machine.backend.to_str().expect("UTF-8");
    let (_tree, trace) = trace();
    let trace = trace.to_str().expect("UTF-8");
    let out = |name: &str| machine.outside().join(name).to_str().expect("UTF-8").to_owned();
    let (page, export, pages, into) = (out("page"), out("export"), out("man"), out("image"));
    let app = machine.tree.root().join("app");
    fs::create_dir(&app).expect("make");
    let source = machine.outside().join("program.c");
    fs::write(&source, "int main(void) { return 0; }").expect("write");
    machine.tree.build(&source, &["-Wl,--no-as-needed", "-lrocblas"]);
    for (words, member) in [
        (&["status"][..], "state"),
        (&["verify"], "verified"),
        (&["revert"], "steps"),
        (&["apply", "--backend", backend, "--shim", shim, "--dry-run"], "steps"),
        (&["apply", "--backend", backend, "--shim", shim], "steps"),
        (&["status"], "state"),
        (&["verify"], "verified"),
        (&["inspect"], "trees"),
        (&["doctor"], "findings"),
        (&["backends", "list"], "backends"),
        (&["backends", "use", "7.0.2"], "steps"),
        (&["backends", "use", "6.3.0"], "steps"),
        (&["collect", "/usr/bin/program", "--into", &into], "files"),
        (&["completions", "fish"], "script"),
        (&["man"], "page"),
        (&["man", "--into", &pages], "files"),
        (&["--help"], "help"),
        (&["backends", "use", "--help"], "help"),
        (&["--version"], "installer"),
        (&["trace", "summary", trace], "calls"),
        (&["trace", "diff", trace, trace], "calls"),
        (&["trace", "report", trace, "--output", &page], "bytes"),
        (&["trace", "export", trace, "--format", "csv", "--output", &export], "file"),
        (&["-q", "status"], "state"),
        (&["revert"], "steps"),
    ] {
        let ended = machine.tree.installer(&[&["--json"], words].concat());
        let document = document(&ended);
        assert!(document.get(member).is_some() && document.get("error").is_none(), "{ended:?}");
    }
    let shown = machine.tree.installer(&["trace", "show", trace, "--json"]).success();
    let lines: Vec<Value> =
        shown.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 8);
    assert!(lines.iter().all(|line| line["schema"] == 1), "{shown:?}");
}

#[test]
fn a_tree_whose_name_is_not_utf_8_has_documents() {
    let machine = Machine::new();
    let name = OsStr::from_bytes(b"/opt/rocm-\xff\x1b\xe2\x80\xae");
    let place = machine.tree.root().join(Path::new(name).strip_prefix("/").expect("absolute"));
    fs::rename(machine.tree.root().join("opt/rocm-7.0.2"), place).expect("rename");
    let shim = artefacts::shim().as_os_str();
    let installer = |words: &[&OsStr]| {
        let mut command = machine.tree.installer_command(&["--json", "--rocm"]);
        run(command.arg(name).args(words))
    };
    let apply: Vec<OsString> = [
        "apply".into(),
        "--shim".into(),
        shim.into(),
        "--backend".into(),
        (&machine.backend).into(),
    ]
    .into();
    let apply: Vec<&OsStr> = apply.iter().map(OsString::as_os_str).collect();
    let dry_run = [apply.as_slice(), &["--dry-run".as_ref()]].concat();
    for (words, codes) in [
        (&["status".as_ref()][..], [3, 3]),
        (&dry_run, [1, 1]),
        (&apply, [1, 1]),
        (&["verify".as_ref()], [3, 3]),
        (&["inspect".as_ref()], [0, 0]),
        (&["doctor".as_ref()], [0, 1]),
        (&["backends".as_ref(), "list".as_ref()], [0, 0]),
        (&["revert".as_ref()], [0, 0]),
    ] {
        let ended = installer(words);
        document(&ended);
        let code = ended.status.code().unwrap_or(134);
        assert!(codes.contains(&code), "{words:?}: {ended:?}");
        assert!(ended.stdout.is_ascii(), "{ended:?}");
    }
    let status = document(&installer(&["status".as_ref()]));
    assert_eq!(status["lib"], "/opt/rocm-\\xff\u{1b}\u{202e}/lib");
}
