//! `run`: the program gets the backend that was named, and is itself the process that was started. The
//! installer only starts programs of the running system, so it runs inside the tree.

use crate::{machine::Machine, using};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::Command,
};
use tests::{
    artefacts, program,
    run::{Ended, run},
    skip::skip,
};

/// Prints its name, its arguments and its backend, and ends as its first argument requests.
const ODD: &str = r#"
#include <rocblas.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **arguments) {
    const char *(*name)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "rocblas_shim_backend_name");
    rocblas_handle handle = 0;
    rocblas_create_handle(&handle);
    struct sigaction action;
    sigaction(SIGPIPE, 0, &action);
    printf("%d %s %s", getpid(), name ? name() : "stock", action.sa_handler == SIG_DFL ? "default" : "other");
    for (int i = 0; i < count; i++) printf(" [%s]", arguments[i]);
    printf("\n");
    fflush(stdout);
    if (count > 1 && !strcmp(arguments[1], "--signal")) raise(SIGTERM);
    return count > 1 ? atoi(arguments[1]) : 0;
}"#;

/// A machine with the shim and two programs, and the installer in it.
fn machine() -> Machine {
    let machine = Machine::new();
    using::build(&machine);
    let source = machine.outside().join("odd.c");
    fs::write(&source, ODD).expect("write");
    machine.tree.build(&source, &["-lrocblas", "-Wl,--no-as-needed", "-lhipblas", "-lamdhip64"]);
    machine.apply(&[]).success();
    program::copy(artefacts::installer(), machine.tree.root().join("installer"));
    fs::create_dir(machine.tree.root().join("tmp")).expect("a directory");
    machine
}

/// The command `run` inside the tree; `None` if that is not permitted.
fn command(machine: &Machine, arguments: &[&str]) -> Option<Command> {
    let Some(mut command) = machine.tree.inside(&machine.tree.root().join("installer")) else {
        skip("programs in another root", "changing the root needs root's rights");
        return None;
    };
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("run").args(arguments);
    Some(command)
}

fn start(machine: &Machine, arguments: &[&str]) -> Option<Ended> {
    Some(run(&mut command(machine, arguments)?))
}

#[test]
fn the_program_has_the_backend_that_was_named() {
    let machine = machine();
    for (backend, name, scal) in [
        ("7.0.2", "7.0.2", ""),
        ("stock", "7.0.2", ""),
        ("6.3.0", "6.3.0", "scal 77"),
        (
            "/opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4",
            "librocblas.so.4",
            "scal 77",
        ),
        (
            "opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4",
            "librocblas.so.4",
            "scal 77",
        ),
    ] {
        // By name and by path, with and without `--`.
        for program in [&["--", "program"][..], &["/usr/bin/program"]] {
            let arguments = [&["--backend", backend], program].concat();
            let Some(ended) = start(&machine, &arguments) else { return };
            let ended = ended.silent_success();
            assert!(ended.stdout.starts_with(&format!("backend {name} ")), "{backend}: {ended:?}");
            assert!(ended.stdout.contains(scal), "{backend}: {ended:?}");
        }
    }
    // It leaves nothing behind.
    machine.assert_applied();
}

