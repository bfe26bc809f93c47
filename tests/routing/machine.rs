//! A tree with a shim and backends that recognise their own handles (`tests/standins/c/owned.c`).

use std::path::{Path, PathBuf};
use tests::{
    artefacts::standins,
    compile::library,
    run::{Ended, client, run},
    scenario::linked_client,
    tree::Tree,
};

/// The value that a stand-in returns for its own handle.
pub(crate) fn own(backend: u8) -> u32 {
    100 + u32::from(backend)
}

/// A tree, and the client that carries out its arguments.
pub(crate) struct Machine {
    pub(crate) tree: Tree,
    pub(crate) program: PathBuf,
}

impl Machine {
    /// With that many backends, named `one`, `two` and so on; the first backend is `one`.
    pub(crate) fn with(backends: u8) -> Self {
        let machine = Self::of(|tree| linked_client(tree, "backends.c", &[include()]));
        (1..=backends).for_each(|number| machine.add(number, &[]));
        machine
    }

    /// Without backends.
    pub(crate) fn of(compile: impl FnOnce(&Tree) -> PathBuf) -> Self {
        let tree = Tree::with_shim();
        let program = compile(&tree);
        Self { tree, program }
    }

    /// Adds a backend.
    pub(crate) fn add(&self, number: u8, traits: &[&str]) {
        self.add_with_soname(number, "librocblas.so.4", "4.3.0", traits);
    }

    /// Adds a backend of that version.
    pub(crate) fn add_with_soname(&self, number: u8, soname: &str, version: &str, traits: &[&str]) {
        let (id, version) = (format!("-DID={number}"), format!("-DVERSION=\"{version}\""));
        let file = self.tree.root().join(format!("owned{number}.so"));
        let traits = [&[id.as_str(), version.as_str()], traits].concat();
        library(&standins().join("owned.c"), &file, soname, &traits);
        self.tree.add_backend(name(number), &file);
    }

    /// The client's output for these words, starting with backend `one`.
    #[track_caller]
    pub(crate) fn run(&self, words: &str) -> Ended {
        self.run_with(words, &[])
    }

    #[track_caller]
    pub(crate) fn run_with(&self, words: &str, environment: &[(&str, &str)]) -> Ended {
        let backend = [("ROCBLAS_SHIM_BACKEND", name(1))];
        self.run_without_a_choice(words, &[&backend, environment].concat())
    }

    /// The same, with the backend that the settings name.
    #[track_caller]
    pub(crate) fn run_without_a_choice(&self, words: &str, environment: &[(&str, &str)]) -> Ended {
        let mut command = client(&self.tree, &self.program);
        run(command.args(words.split(' ')).envs(environment.iter().copied()))
    }

    /// The same, without a message of the shim.
    #[track_caller]
    pub(crate) fn printed(&self, words: &str) -> String {
        self.run(words).silent_success().stdout
    }
}

/// The directory of `rocblas_shim.h`.
pub(crate) fn include() -> &'static str {
    concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../shim/include")
}

/// The names of backends in the store, by number.
pub(crate) fn name(number: u8) -> &'static str {
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        [usize::from(number) - 1]
}

/// The client's output for a handle of that backend if everything succeeds.
pub(crate) fn line(number: u8) -> String {
    let own = own(number);
    format!("{}: {own} {own} {own}, memory 0 1 0\n", name(number))
}

/// The library of a backend in the store.
pub(crate) fn file(tree: &Tree, number: u8) -> PathBuf {
    let backends = tree.lib().join("rocblas-shim/backends");
    backends.join(name(number)).join(Path::new("lib/librocblas.so.4"))
}
