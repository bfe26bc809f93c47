//! The crates that are linked into the two binaries, by the same resolution that cargo builds with.

use crate::source::{Package, Source, cargo, printed};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The packages that the two binaries are built from.
pub(crate) const ROOTS: [&str; 2] = ["rocblas-shim", "installer"];

/// A crate's name and version.
pub(crate) type Id = (String, String);

/// A crate that is linked in.
#[derive(Clone, Debug)]
pub(crate) struct Crate {
    /// What cargo knows of it.
    pub(crate) package: Package,
    /// The SHA-256 of its archive in the registry; `None`: it is of this workspace.
    pub(crate) checksum: Option<String>,
    /// The crates that it uses.
    pub(crate) uses: BTreeSet<Id>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Procedural macros and build scripts are not among them: they run while cargo builds.
pub(crate) fn linked(source: &Source) -> Result<BTreeMap<Id, Crate>> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--format", "{p}"]);
    tree.args(["--prefix", "depth"]).args(ROOTS.iter().flat_map(|root| ["--package", root]));
    let uses = edges(&printed(tree.current_dir(&source.workspace))?)?;
    let lock: Lock =
        toml::from_str(&source.text("Cargo.lock")?).context("cannot read Cargo.lock")?;
    let checksums: BTreeMap<Id, String> = lock
        .package
        .into_iter()
        .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
        .collect();
    uses.into_iter()
        .map(|(id, uses)| {
            let is_it = |package: &&Package| package.name == id.0 && package.version == id.1;
            let package = source.packages.iter().find(is_it).cloned();
            let package = package.with_context(|| format!("cargo does not know {id:?}"))?;
            let checksum = checksums.get(&id).cloned();
            Ok((id, Crate { package, checksum, uses }))
        })
        .collect()
}

/// Which crate uses which, from lines such as `2memchr v2.8.0 (*)`: the depth, the name and the version.
fn edges(tree: &str) -> Result<BTreeMap<Id, BTreeSet<Id>>> {
    let mut uses: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    let mut above: Vec<Id> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let name =
            line.find(|c: char| !c.is_ascii_digit()).context("cargo tree printed no name")?;
        let depth: usize = line[..name].parse().context("cargo tree printed no depth")?;
        let mut words = line[name..].split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let version = words.next().and_then(|word| word.strip_prefix('v'));
        let id = (name, version.context("cargo tree printed no version")?.to_owned());
        above.truncate(depth);
        if let Some(user) = above.last() {
            uses.entry(user.clone()).or_default().insert(id.clone());
        }
        uses.entry(id.clone()).or_default();
        above.push(id);
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_cargo_says_which_crate_uses_which() {
        let tree = "0a v1.0.0 (/a)\n1b v2.0.0\n2c v3.0.0\n1c v3.0.0 (*)\n\n0d v0.1.0 (/d)\n1b v2.0.0 (*)\n";
        let found = edges(tree).expect("a tree");
        let id = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let (a, b, c, d) = (id("a", "1.0.0"), id("b", "2.0.0"), id("c", "3.0.0"), id("d", "0.1.0"));
        let expected = [
            (a, BTreeSet::from([b.clone(), c.clone()])),
            (b.clone(), BTreeSet::from([c.clone()])),
            (c, BTreeSet::new()),
            (d, BTreeSet::from([b])),
        ];
        assert_eq!(found, BTreeMap::from(expected));
    }
}
