//! What is printed, and where: full disks, closed pipes, hostile names, and how much of a plan is printed.

use crate::machine::Machine;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::pipe,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tests::{
    artefacts::{self, standins},
    compile::library,
    run::{Ended, client, run},
    scenario::linked_client,
    tree::Tree,
};

/// A small trace of four threads; the caller must keep the tree.
pub(crate) fn trace() -> (Tree, PathBuf) {
    let tree = Tree::with_shim();
    let null = tree.root().join("null.so");
    let null = library(&standins().join("null_backend.c"), &null, "librocblas.so.4", &[]);
    tree.add_backend("null", &null);
    let program = linked_client(&tree, "tracing/repeats.c", &[]);
    let traces = tree.root().join("traces");
    run(client(&tree, &program).arg("8").env("ROCBLAS_SHIM_TRACE", &traces)).success();
    let directory = fs::read_dir(&traces).expect("readable").next().expect("one").expect("a trace");
    (tree, directory.path())
}

/// Commands for a machine with the shim that print every kind of output.
fn commands(trace: &Path) -> Vec<Vec<OsString>> {
    let lines: &[&[&str]] = &[
        &["status"],
        &["status", "--json"],
        &["verify"],
        &["verify", "--json"],
        &["inspect"],
        &["inspect", "--json"],
        &["revert", "--dry-run"],
        &["revert", "--dry-run", "--json"],
        &["apply", "--dry-run"],
        &["apply", "--dry-run", "--verbose"],
        &["backends", "list"],
        &["backends", "list", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "bash", "--json"],
        &["man"],
        &["man", "trace", "show"],
        &["man", "--json"],
        &["--help"],
        &["apply", "--help"],
        &["--help", "--json"],
        &["--version"],
        &["--version", "--json"],
        &["frobnicate", "--json"],
        &["backends", "use", "absent", "--json"],
        &["trace", "summary", "TRACE"],
        &["trace", "summary", "TRACE", "--json"],
        &["trace", "show", "TRACE"],
        &["trace", "show", "TRACE", "--json"],
        &["trace", "follow", "TRACE"],
        &["trace", "diff", "TRACE", "TRACE"],
        &["trace", "diff", "TRACE", "TRACE", "--json"],
        &["trace", "export", "TRACE", "--format", "chrome"],
        &["trace", "export", "TRACE", "--format", "jsonl"],
        &["trace", "export", "TRACE", "--format", "csv"],
        &["trace", "export", "TRACE", "--format", "bench"],
    ];
    let word = |word: &str| match word {
        "TRACE" => trace.as_os_str().to_owned(),
        _ => OsString::from(word),
    };
    lines.iter().map(|line| line.iter().map(|text| word(text)).collect()).collect()
}

