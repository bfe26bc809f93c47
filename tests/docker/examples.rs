//! The Dockerfiles of `examples/docker`, on images with the same layout as those that they name.

use crate::images::{Images, derive, llama};
use tests::{
    artefacts::workspace,
    docker::{Build, LLAMA, PREFIX, ROCBLAS_6_VERSION, SHIM},
    run::Ended,
};

/// The path at which the examples leave the installer.
const INSTALLER: &str = "/opt/rocblas-shim/installer";

/// Builds one of the examples.
fn example(images: Images, name: &str, arguments: &[(&str, &str)]) -> (String, Ended) {
    let tag = format!("{PREFIX}/example-{name}");
    let file = workspace().join("examples/docker").join(format!("{name}.Dockerfile"));
    let pool = format!("file:///srv/rocm/6.3/pool/rocblas_{}_amd64.deb", ROCBLAS_6_VERSION);
    let fixed = [
        ("SHIM_IMAGE", SHIM),
        ("ROCBLAS_URL", &pool),
        ("ROCBLAS_SHA256", &images.rocm.rocblas_sha256),
    ];
    let arguments = [&fixed[..], arguments].concat();
    let context = workspace().join("examples/docker");
    let ended = images.engine.try_build(&Build::new(&tag, &file, &context, &arguments));
    (tag, ended)
}

#[test]
fn the_example_for_llama_cpp_builds_and_runs() {
    let Some(images) = llama() else { return };
    let rocm = &images.rocm;
    // AMD's `-complete` image has rocBLAS already.
    let lines = "RUN apt-get update && apt-get install --yes --no-install-recommends rocblas-dev hipblas-dev";
    let (complete, ended) = derive(images.engine, "complete", &rocm.tag, lines);
    ended.success();
    let arguments = [
        ("ROCM_IMAGE", complete.as_str()),
        ("LLAMA_REPOSITORY", LLAMA),
        ("LLAMA_COMMIT", &rocm.commit),
    ];
    let (tag, ended) = example(images, "llama.cpp", &arguments);
    ended.success();
    let ran = images.engine.run(&tag, &[], &["llama-cli"]).success();
    assert!(ran.stdout.contains("rocBLAS 5.0.2.shim-"), "{ran:?}");
    images.engine.run(&tag, &[], &[INSTALLER, "status"]).success();
    images.engine.docker(&["image", "rm", &tag]).success();
}

/// A program that finds the bundle as Ollama's programs do: through its path in the RPATH.
const RUNNER: &str = "RUN gcc -DNDEBUG -D__HIP_PLATFORM_AMD__ -I/opt/rocm/include -o /usr/bin/runner \\\n \
    /srv/llama.cpp/llama-cli.c /srv/llama.cpp/ggml-hip.c -L/opt/rocm/lib -lrocblas -lhipblas -lamdhip64 \\\n \
    -Wl,--disable-new-dtags,-rpath,/usr/lib/ollama/rocm";

#[test]
fn the_example_for_ollama_puts_the_shim_into_its_bundle() {
    let Some(images) = llama() else { return };
    let rocm = &images.rocm.tag;
    // ROCm's libraries are only in the bundle, and AMD's rocBLAS 7 has no kernels for this GPU.
    let lines = format!(
        "RUN apt-get update && apt-get install --yes --no-install-recommends rocblas-dev hipblas-dev\n\
         {RUNNER}\n\
         RUN mkdir -p /usr/lib/ollama/rocm/rocblas \\\n \
         && cp -a /opt/rocm/lib/*.so.* /usr/lib/ollama/rocm/ \\\n \
         && mv /opt/rocm/lib/rocblas/library /usr/lib/ollama/rocm/rocblas/ \\\n \
         && rm /usr/lib/ollama/rocm/rocblas/library/*gfx906* \\\n \
         && rm -r /opt/rocm-7.0.2 /opt/rocm /etc/ld.so.conf.d/10-rocm.conf && ldconfig"
    );
    let (base, ended) = derive(images.engine, "ollama-base", rocm, &lines);
    ended.success();
    let images_named = [("OLLAMA_IMAGE", base.as_str()), ("FETCH_IMAGE", rocm)];
    let (tag, ended) = example(images, "ollama", &images_named);
    ended.success();
    let ran = images.engine.run(&tag, &[], &["/usr/bin/runner"]).success();
    assert!(ran.stdout.contains("rocBLAS 5.0.2.shim-"), "{ran:?}");
    // The file by which Ollama decides whether it supports the GPU.
    let seen = "/usr/lib/ollama/rocm/rocblas/library/TensileLibrary_lazy_gfx906.dat";
    images.engine.run(&tag, &[], &["/usr/bin/test", "-s", seen]).success();
    images.engine.run(&tag, &[], &[INSTALLER, "status"]).success();
    images.engine.docker(&["image", "rm", &tag, &base]).success();
}

#[test]
fn the_example_for_pytorch_puts_the_shim_into_its_wheel() {
    let Some(images) = llama() else { return };
    let rocm = &images.rocm.tag;
    let base = format!("{PREFIX}/python");
    let file = workspace().join("tests/docker/images/python.Dockerfile");
    let context = workspace().join("tests/docker/torch");
    images.engine.build(&Build::new(&base, &file, &context, &[("BASE", rocm)]));
    let arguments = [
        ("PYTHON_IMAGE", base.as_str()),
        ("FETCH_IMAGE", rocm),
        ("TORCH", "/srv/torch-2.9.1-py3-none-any.whl"),
        ("TORCH_INDEX", "file:///srv/"),
    ];
    let (tag, ended) = example(images, "pytorch", &arguments);
    ended.success();
    let solve = ["python", "-c", "import torch; print(torch.solve_triangular())"];
    let ran = images.engine.run(&tag, &[], &solve).success();
    assert!(ran.stdout.starts_with("(0, '5.0.2.shim-"), "{ran:?}");
    images.engine.run(&tag, &[], &[INSTALLER, "status"]).success();
    images.engine.docker(&["image", "rm", &tag, &base]).success();
}
