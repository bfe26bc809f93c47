//! An image that replaces AMD's: Debian's real libraries as packages with AMD's names, in AMD's
//! directories, from signed apt archives inside the image, with the recording runtime as HIP.

use super::{
    bases::{PREFIX, directory, file, runtime},
    engine::{Build, Engine, say},
};
use crate::{
    artefacts::workspace,
    elf::face,
    real::{Root, development, recording, root},
    run::{exists, run, run_within},
    skip::skip,
};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// The version that 6.3's package has in Ubuntu 24.04's archive.
pub const ROCBLAS_6_VERSION: &str = "4.3.0.60300-39~24.04";

/// The location in the image of the repository that replaces llama.cpp's.
pub const LLAMA: &str = "file:///srv/llama.cpp";

/// The prefix of ROCm 7 in the image.
const PREFIX_7: &str = "opt/rocm-7.0.2";

/// The version of all packages of ROCm 7.
const VERSION_7: &str = "5.0.2.70002-56~24.04";

/// Longer than packing a gigabyte takes.
const LIMIT: Duration = Duration::from_secs(900);

/// The image, and the build arguments that `docker/Dockerfile` needs for it.
#[derive(Clone, Debug)]
pub struct Rocm {
    /// Its name.
    pub tag: String,
    /// The digest of 6.3's package in it.
    pub rocblas_sha256: String,
    /// The commit of the stand-in for llama.cpp.
    pub commit: String,
}

/// Builds the image, unless it exists already. If it is not available, prints why and returns `None`.
pub fn rocm(engine: &Engine) -> Option<&'static Rocm> {
    static BUILT: OnceLock<Option<Rocm>> = OnceLock::new();
    BUILT.get_or_init(|| build(engine)).as_ref()
}

fn build(engine: &Engine) -> Option<Rocm> {
    for program in ["dpkg-deb", "apt-ftparchive", "gpg", "git"] {
        if !exists(program) {
            skip("images", &format!("there is no {program}"));
            return None;
        }
    }
    let base = runtime(engine)?;
    let (root, development) = (root()?, development()?);
    let context = directory().join("rocm");
    let srv = context.join("srv");
    let tag = format!("{PREFIX}/rocm:7.0.2");
    let stamp = directory().join("rocm.stamp");
    if let Some(known) = read_stamp(engine, &tag, &stamp) {
        return Some(known);
    }
    if context.exists() {
        fs::remove_dir_all(&context).expect("remove an old context");
    }
    fs::create_dir_all(&srv).expect("make a directory");
    say("packing ROCm's libraries as AMD's packages");
    let archives = [("6.3", srv.join("rocm/6.3")), ("7.0.2", srv.join("rocm/7.0.2"))];
    let scratch = tempfile::tempdir_in(directory()).expect("make a directory");
    let deb = rocblas_6(root, scratch.path(), &archives[0].1);
    let rocblas_sha256 = run(Command::new("sha256sum").arg(&deb)).success().stdout;
    rocm_7(root, development, scratch.path(), &archives[1].1);
    sign(&archives.map(|(_, archive)| archive), scratch.path(), &srv.join("rocm.asc"));
    let commit = repository(&srv.join("llama.cpp"));
    let dockerfile = file("images/rocm.Dockerfile");
    engine.build(&Build::new(&tag, &dockerfile, &context, &[("BASE", base)]));
    fs::remove_dir_all(&context).expect("remove the context");
    let rocblas_sha256 = rocblas_sha256.split(' ').next().expect("a digest").to_owned();
    let image = engine.inspect(&tag, "{{.Id}}");
    let text = [&recipe(), &image, &rocblas_sha256, &commit].map(String::as_str).join("\n");
    fs::write(stamp, text).expect("write what was built");
    Some(Rocm { tag, rocblas_sha256, commit })
}

/// The image, if it was built by the same recipe.
fn read_stamp(engine: &Engine, tag: &str, stamp: &Path) -> Option<Rocm> {
    let text = fs::read_to_string(stamp).ok()?;
    let [built_by, image, rocblas_sha256, commit] = text.lines().collect::<Vec<_>>()[..] else {
        return None;
    };
    let (rocblas_sha256, commit) = (rocblas_sha256.to_owned(), commit.to_owned());
    let same = built_by == recipe() && engine.has(tag) && engine.inspect(tag, "{{.Id}}") == image;
    same.then(|| Rocm { tag: tag.to_owned(), rocblas_sha256, commit })
}

