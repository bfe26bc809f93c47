//! The demonstration's tree: laid out like ROCm 7.0.2's package, and then with the shim.

use crate::{prepare::Built, report::indented};
use ::tests::{
    artefacts,
    run::{Ended, client, run},
    tree::Tree,
};
use examples::table::Table;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// The name that AMD's package gives the library.
pub(crate) const STOCK_NAME: &str = "librocblas.so.5.0.70002";

/// The installer's inputs, in the tree: ROCm 6.3's files as unpacked from its package, and the built shim.
pub(crate) const BACKEND: &str = "rocm-6.3.0";
pub(crate) const SHIM: &str = "shim/librocblas.so";
/// The name that AMD's package of ROCm 6.3 gives the library.
const BACKEND_NAME: &str = "librocblas.so.4.3.60300";

/// The tree, which is deleted when this is dropped.
pub(crate) struct Layout(Tree);

impl Layout {
    /// The stock library, and the symlinks for the loader and for the linker.
    pub(crate) fn stock_only(built: &Built) -> Self {
        let tree = Tree::new();
        tree.place(built.stock, STOCK_NAME);
        let lib = tree.lib();
        for (link, target) in
            [("librocblas.so.5", STOCK_NAME), ("librocblas.so", "librocblas.so.5")]
        {
            symlink(target, lib.join(link)).expect("link to the stock library");
        }
        let older = tree.root().join(BACKEND).join("lib");
        fs::create_dir_all(&older).expect("make the other tree");
        fs::copy(built.reference, older.join(BACKEND_NAME)).expect("copy the other library");
        fs::create_dir(tree.root().join("shim")).expect("make a directory");
        fs::copy(artefacts::shim(), tree.root().join(SHIM)).expect("copy the shim");
        Self(tree)
    }

    /// Runs the installer on the tree, and prints the command and its output.
    pub(crate) fn installer(&self, arguments: &[&str]) -> Result<(), String> {
        println!("  $ installer {} --rocm .", arguments.join(" "));
        // Where nobody has made anything else of it.
        self.run_installer(&[arguments, &["--rocm", "."]].concat())
    }

    /// Reads traces, and prints the command and its output.
    pub(crate) fn trace(&self, arguments: &[&str]) -> Result<(), String> {
        println!("  $ installer trace {}", arguments.join(" "));
        self.run_installer(&[&["trace"], arguments].concat())
    }

    /// Compares backends of the tree with a program whose own output is discarded, and prints the command and
    /// its output.
    pub(crate) fn compare(&self, backends: [&str; 2], program: &Path) -> Ended {
        let [first, second] = backends;
        let named = ["compare", "--rocm", ".", "--backend", first, "--backend", second];
        let silent = format!("{} >/dev/null 2>&1", program.display());
        println!("  $ installer {} -- sh -c '{}'", named.join(" "), self.relative(&silent));
        let mut command = client(&self.0, artefacts::installer());
        let words = ["--", "sh", "-c", &silent];
        let ended = run(command.current_dir(self.0.root()).args(named).args(words));
        indented(&self.relative(&ended.stderr));
        indented(&self.relative(&ended.stdout));
        ended
    }

    /// Runs the installer with these variables set, and prints the command and its output.
    pub(crate) fn with_fault(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let quoted = arguments.iter().map(|word| {
            let word = self.relative(word);
            if word.contains(' ') { format!("'{word}'") } else { word }
        });
        println!("  $ installer {}", quoted.collect::<Vec<String>>().join(" "));
        let mut command = client(&self.0, artefacts::installer());
        let variables = variables.iter().copied();
        let ended = run(command.current_dir(self.0.root()).args(arguments).envs(variables));
        indented(&self.relative(&ended.stderr));
        indented(&self.relative(&ended.stdout));
        ended
    }

    fn run_installer(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(artefacts::installer());
        let ended = run(command.current_dir(self.0.root()).args(arguments));
        indented(&self.relative(&ended.stdout));
        indented(&self.relative(&ended.stderr));
        if ended.status.success() { Ok(()) } else { Err("the installer failed".to_owned()) }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.0
    }

    /// Text in which paths of the tree and of the checkout are relative to its top.
    pub(crate) fn relative(&self, text: &str) -> String {
        let root = self.0.root();
        // A library may report its path after resolving symlinks.
        let real = fs::canonicalize(root).expect("the tree exists");
        let tops = [root, &real, artefacts::workspace()];
        tops.into_iter()
            .fold(text.to_owned(), |text, top| text.replace(&format!("{}/", top.display()), ""))
    }

    /// Prints files of `lib`: the targets of symlinks, the types of files and their sizes.
    pub(crate) fn show(&self, files: &[(&str, &str)]) {
        let lib = self.0.lib();
        let rows = files.iter().map(|(name, what)| {
            let path = lib.join(name);
            let fact = match fs::read_link(&path) {
                Ok(target) => format!("-> {}", target.display()),
                Err(_) => format!("{what}{}", size(&path)),
            };
            (format!("lib/{name}"), fact)
        });
        indented(&Table::facts(rows).to_string());
    }

    /// Keeps the files permanently, and returns their directory.
    pub(crate) fn keep(self) -> PathBuf {
        self.0.keep()
    }
}

/// The size of a library; nothing for the few lines of a settings file.
fn size(path: &Path) -> String {
    let bytes = fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len();
    if bytes < 10_000 { String::new() } else { format!(", {:.1} MB", bytes as f64 / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_have_sizes() {
        let directory = Tree::new();
        let path = directory.root().join("file");
        fs::write(&path, [0; 42]).expect("write");
        assert_eq!(size(&path), "");
        fs::write(&path, vec![0; 12_345_678]).expect("write");
        assert_eq!(size(&path), ", 12.3 MB");
    }
}
