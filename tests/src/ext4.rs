//! An ext4 file system in a file, to see what is on disk after a power cut.
//!
//! It commits its journal only on request (`commit=600`), so at any moment the file contains what programs
//! have synced, and what the kernel wrote early. A mounted copy of the file is the file system after a power
//! cut at that moment: blocks that ext4 has not submitted are only in memory, so the copy lacks them.

use crate::run::{Ended, run};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The file is sparse: it only uses space for what is written.
const SIZE: u64 = 1 << 30;

/// A mounted file system; it is unmounted and removed when this is dropped.
#[derive(Debug)]
pub struct Ext4 {
    /// The directory of the image and the mount point.
    scratch: TempDir,
    device: Option<String>,
    mounted: bool,
}

impl Ext4 {
    /// Creates an empty file system.
    ///
    /// # Errors
    /// The reason why this machine cannot have one.
    pub fn new() -> Result<Self, String> {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            return Err("mounting needs root's rights".to_owned());
        }
        let ext4 = Self::unmounted()?;
        let file = File::create(ext4.image()).and_then(|file| file.set_len(SIZE));
        file.map_err(|e| e.to_string())?;
        // Initialises all tables now, not later in the kernel.
        let options = ["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        tool(Command::new("mkfs.ext4").args(options).arg(ext4.image()))?;
        ext4.mount()
    }

    fn unmounted() -> Result<Self, String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        std::fs::create_dir(scratch.path().join("mounted")).map_err(|e| e.to_string())?;
        Ok(Self { scratch, device: None, mounted: false })
    }

    fn image(&self) -> PathBuf {
        self.scratch.path().join("image")
    }

    fn mount(mut self) -> Result<Self, String> {
        let losetup = |more: &[&str]| {
            let mut command = Command::new("losetup");
            tool(command.args(["--find", "--show"]).args(more).arg(self.image()))
        };
        // With direct I/O, so that the file contains what was written. If that is not possible, the page
        // cache contains it, and a copy reads from there.
        let device = losetup(&["--direct-io=on"]).or_else(|_| losetup(&[]))?;
        let device = device.stdout.trim().to_owned();
        self.device = Some(device.clone());
        tool(
            Command::new("mount").args(["-t", "ext4", "-o", "commit=600", &device]).arg(self.top()),
        )?;
        self.mounted = true;
        Ok(self)
    }

    /// The mount point.
    #[must_use]
    pub fn top(&self) -> PathBuf {
        self.scratch.path().join("mounted")
    }

    /// Writes everything in memory to the disk.
    pub fn sync(&self) {
        run(Command::new("sync").arg("--file-system").arg(self.top())).success();
    }

    /// The file system as it would be after a power cut now, with its journal replayed.
    ///
    /// # Errors
    /// When the copy cannot be made or mounted.
    pub fn power_cut(&self) -> Result<Self, String> {
        let cut = Self::unmounted()?;
        let mut copy = Command::new("cp");
        tool(copy.arg("--sparse=always").arg(self.image()).arg(cut.image()))?;
        cut.mount()
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // A failure here cannot be handled; the directory is below the temporary one.
        if self.mounted {
            let _ = run(Command::new("umount").arg(self.top()));
        }
        if let Some(device) = &self.device {
            let _ = run(Command::new("losetup").arg("--detach").arg(device));
        }
    }
}

/// Runs a tool that may not be on the `PATH`.
fn tool(command: &mut Command) -> Result<Ended, String> {
    let name = Path::new(command.get_program()).display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let there = Command::new("sh")
        .args(["-c", "command -v \"$0\"", &name])
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        return Err(format!("there is no {name}"));
    }
    let ended = run(command);
    if ended.status.success() { Ok(ended) } else { Err(format!("{name}: {}", ended.stderr.trim())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skip::skip;
    use std::fs;

    #[test]
    fn a_power_cut_takes_what_was_not_synced() {
        let disk = match Ext4::new() {
            Ok(disk) => disk,
            Err(why) => return skip("an ext4 file system", &why),
        };
        fs::write(disk.top().join("synced"), "content").expect("write");
        disk.sync();
        fs::write(disk.top().join("forgotten"), "content").expect("write");
        let cut = disk.power_cut().expect("cut");
        assert_eq!(fs::read_to_string(cut.top().join("synced")).expect("read"), "content");
        assert!(!cut.top().join("forgotten").exists());
        assert!(disk.top().join("forgotten").exists());
    }
}