/// A command for a machine.
fn command(machine: &Machine, words: &[OsString]) -> Command {
    let mut command = machine.tree.installer_command(&[]);
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs a command to its end with this stdout.
fn with_stdout(mut command: Command, stdout: Stdio) -> (Option<i32>, String) {
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("spawn");
    let output = child.wait_with_output().expect("wait");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_full_device_is_an_error_and_a_closed_pipe_is_none() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let (_tree, trace) = trace();
    for words in commands(&trace) {
        let normal = run(&mut command(&machine, &words));
        let full = File::options().write(true).open("/dev/full").expect("open");
        let (code, stderr) = with_stdout(command(&machine, &words), full.into());
        assert_eq!(code, Some(1), "{words:?}: {stderr}");
        assert!(stderr.contains("No space left on device"), "{words:?}: {stderr}");
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let (code, stderr) = with_stdout(command(&machine, &words), writer.into());
        assert_eq!(code, normal.status.code(), "{words:?}: {stderr}");
        assert_eq!(stderr, normal.stderr, "{words:?}");
        let mut closed = Command::new("sh");
        let installer = command(&machine, &words);
        closed.args(["-c", r#"exec "$@" >&-"#, "sh"]).arg(installer.get_program());
        let ended = run(closed.args(installer.get_args()));
        assert_eq!(ended.status.code(), normal.status.code(), "{words:?}: {ended:?}");
        let full = File::options().write(true).open("/dev/full").expect("open");
        let mut deaf = command(&machine, &words);
        let status = deaf.stdout(Stdio::null()).stderr(full).status().expect("run");
        assert_eq!(status.code(), normal.status.code(), "{words:?}");
    }
}

#[test]
fn what_was_changed_is_changed_where_it_cannot_be_said() {
    let machine = Machine::new();
    let before = machine.snapshot();
    machine.apply(&[]).success();
    let full = || File::options().write(true).open("/dev/full").expect("open");
    let words = [OsString::from("revert")];
    let (code, stderr) = with_stdout(command(&machine, &words), full().into());
    assert_eq!(code, Some(1), "{stderr}");
    before.assert_same(&machine.snapshot());
    let (_tree, trace) = trace();
    for report in [["export", "--format=csv"], ["report", "--"]] {
        let mut words = vec!["trace", report[0], "--output", "/dev/full", report[1]];
        words.push(trace.to_str().expect("UTF-8"));
        let ended = machine.tree.installer(&words);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("/dev/full"), "{ended:?}");
        assert!(ended.stderr.contains("No space left on device"), "{ended:?}");
    }
}

/// What a hostile name attempts: it sets the title of the terminal, fakes a line, changes colours, reverses
/// text, and is not UTF-8.
const HOSTILE: &[u8] = b"x\x1b]0;x\x07\nFORGED\x1b[31mRED\xe2\x80\xaeesrever\xc2\x9b31m\xff";

fn hostile() -> String {
    // For JSON and other texts, which cannot contain arbitrary bytes.
    String::from_utf8_lossy(HOSTILE).into_owned()
}

/// A machine whose tree, libraries, Tensile files, backends and packages have hostile names; the tree's name;
/// and a trace with hostile names.
fn hostile_machine() -> (Machine, OsString, Tree, PathBuf) {
    let machine = Machine::new();
    let name = OsStr::from_bytes(HOSTILE);
    let root = machine.tree.root();
    // Without the byte that is not UTF-8, which a journal cannot represent.
    let mut tree = OsString::from("/opt/rocm-7.0.2");
    tree.push(OsStr::from_bytes(&HOSTILE[..HOSTILE.len() - 1]));
    let place = root.join(Path::new(&tree).strip_prefix("/").expect("absolute"));
    fs::rename(root.join("opt/rocm-7.0.2"), &place).expect("rename");
    let mut apply = machine.tree.installer_command(&["apply", "--rocm"]);
    apply.arg(&tree).arg("--shim").arg(artefacts::shim()).arg("--backend").arg(&machine.backend);
    run(&mut apply).success();
    let lib = place.join("lib");
    for file in ["librocblas.so.5.", "libamdhip64.so.7."] {
        let mut path = lib.join(file).into_os_string();
        path.push(name);
        symlink("absent", path).expect("link");
    }
    let mut library = lib.join("librocblas.so.5.1.").into_os_string();
    library.push(name);
    fs::copy(artefacts::stock(), library).expect("copy");
    let backend = lib.join("rocblas-shim/backends").join(name);
    fs::create_dir_all(backend.join("lib")).expect("make a backend");
    let tensile = lib.join("rocblas/library");
    fs::create_dir_all(&tensile).expect("make");
    for gpu in ["gfx908", "gfx942"] {
        let mut path = tensile.join("TensileLibrary_").into_os_string();
        path.push(name);
        path.push(format!("_{gpu}.dat"));
        fs::write(path, "x").expect("write");
    }
    fs::create_dir_all(root.join("var/lib/dpkg/info")).expect("make");
    let package = hostile().replace('\n', " ");
    let status = format!("Package: {package}\nVersion: 1-1\n\n");
    fs::write(root.join("var/lib/dpkg/status"), status).expect("write");
    let (traced, trace) = trace();
    let header = trace.join("process.json");
    let text = fs::read_to_string(&header).expect("a header");
    let mut process: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for member in ["program", "host", "shim"] {
        process[member] = hostile().into();
    }
    process["arguments"] = vec![hostile(), hostile()].into();
    process["backend"]["name"] = hostile().into();
    process["backend"]["version"] = hostile().into();
    fs::write(header, process.to_string()).expect("write");
    // The file of a thread is named if it cannot be read.
    let evil = trace.with_file_name(name);
    fs::create_dir(&evil).expect("make");
    for entry in fs::read_dir(&trace).expect("readable") {
        let path = entry.expect("an entry").path();
        fs::rename(&path, evil.join(path.file_name().expect("a name"))).expect("rename");
    }
    fs::write(evil.join("thread-9999.trace"), "no trace").expect("write");
    (machine, tree, traced, evil)
}

/// Checks that no part of the name reached the terminal unescaped.
#[track_caller]
fn assert_tame(words: &[OsString], output: &[u8], coloured: bool) {
    let text = std::str::from_utf8(output)
        .unwrap_or_else(|e| panic!("{words:?}: {e}: {}", String::from_utf8_lossy(output)));
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("FORGED"), "{words:?}: {line:?}");
    }
    let mut rest = text;
    while coloured && let Some(at) = rest.find("\u{1b}[") {
        let parameters = rest[at + 2..].find(|c: char| !c.is_ascii_digit() && c != ';');
        let end = at + 2 + parameters.expect("an end");
        assert!(rest[end..].starts_with('m') && !rest[end..].starts_with("mRED"), "{rest:?}");
        rest = &rest[end..];
    }
    let text = if coloured { text.replace("\u{1b}[", "") } else { text.to_owned() };
    let is_wild = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{fffd}".contains(c);
    assert!(!text.contains(is_wild), "{words:?}: {text:?}");
}

