//! `docker/bench.sh`, which is `llama-bench-table` in the image, run with stand-ins: a script for
//! llama-bench, a small HTTP server for llama-server, and a directory for /sys.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    artefacts::workspace,
    docker::tools::tool,
    program,
    run::{Ended, run},
};

/// Prints two tests in llama-bench's JSONL format. The speeds depend on the depth, so that each row shows
/// which test it comes from.
const LLAMA_BENCH: &str = r#"#!/usr/bin/env bash
set -eu
shopt -s nullglob
echo "$*" >> "$BENCH_LOG"
echo 'ggml_cuda_init: found 1 ROCm devices' >&2
while [ $# -gt 0 ]; do
    case $1 in
        -d) depth=$2 ;;
    esac
    shift
done
for card in "$SYSFS"/class/drm/card?; do
    echo $((8000000000 + depth * 1048576)) > "$card/device/mem_info_vram_used"
done
sleep 0.5
for card in "$SYSFS"/class/drm/card?; do
    echo 209715200 > "$card/device/mem_info_vram_used"
done
common='"build_commit": "abc1234", "model_type": "qwen3 8B Q4_K - Medium", "n_depth": '$depth
echo "{$common, \"n_prompt\": 512, \"n_gen\": 0, \"avg_ts\": 40$depth.126, \"stddev_ts\": 1.5, \"samples_ts\": [ 1, 2 ]}"
echo "{$common, \"n_prompt\": 0, \"n_gen\": 128, \"avg_ts\": 3$depth.5, \"stddev_ts\": 0.25, \"samples_ts\": [ 1, 2 ]}"
"#;

const CALL: &str = r#"{"choices":[{"finish_reason":"tool_calls","index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"},"id":"x1"}]}}],"model":"qwen3"}"#;

struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new(llama_bench: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let bench = Self { directory };
        for kept in ["bin", "sys/class/drm", "tmp"] {
            fs::create_dir_all(bench.path(kept)).expect("make a directory");
        }
        fs::write(bench.path("a model.gguf"), "").expect("write a model");
        program::script(bench.path("bin/llama-bench"), llama_bench);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn card(self, number: u32) -> Self {
        let device = self.path(&format!("sys/class/drm/card{number}/device"));
        fs::create_dir_all(&device).expect("make a card");
        fs::write(device.join("mem_info_vram_used"), "209715200\n").expect("write its VRAM");
        self
    }

    fn command(&self) -> Command {
        let path = std::env::var("PATH").expect("a PATH");
        let mut command = Command::new(workspace().join("docker/bench.sh"));
        command
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("SYSFS", self.path("sys"))
            .env("TMPDIR", self.path("tmp"))
            .env("BENCH_LOG", self.path("log"))
            .env_remove("LLAMA_URL")
            .env_remove("LLAMA_ARG_MODEL")
            .env_remove("http_proxy")
            .env_remove("ROCBLAS_SHIM_BACKEND");
        command
    }

    fn table(&self, more: &[&str]) -> Ended {
        let model = self.path("a model.gguf");
        run(self.command().arg("--model").arg(model).arg("--no-tools").args(more))
    }

    fn left_over(&self) -> usize {
        fs::read_dir(self.path("tmp")).expect("read the directory").count()
    }
}

/// Responds to requests with these statuses and bodies in order, repeats the last one, and logs the requests.
fn server(answers: &'static [(&'static str, &'static str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line of the request");
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if line.trim().is_empty() {
                    break;
                }
                head += &line;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the request's body");
            log.lock().expect("no panic").push(head + &String::from_utf8_lossy(&body));
            let (status, body) = answers[number.min(answers.len() - 1)];
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}", body.len());
            let answer = format!("{head}\r\nConnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).expect("answer");
        }
    });
    (url, asked)
}

fn ask(answers: &'static [(&'static str, &'static str)]) -> (Ended, Vec<String>) {
    let (url, asked) = server(answers);
    let bench = Bench::new(LLAMA_BENCH);
    let ended = run(bench.command().args(["--no-bench", "--url", &url]));
    assert_eq!(bench.left_over(), 0, "temporary files");
    let asked = asked.lock().expect("no panic").clone();
    (ended, asked)
}

