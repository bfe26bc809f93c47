//! Starts the Compose files for real with every Compose tool, using an image of this machine's own programs
//! in place of llama.cpp, and no GPU: an engine may reject what a parser accepts.

use super::compose::tools;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    artefacts::workspace,
    run::{Ended, run, run_within},
    skip::skip,
};

const PROGRAMS: [&str; 18] = [
    "awk", "bash", "cat", "chown", "curl", "cut", "env", "grep", "id", "ls", "mkdir", "mktemp",
    "rm", "sed", "sleep", "sort", "touch", "tr",
];

/// Prints what the server is permitted to do, and stops like llama-server.
const SERVER: &str = r#"#!/bin/bash
printf 'argument %s\n' "$@"
id
echo "HIP_VISIBLE_DEVICES=$HIP_VISIBLE_DEVICES ROCBLAS_SHIM_BACKEND=$ROCBLAS_SHIM_BACKEND"
[ -z "$ROCBLAS_SHIM_TRACE" ] || mkdir -p "$ROCBLAS_SHIM_TRACE/llama-server-1"
touch /tmp/file || echo '/tmp is closed'
touch /file && echo 'the root is open'
touch /models/file && echo 'the models are open'
trap 'echo stopped; exit 0' TERM
echo ready
while :; do sleep 0.1; done
"#;

/// Leaves SIGTERM at its default action, like rpc-server.
const RPC_SERVER: &str = "#!/bin/bash\ntouch /cache/file && echo ready\nexec sleep 1000\n";

