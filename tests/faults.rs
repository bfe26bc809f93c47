//! Faults planted in the reference backend, with a program that makes 10,000 calls of all kinds: each fault changes
//! the intended results and no others. The tools that find faults have their own tests.

use std::path::PathBuf;
use tests::{
    artefacts,
    run::{client, run},
    scenario::linked_client,
    tree::Tree,
};

/// Two backends that compute the same, and the program.
struct Scene {
    tree: Tree,
    program: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let tree = Tree::with_shim();
        for name in ["good", "bad"] {
            tree.add_backend(name, artefacts::reference());
        }
        let program = linked_client(&tree, "many_calls.c", &[]);
        Self { tree, program }
    }

    /// The lines of output: one for each call, and one for all.
    fn lines(&self, backend: &str, calls: u32, variables: &[(&str, &str)]) -> Vec<String> {
        let mut command = client(&self.tree, &self.program);
        command.args(["--each", "--calls", &calls.to_string()]);
        command.env("ROCBLAS_SHIM_BACKEND", backend).envs(variables.iter().copied());
        let ended = run(&mut command).silent_success();
        let lines: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
        assert_eq!(lines.len() as u32, calls + 1);
        assert!(lines[calls as usize].contains(" 0 failed, "), "{ended:?}");
        lines
    }

    /// The lines of calls whose results differ with this fault.
    fn wrong(&self, calls: u32, fault: &str) -> Vec<String> {
        let right = self.lines("good", calls, &[]);
        let wrong = self.lines("good", calls, &[("REFERENCE_BACKEND_FAULT", fault)]);
        let pairs = right.into_iter().zip(wrong).take(calls as usize);
        pairs.filter(|(right, wrong)| right != wrong).map(|(_, wrong)| wrong).collect()
    }
}

/// The function of a line, without `rocblas_`.
fn function(line: &str) -> &str {
    line.split(' ').nth(1).and_then(|name| name.strip_prefix("rocblas_")).expect("a function")
}

#[test]
fn the_calls_are_the_same_in_every_run() {
    let scene = Scene::new();
    let first = scene.lines("good", 10_000, &[]);
    assert_eq!(first, scene.lines("bad", 10_000, &[]));
    let forms: std::collections::BTreeSet<&str> =
        first[..10_000].iter().map(|l| function(l)).collect();
    assert_eq!(forms.len(), 88, "{forms:?}");
}

#[test]
fn one_call_has_a_nan() {
    let wrong = Scene::new().wrong(10_000, "nan@7041");
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("7041 rocblas_dgemm m=18 n=14 k=13 form=2 batch=3 "), "{wrong:?}");
}

#[test]
fn calls_with_a_triangle_use_the_other_one() {
    let wrong = Scene::new().wrong(2000, "triangle");
    assert!(wrong.len() > 300, "{}", wrong.len());
    let kinds = ["trsm", "trmm", "symm", "hemm", "syrk", "herk", "symv", "trmv", "trsv"];
    for line in &wrong {
        assert!(kinds.iter().any(|kind| function(line).ends_with(kind)), "{line}");
    }
    for kind in kinds {
        assert!(wrong.iter().any(|line| function(line).ends_with(kind)), "{kind}");
    }
}

#[test]
fn products_use_a_stale_beta() {
    let wrong = Scene::new().wrong(1000, "stale-beta");
    assert!(wrong.len() > 100, "{}", wrong.len());
    assert!(wrong.iter().all(|line| function(line).contains("gemm")), "{wrong:?}");
}

#[test]
fn only_more_than_64_columns_are_wrong() {
    let wrong = Scene::new().wrong(10_000, "large-n@64");
    assert!(wrong.len() > 20, "{}", wrong.len());
    for line in &wrong {
        let n = line.split(' ').find_map(|word| word.strip_prefix("n=")).expect("n");
        assert!(n.parse::<u32>().expect("a number") > 64, "{line}");
    }
    for kind in ["gemm", "trsm"] {
        assert!(wrong.iter().any(|line| function(line).ends_with(kind)), "{kind}: {wrong:?}");
    }
}

#[test]
fn a_race_shows_in_one_of_200_runs() {
    let scene = Scene::new();
    let wrong = |seed: u32| scene.wrong(1000, &format!("race@200:{seed}")).len();
    assert_eq!((20..40).filter(|seed| wrong(*seed) > 0).collect::<Vec<_>>(), [29]);
    assert!((2..50).contains(&wrong(29)));
}

#[test]
fn variables_apply_to_one_of_several_backends() {
    let scene = Scene::new();
    let of = |backend, variables: &[(&str, &str)]| {
        let only = [variables, &[("REFERENCE_BACKEND_ONLY", "bad")]].concat();
        scene.lines(backend, 500, &only)
    };
    let right = scene.lines("good", 500, &[]);
    for variable in [("REFERENCE_BACKEND_FAULT", "nan@3"), ("REFERENCE_BACKEND_SUM", "reversed")] {
        assert_eq!(of("good", &[variable]), right, "{variable:?}");
        assert_ne!(of("bad", &[variable]), right, "{variable:?}");
    }
}