#[test]
fn a_table_of_speeds_and_memory_at_each_depth() {
    let bench = Bench::new(LLAMA_BENCH).card(0).card(1);
    let ended = bench.table(&["--", "-fa", "1"]).success();
    let expected = "\
qwen3 8B Q4_K - Medium, a model.gguf; llama.cpp abc1234; rocBLAS backend: the default

| context |         prompt t/s |     generation t/s | peak VRAM MiB |
|--------:|-------------------:|-------------------:|--------------:|
|       0 |      400.13 ± 1.50 |       30.50 ± 0.25 |   7629 + 7629 |
|    2048 |   402048.13 ± 1.50 |    32048.50 ± 0.25 |   9677 + 9677 |
|    4096 |   404096.13 ± 1.50 |    34096.50 ± 0.25 | 11725 + 11725 |
|    8192 |   408192.13 ± 1.50 |    38192.50 ± 0.25 | 15821 + 15821 |

";
    assert_eq!(ended.stdout, expected, "{ended:?}");
    assert!(
        ended.stderr.contains("VRAM in use before, MiB of each card: 200 + 200\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("llama-bench at context 8192"), "no progress: {ended:?}");
    let log = fs::read_to_string(bench.path("log")).expect("llama-bench's log");
    let model = bench.path("a model.gguf").display().to_string();
    let first = format!("-m {model} -p 512 -n 128 -d 0 -ngl 99 -o jsonl -fa 1");
    assert_eq!(log.lines().next(), Some(&*first));
    assert_eq!(log.lines().count(), 4);
    assert_eq!(bench.left_over(), 0, "temporary files");
}

#[test]
fn without_a_card_memory_is_not_available() {
    let ended = Bench::new(LLAMA_BENCH).table(&["--depths", "0"]).success();
    assert!(ended.stdout.contains("|           n/a |"), "{ended:?}");
}

#[test]
fn warnings_are_shown_without_the_rest() {
    let warning = "rocblas-shim: WARN rocblas_x is not in this backend";
    let warning_bench = LLAMA_BENCH.replace("sleep 0.5", &format!("echo '{warning}' >&2"));
    let ended = Bench::new(&warning_bench).card(0).table(&["--depths", "0"]).success();
    assert!(ended.stderr.contains(warning), "{ended:?}");
    assert!(!ended.stderr.contains("ggml_cuda_init"), "{ended:?}");
}

#[test]
fn the_backend_is_named_when_it_was_chosen() {
    let bench = Bench::new(LLAMA_BENCH).card(0);
    let model = bench.path("a model.gguf");
    let mut command = bench.command();
    command.arg("--no-tools").args(["--depths", "0"]).env("LLAMA_ARG_MODEL", model);
    let ended = run(command.env("ROCBLAS_SHIM_BACKEND", "7.0.2")).success();
    assert!(ended.stdout.contains("rocBLAS backend: 7.0.2\n"), "{ended:?}");
}

#[test]
fn an_error_of_llama_bench_is_shown_and_ends_the_run() {
    let failing = LLAMA_BENCH.replace(
        "sleep 0.5",
        "if [ $depth = 4096 ]; then echo 'rocBLAS error: out of memory' >&2; exit 7; fi",
    );
    let bench = Bench::new(&failing).card(0);
    let ended = bench.table(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("failed at context 4096: exit code 7"), "{ended:?}");
    assert!(ended.stderr.contains("rocBLAS error: out of memory"), "{ended:?}");
    assert!(ended.stdout.contains("|    2048 |"), "what was measured is gone: {ended:?}");
    assert!(!ended.stdout.contains("8192"), "it went on: {ended:?}");
    assert_eq!(bench.left_over(), 0, "temporary files");
}

#[test]
fn output_without_results_is_an_error() {
    let ended = Bench::new("#!/bin/sh\necho nonsense\n").table(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("no result in its output. It said:\nnonsense"), "{ended:?}");
}

#[test]
fn stopping_it_stops_llama_bench() {
    let bench = Bench::new("#!/bin/bash\necho $$ > \"$BENCH_LOG\"\nexec sleep 60\n");
    let mut command = bench.command();
    command.arg("--model").arg(bench.path("a model.gguf")).arg("--no-tools");
    let mut child = command.stderr(Stdio::null()).spawn().expect("start it");
    let start = Instant::now();
    let pid = loop {
        let text = fs::read_to_string(bench.path("log")).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n') {
            break pid.to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "llama-bench did not start");
        thread::sleep(Duration::from_millis(10));
    };
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("stop it");
    assert_eq!(child.wait().expect("wait").code(), Some(143));
    while fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n") {
        assert!(start.elapsed() < Duration::from_secs(20), "llama-bench runs on");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(bench.left_over(), 0, "temporary files");
}

#[test]
fn a_tool_call_is_printed() {
    let (ended, asked) = ask(&[("200 OK", "{\"status\":\"ok\"}"), ("200 OK", CALL)]);
    let ended = ended.success();
    assert_eq!(ended.stdout, "tool call: ok get_weather({\"city\":\"Paris\"})\n");
    let [health, request] = &asked[..] else { panic!("{asked:?}") };
    assert!(health.starts_with("GET /health HTTP"), "{health}");
    let (head, body) = request.split_once("\r\n{").expect("a body");
    assert!(head.starts_with("POST /v1/chat/completions HTTP"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&format!("{{{body}")).expect("JSON");
    assert_eq!(body["tools"][0]["function"]["name"], "get_weather");
}

#[test]
fn a_tool_call_is_found_in_indented_json_too() {
    const INDENTED: &str = r#"{
  "choices": [ { "finish_reason": "tool_calls", "message": { "content": "",
    "tool_calls": [
      { "id": "x", "function": { "arguments": "{\"city\": \"Saint-\\\"Denis\\\"\"}", "name": "get_weather" } }
    ] } } ] }"#;
    let (ended, _) = ask(&[("200 OK", "{}"), ("200 OK", INDENTED)]);
    assert!(ended.success().stdout.contains("ok get_weather({\"city\": \"Saint-"));
}

#[test]
fn what_came_instead_of_a_tool_call_is_said() {
    const WORDS: &str = r#"{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"I \"cannot\"\nknow."}}]}"#;
    const OTHER: &str = r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"get_time","arguments":"{}"}}]}}]}"#;
    const EMPTY: &str =
        r#"{"choices":[{"finish_reason":"stop","message":{"content":"no","tool_calls":[]}}]}"#;
    const ERROR: &str = r#"{"error":{"code":500,"message":"tools param requires --jinja flag"}}"#;
    for (status, body, said) in [
        ("200 OK", WORDS, "an answer in words: I \"cannot\" know."),
        ("200 OK", OTHER, "but get_time({})"),
        ("200 OK", EMPTY, "an answer in words: no"),
        ("500 Internal Server Error", ERROR, "HTTP status 500: {\"error\""),
        ("200 OK", "<html>", "an answer in words: \n"),
    ] {
        let answers: &'static [_] = Box::leak(Box::new([("200 OK", "{}"), (status, body)]));
        let (ended, _) = ask(answers);
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        assert!(ended.stderr.contains("tool call: none, "), "{ended:?}");
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
}

