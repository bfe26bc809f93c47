//! What is in the packages, and that they are the same each time.

use crate::built::{built, package, packager};
use std::{fs, path::Path, process::Command, time::Duration};
use tests::{
    artefacts::{self, workspace},
    docker::tools::tool,
    run::{exists, run, run_within},
    skip::skip,
};

/// Longer than compressing, or building on a busy machine, takes.
const LIMIT: Duration = Duration::from_secs(3600);

fn sums(directory: &Path) -> String {
    fs::read_to_string(directory.join("SHA256SUMS")).expect("checksums")
}

#[test]
fn packages_are_the_same_in_another_directory_zone_language_and_umask() {
    let output = tempfile::tempdir().expect("a directory");
    let told = packager(1, output.path());
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask 077 && exec "$@""#, "sh"]).arg(told.get_program());
    command.args(told.get_args()).current_dir(workspace().join("shim"));
    command.env("TZ", "Pacific/Kiritimati").env("LC_ALL", "C.UTF-8").env("HOSTNAME", "other");
    run_within(&mut command, LIMIT).success();
    assert_eq!(sums(output.path()), sums(built(1)));
}

#[test]
fn checksums_name_every_file_and_hold() {
    let directory = built(1);
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(directory))
    .success();
    let files = fs::read_dir(directory).expect("packages").count();
    assert_eq!(sums(directory).lines().count(), files - 1);
}

#[test]
fn the_tarball_works_in_any_directory_and_has_checksums_that_hold() {
    let place = tempfile::tempdir().expect("a directory");
    let tarball = package(1, ".tar.gz");
    run(Command::new("tar").arg("-C").arg(place.path()).arg("-xf").arg(tarball)).success();
    let entry = fs::read_dir(place.path()).expect("read").next().expect("a directory");
    let prefix = entry.expect("read").path();
    let mut check = Command::new("sha256sum");
    run(check.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&prefix))
        .success();
    let program = prefix.join("bin/rocblas-shim-installer");
    let version = run(Command::new(program).arg("--version")).success().stdout;
    assert!(version.contains("\nshim "), "{version}");
    let page = prefix.join("share/man/man1/rocblas-shim-installer.1.gz");
    let page = run(Command::new("gzip").args(["--decompress", "--stdout"]).arg(page)).success();
    assert!(page.stdout.contains("rocblas\\-shim\\-installer \\- "), "{}", page.stdout);
    let shell = "source share/bash-completion/completions/rocblas-shim-installer && complete -p";
    let mut bash = Command::new("bash");
    let told = run(bash.args(["--norc", "-c", shell]).current_dir(&prefix)).success();
    assert!(told.stdout.contains("rocblas-shim-installer\n"), "{told:?}");
}

#[test]
fn lintian_finds_no_error_in_the_deb() {
    if !exists("lintian") {
        return skip("the form of the .deb", "there is no lintian");
    }
    let mut lintian = Command::new("lintian");
    // It refuses root otherwise; what it says of a name of a host depends on who commits.
    lintian.args(["--allow-root", "--fail-on", "error", "--suppress-tags"]);
    lintian.arg("bogus-mail-host,mail-address-loops-or-bounces").arg(package(1, ".deb"));
    let ended = run_within(&mut lintian, LIMIT);
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn the_rpm_needs_what_the_binaries_need_and_has_no_owner_but_root() {
    if !exists("rpm") {
        return skip("the .rpm", "there is no rpm");
    }
    let file = package(1, ".rpm");
    let query = |what: &[&str]| {
        let mut rpm = Command::new("rpm");
        run(rpm.args(["--query", "--package"]).args(what).arg(&file)).success().stdout
    };
    let needs = query(&["--requires"]);
    assert!(needs.contains("libc.so.6(GLIBC_2."), "{needs}");
    let owners = query(&["--queryformat", "[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]"]);
    assert!(owners.lines().all(|owner| owner == "root:root"), "{owners}");
    let host = query(&["--queryformat", "%{BUILDHOST} %{LICENSE}"]);
    assert_eq!(host, "localhost MIT OR Apache-2.0");
}

#[test]
fn the_sbom_is_valid_and_names_both_binaries_and_every_crate_of_the_licences() {
    let file = package(1, ".cdx.json");
    let text = fs::read_to_string(&file).expect("a text");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let components = document["components"].as_array().expect("components");
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    for (name, file) in [("installer", "installer"), ("rocblas-shim", "librocblas.so")] {
        let hash = &named(name).expect(name)["hashes"][0]["content"];
        let built = artefacts::installer().with_file_name(file);
        let stripped = tempfile::NamedTempFile::new().expect("a file");
        let mut strip = Command::new("strip");
        run(strip.args(["--strip-unneeded", "-o"]).arg(stripped.path()).arg(built)).success();
        let sum = run(Command::new("sha256sum").arg(stripped.path())).success().stdout;
        assert!(sum.starts_with(hash.as_str().expect("a text")), "{name}: {hash} {sum}");
    }
    let crates = components.iter().filter(|component| component.get("purl").is_some());
    let licences = licences();
    let mut count = 0;
    for component in crates {
        let word = |key: &str| component[key].as_str().expect("a text").to_owned();
        let line = format!("{} {} (", word("name"), word("version"));
        assert!(licences.contains(&line), "{line}");
        assert!(component["hashes"][0]["content"].is_string(), "{component}");
        count += 1;
    }
    assert!(count > 50, "{count}");
    let Some(python) = tool("python") else { return };
    let check = "import sys\nfrom cyclonedx.schema import SchemaVersion\n\
                 from cyclonedx.validation.json import JsonStrictValidator\n\
                 fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
                 sys.exit(str(fault) if fault else 0)\n";
    run(Command::new(python).args(["-c", check]).arg(file)).success();
}

/// The licences that the .deb has.
fn licences() -> String {
    let place = tempfile::tempdir().expect("a directory");
    let mut unpack = Command::new("dpkg-deb");
    run(unpack.arg("--extract").arg(package(1, ".deb")).arg(place.path())).success();
    let file = place.path().join("usr/share/doc/rocblas-shim/THIRD-PARTY-LICENSES.gz");
    run(Command::new("gzip").args(["--decompress", "--stdout"]).arg(file)).success().stdout
}

#[test]
#[ignore = "builds both binaries twice: ten minutes of two cores; cargo packages -- --ignored"]
fn built_in_two_directories_of_two_homes_the_packages_are_the_same() {
    let home = std::env::var_os("CARGO_HOME").map(Into::into);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).expect("a home");
    let sums = ["one", "of another length"].map(|name| {
        let place = tempfile::tempdir().expect("a directory");
        let (clone, own) = (place.path().join(name), place.path().join(format!("{name} home")));
        run(Command::new("git").args(["clone", "--quiet"]).args([workspace(), &clone])).success();
        fs::create_dir(&own).expect("make a directory");
        let registry = home.join("registry");
        run_within(Command::new("cp").arg("--archive").arg(registry).arg(&own), LIMIT).success();
        let mut cargo = artefacts::cargo();
        cargo.arg("package-release").current_dir(&clone).env("CARGO_HOME", &own);
        run_within(cargo.env_remove("CARGO_TARGET_DIR"), LIMIT).success();
        sums(&clone.join("target/packages"))
    });
    assert_eq!(sums[0], sums[1]);
}
