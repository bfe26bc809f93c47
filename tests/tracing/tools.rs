//! Reading traces with `installer trace`: of programs that have ended, that have crashed, and that are running.

use crate::{
    Program, installer,
    serving::{self, Serving},
};
use rocblas_trace::read::traces_in;
use serde_json::Value as Json;
use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tests::{
    artefacts,
    run::{Ended, run},
    scenario::c_backend,
    tree::Tree,
};

/// The calls of `mixed.c`, without the times.
const MIXED: [&str; 7] = [
    "rocblas_create_handle() = success",
    "rocblas_get_version_string(len=64) = success by the shim",
    "rocblas_sgemm(none, transpose, m=2, n=2, k=2, alpha=1, lda=2, ldb=2, beta=0, ldc=2) = success",
    "rocblas_strsm(left, upper, none, non_unit, m=2, n=2, alpha=1, lda=2, ldb=2) = success",
    "rocblas_sgemm(none, none, m=-1, n=2, k=2, alpha=1, lda=2, ldb=2, beta=0, ldc=2) = invalid_size",
    "rocblas_is_user_managing_device_memory() = false",
    "rocblas_destroy_handle() = success",
];

/// `mixed.c` on this backend, traced to its end.
fn mixed(backend: &Path) -> Program {
    let program = Program::new("mixed.c", backend);
    run(&mut program.command()).silent_success();
    program
}

fn command(what: &str, path: &Path, words: &[&str]) -> Command {
    let mut command = installer();
    command.args(["trace", what]).arg(path).args(words);
    command
}

fn trace(what: &str, path: &Path, words: &[&str]) -> Ended {
    run(&mut command(what, path, words)).success()
}

fn lines(what: &str, path: &Path, words: &[&str]) -> Vec<String> {
    trace(what, path, words).stdout.lines().map(str::to_owned).collect()
}

/// A line of `show` without its times: `1 rocblas_...` for the first thread.
#[track_caller]
fn without_times(line: &str) -> &str {
    let (seconds, rest) = line.trim_start().split_once(' ').expect("a time");
    assert!(seconds.parse::<f64>().is_ok(), "{line}");
    rest.trim_start().rsplit_once("  ").expect("a duration").0
}