#[test]
fn a_server_that_loads_its_model_is_waited_for() {
    const LOADING: (&str, &str) = ("503 Service Unavailable", "{\"error\":\"Loading model\"}");
    let (ended, _) = ask(&[LOADING, ("200 OK", "{}"), ("200 OK", CALL)]);
    let ended = ended.success();
    assert!(ended.stderr.contains("is loading its model ..."), "{ended:?}");
    let (url, _) = server(&[LOADING]);
    let bench = Bench::new(LLAMA_BENCH);
    let mut command = bench.command();
    let ended = run(command.args(["--no-bench", "--url", &url]).env("LLAMA_PATIENCE", "0"));
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.stderr.contains("still loading its model"), "{ended:?}");
}

#[test]
fn a_server_that_cannot_be_reached_is_said_and_is_no_failure() {
    let bench = Bench::new(LLAMA_BENCH);
    // A port that was just closed, so that nothing listens on it.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    for url in [format!("http://{port}"), "http://nowhere.invalid:8080/".into()] {
        let ended = run(bench.command().arg("--no-bench").env("LLAMA_URL", &url)).success();
        let said =
            format!("tool call: skipped, no server at {}: curl: (", url.trim_end_matches('/'));
        assert!(ended.stdout.starts_with(&said), "{ended:?}");
    }
}

#[test]
fn wrong_options_are_answered_with_a_sentence() {
    let bench = Bench::new(LLAMA_BENCH);
    for (arguments, said) in [
        (&[][..], "give a model: --model FILE"),
        (&["--model", "/no/such.gguf"], "there is no file /no/such.gguf"),
        (&["--model"], "--model needs a value"),
        (&["--modle", "x"], "there is no option --modle"),
        (
            &["--model", "/dev/../etc/passwd", "--depths", "0;2048"],
            "--depths is numbers with commas",
        ),
    ] {
        let ended = run(bench.command().args(arguments));
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
        assert!(ended.stderr.contains("See llama-bench-table --help."), "{ended:?}");
    }
}

#[test]
fn help_has_an_example() {
    let help = run(Bench::new(LLAMA_BENCH).command().arg("--help")).success();
    assert!(help.stdout.contains("Example:\n  llama-bench-table --model "), "{help:?}");
    assert!(help.stderr.is_empty(), "{help:?}");
}

#[test]
fn shellcheck_has_no_complaint() {
    let script = workspace().join("docker/bench.sh");
    run(Command::new("bash").arg("-n").arg(&script)).silent_success();
    let Some(shellcheck) = tool("shellcheck") else { return };
    let ended = run(Command::new(&shellcheck).arg(&script)).silent_success();
    assert_eq!(ended.stdout, "");
    let wrong = tempfile::NamedTempFile::new().expect("a file");
    fs::write(wrong.path(), "#!/bin/bash\nrm $1/*\n").expect("write it");
    let ended = run(Command::new(shellcheck).arg(wrong.path()));
    assert!(ended.stdout.contains("SC2086"), "the checker finds nothing: {ended:?}");
}
