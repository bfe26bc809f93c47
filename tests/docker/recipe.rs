//! `docker/Dockerfile`: the image that most users run.

use crate::images::{LLAMA_IMAGE, llama};
use std::{collections::BTreeMap, fs, io::Write, process::Command, sync::OnceLock};
use tests::{
    docker::Engine,
    run::{run, run_within},
};

/// The files in all layers of the image with their sizes in bytes, as listed in the tarballs, without links.
fn files(engine: &Engine) -> &'static BTreeMap<String, u64> {
    static FILES: OnceLock<BTreeMap<String, u64>> = OnceLock::new();
    FILES.get_or_init(|| files_in_layers(engine, LLAMA_IMAGE))
}

fn files_in_layers(engine: &Engine, tag: &str) -> BTreeMap<String, u64> {
    let scratch = tempfile::tempdir().expect("a directory");
    let saved = scratch.path().join("image.tar");
    engine.save(tag, &saved);
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(scratch.path()).arg("-xf").arg(&saved);
    run_within(&mut tar, std::time::Duration::from_secs(600)).success();
    fs::remove_file(&saved).expect("remove");
    let manifest = fs::read_to_string(scratch.path().join("manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let layers = manifest[0]["Layers"].as_array().expect("layers");
    assert!(layers.len() > 1, "{manifest}");
    let list = |layer: &serde_json::Value| {
        let path = scratch.path().join(layer.as_str().expect("a path"));
        // `-rw-r--r-- 0/0 1234 2026-01-01 00:00 opt/file`
        let lines = run(Command::new("tar").arg("-tvf").arg(path)).success().stdout;
        let files = lines.lines().filter(|line| line.starts_with('-'));
        let file = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = format!("/{}", words[5].trim_start_matches("./"));
            (name, words[2].parse::<u64>().expect("a size"))
        };
        files.map(file).collect::<Vec<_>>()
    };
    layers.iter().flat_map(list).collect()
}

#[test]
fn no_layer_has_the_stock_library_or_a_tool_that_builds() {
    let Some(images) = llama() else { return };
    let engine = images.engine;
    let files = files(engine);
    let has = |end: &str| files.keys().any(|name| name.ends_with(end));
    for present in [
        "/opt/rocm-7.0.2/lib/librocblas.so.5.99.0",
        "/rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300",
        "/rocblas/library/TensileLibrary_lazy_gfx906.dat",
        "/app/llama-server",
        "/usr/local/bin/installer",
        "/usr/local/bin/llama-bench-table",
    ] {
        assert!(has(present), "{present}");
    }
    for absent in [
        "/librocblas.so.5.0.70002",
        "/usr/bin/gcc",
        "/usr/bin/cc",
        "/usr/bin/g++",
        "/usr/bin/cmake",
        "/usr/bin/git",
        "/usr/bin/make",
        "/bin/hipconfig",
        "/rocblas.h",
        "/rocblas-config.cmake",
        "/rocblas.deb",
        "/libhipblas.so",
    ] {
        assert!(!has(absent), "{absent}");
    }
    let other_gpus = files.keys().filter(|name| name.contains("gfx90a"));
    assert_eq!(other_gpus.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The maximum size of the image in bytes; with the kernels of all GPUs it has 2.25 GB.
const MOST: u64 = 800_000_000;

#[test]
fn the_image_has_the_kernels_of_one_gpu_and_is_small() {
    let Some(images) = llama() else { return };
    let engine = images.engine;
    let size: u64 = engine.inspect(LLAMA_IMAGE, "{{.Size}}").parse().expect("bytes");
    print_sizes(engine, size, files(engine));
    assert!(size <= MOST, "{size} bytes");
    let status = engine.run(LLAMA_IMAGE, &[], &["installer", "status"]).success();
    assert!(status.stdout.contains("(slim, for gfx906)"), "{status:?}");
}

#[test]
fn the_image_says_what_it_is_how_it_is_and_that_it_is_nobodys() {
    let Some(images) = llama() else { return };
    let config = images.engine.inspect(LLAMA_IMAGE, "{{json .Config}}");
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["User"], "10001:10001");
    assert_eq!(config["Entrypoint"], serde_json::json!(["llama-server"]));
    assert!(config["ExposedPorts"]["8080/tcp"].is_object(), "{config}");
    let health = config["Healthcheck"]["Test"].to_string();
    assert!(health.contains("/health"), "{health}");
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("revision"), images.rocm.commit.as_str());
    for name in ["title", "description", "source", "licenses"] {
        assert!(label(name).is_string(), "{name}: {config}");
    }
    let environment = config["Env"].as_array().expect("variables");
    let named =
        |variable: &&serde_json::Value| variable.as_str().is_some_and(|v| v.starts_with("HSA_"));
    assert_eq!(environment.iter().find(named), None);
}

/// Prints the size of what a user downloads, by part. Bypasses the test harness, which would capture this.
fn print_sizes(engine: &Engine, size: u64, files: &BTreeMap<String, u64>) {
    let layers = engine.inspect(LLAMA_IMAGE, "{{len .RootFS.Layers}}");
    let megabytes = |bytes: u64| format!("{:>6} MB", bytes / 1_000_000);
    let mut text = format!("images: {LLAMA_IMAGE}: {} in {layers} layers\n", megabytes(size));
    let part_of = |name: &str| match name {
        _ if name.contains("/rocblas/library/") => "Tensile files",
        _ if name.contains("/backends/") => "the backend's library",
        _ if name.contains("/librocsolver.so") => "rocSOLVER",
        _ if name.starts_with("/opt/") => "other libraries of ROCm",
        _ if name.starts_with("/app/") => "llama.cpp",
        _ => "the distribution and installer",
    };
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, bytes) in files {
        *parts.entry(part_of(name)).or_default() += bytes;
    }
    for (part, bytes) in parts {
        text += &format!("{} {part}\n", megabytes(bytes));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
