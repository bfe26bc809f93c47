//! Faults planted in the reference backend, in a program of 10,000 calls: `installer compare --results` and checks of
//! a trace find the call, and find none where there is no fault, however results are rounded.

use crate::{
    browser::{self, Browser},
    installer,
};
use serde_json::Value as Json;
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tests::{
    artefacts::{self, workspace},
    run::{Ended, client, run_within},
    scenario::linked_client,
    skip::skip,
    tree::Tree,
};

/// Two backends and a program; `bad` sums in another order and may have a fault.
pub(crate) struct Scene {
    pub(crate) tree: Tree,
    program: PathBuf,
}

impl Scene {
    /// With a program of 10,000 calls.
    fn new() -> Self {
        Self::with("many_calls.c")
    }

    pub(crate) fn with(source: &str) -> Self {
        let tree = Tree::with_shim();
        for name in ["good", "bad"] {
            tree.add_backend(name, artefacts::reference());
        }
        let program = linked_client(&tree, source, &[]);
        fs::create_dir(tree.root().join("tmp")).expect("make a directory");
        Self { tree, program }
    }

    fn run(&self, command: &mut Command, fault: Option<&str>) -> Ended {
        command.env("REFERENCE_BACKEND_ONLY", "bad").env("REFERENCE_BACKEND_SUM", "reversed");
        if let Some(fault) = fault {
            command.env("REFERENCE_BACKEND_FAULT", fault);
        }
        run_within(command, Duration::from_secs(120))
    }

    /// Compares, with options of the program `installer` and some of the command.
    pub(crate) fn compare(
        &self,
        fault: Option<&str>,
        global: &[&str],
        options: &[&str],
        words: &[&str],
    ) -> Ended {
        let mut command = client(&self.tree, installer().get_program().as_ref());
        command.env("TMPDIR", self.tree.root().join("tmp")).current_dir(self.tree.root());
        command.args(global).args([
            "compare",
            "--results",
            "--backend",
            "good",
            "--backend",
            "bad",
        ]);
        command.args(options).args(["--keep", "kept", "--"]).arg(&self.program).args(words);
        let _ = fs::remove_dir_all(self.tree.root().join("kept"));
        self.run(&mut command, fault)
    }

    /// The report about the results, with this exit code.
    #[track_caller]
    pub(crate) fn results(
        &self,
        code: i32,
        fault: Option<&str>,
        options: &[&str],
        words: &[&str],
    ) -> Json {
        let ended = self.compare(fault, &["--json"], options, words);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let mut document: Json =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
        document["differences"][0]["results"].take()
    }

    /// The numbers of calls whose results differ with this fault, as printed by the program.
    fn wrong(&self, fault: &str) -> Vec<u64> {
        let lines = |fault| {
            let mut command = client(&self.tree, &self.program);
            command.arg("--each").env("ROCBLAS_SHIM_BACKEND", "bad");
            let text = self.run(&mut command, fault).silent_success().stdout;
            text.lines().take(10_000).map(str::to_owned).collect::<Vec<_>>()
        };
        let pairs = lines(None).into_iter().zip(lines(Some(fault))).zip(1..);
        pairs.filter(|((right, wrong), _)| right != wrong).map(|(_, number)| number).collect()
    }
}

#[test]
fn rounding_is_no_difference() {
    let scene = Scene::new();
    for seed in ["8", "20", "21"] {
        let results = scene.results(0, None, &[], &["--seed", seed]);
        let of = |name: &str| results[name].as_u64().expect("a number");
        assert_eq!((of("different"), of("one_sided"), of("skipped")), (0, 0, 0), "{results}");
        assert!(of("same") > 2000 && of("rounded") > 3000, "{results}");
        assert_eq!(results["differing"], Json::Array(Vec::new()));
    }
}

