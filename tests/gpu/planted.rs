//! Faults planted in a backend on a GPU: `compare --results` and checks of a trace find the first wrong call among
//! calls that follow one another in an asynchronous stream, and none where there is no fault.

use crate::standins::{BAD, DEVICES, client, environment, tree};
use serde_json::Value as Json;
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tests::{
    artefacts,
    run::{self, Ended, run_within},
    tree::Tree,
};

/// CUDA's libraries take long to load, and a comparison starts the program four times.
const LIMIT: Duration = Duration::from_secs(240);

const CALLS: &str = "1000";

const GOOD: &str = DEVICES[0].0;

struct Scene {
    tree: Tree,
    program: PathBuf,
}

impl Scene {
    /// If there is no NVIDIA GPU, prints a message and returns `None`.
    fn new() -> Option<Self> {
        let tree = tree()?;
        let program = client(&tree, "planted.cpp");
        fs::create_dir(tree.root().join("tmp")).expect("make a directory");
        Some(Self { tree, program })
    }

    fn run(&self, command: &mut Command, fault: Option<&str>) -> Ended {
        let (name, targets) = environment();
        command.env(name, targets).env("TMPDIR", self.tree.root().join("tmp"));
        command.current_dir(self.tree.root()).envs(fault.map(|fault| ("GPU_FAULT", fault)));
        run_within(command, LIMIT)
    }

    /// The report about the results in a comparison of the two backends that ends with this code.
    #[track_caller]
    fn results(&self, code: i32, fault: Option<&str>) -> Json {
        let _ = fs::remove_dir_all(self.tree.root().join("kept"));
        let mut command = run::client(&self.tree, artefacts::installer());
        command.args(["--json", "compare", "--results", "--backend", GOOD, "--backend", BAD]);
        command.args(["--keep", "kept", "--"]).arg(&self.program).arg(CALLS);
        let ended = self.run(&mut command, fault);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        let mut document: Json =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
        document["differences"][0]["results"].take()
    }

    /// The number of the first call whose printed line satisfies `is_it`.
    fn first(&self, is_it: impl Fn(&str) -> bool) -> u64 {
        let mut command = run::client(&self.tree, &self.program);
        command.arg(CALLS).env("ROCBLAS_SHIM_BACKEND", GOOD);
        let printed = self.run(&mut command, None).success().stdout;
        let line = printed.lines().find(|line| is_it(line)).expect("such a call");
        line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// The calls whose operands a trace with checks for NaN has saved.
    fn saved(&self, fault: Option<&str>) -> Vec<String> {
        let traces = self.tree.root().join("traces");
        let _ = fs::remove_dir_all(&traces);
        let mut command = run::client(&self.tree, &self.program);
        command.arg(CALLS).env("ROCBLAS_SHIM_BACKEND", BAD).env("ROCBLAS_SHIM_TRACE", &traces);
        command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "check=nan,inf,on-bad=capture");
        self.run(&mut command, fault).success();
        let trace = fs::read_dir(&traces).expect("traces").next().expect("one").expect("readable");
        let files = fs::read_dir(trace.path()).expect("a trace");
        let names = files.map(|file| file.expect("readable").file_name().display().to_string());
        names.filter(|name| name.ends_with(".safetensors")).collect()
    }
}

#[test]
fn rounding_on_a_gpu_is_no_difference() {
    let Some(scene) = Scene::new() else { return };
    let results = scene.results(0, None);
    println!("{results:#}");
    let of = |name: &str| results[name].as_u64().expect("a number");
    assert_eq!((of("different"), of("one_sided")), (0, 0), "{results}");
    // Calls in graphs are skipped.
    assert!(of("skipped") >= 50 && of("rounded") > 400, "{results}");
}

/// A comparison names the first wrong call, and replaying it shows which backend computes it wrongly.
#[track_caller]
fn check_found(scene: &Scene, fault: &str, first: u64) {
    let results = scene.results(1, Some(fault));
    let call = &results["differing"][0];
    for side in 0..2 {
        assert_eq!(call["sides"][side]["sequence"], first, "{fault}: {call:#}");
    }
    assert_eq!(call["inputs"], "same", "{fault}");
    let replay = &call["captured"][0]["replay"];
    let outcomes = [0, 1].map(|row: usize| &replay["backends"][row]["outcome"]);
    assert_eq!(outcomes, ["right", "wrong"], "{fault}: {replay:#}");
}

#[test]
fn the_first_wrong_call_on_a_gpu_is_found_and_replayed() {
    let Some(scene) = Scene::new() else { return };
    check_found(&scene, "nan", scene.first(|line| line.contains(" sgemm 37x41 ")));
    let is_large = |line: &str| {
        let columns = line.split('x').nth(1).and_then(|rest| rest.split(' ').next());
        line.contains(" sgemm ") && columns.is_some_and(|n| n.parse().is_ok_and(|n: u32| n > 64))
    };
    check_found(&scene, "large-n", scene.first(is_large));
    check_found(&scene, "triangle", scene.first(|line| line.contains(" strsm_batched ")));
}

#[test]
fn a_race_of_two_streams_of_a_backend_is_found() {
    let Some(scene) = Scene::new() else { return };
    check_found(&scene, "race", scene.first(|line| line.contains(" sgemm 37x41 ")));
}

#[test]
fn a_scalar_of_the_call_before_is_found_on_a_gpu() {
    let Some(scene) = Scene::new() else { return };
    // The first call uses 0, and so does a call that is replayed alone.
    check_found(&scene, "stale-beta", scene.first(|line| line.ends_with(" beta 0.5")));
}

#[test]
fn checks_on_a_gpu_find_nan_and_none_without_a_fault() {
    let Some(scene) = Scene::new() else { return };
    let number = scene.first(|line| line.contains(" sgemm 37x41 "));
    assert_eq!(scene.saved(None), [""; 0]);
    assert_eq!(scene.saved(Some("nan")), [format!("call-1-{number}.safetensors")]);
}
