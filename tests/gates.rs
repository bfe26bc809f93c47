//! Gates: exact figures, so that a change of one is noticed and must be intended. Each is stated in the table
//! in TESTING.md, which these tests read.

use goblin::elf::{Elf, reloc::r_to_str};
use rocblas_abi::exports;
use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, sync::OnceLock};
use tests::{
    artefacts::{self, standins, workspace},
    assembly,
    compile::{cxx, library},
    run::{client, run},
    scenario::linked_client,
    skip::skip,
    tree::Tree,
};

/// The figures of a gate's row in TESTING.md.
#[track_caller]
fn stated(gate: &str) -> Vec<f64> {
    static PAGE: OnceLock<String> = OnceLock::new();
    let page = PAGE.get_or_init(|| {
        fs::read_to_string(workspace().join("TESTING.md")).expect("read TESTING.md")
    });
    let start = format!("| {gate} | ");
    let row = page.lines().find_map(|line| line.strip_prefix(start.as_str()));
    let row = row.unwrap_or_else(|| panic!("TESTING.md has no gate `{gate}`"));
    let figures = row.split(" |").next().unwrap_or_default().replace(',', "");
    figures.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The path that a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forwarded,
    Routed,
    /// A trace with default options: HIP's last error is read before and after.
    Traced,
    TracedWithoutErrors,
    RoutedAndTraced,
}

/// A client with the null backend and the address ranges of the assembly.
struct Measured {
    tree: Tree,
    program: PathBuf,
    backend: PathBuf,
}

impl Measured {
    fn of(source: &str) -> Self {
        let tree = Tree::with_shim();
        let (null, backend) = (standins().join("null_backend.c"), tree.root().join("null.so"));
        let backend = library(&null, &backend, "librocblas.so.4", &["-O2", "-DHAS_HIP"]);
        let program = linked_client(&tree, source, &["-Wl,-z,now"]);
        Self { tree, program, backend }
    }

    /// A command that runs the program with calls of this kind.
    fn command(&self, way: Way) -> Command {
        let mut command = client(&self.tree, &self.program);
        let (variable, ranges) = assembly::variable();
        command.env(variable, ranges).env("ROCBLAS_SHIM_BACKEND", &self.backend);
        command.env("ROCBLAS_SHIM_COMPAT", "-all").env("ROCBLAS_SHIM_LISTEN", "off");
        if matches!(way, Way::Routed | Way::RoutedAndTraced) {
            command.env("SECOND_BACKEND", self.tree.place(&self.backend, "second.so"));
        }
        let errors = match way {
            Way::Forwarded | Way::Routed => return command,
            Way::Traced | Way::RoutedAndTraced => "on",
            Way::TracedWithoutErrors => "off",
        };
        command.env("ROCBLAS_SHIM_TRACE", self.tree.root().join("traces"));
        command.env("ROCBLAS_SHIM_TRACE_OPTIONS", format!("errors={errors}"));
        command
    }

    fn figures(&self, way: Way) -> Vec<f64> {
        let ended = run(&mut self.command(way)).success();
        ended.stdout.split_whitespace().map(|word| word.parse().expect("a number")).collect()
    }
}

#[test]
fn a_call_executes_as_many_instructions_as_stated() {
    if cxx().is_none() {
        return skip("instructions of a call", "no C++ compiler");
    }
    let measured = Measured::of("path_lengths.cpp");
    let mut differing = Vec::new();
    for (gate, way) in [
        ("instructions of a forwarded call", Way::Forwarded),
        ("instructions of a routed call", Way::Routed),
        ("instructions of a traced call", Way::Traced),
        ("instructions of a traced call with `errors=off`", Way::TracedWithoutErrors),
        ("instructions of a traced call that is routed", Way::RoutedAndTraced),
    ] {
        let figures = measured.figures(way);
        println!("{gate}: {figures:?}");
        differing.extend((figures != stated(gate)).then_some((gate, figures)));
    }
    assert!(differing.is_empty(), "not as stated: {differing:?}");
}

#[test]
fn calls_allocate_nothing() {
    let measured = Measured::of("allocations.c");
    for way in
        [Way::Forwarded, Way::Routed, Way::Traced, Way::TracedWithoutErrors, Way::RoutedAndTraced]
    {
        assert_eq!(measured.figures(way), stated("allocations in 1,000 calls"), "{way:?}");
    }
    let mut planted = measured.command(Way::Forwarded);
    assert_eq!(run(planted.env("PLANTED", "1")).success().stdout, "2\n", "it counts");
}

#[test]
fn relocations_are_of_these_kinds_and_so_many_at_most() {
    let bytes = fs::read(artefacts::shim()).expect("read the shim");
    let elf = Elf::parse(&bytes).expect("parse the shim");
    let machine = elf.header.e_machine;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for relocation in elf.dynrelas.iter().chain(elf.pltrelocs.iter()) {
        *kinds.entry(r_to_str(relocation.r_type, machine)).or_default() += 1;
    }
    for (kind, count) in kinds {
        let most = stated(&format!("relocations of kind `{kind}`, at most"))[0];
        assert!(count as f64 <= most, "{kind}: {count}, more than {most}");
        // A limit far above the count would not limit anything.
        assert!(count as f64 > 0.8 * most, "{kind}: {count}, and {most} are stated");
    }
}

#[test]
fn functions_and_size_are_as_stated() {
    assert_eq!(stated("exported functions of rocBLAS"), [exports().len() as f64]);
    let directory = tempfile::tempdir().expect("a directory");
    let stripped = directory.path().join("stripped.so");
    let mut strip = Command::new("strip");
    run(strip.arg("-o").arg(&stripped).arg(artefacts::shim())).success();
    let size = fs::metadata(stripped).expect("stripped").len() as f64 / 1e6;
    let most = stated("stripped size in MB, at most")[0];
    assert!(size <= most, "{size:.3} MB, more than {most}");
}