fn json(what: &str, path: &Path, words: &[&str]) -> Json {
    let ended = trace(what, path, words).silent_success();
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn documents(ended: &Ended) -> Vec<Json> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The first thread's file in the only trace.
fn file_of_first_thread(program: &Program) -> PathBuf {
    program.traced().directory.join(rocblas_trace::process::thread_file(1))
}

#[test]
fn calls_are_shown_in_lines() {
    let program = mixed(artefacts::reference());
    let traces = program.traces();
    let shown = lines("show", &traces, &[]);
    let shown: Vec<&str> = shown.iter().map(|line| without_times(line)).collect();
    // Each call has the number that options take, and that other commands print.
    let documents = documents(&trace("show", &traces, &["--json"]).silent_success());
    let numbers: Vec<u64> =
        documents.iter().map(|call| call["sequence"].as_u64().expect("a number")).collect();
    let expected: Vec<String> =
        MIXED.iter().zip(&numbers).map(|(call, number)| format!("1:{number} {call}")).collect();
    assert_eq!(shown, expected);
    for (number, call) in numbers.iter().zip(MIXED) {
        let by_number = [number.to_string(), format!("1:{number}")];
        for number in by_number {
            let shown = lines("show", &traces, &["--call", &number]);
            assert!(shown.len() == 1 && shown[0].contains(call), "{number}: {shown:?}");
        }
    }
    let usage = run(&mut command("show", &traces, &["--call", "x"]));
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    assert!(usage.stderr.contains("is not the number of a call (7041, or 2:7041"), "{usage:?}");

    let count = |words: &[&str]| lines("show", &traces, words).len();
    assert_eq!(count(&["--functions", "*gemm,*trsm"]), 3);
    assert_eq!(count(&["--functions", "-*handle"]), 5);
    assert_eq!(count(&["--status", "error"]), 1);
    assert_eq!(count(&["--status", "invalid_size"]), 1);
    assert_eq!(count(&["--status", "in_flight"]), 0);
    assert_eq!(count(&["--min", "1s"]), 0);
    assert_eq!(count(&["--thread", "2"]), 0);
    assert_eq!(count(&["--first", "2"]), 2);

    let long = lines("show", &traces, &["--long", "--functions", "*strsm"]);
    assert!(long[0].contains("rocblas_strsm(handle=0x"), "{long:?}");
    assert!(long[0].ends_with("  [handle 1, stream 0, host pointer mode]"), "{long:?}");
}

#[test]
fn calls_are_documents() {
    let program = mixed(artefacts::reference());
    let shown = documents(&trace("show", &program.traces(), &["--json"]).silent_success());
    let names: Vec<&str> = shown.iter().filter_map(|call| call["function"].as_str()).collect();
    assert_eq!(names.len(), MIXED.len());
    let strsm = &shown[3];
    assert_eq!(strsm["function"], "rocblas_strsm");
    assert_eq!(strsm["status"], "success");
    assert_eq!(strsm["arguments"]["side"], "left");
    assert_eq!(strsm["arguments"]["alpha"], 1.0);
    assert!(strsm["duration"].as_f64().is_some_and(|time| time > 0.0), "{strsm}");
    assert_eq!(shown[5]["result"], false);
    let exported = ["--format", "jsonl"];
    let exported = documents(&trace("export", &program.traces(), &exported).silent_success());
    assert_eq!(exported.len(), MIXED.len());
    assert_eq!(exported[3]["arguments"], strsm["arguments"]);
}

#[test]
fn who_has_read_enough_may_go() {
    // More than fits into a pipe.
    let program = Program::new("many.c", artefacts::reference());
    run(program.command().arg("5000")).silent_success();
    let formats = ["jsonl", "csv", "chrome"].map(|format| ["trace", "export", "--format", format]);
    let show = &["trace", "show"][..];
    for words in formats.iter().map(|words| &words[..]).chain([show]) {
        let mut command = Command::new("sh");
        command.args(["-c", "\"$0\" \"$@\" | head -n 1"]).arg(artefacts::installer());
        let ended = run(command.args(words).arg(program.traces())).silent_success();
        assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn a_summary_has_the_figures_and_what_failed_first() {
    let program = mixed(artefacts::reference());
    let summary = json("summary", &program.traces(), &["--json"]);
    assert_eq!((&summary["calls"], &summary["errors"]), (&Json::from(7), &Json::from(1)));
    assert_eq!(summary["statuses"]["success"], 5);
    assert_eq!(summary["in_flight"], serde_json::json!([]));
    assert_eq!(summary["failures"][0]["status"], "invalid_size");
    let sgemm = |of: &str| -> Json {
        let rows = summary[of].as_array().expect("rows");
        rows.iter().find(|row| row["function"] == "rocblas_sgemm").expect("a row").clone()
    };
    assert_eq!(sgemm("functions")["calls"], 2);
    assert_eq!(sgemm("functions")["work"]["operations"], 16.0);
    assert_eq!(summary["processes"][0]["backend"], "only (4.3.0.stand-in)");

    let text = trace("summary", &program.traces(), &["--rows", "2"]).silent_success().stdout;
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in\n{text}"));
    assert!(at("7 calls of 6 functions in 1 thread over ") < at("1 call failed"));
    assert!(at("1 call failed") < at("By function\n"));
    assert!(at("  and 4 more (--rows)") < at("By function and shape"));
    assert!(!text.contains("In flight"), "{text}");
}

#[test]
fn a_summary_says_how_many_calls_are_not_in_it() {
    let program = Program::new("many.c", artefacts::reference());
    let missing = |options: &str| -> Json {
        let mut command = program.command();
        run(command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options).arg("100000")).success();
        let summary = json("summary", &program.traces(), &["--json"]);
        fs::remove_dir_all(program.traces()).expect("remove");
        let sum: u64 = summary["missing"]
            .as_object()
            .expect("an object")
            .values()
            .filter_map(Json::as_u64)
            .sum();
        assert_eq!(summary["calls"].as_u64().expect("a number") + sum, 100_000);
        summary["missing"].clone()
    };
    assert_eq!(
        missing("min=1s"),
        serde_json::json!({"shorter than the filter's minimum": 100_000})
    );
    let [ring, limit] = ["ring=64K", "limit=64K"].map(|options| missing(options).to_string());
    assert!(ring.starts_with("{\"overwritten by later ones"), "{ring}");
    assert!(limit.starts_with("{\"without a place: the trace had ended"), "{limit}");
}

#[test]
fn a_crash_shows_the_call_that_it_was_in() {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "crashing.so", &["-DCRASHES"]);
    tree.add_backend("only", &backend);
    let program = Program::in_tree(tree, "crashes.c");
    assert_eq!(run(program.command().arg("2")).signal(), Some(libc::SIGSEGV));
    let text = trace("summary", &program.traces(), &[]).silent_success().stdout;
    assert!(text.contains("In flight at the end: a call that crashed or hung"), "{text}");
    let shown = lines("show", &program.traces(), &["--status", "in_flight"]);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("rocblas_dasum(n=42, incx=1)"), "{shown:?}");
    let number = shown[0].split_whitespace().nth(1).expect("a number");
    let named = format!(" s, call {number}: rocblas_dasum(n=42, incx=1)\n");
    assert!(text.contains(&named), "{text}\n{shown:?}");
    // A begin event without an end event, for users who view it in Perfetto.
    let chrome = json("export", &program.traces(), &["--format", "chrome"]);
    let events = chrome["traceEvents"].as_array().expect("events");
    let last = events.last().expect("an event");
    assert_eq!((&last["ph"], &last["name"]), (&Json::from("B"), &Json::from("dasum")));
}

