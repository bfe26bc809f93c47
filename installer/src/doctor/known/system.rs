//! The system that a log comes from: which command installs a library there, and which files cannot be
//! changed.

use super::advice::{is_of_rocm, package_of};
use std::path::Path;

/// A family of systems with one package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Debian, Ubuntu and their derivatives.
    Apt,
    /// Fedora, RHEL and their derivatives.
    Dnf,
    /// SUSE.
    Zypper,
    /// Arch Linux.
    Pacman,
    /// NixOS, or Nix elsewhere.
    Nix,
}

/// Texts that occur only in logs of one system.
const MARKS: &[(&str, System)] = &[
    ("/nix/store/", System::Nix),
    ("()(64bit)", System::Dnf),
    ("dnf install", System::Dnf),
    ("fedora", System::Dnf),
    ("Fedora", System::Dnf),
    ("redhat", System::Dnf),
    ("yum install", System::Dnf),
    (".el8", System::Dnf),
    (".el9", System::Dnf),
    (".el10", System::Dnf),
    (".fc41", System::Dnf),
    (".fc42", System::Dnf),
    (".fc43", System::Dnf),
    (".fc44", System::Dnf),
    ("openSUSE", System::Zypper),
    ("zypper install", System::Zypper),
    ("Arch Linux", System::Pacman),
    ("archlinux", System::Pacman),
    ("pacman -S", System::Pacman),
    ("/lib64/libc.so.6", System::Dnf),
    ("/lib64/libstdc++.so.6", System::Dnf),
    ("/x86_64-linux-gnu/", System::Apt),
    ("apt-get install", System::Apt),
    ("apt install", System::Apt),
];

/// Families as os-release(5) has them in `ID` and `ID_LIKE`.
const FAMILIES: &[(&str, System)] = &[
    ("debian", System::Apt),
    ("ubuntu", System::Apt),
    ("fedora", System::Dnf),
    ("rhel", System::Dnf),
    ("suse", System::Zypper),
    ("opensuse", System::Zypper),
    ("sles", System::Zypper),
    ("arch", System::Pacman),
    ("nixos", System::Nix),
];

/// Directories whose files no command of the installer can change, and their owners.
const READ_ONLY: &[(&str, &str)] = &[
    ("/nix/store", "the Nix store"),
    ("/gnu/store", "the store of Guix"),
    ("/snap", "a snap"),
    ("/var/lib/flatpak", "a Flatpak"),
    ("/tmp/.mount_", "an AppImage"),
];

impl System {
    /// The texts that identify a log's system.
    pub(super) fn marks() -> impl Iterator<Item = &'static str> {
        MARKS.iter().map(|(mark, _)| *mark)
    }

    /// The system that a message identifies.
    pub(super) fn of(message: &str) -> Option<Self> {
        MARKS.iter().find(|(mark, _)| message.contains(mark)).map(|(_, system)| *system)
    }

    /// The system of a machine, by the names that its os-release has.
    pub(in crate::doctor) fn of_families(families: &[String]) -> Option<Self> {
        let of = |family: &String| FAMILIES.iter().find(|(name, _)| name == family);
        families.iter().find_map(of).map(|(_, system)| *system)
    }

    /// The command that installs the package of a library, given the library's name with its version. RPM
    /// packages provide the names of their libraries, so no package name is needed.
    pub(super) fn install(self, library: &str) -> String {
        let package = package_of(library);
        let is_of_rocm = is_of_rocm(library);
        match self {
            Self::Apt => match debian_package(library) {
                Some(debian) if is_of_rocm => {
                    format!(
                        "apt-get install {package}   (AMD's package; Debian's and Ubuntu's is {debian})"
                    )
                }
                Some(debian) => format!("apt-get install {debian}"),
                None => format!("apt-get install {package}"),
            },
            Self::Dnf => format!("dnf install '{library}()(64bit)'"),
            Self::Zypper => format!("zypper install '{library}()(64bit)'"),
            Self::Pacman if is_of_rocm => format!("pacman -S {package}"),
            Self::Pacman => format!("pacman -F {library}   (names the package), and pacman -S it"),
            Self::Nix => format!(
                "nix-locate {library}   (names the package), and add that to the program's derivation or \
                 environment"
            ),
        }
    }

    /// The command that reinstalls a package of ROCm.
    pub(super) fn reinstall(self, library: &str) -> String {
        let package = package_of(library);
        match self {
            Self::Apt => format!("apt-get install --reinstall {package}"),
            Self::Dnf => format!("dnf reinstall {package}"),
            Self::Zypper => format!("zypper install --force {package}"),
            Self::Pacman => format!("pacman -S {package}"),
            Self::Nix => format!("build {package} again with this nixpkgs"),
        }
    }
}

