//! Whether a HIP runtime reads archives of GPU code, as split libraries need.

use crate::{elf, peers::Peers, root::Root};
use anyhow::{Context, Result};
use rocblas_contract::{kpack, libraries::version_of};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The HIP runtime of a library directory, if it does not read archives. A missing or unreadable runtime is
/// reported elsewhere.
#[must_use]
pub fn unread_by(root: &Root, lib: &Path) -> Option<PathBuf> {
    let runtime = Peers::of(root, lib).hip()?.path;
    matches!(reads(root, &runtime), Ok(false)).then_some(runtime)
}

/// Whether a HIP runtime reads archives of GPU code. No runtime declares it: those that do read a particular
/// environment variable, or need the library that reads archives.
fn reads(root: &Root, runtime: &Path) -> Result<bool> {
    let file = root.open(runtime).with_context(|| runtime.display().to_string())?;
    let needed = elf::summary(&file)?.needed;
    if needed.iter().any(|name| version_of(name, kpack::READER).is_some()) {
        return Ok(true);
    }
    Ok(contains(root.open(runtime)?, kpack::IN_RUNTIMES_THAT_READ.as_bytes())?)
}

fn contains(mut file: impl Read, text: &[u8]) -> io::Result<bool> {
    let mut buffer = vec![0; 1 << 18];
    let mut kept = 0;
    loop {
        let n = match file.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let filled = kept + n;
        if memchr::memmem::find(&buffer[..filled], text).is_some() {
            return Ok(true);
        }
        // The name may begin in this piece and end in the next.
        kept = filled.min(text.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a few bytes at a time.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(3).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn a_text_is_found_across_pieces() {
        for (text, is_there) in [
            ("xxROCM_KPACK_PATHxx", true),
            ("ROCM_KPACK_PATH", true),
            ("ROCM_KPACK", false),
            ("", false),
        ] {
            let found = contains(Slowly(text.as_bytes()), b"ROCM_KPACK_PATH").expect("read");
            assert_eq!(found, is_there, "{text}");
        }
    }
}
