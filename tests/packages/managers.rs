//! The package managers: how each installs a package, and packages rocBLAS.

use crate::{built::built, root::Root};
use rpm::{FileOptions, PackageBuilder};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    dpkg::build_deb,
    run::{Ended, exists, run, run_within},
    skip::skip,
};

/// The name that programs load, to which each release of rocBLAS adds a version.
pub(crate) const FRONT: &str = "opt/rocm-7.0.2/lib/librocblas.so.5";

/// A package manager.
pub(crate) struct Manager {
    /// Programs that it takes.
    pub(crate) needs: &'static [&'static str],
    /// Our package of a revision.
    pub(crate) ours: fn(&Path, u32) -> PathBuf,
    /// A package `rocblas` of a release such as 70002, with a copy of this library.
    pub(crate) rocblas: fn(&Path, &Path, &str) -> PathBuf,
    /// Installs a file, or upgrades to it.
    pub(crate) install: fn(&Root, &Path) -> Ended,
    /// Removes our package.
    pub(crate) remove: fn(&Root) -> Ended,
}

impl Manager {
    /// Whether this machine has its programs; says so where it has not.
    pub(crate) fn is_here(&self) -> bool {
        let missing = self.needs.iter().find(|program| !exists(program));
        if let Some(program) = missing {
            skip("a package in a clean root", &format!("there is no {program}"));
        }
        missing.is_none()
    }
}

const NAME: &str = "rocblas-shim";

/// The file of a release's rocBLAS.
fn versioned(release: &str) -> String {
    format!("{FRONT}.0.{release}")
}

/// Its name, to which [`FRONT`] points.
fn target(release: &str) -> String {
    format!("librocblas.so.5.0.{release}")
}

/// Debian's.
pub(crate) const APT: Manager = Manager {
    needs: &["dpkg-deb"],
    ours: |_, revision| crate::built::package(revision, ".deb"),
    rocblas: |scratch, library, release| {
        let files = scratch.join(format!("rocblas-deb-{release}"));
        let front = files.join(FRONT);
        fs::create_dir_all(front.parent().expect("a directory")).expect("make directories");
        fs::copy(library, files.join(versioned(release))).expect("copy");
        symlink(target(release), front).expect("link");
        build_deb("rocblas", &format!("5.0.{release}"), &files)
    },
    install: |root, file| {
        let file = root.bring(file);
        root.inside("apt-get", &["install", "--yes", "--allow-downgrades", &file])
    },
    remove: |root| root.inside("apt-get", &["remove", "--yes", NAME]),
};

/// Fedora's, from outside: the root has none of its own.
pub(crate) const RPM: Manager = Manager {
    needs: &["rpm"],
    ours: |_, revision| crate::built::package(revision, ".rpm"),
    rocblas: |scratch, library, release| {
        let version = format!("5.0.{release}");
        let mut package = PackageBuilder::new("rocblas", &version, "MIT", "x86_64", "a test's");
        let options = FileOptions::new(format!("/{}", versioned(release))).permissions(0o644);
        let bytes = fs::read(library).expect("read");
        package.with_file_contents(bytes, options).expect("a file");
        let link = FileOptions::symlink(format!("/{FRONT}"), target(release));
        package.with_symlink(link).expect("a link");
        let place = scratch.join(format!("rocblas-{release}.rpm"));
        package.build().expect("a package").write_file(&place).expect("write");
        place
    },
    install: |root, file| {
        // Debian's system is none that rpm knows of.
        rpm(root, &["--upgrade", "--nodeps", file.to_str().expect("UTF-8")])
    },
    remove: |root| rpm(root, &["--erase", NAME]),
};

fn rpm(root: &Root, arguments: &[&str]) -> Ended {
    let path = root.path().to_str().expect("UTF-8");
    root.outside("rpm", &[&["--root", path, "--dbpath", "/var/lib/rpm"], arguments].concat())
}

/// Arch's, from outside.
pub(crate) const PACMAN: Manager = Manager {
    needs: &["pacman", "makepkg", "fakeroot"],
    ours: |scratch, revision| {
        let place = scratch.join(format!("arch-{revision}"));
        let mut copy = Command::new("cp");
        run(copy.arg("--recursive").args([built(revision), &place])).success();
        makepkg(&place)
    },
    rocblas: |scratch, library, release| {
        let place = scratch.join(format!("arch-rocblas-{release}"));
        fs::create_dir(&place).expect("make a directory");
        fs::copy(library, place.join("library")).expect("copy");
        let (file, target) = (versioned(release), target(release));
        let recipe = format!(
            "pkgname=rocblas\npkgver=5.0.{release}\npkgrel=1\narch=('x86_64')\noptions=('!strip' '!debug')\n\
             package() {{\n    install -D ../library \"$pkgdir/{file}\"\n    ln -s {target} \"$pkgdir/{FRONT}\"\n}}\n"
        );
        fs::write(place.join("PKGBUILD"), recipe).expect("write");
        makepkg(&place)
    },
    install: |root, file| {
        let installed = ["--assume-installed", "glibc=9", "--assume-installed", "gcc-libs=99"];
        let file = file.to_str().expect("UTF-8");
        // What lies there is of no package.
        let options = ["--upgrade", "--overwrite", "*", file];
        pacman(root, &[&options[..], &installed].concat())
    },
    remove: |root| pacman(root, &["--remove", NAME]),
};

fn pacman(root: &Root, arguments: &[&str]) -> Ended {
    let settings = root.at("etc/pacman.conf");
    fs::write(&settings, "[options]\nArchitecture = x86_64\nSigLevel = Never\n").expect("write");
    fs::create_dir_all(root.at("var/lib/pacman")).expect("make a directory");
    // As Arch has it: /usr/lib is a library directory.
    if !root.at("usr/lib64").is_symlink() {
        let _ = fs::rename(root.at("usr/lib64"), root.at("usr/lib64-of-debian"));
        symlink("lib", root.at("usr/lib64")).expect("link");
        let loader = root.at("usr/lib64-of-debian/ld-linux-x86-64.so.2");
        run(Command::new("cp").arg("--archive").arg(loader).arg(root.at("usr/lib"))).success();
    }
    let (path, settings) =
        (root.path().to_str().expect("UTF-8"), settings.to_str().expect("UTF-8"));
    let fixed = ["--noconfirm", "--root", path, "--config", settings];
    root.outside("pacman", &[&fixed, arguments].concat())
}

/// Makes the package of a directory's PKGBUILD, which must not be done as root.
fn makepkg(directory: &Path) -> PathBuf {
    let ids = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    run(Command::new("chown").args(["--recursive", "65534:65534"]).arg(directory)).success();
    let mut command = Command::new("setpriv");
    command.args(ids).args(["makepkg", "--nodeps", "--force"]).current_dir(directory);
    command
        .env("HOME", directory)
        .env("PKGEXT", ".pkg.tar")
        .env("PACKAGER", "tests <tests@example.org>");
    run_within(&mut command, Duration::from_secs(120)).success();
    let entries = fs::read_dir(directory).expect("a directory");
    let mut paths = entries.map(|entry| entry.expect("read").path());
    paths.find(|path| path.extension().is_some_and(|e| e == "tar")).expect("a package")
}
