//! `fetch`: whatever the server, the network and the file system do, a package is downloaded once, and is
//! either the correct one or absent.

mod files;
mod server;
mod servers;

use server::Server;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    artefacts,
    run::{Ended, run},
};

/// The package's file name.
const FILE: &str = "rocblas_4.3.0.60300-39~24.04_amd64.deb";
/// Enough for several reads, and more than a socket's buffers hold.
const SIZE: usize = 3_000_000;

/// The package: bytes without a pattern that would hide a wrong offset.
fn package() -> Vec<u8> {
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..SIZE).map(|_| byte()).collect()
}

fn sha256(file: &Path) -> String {
    let ended = run(Command::new("sha256sum").arg("--binary").arg(file)).success();
    ended.stdout[..64].to_owned()
}

/// A root with Ubuntu 24.04's `/etc/os-release`, a directory for the download, and a catalogue that
/// names a server.
struct Fetching {
    directory: tempfile::TempDir,
    digest: String,
}

impl Fetching {
    /// With a server's package, whose digest is in the catalogue.
    fn new(server: &Server) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let top = directory.path();
        for name in ["root/etc", "downloads", "outside"] {
            fs::create_dir_all(top.join(name)).expect("a directory");
        }
        let os_release = "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n";
        fs::write(top.join("root/etc/os-release"), os_release).expect("write");
        fs::write(top.join("outside/package"), package()).expect("write");
        let digest = sha256(&top.join("outside/package"));
        let fetching = Self { directory, digest };
        fetching.catalogue(&server.url(), "bytes = 10000000");
        fetching
    }

    /// Writes the catalogue, with short timeouts and a limit.
    fn catalogue(&self, url: &str, limit: &str) {
        let text = format!(
            "[limits]\nconnect-ms = 5000\nstall-ms = 400\npause-ms = 10\nretries = 2\nredirects = 3\n\
             {limit}\n\
             [[distribution]]\nname = \"ubuntu-24.04\"\ntitle = \"Ubuntu 24.04\"\n\
             codename = \"noble\"\nglibc = \"2.17\"\n\
             [[distribution]]\nname = \"ubuntu-99.04\"\ntitle = \"Ubuntu 99.04\"\n\
             codename = \"zesty\"\nglibc = \"2.999\"\n\
             [[release]]\nversion = \"6.3.0\"\nnames = [\"6.3\"]\n\
             [[release.package]]\ndistribution = \"ubuntu-24.04\"\napt = \"rocblas=4.3\"\n\
             url = \"{url}\"\nsha256 = \"{}\"\nevidence = \"written by the test\"\n\
             [[release.package]]\ndistribution = \"ubuntu-99.04\"\napt = \"rocblas=9.9\"\n\
             url = \"{url}\"\n",
            self.digest
        );
        fs::write(self.directory.path().join("catalogue.toml"), text).expect("write");
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// A place that downloads must not touch.
    fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    fn downloads(&self) -> PathBuf {
        self.directory.path().join("downloads")
    }

    /// The path of the file (`""`), or of a file next to it (`".part"`).
    fn file(&self, suffix: &str) -> PathBuf {
        self.downloads().join(format!("{FILE}{suffix}"))
    }

    /// `installer fetch 6.3` into the directory for downloads, with additional options and without a proxy.
    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(artefacts::installer());
        for name in ["http", "https", "all", "no"].map(|name| format!("{name}_proxy")) {
            command.env_remove(name.to_uppercase()).env_remove(name);
        }
        command.arg("--root").arg(self.root()).args(["fetch", "6.3", "--catalogue"]);
        command.arg(self.directory.path().join("catalogue.toml")).args(more);
        command.current_dir(self.downloads());
        command
    }

    #[track_caller]
    fn fetch(&self, more: &[&str]) -> Ended {
        run(&mut self.command(more))
    }

    /// Checks that the package is there, and nothing else.
    #[track_caller]
    fn assert_complete(&self) {
        assert!(fs::read(self.file("")).expect("a file") == package(), "another file");
        assert_eq!(self.names(), [FILE]);
    }

    /// The names in the directory for downloads.
    fn names(&self) -> Vec<String> {
        let entries = self.downloads().read_dir().expect("read");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("read").file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    /// The size of the partial file.
    #[track_caller]
    fn part(&self) -> u64 {
        fs::metadata(self.file(".part")).expect("a part").len()
    }
}

/// Checks that the command refused, with these sentences on stderr.
#[track_caller]
fn refused(ended: &Ended, sentences: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for sentence in sentences {
        assert!(ended.stderr.contains(sentence), "{sentence:?} is not in {ended:?}");
    }
}
