//! The project's images, each built once from its Dockerfile.

use std::{fs, path::PathBuf, sync::OnceLock};
use tests::{
    artefacts::workspace,
    docker::{self, Build, Engine, LLAMA, PREFIX, ROCBLAS_6_VERSION, Rocm, SHIM},
    run::Ended,
};

/// The image that users run, with the stock library deleted.
pub(crate) const LLAMA_IMAGE: &str = "rocblas-shim-tests/llama";

/// What all of these tests need.
#[derive(Clone, Copy)]
pub(crate) struct Images {
    pub(crate) engine: &'static Engine,
    pub(crate) rocm: &'static Rocm,
    pub(crate) runtime: &'static str,
}

/// Builds [`SHIM`]. Prints a message and returns `None` if it is not available.
pub(crate) fn shim() -> Option<&'static Engine> {
    static BUILT: OnceLock<Option<&'static Engine>> = OnceLock::new();
    *BUILT.get_or_init(|| {
        let engine = docker::engine()?;
        build_shim(engine, SHIM, Profile::Quick)?;
        Some(engine)
    })
}

/// How the shim and the installer are compiled for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As they ship, and without the cache of earlier builds.
    ShippedAfresh,
    /// In less time: every other image contains them.
    Quick,
}

/// Builds `docker/shim.Dockerfile` under a name.
pub(crate) fn build_shim(engine: &Engine, tag: &str, profile: Profile) -> Option<()> {
    let (base, version) = docker::rust(engine)?;
    let file = workspace().join("docker/shim.Dockerfile");
    let mut arguments = vec![("BASE_IMAGE", base.as_str()), ("RUST_VERSION", version)];
    if profile == Profile::Quick {
        arguments.push(("CARGO_PROFILE_RELEASE_LTO", "off"));
        arguments.push(("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"));
    }
    let afresh = profile == Profile::ShippedAfresh;
    engine.build(&Build { afresh, ..Build::new(tag, &file, workspace(), &arguments) });
    Some(())
}

/// Builds [`LLAMA_IMAGE`] on top of [`SHIM`].
pub(crate) fn llama() -> Option<Images> {
    static BUILT: OnceLock<Option<Images>> = OnceLock::new();
    *BUILT.get_or_init(|| {
        // Before the shim, which another test is building at the same time.
        let engine = docker::engine()?;
        let (rocm, runtime) = (docker::rocm(engine)?, docker::runtime(engine)?);
        let images = Images { engine, rocm, runtime };
        shim()?;
        build_llama(images, LLAMA_IMAGE, None, &[]);
        Some(images)
    })
}

/// Builds `docker/Dockerfile` under a name, up to a stage, with additional arguments.
#[track_caller]
pub(crate) fn build_llama(images: Images, tag: &str, target: Option<&str>, more: &[(&str, &str)]) {
    images.engine.build(&recipe(tag, target, &arguments(images, more)));
}

/// Like [`build_llama`], but returns how the build ended.
pub(crate) fn try_build_llama(images: Images, tag: &str, more: &[(&str, &str)]) -> Ended {
    images.engine.try_build(&recipe(tag, None, &arguments(images, more)))
}

fn recipe<'a>(
    tag: &'a str,
    target: Option<&'a str>,
    arguments: &'a [(&'a str, &'a str)],
) -> Build<'a> {
    static PATHS: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    let (file, context) =
        PATHS.get_or_init(|| (workspace().join("docker/Dockerfile"), workspace().join("docker")));
    Build { target, ..Build::new(tag, file, context, arguments) }
}

/// Builds a few lines on top of an image.
pub(crate) fn derive(engine: &Engine, name: &str, from: &str, lines: &str) -> (String, Ended) {
    let context = tempfile::tempdir().expect("a directory");
    let file = context.path().join("Dockerfile");
    fs::write(&file, format!("FROM {from}\n{lines}\n")).expect("write");
    let tag = format!("{PREFIX}/{name}");
    let ended = engine.try_build(&Build::new(&tag, &file, context.path(), &[]));
    (tag, ended)
}

/// The build arguments of the recipe if nothing can be pulled.
fn arguments<'a>(images: Images, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let Images { rocm, runtime, .. } = images;
    let mut arguments = vec![
        ("SHIM_IMAGE", SHIM),
        ("ROCM_IMAGE", &rocm.tag),
        ("RUNTIME_IMAGE", runtime),
        ("ROCBLAS_APT", "file:///srv/rocm/6.3"),
        ("ROCBLAS_KEY", "file:///srv/rocm.asc"),
        ("ROCBLAS_VERSION", ROCBLAS_6_VERSION),
        ("ROCBLAS_SHA256", &rocm.rocblas_sha256),
        ("LLAMA_REPOSITORY", LLAMA),
        ("LLAMA_COMMIT", &rocm.commit),
    ];
    arguments.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    arguments.extend(more);
    arguments
}
