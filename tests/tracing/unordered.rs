//! `installer compare --results` of programs whose threads start in another order in each run, or take their calls
//! from a queue: no difference where there is none, and planted faults are found all the same.

use crate::planted::{Scene, outcomes};
use serde_json::Value as Json;

/// How the threads get their calls, and how many calls have results.
const HOW: [(&str, u64); 3] = [("alike", 8 * 40), ("own", 8 * 40 + 28), ("queue", 240)];

fn scene() -> Scene {
    Scene::with("tracing/unordered.c")
}

fn number(results: &Json, name: &str) -> u64 {
    results[name].as_u64().unwrap_or_else(|| panic!("{name}: {results:#}"))
}

#[test]
fn threads_in_another_order_are_no_difference() {
    let scene = scene();
    for (how, calls) in HOW {
        let runs = 10;
        let results = scene.results(0, None, &["--runs", &runs.to_string()], &[how]);
        for none in ["different", "given_others", "unmatched", "unknown_inputs", "one_sided"] {
            assert_eq!(number(&results, none), 0, "{how}: {none}: {results:#}");
        }
        let [same, rounded] = ["same", "rounded"].map(|name| number(&results, name));
        assert_eq!(same + rounded, runs * calls, "{how}: {results:#}");
        assert!(rounded > 0, "the other backend adds in another order: {results:#}");
    }
}

#[test]
fn calls_whose_inputs_depend_on_the_order_of_threads_cannot_be_compared() {
    let scene = scene();
    let results = scene.results(0, None, &["--runs", "5"], &["sums"]);
    assert_eq!((number(&results, "different"), number(&results, "given_others")), (0, 0));
    assert!(number(&results, "unmatched") > 0, "{results:#}");
    let said = scene.compare(None, &[], &[], &["sums"]).success().stdout;
    for part in [
        " cannot be compared: no call of the other run was given the same inputs, and several threads",
        "No result that can be compared differs by more than rounding.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_wrong_call_is_found_in_whichever_thread_it_is() {
    let scene = scene();
    for (how, _) in HOW {
        let results = scene.results(1, Some("nan@18x14x13"), &[], &[how]);
        let wrong = if how == "queue" { 1 } else { 8 };
        assert_eq!(number(&results, "different"), wrong, "{how}: {results:#}");
        assert_eq!(number(&results, "unmatched"), 0, "{how}: {results:#}");
        let first = &results["differing"][0];
        let call = first["call"].as_str().expect("a text");
        assert!(call.contains("m=18, n=14, k=13"), "{how}: {call}");
        assert_eq!(first["measure"], "elements that are not finite");
        // Which element is wrong depends on the call's number, so a replay only reproduces correct results.
        assert_eq!(first["captured"][0]["problem"], Json::Null, "{how}: {first:#}");
        assert_eq!(outcomes(&first["captured"][0]["replay"]), ["right", "wrong"], "{how}");
    }
}

#[test]
fn a_call_that_is_wrong_once_is_found_among_threads() {
    let scene = scene();
    for (how, _) in HOW {
        let results = scene.results(1, Some("nan@100"), &[], &[how]);
        assert_eq!(number(&results, "different"), 1, "{how}: {results:#}");
        assert_eq!(number(&results, "unmatched"), 0, "{how}: {results:#}");
        assert!(["same", "rounded"].map(Json::from).contains(&results["differing"][0]["inputs"]));
    }
}
