//! Two devices with different targets, each with its own backend: correct results on both at the same time, from
//! asynchronous streams and from graphs.

use crate::standins::{DEVICES, client, environment, tree};
use rocblas_trace::layout::Note;
use std::{fs, time::Duration};
use tests::{
    artefacts,
    run::{self, Ended, run_within},
    traces::read_only,
    tree::Tree,
};

/// CUDA's libraries take long to load, and so do the first calls of each function.
const LIMIT: Duration = Duration::from_secs(180);

const ROUTE: (&str, &str) = ("ROCBLAS_SHIM_ROUTE", "gfx906=gfx906,gfx1100=gfx1100");

/// Two threads for each device, and twenty times each kind of call.
const AMOUNT: [&str; 3] = ["2", "2", "20"];

/// Each thread makes five calls a round, and one more in a graph.
const CALLS: usize = 2 * 20 * 6;

fn streams(tree: &Tree, environment_too: &[(&str, &str)]) -> Ended {
    let program = client(tree, "streams.cpp");
    let mut command = run::client(tree, &program);
    let (name, targets) = environment();
    command.args(AMOUNT).env(name, targets).envs(environment_too.iter().copied());
    run_within(&mut command, LIMIT)
}

/// Checks that each device's calls are correct and by its own backend. Returns the number of graph nodes of each.
#[track_caller]
fn assert_right(ended: &Ended) -> [usize; 2] {
    let mut lines = ended.stdout.lines();
    let nodes = [0, 1].map(|device| {
        let line = lines.next().unwrap_or_else(|| panic!("{ended:?}"));
        let start = format!("device {device}: {CALLS} calls, 0 wrong, 0 other statuses, ");
        let end = format!(" nodes, backend {}", DEVICES[device].0);
        let nodes = line.strip_prefix(&start).and_then(|rest| rest.strip_suffix(&end));
        nodes.and_then(|nodes| nodes.parse().ok()).unwrap_or_else(|| panic!("{ended:?}"))
    });
    assert_eq!(lines.next(), None);
    nodes
}

#[test]
fn both_devices_compute_right_at_the_same_time() {
    let Some(tree) = tree() else { return };
    let ended = streams(&tree, &[ROUTE]).silent_success();
    // At least two products for each of the graphs.
    assert!(assert_right(&ended).iter().all(|nodes| *nodes >= 2 * 2 * 20), "{ended:?}");
}

#[test]
fn a_trace_changes_neither_numbers_nor_graphs() {
    let Some(tree) = tree() else { return };
    let untraced = assert_right(&streams(&tree, &[ROUTE]).silent_success());
    let place = tree.root().join("traces");
    fs::create_dir(&place).expect("make a directory");
    let trace = ("ROCBLAS_SHIM_TRACE", place.to_str().expect("UTF-8"));
    // Each call is between events and has its results checked, except those that are captured into a graph.
    let options = ("ROCBLAS_SHIM_TRACE_OPTIONS", "gpu-time=1,check=nan,inf,digest");
    let ended = streams(&tree, &[ROUTE, trace, options]).success();
    assert_eq!(assert_right(&ended), untraced);
    let traced = read_only(&place);
    let errors = traced.calls().iter().filter_map(|call| call.note.errors()).collect::<Vec<_>>();
    assert!(!errors.is_empty() && errors.iter().all(|errors| *errors == [0, 0]), "{errors:?}");
    let timed = |name: &str| {
        let calls = traced.calls();
        calls.iter().filter(|call| call.name == name && call.note.0 & Note::TIMED != 0).count()
    };
    assert_eq!(timed("rocblas_strsm_batched"), 2 * 2 * 20);
    assert_eq!(timed("rocblas_sgemm"), 2 * 2 * 20, "two of three are captured");
    let of_graphs = |name: &str| traced.calls().iter().filter(|call| call.name == name).count();
    assert_eq!(of_graphs("rocblas_sgemm"), 2 * 2 * 20 * 3);
    assert_eq!(of_graphs("rocblas_strsm_batched"), 2 * 2 * 20);
    assert!(traced.calls().iter().all(|call| call.status.is_none_or(|status| status == 0)));
}

#[test]
fn without_a_route_one_of_them_has_no_kernels() {
    let Some(tree) = tree() else { return };
    let ended = streams(&tree, &[("ROCBLAS_SHIM_BACKEND", "gfx906")]).success();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    assert!(lines[0].contains(" 0 wrong, 0 other statuses, "), "{ended:?}");
    assert!(lines[1].contains(&format!(" {CALLS} other statuses, 0 nodes, ")), "{ended:?}");
    assert!(ended.stderr.contains("hipErrorInvalidDeviceFunction"), "{ended:?}");
}

fn selftest(tree: &Tree, route: (&str, &str)) -> (Ended, serde_json::Value) {
    let mut command = run::client(tree, artefacts::installer());
    let (name, targets) = environment();
    command.arg("--rocm").arg(tree.lib()).args(["selftest", "--json"]).env(name, targets);
    let ended = run_within(command.env(route.0, route.1), LIMIT);
    let json = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    (ended, json)
}

#[test]
fn the_selftest_is_right_on_both() {
    let Some(tree) = tree() else { return };
    let (ended, json) = selftest(&tree, ROUTE);
    assert!(ended.status.success(), "{ended:?}");
    let devices = json["devices"].as_array().expect("a list");
    assert_eq!(devices.len(), DEVICES.len(), "{ended:?}");
    for (device, (target, _)) in devices.iter().zip(DEVICES) {
        assert_eq!(device["target"], target, "{device}");
        let served_by = device["served_by"].as_str().expect("a text");
        assert!(served_by.contains(&format!("backend {target} ")), "{device}");
        let checks = device["checks"].as_array().expect("a list");
        assert_eq!(checks.len(), 3, "{device}");
        assert!(checks.iter().all(|check| check["right"] == true), "{device}");
    }
    let (ended, json) = selftest(&tree, ("ROCBLAS_SHIM_BACKEND", "gfx1100"));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(json["devices"][0]["checks"][0]["right"], false, "{ended:?}");
    assert_eq!(json["devices"][1]["checks"][0]["right"], true, "{ended:?}");
}
