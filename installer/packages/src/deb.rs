//! The package for Debian and Ubuntu: an `ar` archive of a version, a description and the files (`deb(5)`).

use crate::{
    binaries::Binaries,
    digest::{gzip, md5, xz},
    entries::Entries,
    payload::LICENCES,
    source::{DESCRIPTION, NAME, SUMMARY, Source},
    template::fill,
};
use anyhow::{Context, Result};
use ar::{Builder, Header};
use minijinja::context;

/// Files that dpkg keeps as the administrator left them.
const SETTINGS: [&str; 1] = ["etc/apt/apt.conf.d/80rocblas-shim"];

/// The file's name.
pub(crate) fn name(source: &Source, revision: u32) -> String {
    format!("{NAME}_{}-{revision}_amd64.deb", source.version)
}

/// The package.
pub(crate) fn package(
    source: &Source,
    revision: u32,
    binaries: &Binaries,
    payload: &Entries,
) -> Result<Vec<u8>> {
    let files = files(source, revision, payload)?;
    let control = control(source, revision, binaries, &files)?;
    let mut archive = Builder::new(Vec::new());
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.xz", xz(&control.tar(Vec::new(), "", source.time)?)?),
        ("data.tar.xz", xz(&files.tar(Vec::new(), "", source.time)?)?),
    ] {
        let mut header = Header::new(name.into(), u64::try_from(bytes.len())?);
        header.set_mode(0o100_644);
        header.set_mtime(source.time);
        archive.append(&header, bytes.as_slice())?;
    }
    archive.into_inner().context("cannot write the .deb")
}

/// The files, where Debian has such.
fn files(source: &Source, revision: u32, payload: &Entries) -> Result<Entries> {
    let doc = format!("usr/share/doc/{NAME}");
    let mut files = payload.moved(|path| {
        if path.starts_with(LICENCES) {
            return None;
        }
        Some(path.replace("/zsh/site-functions/", "/zsh/vendor-completions/"))
    });
    let is_list = |(path, _): &(&str, &[u8])| path.ends_with("/THIRD-PARTY-LICENSES");
    let (_, licences) = payload.files().find(is_list).context("no licences")?;
    files.file(format!("{doc}/THIRD-PARTY-LICENSES.gz"), gzip(licences)?);
    let mit = source.text("LICENSE-MIT")?;
    let copyright = mit.lines().find_map(|line| line.strip_prefix("Copyright ")).unwrap_or(NAME);
    let indented =
        mit.lines().map(|line| if line.is_empty() { " .".into() } else { format!(" {line}") });
    let indented = indented.collect::<Vec<String>>().join("\n");
    let values = context! { name => NAME, copyright, mit => indented };
    files.file(format!("{doc}/copyright"), fill(include_str!("../files/copyright"), values)?);
    let Source { version, author, date, commit, .. } = source;
    let changes = format!(
        "{NAME} ({version}-{revision}) unstable; urgency=medium\n\n  * Commit {commit}.\n\n -- {author}  {date}\n"
    );
    files.file(format!("{doc}/changelog.Debian.gz"), gzip(changes.as_bytes())?);
    files.file(SETTINGS[0], include_str!("../files/apt.conf"));
    Ok(files)
}

/// What dpkg is told.
fn control(
    source: &Source,
    revision: u32,
    binaries: &Binaries,
    files: &Entries,
) -> Result<Entries> {
    let size = files.files().map(|(_, bytes)| bytes.len().div_ceil(1024)).sum::<usize>();
    let Source { version, author, .. } = source;
    let (major, minor) = binaries.glibc;
    let description = DESCRIPTION.replace('\n', "\n ");
    let mut control = Entries::default();
    control.file(
        "control",
        format!(
            "Package: {NAME}\nVersion: {version}-{revision}\nArchitecture: amd64\nMaintainer: {author}\n\
             Installed-Size: {size}\nDepends: libc6 (>= {major}.{minor}), libgcc-s1 (>= 3.0)\n\
             Section: misc\nPriority: optional\nDescription: {SUMMARY}\n {description}\n"
        ),
    );
    let sums = files.files().filter(|(path, _)| !SETTINGS.contains(path));
    let sums = sums.map(|(path, bytes)| format!("{}  {path}\n", md5(bytes)));
    control.file("md5sums", sums.collect::<String>());
    control.file("conffiles", SETTINGS.map(|path| format!("/{path}\n")).concat());
    control.program("postinst", include_str!("../files/postinst"));
    control.program("prerm", include_str!("../files/prerm"));
    Ok(control)
}
