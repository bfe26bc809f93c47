//! Which package fits a system: by `/etc/os-release`, and if that names a derivative of a known distribution,
//! by the C library.
//!
//! A package is only unpacked, never installed, so all that matters is whether its library loads. glibc loads
//! libraries that were built with an older glibc.

use super::catalogue::{Catalogue, Distribution, Glibc, Package, Release};
use crate::{elf, loader, root::Root};
use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, io::Read, path::Path};

/// Where systems describe themselves (os-release(5)).
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Larger than any; in a hostile image it may have any size.
const MOST_OS_RELEASE: u64 = 1 << 16;

/// A package, and why it is the right one.
#[derive(Clone, Debug)]
pub(super) struct Choice<'a> {
    /// The distribution that it was built for.
    pub(super) distribution: &'a Distribution,
    /// The package.
    pub(super) package: &'a Package,
    /// A clause.
    pub(super) reason: String,
}

/// The package of a release for the requested distribution, or for that of a root.
pub(super) fn choose<'a>(
    root: &Root,
    catalogue: &'a Catalogue,
    release: &'a Release,
    asked: Option<&str>,
) -> Result<Choice<'a>> {
    let list = list(catalogue, release);
    if let Some(name) = asked {
        let package = catalogue.distribution(name).and_then(|distribution| {
            let package = release.package(distribution)?;
            Some(Choice { distribution, package, reason: "named with --for".to_owned() })
        });
        return package.with_context(|| {
            format!("--for {name}: ROCm {} has packages for {list}", release.version)
        });
    }
    let Some(system) = System::of(root) else {
        bail!(
            "cannot determine the distribution without a readable {}. Name one with --for: \
             {list}",
            OS_RELEASE[0]
        );
    };
    let title = &system.title;
    if let Some((distribution, reason)) = system.known(catalogue)
        && let Some(package) = release.package(distribution)
    {
        return Ok(Choice { distribution, package, reason });
    }
    if !system.is_like("debian") && !system.is_like("ubuntu") {
        bail!(
            "no package for {title} is known: ROCm {} has them for {list}. `apply` unpacks such a \
             package on any distribution whose glibc is at least as new: choose one with --for",
            release.version
        );
    }
    let Some(glibc) = glibc(root) else {
        bail!(
            "no package for {title} is known, and its glibc is not found. Name a distribution with \
             --for: {list}"
        );
    };
    let loads = catalogue.distributions.iter().rev().filter(|known| known.glibc <= glibc);
    let newest = loads.filter_map(|known| Some((known, release.package(known)?))).next();
    let Some((distribution, package)) = newest else {
        bail!(
            "no package loads on {title}, which has glibc {glibc}: ROCm {} has packages for {list}",
            release.version
        );
    };
    let reason = format!(
        "the newest that loads with {title}'s glibc {glibc}: {} has glibc {}",
        distribution.title, distribution.glibc
    );
    Ok(Choice { distribution, package, reason })
}

/// `ubuntu-22.04 (jammy, glibc 2.35), ...`, those of a release.
fn list(catalogue: &Catalogue, release: &Release) -> String {
    let packaged = catalogue.distributions.iter().filter(|d| release.package(d).is_some());
    let names = packaged.map(|d| format!("{} ({}, glibc {})", d.name, d.codename, d.glibc));
    names.collect::<Vec<_>>().join(", ")
}

/// `ID` and the words of `ID_LIKE`; none if the system does not set them.
pub(super) fn families(root: &Root) -> Vec<String> {
    System::of(root).map(|system| system.families).unwrap_or_default()
}

/// How a system describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct System {
    title: String,
    /// `ID-VERSION_ID`.
    name: String,
    /// `ID` and the words of `ID_LIKE`.
    families: Vec<String>,
    ubuntu: Option<String>,
}

impl System {
    fn of(root: &Root) -> Option<Self> {
        let read = |path: &&str| {
            let mut text = String::new();
            let file = root.open(Path::new(path)).ok()?;
            file.take(MOST_OS_RELEASE).read_to_string(&mut text).ok()?;
            Some(Self::parse(&text))
        };
        OS_RELEASE.iter().find_map(read)
    }

    fn parse(text: &str) -> Self {
        let fields: BTreeMap<&str, String> = text
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .map(|(name, value)| (name, unquoted(value)))
            .collect();
        let field = |name| fields.get(name).filter(|value| !value.is_empty()).cloned();
        let id = field("ID").unwrap_or_else(|| "linux".to_owned());
        let name = match field("VERSION_ID") {
            Some(version) => format!("{id}-{version}"),
            None => id.clone(),
        };
        let like = field("ID_LIKE").unwrap_or_default();
        let families = [id.as_str()].into_iter().chain(like.split_whitespace());
        Self {
            title: field("PRETTY_NAME").unwrap_or_else(|| name.clone()),
            name,
            families: families.map(str::to_owned).collect(),
            ubuntu: field("UBUNTU_CODENAME"),
        }
    }