const INSTALLER: &str = r#"#!/bin/bash
echo "installer $*"
case $2 in
    report) echo page > "${@: -1}" && echo written ;;
    diff) ls -d "$3"/* "$4"/* ;;
esac
"#;

const LLAMA_BENCH: &str = r#"#!/bin/bash
common='"build_commit": "abc1234", "model_type": "qwen3", "stddev_ts": 0.5'
echo "{$common, \"n_prompt\": 512, \"n_gen\": 0, \"avg_ts\": 400}"
echo "{$common, \"n_prompt\": 0, \"n_gen\": 128, \"avg_ts\": 30}"
"#;

/// An image that is removed when this is dropped.
struct Image(String);

impl Drop for Image {
    fn drop(&mut self) {
        // Nothing can be done if the engine is gone.
        let _ = Command::new("docker").args(["rmi", "--force", &self.0]).output();
    }
}

fn path_of(program: &str) -> PathBuf {
    let ended = run(Command::new("bash").args(["-c", &format!("command -v {program}")])).success();
    fs::canonicalize(ended.stdout.trim()).expect("a program")
}

/// Builds an image of the machine's programs and their libraries, with stand-ins for llama.cpp's programs and
/// the installer.
fn image(name: String) -> Image {
    let root = tempfile::tempdir().expect("a directory");
    let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
    for directory in ["bin", "usr/local/bin", "tmp", "models", "app"] {
        fs::create_dir_all(inside(directory)).expect("make a directory");
    }
    // runc gives a tmpfs the mode of the directory that it is mounted over.
    run(Command::new("chmod").arg("1777").arg(inside("tmp"))).success();
    std::os::unix::fs::symlink("../bin", inside("usr/bin")).expect("make a link");
    for program in PROGRAMS {
        let path = path_of(program);
        fs::copy(&path, inside("bin").join(program)).expect("copy a program");
        let needs = run(Command::new("ldd").arg(&path)).success().stdout;
        for library in needs.split_whitespace().filter(|word| word.starts_with('/')) {
            let to = inside(library);
            fs::create_dir_all(to.parent().expect("a directory")).expect("make a directory");
            fs::copy(library, to).expect("copy a library");
        }
    }
    let table = fs::read_to_string(workspace().join("docker/bench.sh")).expect("read bench.sh");
    for (name, text) in [
        ("llama-server", SERVER),
        ("rpc-server", RPC_SERVER),
        ("installer", INSTALLER),
        ("llama-bench", LLAMA_BENCH),
        ("llama-bench-table", &table),
    ] {
        let program = inside("usr/local/bin").join(name);
        fs::write(&program, text).expect("write a program");
        run(Command::new("chmod").arg("755").arg(program)).success();
    }
    let archive = tempfile::NamedTempFile::new().expect("a file");
    run(Command::new("tar").arg("-cf").arg(archive.path()).arg("-C").arg(root.path()).arg("."))
        .success();
    let mut import = Command::new("docker");
    import.arg("import");
    for change in [
        "ENTRYPOINT [\"llama-server\"]",
        "USER 10001:10001",
        "WORKDIR /models",
        "ENV PATH=/usr/local/bin:/bin",
    ] {
        import.args(["--change", change]);
    }
    run(import.arg(archive.path()).arg(&name)).success();
    Image(name)
}

/// A separate Compose project with the Compose files, from which the GPUs have been removed.
struct Project<'a> {
    tool: &'a [String],
    directory: TempDir,
    files: &'a [&'a str],
    image: &'a Image,
    name: String,
}

impl<'a> Project<'a> {
    fn new(tool: &'a [String], files: &'a [&'a str], image: &'a Image) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for file in files {
            let text = fs::read_to_string(workspace().join("docker").join(file)).expect("read it");
            let is_device = |line: &&str| line.trim() == "devices:" || line.contains("- /dev/");
            let without: Vec<_> = text.lines().filter(|line| !is_device(line)).collect();
            fs::write(directory.path().join(file), without.join("\n")).expect("write it");
        }
        fs::create_dir(directory.path().join("models")).expect("make a directory");
        fs::write(directory.path().join("models/a model.gguf"), "").expect("write a model");
        // Tests run in parallel, and a network of the same name would belong to both.
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("compose-up-{}-{number}", std::process::id());
        Self { tool, directory, files, image, name }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tool[0]);
        command.args(&self.tool[1..]).current_dir(self.directory.path());
        command.args(["--project-name", &self.name]);
        for file in self.files {
            command.args(["-f", file]);
        }
        command.args(arguments).env_clear();
        // `.ci/engine` passes its engine this way.
        command.envs(std::env::var_os("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)));
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("MODELS", self.directory.path().join("models"))
            .env("MODEL", "a model.gguf")
            .env("RENDER_GID", "109")
            .env("LLAMA_IMAGE", &self.image.0)
            .env("KEPT_IMAGE", &self.image.0)
            .env("RPC_BIND", "127.0.0.1")
            // Any free port.
            .env("PORT", "0")
            .env("STOCK_PORT", "0")
            .env("RPC_PORT", "0");
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ended {
        run_within(&mut self.command(arguments), Duration::from_secs(120)).success()
    }

    #[track_caller]
    fn logs(&self, service: &str, until: &str) -> String {
        let start = Instant::now();
        loop {
            let logs = self.run(&["logs", "--no-color", service]).stdout;
            if logs.contains(until) {
                return logs;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no {until}: {logs}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn traces(&self) -> PathBuf {
        self.directory.path().join("traces")
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        // This also runs after a failed test, whose own failure is the one to report.
        let _ = self.command(&["down", "--volumes", "--timeout", "1"]).output();
        // May fail, because files in it may belong to user 10001.
        let _ = fs::remove_dir_all(self.traces());
    }
}

/// Runs a test with each tool, if containers can be run.
fn with_each_tool(files: &[&str], test: impl Fn(&Project<'_>)) {
    let what = format!("starting {}", files.join(", "));
    let engine = Command::new("docker").args(["version", "--format", "{{.Server.Os}}"]).output();
    if !engine.is_ok_and(|output| output.status.success()) {
        return skip(&what, "there is no Docker engine");
    }
    // Tests run in parallel, and each removes its own image.
    let stem = Path::new(files[files.len() - 1]).file_stem().expect("a name").to_string_lossy();
    let image = image(format!("compose-up-{stem}-{}:test", std::process::id()));
    for tool in tools() {
        test(&Project::new(tool, files, &image));
    }
}

#[test]
fn a_traced_server_has_its_rights_and_no_others() {
    with_each_tool(&["compose.yaml", "compose.trace.yaml"], |project| {
        project.run(&["up", "-d", "--no-build", "llama"]);
        let logs = project.logs("llama", "ready");
        for said in ["argument /models/a model.gguf\n", "uid=10001", "109", "HIP_VISIBLE_DEVICES=0"]
        {
            assert!(logs.contains(said), "{said}: {logs}");
        }
        for said in ["the root is open", "the models are open", "/tmp is closed"] {
            assert!(!logs.contains(said), "{logs}");
        }
        assert!(project.traces().join("llama-server-1").is_dir());

        let report = project.run(&["run", "--rm", "report"]);
        assert!(report.stdout.contains("written"), "{report:?}");
        let page = fs::read_to_string(project.traces().join("report.html"));
        assert_eq!(page.expect("a page that this user can read"), "page\n");

        let bench = project.run(&["run", "--rm", "bench"]);
        let row = "|    8192 |      400.00 ± 0.50 |       30.00 ± 0.50 |";
        assert!(bench.stdout.contains(row), "{bench:?}");
        assert!(bench.stdout.contains("tool call: skipped, no server at http://llama:8080"));

        let start = Instant::now();
        project.run(&["stop", "llama"]);
        assert!(start.elapsed() < Duration::from_secs(15), "it was killed");
        assert!(project.logs("llama", "stopped").contains("stopped"));
    });
}

#[test]
fn both_libraries_are_traced_apart() {
    with_each_tool(&["compose.yaml", "compose.stock.yaml"], |project| {
        project.run(&["up", "-d", "--no-build", "llama", "stock"]);
        let logs = project.logs("stock", "ready");
        assert!(logs.contains("ROCBLAS_SHIM_BACKEND=7.0.2\n"), "{logs}");
        let logs = project.logs("llama", "ready");
        assert!(logs.contains("ROCBLAS_SHIM_BACKEND=\n"), "{logs}");
        let diff = project.run(&["run", "--rm", "diff"]).stdout.replace('\r', "");
        let expected = "/traces/shim/llama-server-1\n/traces/stock/llama-server-1\n";
        assert!(diff.ends_with(expected), "{diff}");
    });
}

#[test]
fn an_rpc_server_keeps_its_cache_and_stops_when_told() {
    with_each_tool(&["compose.rpc.yaml"], |project| {
        project.run(&["up", "-d", "rpc"]);
        project.logs("rpc", "ready");
        let start = Instant::now();
        project.run(&["stop", "rpc"]);
        assert!(start.elapsed() < Duration::from_secs(8), "it was killed");
    });
}