/// Programs that have ROCm's libraries of their own, by a directory in their paths.
const BUNDLES: &[(&str, &str)] = &[
    ("site-packages", "the Python package that has it"),
    ("dist-packages", "the Python package that has it"),
    ("ollama", "Ollama"),
    (".lmstudio", "LM Studio"),
];

/// The program that a library came with, if it is not from a package of the system.
pub(super) fn bundle_of(path: &Path) -> Option<&'static str> {
    let is_in = |directory: &str| path.iter().any(|name| name == directory);
    BUNDLES.iter().find(|(directory, _)| is_in(directory)).map(|(_, owner)| *owner)
}

/// The name of a library's package according to Debian's policy (8.1): its SONAME, with a hyphen if the
/// version would otherwise continue a number.
fn debian_package(library: &str) -> Option<String> {
    let (stem, version) = library.split_once(".so.")?;
    let major = version.split('.').next()?;
    let stem = stem.to_ascii_lowercase().replace('_', "-");
    let hyphen = if stem.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    Some(format!("{stem}{hyphen}{major}"))
}

/// The directory of Nix, which owns every library of its system.
pub(super) const NIX: &str = READ_ONLY[0].0;

/// The owner of a path that no command of the installer can change.
pub(super) fn read_only(path: &Path) -> Option<&'static str> {
    let text = path.to_str()?;
    let is_below = |place: &str| {
        // An AppImage's mount directory has a new name at each start.
        let ends = |rest: &str| rest.is_empty() || rest.starts_with('/') || place.ends_with('_');
        text.strip_prefix(place).is_some_and(ends)
    };
    READ_ONLY.iter().find(|(place, _)| is_below(place)).map(|(_, owner)| *owner)
}

/// Whether a message names a file of Windows: `C:\\...`, `C:/...` or a DLL.
pub(super) fn is_of_windows(message: &str) -> bool {
    let is_drive = |at: usize| {
        let mut before = message[..at].chars().rev();
        before.next().is_some_and(|c| c.is_ascii_alphabetic())
            && !before.next().is_some_and(|c| c.is_ascii_alphanumeric())
            && !message[at..].starts_with("://")
    };
    let is_end = |at: usize| {
        !message[at + DLL.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
    };
    let mut drives = message.match_indices(DRIVE).chain(message.match_indices(":/"));
    drives.any(|(at, _)| is_drive(at)) || message.match_indices(DLL).any(|(at, _)| is_end(at))
}

/// A part of most Windows paths.
pub(super) const DRIVE: &str = ":\\";
const DLL: &str = ".dll";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_installed_by_the_name_that_its_system_gives_it() {
        for (library, debian) in [
            ("librocblas.so.5", "librocblas5"),
            ("libamdhip64.so.7", "libamdhip64-7"),
            ("libhsa-runtime64.so.1", "libhsa-runtime64-1"),
            ("libamd_comgr.so.3", "libamd-comgr3"),
            ("libnuma.so.1", "libnuma1"),
            ("librocblas.so.5.0.70002", "librocblas5"),
        ] {
            assert_eq!(debian_package(library).as_deref(), Some(debian), "{library}");
        }
        assert_eq!(debian_package("libggml-hip.so"), None);
        assert_eq!(System::Apt.install("libnuma.so.1"), "apt-get install libnuma1");
        assert!(System::Apt.install("librocblas.so.5").starts_with("apt-get install rocblas "));
        assert_eq!(System::Dnf.install("libnuma.so.1"), "dnf install 'libnuma.so.1()(64bit)'");
        assert_eq!(System::Pacman.install("libamdhip64.so.7"), "pacman -S hip-runtime-amd");
    }

    #[test]
    fn files_of_windows_are_told_from_others() {
        for of_windows in [
            r"C:\Program Files\AMD\ROCm\6.2\bin\/rocblas/library/TensileLibrary.dat",
            r#"Error loading "D:\venv\torch\lib\rocblas.dll" or one of its dependencies."#,
            "rocblas.dll was not found",
            "Cannot read C:/Program Files/AMD/ROCm/6.4/bin/rocblas/library/TensileLibrary.dat",
            r#"cmd="C:\\Users\\x\\ollama.exe runner""#,
        ] {
            assert!(is_of_windows(of_windows), "{of_windows}");
        }
        for near in [
            "/mnt/c/x",
            "http://x",
            "x://y",
            "host:/dev/kfd",
            r"regex \d+:\d+",
            "http:\\x",
            "a.dllx",
            "ratio 3:\\4",
            "my.dll.so",
        ] {
            assert!(!is_of_windows(near), "{near}");
        }
    }
}
