//! A separate package database, maintained by the machine's real dpkg: packages are built, installed and
//! upgraded there, without maintainer scripts and without affecting the machine.

use crate::run::{Ended, exists, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs of dpkg that are used here.
const PROGRAMS: [&str; 4] = ["dpkg", "dpkg-deb", "dpkg-divert", "dpkg-query"];

/// Whether this machine has dpkg.
#[must_use]
pub fn available() -> bool {
    PROGRAMS.iter().all(exists)
}

/// Builds a package of the files below a directory, with their modes and links.
///
/// The directory gets a `DEBIAN` in it; the package, `NAME_VERSION.deb`, is created next to it.
#[must_use]
pub fn build_deb(name: &str, version: &str, files: &Path) -> PathBuf {
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\n\
         Maintainer: tests <tests@example.org>\nDescription: files of a test\n"
    );
    fs::create_dir_all(files.join("DEBIAN")).expect("make DEBIAN");
    fs::write(files.join("DEBIAN/control"), control).expect("write control");
    let deb = files.with_file_name(format!("{name}_{version}.deb"));
    let build = ["--root-owner-group", "-Znone", "--build"];
    run(Command::new("dpkg-deb").args(build).args([files, &deb])).success();
    deb
}

/// The database of a root directory.
#[derive(Debug)]
pub struct Dpkg {
    root: PathBuf,
}