/// A digest of everything that the image is made from, except Debian's packages.
fn recipe() -> String {
    let mut sum = Command::new("sha256sum");
    sum.arg(workspace().join("tests/src/docker/rocm.rs")).arg(file("images/rocm.Dockerfile"));
    let mut sources: Vec<PathBuf> = fs::read_dir(file("llama.cpp"))
        .expect("the stand-in for llama.cpp")
        .map(|entry| entry.expect("read").path())
        .collect();
    sources.sort();
    sum.args(sources).arg(recording::runtime());
    run(&mut sum).success().stdout.split_whitespace().step_by(2).collect::<Vec<_>>().join(" ")
}

/// The files of a package that is being made.
struct Package<'a> {
    name: &'a str,
    files: PathBuf,
}

impl<'a> Package<'a> {
    fn new(name: &'a str, scratch: &Path) -> Self {
        let files = scratch.join(name);
        fs::create_dir_all(&files).expect("make a package");
        Self { name, files }
    }

    /// A path in it, with its directory created.
    fn at(&self, path: &str) -> PathBuf {
        let at = self.files.join(path);
        fs::create_dir_all(at.parent().expect("in the package")).expect("make a directory");
        at
    }

    /// Adds a library under AMD's file name, with the symlinks to it.
    fn library(&self, from: &Path, lib: &str, name: &str) {
        link_or_copy(from, &self.at(&format!("{lib}/{name}")));
        let soname = face(from).soname;
        let (stem, _) = soname.split_once(".so").expect("a SONAME");
        if soname != name {
            symlink(name, self.at(&format!("{lib}/{soname}"))).expect("link");
        }
        symlink(&soname, self.at(&format!("{lib}/{stem}.so"))).expect("link");
    }

    /// Adds a directory with its files.
    fn tree(&self, from: &Path, to: &str) {
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--link", "--no-dereference"]).arg(from.join("."));
        fs::create_dir_all(self.at(to)).expect("make a directory");
        run_within(copy.arg(self.at(to)), LIMIT).success();
    }

    fn text(&self, path: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let at = self.at(path);
        fs::write(&at, text).expect("write");
        fs::set_permissions(at, fs::Permissions::from_mode(mode)).expect("set permissions");
    }

    /// Puts the package into an archive's pool.
    fn pack(self, version: &str, depends: &str, archive: &Path) -> PathBuf {
        let Self { name, files } = self;
        let depends =
            if depends.is_empty() { String::new() } else { format!("Depends: {depends}\n") };
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{depends}\
             Maintainer: tests <tests@example.org>\nDescription: files of a test\n"
        );
        fs::create_dir_all(files.join("DEBIAN")).expect("make DEBIAN");
        fs::write(files.join("DEBIAN/control"), control).expect("write control");
        let pool = archive.join("pool");
        fs::create_dir_all(&pool).expect("make a pool");
        let deb = pool.join(format!("{name}_{version}_amd64.deb"));
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "-Zzstd", "-z1", "--build"]).args([&files, &deb]);
        run_within(&mut build, LIMIT).success();
        fs::remove_dir_all(files).expect("remove what was packed");
        deb
    }
}

fn link_or_copy(from: &Path, to: &Path) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).expect("copy");
    }
}

/// Packs rocBLAS 6.4 as the package of 6.3.
fn rocblas_6(root: &Root, scratch: &Path, archive: &Path) -> PathBuf {
    let package = Package::new("rocblas", scratch);
    let lib = "opt/rocm-6.3.0/lib";
    package.library(&root.library("librocblas.so.4"), lib, "librocblas.so.4.3.60300");
    package.tree(&tensile(root, "4"), &format!("{lib}/rocblas/library"));
    package.pack(ROCBLAS_6_VERSION, "", archive)
}

