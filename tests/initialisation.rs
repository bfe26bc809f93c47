//! First calls at unusual times: many at once, before main, inside constructors, around fork, and calls after
//! main has returned.

use std::{fs, path::Path, time::Instant};
use tests::{
    artefacts::workspace,
    compile::{compile, library},
    run::{Ended, client, run},
    scenario::{c_backend, linked_client},
    tree::Tree,
};

/// The value that the C backend's `rocblas_sscal` returns.
const ANSWER: &str = "77";

/// Runs a client that finds its backend only once it has started, so that its first call is the
/// one that initialises.
fn run_lazily(client_source: &str, traits: &[&str], arguments: &[&str]) -> Ended {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "backend.so", traits);
    let program = linked_client(&tree, client_source, &[]);
    let mut command = client(&tree, &program);
    run(command.args(arguments).env("BACKEND_LATER", backend))
}

/// Runs a client whose backend is in the store from the start.
fn run_early(client_source: &str, traits: &[&str]) -> Ended {
    let tree = Tree::with_shim();
    tree.add_backend("only", &c_backend(&tree, "backend.so", traits));
    let program = linked_client(&tree, client_source, &[]);
    run(&mut client(&tree, &program))
}

#[test]
fn sixty_four_threads_make_their_first_call_at_once() {
    for traits in [vec![], vec!["-DSLEEP_MS=100"], vec!["-DSLEEP_MS=700"]] {
        let ended = run_lazily("threads.c", &traits, &[]).silent_success();
        assert_eq!(ended.stdout, format!("{ANSWER}\n").repeat(64), "{traits:?}");
    }
}

#[test]
fn calls_before_main_and_after_it_are_served() {
    let ended = run_early("early_calls.c", &[]).silent_success();
    assert_eq!(ended.stdout, "preinit=77\nconstructor=77\ndestructor=77\n");
}

#[test]
fn a_call_before_libc_is_up_finds_the_backend_that_the_environment_names() {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "backend.so", &[]);
    let program = linked_client(&tree, "early_calls.c", &[]);
    let ended = run(client(&tree, &program).env("ROCBLAS_SHIM_BACKEND", backend)).silent_success();
    assert_eq!(ended.stdout, "preinit=77\nconstructor=77\ndestructor=77\n");
}

#[test]
fn a_backend_may_call_itself_from_its_own_constructor() {
    let source = "constructed.c";
    let ended = run_early(source, &["-DCALLS_BACK"]).silent_success();
    assert_eq!(ended.stdout, "from the constructor: 77\n", "opened at load");
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "backend.so", &["-DCALLS_BACK"]);
    let program = linked_client(&tree, source, &[]);
    let ended = run(client(&tree, &program).env("BACKEND_LATER", backend)).silent_success();
    assert_eq!(ended.stdout, "from the constructor: 77\n", "opened at the first call");
}

#[test]
fn a_plugin_whose_constructor_calls_does_not_deadlock_with_a_first_call() {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "backend.so", &[]);
    let lib = tree.lib();
    let plugin = library(
        &workspace().join("tests/clients/plugin.c"),
        &tree.root().join("plugin.so"),
        "plugin.so",
        &["-L", lib.to_str().expect("UTF-8"), "-lrocblas"],
    );
    let program = linked_client(&tree, "plugin_host.c", &[]);
    let start = Instant::now();
    let ended = run(client(&tree, &program).arg(plugin).env("BACKEND_LATER", backend));
    assert_eq!(ended.silent_success().stdout, "thread=77\nplugin=77\n");
    assert!(start.elapsed().as_secs() < 10, "patience is not a hang: {:?}", start.elapsed());
}

#[test]
fn fork_while_another_thread_initialises_gives_a_child_that_works() {
    for sleep in ["-DSLEEP_MS=300", "-DSLEEP_MS=1500"] {
        let ended = run_lazily("forks.c", &[sleep], &["during"]).silent_success();
        assert_eq!(ended.stdout, "child=77\nparent=77\n", "{sleep}");
    }
}

#[test]
fn a_child_forked_halfway_through_says_so_instead_of_using_half_a_backend() {
    let ended = run_lazily("forks.c", &["-DSLEEP_MS=12000"], &["during"]).success();
    assert_eq!(ended.stdout, "child=6\nparent=77\n", "{ended:?}");
}

