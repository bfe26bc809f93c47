//! Base images, created once with debootstrap: a Debian that is old enough to build the shim on, and one
//! with the dependencies of the real libraries.

use super::engine::{Build, Engine, say};
use crate::{
    artefacts::workspace,
    real::{packages::Mirror, root},
    run::{exists, run, run_within},
    skip::skip,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// The prefix of the names of all images of these tests.
pub const PREFIX: &str = "rocblas-shim-tests";

/// The image of `docker/shim.Dockerfile`.
pub const SHIM: &str = "rocblas-shim-tests/shim";

/// The directory for contexts and root directories, next to those of the real binaries.
pub(super) fn directory() -> PathBuf {
    root::directory().with_file_name("docker")
}

/// The path of a file of these tests.
pub(super) fn file(name: &str) -> PathBuf {
    workspace().join("tests/docker").join(name)
}

/// An image of a Debian suite's minimal system. If it is not available, prints why and returns `None`.
fn debian(engine: &Engine, suite: &str) -> Option<String> {
    let tag = format!("{PREFIX}/debian:{suite}");
    if engine.has(&tag) {
        return Some(tag);
    }
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 || !exists("debootstrap") {
        skip("images", "making a base image takes debootstrap and root's rights");
        return None;
    }
    let made = || -> Result<(), String> {
        let lists = directory().join("apt");
        fs::create_dir_all(&lists).map_err(|e| format!("{}: {e}", lists.display()))?;
        let mirror = Mirror::of_this_machine(&lists)?;
        let top = tempfile::tempdir_in(directory()).map_err(|e| e.to_string())?;
        say(&format!("debootstrap {suite}"));
        // In a separate mount namespace: debootstrap mounts /proc, which would remain mounted if it is
        // killed.
        let mut command = Command::new("unshare");
        command.args(["--mount", "debootstrap"]);
        command.args(["--variant=minbase", "--include=ca-certificates"]);
        command.args(mirror.keyring().map(|keys| format!("--keyring={}", keys.display())));
        command.arg(suite).arg(top.path()).arg(&mirror.uri);
        let ended = run_within(&mut command, Duration::from_secs(1200));
        if !ended.status.success() {
            return Err(ended.stdout.lines().last().unwrap_or("debootstrap failed").to_owned());
        }
        // A mirror's lists may have expired. dpkg need not sync each file: after a power failure the image is made
        // again.
        for (at, text) in [
            ("etc/apt/apt.conf.d/90tests", "Acquire::Check-Valid-Until \"false\";\n"),
            ("etc/dpkg/dpkg.cfg.d/90tests", "force-unsafe-io\n"),
        ] {
            fs::write(top.path().join(at), text).map_err(|e| e.to_string())?;
        }
        engine.import(top.path(), &tag);
        Ok(())
    };
    match made() {
        Ok(()) => Some(tag),
        Err(why) => {
            skip("images", &why);
            None
        }
    }
}

/// Unpacks Debian's smallest system into a directory. `None`, having said so, where it is not to be had.
///
/// # Panics
/// When it cannot be unpacked.
pub fn clean_root(engine: &Engine, directory: &Path) -> Option<()> {
    let tag = debian(engine, "bookworm")?;
    engine.export(&tag, directory);
    Some(())
}

/// An image on which the real libraries run, without any part of ROCm.
pub fn runtime(engine: &Engine) -> Option<&'static str> {
    static TAG: OnceLock<Option<String>> = OnceLock::new();
    TAG.get_or_init(|| debian(engine, "sid")).as_deref()
}

/// A Debian image with this machine's Rust, and that Rust's version. Its glibc, 2.36, adds no symbol to 2.35
/// that Rust programs use.
pub fn rust(engine: &Engine) -> Option<&'static (String, String)> {
    static BUILT: OnceLock<Option<(String, String)>> = OnceLock::new();
    BUILT.get_or_init(|| build_rust(engine)).as_ref()
}

fn build_rust(engine: &Engine) -> Option<(String, String)> {
    let base = debian(engine, "bookworm")?;
    let version = run(Command::new("rustc").arg("--version")).success().stdout;
    let version = version.split(' ').nth(1).expect("rustc 1.2.3 (...)").to_owned();
    let tag = format!("{PREFIX}/rust:{version}");
    if !engine.has(&tag) {
        let context = directory().join("rust");
        let sysroot = run(Command::new("rustc").args(["--print", "sysroot"])).success().stdout;
        let certificates = Path::new("/usr/local/share/ca-certificates");
        fs::create_dir_all(context.join("rust")).expect("make a directory");
        fs::create_dir_all(context.join("certificates")).expect("make a directory");
        let mut copy = Command::new("cp");
        copy.arg("--archive").args(["bin", "lib"].map(|part| Path::new(sysroot.trim()).join(part)));
        run_within(copy.arg(context.join("rust")), Duration::from_secs(300)).success();
        if certificates.is_dir() {
            let mut copy = Command::new("cp");
            copy.arg("--recursive").arg(certificates.join("."));
            run(copy.arg(context.join("certificates"))).success();
        }
        let recipe = file("images/rust.Dockerfile");
        engine.build(&Build::new(&tag, &recipe, &context, &[("BASE", &base)]));
        fs::remove_dir_all(&context).expect("remove the context");
    }
    Some((tag, version))
}
