//! The package for Fedora, RHEL and openSUSE.

use crate::{
    binaries::Binaries,
    entries::{Entries, Entry},
    payload::{LIBRARY, LICENCES},
    source::{DESCRIPTION, LICENCE, NAME, SUMMARY, Source},
};
use anyhow::{Context, Result};
use rpm::{BuildConfig, CompressionWithLevel, Dependency, FileOptions, PackageBuilder};

/// How paths of ROCm's files begin; when one is installed or removed, the state is printed.
const WATCHED: [&str; 2] = ["/opt/rocm", "/usr/lib64/librocblas"];

/// The file's name.
pub(crate) fn name(source: &Source, revision: u32) -> String {
    format!("{NAME}-{}-{revision}.x86_64.rpm", source.version)
}

/// The package.
pub(crate) fn package(
    source: &Source,
    revision: u32,
    binaries: &Binaries,
    payload: &Entries,
) -> Result<Vec<u8>> {
    let time = u32::try_from(source.time).context("the commit's time is beyond an .rpm's")?;
    let config = BuildConfig::v4().source_date(time).compression(CompressionWithLevel::Gzip(9));
    let mut package = PackageBuilder::new(NAME, &source.version, LICENCE, "x86_64", SUMMARY);
    // Else it is the name of this machine.
    package.using_config(config).release(revision.to_string()).build_host("localhost");
    package.description(DESCRIPTION).packager(&source.author);
    let (major, minor) = binaries.glibc;
    for needed in [&format!("libc.so.6(GLIBC_{major}.{minor})(64bit)"), "libgcc_s.so.1()(64bit)"] {
        package.requires(Dependency::any(needed));
    }
    for directory in [LIBRARY.to_owned(), LICENCES.to_owned(), format!("usr/share/doc/{NAME}")] {
        package.with_dir_entry(FileOptions::dir(format!("/{directory}")).permissions(0o755))?;
    }
    for (path, entry) in payload.iter() {
        let place = format!("/{path}");
        match entry {
            Entry::File { bytes, mode } => {
                let options = FileOptions::new(place).permissions(u16::try_from(*mode)?);
                package.with_file_contents(bytes.clone(), options)?;
            }
            Entry::Link(target) => {
                package.with_symlink(FileOptions::symlink(place, target))?;
            }
        }
    }
    let notice = |what: &str| format!("/{LIBRARY}/notice {what}");
    // The argument is the number of versions that will be installed.
    let (installed, upgraded) = (notice("installed"), notice("upgraded"));
    package
        .post_install_script(format!("if [ \"$1\" = 1 ]; then {installed}; else {upgraded}; fi"));
    package.pre_uninstall_script(format!("if [ \"$1\" = 0 ]; then {}; fi", notice("removing")));
    for path in WATCHED {
        package.trans_file_trigger_in(path, None, notice("status"));
        package.trans_file_trigger_postun(path, None, notice("status"));
    }
    let mut bytes = Vec::new();
    package.build()?.write(&mut bytes)?;
    Ok(bytes)
}