#[test]
fn the_program_is_the_process_that_was_started() {
    let machine = machine();
    let arguments = ["--backend", "7.0.2", "odd", "42", "--json", "--", "--backend", "a b", ""];
    let Some(mut command) = command(&machine, &arguments) else { return };
    let child = command.stdout(std::process::Stdio::piped()).spawn().expect("start");
    let pid = child.id();
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    let expected = format!("{pid} 7.0.2 default [odd] [42] [--json] [--] [--backend] [a b] []\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let ended =
        start(&machine, &["--backend", "7.0.2", "--", "odd", "--signal"]).expect("as before");
    assert_eq!(ended.status.signal(), Some(15), "{ended:?}");
}

#[test]
fn a_trace_is_made_where_the_command_was_given() {
    let machine = machine();
    let arguments = ["--backend", "6.3.0", "--trace", "tmp/traces", "--", "program"];
    let Some(ended) = start(&machine, &arguments) else { return };
    ended.silent_success();
    let traces = machine.tree.root().join("tmp/traces");
    let summary = Command::new(artefacts::installer())
        .args(["trace", "summary"])
        .arg(&traces)
        .output()
        .expect("start");
    let text = String::from_utf8_lossy(&summary.stdout).into_owned();
    assert!(text.contains("backend 6.3.0") && text.contains("sscal"), "{text}{summary:?}");
    let arguments = ["--backend", "6.3.0", "--trace", "stderr", "--", "program"];
    let ended = start(&machine, &arguments).expect("as before").success();
    assert!(ended.stderr.contains("rocblas_sscal"), "{ended:?}");
}

#[test]
fn relative_paths_mean_the_directory_where_the_command_was_given() {
    let machine = machine();
    let source = machine.outside().join("moves.c");
    let text = r#"
#include <unistd.h>
int main(int count, char **arguments) { return chdir("/usr") || execv(arguments[1], arguments + 1); }
"#;
    fs::write(&source, text).expect("write");
    machine.tree.build(&source, &[]);
    let backend = "opt/rocm/lib/rocblas-shim/backends/7.0.2/lib/librocblas.so.5";
    let arguments = ["--backend", backend, "--trace", "tmp/traces", "moves", "/usr/bin/program"];
    let Some(ended) = start(&machine, &arguments) else { return };
    let ended = ended.silent_success();
    assert!(ended.stdout.starts_with("backend librocblas.so.5 "), "{ended:?}");
    assert!(machine.tree.root().join("tmp/traces").is_dir());
}

#[test]
fn what_cannot_be_is_refused_before_the_program_starts() {
    let machine = machine();
    let root = machine.tree.root();
    fs::write(root.join("usr/bin/data"), "no program").expect("write");
    fs::write(root.join("tmp/text.so"), "no library").expect("write");
    let shim = "/opt/rocm/lib/librocblas.so.5";
    for (arguments, code, parts) in [
        (&["--backend", "8.1", "program"][..], 1, &["no backend 8.1", "6.3.0, 7.0.2"][..]),
        (&["--backend", "", "program"], 1, &["no backend "]),
        (&["--backend", "..", "program"], 1, &["6.3.0, 7.0.2"]),
        (&["--backend", "/tmp/absent.so", "program"], 1, &["/tmp/absent.so does not exist"]),
        (&["--backend", "/tmp/text.so", "program"], 1, &["/tmp/text.so is not a library"]),
        (&["--backend", "/opt/rocm/lib", "program"], 1, &["name the library in it"]),
        (&["--backend", shim, "program"], 1, &["cannot forward to a shim"]),
        (&["--backend", "/opt/rocm/lib/libamdhip64.so.7", "program"], 1, &["is not rocBLAS"]),
        (&["--backend", "7.0.2", "absent"], 127, &["absent: not found in PATH"]),
        (&["--backend", "7.0.2", "/absent"], 127, &["/absent: No such file"]),
        (&["--backend", "7.0.2", "/usr/bin/data"], 126, &["cannot start /usr/bin/data"]),
        (&["--backend", "7.0.2"], 2, &["PROGRAM"]),
        (&["program"], 2, &["--backend"]),
    ] {
        let Some(ended) = start(&machine, arguments) else { return };
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part}: {ended:?}");
        }
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
    let ended = machine.tree.installer(&["run", "--backend", "7.0.2", "program"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot be started from outside"), "{ended:?}");
}

#[test]
fn a_program_that_would_not_notice_is_not_started() {
    let machine = machine();
    let stock = "/opt/rocm/lib/rocblas-shim/backends/7.0.2/lib";
    let arguments = ["--backend", "6.3.0", "program"];
    let Some(mut command) = command(&machine, &arguments) else { return };
    let ended = run(command.env("LD_LIBRARY_PATH", stock));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is not the shim and ignores"), "{ended:?}");
    let program = machine.tree.root().join("usr/bin/program");
    std::os::unix::fs::chown(&program, Some(65534), None).expect("give away");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("a mode");
    let ended = start(&machine, &arguments).expect("as before");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is set-user-ID"), "{ended:?}");
}

#[test]
fn a_program_that_opens_rocblas_while_it_runs_has_the_backend_too() {
    let machine = machine();
    let source = machine.outside().join("opens.c");
    let text = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *library = dlopen("librocblas.so.5", RTLD_NOW);
    const char *(*name)(void) = (const char *(*)(void))dlsym(library, "rocblas_shim_backend_name");
    printf("%s\n", name());
    return 0;
}"#;
    fs::write(&source, text).expect("write");
    let hip = ["-Wl,--no-as-needed", "-lamdhip64"];
    let program = machine.tree.build(&source, &hip);
    assert!(program.ends_with(Path::new("usr/bin/opens")));
    let Some(ended) = start(&machine, &["--backend", "7.0.2", "opens"]) else { return };
    assert_eq!(ended.silent_success().stdout, "7.0.2\n");
    let ended = start(&machine, &["--backend", "7", "opens"]).expect("as before");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the store has 6.3.0, 7.0.2"), "{ended:?}");
}
