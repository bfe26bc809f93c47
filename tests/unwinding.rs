//! Unwinding through a stub: C++ exceptions and a debugger's backtrace.

use std::{ops::Range, process::Command, slice};
use tests::{
    artefacts::{self, standins},
    assembly,
    compile::{cxx, library},
    run::{client, exists, run},
    scenario::{cxx_backend, linked_client},
    skip::skip,
    stepped::Stepped,
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
    // The debugger's output must not depend on the machine's settings.
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
        // The stub has jumped and has no frame: the backend's function appears to be called by the client's.
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
        // The compiler appends a hash to the name.
        assert!(thunk.starts_with("rocblas::arch::x86_64::thunk::traced"), "{thunk}");
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

/// Calls without a trace: of a function that the backend has or lacks, and the first call of a process, which opens
/// the backend.
const DIRECT: [&[&str]; 3] = [&["plain"], &["missing"], &["plain", "processes"]];

#[test]
fn a_backtrace_from_any_instruction_of_a_call_reaches_main() {
    if cxx().is_none() {
        return skip("backtraces from any instruction", "no C++ compiler");
    }
    let stepped = Stepped::new();
    // Two instructions of the stub; and these with the cold entry and the code that saves all registers.
    for (call, least) in DIRECT.into_iter().zip([2, 50, 50]) {
        let (taken, _) = stepped.run(&[&["unwinds"], call].concat(), None);
        println!("{call:?}: backtraces from {taken} instructions");
        assert!(taken >= least, "{call:?}: {taken}");
    }
    let routed = Stepped::new().routed();
    for (call, least) in [("plain", 10), ("missing", 60)] {
        let (taken, _) = routed.run(&["unwinds", call], None);
        println!("{call:?}, routed: backtraces from {taken} instructions");
        assert!(taken >= least, "{call:?}: {taken}");
    }
    for (call, options) in [
        ("plain", ""),
        ("scalars", ""),
        ("scalars-elsewhere", ""),
        ("result", ""),
        ("other-handle", ""),
        ("without-a-handle", ""),
        ("missing", ""),
        ("scalars", "first=1000000"),
    ] {
        let (taken, _) = stepped.run(&["unwinds", call], Some(options));
        println!("{call:?} {options}, traced: backtraces from {taken} instructions");
        assert!(taken > 70, "{call:?} {options}: {taken}");
    }
}

#[test]
fn an_exception_thrown_at_any_instruction_of_a_call_reaches_the_caller() {
    if cxx().is_none() {
        return skip("exceptions at any instruction", "no C++ compiler");
    }
    let stepped = Stepped::new();
    for (call, least) in DIRECT.into_iter().zip([2, 50, 50]) {
        let (thrown, _) = stepped.run(&[&["throws"], call].concat(), None);
        println!("{call:?}: exceptions at {thrown} instructions");
        assert!(thrown >= least, "{call:?}: {thrown}");
    }
    let routed = Stepped::new().routed();
    // Two of the stub, and eight of the routed entry.
    assert_eq!(routed.run(&["throws", "plain"], None).0, 10);
    assert!(routed.run(&["throws", "missing"], None).0 >= 60);
}

/// A linker's PLT and every function of any compiler, except the C compiler's own object files that start and end a
/// library: a program's call is never on the stack there.
#[test]
fn whatever_can_be_sampled_has_unwind_information() {
    const AT_LOAD_AND_UNLOAD: [&str; 6] = [
        "_init",
        "_fini",
        "register_tm_clones",
        "deregister_tm_clones",
        "__do_global_dtors_aux",
        "frame_dummy",
    ];
    let bytes = std::fs::read(artefacts::shim()).expect("read the shim");
    let elf = goblin::elf::Elf::parse(&bytes).expect("parse the shim");
    let frames = Command::new("readelf").arg("--debug-dump=frames").arg(artefacts::shim()).output();
    let frames = String::from_utf8(frames.expect("readelf, as the compiler has it").stdout);
    let frames = frames.expect("UTF-8");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("an address");
    let range = |line: &str| {
        let (from, to) = line.split_once(" pc=")?.1.split_once("..")?;
        Some(number(from)..number(to.trim()))
    };
    let ranges: Vec<Range<u64>> = frames.lines().filter_map(range).collect();
    assert!(ranges.len() > 1000, "{}", ranges.len());
    let is_covered = |address: u64| ranges.iter().any(|range| range.contains(&address));
    let lacking = |name: String, from: u64, to: u64| {
        let at = (from..to).find(|address| !is_covered(*address));
        at.map(|at| format!("{name} at {at:x}"))
    };
    let section = |section: &goblin::elf::SectionHeader| {
        let name =
            elf.shdr_strtab.get_at(section.sh_name).filter(|name| name.starts_with(".plt"))?;
        lacking(name.to_owned(), section.sh_addr, section.sh_addr + section.sh_size)
    };
    let symbol = |symbol: goblin::elf::Sym| {
        let name = elf.strtab.get_at(symbol.st_name).unwrap_or_default();
        let is_asked = symbol.is_function() && symbol.st_shndx != 0;
        let is_asked = is_asked && !AT_LOAD_AND_UNLOAD.contains(&name);
        lacking(name.to_owned(), symbol.st_value, symbol.st_value + 1).filter(|_| is_asked)
    };
    let sections = elf.section_headers.iter().filter_map(section);
    let without: Vec<String> = sections.chain(elf.syms.iter().filter_map(symbol)).collect();
    assert_eq!(without, [""; 0]);
}

#[test]
fn a_profiler_loses_no_sample() {
    if cxx().is_none() {
        return skip("backtraces of a profiler", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    let null = tree.root().join("null.so");
    let null = library(&standins().join("null_backend.c"), &null, "librocblas.so.4", &[]);
    tree.add_backend("null", &null);
    let program = linked_client(&tree, "profiled.cpp", &[]);
    let (variable, ranges) = assembly::variable();
    for traced in [false, true] {
        let mut command = client(&tree, &program);
        command.env(variable, &ranges).env("ROCBLAS_SHIM_COMPAT", "-all");
        if traced {
            command.env("ROCBLAS_SHIM_TRACE", tree.root().join("traces"));
            command.env("ROCBLAS_SHIM_TRACE_OPTIONS", "ring=1M");
        }
        let ended = run(&mut command).success();
        println!("traced: {traced}; samples, lost, in the assembly: {}", ended.stdout.trim());
        let numbers: Vec<u32> =
            ended.stdout.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        let [samples, lost, within] = numbers[..] else { panic!("{ended:?}") };
        assert!(samples >= 10_000 && within >= 200, "{ended:?}");
        assert_eq!(lost, 0, "{ended:?}");
    }
}
