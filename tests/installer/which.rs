//! `which`: for a process, it reports what the process has mapped; for a program, what the loader and the
//! shim do when it is started.

use crate::machine::Machine;
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};
use tests::{
    artefacts, program,
    run::{Ended, run},
    skip::skip,
};

/// Prints which backend the shim opened, and waits until its input ends.
const WAITING: &str = r#"
#include <rocblas.h>
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    rocblas_handle handle = 0;
    rocblas_create_handle(&handle);
    const char *(*path)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "rocblas_shim_backend_path");
    const char *(*name)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "rocblas_shim_backend_name");
    printf("%s %s\n", name ? name() : "stock", path ? path() : "");
    fflush(stdout);
    getchar();
    return 0;
}"#;

/// A program from this source that links rocBLAS and has loaded the HIP runtime.
fn build(machine: &Machine, name: &str, source: &str) -> PathBuf {
    let file = machine.outside().join(format!("{name}.c"));
    fs::write(&file, source).expect("write");
    machine.tree.build(&file, &["-lrocblas", "-Wl,--no-as-needed", "-lhipblas", "-lamdhip64"])
}

/// A waiting process, which ends when this is dropped.
struct Waiting {
    child: Child,
    _input: ChildStdin,
    /// The first line that it printed.
    line: String,
}

impl Waiting {
    fn start(command: &mut Command) -> Self {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.spawn().expect("start");
        let input = child.stdin.take().expect("piped");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("read");
        Self { child, _input: input, line: line.trim().to_owned() }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A waiting program in the machine's tree; `None` if changing the root is not permitted.
fn waiting(machine: &Machine, variables: &[(&str, &str)]) -> Option<Waiting> {
    let program = build(machine, "waiting", WAITING);
    let Some(mut command) = machine.tree.inside(&program) else {
        skip("processes in another root", "changing the root needs root's rights");
        return None;
    };
    Some(Waiting::start(command.envs(variables.iter().copied())))
}

/// `which` with these variables, and none of the others that matter.
fn which_with(machine: &Machine, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = machine.tree.installer_command(&[&["which"], arguments].concat());
    for name in ["LD_LIBRARY_PATH", "LD_PRELOAD"] {
        command.env_remove(name);
    }
    run(command.envs(variables.iter().copied()))
}

fn which(machine: &Machine, arguments: &[&str]) -> Ended {
    which_with(machine, &[], arguments)
}

/// The document for one target.
#[track_caller]
fn document(ended: &Ended) -> Value {
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    document["which"][0].clone()
}

const STORE: &str = "/opt/rocm-7.0.2/lib/rocblas-shim/backends";

#[test]
fn a_process_has_the_shim_a_backend_and_a_hip_runtime() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(process) = waiting(&machine, &[("LD_LIBRARY_PATH", "/nowhere\x1b]0;x")]) else {
        return;
    };
    let ended = which(&machine, &[&process.pid()]).success();
    for line in [
        "  rocBLAS  /opt/rocm-7.0.2/lib/librocblas.so.5.99.0 (shim ",
        &format!("  backend  6.3.0: {STORE}/6.3.0/lib/librocblas.so.4.3.60300 (ROCm 6.3.0)"),
        "  HIP      /opt/rocm-7.0.2/lib/libamdhip64.so.7.0.70002 (ROCm 7.0.2)",
        "  hipBLAS  /opt/rocm-7.0.2/lib/libhipblas.so.3.0.70002",
        "  set      LD_LIBRARY_PATH=/nowhere\\u{1b}]0;x",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {ended:?}");
    }
    assert!(ended.stdout.starts_with(&format!("process {}: /usr/bin/waiting\n", process.pid())));
    assert!(!ended.stdout.contains("note:"), "{ended:?}");

    let document = document(&which(&machine, &["--json", &process.pid()]).success());
    assert_eq!(document["kind"], "process");
    assert_eq!(document["rocblas"].as_array().map(Vec::len), Some(1), "{document:#}");
    let said = format!("{} {}", document["backend"]["name"], document["backend"]["path"]);
    // The shim reports the symlink, which refers to the same file.
    assert!(process.line.starts_with("6.3.0 "), "{}", process.line);
    assert_eq!(said.replace('"', ""), format!("6.3.0 {STORE}/6.3.0/lib/librocblas.so.4.3.60300"));
    assert_eq!(document["hip"].as_array().map(Vec::len), Some(1), "{document:#}");
}

#[test]
fn a_process_keeps_the_backend_that_it_was_started_with() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(process) = waiting(&machine, &[]) else { return };
    let chosen = waiting(&machine, &[("ROCBLAS_SHIM_BACKEND", "6.3.0")]).expect("as before");
    machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    let ended = which(&machine, &[&process.pid()]).success();
    let note = format!("shim.toml now names 7.0.2: restart process {}", process.pid());
    assert!(ended.stdout.contains(&note), "{ended:?}");
    assert!(ended.stdout.contains("backend  6.3.0: "), "{ended:?}");
    let ended = which(&machine, &[&chosen.pid()]).success();
    assert!(ended.stdout.contains("set      ROCBLAS_SHIM_BACKEND=6.3.0"), "{ended:?}");
    assert!(!ended.stdout.contains("note:"), "{ended:?}");
    let stock = waiting(&machine, &[]).expect("as before");
    let ended = which(&machine, &[&stock.pid()]).success();
    let line = format!("backend  7.0.2: {STORE}/7.0.2/lib/librocblas.so.5.0.70002");
    assert!(ended.stdout.contains(&line), "{ended:?}");
}