#[test]
fn a_forked_child_may_make_the_first_call() {
    let ended = run_lazily("forks.c", &[], &["before"]).silent_success();
    assert_eq!(ended.stdout, "child=77\nparent=77\n");
}

#[test]
fn a_handle_may_be_destroyed_by_what_runs_at_exit() {
    let ended = run_early("exit_order.c", &["-DMORTAL"]).silent_success();
    assert_eq!(ended.stdout, "create=0\ndestroy=0\n");
}

#[test]
fn closing_the_shim_leaves_every_pointer_into_it_valid() {
    let tree = Tree::with_shim();
    tree.add_backend("only", &c_backend(&tree, "backend.so", &[]));
    let source = workspace().join("tests/clients/dlclose.c");
    let program = compile(&source, &tree.root().join("dlclose"), &["-ldl"]);
    let ended = run(client(&tree, &program).env("ROCBLAS_USE_HIPBLASLT", "1")).silent_success();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let count = |line: &str| lines.iter().filter(|l| **l == line).count();
    assert_eq!((count("open=77"), count("closed=77"), count("same=1")), (2, 2, 1), "{ended:?}");
    assert_eq!(count("ROCBLAS_USE_HIPBLASLT=0"), 2, "{ended:?}");
}

#[test]
fn a_library_that_is_only_loaded_prints_nothing() {
    // The shim must not add text to output that configure scripts parse.
    let tree = Tree::with_shim();
    let program = Path::new("/bin/true");
    let mut command = client(&tree, program);
    command.env("LD_PRELOAD", tree.lib().join("librocblas.so.5"));
    let ended = run(&mut command).silent_success();
    assert_eq!(ended.stdout, "");
    fs::create_dir_all(tree.lib().join("rocblas-shim/backends/only/lib")).expect("make a prefix");
    fs::write(tree.lib().join("rocblas-shim/backends/only/lib/librocblas.so.4"), "text")
        .expect("write");
    run(&mut command).silent_success();
}

#[test]
fn no_loader_error_is_left_for_the_program_to_find() {
    let source = "dlerror.c";
    let quiet = "loaded: no error\ncalled: no error\n";
    assert_eq!(run_early(source, &[]).silent_success().stdout, quiet, "opened at load");
    assert_eq!(run_lazily(source, &[], &[]).silent_success().stdout, quiet, "at the first call");
    let tree = Tree::with_shim();
    let program = linked_client(&tree, source, &[]);
    assert_eq!(run(&mut client(&tree, &program)).success().stdout, quiet, "no backend");
}

#[test]
fn the_vtable_is_complete_before_the_backend_is_published() {
    let ended = run_lazily("vtable.c", &["-DVTABLE"], &[]).silent_success();
    assert_eq!(ended.stdout, "answer=77 stored=1 filled=1 late=0\n");
}

#[test]
fn fork_waits_for_a_thread_that_initialises_without_the_lock() {
    let tree = Tree::with_shim();
    let slow = c_backend(&tree, "slow.so", &["-DSLEEP_MS=2000"]);
    let program = linked_client(&tree, "fork_without_lock.c", &[]);
    fs::create_dir_all(tree.lib().join("rocblas-shim")).expect("make the store");
    let mut command = client(&tree, &program);
    let ended = run(command.arg(tree.settings()).arg(slow)).success();
    assert_eq!(ended.stdout, "first=6\nchild=77\nsecond=77\n", "{ended:?}");
}

#[test]
fn a_slot_that_the_loader_was_resolving_is_bound_again() {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "backend.so", &["-DRESOLVES_LATE"]);
    let source = workspace().join("tests/clients/late_resolver.c");
    let resolver = library(&source, &tree.root().join("late.so"), "late.so", &[]);
    let program = linked_client(&tree, "resolved_late.c", &[]);
    let mut command = client(&tree, &program);
    let ended = run(command.env("BACKEND_LATER", backend).env("LD_PRELOAD", resolver));
    let expected = "first: create=0 foreign=0\nlater: create=0 foreign=0\n";
    assert_eq!(ended.silent_success().stdout, expected);
}
