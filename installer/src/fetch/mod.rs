//! `fetch`: downloads the rocBLAS package of a ROCm release for `apply --backend`, and verifies it against a
//! digest that was known before.

mod catalogue;
mod client;
mod digest;
mod distribution;
mod download;
mod target;

use crate::{output::quoted, root::Root};
use anyhow::{Context, Result, bail};
use catalogue::{Catalogue, Package};
use client::{Client, Url};
pub use digest::Sha256;
use download::Download;
use indicatif::HumanBytes;
use serde::Serialize;
use std::path::PathBuf;
use target::Target;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// A release of ROCm, such as `6.3`.
    pub release: String,
    /// A distribution instead of the root's.
    pub distribution: Option<String>,
    /// The digest instead of the known one.
    pub sha256: Option<Sha256>,
    /// A directory or file of the machine instead of the current directory.
    pub output: Option<PathBuf>,
    /// The URL of the package instead of AMD's.
    pub source: Option<String>,
    /// Only report what would be downloaded.
    pub dry_run: bool,
    /// A catalogue instead of the program's own.
    pub catalogue: Option<PathBuf>,
}

/// What was downloaded, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct Fetched {
    /// The release of ROCm.
    pub release: String,
    /// The distribution that the package was built for.
    pub distribution: String,
    /// Why that distribution.
    pub reason: String,
    /// Where the package is.
    pub url: String,
    /// The digest that it must have.
    pub sha256: Sha256,
    /// The origin of that digest.
    pub evidence: String,
    /// The file of the machine.
    pub path: PathBuf,
    /// Its size; none if it was not downloaded.
    pub bytes: Option<u64>,
    /// The outcome.
    pub outcome: Outcome,
    /// The byte at which an interrupted download was resumed; 0 if it was not.
    pub resumed_at: u64,
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was downloaded and verified.
    Downloaded,
    /// The file existed already, with that digest.
    Present,
    /// Nothing was done: `--dry-run`.
    Planned,
}

/// Downloads the package of a release for a root's distribution.
///
/// # Errors
/// A release or distribution without a known package, no digest to verify it against, a server that does not
/// have it, a wrong digest, an existing other file.
pub fn fetch(root: &Root, request: &Request, notice: &dyn Fn(&str)) -> Result<Fetched> {
    let catalogue = Catalogue::load(request.catalogue.as_deref())?;
    let release = catalogue.release(&request.release)?;
    let asked = request.distribution.as_deref();
    let choice = distribution::choose(root, &catalogue, release, asked)?;
    let package = choice.package;
    let source = request.source.as_deref().unwrap_or(&package.url);
    let url = Url::parse(source).context("cannot download the package")?;
    let (sha256, evidence) = digest(package, request.sha256, notice)
        .with_context(|| format!("{url} was not downloaded"))?;
    let target = Target::open(request.output.as_deref(), package.file())?;
    let mut fetched = Fetched {
        release: release.version.clone(),
        distribution: choice.distribution.name.clone(),
        reason: choice.reason,
        url: url.to_string(),
        sha256,
        evidence,
        path: target.path().to_owned(),
        bytes: None,
        outcome: Outcome::Planned,
        resumed_at: 0,
    };
    if let Some(bytes) = present(&target, sha256)? {
        if !request.dry_run {
            let path = target.path().display();
            target.tidy().with_context(|| format!("cannot remove {path}.part.json"))?;
        }
        fetched.outcome = Outcome::Present;
        fetched.bytes = Some(bytes);
        return Ok(fetched);
    }
    if request.dry_run {
        return Ok(fetched);
    }
    notice(&format!(
        "{} of ROCm {}, for {}: {}",
        package.file(),
        release.version,
        choice.distribution.title,
        fetched.reason
    ));
    let client = Client::new(catalogue.limits);
    let download = Download {
        client: &client,
        limits: &catalogue.limits,
        url: &url,
        sha256,
        target: &target,
        notice,
    };
    let (bytes, resumed_at) = checked(&download, &fetched.evidence)?;
    fetched.bytes = Some(bytes);
    fetched.resumed_at = resumed_at;
    fetched.outcome = Outcome::Downloaded;
    Ok(fetched)
}