#[test]
fn a_process_without_the_shim_has_the_stock_library() {
    let machine = Machine::new();
    let Some(process) = waiting(&machine, &[("ROCBLAS_SHIM_BACKEND", "6.3.0")]) else { return };
    let ended = which(&machine, &[&process.pid()]).success();
    let path = "rocBLAS  /opt/rocm-7.0.2/lib/librocblas.so.5.0.70002 (ROCm 7.0.2)";
    assert!(ended.stdout.contains(path), "{ended:?}");
    assert!(ended.stdout.contains("ROCBLAS_SHIM_BACKEND=6.3.0 has no effect"), "{ended:?}");
    assert!(!ended.stdout.contains("backend "), "{ended:?}");
}

#[test]
fn a_library_that_was_replaced_while_it_is_used_is_named() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(process) = waiting(&machine, &[]) else { return };
    for path in ["librocblas.so.5.99.0", "rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300"]
    {
        let new = machine.lib("new");
        fs::copy(machine.lib(path), &new).expect("copy");
        fs::rename(&new, machine.lib(path)).expect("replace");
    }
    // The files are identified by their mappings, or by their names if permission is lacking.
    let ended = which(&machine, &[&process.pid()]).success();
    for name in ["librocblas.so.5.99.0", "librocblas.so.4.3.60300"] {
        let note = format!("{name} was removed or replaced after process {}", process.pid());
        assert!(ended.stdout.contains(&note), "{ended:?}");
    }
    assert!(ended.stdout.contains("restart the process"), "{ended:?}");
    let document = document(&which(&machine, &["--json", &process.pid()]).success());
    assert_eq!(document["rocblas"][0]["replaced"], true, "{document:#}");
    assert!(document["rocblas"][0]["shim"].is_string(), "{document:#}");
    assert_eq!(document["backend"]["name"], "6.3.0", "{document:#}");
}