/// The directory of a version's Tensile library in Debian: `rocblas/4.4.1/library`.
fn tensile(root: &Root, major: &str) -> PathBuf {
    let entries = fs::read_dir(root.lib().join("rocblas")).expect("the kernels");
    let mut versions = entries.map(|entry| entry.expect("read").file_name());
    let is_of = |name: &std::ffi::OsString| name.to_string_lossy().split('.').next() == Some(major);
    let version = versions.find(is_of).expect("kernels of that version");
    root.lib().join("rocblas").join(version).join("library")
}

/// ROCm 7's packages, each with the names that AMD gives it.
fn rocm_7(root: &Root, development: &Path, scratch: &Path, archive: &Path) {
    let lib = format!("{PREFIX_7}/lib");
    let headers = development.join("usr/include");
    let cmake = scratch.join("cmake");
    relocated(&development.join("usr/lib/x86_64-linux-gnu/cmake"), &cmake);
    let pack = |package: Package<'_>, depends: &str| {
        package.pack(VERSION_7, depends, archive);
    };

    let core = Package::new("rocm-core", scratch);
    core.text("etc/ld.so.conf.d/10-rocm.conf", "/opt/rocm/lib\n", 0o644);
    core.text(&format!("{PREFIX_7}/.info/version"), "7.0.2-56\n", 0o644);
    symlink("rocm-7.0.2", core.at("opt/rocm")).expect("link");
    pack(core, "");

    let hip = Package::new("hip-runtime-amd", scratch);
    let name = file_name(&root.library("libamdhip64.so.7"));
    hip.library(recording::runtime(), &lib, &name);
    for soname in ["libhsa-runtime64.so.1", "libroctx64.so.4"] {
        let from = root.library(soname);
        hip.library(&from, &lib, &file_name(&from));
    }
    let config = "#!/bin/sh\n# As hipconfig answers: the compiler's directory (-l), the prefix (-R).\n\
                  [ \"$1\" = -l ] && printf /opt/rocm/lib/llvm/bin || printf /opt/rocm\n";
    hip.text(&format!("{PREFIX_7}/bin/hipconfig"), config, 0o755);
    // The dependencies of libhsa-runtime64 and of roctx, by Debian's names.
    pack(hip, "rocm-core, libstdc++6, libelf1t64, libdrm2, libdrm-amdgpu1, libnuma1");

    let rocblas = Package::new("rocblas", scratch);
    rocblas.library(&root.library("librocblas.so.5"), &lib, "librocblas.so.5.0.70002");
    rocblas.tree(&tensile(root, "5"), &format!("{lib}/rocblas/library"));
    pack(rocblas, "hip-runtime-amd");

    let solver = Package::new("rocsolver", scratch);
    let from = root.library("librocsolver.so.0");
    solver.library(&from, &lib, &file_name(&from));
    pack(solver, "rocblas, libfmt11");

    let hipblas = Package::new("hipblas", scratch);
    let from = root.library("libhipblas.so.3");
    hipblas.library(&from, &lib, &file_name(&from));
    pack(hipblas, "rocblas, rocsolver");

    for (name, parts, packages, depends) in [
        (
            "hip-dev",
            &["hip", "hsa", "amd_comgr"][..],
            &["hip", "hip-lang", "hsa-runtime64", "amd_comgr"][..],
            "hip-runtime-amd",
        ),
        ("rocblas-dev", &["rocblas"], &["rocblas"], "rocblas, hip-dev"),
        (
            "hipblas-dev",
            &["hipblas", "hipblas-common"],
            &["hipblas", "hipblas-common"],
            "hipblas, hip-dev",
        ),
        ("rocsolver-dev", &[], &[], "rocsolver"),
    ] {
        let package = Package::new(name, scratch);
        for part in parts {
            package.tree(&headers.join(part), &format!("{PREFIX_7}/include/{part}"));
        }
        for part in packages {
            package.tree(&cmake.join(part), &format!("{lib}/cmake/{part}"));
        }
        if name == "hip-dev" {
            // `amd_comgr`'s package includes this file; nothing links with it.
            let targets = cmake.join("amd_comgr/amd_comgr-targets-none.cmake");
            let targets = fs::read_to_string(targets).expect("a text");
            let comgr = named(&targets, "libamd_comgr.so.").expect("the name of its library");
            File::create(package.at(&format!("{lib}/{comgr}"))).expect("make a file");
        }
        pack(package, depends);
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_str().expect("UTF-8").to_owned()
}

