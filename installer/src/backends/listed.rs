//! Properties of each backend in the store.

use super::size::Files;
use crate::{
    choice,
    inspect::{library, tensile},
    journal::Journal,
    lib_dir::LibDir,
    output::printable,
    place::{Place, Stray},
    root::Root,
    serves::Serves,
    source::release,
};
use anyhow::Result;
use indicatif::HumanBytes;
use rocblas_contract::store;
use serde::Serialize;
use std::path::Path;

/// The origin of a backend that is in no journal.
pub(super) const BY_HAND: &str = "placed by hand";

/// A backend in the store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listed {
    /// Its directory's name.
    pub name: String,
    /// The file name of its library.
    pub library: Option<String>,
    /// Its SONAME.
    pub soname: Option<String>,
    /// The ROCm release, if the library's name contains it.
    pub release: Option<String>,
    /// Whether the shim uses it by default.
    pub in_use: bool,
    /// Whether it is the stock library that `revert` restores.
    #[serde(rename = "stock")]
    pub is_stock: bool,
    /// Its source, if the journal records it.
    pub origin: Option<String>,
    /// The GPUs for which it has both code and Tensile files.
    pub gpus: Vec<String>,
    /// The GPUs to whose kernels its library was reduced; empty if it is whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slim: Vec<String>,
    /// The library's size, in bytes.
    pub library_bytes: u64,
    /// The size of the Tensile files that it uses, in bytes.
    pub tensile_bytes: u64,
    /// Whether those are outside the store, in the tree.
    pub tensile_is_shared: bool,
    /// The size of all its files in the store, in bytes.
    pub bytes: u64,
}

/// All backends, by name.
///
/// # Errors
/// A journal that cannot be read. A backend that cannot be read is listed with what is known about it.
pub fn list(root: &Root, lib: &Path) -> Result<Vec<Listed>> {
    let loaded = Journal::load_or_rebuild(&LibDir::open(root, lib)?)?;
    let journal = loaded.filter(|loaded| !loaded.rebuilt).map(|loaded| loaded.journal);
    let directory = store::backends(lib);
    let in_use = choice::backend(root, &[lib.to_owned()], None, Path::new("/"));
    let in_use = in_use.ok().and_then(|chosen| root.resolve(&chosen.path).ok());
    let names = root.names(&directory).unwrap_or_default().into_iter();
    let names = names.filter_map(|name| name.into_string().ok()).filter(|name| {
        root.metadata(&directory.join(name)).is_ok_and(|metadata| metadata.is_dir())
    });
    let all = names.map(|name| {
        let prefix = directory.join(&name);
        let in_use = in_use
            .as_ref()
            .is_some_and(|path| root.resolve(&prefix).is_ok_and(|prefix| path.starts_with(prefix)));
        let mut listed = Listed { name, in_use, ..Listed::default() };
        listed.add_files(root, &prefix);
        if let (Some(journal), Ok(place)) = (&journal, place_of(&listed.name)) {
            listed.is_stock = journal.kept().iter().any(|kept| kept.starts_with(&place));
            listed.origin = origin(journal, &listed, &place);
        }
        listed
    });
    Ok(all.collect())
}

/// The place of a backend.
fn place_of(name: &str) -> Result<Place, Stray> {
    Place::backends().join(name)
}

fn origin(journal: &Journal, listed: &Listed, place: &Place) -> Option<String> {
    if listed.is_stock {
        return Some("the stock library".to_owned());
    }
    let origin = journal.origins.get(&listed.name);
    origin.map(|origin| origin.path.display().to_string()).or_else(|| {
        let is_placed = journal.entries.keys().any(|entry| entry.starts_with(place));
        (!is_placed).then(|| BY_HAND.to_owned())
    })
}

impl Listed {
    fn add_files(&mut self, root: &Root, prefix: &Path) {
        self.bytes = Files::below(root, prefix).bytes();
        let Ok(library) = choice::in_prefix(root, prefix) else { return };
        let Ok(library) = library::read(root, &library) else { return };
        let (Some(lib), Some(name)) = (library.path.parent(), library.path.file_name()) else {
            return;
        };
        let name = name.to_string_lossy().into_owned();
        let tensile = tensile::of(root, lib, library.version.as_deref());
        if let Some(tensile) = &tensile {
            self.tensile_bytes = Files::below(root, &tensile.directory).bytes();
            self.tensile_is_shared =
                root.resolve(prefix).is_ok_and(|prefix| !tensile.directory.starts_with(prefix));
        }
        self.gpus = Serves::of(&library, tensile.as_ref()).gpus().into_iter().collect();
        self.release = release::of_library(&name);
        self.slim = library.slim;
        self.soname = library.soname;
        self.library_bytes = library.size;
        self.library = Some(name);
    }
}

/// A table of them; the one in use is marked.
#[must_use]
pub fn text(list: &[Listed]) -> String {
    if list.is_empty() {
        return "no backends; `installer apply --backend PATH` adds one".to_owned();
    }
    let heading = ["", "NAME", "RELEASE", "LIBRARY", "TENSILE", "IN STORE", "GPUS", "FROM"]
        .map(str::to_owned);
    let rows = list.iter().map(row);
    let rows: Vec<[String; 8]> = [heading].into_iter().chain(rows).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            // Sizes are right-aligned for comparison.
            let is_size = (3..=5).contains(&column);
            if is_size { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(backend: &Listed) -> [String; 8] {
    let size = |bytes: u64| HumanBytes(bytes).to_string();
    let or_none = |text: &Option<String>| {
        text.as_deref().map_or_else(|| "-".to_owned(), |text| printable(text).into_owned())
    };
    let tensile = match backend.tensile_bytes {
        0 => "-".to_owned(),
        bytes if backend.tensile_is_shared => format!("(tree's) {}", size(bytes)),
        bytes => size(bytes),
    };
    let has_library = backend.library.is_some();
    [
        if backend.in_use { "*" } else { " " }.to_owned(),
        printable(&backend.name).into_owned(),
        or_none(&backend.release),
        match has_library {
            true if backend.slim.is_empty() => size(backend.library_bytes),
            true => format!("(slim) {}", size(backend.library_bytes)),
            false => "no library".to_owned(),
        },
        tensile,
        size(backend.bytes),
        if backend.gpus.is_empty() { "-".to_owned() } else { backend.gpus.join(",") },
        or_none(&backend.origin),
    ]
}
