//! The installer's own documentation: its version, manual pages, completions.

use crate::machine::Machine;
use std::{fs, path::Path, process::Command};
use tests::{
    artefacts, program,
    run::{Ended, exists, run},
    skip::skip,
};

#[test]
fn the_version_names_the_commit_and_the_shim_beside_the_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("installer");
    program::copy(artefacts::installer(), &program);
    let version = |words: &[&str]| run(Command::new(&program).args(words)).success().stdout;
    let alone = version(&["--version"]);
    let (first, second) = alone.split_once('\n').expect("two lines");
    let commit = first.strip_prefix(concat!("installer ", env!("CARGO_PKG_VERSION"), " (commit "));
    let commit = commit.and_then(|rest| rest.strip_suffix(')')).expect(first);
    assert!(commit == "unknown" || commit.len() >= 7, "{commit}");
    assert_eq!(second, "no shim next to this program\n");
    fs::copy(artefacts::shim(), directory.path().join("librocblas.so")).expect("copy");
    assert_eq!(version(&["apply", "-V"]), format!("{first}\nshim {}\n", shim_version()));
    let document: serde_json::Value =
        serde_json::from_str(&version(&["--version", "--json"])).expect("JSON");
    assert_eq!((&document["schema"], &document["commit"]), (&1.into(), &commit.into()));
    assert_eq!(document["shim"], shim_version());
}

/// The version from the note in the shim's file.
fn shim_version() -> String {
    let file = fs::File::open(artefacts::shim()).expect("open");
    installer::elf::summary(&file).expect("a library").shim.expect("the shim's note")
}

#[test]
fn each_command_has_a_manual_page_that_man_can_show() {
    let directory = tempfile::tempdir().expect("a directory");
    let installer =
        |words: &[&str]| run(Command::new(artefacts::installer()).args(words)).success();
    let into = directory.path().to_str().expect("UTF-8");
    installer(&["man", "--into", into]);
    let main = fs::read_to_string(directory.path().join("installer.1")).expect("the main page");
    assert_eq!(installer(&["man"]).stdout, main);
    assert!(main.contains("installer\\-apply(1)") && !main.contains("live\\-check"), "{main}");
    let show = fs::read_to_string(directory.path().join("installer-trace-show.1"));
    assert_eq!(installer(&["man", "trace", "show"]).stdout, show.expect("a page"));
    let unknown = run(Command::new(artefacts::installer()).args(["man", "trace", "fly"]));
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("expected one of start, capture, stop"), "{unknown:?}");
    if !exists("groff") {
        return skip("the form of manual pages", "groff is not installed");
    }
    for entry in fs::read_dir(directory.path()).expect("readable") {
        let page = entry.expect("an entry").path();
        let mut groff = Command::new("groff");
        let shown = run(groff.args(["-man", "-Tascii", "-ww", "-z"]).arg(&page)).success();
        assert_eq!(shown.stderr, "", "{}", page.display());
    }
}

/// What bash would offer for the last of these words.
fn offered(machine: &Machine, words: &[&str]) -> Vec<String> {
    let root = machine.tree.root().to_str().expect("UTF-8");
    let words = [&["installer", "--root", root], words].concat();
    let mut command = Command::new(artefacts::installer());
    command.env("INSTALLER_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    let ended = run(command.arg("--").args(words)).success();
    ended.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_mistyped_command_is_not_taken_for_a_hidden_one() {
    for mistyped in ["aply", "play", "replya", "selftset", "revrt", "verfy"] {
        let ended = run(Command::new(artefacts::installer()).arg(mistyped));
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains("similar subcommand"), "{mistyped}: {ended:?}");
        for hidden in ["live-check", "device-for-selftest", "call-for-replay"] {
            assert!(!ended.stderr.contains(hidden), "{mistyped}: {ended:?}");
        }
    }
}

#[test]
fn names_of_backends_are_completed_and_hidden_commands_are_not() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let hostile = machine.lib("rocblas-shim/backends/6\u{1b}]0;x\u{7}");
    fs::create_dir(hostile).expect("make");
    for command in ["use", "remove"] {
        assert_eq!(offered(&machine, &["backends", command, ""])[..2], ["6.3.0", "7.0.2"]);
        assert_eq!(offered(&machine, &["backends", command, "6"]), ["6.3.0"]);
    }
    let commands = offered(&machine, &[""]);
    assert!(commands.iter().any(|command| command == "apply"), "{commands:?}");
    for hidden in ["live-check", "device-for-selftest", "call-for-replay"] {
        assert!(!commands.iter().any(|command| command == hidden), "{commands:?}");
        assert!(offered(&machine, &[&hidden[..6]]).iter().all(|command| command != hidden));
    }
    assert_eq!(offered(&machine, &["trace", "sh"]), ["show", "show-capture"]);
}

#[test]
fn the_script_for_each_shell_asks_the_program() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let mut command = Command::new(artefacts::installer());
        let script = run(command.args(["completions", shell])).silent_success().stdout;
        assert!(script.contains("INSTALLER_COMPLETE"), "{script}");
        assert!(!script.contains("live-check"), "{script}");
    }
    let machine = Machine::new();
    machine.apply(&[]).success();
    let ended = in_bash(&machine).success();
    assert_eq!(ended.stdout.trim(), "6.3.0 7.0.2");
}

#[test]
fn pages_and_scripts_call_the_program_by_the_name_that_a_package_gives_it() {
    let installer = |words: &[&str]| run(Command::new(artefacts::installer()).args(words));
    let script = installer(&["completions", "bash", "--name", "other"]).silent_success().stdout;
    assert!(script.contains("complete ") && script.contains(" other\n"), "{script}");
    let page = installer(&["man", "status", "--name", "other"]).silent_success().stdout;
    assert!(page.contains("other\\-status") && page.contains("other status ||"), "{page}");
    for name in ["", "a/b", "-a", "a b", "$a"] {
        let name = format!("--name={name}");
        assert_eq!(installer(&["completions", "bash", &name]).status.code(), Some(2), "{name}");
    }
}

/// Completes `installer --root ROOT backends use ` in bash itself.
fn in_bash(machine: &Machine) -> Ended {
    let directory = artefacts::installer().parent().unwrap_or(Path::new("/"));
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash = Command::new("bash");
    bash.env("PATH", format!("{}:{path}", directory.display()));
    let script = r#"source <(installer completions bash)
        COMP_WORDS=(installer --root "$1" backends use "") COMP_CWORD=5 COMP_TYPE=9
        _clap_complete_installer installer "" use
        echo "${COMPREPLY[@]:0:2}""#;
    run(bash.args(["--norc", "-c", script, "bash"]).arg(machine.tree.root()))
}