/// The first file name in a CMake file that begins with `stem`.
fn named(text: &str, stem: &str) -> Option<String> {
    let at = text.find(stem)?;
    let end = text[at..].find('"')? + at;
    Some(text[at..end].to_owned())
}

/// Debian's CMake packages in AMD's layout: in `lib` instead of `lib/x86_64-linux-gnu`, thus with one `..`
/// less, and with rocBLAS's file name.
fn relocated(from: &Path, to: &Path) {
    let climb = |name: &str| format!("get_filename_component({name} \"${{{name}}}\" PATH)\n");
    run(Command::new("cp").arg("--recursive").args([from, to])).success();
    for directory in fs::read_dir(to).expect("packages") {
        let directory = directory.expect("read").path();
        for entry in fs::read_dir(&directory).expect("a package") {
            let path = entry.expect("read").path();
            if path.is_dir() {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text");
            let rocblas = named(&text, "librocblas.so.5.");
            let text = text
                .replace("/lib/x86_64-linux-gnu", "/lib")
                .replace("/../../../../", "/../../../")
                .replacen(&climb("_IMPORT_PREFIX"), "", 1)
                .replacen(&climb("AMD_COMGR_PREFIX"), "", 1)
                .replace(
                    rocblas.as_deref().unwrap_or("librocblas.so.5.0.70002"),
                    "librocblas.so.5.0.70002",
                );
            fs::write(&path, text).expect("write");
        }
    }
}

/// Turns directories with a pool into archives for the suite `noble`, signed with a key created for this.
fn sign(archives: &[PathBuf], scratch: &Path, key: &Path) {
    let home = scratch.join("gnupg");
    fs::create_dir_all(&home).expect("make a directory");
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", &home).args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
        run(command.args(["--passphrase", ""]).args(arguments)).success()
    };
    gpg(&["--quick-generate-key", "tests@example.org", "rsa3072", "sign"]);
    fs::write(key, gpg(&["--armor", "--export"]).stdout).expect("write the key");
    for archive in archives {
        let suite = archive.join("dists/noble");
        let binary = suite.join("main/binary-amd64");
        fs::create_dir_all(&binary).expect("make an archive");
        let ftparchive = |arguments: &[&str]| {
            let mut command = Command::new("apt-ftparchive");
            run_within(command.args(arguments).current_dir(archive), LIMIT).success().stdout
        };
        fs::write(binary.join("Packages"), ftparchive(&["packages", "pool"])).expect("write");
        let fields = ["Suite=noble", "Codename=noble", "Components=main", "Architectures=amd64"];
        let fields = fields.map(|field| format!("-oAPT::FTPArchive::Release::{field}"));
        let mut arguments: Vec<&str> = fields.iter().map(String::as_str).collect();
        arguments.extend(["release", "dists/noble"]);
        let release = suite.join("Release");
        fs::write(&release, ftparchive(&arguments)).expect("write");
        let (release, signed) = (release.to_str().expect("UTF-8"), suite.join("InRelease"));
        gpg(&["--clearsign", "--output", signed.to_str().expect("UTF-8"), release]);
    }
    let mut agent = Command::new("gpgconf");
    run(agent.env("GNUPGHOME", &home).args(["--kill", "gpg-agent"])).success();
}

/// Creates a repository of one commit with the stand-in for llama.cpp. Returns the commit.
fn repository(at: &Path) -> String {
    run(Command::new("cp").arg("--recursive").arg(file("llama.cpp")).arg(at)).success();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        // The same commit each time, so that images built from it are found again.
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "tests");
            command.env(format!("GIT_{role}_EMAIL"), "tests@example.org");
            command.env(format!("GIT_{role}_DATE"), "2000-01-01T00:00:00Z");
        }
        run(command.arg("-C").arg(at).args(arguments)).success().stdout
    };
    git(&["init", "--quiet", "--initial-branch=master"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "what stands for llama.cpp"]);
    git(&["rev-parse", "HEAD"]).trim().to_owned()
}
