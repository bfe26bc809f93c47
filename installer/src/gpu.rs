//! GPUs by the names that people use, and which rocBLAS release serves which of them: one parser for every
//! command that takes a GPU. The tables are data, in `data/gpus.toml`, with their evidence.

use crate::source::gpu_of;
use anyhow::{Context, Result, bail};
use offload::Target;
use serde::Deserialize;
use std::{fmt, sync::LazyLock};

const EMBEDDED: &str = include_str!("../data/gpus.toml");

static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(EMBEDDED).expect("a test reads the table"));

/// `data/gpus.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "gpu")]
    gpus: Vec<Named>,
    #[serde(rename = "release")]
    releases: Vec<Release>,
}

/// A GPU that has names besides its target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    target: String,
    /// Without blanks and dashes, compared case-insensitively.
    names: Vec<String>,
    #[serde(default)]
    integrated: bool,
}

/// A release of ROCm with the GPUs that its rocBLAS serves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `6.3`.
    pub rocm: String,
    serves: Vec<String>,
    /// How that is known.
    pub evidence: Evidence,
    /// The source.
    pub source: String,
}

/// How a fact is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Read in the release's own binary.
    Measured,
    /// In build files, notes or listings.
    Documented,
}

/// A GPU that somebody named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gpu {
    processor: String,
    /// Its target with the given features.
    target: String,
}

impl Gpu {
    /// The name without features, as in the names of Tensile's files: `gfx906`.
    #[must_use]
    pub fn processor(&self) -> &str {
        &self.processor
    }

    /// The target with the given features: `gfx90a:xnack+`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)
    }
}

/// The GPUs that one argument names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List(Vec<Gpu>);

impl List {
    /// The GPUs of several arguments, without duplicates.
    #[must_use]
    pub fn all(lists: &[Self]) -> Vec<Gpu> {
        let mut all: Vec<Gpu> = Vec::new();
        for gpu in lists.iter().flat_map(|list| &list.0) {
            if !all.contains(gpu) {
                all.push(gpu.clone());
            }
        }
        all
    }

    /// The processors of all, without duplicates.
    #[must_use]
    pub fn processors(lists: &[Self]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for gpu in Self::all(lists) {
            if !names.contains(&gpu.processor) {
                names.push(gpu.processor);
            }
        }
        names
    }
}

/// Parses a list separated by `,`, `;` or blanks. A name may contain blanks itself (`Radeon VII`), so the
/// longest matching run of words counts.
pub fn list(text: &str) -> Result<List> {
    let mut gpus = Vec::new();
    for part in text.split([',', ';']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        let mut rest = words.as_slice();
        while !rest.is_empty() {
            let longest = (1..=rest.len())
                .rev()
                .find_map(|length| Some((length, parse(&rest[..length].join(" ")).ok()?)));
            let Some((length, gpu)) = longest else {
                return parse(rest[0]).map(|_| unreachable!("one word was tried"));
            };
            gpus.push(gpu);
            rest = &rest[length..];
        }
    }
    if gpus.is_empty() {
        bail!(
            "{text:?} does not name a GPU; expected a target such as gfx906 or gfx90a:xnack-, or a card such as MI50"
        );
    }
    Ok(List(gpus))
}

/// Parses one name: a target in any case and with features, its number, or a name of the table.
pub fn parse(text: &str) -> Result<Gpu> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_prefix("amdgcn-amd-amdhsa--").unwrap_or(&lower);
    let numbered = format!("gfx{bare}");
    let is_number = bare.starts_with(|c: char| c.is_ascii_digit());
    let by_name = || TABLE.gpus.iter().find(|gpu| gpu.names.iter().any(|name| is(name, &lower)));
    let found = target(bare)
        .or_else(|| is_number.then(|| target(&numbered)).flatten())
        .or_else(|| by_name().and_then(|gpu| Target::parse(&gpu.target)));
    let target = found.with_context(|| {
        format!("{text:?} is not a GPU target; expected a target such as gfx906 or gfx90a:xnack-")
    })?;
    Ok(Gpu { processor: target.processor().to_owned(), target: target.to_string() })
}

/// A target whose processor follows AMD's naming.
fn target(text: &str) -> Option<Target> {
    Target::parse(text).filter(|target| gpu_of(target.processor()) == Some(target.processor()))
}

/// Whether this is a name of the table; blanks, dashes and the vendor's words do not count.
fn is(name: &str, lower: &str) -> bool {
    let plain: String = lower.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect();
    let short = ["amd", "radeon", "instinct", "pro"]
        .iter()
        .fold(plain.as_str(), |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    let name = name.to_ascii_lowercase();
    name == plain || name == short || plain.strip_prefix("amd") == Some(&name)
}

/// The releases whose rocBLAS is known to serve a processor, the oldest first.
#[must_use]
pub fn served_by(processor: &str) -> Vec<&'static Release> {
    TABLE.releases.iter().filter(|release| serves(release, processor)).collect()
}

/// Whether the rocBLAS of a release is known to serve a processor; a release that is not in the table counts
/// as the one before it. None if the release is older than the table.
#[must_use]
pub fn is_served(rocm: &str, processor: &str) -> Option<bool> {
    let asked = version(rocm);
    let release = TABLE.releases.iter().rfind(|release| version(&release.rocm) <= asked)?;
    Some(serves(release, processor))
}

fn serves(release: &Release, processor: &str) -> bool {
    release.serves.iter().any(|gpu| gpu == processor)
}

/// Whether a processor is a graphics unit within a CPU's package.
#[must_use]
pub fn is_integrated(processor: &str) -> bool {
    TABLE.gpus.iter().any(|gpu| gpu.target == processor && gpu.integrated)
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