#[test]
fn hostile_names_are_escaped_in_every_text_and_colours_stay() {
    let (machine, tree, _traced, trace) = hostile_machine();
    let log = machine.outside().join("log");
    let error = "rocBLAS error: Cannot read /x/";
    fs::write(&log, [error.as_bytes(), HOSTILE, b"/TensileLibrary.dat: No such file\n"].concat())
        .expect("write");
    let backend = machine.backend.as_os_str();
    let mut lines: Vec<Vec<OsString>> = commands(&trace);
    let name = OsStr::from_bytes(HOSTILE);
    let absent = machine.outside().join(name);
    for words in [
        vec![OsStr::new("apply"), OsStr::new("--backend"), backend, "--dry-run".as_ref()],
        vec!["apply".as_ref(), "--backend".as_ref(), backend],
        vec!["status".as_ref()],
        vec!["verify".as_ref()],
        vec!["apply".as_ref(), "--backend".as_ref(), absent.as_os_str()],
        vec!["apply".as_ref(), "--built".as_ref(), absent.as_os_str()],
        vec!["apply".as_ref(), "--shim".as_ref(), absent.as_os_str()],
        vec!["backends".as_ref(), "use".as_ref(), OsStr::new("\u{1b}[31mRED\nFORGED")],
        vec!["inspect".as_ref(), absent.as_os_str()],
        vec!["doctor".as_ref(), "--log".as_ref(), log.as_os_str()],
        vec!["doctor".as_ref(), "--log".as_ref(), absent.as_os_str()],
        vec!["doctor".as_ref(), "--report".as_ref(), absent.as_os_str()],
        vec!["collect".as_ref(), "--into".as_ref(), absent.as_os_str(), name],
        vec!["trace".as_ref(), "summary".as_ref(), absent.as_os_str()],
        vec!["trace".as_ref(), "show".as_ref(), trace.parent().expect("in one").as_os_str()],
        vec![name],
        vec!["apply".as_ref(), name],
        vec!["--root".as_ref(), name, "status".as_ref()],
        vec!["completions".as_ref(), name],
        vec!["man".as_ref(), OsStr::new("\u{1b}[31mRED\nFORGED")],
        vec!["revert".as_ref()],
    ] {
        lines.push(words.into_iter().map(OsStr::to_owned).collect());
    }
    let mut escaped = 0;
    for words in lines {
        for coloured in [false, true] {
            let mut command = machine.tree.installer_command(&[]);
            command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
            if coloured {
                command.env("CLICOLOR_FORCE", "1");
            }
            if words.first().is_some_and(|word| word != "trace") {
                command.arg("--rocm").arg(&tree);
            }
            let output = command.args(&words).stdin(Stdio::null()).output().expect("run");
            // Data for other programs, in formats with their own escaping.
            let is_data = words.iter().any(|word| word == "export" || word == "completions");
            assert_tame(&words, &output.stderr, coloured);
            if !is_data {
                assert_tame(&words, &output.stdout, coloured && !words.contains(&"man".into()));
            }
            assert!(output.status.code().is_some(), "{words:?}: {output:?}");
            let said = [output.stdout, output.stderr].concat();
            escaped += usize::from(String::from_utf8_lossy(&said).contains("\\u{1b}"));
        }
    }
    // Checks that the names were printed at all.
    assert!(escaped > 40, "{escaped}");
    let report = fs::read(&absent).expect("the report of doctor");
    assert_tame(&[], &report, false);
}

fn plan(machine: &Machine, more: &[&str]) -> Ended {
    machine.apply(&[&["--dry-run"], more].concat()).success()
}

#[test]
fn a_plan_has_a_line_for_a_group_of_files_and_all_of_them_on_demand() {
    let machine = Machine::new();
    let files = fs::read_dir(machine.backend.join("rocblas/library")).expect("readable").count();
    let lib = "rocblas-shim/backends/6.3.0/lib";
    let brief = plan(&machine, &[]).stdout;
    let group = format!("  place   {files} files in {lib}/rocblas/library/ (");
    assert!(brief.contains(&group), "{brief}");
    assert!(!brief.contains("gfx906.dat"), "{brief}");
    assert!(brief.contains("in /opt/rocm-7.0.2/lib/\n"), "{brief}");
    assert!(brief.contains("  link    librocblas.so.5 -> "), "{brief}");
    let long = plan(&machine, &["--verbose"]).stdout;
    assert!(long.contains("TensileLibrary_lazy_gfx906.dat ("), "{long}");
    assert_eq!(long.lines().count(), brief.lines().count() + files - 1);
    assert_eq!(plan(&machine, &["-v"]).stdout, long);
    let quiet = plan(&machine, &["--quiet"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    machine.apply(&["-q"]).silent_success();
    assert_eq!(machine.tree.installer(&["-q", "status"]).silent_success().stdout, "");
    let refused = machine.tree.installer(&["-q", "backends", "use", "absent"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.starts_with("error: "), "{refused:?}");
    let both = machine.tree.installer(&["-q", "-v", "status"]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}
