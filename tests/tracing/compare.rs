//! `installer compare`: a program on several backends, the differences, and leftover files.

use crate::{
    browser::{self, Browser},
    installer,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tests::{
    artefacts::{standins, workspace},
    compile::library,
    run::{Ended, client, run, run_within, with_default_signals},
    scenario::linked_client,
    skip::skip,
    tree::Tree,
};

/// A tree with backends that differ, and a program.
struct Scene {
    tree: Tree,
    program: PathBuf,
}

impl Scene {
    /// A tree with `compared.c` and these backends, each with traits of `failing.c`.
    fn new(backends: &[(&str, &[&str])]) -> Self {
        Self::with(backends, "compared.c")
    }

    fn with(backends: &[(&str, &[&str])], source: &str) -> Self {
        let tree = Tree::with_shim();
        for (name, traits) in backends {
            let built = tree.root().join(format!("{name}.so"));
            let source = standins().join("failing.c");
            tree.add_backend(name, &library(&source, &built, "librocblas.so.4", traits));
        }
        let program = linked_client(&tree, &format!("tracing/{source}"), &[]);
        fs::create_dir(tree.root().join("tmp")).expect("make a directory");
        Self { tree, program }
    }

    /// The command with these options and backends, followed by the program's words.
    fn command(&self, options: &[&str], backends: &[&str], words: &[&str]) -> Command {
        // The loader finds the shim through the program's environment.
        let mut command = client(&self.tree, installer().get_program().as_ref());
        command.env("TMPDIR", self.temporary()).current_dir(self.tree.root());
        command.arg("compare").args(options);
        for backend in backends {
            command.args(["--backend", backend]);
        }
        command.arg("--").arg(&self.program).args(words);
        command
    }

    #[track_caller]
    fn compare(&self, options: &[&str], backends: &[&str], words: &[&str]) -> Ended {
        let ended = run(&mut self.command(options, backends, words));
        self.assert_nothing_is_left();
        ended
    }

    /// The document of a comparison that ends with this exit code.
    #[track_caller]
    fn document(&self, code: i32, options: &[&str], backends: &[&str], words: &[&str]) -> Json {
        let ended = self.compare(&[&["--json"], options].concat(), backends, words);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
    }

    /// The directory for temporary files.
    fn temporary(&self) -> PathBuf {
        self.tree.root().join("tmp")
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        assert_eq!(names(&self.temporary()), [""; 0], "temporary files are left");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().display().to_string()).collect();
    names.sort();
    names
}

/// Two backends with the same results, and one that fails in the fifth call.
const BACKENDS: [(&str, &[&str]); 3] = [("good", &[]), ("same", &[]), ("bad", &["-DFAILS_AT=5"])];

#[test]
fn backends_that_answer_the_same_are_the_same() {
    let scene = Scene::new(&BACKENDS);
    let ended = scene.compare(&[], &["good", "same"], &["8"]).success();
    let (own, rest) = ended.stdout.split_at("8 calls on good\n8 calls on same\n".len());
    assert_eq!(own, "8 calls on good\n8 calls on same\n", "{ended:?}");
    assert!(
        rest.contains("The same calls are made, perhaps not as often, and end the same."),
        "{ended:?}"
    );
    assert!(rest.contains("\n  good (4.3.0.failing): 8 calls in 1 run, "), "{ended:?}");
    assert!(rest.contains("One run of each: no spread (--runs)"), "{ended:?}");
    assert!(rest.contains("The traces are removed; --keep DIR keeps them"), "{ended:?}");
    assert_eq!(ended.stderr, "run 1 of 2: good\nrun 2 of 2: same\n");
}

#[test]
fn slower_calls_are_no_difference() {
    let scene = Scene::new(&[("good", &[]), ("slow", &["-DSLEEP_US=2000"])]);
    let document = scene.document(0, &["--runs", "3"], &["good", "slow"], &["4"]);
    assert_eq!(document["same"], true);
    let times = document["differences"][0]["times"].as_array().expect("rows");
    assert_eq!(times.len(), 4, "one for each dimension: {times:?}");
    for timed in times {
        assert_eq!(timed["calls"], json!([3, 3]));
        let [min, median, max] =
            ["min", "median", "max"].map(|of| timed["mean"][1][of].as_f64().expect("a number"));
        assert!(2e6 <= min && min <= median && median <= max, "{timed}");
        assert!(min < max, "three runs are not equally long: {timed}");
        assert!(timed["ratio"].as_f64().expect("a number") > 2.0, "{timed}");
        assert!(timed["difference"].as_f64().expect("a number") > 1e6, "{timed}");
    }
    let differences = times.iter().map(|timed| timed["difference"].as_f64().expect("a number"));
    assert!(differences.is_sorted_by(|a, b| a >= b), "{times:?}");
    let text = scene.compare(&["--runs", "3"], &["good", "slow"], &["4"]).success().stdout;
    assert!(text.contains("Min, median and max of the means of 3 runs of each"), "{text}");
    let header = text.lines().find(|line| line.contains("2nd min")).expect("a header");
    let columns: Vec<&str> = header.split_whitespace().collect();
    let of_each = ["min", "median", "max"];
    assert_eq!([&columns[2..5], &columns[6..9]], [of_each, of_each], "{header}");
}

#[test]
fn the_first_call_with_a_different_outcome_is_named_with_its_number() {
    let scene = Scene::new(&[("good", &[]), ("chatty", &["-DFAILS_AT=5"])]);
    let ended = scene.compare(&[], &["good", "chatty"], &["8"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for said in [
        "The program ends differently\n  good: ended with exit code 0\n  chatty: ended with exit code 1\n",
        "Changed statuses\n  rocblas_sscal(n=4): 1 success -> 1 internal_error\n",
        "Only with chatty\n",
        "The first call with a different outcome\n  rocblas_sscal(n=4, incx=1)\n",
        "  good: success, call 1:4 in run 1, compared (process ",
        "  chatty: internal_error, call 1:6 in run 2, compared (process ",
    ] {
        assert!(ended.stdout.contains(said), "{said:?}: {ended:?}");
    }
}

#[test]
fn calls_are_compared_thread_by_thread() {
    let backends: [(&str, &[&str]); 2] = [("good", &[]), ("bad", &["-DFAILS_AT=12"])];
    let scene = Scene::with(&backends, "many.c");
    let document = scene.document(1, &[], &["good", "bad"], &["8", "0", "2"]);
    let first = &document["differences"][0]["first"];
    assert_eq!(first["call"], "rocblas_sscal(n=3, incx=1)");
    for (side, outcome) in ["success", "internal_error"].into_iter().enumerate() {
        let found = &first["sides"][side];
        assert_eq!((&found["thread"], &found["sequence"]), (&json!(2), &json!(3)), "{first}");
        assert_eq!(found["outcome"], outcome);
    }
    assert_eq!(document["differences"][0]["ends_differ"], false);
}

#[test]
fn calls_that_are_new_or_gone_are_a_difference() {
    let scene = Scene::new(&[("good", &[]), ("chatty", &[])]);
    let entry = |entries: &Json| {
        let entries = entries.as_array().expect("a list");
        entries.iter().map(|e| (e["function"].clone(), e["calls"].clone())).collect::<Vec<_>>()
    };
    let dscal = vec![(json!("rocblas_dscal"), json!(4))];
    for (backends, new, gone) in
        [(["good", "chatty"], &dscal, &vec![]), (["chatty", "good"], &vec![], &dscal)]
    {
        let document = scene.document(1, &["--runs", "2"], &backends, &["8"]);
        let difference = &document["differences"][0];
        assert_eq!((&entry(&difference["new"]), &entry(&difference["gone"])), (new, gone));
        assert_eq!((&difference["statuses"], &difference["first"]), (&json!([]), &Json::Null));
        assert_eq!(document["same"], false);
    }
}

#[test]
fn backends_take_turns_as_often_as_is_asked_for() {
    let scene = Scene::new(&BACKENDS);
    let ended = scene.compare(&["--runs", "3"], &["good", "same"], &["2"]).success();
    let ran: Vec<&str> =
        ended.stdout.lines().filter_map(|line| line.strip_prefix("2 calls on ")).collect();
    assert_eq!(ran, ["good", "same", "good", "same", "good", "same"]);
    let said: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(said.len(), 6, "{ended:?}");
    assert_eq!((said[0], said[5]), ("run 1 of 6: good", "run 6 of 6: same"));
    assert!(ended.stdout.contains("6 calls in 3 runs"), "{ended:?}");
    // Only the output of the programs is left.
    let quiet = scene.compare(&["--quiet"], &["good", "same"], &["2"]).silent_success();
    assert_eq!(quiet.stdout, "2 calls on good\n2 calls on same\n");
}

#[test]
fn others_are_compared_with_the_first_backend() {
    let scene = Scene::new(&BACKENDS);
    let document = scene.document(1, &[], &["good", "same", "bad"], &["8"]);
    let differences = document["differences"].as_array().expect("a list");
    let names: Vec<&Json> = differences.iter().map(|difference| &difference["names"]).collect();
    assert_eq!(names, [&json!(["good", "same"]), &json!(["good", "bad"])]);
    assert_eq!(differences[0]["first"], Json::Null);
    assert_eq!(differences[1]["first"]["sides"][1]["run"], 3, "{document:#}");
}

#[test]
fn the_backend_in_use_is_compared_where_fewer_than_two_are_named() {
    let scene = Scene::new(&BACKENDS);
    let names = |code, backends: &[&str]| {
        let mut command = scene.command(&[], backends, &["2"]);
        let ended = run(command.env("ROCBLAS_SHIM_BACKEND", "good"));
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let ran = ended.stdout.lines().filter_map(|line| line.strip_prefix("2 calls on "));
        ran.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(0, &[]), ["good", "bad", "same"]);
    assert_eq!(names(0, &["good"]), ["good", "bad", "same"]);
    assert_eq!(names(0, &["same"]), ["good", "same"]);
    let path = "./lib/rocblas-shim/backends/good/lib/librocblas.so.4";
    assert_eq!(names(0, &[path]), ["good", "bad", "same"]);

    let alone = Scene::new(&[("good", &[])]);
    for backends in [&[][..], &["good"]] {
        let ended = alone.compare(&[], backends, &["2"]);
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        for part in [
            "there is one backend that can be used, good, and nothing to compare it with: ",
            "`installer backends add PATH`, or name the path of a rocBLAS with --backend",
        ] {
            assert!(ended.stderr.contains(part), "{part}: {ended:?}");
        }
    }
    // The path of another backend makes a comparison possible.
    let other = scene.tree.root().join(&path[2..]);
    let ended = alone.compare(&[], &[other.to_str().expect("UTF-8")], &["2"]).success();
    assert!(ended.stderr.starts_with("run 1 of 2: good\n"), "{ended:?}");
}

#[test]
fn a_program_that_a_signal_ended_is_compared_up_to_there() {
    let scene = Scene::new(&BACKENDS);
    let ended = scene.compare(&[], &["good", "bad"], &["8", "abort"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for said in [
        "  bad: crashed with SIGABRT (its code called abort())\n",
        "  bad: internal_error, call 1:4 in run 2, compared (process ",
    ] {
        assert!(ended.stdout.contains(said), "{said:?}: {ended:?}");
    }
    // If both end in the same way, only the signal is reported.
    let both = Scene::new(&[("bad", &["-DFAILS_AT=5"]), ("worse", &["-DFAILS_AT=5"])]);
    let ended = both.compare(&[], &["bad", "worse"], &["8", "abort"]).success();
    assert_eq!(ended.stdout.matches("; crashed with SIGABRT").count(), 2, "{ended:?}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let scene = Scene::new(&BACKENDS);
    let root = scene.tree.root();
    fs::create_dir(root.join("old")).expect("make a directory");
    fs::write(root.join("old/file"), "").expect("write");
    fs::write(root.join("data"), "no program").expect("write");
    let path = "lib/rocblas-shim/backends/good/lib/librocblas.so.4";
    for (options, backends, code, parts) in [
        (&[][..], &["good", "6.9"][..], 1, &["there is no backend 6.9 in", "bad, good, same"][..]),
        (&[], &["6.9", "good"], 1, &["there is no backend 6.9 in"]),
        (&[], &["good", "./absent.so"], 1, &["absent.so does not exist"]),
        (&[], &["good", "good"], 2, &["--backend good and --backend good are the same library"]),
        (&[], &["good", "bad", path], 2, &["--backend good and --backend lib/rocblas-shim/"]),
        (&[], &[], 1, &["no backend is in use, so name two with --backend: "]),
        (&["--differences", "3"], &["good", "bad"], 2, &["--results"]),
        (&["--runs", "0"], &["good", "bad"], 2, &["--runs"]),
        (&["--keep", "old"], &["good", "bad"], 1, &["old: the directory is not empty"]),
        (&["--report", "absent/page"], &["good", "bad"], 1, &["--report absent/page: name a file"]),
        (&["--keep", "data/x"], &["good", "bad"], 1, &["cannot make a directory for the traces"]),
    ] {
        let ended = scene.compare(options, backends, &["8"]);
        assert_eq!(ended.status.code(), Some(code), "{backends:?}: {ended:?}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{part}: {ended:?}");
        }
        assert_eq!(ended.stdout, "", "nothing ran: {ended:?}");
    }
    for (program, code, what) in [
        ("absent", 127, "absent: not found in PATH"),
        ("./absent", 127, "absent: No such file"),
        ("./data", 126, "cannot start "),
    ] {
        let scene = Scene { program: program.into(), tree: Scene::new(&BACKENDS).tree };
        fs::copy(root.join("data"), scene.tree.root().join("data")).expect("copy");
        // An unknown program may use any store.
        let store = "lib/rocblas-shim/backends";
        let [good, bad] = ["good", "bad"].map(|name| format!("{store}/{name}/lib/librocblas.so.4"));
        let ended = scene.compare(&[], &[&good, &bad], &[]);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert!(ended.stderr.contains(what), "{ended:?}");
    }
}

#[test]
fn a_document_is_alone_on_standard_output() {
    let scene = Scene::new(&BACKENDS);
    let ended = scene.compare(&["--json"], &["good", "bad"], &["8", "--api-key", "secret"]);
    let document: Json = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&document["schema"], &document["runs"]), (&json!(1), &json!(1)));
    let command = document["command"].as_str().expect("a text");
    assert!(command.ends_with("compared 8 --api-key ***"), "{command}");
    assert_eq!(document["backends"][1]["runs"][0]["end"], json!({"code": 1}));
    assert_eq!(document["backends"][1]["runs"][0]["errors"], 1);
    assert_eq!(document["traces"], Json::Null);
    assert!(ended.stderr.contains("8 calls on good\n"), "{ended:?}");
    assert!(ended.stderr.contains("8 calls on bad\n"), "{ended:?}");
    let refused = scene.compare(&["--json"], &["good", "good"], &["8"]);
    let document: Json = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!(document["error"]["code"], "usage");
}

#[test]
fn all_runs_read_nothing() {
    let scene = Scene::new(&BACKENDS);
    let mut command = scene.command(&[], &["good", "same"], &["1", "read"]);
    let input = scene.tree.root().join("input");
    fs::write(&input, "text").expect("write");
    let output = command.stdin(fs::File::open(&input).expect("open")).output().expect("start");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.matches("reads -1\n").count(), 2, "{text}");
}

#[test]
fn traces_are_kept_when_asked() {
    let scene = Scene::new(&BACKENDS);
    let keep = ["--runs", "2", "--keep", "kept"];
    let ended = scene.compare(&keep, &["good", "bad"], &["8"]);
    let kept = scene.tree.root().join("kept");
    assert!(ended.stdout.contains(&format!("The traces are in {};", kept.display())), "{ended:?}");
    assert_eq!(names(&kept), ["1-good", "2-bad"]);
    for (backend, errors) in [("1-good", 0), ("2-bad", 1)] {
        assert_eq!(names(&kept.join(backend)), ["run-1", "run-2"]);
        let mut summary = installer();
        summary.args(["--json", "trace", "summary"]).arg(kept.join(backend).join("run-2"));
        let summary: Json =
            serde_json::from_str(&run(&mut summary).silent_success().stdout).expect("JSON");
        assert_eq!((&summary["calls"], &summary["errors"]), (&json!(8), &json!(errors)));
    }
    // Each directory is used by one run only, so no other traces go there.
    let again = scene.compare(&keep, &["good", "bad"], &["8"]);
    assert!(again.stderr.contains("the directory is not empty"), "{again:?}");
}

#[test]
fn a_run_without_a_call_is_said() {
    let scene = Scene::new(&BACKENDS);
    let ended = scene.compare(&[], &["good", "same"], &["0"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for run in ["run 1 (good)", "run 2 (same)"] {
        let said = format!("{run} recorded no rocBLAS call: a trace begins with");
        assert!(ended.stdout.contains(&said), "{ended:?}");
    }
    assert!(ended.stdout.contains("`installer which PROGRAM` says"), "{ended:?}");
    assert!(!ended.stdout.contains("end the same"), "{ended:?}");
}

/// A comparison whose first run waits for a signal.
fn waiting(scene: &Scene, how: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = scene.command(&[], &["good", "bad"], &["8", how]);
    with_default_signals(&mut command);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start it");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "8 calls on good\n");
    assert_eq!(names(&scene.temporary()).len(), 1, "the traces' directory");
    (child, stdout)
}

#[test]
fn a_signal_stops_the_program_and_leaves_nothing() {
    let scene = Scene::new(&BACKENDS);
    for (how, signals, code) in [
        ("wait", &[Signal::INT][..], 130),
        ("wait", &[Signal::TERM], 143),
        ("ignore", &[Signal::INT, Signal::INT], 130),
    ] {
        let begun = Instant::now();
        let (child, mut stdout) = waiting(&scene, how);
        for signal in signals {
            kill_process(Pid::from_child(&child), *signal).expect("it runs");
            // Two signals at once would be merged into one.
            thread::sleep(Duration::from_millis(300));
        }
        // The program holds this end of the pipe too, so reading ends only once all of its processes have ended.
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut rest).expect("read");
        let output = child.wait_with_output().expect("wait");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), rest.as_str()), (Some(code), ""), "{how}: {stderr}");
        assert!(stderr.contains("in run 1 of 2; nothing is compared"), "{stderr}");
        assert!(begun.elapsed() < Duration::from_secs(4), "it was waited for: {how}");
        scene.assert_nothing_is_left();
    }
}