    fn is_like(&self, family: &str) -> bool {
        self.families.iter().any(|known| known == family)
    }

    /// The distribution itself, or the one it is based on.
    fn known<'a>(&self, catalogue: &'a Catalogue) -> Option<(&'a Distribution, String)> {
        let title = &self.title;
        let known = &catalogue.distributions;
        if let Some(same) = known.iter().find(|known| known.name == self.name) {
            return Some((same, format!("this is {title}")));
        }
        let base = known.iter().find(|known| Some(&known.codename) == self.ubuntu.as_ref())?;
        Some((base, format!("this is {title}, which is built on {}", base.title)))
    }
}

/// A value of os-release(5): a word, or quoted as a shell quotes it.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = within('\'') {
        return literal.to_owned();
    }
    let mut escaped = false;
    within('"')
        .unwrap_or(value)
        .chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

/// The version of a root's C library: the newest version of its symbols.
fn glibc(root: &Root) -> Option<Glibc> {
    let file = root.open(&loader::find(root, "libc.so.6")?).ok()?;
    let versions = elf::summary(&file).ok()?.versions_defined;
    versions.iter().filter_map(|version| Glibc::parse(version.strip_prefix("GLIBC_")?)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The package chosen on a system with this `/etc/os-release` and no libc.
    fn chosen(os_release: &str, asked: Option<&str>) -> Result<(String, String)> {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("etc")).expect("a directory");
        fs::write(directory.path().join("etc/os-release"), os_release).expect("write");
        let root = Root::new(directory.path()).expect("a root");
        let catalogue = Catalogue::load(None).expect("the catalogue");
        let release = catalogue.release("6.3").expect("a release");
        let choice = choose(&root, &catalogue, release, asked)?;
        Ok((choice.distribution.name.clone(), choice.reason))
    }

    #[test]
    fn ubuntu_and_its_derivatives_have_packages() {
        for (os_release, name, reason) in [
            (
                "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n\
                 UBUNTU_CODENAME=noble\n",
                "ubuntu-24.04",
                "this is Ubuntu 24.04.1 LTS",
            ),
            ("ID=ubuntu\nVERSION_ID='22.04'\n", "ubuntu-22.04", "this is ubuntu-22.04"),
            (
                "NAME=\"Linux Mint\"\nPRETTY_NAME=\"Linux Mint 21.3\"\nID=linuxmint\n\
                 ID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"21.3\"\nUBUNTU_CODENAME=jammy\n",
                "ubuntu-22.04",
                "this is Linux Mint 21.3, which is built on Ubuntu 22.04",
            ),
            (
                "PRETTY_NAME=\"Pop!_OS 24.04 LTS\"\nID=pop\nID_LIKE=\"ubuntu debian\"\n\
                 VERSION_ID=\"24.04\"\nUBUNTU_CODENAME=noble\n",
                "ubuntu-24.04",
                "this is Pop!_OS 24.04 LTS, which is built on Ubuntu 24.04",
            ),
        ] {
            let (chosen, why) = chosen(os_release, None).expect("a package");
            assert_eq!((chosen.as_str(), why.as_str()), (name, reason));
        }
    }

    #[test]
    fn a_distribution_without_a_package_is_refused_with_the_list() {
        let fedora = "ID=fedora\nVERSION_ID=42\nPRETTY_NAME=\"Fedora Linux 42\"\n";
        let debian = "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian 12\"\n";
        for (os_release, asked, sentence) in [
            (fedora, None, "no package for Fedora Linux 42 is known"),
            (debian, None, "no package for Debian 12 is known, and its glibc is not found"),
            ("", None, "no package for linux is known"),
            (fedora, Some("fedora-42"), "--for fedora-42: ROCm 6.3.0 has packages for"),
        ] {
            let error = chosen(os_release, asked).expect_err("no package").to_string();
            assert!(error.contains(sentence), "{error}");
            let list = "ubuntu-22.04 (jammy, glibc 2.35), ubuntu-24.04 (noble, glibc 2.39)";
            assert!(error.contains(list), "{error}");
        }
        let (name, reason) = chosen(fedora, Some("jammy")).expect("a package");
        assert_eq!((name.as_str(), reason.as_str()), ("ubuntu-22.04", "named with --for"));
    }

    #[test]
    fn values_are_quoted_as_a_shell_quotes() {
        for (value, text) in [
            ("plain", "plain"),
            ("\"two words\"", "two words"),
            (r#""a \"b\" \\ \$c""#, r#"a "b" \ $c"#),
            (r"'a \b'", r"a \b"),
            ("\"open", "\"open"),
            ("", ""),
        ] {
            assert_eq!(unquoted(value), text, "{value}");
        }
    }
}