#[test]
fn a_process_without_rocblas_and_one_that_is_gone_have_exit_codes_of_their_own() {
    let machine = Machine::new();
    let mut child = Command::new("sleep").arg("60").spawn().expect("start");
    let pid = child.id().to_string();
    let ended = which(&machine, &[&pid]);
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.stdout.contains("rocBLAS  none"), "{ended:?}");
    let ended = which(&machine, &[&pid]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("there is no process {pid}")), "{ended:?}");
    // A number that no process can have.
    let ended = which(&machine, &["--json", "4294967295"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let document = document(&ended);
    assert_eq!(document["error"][0], "there is no process 4294967295");
}

#[test]
fn another_users_process_is_refused_with_the_reason_and_ones_own_is_read_without_root() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let Some(process) = waiting(&machine, &[]) else { return };
    let mut chmod = Command::new("chmod");
    chmod.arg("a+rX").arg("-R").args([machine.tree.root(), machine.outside()]);
    run(&mut chmod).success();
    let copy = machine.outside().join("installer");
    program::copy(artefacts::installer(), &copy);
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&copy);
        command.args(arguments).uid(65534).gid(65534).current_dir("/");
        run(&mut command)
    };
    let ended = as_nobody(&["which", &process.pid()]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for part in ["no permission", "it belongs to user 0", "sudo"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }

    let program = machine.tree.root().join("usr/bin/waiting");
    let mut command = Command::new("chroot");
    command.arg("--userspec=65534:65534").arg(machine.tree.root()).arg("/usr/bin/waiting");
    assert!(program.exists());
    let own = Waiting::start(command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
    let root = machine.tree.root().to_str().expect("UTF-8");
    let ended = as_nobody(&["--root", root, "which", &own.pid()]).success();
    assert!(ended.stdout.contains("librocblas.so.5.99.0 (shim 0"), "{ended:?}");
    assert!(ended.stdout.contains("backend  6.3.0: "), "{ended:?}");
    // Seen from outside, its paths are the machine's.
    let ended = as_nobody(&["which", &own.pid()]).success();
    assert!(ended.stdout.contains(&format!("rocBLAS  {root}/opt/rocm-7.0.2/lib")), "{ended:?}");
    // A file that is no longer readable is identified by its name.
    fs::remove_file(machine.lib("librocblas.so.5.99.0")).expect("remove");
    let ended = as_nobody(&["which", &own.pid()]).success();
    assert!(ended.stdout.contains("(shim of unknown version), replaced since"), "{ended:?}");
}

#[test]
fn a_process_of_another_mount_namespace_is_looked_at_through_its_own_root() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let program = build(&machine, "waiting", WAITING);
    if machine.tree.inside(&program).is_none()
        || run(Command::new("unshare").args(["--mount", "true"])).status.code() != Some(0)
    {
        skip("processes in a mount namespace", "making one needs root's rights");
        return;
    }
    // The tree is the root in there, as in a container.
    let script = "mount --rbind \"$0\" \"$0\" && cd \"$0\" && mkdir -p old && pivot_root . old && \
                  exec /usr/bin/waiting";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    let process = Waiting::start(command.arg(machine.tree.root()).env_remove("LD_LIBRARY_PATH"));
    assert!(process.line.starts_with("6.3.0 "), "{}", process.line);
    let mut command = Command::new(artefacts::installer());
    let ended = run(command.args(["which", &process.pid()])).success();
    for part in [
        "waiting (paths are inside its container)",
        "rocBLAS  /opt/rocm-7.0.2/lib/librocblas.so.5.99.0 (shim 0",
        &format!("backend  6.3.0: {STORE}/6.3.0/lib/librocblas.so.4.3.60300"),
    ] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
}

