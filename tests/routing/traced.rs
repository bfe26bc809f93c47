//! A trace of several backends: the backend of each handle and call, even if an address is reused.

use crate::machine::Machine;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use tests::{artefacts, run::run};

/// A product on `one`, then one on `two`, which lacks the function, then one on `one` again, whose handle is at the
/// address of `two`'s.
const WORDS: &str = "create gemm use two create gemm destroy use one create gemm";

/// A call that `one` must handle: it returns 101 for its own handles.
const GEMM: &str =
    "rocblas_sgemm(none, none, m=1, n=2, k=3, alpha=1, lda=4, ldb=5, beta=1, ldc=6) = ";

fn machine() -> Machine {
    let machine = Machine::with(0);
    machine.add(1, &["-DHAS_GEMM"]);
    machine.add(2, &[]);
    machine
}

fn traced(machine: &Machine, words: &str, name: &str) -> PathBuf {
    let traces = machine.tree.root().join(name);
    let trace = [("ROCBLAS_SHIM_TRACE", traces.to_str().expect("UTF-8"))];
    machine.run_with(words, &trace).success();
    traces
}

fn tool(words: &[&str], paths: &[&Path]) -> String {
    let mut command = std::process::Command::new(artefacts::installer());
    run(command.arg("trace").args(words).args(paths)).success().stdout
}

fn json(words: &[&str], paths: &[&Path]) -> Json {
    serde_json::from_str(&tool(words, paths)).expect("JSON")
}

/// Lines of products, without the numbers before and the times after.
fn products(shown: &str) -> Vec<String> {
    let lines = shown.lines().filter_map(|line| line.find("rocblas_sgemm(").map(|at| &line[at..]));
    let without_time = |line: &str| {
        let (call, rest) = line.split_once("  ").expect("a time");
        let backend = rest.split_once("  ").map_or("", |(_, backend)| backend);
        format!("{call} {backend}").trim_end().to_owned()
    };
    lines.map(without_time).collect()
}

fn wanted() -> Vec<String> {
    let own = format!("{GEMM}101");
    vec![own.clone(), format!("{GEMM}not_implemented by the shim [two]"), own]
}

#[test]
fn calls_are_shown_with_their_backend() {
    let machine = machine();
    let traces = traced(&machine, WORDS, "traces");
    assert_eq!(products(&tool(&["show"], &[&traces])), wanted());
    let shown = tool(&["show", "--json"], &[&traces]);
    let documents: Vec<Json> =
        shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let products = documents.iter().filter(|call| call["function"] == "rocblas_sgemm");
    let owners: Vec<_> = products.map(|call| (&call["backend"], &call["by"])).collect();
    let two = (&Json::from("two"), &Json::from("shim"));
    assert_eq!(owners, [(&Json::Null, &Json::Null), two, (&Json::Null, &Json::Null)]);
    // Also on stderr.
    let trace = [("ROCBLAS_SHIM_TRACE", "stderr")];
    assert_eq!(self::products(&machine.run_with(WORDS, &trace).success().stderr), wanted());
}

#[test]
fn figures_are_by_backend() {
    let machine = machine();
    let traces = traced(&machine, WORDS, "traces");
    let summary = json(&["summary", "--json"], &[&traces]);
    let further = &summary["processes"][0]["further_backends"];
    assert_eq!(further[0]["name"], "two", "{summary}");
    assert_eq!(further.as_array().map(Vec::len), Some(1));
    let rows = summary["functions"].as_array().expect("rows");
    let products = rows.iter().filter(|row| row["function"] == "rocblas_sgemm");
    let mut of: Vec<_> =
        products.map(|row| (row["backend"].as_str(), row["calls"].as_u64())).collect();
    of.sort_unstable();
    assert_eq!(of, [(Some("one"), Some(2)), (Some("two"), Some(1))]);
    let failure = &summary["failures"].as_array().expect("failures").iter();
    let failure = failure.clone().find(|failure| failure["status"] == "not_implemented");
    assert_eq!(failure.expect("one")["backend"], "two");
    let text = tool(&["summary"], &[&traces]);
    for message in [
        "  and backend two (4.3.0.2)\n",
        " sgemm(none, none, m=1, n=2, k=3) [two]",
        " by two, first at ",
    ] {
        assert!(text.contains(message), "{message}: {text}");
    }
    // A function without a handle has no backend.
    let create = rows.iter().find(|row| row["function"] == "rocblas_create_handle").expect("a row");
    assert_eq!((&create["calls"], &create["backend"]), (&3.into(), &Json::Null));
    // A trace of a single backend does not mention backends.
    let alone = traced(&machine, "create gemm", "alone");
    assert!(!tool(&["summary"], &[&alone]).contains("[one]"));
    // Compared with it, the calls of `one` are the same.
    let diff = json(&["diff", "--json"], &[&traces, &alone]);
    let gone = diff["gone"].as_array().expect("a list");
    let product = |entry: &&Json| entry["function"] == "rocblas_sgemm";
    let of: Vec<_> = gone.iter().filter(product).map(|entry| &entry["backend"]).collect();
    assert_eq!(of, ["two"], "{diff}");
    let times = diff["times"].as_array().expect("a list");
    let of: Vec<_> = times.iter().filter(product).map(|entry| &entry["calls"]).collect();
    assert_eq!(of, [&serde_json::json!([2, 1])], "{diff}");
    assert!(
        tool(&["diff"], &[&traces, &alone])
            .contains("rocblas_sgemm(none, none, m=1, n=2, k=3) [two]")
    );
}

#[test]
fn a_report_names_the_backends() {
    let machine = machine();
    let traces = traced(&machine, WORDS, "traces");
    let page = machine.tree.root().join("report.html");
    tool(&["report", "--output", page.to_str().expect("UTF-8")], &[&traces]);
    let page = std::fs::read_to_string(page).expect("a page");
    for message in
        ["Further backends", "two (4.3.0.2)", "<span class=\"backend\">two</span>", "by the shim"]
    {
        assert!(page.contains(message), "{message}");
    }
}

#[test]
fn a_trace_that_begins_later_knows_them_too() {
    let machine = machine();
    let traces = machine.tree.root().join("later");
    let words = format!("create use two create start {} call stop call", traces.display());
    machine.run(&words).silent_success();
    let shown = tool(&["show"], &[&traces]);
    let of = |end: &str| shown.lines().filter(|l| l.contains("sscal") && l.ends_with(end)).count();
    assert_eq!(
        (of("[two]"), shown.lines().filter(|l| l.contains("sscal")).count()),
        (1, 2),
        "{shown}"
    );
}
