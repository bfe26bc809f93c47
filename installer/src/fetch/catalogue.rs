//! What can be downloaded: ROCm releases, the distributions that AMD packages rocBLAS for, the URL and the
//! digest of each package. All of it is data, in `data/packages.toml`, so that a new release needs no code,
//! and a test can name its own server.

use super::digest::Sha256;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{fs, path::Path, time::Duration};

const EMBEDDED: &str = include_str!("../../data/packages.toml");

/// Releases and distributions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    /// Timeouts and size limits.
    pub(super) limits: Limits,
    /// Oldest first.
    #[serde(rename = "distribution")]
    pub(super) distributions: Vec<Distribution>,
    /// The releases of ROCm.
    #[serde(rename = "release")]
    pub(super) releases: Vec<Release>,
}

/// Timeouts and size limits for a server.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    connect_ms: u64,
    stall_ms: u64,
    pause_ms: u64,
    /// Attempts after the first, unless data arrived in between.
    pub(super) retries: u32,
    /// How many redirects are followed.
    pub(super) redirects: u32,
    /// The size of the largest file that is accepted.
    pub(super) bytes: u64,
}

impl Limits {
    /// Separately for the look-up of a host and for connecting to it.
    pub(super) fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    /// Without receiving a byte.
    pub(super) fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms)
    }

    /// Before a retry, the first being 1.
    pub(super) fn pause(&self, retry: u32) -> Duration {
        let doubled = 1_u64 << retry.saturating_sub(1).min(6);
        Duration::from_millis(self.pause_ms.saturating_mul(doubled))
    }
}

/// A distribution that AMD packages rocBLAS for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Distribution {
    /// The argument of `--for`, and `ID-VERSION_ID` of its `/etc/os-release`.
    pub(super) name: String,
    /// Its full name.
    pub(super) title: String,
    /// Another argument of `--for`, and `UBUNTU_CODENAME` of its derivatives.
    pub(super) codename: String,
    /// The version of its C library.
    pub(super) glibc: Glibc,
}

/// A release of ROCm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    /// Three numbers.
    pub(super) version: String,
    /// Other names that the command line takes.
    pub(super) names: Vec<String>,
    /// At most one for each distribution.
    #[serde(rename = "package")]
    pub(super) packages: Vec<Package>,
}

/// The rocBLAS package of a release for a distribution.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Package {
    /// The distribution's name.
    pub(super) distribution: String,
    /// Its name in apt, with the version.
    pub(super) apt: String,
    /// Its URL in AMD's repository.
    pub(super) url: String,
    /// Its digest, if known.
    pub(super) sha256: Option<Sha256>,
    /// The origin of the digest.
    pub(super) evidence: Option<String>,
}

impl Package {
    /// The name of its file: the last part of the URL.
    pub(super) fn file(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

/// A version of glibc, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Glibc(u32, u32);

impl TryFrom<String> for Glibc {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a version of glibc"))
    }
}

impl Glibc {
    /// `2.35`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for Glibc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Catalogue {
    /// The built-in catalogue, or one from a file.
    pub(super) fn load(file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else { return Self::parse(EMBEDDED) };
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read the catalogue {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a catalogue", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let catalogue: Self = toml::from_str(text)?;
        for package in catalogue.releases.iter().flat_map(|release| &release.packages) {
            let file = package.file();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+-".contains(&byte);
            if file.is_empty() || file.starts_with('.') || !file.bytes().all(plain) {
                bail!("{} does not end in the name of a file", package.url);
            }
            if catalogue.distribution(&package.distribution).is_none() {
                bail!("{} is for the unknown distribution {:?}", package.url, package.distribution);
            }
        }
        Ok(catalogue)
    }

    /// A release by its version or another name of it.
    pub(super) fn release(&self, name: &str) -> Result<&Release> {
        let is_named = |release: &&Release| {
            release.version == name || release.names.iter().any(|known| known == name)
        };
        self.releases.iter().find(is_named).with_context(|| {
            let known: Vec<&str> = self.releases.iter().map(|r| r.version.as_str()).collect();
            format!("no package of ROCm {name} is known, only of {}", known.join(", "))
        })
    }

    /// A distribution by an argument of `--for`: `ubuntu-24.04`, `24.04` or `noble`.
    pub(super) fn distribution(&self, name: &str) -> Option<&Distribution> {
        let name = name.to_ascii_lowercase();
        self.distributions.iter().find(|distribution| {
            let (_, version) = distribution.name.split_once('-').unwrap_or_default();
            [distribution.name.as_str(), version, &distribution.codename].contains(&name.as_str())
        })
    }
}

impl Release {
    /// The package for a distribution.
    pub(super) fn package(&self, distribution: &Distribution) -> Option<&Package> {
        self.packages.iter().find(|package| package.distribution == distribution.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_in_the_program_is_from_amd_by_https_and_a_digest_has_evidence() {
        let catalogue = Catalogue::load(None).expect("the embedded catalogue is valid");
        for package in catalogue.releases.iter().flat_map(|release| &release.packages) {
            assert!(package.url.starts_with("https://repo.radeon.com/"), "{}", package.url);
            let (_, version) = package.apt.split_once('=').expect("a version");
            assert_eq!(package.file(), format!("rocblas_{version}_amd64.deb"));
            assert_eq!(package.sha256.is_some(), package.evidence.is_some(), "{}", package.url);
        }
        let glibc: Vec<Glibc> = catalogue.distributions.iter().map(|d| d.glibc).collect();
        assert!(glibc.is_sorted(), "the choice by glibc relies on this order");
    }

    #[test]
    fn releases_and_distributions_have_several_names() {
        let catalogue = Catalogue::load(None).expect("valid");
        assert_eq!(catalogue.release("6.3").expect("known").version, "6.3.0");
        assert_eq!(catalogue.release("6.3.0").expect("known").version, "6.3.0");
        let unknown = catalogue.release("6").expect_err("not a release").to_string();
        assert_eq!(unknown, "no package of ROCm 6 is known, only of 6.3.0");
        for name in ["noble", "Noble", "24.04", "ubuntu-24.04"] {
            let distribution = catalogue.distribution(name).expect(name);
            assert_eq!(distribution.title, "Ubuntu 24.04");
        }
        for name in ["", "ubuntu", "04", "debian-12"] {
            assert!(catalogue.distribution(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_url_that_would_write_elsewhere_is_refused() {
        for file in ["", ".", "..", ".bashrc", "a%2fb", "a b", "a\\b"] {
            let text = EMBEDDED.replace("rocblas_4.3.0.60300-39~24.04_amd64.deb", file);
            let error = Catalogue::parse(&text).expect_err(file).to_string();
            assert!(error.contains("does not end in the name of a file"), "{error}");
        }
    }

    #[test]
    fn versions_of_glibc_are_compared_as_numbers() {
        let [old, new] = ["2.9", "2.35"].map(|text| Glibc::parse(text).expect(text));
        assert!(old < new);
        for text in ["", "2", "2.", "2.35.1", "2.x"] {
            assert_eq!(Glibc::parse(text), None, "{text}");
        }
    }
}