impl Dpkg {
    /// Creates an empty database, in which nothing is installed.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let admin = root.join("var/lib/dpkg");
        for directory in ["info", "updates", "triggers"] {
            fs::create_dir_all(admin.join(directory)).expect("make a database");
        }
        for file in ["status", "available"] {
            fs::write(admin.join(file), "").expect("make a database");
        }
        Self { root: root.to_owned() }
    }

    /// The existing database of a root.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A program of dpkg that works on this root.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--root").arg(&self.root).env("LC_ALL", "C");
        // dpkg insists on finding ldconfig, which is not on everyone's PATH.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command
    }

    fn dpkg(&self, action: &str) -> Command {
        let mut command = self.command("dpkg");
        // Even with another root, dpkg would write to the machine's log.
        command.args(["--log=/dev/null", "--force-not-root", "--force-depends", action]);
        command
    }

    /// Installs a package, or upgrades to it.
    pub fn install(&self, deb: &Path) -> Ended {
        run(self.dpkg("--install").arg(deb)).success()
    }

    /// Removes an installed package.
    pub fn remove(&self, name: &str) -> Ended {
        run(self.dpkg("--remove").arg(name)).success()
    }

    /// Diverts a file of any package to another name. Paths are inside the root; the target directory must
    /// exist.
    pub fn divert(&self, file: &str, to: &str) -> Ended {
        let mut command = self.command("dpkg-divert");
        command.args(["--local", "--rename", "--divert", to, "--add", file]);
        run(&mut command).success()
    }

    /// Removes a diversion. The original name must not exist.
    pub fn undivert(&self, file: &str) -> Ended {
        let mut command = self.command("dpkg-divert");
        run(command.args(["--local", "--rename", "--remove", file])).success()
    }

    /// All diversions, as `dpkg-divert --list` prints them.
    #[must_use]
    pub fn diversions(&self) -> String {
        run(self.command("dpkg-divert").arg("--list")).success().stdout
    }

    /// The package that owns a file, by its path inside the root.
    #[must_use]
    pub fn owner(&self, file: &str) -> Option<String> {
        let ended = run(self.command("dpkg-query").args(["--search", file]));
        // `local diversion from: FILE` comes before the package, whose name has no space.
        let owners = ended.stdout.lines().filter_map(|line| line.split_once(": "));
        let mut owners = owners.filter(|(owner, of)| *of == file && !owner.contains(' '));
        owners.next().map(|(owner, _)| owner.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skip::skip;
    use std::os::unix::fs::symlink;

    const LIB: &str = "/opt/rocm-7.0.2/lib";
    const FILE: &str = "librocblas.so.5.0.70002";
    const LINK: &str = "librocblas.so.5";
    const STORE: &str = "/opt/rocm-7.0.2/lib/rocblas-shim/backends/7.0.2/lib";

    /// A machine with a package `rocblas`: the library and the symlink to it.
    struct Machine {
        directory: tempfile::TempDir,
        dpkg: Dpkg,
    }

    impl Machine {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("make a directory");
            let dpkg = Dpkg::new(&directory.path().join("root"));
            let machine = Self { directory, dpkg };
            machine.install("5.0.2-1", FILE);
            machine
        }

        /// Installs a version of the package, which is what the library contains too.
        fn install(&self, version: &str, library: &str) {
            let files = self.directory.path().join(version);
            let lib = files.join(LIB.trim_start_matches('/'));
            fs::create_dir_all(&lib).expect("make lib");
            fs::write(lib.join(library), version).expect("write a library");
            symlink(library, lib.join(LINK)).expect("link");
            self.dpkg.install(&build_deb("rocblas", version, &files));
        }

        fn at(&self, directory: &str, name: &str) -> PathBuf {
            self.dpkg.root.join(directory.trim_start_matches('/')).join(name)
        }

        /// Diverts the library into the store, and installs the shim with a symlink of that name.
        fn divert_library(&self) {
            fs::create_dir_all(self.at(STORE, "")).expect("make the store");
            self.dpkg.divert(&format!("{LIB}/{FILE}"), &format!("{STORE}/{FILE}"));
            let shim = "librocblas.so.5.99.0";
            fs::write(self.at(LIB, shim), "shim").expect("write the shim");
            symlink(shim, self.at(LIB, FILE)).expect("link");
            self.link_to_shim();
        }

        /// Points the symlink at the shim.
        fn link_to_shim(&self) {
            let _ = fs::remove_file(self.at(LIB, LINK));
            symlink("librocblas.so.5.99.0", self.at(LIB, LINK)).expect("link");
        }

        fn read(&self, directory: &str, name: &str) -> String {
            fs::read_to_string(self.at(directory, name)).unwrap_or_else(|e| e.kind().to_string())
        }

        fn target(&self, name: &str) -> PathBuf {
            fs::read_link(self.at(LIB, name)).unwrap_or_default()
        }
    }

    fn machine() -> Option<Machine> {
        if available() {
            return Some(Machine::new());
        }
        skip("packages", "there is no dpkg");
        None
    }

    #[test]
    fn a_package_owns_its_files() {
        let Some(machine) = machine() else { return };
        assert_eq!(machine.read(LIB, LINK), "5.0.2-1");
        let owner = |name: &str| machine.dpkg.owner(&format!("{LIB}/{name}"));
        assert_eq!(owner(FILE).as_deref(), Some("rocblas"));
        assert_eq!(owner("librocblas.so.5.99.0"), None);
        machine.dpkg.remove("rocblas");
        assert_eq!(owner(FILE), None);
        assert!(!machine.at(LIB, FILE).exists());
    }

    #[test]
    fn without_a_diversion_an_upgrade_brings_everything_back() {
        let Some(machine) = machine() else { return };
        fs::remove_file(machine.at(LIB, FILE)).expect("remove the library");
        machine.install("5.0.2-2", FILE);
        assert_eq!(machine.read(LIB, FILE), "5.0.2-2");
    }

    #[test]
    fn an_upgrade_goes_to_where_the_file_is_diverted_to() {
        let Some(machine) = machine() else { return };
        machine.divert_library();
        assert_eq!(machine.read(STORE, FILE), "5.0.2-1");
        assert_eq!(machine.dpkg.owner(&format!("{LIB}/{FILE}")).as_deref(), Some("rocblas"));
        machine.install("5.0.2-2", FILE);
        assert_eq!(machine.read(STORE, FILE), "5.0.2-2");
        assert_eq!(machine.read(LIB, FILE), "shim");
        // The symlink is an ordinary file of the package, so it is replaced.
        assert_eq!(machine.target(LINK), Path::new(FILE));
    }

    #[test]
    fn a_symlink_can_be_diverted_too() {
        let Some(machine) = machine() else { return };
        machine.divert_library();
        fs::remove_file(machine.at(LIB, LINK)).expect("remove the link");
        symlink(FILE, machine.at(LIB, LINK)).expect("link as the package has it");
        machine.dpkg.divert(&format!("{LIB}/{LINK}"), &format!("{STORE}/{LINK}"));
        machine.link_to_shim();
        machine.install("5.0.2-2", FILE);
        assert_eq!(machine.target(LINK), Path::new("librocblas.so.5.99.0"));
        let diverted = fs::read_link(machine.at(STORE, LINK)).expect("the package's link");
        assert_eq!(diverted, Path::new(FILE));
    }

    #[test]
    fn an_upgrade_with_another_file_name_is_not_diverted() {
        let Some(machine) = machine() else { return };
        machine.divert_library();
        machine.install("5.0.3-1", "librocblas.so.5.0.70003");
        assert_eq!(machine.read(LIB, "librocblas.so.5.0.70003"), "5.0.3-1");
        assert_eq!(machine.target(LINK), Path::new("librocblas.so.5.0.70003"));
        // The diverted file belongs to the old package and is removed with it; our files remain.
        assert_eq!(machine.read(STORE, FILE), "entity not found");
        assert_eq!(machine.read(LIB, FILE), "shim");
        assert!(machine.dpkg.diversions().contains(FILE), "{}", machine.dpkg.diversions());
    }

    #[test]
    fn removing_a_diversion_restores_the_file() {
        let Some(machine) = machine() else { return };
        machine.divert_library();
        fs::remove_file(machine.at(LIB, FILE)).expect("remove the link to the shim");
        machine.dpkg.undivert(&format!("{LIB}/{FILE}"));
        assert_eq!(machine.read(LIB, FILE), "5.0.2-1");
        assert_eq!(machine.dpkg.diversions(), "");
    }

    #[test]
    fn removing_the_package_keeps_our_files() {
        let Some(machine) = machine() else { return };
        machine.divert_library();
        machine.dpkg.remove("rocblas");
        assert_eq!(machine.read(LIB, FILE), "shim");
        assert!(!machine.at(STORE, FILE).exists());
    }
}