/// The first wrong call is named and captured, and replaying it shows on which backend it is wrong.
#[track_caller]
fn check_found(scene: &Scene, fault: &str, least: f64) -> Json {
    let wrong = scene.wrong(fault);
    let results = scene.results(1, Some(fault), &[], &[]);
    let first = &results["differing"][0];
    for side in 0..2 {
        // The handle's creation has number 0, and the handle itself 1.
        assert_eq!(first["sides"][side]["sequence"], wrong[0] + 1, "{fault}: {first:#}");
    }
    let found = results["different"].as_u64().expect("a number") as f64;
    let part = found / wrong.len() as f64;
    assert!(part <= 1.0 && part >= least, "{fault}: {found} of {}", wrong.len());
    for side in 0..2 {
        let captured = &first["captured"][side];
        assert_eq!(captured["problem"], Json::Null, "{fault}: {captured}");
        let file = captured["file"].as_str().expect("a file");
        assert!(fs::metadata(file).is_ok_and(|file| file.len() > 100), "{file}");
    }
    assert_eq!(first["inputs"], "same", "{fault}");
    first["captured"][0]["replay"].clone()
}

/// The outcomes of the two backends.
pub(crate) fn outcomes(replay: &Json) -> [&str; 2] {
    [0, 1].map(|row: usize| {
        let row = &replay["backends"][row];
        assert_eq!(row["backend"], ["good", "bad"][usize::from(row["outcome"] == "wrong")]);
        row["outcome"].as_str().expect("an outcome")
    })
}

#[test]
fn an_element_that_is_nan_in_one_call_of_10_000_is_found() {
    let scene = Scene::new();
    let replay = check_found(&scene, "nan@18x14x13", 1.0);
    assert_eq!(outcomes(&replay), ["right", "wrong"]);
    assert_eq!(replay["backends"][1]["operands"][0]["wrong"], 1, "{replay:#}");
    // With a fault in a call of a given number, the call is named, but it is right when it is the only one.
    let replay = check_found(&scene, "nan@7041", 1.0);
    assert!(
        replay["backends"].as_array().expect("rows").iter().all(|row| row["outcome"] == "right")
    );
    let said = scene.compare(Some("nan@7041"), &[], &[], &[]).stdout;
    for part in [
        "The first call whose results differ by more than rounding\n  rocblas_dgemm_strided_batched(",
        "elements that are not finite of C: 0 and 1\n",
        "  bad: success, call 1:7042 in run 2, ",
        "Alone, the call is right with both backends: in the program its result depends on",
    ] {
        assert!(said.contains(part), "{part:?}: {said}");
    }
}

#[test]
fn a_wrong_triangle_is_found() {
    let replay = check_found(&Scene::new(), "triangle", 0.98);
    assert_eq!(outcomes(&replay), ["right", "wrong"]);
}

#[test]
fn a_stale_beta_is_found() {
    let replay = check_found(&Scene::new(), "stale-beta", 0.9);
    assert_eq!(outcomes(&replay), ["right", "wrong"]);
}

#[test]
fn an_error_of_large_n_is_found() {
    let replay = check_found(&Scene::new(), "large-n@64", 0.9);
    assert_eq!(outcomes(&replay), ["right", "wrong"]);
}

#[test]
fn a_race_is_found_in_the_run_that_has_it() {
    let scene = Scene::new();
    let replay = check_found(&scene, "race@200:29", 0.5);
    assert_eq!(outcomes(&replay), ["right", "wrong"]);
    assert_eq!(scene.results(0, Some("race@200:28"), &[], &[])["different"], 0);
}

#[test]
fn as_many_calls_that_differ_are_described_as_is_asked_for() {
    let scene = Scene::new();
    let fault = "large-n@64";
    let wrong = scene.wrong(fault);
    let options = ["--differences", "4"];
    let results = scene.results(1, Some(fault), &options, &[]);
    let differing = results["differing"].as_array().expect("a list");
    let numbers: Vec<u64> = differing
        .iter()
        .map(|it| it["sides"][0]["sequence"].as_u64().expect("a number") - 1)
        .collect();
    assert_eq!(differing.len(), 4);
    assert!(numbers.is_sorted() && numbers.iter().all(|number| wrong.contains(number)));
    for it in differing {
        assert_eq!(outcomes(&it["captured"][0]["replay"]), ["right", "wrong"], "{it:#}");
    }
    let said = scene.compare(Some(fault), &[], &options, &[]).stdout;
    let heading = format!("The first 4 of {} calls whose results differ", results["different"]);
    assert!(said.contains(&heading), "{heading}: {said}");
    assert_eq!(said.matches("good: right, bad: wrong").count(), 4, "{said}");
    assert!(said.contains("Call 4 of the table\n"), "{said}");
    assert_eq!(said.matches("  bad: captured in ").count(), 4, "{said}");
}