#[test]
fn other_programs_can_read_it() {
    let program = mixed(artefacts::reference());
    let traces = program.traces();
    let file = program.tree.root().join("trace.json");
    let words = ["--format", "chrome", "--output", file.to_str().expect("UTF-8")];
    let ended = trace("export", &traces, &words).silent_success();
    assert_eq!(ended.stdout, "");
    let chrome: Json =
        serde_json::from_slice(&fs::read(&file).expect("the file")).expect("JSON of it");
    let events = chrome["traceEvents"].as_array().expect("events");
    let complete: Vec<&Json> = events.iter().filter(|event| event["ph"] == "X").collect();
    assert_eq!(complete.len(), MIXED.len());
    assert!(complete.iter().all(|event| event["dur"].as_f64().is_some_and(|time| time > 0.0)));
    let starts: Vec<f64> = complete.iter().filter_map(|event| event["ts"].as_f64()).collect();
    assert!(starts.is_sorted() && starts.len() == MIXED.len(), "{starts:?}");
    let names = events.iter().filter(|event| event["ph"] == "M").count();
    assert_eq!(names, 2, "the process and its thread");

    // Each distinct call that rocblas-bench supports, once.
    let bench = lines("export", &traces, &["--format", "bench", "--status", "success"]);
    let solver = "./rocblas-bench -f trsm -r f32_r --side L --uplo U --transposeA N --diag N -m 2 -n 2 \
                  --alpha 1 --lda 2 --ldb 2";
    assert_eq!(bench.len(), 2, "{bench:?}");
    assert_eq!(bench[1], solver);

    let csv = trace("export", &traces, &["--format", "csv"]).silent_success();
    let mut rows = csv::Reader::from_reader(csv.stdout.as_bytes());
    let columns = rows.headers().expect("a header").len();
    assert_eq!(csv.stdout.lines().count(), 1 + MIXED.len());
    for (row, call) in rows.records().zip(MIXED) {
        let row = row.expect("a row");
        assert_eq!(row.len(), columns);
        let signature = row.get(columns - 1).expect("a call");
        assert!(call.starts_with(signature), "{signature} {call}");
    }
}

