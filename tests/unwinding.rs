//! What passes through a stub on the way back: C++ exceptions and a debugger's view of the stack.

use std::slice;
use tests::{
    compile::cxx,
    run::{client, exists, run},
    scenario::{cxx_backend, linked_client},
    skip::skip,
    tree::Tree,
};

#[test]
fn a_cxx_exception_thrown_in_the_backend_reaches_the_caller() {
    if cxx().is_none() {
        return skip("exceptions through a stub", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    let backend = cxx_backend(&tree);
    let program = linked_client(&tree, "throws.cpp", &[]);
    let expected: String = (0..3).map(|i| format!("{i}: thrown by the backend\n")).collect();
    let lazy = run(client(&tree, &program).env("BACKEND_LATER", &backend)).silent_success();
    assert_eq!(lazy.stdout, expected);
    tree.add_backend("only", &backend);
    let early = run(&mut client(&tree, &program)).silent_success();
    assert_eq!(early.stdout, expected);
}

/// The functions of gdb's backtraces at a breakpoint, the first two times that it is reached; outermost
/// last.
fn backtraces(tree: &Tree, environment: &[String], breakpoint: &str) -> Vec<Vec<String>> {
    let program = linked_client(tree, "debugged.cpp", &[]);
    let mut command = client(tree, "gdb".as_ref());
    // Debugger output must not go by the machine's settings.
    command.args(["-nx", "-batch", "-ex", "set breakpoint pending on", "-ex", "set width 0"]);
    let library_path = format!("set environment LD_LIBRARY_PATH {}", tree.lib().display());
    command.env_remove("LD_LIBRARY_PATH");
    command.args(["-ex", &library_path]);
    for variable in environment {
        command.args(["-ex", &format!("set environment {variable}")]);
    }
    command.args(["-ex", &format!("break {breakpoint}")]);
    for line in ["run", "backtrace", "continue", "backtrace", "kill"] {
        command.args(["-ex", line]);
    }
    command.arg(program);
    let ended = run(&mut command);
    let mut backtraces: Vec<Vec<String>> = Vec::new();
    for line in ended.stdout.lines().filter(|line| line.starts_with('#')) {
        let rest = line.split_once(" in ").map_or_else(
            || line.trim_start_matches(|c: char| c == '#' || c.is_ascii_digit() || c == ' '),
            |(_, rest)| rest,
        );
        let function = rest.split([' ', '(']).next().unwrap_or_default().to_owned();
        if line.starts_with("#0 ") {
            backtraces.push(Vec::new());
        }
        backtraces.last_mut().unwrap_or_else(|| panic!("{ended:?}")).push(function);
    }
    assert!(!backtraces.is_empty(), "{ended:?}");
    backtraces
}

#[test]
fn a_debugger_sees_the_caller_behind_the_backend() {
    if cxx().is_none() || !exists("gdb") {
        return skip("backtrace through a stub", "no gdb, or no C++ compiler");
    }
    let tree = Tree::with_shim();
    let backend = cxx_backend(&tree);
    let later = format!("BACKEND_LATER={}", backend.display());
    let now = format!("ROCBLAS_SHIM_BACKEND={}", backend.display());
    for environment in [&later, &now] {
        // The stub has jumped and is gone: the backend's function was called by the client's.
        let both = backtraces(&tree, slice::from_ref(environment), "backend.cpp:rocblas_sscal");
        assert_eq!(both, [["rocblas_sscal", "calls_rocblas", "main"]; 2], "{environment}");
    }
}

#[test]
fn a_debugger_sees_the_caller_behind_a_traced_call() {
    if cxx().is_none() || !exists("gdb") {
        return skip("backtrace through a traced call", "no gdb, or no C++ compiler");
    }
    let tree = Tree::with_shim();
    let backend = format!("ROCBLAS_SHIM_BACKEND={}", cxx_backend(&tree).display());
    let trace = format!("ROCBLAS_SHIM_TRACE={}", tree.root().join("traces").display());
    // The first call of a thread leaves the thunk's straight line, the second one does not.
    let both = backtraces(&tree, &[backend, trace], "backend.cpp:rocblas_sscal");
    assert_eq!(both.len(), 2);
    for mut frames in both {
        let thunk = frames.remove(1);
        // The compiler puts a hash behind the name.
        assert!(thunk.starts_with("rocblas::trace::thunk::traced"), "{thunk}");
        assert_eq!(frames, ["rocblas_sscal", "calls_rocblas", "main"]);
    }
}

#[test]
fn a_debugger_sees_the_caller_behind_initialisation() {
    if cxx().is_none() || !exists("gdb") {
        return skip("backtrace through initialisation", "no gdb, or no C++ compiler");
    }
    let tree = Tree::with_shim();
    let later = format!("BACKEND_LATER={}", cxx_backend(&tree).display());
    let frames = backtraces(&tree, &[later], "standin_constructor_marker").remove(0);
    assert!(!frames.iter().any(|frame| frame == "??"), "{frames:?}");
    assert_eq!(frames[frames.len() - 2..], ["calls_rocblas", "main"], "{frames:?}");
}
