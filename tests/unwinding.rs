//! What passes through a stub on the way back: C++ exceptions and a debugger's view of the stack.

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

/// The functions of gdb's backtrace at a breakpoint, outermost last.
fn backtrace(tree: &Tree, environment: &str, breakpoint: &str) -> Vec<String> {
    let program = linked_client(tree, "debugged.cpp", &[]);
    let mut command = client(tree, "gdb".as_ref());
    // Debugger output must not go by the machine's settings.
    command.args(["-nx", "-batch", "-ex", "set breakpoint pending on", "-ex", "set width 0"]);
    let library_path = format!("set environment LD_LIBRARY_PATH {}", tree.lib().display());
    command.env_remove("LD_LIBRARY_PATH");
    for line in [
        library_path.as_str(),
        &format!("set environment {environment}"),
        &format!("break {breakpoint}"),
        "run",
        "backtrace",
        "kill",
    ] {
        command.args(["-ex", line]);
    }
    command.arg(program);
    let ended = run(&mut command);
    let frames: Vec<String> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let rest = line.split_once(" in ").map_or_else(
                || line.trim_start_matches(|c: char| c == '#' || c.is_ascii_digit() || c == ' '),
                |(_, rest)| rest,
            );
            rest.split([' ', '(']).next().unwrap_or_default().to_owned()
        })
        .collect();
    assert!(!frames.is_empty(), "{ended:?}");
    frames
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
        let frames = backtrace(&tree, environment, "backend.cpp:rocblas_sscal");
        assert_eq!(frames, ["rocblas_sscal", "calls_rocblas", "main"], "{environment}");
    }
}

#[test]
fn a_debugger_sees_the_caller_behind_initialisation() {
    if cxx().is_none() || !exists("gdb") {
        return skip("backtrace through initialisation", "no gdb, or no C++ compiler");
    }
    let tree = Tree::with_shim();
    let later = format!("BACKEND_LATER={}", cxx_backend(&tree).display());
    let frames = backtrace(&tree, &later, "standin_constructor_marker");
    assert!(!frames.iter().any(|frame| frame == "??"), "{frames:?}");
    assert_eq!(frames[frames.len() - 2..], ["calls_rocblas", "main"], "{frames:?}");
}
