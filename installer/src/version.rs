//! Version and commit of this program and of the shim next to it.

use crate::{apply, elf, output::Text, root::open_regular};
use serde::Serialize;

/// This program's version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// The commit that this program was built from, or `unknown`.
pub const COMMIT: &str = env!("INSTALLER_COMMIT");

/// The output of `--version`.
#[derive(Clone, Debug, Serialize)]
pub struct Versions {
    /// Of this program.
    pub installer: &'static str,
    /// See [`COMMIT`].
    pub commit: &'static str,
    /// The version of the shim next to this program, from its ELF note; `None` if there is no shim.
    pub shim: Option<String>,
}

impl Versions {
    /// Reads the shim's version.
    #[must_use]
    pub fn read() -> Self {
        let places = apply::beside_this_program().unwrap_or_default();
        let shim = places.iter().find_map(|path| {
            let file = open_regular(path).ok()?;
            elf::summary(&file).ok()?.shim
        });
        Self { installer: OWN, commit: COMMIT, shim }
    }

    /// In two lines, the first in the usual form.
    #[must_use]
    pub fn text(&self) -> Text {
        let shim = match &self.shim {
            Some(version) => format!("shim {version}"),
            None => "no shim next to this program".to_owned(),
        };
        [format!("installer {} (commit {})", self.installer, self.commit), shim]
            .into_iter()
            .collect()
    }
}
