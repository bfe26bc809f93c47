//! Reads `releases.abi`, and the headings in the other files that name the releases of the following lines.

/// A line of the file.
pub(crate) struct Release {
    pub(crate) rocm: String,
    pub(crate) rocblas: String,
    pub(crate) soname: String,
}

/// All releases, oldest first, and the version that the shim presents.
pub(crate) struct Releases {
    pub(crate) list: Vec<Release>,
    /// Position of the release whose version the shim presents.
    presented: usize,
    /// Whether a tree's own version takes precedence.
    follows_tree: bool,
}

/// The set of releases that have a function: bit N is the release at position N.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Versions {
    pub(crate) known: u32,
    pub(crate) unsure: u32,
}

impl Releases {
    pub(crate) fn parse(text: &str) -> Self {
        let mut list: Vec<Release> = Vec::new();
        let mut presents = None;
        for (i, line) in text.lines().enumerate() {
            let words: Vec<&str> =
                line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match words[..] {
                [] => {}
                ["presents", "tree", version] if presents.is_none() => {
                    presents = Some((version, true));
                }
                ["presents", version] if presents.is_none() => presents = Some((version, false)),
                [rocm, rocblas, soname] => list.push(Release {
                    rocm: rocm.to_owned(),
                    rocblas: rocblas.to_owned(),
                    soname: soname.to_owned(),
                }),
                _ => panic!("releases.abi:{}: not `ROCM ROCBLAS SONAME`: {line}", i + 1),
            }
        }
        assert!(
            list.len() <= 32,
            "releases.abi: Versions has 32 bits, and there are {}",
            list.len()
        );
        let newest = list.len().checked_sub(1).expect("releases.abi: no release");
        let (version, follows_tree) = presents.expect("releases.abi: no line `presents VERSION`");
        let presented = match version {
            "newest" => newest,
            version => list
                .iter()
                .position(|release| release.rocblas == version)
                .unwrap_or_else(|| panic!("releases.abi: presents {version}, an unknown version")),
        };
        Self { list, presented, follows_tree }
    }

    /// The version of rocBLAS that the shim presents.
    pub(crate) fn presented(&self) -> &str {
        &self.list[self.presented].rocblas
    }

    /// Whether the version of the shim's tree takes precedence.
    pub(crate) fn follows_tree(&self) -> bool {
        self.follows_tree
    }

    /// The shim's SONAME.
    pub(crate) fn soname(&self) -> &str {
        &self.list[self.presented].soname
    }

    fn position(&self, rocm: &str) -> usize {
        let position = self.list.iter().position(|release| release.rocm == rocm);
        position.unwrap_or_else(|| panic!("{rocm} is not in releases.abi"))
    }

    /// Parses the words in a heading: `6.3`, `6.3..7.2`, `7.13..`, each optionally followed by a `?`.
    pub(crate) fn versions(&self, heading: &str) -> Versions {
        let mut versions = Versions::default();
        for word in heading.split_whitespace() {
            let (range, set) = match word.strip_suffix('?') {
                Some(range) => (range, &mut versions.unsure),
                None => (word, &mut versions.known),
            };
            let (first, last) = match range.split_once("..") {
                None => (self.position(range), self.position(range)),
                Some((first, "")) => (self.position(first), self.list.len() - 1),
                Some((first, last)) => (self.position(first), self.position(last)),
            };
            assert!(first <= last, "{word}: the first release is later than the last");
            for position in first..=last {
                *set |= 1 << position;
            }
        }
        versions
    }

    /// Every release.
    pub(crate) fn all(&self) -> Versions {
        Versions { known: u32::MAX >> (32 - self.list.len()), unsure: 0 }
    }

    /// Whether the shim exports a function of these releases: it replaces any release with its SONAME, so it
    /// exports what any of them has.
    pub(crate) fn export(&self, versions: Versions) -> bool {
        self.list
            .iter()
            .enumerate()
            .any(|(i, release)| release.soname == self.soname() && versions.known & (1 << i) != 0)
    }
}
