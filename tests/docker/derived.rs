//! Layers on top of the image: what `apt-get` reinstalls, programs that are built before and after `apply`,
//! and failures that must end a build.

use crate::images::{Images, build_llama, derive, llama, try_build_llama};

/// `docker/Dockerfile` up to the stage in which the shim is installed while compilers and packages are still
/// present.
const BUILD: &str = "rocblas-shim-tests/build";

fn build_stage() -> Option<Images> {
    static BUILT: std::sync::OnceLock<Option<Images>> = std::sync::OnceLock::new();
    *BUILT.get_or_init(|| {
        let images = llama()?;
        build_llama(images, BUILD, Some("build"), &[]);
        Some(images)
    })
}

/// Restricts apt to the archive in the image, so that no network is needed.
const ONLY_ROCM: &str =
    "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/rocm.list -o Dir::Etc::sourceparts=-";

#[test]
fn a_later_reinstallation_of_stock_does_not_undo_it() {
    let Some(images) = build_stage() else { return };
    let engine = images.engine;
    let lines = format!(
        "RUN apt-get update {ONLY_ROCM} \\\n && apt-get install --yes --reinstall {ONLY_ROCM} rocblas \\\n \
         && ldconfig"
    );
    let (tag, ended) = derive(engine, "reinstalled", BUILD, &lines);
    ended.success();
    // dpkg installs the library under its diverted name, where no program finds it.
    engine.run(&tag, &[], &["installer", "status"]).success();
    let ran = engine.run(&tag, &[], &["/app/llama-cli"]).success();
    assert!(ran.stdout.contains("rocBLAS 5.0.2.shim-"), "{ran:?}");
    engine.docker(&["image", "rm", &tag]).success();
}

#[test]
fn an_installation_that_dpkg_was_not_told_of_is_noticed_and_repaired() {
    let Some(images) = build_stage() else { return };
    let engine = images.engine;
    // As by `dpkg --extract` or a COPY of the stock file.
    let lines = "RUN dpkg-deb --extract /srv/rocm/7.0.2/pool/rocblas_5.*.deb / && ldconfig";
    let (disturbed, ended) = derive(engine, "disturbed", BUILD, lines);
    ended.success();
    let status = engine.run(&disturbed, &[], &["installer", "status"]);
    assert_eq!(status.status.code(), Some(4), "{status:?}");
    assert!(status.stdout.contains("disturbed"), "{status:?}");
    let (repaired, ended) = derive(engine, "repaired", &disturbed, "RUN installer apply");
    ended.success();
    engine.run(&repaired, &[], &["installer", "status"]).success();
    let ran = engine.run(&repaired, &[], &["/app/llama-cli"]).success();
    assert!(ran.stdout.contains("rocBLAS 5.0.2.shim-"), "{ran:?}");
    engine.docker(&["image", "rm", &repaired, &disturbed]).success();
}

#[test]
fn programs_built_after_apply_use_the_shim_too() {
    let Some(images) = build_stage() else { return };
    let engine = images.engine;
    let lines = "RUN rm -r /llama.cpp/build /app \\\n \
                 && cmake -S /llama.cpp -B /llama.cpp/build && cmake --build /llama.cpp/build \\\n \
                 && installer apply --built /llama.cpp/build/bin";
    let (tag, ended) = derive(engine, "built-after", BUILD, lines);
    let ended = ended.success();
    assert!(ended.stdout.contains("Nothing to do"), "{ended:?}");
    let ran = engine.run(&tag, &[], &["/llama.cpp/build/bin/llama-cli"]).success();
    assert!(ran.stdout.contains("rocBLAS 5.0.2.shim-"), "{ran:?}");
    engine.docker(&["image", "rm", &tag]).success();
}

#[test]
fn what_fails_in_a_step_ends_the_build() {
    let Some(images) = llama() else { return };
    let tag = "rocblas-shim-tests/failing";
    let zeros = "0".repeat(64);
    let nobody = "0".repeat(40);
    for (name, value, said) in [
        ("ROCBLAS_SHA256", zeros.as_str(), "rocblas.deb: FAILED"),
        ("ROCBLAS_VERSION", "1.2.3", "Version '1.2.3' for 'rocblas' was not found"),
        ("ROCBLAS_KEY", "file:///srv/nothing", "/srv/nothing"),
        ("LLAMA_COMMIT", nobody.as_str(), "not our ref"),
        ("CMAKE_ARGS", "-DCMAKE_C_COMPILER=/bin/false", "CMake"),
        ("GPU_TARGETS", "gfx1201", "for gfx1201"),
    ] {
        let ended = try_build_llama(images, tag, &[(name, value)]);
        assert!(!ended.status.success(), "{name}={value}");
        assert!(format!("{ended:?}").contains(said), "{name}={value}: {ended:?}");
    }
    assert!(!images.engine.has(tag));
}

#[test]
fn an_archive_that_another_key_signed_is_refused() {
    let Some(images) = llama() else { return };
    // Debian's key, which is installed but did not sign ROCm's archive.
    let keys = [("ROCBLAS_KEY", "file:///usr/share/keyrings/debian-archive-keyring.gpg")];
    let ended = try_build_llama(images, "rocblas-shim-tests/unsigned", &keys);
    assert!(!ended.status.success());
    assert!(
        format!("{ended:?}").contains("NO_PUBKEY") || format!("{ended:?}").contains("not signed"),
        "{ended:?}"
    );
}
