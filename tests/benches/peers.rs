//! What a layer adds to a call: the shim with one backend, with two, and with a trace; a function that looks
//! the target up by `dlsym` each time; and libblastrampoline, if LIBBLASTRAMPOLINE names its library.
//! callgrind counts instructions, if valgrind is installed; times are the minimum of several rounds, all in
//! one run.
//!
//! `cargo bench --package tests --bench peers`

use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    artefacts::{standins, workspace},
    compile::{compile, library},
    run::{client, exists, run},
    tree::Tree,
};

const CALLS: u32 = 2_000_000;
const ROUNDS: usize = 15;

/// Two numbers of calls: the difference between their instruction counts is due to the calls alone.
const COUNTED: [u32; 2] = [10_000, 110_000];

struct Way {
    what: &'static str,
    word: &'static str,
    library: PathBuf,
    /// The way that it is compared with.
    base: usize,
}

struct Bench {
    tree: Tree,
    program: PathBuf,
    blas: PathBuf,
}

impl Bench {
    fn client(&self, way: &Way, calls: u32) -> Vec<String> {
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let (program, library) = (path(&self.program), path(&way.library));
        vec![program, library, way.word.to_owned(), calls.to_string(), path(&self.blas)]
    }

    fn prepared(&self, program: &str) -> Command {
        let mut command = client(&self.tree, Path::new(program));
        command.env("ROCBLAS_SHIM_BACKEND", "null").current_dir(self.tree.root());
        command
    }

    /// Nanoseconds per call.
    fn time(&self, way: &Way) -> f64 {
        let words = self.client(way, CALLS);
        let ended = run(self.prepared(&words[0]).args(&words[1..])).success();
        ended.stdout.trim().parse().expect("a number")
    }

    /// Instructions per call; `None` without valgrind.
    fn instructions(&self, way: &Way) -> Option<f64> {
        if !exists("valgrind") {
            return None;
        }
        let count = |calls: u32| -> f64 {
            let mut command = self.prepared("valgrind");
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
            let ended = run(command.args(self.client(way, calls))).success();
            let collected = ended.stderr.split("Collected : ").nth(1).expect("a count");
            collected.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
        };
        let [few, many] = COUNTED.map(count);
        Some((many - few) / f64::from(COUNTED[1] - COUNTED[0]))
    }
}

fn main() {
    let tree = Tree::with_shim();
    let null = tree.root().join("null.so");
    let source = standins().join("null_backend.c");
    let arguments = ["-DHAS_HANDLES", "-O2"];
    let null = library(&source, &null, "librocblas.so.4", &arguments);
    let direct = tree.add_backend("null", &null);
    tree.add_backend(
        "other",
        &library(&source, &tree.root().join("other.so"), "librocblas.so.4", &arguments),
    );
    let shim = tree.lib().join("librocblas.so.5");
    let blas = tree.root().join("blas.c");
    std::fs::write(&blas, "void sgemm_(void) {}\n").expect("write");
    let blas = library(&blas, &tree.root().join("blas.so"), "libblas.so.3", &["-O2"]);
    let program = compile(
        &workspace().join("tests/clients/peers.c"),
        &tree.root().join("peers"),
        &["-O2", "-ldl"],
    );
    let mut ways = vec![
        Way { what: "direct", word: "direct", library: direct.clone(), base: 0 },
        Way { what: "forwarded", word: "direct", library: shim.clone(), base: 0 },
        Way { what: "routed, two backends open", word: "routed", library: shim.clone(), base: 0 },
        Way { what: "traced into a ring", word: "traced", library: shim, base: 0 },
        Way { what: "dlsym in each call", word: "dlsym", library: direct, base: 0 },
    ];
    match std::env::var_os("LIBBLASTRAMPOLINE").map(PathBuf::from) {
        Some(library) => {
            let base = ways.len();
            ways.push(Way { what: "direct, sgemm_", word: "blas", library: library.clone(), base });
            ways.push(Way { what: "libblastrampoline, sgemm_", word: "lbt", library, base });
        }
        None => println!("LIBBLASTRAMPOLINE names no library: left out"),
    }
    let bench = Bench { tree, program, blas };
    let mut times = vec![f64::INFINITY; ways.len()];
    for _ in 0..ROUNDS {
        for (time, way) in times.iter_mut().zip(&ways) {
            *time = time.min(bench.time(way));
        }
    }
    let instructions: Vec<Option<f64>> = ways.iter().map(|way| bench.instructions(way)).collect();
    println!("{:<28} {:>12} {:>9} {:>9}", "way", "instructions", "time", "ratio");
    for (at, way) in ways.iter().enumerate() {
        let added = instructions[at].zip(instructions[way.base]).map(|(own, base)| own - base);
        let added = added.map_or("-".to_owned(), |added| format!("{added:+.1}"));
        let ratio = times[at] / times[way.base];
        println!("{:<28} {added:>12} {:>6.2} ns {ratio:>9.2}", way.what, times[at]);
    }
}
