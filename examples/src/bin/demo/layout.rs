//! The tree in which it happens: as ROCm 7.0.2's package lays it out, and then with the shim.

use crate::prepare::Built;
use ::tests::tree::Tree;
use examples::table::Table;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The name that AMD's package gives the library.
pub(crate) const STOCK_NAME: &str = "librocblas.so.5.0.70002";

/// The tree; goes with its files when dropped.
pub(crate) struct Layout(Tree);

impl Layout {
    /// The stock library, and the links for the loader and for the linker.
    pub(crate) fn stock_only(built: &Built) -> Self {
        let tree = Tree::new();
        tree.place(built.stock, STOCK_NAME);
        let lib = tree.lib();
        for (link, target) in
            [("librocblas.so.5", STOCK_NAME), ("librocblas.so", "librocblas.so.5")]
        {
            symlink(target, lib.join(link)).expect("link to the stock library");
        }
        Self(tree)
    }

    /// Moves the stock library to the store, and puts the shim where it was, with the other library
    /// as the backend to use.
    pub(crate) fn put_shim_in_front(&self, built: &Built) {
        let lib = self.0.lib();
        let stock = lib.join("rocblas-shim/backends/7.0.2/lib/librocblas.so.5");
        fs::create_dir_all(stock.parent().expect("in the store")).expect("make a prefix");
        fs::rename(lib.join(STOCK_NAME), stock).expect("move the stock library");
        self.0.add_backend("6.3.0", built.reference);
        self.0.write_settings("backend = \"6.3.0\"\n");
        self.0.place_shim();
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.0
    }

    /// Text with paths of the tree as paths from its top.
    pub(crate) fn relative(&self, text: &str) -> String {
        let root = self.0.root();
        // A library may know itself by the path that is left when links are followed.
        let real = fs::canonicalize(root).expect("the tree exists");
        text.replace(&format!("{}/", root.display()), "")
            .replace(&format!("{}/", real.display()), "")
    }

    /// Prints files of `lib`: where links lead, what files are and how large.
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
        crate::report::indented(&Table::facts(rows).to_string());
    }

    /// Leaves the files where they are, for ever, and answers where.
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