#[test]
fn what_is_computed_from_a_wrong_result_is_told_apart() {
    let scene = Scene::with("tracing/chained.c");
    let results = scene.results(1, Some("nan@18x14x13"), &["--differences", "3"], &[]);
    // The fifth of ten calls is wrong; each call reads what the previous one wrote.
    assert_eq!((&results["different"], &results["given_others"]), (&Json::from(1), &Json::from(5)));
    let inputs = |i: usize| results["differing"][i]["inputs"].clone();
    assert_eq!([0, 1, 2].map(inputs), ["rounded", "different", "different"].map(Json::from));
    let captured = |i: usize| results["differing"][i]["captured"][0]["replay"].is_object();
    assert_eq!([0, 1, 2].map(captured), [true, false, false]);
    let said = scene.compare(Some("nan@18x14x13"), &[], &["--differences", "3"], &[]).stdout;
    assert!(said.contains("1 different, 5 different whose inputs already differ\n"), "{said}");
    assert_eq!(said.matches(" inputs already differ  ").count(), 2, "{said}");
}

#[test]
fn the_page_has_the_calls_that_differ() {
    let scene = Scene::with("tracing/chained.c");
    let place = workspace().join("target/report");
    fs::create_dir_all(&place).expect("make a directory");
    let page = place.join("results.html");
    let options = ["--differences", "3", "--report", page.to_str().expect("UTF-8")];
    scene.results(1, Some("nan@18x14x13"), &options, &[]);
    let text = fs::read_to_string(&page).expect("a page");
    // All of this is visible without a script.
    for part in [
        "Results differ by more than rounding",
        "10 calls compared: ",
        "The first 3 of 6 calls whose results differ",
        "m=18, n=14, k=13",
        "elements that are not finite of C",
        "good: right, bad: wrong",
        "inputs already differ",
        "The call alone, with the operands of good",
        "bad: C: 1 of 252 elements, 1 of them NaN or infinite",
        "&#x2f;kept&#x2f;1-good&#x2f;captured-2&#x2f;",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let Some(chromium) = browser::program() else {
        return skip("the results of a comparison in a browser", "no Chromium");
    };
    let mut browser = Browser::start(chromium);
    for (name, width, scheme) in [("results", 1280, "light"), ("results-narrow", 400, "dark")] {
        browser.open(&page, width, scheme);
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert_eq!(wide, width, "the page is wider than a window of {width}");
        fs::write(place.join(name).with_extension("png"), browser.picture()).expect("write");
        assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    }
    let rows = browser.evaluate("document.querySelectorAll('#results-1 tbody')[0].rows.length");
    assert_eq!(rows, 3);
}

/// The calls whose operands a trace with these checks has saved.
fn saved(scene: &Scene, fault: Option<&str>, words: &[&str]) -> Vec<String> {
    let traces = scene.tree.root().join("traces");
    let _ = fs::remove_dir_all(&traces);
    let mut command = client(&scene.tree, &scene.program);
    command.args(words).env("ROCBLAS_SHIM_BACKEND", "bad").env("ROCBLAS_SHIM_TRACE", &traces);
    command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "check=nan,inf,on-bad=capture");
    scene.run(&mut command, fault).success();
    let trace = fs::read_dir(&traces).expect("traces").next().expect("one").expect("readable");
    let files = fs::read_dir(trace.path()).expect("a trace");
    let names = files.map(|file| file.expect("readable").file_name().display().to_string());
    names.filter(|name| name.ends_with(".safetensors")).collect()
}

#[test]
fn checks_find_nan_in_one_call_of_10_000_and_none_without_a_fault() {
    let scene = Scene::new();
    for seed in ["8", "22", "23"] {
        assert_eq!(saved(&scene, None, &["--seed", seed]), [""; 0], "seed {seed}");
    }
    for fault in ["nan@7041", "nan@18x14x13"] {
        assert_eq!(saved(&scene, Some(fault), &[]), ["call-1-7042.safetensors"], "{fault}");
    }
}