/// The digest that the file must have, and its origin.
fn digest(
    package: &Package,
    given: Option<Sha256>,
    notice: &dyn Fn(&str),
) -> Result<(Sha256, String)> {
    match (given, package.sha256) {
        (Some(given), known) => {
            if let Some(known) = known.filter(|known| *known != given) {
                notice(&format!(
                    "--sha256 is not the digest known for {}, which is {known}",
                    package.file()
                ));
            }
            Ok((given, "given with --sha256".to_owned()))
        }
        (None, Some(known)) => Ok((known, package.evidence.clone().unwrap_or_default())),
        (None, None) => bail!(
            "no SHA-256 is known for {}, so the download could not be verified. Pass it with --sha256: \
             `apt-cache show {}` prints it from AMD's signed index on a system where AMD's apt \
             repository for this release is configured",
            package.file(),
            package.apt
        ),
    }
}

/// The size of the file, if it exists with the right digest.
fn present(target: &Target, sha256: Sha256) -> Result<Option<u64>> {
    let Some(file) = target.existing()? else { return Ok(None) };
    let shown = target.path().display();
    let found = Sha256::of(&file).with_context(|| format!("cannot read {shown}"))?;
    if found != sha256 {
        bail!(
            "refusing to replace {shown}: its SHA-256 is {found}, not {sha256}. Remove it or choose another \
             --output"
        );
    }
    Ok(Some(file.metadata().with_context(|| format!("cannot read {shown}"))?.len()))
}

/// Downloads, verifies and renames the file. Returns its size, and where an earlier part was resumed.
fn checked(download: &Download<'_>, evidence: &str) -> Result<(u64, u64)> {
    let mut part = download.target.part()?;
    loop {
        if let Err(error) = download.complete(&mut part) {
            // An empty part is useless to a later run. The first error is the one to report.
            if part.length() == 0 {
                let _ = part.discard();
            }
            return Err(error);
        }
        let resumed_at = part.resumed_at();
        let (bytes, found) = (part.length(), part.digest()?);
        if found == download.sha256 {
            part.publish()?;
            return Ok((bytes, resumed_at));
        }
        // If it were kept, the next run would resume it and fail again.
        part.discard()?;
        if resumed_at == 0 {
            bail!(
                "{} has the SHA-256 {found}, expected {} ({evidence}). The download was removed",
                download.url,
                download.sha256
            );
        }
        // The earlier part may have been damaged since, for example by a power failure.
        (download.notice)("the resumed download has the wrong SHA-256; starting over");
        part = download.target.part()?;
    }
}

/// The file name of AMD's package of a release for the distribution of a root; if that is unknown, of the
/// package that loads on the most systems.
#[must_use]
pub fn package_name(root: &Root, release: &str) -> Option<String> {
    let catalogue = Catalogue::load(None).ok()?;
    let release = catalogue.release(release).ok()?;
    let chosen = distribution::choose(root, &catalogue, release, None).ok();
    let package = chosen.map(|choice| choice.package).or_else(|| release.packages.first())?;
    Some(package.file().to_owned())
}

/// The distribution of a root and those that it is based on, from its os-release(5).
#[must_use]
pub fn families(root: &Root) -> Vec<String> {
    distribution::families(root)
}

/// The printed text.
#[must_use]
pub fn text(fetched: &Fetched) -> String {
    let path = fetched.path.display();
    let use_it = format!("Use it with `installer apply --backend {}`", quoted(&fetched.path));
    let size = HumanBytes(fetched.bytes.unwrap_or_default());
    match fetched.outcome {
        Outcome::Planned => format!(
            "package  ROCm {} for {}: {}\nfrom     {}\nto       {path}\nSHA-256  {}\n         {}\n\
             Nothing was downloaded (--dry-run).",
            fetched.release,
            fetched.distribution,
            fetched.reason,
            fetched.url,
            fetched.sha256,
            fetched.evidence
        ),
        Outcome::Present => {
            format!("Nothing to do: {path} exists ({size}) and its SHA-256 matches.\n{use_it}.")
        }
        Outcome::Downloaded => {
            format!("Downloaded {path} ({size}); its SHA-256 matches.\n{use_it}.")
        }
    }
}