#[test]
fn what_is_foretold_of_a_program_is_what_it_does() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let program = build(&machine, "waiting", WAITING);
    let outside = machine.tree.root().join("srv");
    fs::create_dir(&outside).expect("a directory");
    fs::copy(machine.backend.join("librocblas.so.4"), outside.join("other.so")).expect("copy");
    let stock = format!("{STORE}/7.0.2/lib");
    let settings = machine.lib("rocblas-shim/shim.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    let without = text.replace("backend = ", "# backend = ");
    let relative = text.replace("\"6.3.0\"", "\"backends/7.0.2/lib/librocblas.so.5\"");
    for (settings_text, variables) in [
        (&text, &[][..]),
        (&text, &[("ROCBLAS_SHIM_BACKEND", "7.0.2")]),
        (&text, &[("ROCBLAS_SHIM_BACKEND", "/srv/other.so")]),
        (&text, &[("ROCBLAS_SHIM_BACKEND", "srv/other.so")]),
        (&text, &[("ROCBLAS_SHIM_BACKEND", "8.0.0")]),
        (&text, &[("ROCBLAS_SHIM_BACKEND", "")]),
        (&text, &[("ROCBLAS_SHIM_BACKEND", "/opt/rocm/lib/librocblas.so.5")]),
        (&text, &[("LD_LIBRARY_PATH", stock.as_str())]),
        (&text, &[("LD_LIBRARY_PATH", "/srv"), ("ROCBLAS_SHIM_BACKEND", "7.0.2")]),
        (&text, &[("LD_PRELOAD", "/opt/rocm/lib/rocblas-shim/backends/7.0.2/lib/librocblas.so.5")]),
        (&without, &[]),
        (&relative, &[]),
        (&"backend = [".to_owned(), &[]),
    ] {
        fs::write(&settings, settings_text).expect("write");
        let ended = which_with(&machine, variables, &["--json", "waiting"]);
        assert_eq!(ended.status.code(), Some(0), "{variables:?}: {ended:?}");
        let document = document(&ended);
        let backend = &document["backend"];
        let found = backend["found"].as_str().or(backend["path"].as_str()).unwrap_or_default();
        let is_shim = document["rocblas"][0]["shim"].is_string();
        let name = if is_shim { backend["name"].as_str().unwrap_or_default() } else { "stock" };
        let Some(mut command) = machine.tree.inside(&program) else {
            skip("programs in another root", "changing the root needs root's rights");
            return;
        };
        command.env("ROCBLAS_SHIM_LOG", "off").envs(variables.iter().copied());
        let line = run(&mut command).stdout;
        let (said_name, said_path) =
            line.trim_end_matches('\n').split_once(' ').expect("two words");
        assert_eq!(name, said_name, "{variables:?} {settings_text} {document:#}");
        let same = |path: &str| match path {
            "" => PathBuf::new(),
            path => {
                machine.tree.root().join(path.trim_start_matches('/')).canonicalize().expect("it")
            }
        };
        assert_eq!(same(found), same(said_path), "{variables:?} {settings_text} {document:#}");
    }
}

#[test]
fn what_is_no_program_that_links_rocblas_is_said() {
    let machine = Machine::new();
    let bin = machine.tree.root().join("usr/bin");
    let source = machine.outside().join("plain.c");
    fs::write(&source, "int main(void) { return 0; }\n").expect("write");
    machine.tree.build(&source, &[]);
    program::script(bin.join("script"), "#!/bin/sh\n");
    fs::write(bin.join("data"), "no program").expect("write");
    let ended = which(&machine, &["plain"]);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.stdout.contains("it does not link rocBLAS"), "{ended:?}");
    for (name, why) in [
        ("script", "is a script"),
        ("/usr/bin/data", "is not a program"),
        ("/usr/bin", "is a directory"),
        ("absent", "absent: not found in"),
        ("/absent", "/absent: No such file"),
    ] {
        let ended = which(&machine, &[name]);
        assert_eq!(ended.status.code(), Some(1), "{name}: {ended:?}");
        assert!(ended.stderr.contains(why), "{why}: {ended:?}");
    }
    // A second rocBLAS, under another name.
    fs::copy(machine.backend.join("librocblas.so.4"), bin.join("other.so")).expect("copy");
    build(&machine, "waiting", WAITING);
    let ended =
        which_with(&machine, &[("LD_PRELOAD", "/usr/bin/other.so")], &["waiting"]).success();
    assert!(ended.stdout.contains("more than one rocBLAS in one process"), "{ended:?}");
    // Each is reported, and the worst result determines the exit code.
    let ended = which(&machine, &["plain", "absent", "waiting"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("/usr/bin/waiting\n  rocBLAS  /opt/"), "{ended:?}");
    fs::remove_file(machine.lib("librocblas.so.5")).expect("remove a link");
    let ended = which(&machine, &["waiting"]);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.stdout.contains("would not load: "), "{ended:?}");
}

#[test]
fn a_program_that_gets_other_rights_ignores_the_environment() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let program = build(&machine, "waiting", WAITING);
    if machine.tree.inside(&program).is_none() {
        skip("a set-user-ID program", "giving a file away needs root's rights");
        return;
    }
    std::os::unix::fs::chown(&program, Some(65534), None).expect("give away");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("a mode");
    let ended = which_with(&machine, &[("ROCBLAS_SHIM_BACKEND", "7.0.2")], &["waiting"]).success();
    assert!(ended.stdout.contains("backend  6.3.0: "), "{ended:?}");
    assert!(ended.stdout.contains("ignore the environment"), "{ended:?}");
}
