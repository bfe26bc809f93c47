//! `docker/shim.Dockerfile`: an image that exists only to copy from. It contains nothing else, and its builds
//! are reproducible.

use crate::images::{Profile, build_shim, shim};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    artefacts::workspace,
    docker::{self, Engine, SHIM},
    elf::face,
    run::run,
};

const FILES: [&str; 6] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "SHA256SUMS",
    "THIRD-PARTY-LICENSES",
    "installer",
    "librocblas.so",
];

/// Extracts an image's files with their modification times.
fn unpacked(engine: &Engine, tag: &str) -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().expect("a directory");
    let files = scratch.path().join("files");
    fs::create_dir(&files).expect("a directory");
    // A scratch image has no program to start, and a container that is only exported needs none.
    let container = engine.docker(&["create", tag, "none"]).success().stdout;
    let archive = scratch.path().join("files.tar");
    let archive = archive.to_str().expect("UTF-8");
    engine.docker(&["export", "--output", archive, container.trim()]).success();
    engine.docker(&["rm", container.trim()]).success();
    run(Command::new("tar").arg("-C").arg(&files).args(["-xf", archive])).success();
    (scratch, files)
}

fn sums(files: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(files.join("SHA256SUMS")).expect("checksums");
    let line =
        |line: &str| line.split_once(" *").map(|(sum, name)| (name.to_owned(), sum.to_owned()));
    text.lines().filter_map(line).collect()
}

#[test]
fn the_image_has_the_shim_the_installer_licences_and_checksums_that_hold() {
    let Some(engine) = shim() else { return };
    let (_kept, files) = unpacked(engine, SHIM);
    for name in FILES {
        assert!(files.join(name).is_file(), "{name}");
    }
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&files))
        .success();
    assert_eq!(sums(&files).len(), FILES.len() - 1);
    // The engine adds what a container needs: /dev, /etc, /proc, /sys.
    let added = ["dev", "etc", "proc", "sys", ".dockerenv"];
    let names = fs::read_dir(&files).expect("read").map(|entry| entry.expect("read").file_name());
    let mut own: Vec<String> = names
        .map(|name| name.to_str().expect("UTF-8").to_owned())
        .filter(|name| !added.contains(&name.as_str()))
        .collect();
    own.sort();
    assert_eq!(own, FILES);

    // The glibc version of Ubuntu 22.04.
    let newest = (2, 35);
    for name in ["installer", "librocblas.so"] {
        let text = run(Command::new("objdump").arg("-T").arg(files.join(name))).success().stdout;
        let versions = text.split("GLIBC_").skip(1).filter_map(|rest| {
            let version = rest.split(')').next()?;
            let mut numbers = version.split('.').map(|n| n.parse::<u32>().ok());
            Some((numbers.next()??, numbers.next()??))
        });
        let needed = versions.max().expect("it needs glibc");
        assert!(needed <= newest, "{name} needs glibc {needed:?}");
    }
    assert_eq!(face(&files.join("librocblas.so")).soname, "librocblas.so.5");
    run(Command::new(files.join("installer")).arg("--version")).success();
}

#[test]
fn every_crate_that_is_linked_in_has_its_licences_there() {
    let Some(engine) = shim() else { return };
    let (_kept, files) = unpacked(engine, SHIM);
    let text = fs::read_to_string(files.join("THIRD-PARTY-LICENSES")).expect("licences");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace()).args(["tree", "--offline", "--locked", "--prefix", "none"]);
    cargo.args(["--package", "rocblas-shim", "--package", "installer", "--format", "{p}"]);
    let tree = run(cargo.args(["--edges", "normal,no-proc-macro"])).success().stdout;
    let mut crates = 0;
    for line in tree.lines().filter(|line| !line.is_empty() && !line.contains("(/")) {
        let (name, rest) = line.split_once(" v").expect("a name and a version");
        let version = rest.split(' ').next().expect("a version");
        assert!(text.contains(&format!("==> {name}-{version}/")), "{line}");
        crates += 1;
    }
    assert!(crates > 50, "{tree}");
    // C code that is bundled with a crate has its own licence.
    assert!(text.contains("zstd/LICENSE <=="));
    assert!(text.contains("Copyright (c) Meta Platforms, Inc. and affiliates."));
}

#[test]
#[ignore = "builds the image twice as it ships: eight minutes of two cores; cargo docker -- --ignored"]
fn built_once_more_it_is_the_same_bit_by_bit() {
    const TAGS: [&str; 2] = ["rocblas-shim-tests/shim-shipped", "rocblas-shim-tests/shim-again"];
    let Some(engine) = docker::engine() else { return };
    for tag in TAGS {
        let Some(()) = build_shim(engine, tag, Profile::ShippedAfresh) else { return };
    }
    let [(_a, first), (_b, second)] = TAGS.map(|tag| unpacked(engine, tag));
    assert_eq!(sums(&first), sums(&second));
    let time = |files: &Path, name| {
        fs::metadata(files.join(name)).expect("a file").modified().expect("a time")
    };
    for name in FILES {
        assert_eq!(time(&first, name), time(&second, name), "{name}");
    }
    engine.docker(&["image", "rm", TAGS[0], TAGS[1]]).success();
}