#[test]
fn two_traces_are_compared() {
    let ours = mixed(artefacts::reference());
    let other = Program::new("many.c", artefacts::reference());
    run(other.command().arg("3")).silent_success();
    let diff = |before: &Program, after: &Program| -> Json {
        let after = after.traces();
        let words = [after.to_str().expect("UTF-8"), "--json"];
        json("diff", &before.traces(), &words)
    };
    let functions = |of: &Json| -> Vec<String> {
        let rows = of.as_array().expect("rows");
        let mut names: Vec<String> =
            rows.iter().map(|row| row["function"].as_str().expect("a name").to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let changed = diff(&ours, &other);
    assert_eq!(functions(&changed["new"]), ["rocblas_sscal"]);
    assert_eq!(functions(&changed["gone"]).len(), 6);

    // The same calls on the stand-in for ROCm 7.0.2's library on such a GPU.
    let stock = Program::new("mixed.c", artefacts::stock());
    run(&mut stock.command()).success();
    let changed = diff(&ours, &stock);
    assert_eq!(
        (&changed["new"], &changed["gone"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    let statuses = changed["statuses"].as_array().expect("rows");
    assert!(
        statuses.iter().any(|row| row["function"] == "rocblas_strsm"),
        "the solver returns a different status there: {changed:#}"
    );
    let stock = stock.traces();
    let text = trace("diff", &ours.traces(), &[stock.to_str().expect("UTF-8")]).stdout;
    assert!(text.contains("Changed statuses") && text.contains("strsm("), "{text}");
}

#[test]
fn a_trace_is_followed_until_its_program_ends() {
    let program = Program::new("many.c", artefacts::reference());
    let mut traced = program.command();
    // A thread that calls for a second and a half, and then another one.
    let mut traced = traced.args(["300", "5000", "2"]).spawn().expect("start");
    let start = Instant::now();
    while traces_in(&program.traces()).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "no trace begins");
    }
    let mut follow = command("follow", &program.traces(), &[]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().expect("start");
    let mut first = [0];
    let out = follow.stdout.as_mut().expect("piped");
    std::io::Read::read_exact(out, &mut first).expect("a first call");
    assert_eq!(traced.try_wait().expect("wait"), None, "it is shown while the program runs");
    assert!(traced.wait().expect("wait").success());
    let output = follow.wait_with_output().expect("wait");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let numbers: Vec<u64> = text
        .lines()
        .filter_map(|line| line.split_once("sscal(n=")?.1.split_once(',')?.0.parse().ok())
        .collect();
    assert_eq!(numbers, (0..300).chain(0..300).collect::<Vec<_>>());
}

#[test]
fn what_is_damaged_is_said_and_the_rest_is_shown() {
    let program = Program::new("many.c", artefacts::reference());
    run(program.command().arg("1000")).silent_success();
    let file = file_of_first_thread(&program);
    let whole = fs::read(&file).expect("read");
    let mut torn = whole.clone();
    // In the first segment; the others are intact.
    torn[4096 + 8192..4096 + 8192 + 100].fill(0xff);
    fs::write(&file, &torn).expect("write");
    let ended = trace("show", &program.traces(), &[]);
    let shown = ended.stdout.lines().count();
    assert!((500..1000).contains(&shown), "{shown}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    let text = trace("summary", &program.traces(), &[]).silent_success().stdout;
    assert!(text.contains(ended.stderr.trim()), "{text}\n{}", ended.stderr);
    let summary = json("summary", &program.traces(), &["--json"]);
    assert_eq!(summary["calls"], shown);
    // Cut in the middle of a record.
    fs::write(&file, &whole[..4096 + 8192 + 40]).expect("write");
    let cut = trace("show", &program.traces(), &[]);
    assert!((50..100).contains(&cut.stdout.lines().count()), "{}", cut.stdout.lines().count());
    assert_eq!(cut.stderr.lines().count(), 1, "{cut:?}");
}

#[test]
fn traces_of_several_processes_are_shown_one_after_another() {
    let program = mixed(artefacts::reference());
    run(&mut program.command()).silent_success();
    let shown = lines("show", &program.traces(), &[]);
    let heads: Vec<&String> = shown.iter().filter(|line| line.starts_with("# mixed")).collect();
    assert_eq!((heads.len(), shown.len()), (2, 2 + 2 * MIXED.len()));
    assert_eq!(json("summary", &program.traces(), &["--json"])["calls"], 14);
    // There is only one trace to follow.
    let ended = run(&mut command("follow", &program.traces(), &[]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("has the traces of 2 processes; name one of them:"), "{ended:?}");
}

#[test]
fn a_place_without_a_trace_is_said() {
    let tree = Tree::with_shim();
    for (path, why) in [
        (tree.root().join("nothing"), "No such file"),
        (tree.lib(), "has traces of the shim (ROCBLAS_SHIM_TRACE=DIR makes one)"),
    ] {
        for what in ["show", "follow", "summary"] {
            let ended = run(&mut command(what, &path, &[]));
            assert_eq!(ended.status.code(), Some(1), "{ended:?}");
            assert!(ended.stderr.contains(why), "{what}: {ended:?}");
        }
    }
}

#[test]
fn the_handle_that_a_call_made_is_shown() {
    let program = mixed(artefacts::reference());
    let shown = documents(&trace("show", &program.traces(), &["--json"]).silent_success());
    let made = shown[0]["made"].as_str().expect("a handle").to_owned();
    assert_eq!(shown[0]["function"], "rocblas_create_handle");
    assert_eq!(shown[0]["handle"], 1);
    assert_eq!(shown[2]["arguments"]["handle"], made.as_str(), "the one that is used then");
    assert_ne!(shown[0]["arguments"]["handle"], made.as_str(), "that is where the caller keeps it");
    let lines = lines("show", &program.traces(), &["--long"]);
    assert!(lines[0].contains(&format!("  -> {made}  [handle 1, stream 0")), "{lines:?}");
    assert!(lines[1..].iter().all(|line| !line.contains("->")), "{lines:?}");
}

/// The message if no program has made a call.
const NO_CALLS: &str = "a trace begins with a program's first rocBLAS call, and a program that computes \
                        without rocBLAS makes none";

#[test]
fn a_directory_in_which_no_call_was_recorded_is_not_an_error() {
    let tree = Tree::with_shim();
    let traces = tree.root().join("traces");
    fs::create_dir(&traces).expect("make a directory");
    let page = traces.join("report.html");
    let report = ["--output", page.to_str().expect("UTF-8")];
    // Like a new volume, with the files that its file system creates; then with an earlier report.
    for others in [None, Some("lost+found")] {
        if let Some(name) = others {
            fs::create_dir(traces.join(name)).expect("make a directory");
        }
        let summary = trace("summary", &traces, &[]).silent_success();
        assert_eq!(summary.stdout, format!("No rocBLAS call was recorded: {NO_CALLS}\n"));
        assert_eq!(json("summary", &traces, &["--json"])["calls"], 0);
        let reported = trace("report", &traces, &report).silent_success();
        assert!(reported.stdout.contains(NO_CALLS), "{reported:?}");
        assert!(
            fs::read_to_string(&page).expect("a page").contains("No rocBLAS call was recorded")
        );
        for what in [&["show"][..], &["export", "--format", "jsonl"]] {
            let ended = trace(what[0], &traces, &what[1..]).success();
            assert_eq!(ended.stdout, "");
            assert!(ended.stderr.contains(NO_CALLS), "{ended:?}");
        }
    }
    // A trace that was started, with no call since.
    let program = Program::new("serves.c", artefacts::reference());
    let serving = Serving::untraced(&program, &[]);
    let pid = serving.pid.to_string();
    let output = program.traces();
    let start =
        ["start", &pid, "--output", output.to_str().expect("UTF-8"), "--functions", "*gemm*"];
    serving::trace(&start).silent_success();
    serving.end();
    let summary = trace("summary", &output, &[]).silent_success();
    assert!(summary.stdout.starts_with("serves (process "), "{summary:?}");
    assert!(summary.stdout.ends_with(&format!("recorded: {NO_CALLS}\n")), "{summary:?}");
    // A misspelt name is an error.
    let ended = run(&mut command("summary", &tree.root().join("trace"), &[]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("with the first rocBLAS call of a program that records there"));
}

#[test]
fn names_that_terminals_and_browsers_would_obey_are_shown_as_text() {
    let program = mixed(artefacts::reference());
    let traces = program.traces();
    fs::remove_dir_all(&traces).expect("remove");
    // The name of the program and an argument: an escape sequence, a line break, markup, and no UTF-8.
    let hostile = OsStr::from_bytes(b"x\x1b[31m\n<script>alert(1)\xff");
    let renamed = program.tree.root().join(hostile);
    fs::copy(&program.path, &renamed).expect("copy");
    let mut traced = tests::run::client(&program.tree, &renamed);
    traced.arg(hostile).env("ROCBLAS_SHIM_TRACE", &traces);
    traced.env("ROCBLAS_SHIM_TRACE_OPTIONS", "save-functions=*gemm*");
    run(&mut traced).silent_success();
    // A second process, so that `show` names both.
    run(&mut traced).silent_success();
    let directory = traces_in(&traces).expect("traces").remove(0);
    let capture = fs::read_dir(&directory).expect("a directory").find_map(|entry| {
        let path = entry.expect("an entry").path();
        path.extension().is_some_and(|extension| extension == "safetensors").then_some(path)
    });
    let page = program.tree.root().join("report.html");
    trace("report", &traces, &["--output", page.to_str().expect("UTF-8")]).success();
    let page = fs::read_to_string(page).expect("a page");
    let said = |what: &str, path: &Path| trace(what, path, &[]).success().stdout;
    let texts = [
        ("show", said("show", &traces)),
        ("summary", said("summary", &traces)),
        // Refuses a trace whose program has ended, and names the program.
        ("top", run(&mut command("top", &directory, &["--once"])).stderr),
        ("show-capture", said("show-capture", &capture.expect("a capture"))),
        ("report", page),
    ];
    for (what, text) in &texts {
        let shown = |c: char| c == '\n' || c == '\t' || !c.is_control();
        assert!(text.chars().all(shown), "{what}: {text:?}");
        assert!(!text.contains('\u{fffd}'), "{what}: {text:?}");
        assert!(text.contains("x\\u{1b}[31m\\n"), "{what}: {text:?}");
    }
    let (_, page) = &texts[4];
    assert!(page.contains("\\n&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
}