#[test]
fn more_calls_take_no_more_memory_to_compare() {
    let scene = Scene::with(&[], "repeats.c");
    let null = scene.tree.root().join("null.so");
    let null = library(&standins().join("null_backend.c"), &null, "librocblas.so.4", &["-O2"]);
    for name in ["good", "same"] {
        scene.tree.add_backend(name, &null);
    }
    let memory = |calls: &str| {
        let comparison = scene.command(&[], &["good", "same"], &[calls]);
        let mut command = client(&scene.tree, env!("CARGO_BIN_EXE_peak_memory").as_ref());
        command.env("TMPDIR", scene.temporary()).current_dir(scene.tree.root());
        command.arg(comparison.get_program()).args(comparison.get_args());
        let ended = run_within(&mut command, Duration::from_secs(300)).success();
        assert!(ended.stdout.contains("end the same"), "{ended:?}");
        ended.stdout.lines().last().and_then(|line| line.parse().ok()).expect("kilobytes")
    };
    // The records of the runs have 18 and 70 megabytes.
    let (few, many): (u64, u64) = (memory("100000"), memory("400000"));
    assert!(many < few + 10_000, "{few} kB for few, {many} kB for four times as many");
}

#[test]
fn a_page_shows_the_backends_side_by_side() {
    let scene = Scene::new(&[("good", &[]), ("<b>chatty", &["-DFAILS_AT=5"])]);
    let place = workspace().join("target/report");
    fs::create_dir_all(&place).expect("make a directory");
    let page = place.join("compared.html");
    let options = ["--runs", "3", "--report", page.to_str().expect("UTF-8")];
    let document = scene.document(1, &options, &["good", "<b>chatty"], &["8"]);
    assert_eq!(document["report"], page.to_str().expect("UTF-8"));
    let text = fs::read_to_string(&page).expect("a page");
    assert!(text.contains("&lt;b&gt;chatty") && !text.contains("<b>"), "{text}");
    for outside in ["http:", "https:", "url(", "@import", " src=", "href=\"/"] {
        assert!(!text.contains(outside), "{outside} in {text}");
    }
    let Some(chromium) = browser::program() else {
        return skip("the page of a comparison in a browser", "no Chromium");
    };
    let mut browser = Browser::start(chromium);
    for (name, width, scheme) in [
        ("compared", 1280, "light"),
        ("compared-dark", 1280, "dark"),
        ("compared-narrow", 400, "light"),
    ] {
        browser.open(&page, width, scheme);
        assert_eq!(browser.evaluate("document.documentElement.dataset.script"), "ready");
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert_eq!(wide, width, "the page is wider than a window of {width}");
        fs::write(place.join(name).with_extension("png"), browser.picture()).expect("write");
        assert_eq!(browser.requests(), [format!("file://{}", page.display())]);
        assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    }
    let shown = browser.evaluate("document.body.innerText");
    let shown = shown.as_str().expect("a text");
    for said in ["<b>chatty", "4.3.0.failing", "3 internal_error", "sscal(n=4, incx=1)", "no call"]
    {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let rows = browser.evaluate("document.querySelectorAll('#times-1 tbody tr').length");
    assert_eq!(rows, 8, "a row for each dimension");
    let lines = browser.evaluate("document.querySelectorAll('#times-1 .bars .spread').length");
    assert_eq!(lines, 16, "a spread for each backend");
}
